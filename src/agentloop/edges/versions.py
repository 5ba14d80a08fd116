"""What was written as the relay before: by number in the runtime folder, and in the home's git history."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from agentloop.domain.relay import FIRST, Relay, Stamp, parse, render, stamp_in, stamp_of, untouched
from agentloop.domain.valueclass import dataclass
from agentloop.edges.files import write_durable

if TYPE_CHECKING:
    from agentloop.edges.homegit import HomeGit

KEPT_VERSIONS: Final = 50
FIRST_TEXT: Final = render(FIRST)


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One kept version: its relay, and its text as it was written."""

    relay: Relay
    text: str

    @property
    def cycle(self) -> str | None:
        """The cycle that wrote it, from its fact "cycle"; None when that is not known."""
        return dict(self.relay.facts).get("cycle")


@lru_cache(maxsize=4)
def version_in(text: str) -> Version | None:
    """Return `text` as a version when it is, to the byte, what was written; else None."""
    if not untouched(text):
        return None
    relay = parse(text)
    return Version(relay=relay, text=text) if isinstance(relay, Relay) else None


class Versions:
    """The versions of the relay. `folder` may be lost; `name` is the relay's path in the repository."""

    def __init__(self, folder: Path, git: HomeGit, name: str) -> None:
        self._folder = folder
        self._git = git
        self._name = name

    def keep(self, version: int, text: str) -> None:
        """Store a version, durably; the oldest beyond 50 go. Raises OSError."""
        write_durable(self._folder / f"{version}.md", text.encode("utf-8", "surrogateescape"))
        for old in self.numbers()[KEPT_VERSIONS:]:
            (self._folder / f"{old}.md").unlink(missing_ok=True)

    def numbers(self) -> list[int]:
        """Return the numbers that are stored, newest first."""
        found = (re.fullmatch(r"(\d{1,9})\.md", path.name) for path in self._folder.glob("*.md"))
        return sorted((int(match[1]) for match in found if match), reverse=True)

    def stored(self, number: int) -> Version | None:
        """Return a version from the folder, or None when it is not there or damaged."""
        try:
            data = (self._folder / f"{number}.md").read_bytes()
        except OSError:
            return None
        return version_in(data.decode("utf-8", "surrogateescape"))

    def last(self, text: str | None) -> Version | None:
        """Return the newest version there is, `text` (what the file holds) included when it is one."""
        here = None if text is None else version_in(text)
        stored = next((found for number in self.numbers() if (found := self.stored(number))), None)
        if here is None and stored is None:
            stored = self._committed()
        if here is None and stored is None and text is not None and stamp_of(text) == stamp_of(FIRST_TEXT):
            stored = version_in(FIRST_TEXT)
        known = (one for one in (stored, here) if one is not None)
        return max(known, key=lambda one: one.relay.version, default=None)

    def next_number(self, text: str | None) -> int:
        """Return the number of the version to write now: above all that are known."""
        stored = self.numbers()
        committed = None if stored else self._committed()
        stamp = None if text is None else stamp_in(text)
        known = (
            *stored[:1],
            *([committed.relay.version] if committed else []),
            stamp.version if stamp else 0,
        )
        return 1 + max(known)

    def find(self, number: int) -> Version | None:
        """Return a version by its number, from the folder or from history, or None."""
        stored = self.stored(number)
        if stored is not None:
            return stored
        return next((one for one in self._history() if one.relay.version == number), None)

    def stamped(self, stamp: Stamp) -> Version | None:
        """Return the version that has exactly that stamp, or None."""
        if stamp == stamp_of(FIRST_TEXT):
            return version_in(FIRST_TEXT)
        found = self.find(stamp.version)
        return found if found is not None and stamp_of(found.text) == stamp else None

    def all(self) -> tuple[Version, ...]:
        """Return every version there is, newest first."""
        stored = [found for number in self.numbers() if (found := self.stored(number))]
        earlier = self._history() if len(stored) < KEPT_VERSIONS else []
        by_number = {one.relay.version: one for one in (*earlier, *stored)}
        return tuple(by_number[number] for number in sorted(by_number, reverse=True))

    def _committed(self) -> Version | None:
        text = self._git.show(self._name)
        return None if text is None else version_in(text)

    def _history(self) -> list[Version]:
        texts = self._git.history(self._name, KEPT_VERSIONS)
        return [found for text in texts if (found := version_in(text))]
