"""The person of the soak: files issues, talks, reviews, merges, closes, edits the relay."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from agentloop.testing.crash.arena import Arena

OPEN_AT_MOST: Final = 5
GIVEN_UP: Final = "without merging it"
"""What the loop says on an issue whose pull request a person has closed."""


@dataclass
class Person:
    """One person and what they did; `said` are the words they wrote into the relay, which must be kept."""

    arena: Arena
    chance: random.Random
    filed: int = 0
    said: list[str] = field(default_factory=list)
    overwritten: list[str] = field(default_factory=list)
    """Words that a stale buffer of their own wrote over before the loop had seen them."""
    closed_pulls: list[str] = field(default_factory=list)
    closed_issues: list[str] = field(default_factory=list)
    comments: int = 0
    wishes: int = 0
    failures: list[str] = field(default_factory=list)
    _buffer: str = ""

    def act(self) -> str:
        """Do one thing, chosen by chance, and return what."""
        acts: list[tuple[int, Callable[[], str]]] = [
            (6, self.file),
            (5, self.review),
            (2, self.comment),
            (2, self.write),
            (2, self.write_stale),
            (1, self.close_issue),
        ]
        act = self.chance.choices([one for _, one in acts], [weight for weight, _ in acts])[0]
        return act()

    def file(self) -> str:
        """File an issue, when not too many are open; else close one of which nothing will come."""
        if len(self.open_issues()) >= OPEN_AT_MOST:
            return self._close_given_up()
        said = self._do("issue", "new", f"A note, number {self.filed + 1}", "--body", "Please write it.")
        self.filed += said
        return "files an issue"

    def review(self) -> str:
        """Merge a pull request, send it back, or close it."""
        pulls = sorted(path.stem.lstrip("0") for path in self.arena.home.pulls.glob("0*.md"))
        if not pulls:
            return "finds nothing to review"
        pull = self.chance.choice(pulls)
        lot = self.chance.random()
        if lot < 0.7:  # noqa: PLR2004 - most are merged
            return self.merge(pull)
        if lot < 0.9:  # noqa: PLR2004 - some are sent back
            self.wishes += 1
            self._do("pr", "review", pull, "--request-changes", f"Please add wish-{self.wishes}.")
            return f"sends pull request {pull} back"
        if self._do("pr", "close", pull, "--comment", "Not wanted after all."):
            self.closed_pulls.append(pull)
        return f"closes pull request {pull}"

    def merge(self, pull: str) -> str:
        """Merge a pull request."""
        self._do("pr", "merge", pull)
        return f"merges pull request {pull}"

    def comment(self) -> str:
        """Say something on an open issue."""
        issues = self.open_issues()
        if not issues:
            return "finds no issue to talk about"
        self.comments += 1
        issue = self.chance.choice(issues)
        self._do("issue", "comment", issue, f"Remark {self.comments}.")
        return f"comments on issue {issue}"

    def close_issue(self) -> str:
        """Close an open issue, seldom."""
        issues = self.open_issues()
        if not issues or self.chance.random() < 0.8:  # noqa: PLR2004 - seldom
            return "thinks of closing an issue"
        issue = self.chance.choice(issues)
        if self._do("issue", "close", issue, "--reason", "Changed my mind."):
            self.closed_issues.append(issue)
        return f"closes issue {issue}"

    def _close_given_up(self) -> str:
        for issue in self.open_issues():
            text = (self.arena.home.issues / f"{int(issue):04}.md").read_text("utf-8", "replace")
            if GIVEN_UP in text and self._do("issue", "close", issue, "--reason", "Then not."):
                self.closed_issues.append(issue)
                return f"closes issue {issue}, which was given up"
        return "waits: enough is open"

    # The relay.

    def write(self) -> str:
        """Add a line to the relay, in place."""
        self._save(self._text(), fresh=True)
        return f"writes into the relay: {len(self.said)}"

    def write_stale(self) -> str:
        """Open the relay in an editor; the next time, save what was opened then, with a line more."""
        if not self._buffer:
            self._buffer = self._text()
            return "opens the relay"
        buffer, self._buffer = self._buffer, ""
        self._save(buffer, fresh=False)
        return f"saves a stale buffer of the relay: {len(self.said)}"

    def _save(self, text: str, *, fresh: bool) -> None:
        if not text:
            return
        words = f"Words {len(self.said) + 1} of mine, {self.chance.randrange(10**9)} ✎"
        new = text.rstrip("\n") + f"\n{words}\n"
        now = self._text()
        if not fresh:
            # Words that the loop has not taken in, and that are in nobody's hands but this person's.
            known = self._taken_in()
            gone = (one for one in self.said if one in now and one not in new)
            self.overwritten += [one for one in gone if one not in known]
        self.arena.home.relay.write_text(new, "utf-8")
        self.said.append(words)

    def _text(self) -> str:
        try:
            return self.arena.home.relay.read_text("utf-8")
        except OSError:
            return ""

    def _taken_in(self) -> str:
        """Return the last version that the loop has stored; what is in it must be kept, whoever writes."""
        versions = (self.arena.home.runtime / "relay").glob("[0-9]*.md")
        newest = max(versions, key=lambda path: int(path.stem), default=None)
        return newest.read_text("utf-8") if newest is not None else ""

    # Looking.

    def open_issues(self) -> list[str]:
        """Return the numbers of open issues."""
        return sorted(path.stem.lstrip("0") for path in self.arena.home.issues.glob("0*.md"))

    def open_pulls(self) -> list[str]:
        """Return the numbers of open pull requests."""
        return sorted(path.stem.lstrip("0") for path in self.arena.home.pulls.glob("0*.md"))

    def _do(self, *words: str) -> bool:
        ran = self.arena.agentloop(*words, "--json")
        if ran.status not in (0, 7):  # what does not fit the state of things any more is no failure
            self.failures.append(f"{' '.join(words)} ended with {ran.status}: {_brief(ran.text)}")
        return ran.status == 0


def _brief(text: str) -> str:
    try:
        return str(json.loads(text)["error"])[:300]
    except (ValueError, KeyError, TypeError):
        return text.strip()[-300:]
