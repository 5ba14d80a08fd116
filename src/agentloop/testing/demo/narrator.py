"""The story, told from the journal's facts in the order in which they are written.

It knows no script: whatever a model plans, each fact has its scene. What a person does in it (answering,
merging) is done here, with the commands that a person would type.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from rich.text import Text

from agentloop.domain import facts as f
from agentloop.domain.wording import count, dollars, one_line
from agentloop.edges import runtime
from agentloop.edges.journal import Journal
from agentloop.edges.metered import shipped_prices
from agentloop.edges.tracker import FileTracker
from agentloop.testing.demo.stage import DemoError, data

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from agentloop.domain.work import Verdict
    from agentloop.testing.demo.screen import Screen
    from agentloop.testing.demo.stage import Stage

POLL_SECONDS: Final = 0.1
SCRIPTED_SECONDS: Final = 90.0
LIVE_SECONDS: Final = 900.0
TRY: Final = "from durations import seconds; print(seconds('1h30m'))"
_SHOWN_OUTPUT: Final = 4


@dataclass
class Narrator:
    """Tells the story of one issue, from the failing behaviour to the closed issue."""

    stage: Stage
    screen: Screen
    over: bool = False
    known: int = 0
    attempts: int = 0
    verdict: Verdict | None = None

    def tell(self) -> None:
        """Tell it. Raises DemoError, also when it takes too long."""
        self._opening()
        self._issue()
        self._curtain()
        for fact in self._facts():
            self._scene(fact)
        self._closing()

    # before the loop

    def _opening(self) -> None:
        self.screen.heading("A small repository, and what is wrong with it")
        source = (self.stage.repository / "durations.py").read_text("utf-8")
        self.screen.code(source[source.index("def seconds") :])
        self._try_out("an hour and a half is 5400 seconds, and there is no error")
        self.screen.pause()

    def _try_out(self, remark: str) -> str:
        self.screen.typed(f'python3 -c "{TRY}"')
        said = self.stage.run("python3", "-c", TRY, cwd=self.stage.repository).text.strip()
        self.screen.output(f"{said}    ← {remark}")
        return said

    def _issue(self) -> None:
        self.screen.heading("An issue, in plain words")
        title, _, body = data("issue.md").read_text("utf-8").partition("\n")
        self.screen.markdown(body.strip(), title=title)
        self.screen.typed(f"agentloop issue new '{title}' --stdin <issue.md")
        self.screen.output(self.stage.agentloop("issue", "new", title, "--stdin", said=body.strip()))
        self.screen.pause()

    def _curtain(self) -> None:
        self.screen.heading("The loop runs")
        self.screen.typed("agentloop run &")
        pid = self.stage.raise_curtain()
        self.screen.say(
            f"A supervisor (pid {pid}) starts one fresh process a cycle. In a cycle an admin agent without a "
            "memory reads a briefing and decides by typed tools; then it is gone."
        )

    # the facts, as they come

    def _facts(self) -> Iterator[f.Fact]:
        journal = Journal(self.stage.home)
        give_up = time.monotonic() + (LIVE_SECONDS if self.stage.live else SCRIPTED_SECONDS)
        while not self.over:
            entries = list(journal.entries())[self.known :]
            self.known += len(entries)
            for entry in entries:
                yield from entry.facts
            if not entries:
                self.stage.check()
                if time.monotonic() > give_up:
                    raise DemoError("it took too long", fix="is the machine very busy? Try again")
                time.sleep(POLL_SECONDS)

    def _scene(self, fact: f.Fact) -> None:
        match fact:
            case f.Planned():
                self._plan(fact)
            case f.Asked():
                self._question(fact)
            case f.AttemptStarted():
                self._attempt(fact)
            case f.Judged(verdict=verdict):
                self._evidence(verdict)
            case f.Reviewed():
                self._review(fact)
            case f.Published():
                self._pull_request(fact)
            case f.IssueClosed():
                self.over = True
            case _:
                self._trouble(fact)

    def _trouble(self, fact: f.Fact) -> None:
        match fact:
            case f.Parked(reason=why) | f.IssueParked(reason=why) | f.Cancelled(reason=why):
                raise DemoError(f"the work was given up: {why}")
            case f.Answered():
                raise DemoError("the admin agent answered the issue instead of planning it")
            case f.CycleEnded(outcome="failed", reason=why):
                raise DemoError(f"a cycle failed: {why}")
            case f.SentBack():
                self.screen.step("↺", "sent back: the next attempt is given the findings", "yellow")
            case f.LimitReached(detail=why):
                self.screen.step("⏲", f"the provider's limit ({why}): the loop waits, and counts no failure")
            case _:
                return

    def _plan(self, fact: f.Planned) -> None:
        self.screen.heading("The plan, as a comment on the issue")
        self.screen.markdown(self._comment(fact.issue, "**Plan**"), title="agentloop")
        self.screen.pause()

    def _question(self, fact: f.Asked) -> None:
        self.screen.heading("A question, as a comment on the issue")
        self.screen.markdown(self._comment(fact.issue, fact.question.split("\n")[0]), title="agentloop")
        self.screen.typed(f"agentloop issue comment {fact.issue} 1")
        self.screen.output(self.stage.agentloop("issue", "comment", fact.issue, "1"))

    def _comment(self, issue: str, words: str) -> str:
        # The fact is written before its comment; wait for that.
        give_up = time.monotonic() + SCRIPTED_SECONDS
        while time.monotonic() < give_up:
            found = FileTracker(self.stage.home.tracker).get(issue).issue
            body = next((one.body for one in found.comments if one.ours and words in one.body), None)
            if body is not None:
                return body
            self.stage.check()
            time.sleep(POLL_SECONDS)
        raise DemoError(f"issue {issue} got no comment with {words!r}")

    def _attempt(self, fact: f.AttemptStarted) -> None:
        self.attempts += 1
        nth = "" if self.attempts == 1 else f", attempt {fact.attempt}"
        self.screen.heading(f"A worker agent, in a work tree of its own{nth}")
        house = (
            "with your own rights (no sandbox)" if self.stage.sandbox_off else "in a sandbox without network"
        )
        self.screen.say(f"Branch {fact.branch}; its commands run {house}.", "dim")
        folder = self.stage.home.attempt(fact.attempt)
        for event in self._events(folder.events, folder.end):
            self._event(event)

    def _events(self, path: Path, end: Path) -> Iterator[dict[str, Any]]:
        """Every event of an attempt as it happens, until its end record is there."""
        known = 0
        give_up = time.monotonic() + (LIVE_SECONDS if self.stage.live else SCRIPTED_SECONDS)
        while True:
            ended = end.exists()
            lines = path.read_bytes().split(b"\n")[:-1] if path.exists() else []
            for line in lines[known:]:
                yield json.loads(line)
            known = len(lines)
            if ended:
                return
            self.stage.check()
            if time.monotonic() > give_up:
                raise DemoError("the attempt did not end")
            time.sleep(POLL_SECONDS)

    def _event(self, event: dict[str, Any]) -> None:
        match event:
            case {"event": "model.answered", "text": str(words)} if words.strip():
                self.screen.step("●", one_line(words, 400), "magenta")
            case {"event": "tool.asked", "tool": "shell", "input": {"command": str(command)}}:
                self.screen.step("$", one_line(command, 200), "bold")
            case {"event": "tool.asked", "tool": "edit", "input": {"command": str(how), "path": str(path)}}:
                self.screen.step("✎", f"{how} {path}", "bold")
            case {"event": "tool.answered", "tool": "shell", "text": str(text)}:
                self.screen.output(text, lines=_SHOWN_OUTPUT)
            case {"event": "tool.ended", "tool": str(tool), "ends": str(ends)}:
                self.screen.step("✓", f"{tool}: {ends.lower()}, its own checks pass", "green")
            case _:
                return
        self.screen.pause(0.4)

    def _evidence(self, verdict: Verdict) -> None:
        self.verdict = verdict
        self.screen.heading("The gate looks, in a clean checkout")
        self.screen.say(
            f"On commit {verdict.commit[:10]}, with tests and configuration as they were before:", "dim"
        )
        rows = [
            (
                Text("✓ passed", "green") if check.passed else Text("✗ failed", "red"),
                Text.assemble(check.command, (f"\n{_last_line(check.output)}", "dim")),
                f"{check.seconds:.1f} s",
            )
            for check in verdict.checks
        ]
        self.screen.table("result", "check", "time", rows=rows)
        if verdict.findings:
            for finding in verdict.findings:
                self.screen.step("✗", f"{finding.kind} {finding.about}: {one_line(finding.says)}", "red")
        else:
            size = f"{count(verdict.files, 'file')}, +{verdict.added} -{verdict.removed}"
            self.screen.step(
                "✓", f"{size}; scope, tests, modes, size, secrets: nothing held against it", "green"
            )
        self.screen.pause()

    def _review(self, fact: f.Reviewed) -> None:
        word, style = ("accepts it", "green") if fact.accepted else ("sends it back", "yellow")
        self.screen.step("●", f"The admin agent reads the diff and {word}: {one_line(fact.says, 500)}", style)

    def _pull_request(self, fact: f.Published) -> None:
        self.screen.heading(f"Pull request {fact.pull} waits for you")
        shown = json.loads(self.stage.agentloop("pr", "show", fact.pull, "--json"))["pull"]
        self.screen.say(shown["title"], "bold")
        self.screen.say(f"{shown['branch']} → {shown['base']}", "dim")
        for line in shown["body"].splitlines():
            if line.startswith(("**Cost**", "Closes", "Part of", "> **No sandbox")):
                self.screen.say(
                    line.replace("**", "").removeprefix("> "), "yellow" if line[0] == ">" else "dim"
                )
        self.screen.typed(f"agentloop pr diff {fact.pull}")
        self.screen.diff(self.stage.agentloop("pr", "diff", fact.pull))
        self.screen.pause(1.5)
        self.screen.heading("You merge; nothing else here can")
        self.screen.typed(f"agentloop pr merge {fact.pull}")
        self.screen.output(self.stage.agentloop("pr", "merge", fact.pull))
        self.screen.pause(0.5)

    # after the loop

    def _closing(self) -> None:
        self._wait_for_rest()
        self.screen.heading("The issue is closed, with a summary")
        self.screen.markdown(self._comment("1", "**Done.**"), title="agentloop")
        if self._try_out("as the issue asked") != "5400":
            raise DemoError("the merged repository does not do what the issue asked for")
        self.screen.pause()
        self.screen.heading("The relay: what the next cycle will know")
        relay = self.stage.home.relay.read_text("utf-8")
        self.screen.markdown(_without_empty_sections(relay), title="memories/consensus.md")
        self.screen.pause()
        self._cost()
        self.screen.heading("The home's history: one commit a cycle that changed something")
        self.screen.typed("git log --oneline")
        log = self.stage.run("git", "log", "--oneline", "--no-decorate")
        self.screen.output(log.text, lines=12)

    def _wait_for_rest(self) -> None:
        give_up = time.monotonic() + SCRIPTED_SECONDS
        while time.monotonic() < give_up:
            status = runtime.read_status(self.stage.home.root)
            if status is not None and status.state == "sleeping":
                return
            self.stage.check()
            time.sleep(POLL_SECONDS)
        raise DemoError("the loop did not come to rest")

    def _cost(self) -> None:
        world = Journal(self.stage.home).world()
        admin = sum(spent for purse, spent in world.spent_by_purse.items() if purse.startswith("admin:"))
        workers = sum(world.spent_by_purse.values()) - admin
        self.screen.heading("What it cost")
        rows = [
            ("admin agent, in all cycles", dollars(admin)),
            ("worker agent", dollars(workers)),
        ]
        self.screen.table("who", "dollars", rows=rows)
        if not self.stage.live:
            priced = f"{shipped_prices().as_of:%Y-%m-%d}"
            self.screen.say(
                f"(For so many tokens, by the prices of {priced}. The model was a script: nothing was paid.)",
                "dim",
            )
        self.screen.pause()


def _last_line(output: str) -> str:
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    return one_line(lines[-1], 60) if lines else "(no output)"


def _without_empty_sections(text: str) -> str:
    """Return what the relay says, without its head and the sections that say nothing."""
    _, *sections = text.split("\n## ")
    kept = [part for part in sections if part.partition("\n")[2].strip() not in ("", "_nothing_")]
    return "\n".join(f"## {part}" for part in kept)
