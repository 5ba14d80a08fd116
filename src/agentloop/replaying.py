"""A cycle run again from its record: the same code, with the tape in the place of every port.

No key, no network, no write. What the cycle decides and does now is held against what it decided and did
then, byte for byte, call by call; the first call that strays ends the comparison, for nothing after it was
recorded.
"""

from __future__ import annotations

import json
from itertools import takewhile
from typing import TYPE_CHECKING, Any, TypeVar

from agentloop import __version__, compiled, cycle, wiring
from agentloop.domain.codec import decode, encode
from agentloop.domain.facts import Entry, IssueSeen
from agentloop.domain.settings import Settings
from agentloop.domain.taping import Difference, end_of, masked, words_of
from agentloop.domain.valueclass import dataclass, replace
from agentloop.domain.world import fold, is_rehearsal
from agentloop.edges import program
from agentloop.edges.journal import Journal
from agentloop.edges.tape import error_from, record
from agentloop.errors import SettingsError
from agentloop.taping import TapedJournal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from agentloop.domain.codec import Plain
    from agentloop.domain.taping import Call
    from agentloop.domain.world import World
    from agentloop.edges.tape import Record
    from agentloop.home import Home

T = TypeVar("T")
AGAIN = frozenset({"prompt"})
"""Ports that are asked again, to see whether the answer is what it was: reading is all they do."""
COUNTED = ("model", "tracker.act", "forge.act", "executor.act", "journal.append")


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """What running a cycle again came to: `same` when nothing differs.

    `cut_off`: the record ends before the cycle did (it was killed); up to there it was held against. `notes`
    say what is not as it was when the record was made. `counts` tell how often ports of weight were called.
    """

    name: str
    same: bool
    differences: tuple[Difference, ...]
    cut_off: bool
    calls: int
    counts: dict[str, int]
    outcome: str
    fingerprint: str
    notes: tuple[str, ...]


class StrayedError(Exception):
    """The cycle asked for something that its record does not have here."""


class Player:
    """Plays a record back, and notes where a cycle differs from it."""

    def __init__(self, played: Record) -> None:
        self.differences: list[Difference] = []
        self.at = 0
        self.end = played.end
        self._calls = played.calls

    def call(self, port: str, gave: object, do: Callable[[], T], read: Callable[[Plain], Any]) -> T:
        """Return, or raise, what the port did then. Raises StrayedError when it was another port's turn."""
        if self.at >= len(self._calls):
            raise StrayedError
        was = self._calls[self.at]
        self.at += 1
        if was.port != port:
            self._differs(f"{words_of(port)} comes where the record has {words_of(was)}", was.gave, gave)
            raise StrayedError
        if _text(gave) != _text(was.gave):
            self._differs(f"{words_of(port)} differs", was.gave, gave)
        if port in AGAIN:
            self._ask_again(was, do)
        if was.raised:
            raise error_from(was.raised)
        found: T = read(was.got)
        return found

    def rest(self) -> tuple[Call, ...]:
        """Return the recorded calls that were not made."""
        return self._calls[self.at :]

    def _ask_again(self, was: Call, do: Callable[[], object]) -> None:
        try:
            now = do()
        except SettingsError as error:
            now = str(error)
        if _text(now) != _text(was.got):
            self._differs(f"{words_of(was)} differs", was.got, now)

    def _differs(self, what: str, was: object, now: object) -> None:
        self.differences.append(Difference(number=self.at, what=what, recorded=_text(was), now=_text(now)))


@dataclass(frozen=True)
class Past:
    """The journal as it was before the cycle: what is written to it goes nowhere."""

    then: World

    def world(self) -> World:
        """Return the fold over what was recorded before."""
        return self.then

    def append(self, entry: Entry) -> None:
        """Record nothing."""
        del entry


def replay(home: Home, name: str) -> Replayed:
    """Run cycle `12`, or the third idle look after it (`12+3`), again and return how it compares.

    Raises NotFoundError when it has no whole record, JournalError, SettingsError.
    """
    played = record(home, name)
    settings: Settings = decode(Settings, played.header["settings"])
    player = Player(played)
    parts = wiring.parts(home, settings, lambda _event, _fields: None, tape=player)
    parts = replace(
        parts,
        version=played.header["version"],
        journal=TapedJournal(player, Past(_world_before(home, name))),
        quiet_cycles=played.header["quiet_cycles"],
    )
    differences = run_again(parts, player)
    told = played.end or {}
    return Replayed(
        name=played.name,
        same=not differences,
        differences=differences,
        cut_off=played.end is None,
        calls=len(played.calls),
        counts={port: sum(one.port == port for one in played.calls) for port in COUNTED},
        outcome=told.get("outcome", ""),
        fingerprint=told.get("fingerprint", ""),
        notes=tuple(_notes(home, played, settings)),
    )


def run_again(parts: cycle.Parts, player: Player) -> tuple[Difference, ...]:
    """Run a cycle of `parts`, whose ports are the player's, and return where it differs from the record."""
    try:
        end = masked(end_of(cycle.run(parts)))
    except StrayedError:
        end = None
    return tuple(_differences(player, end))


def _world_before(home: Home, name: str) -> World:
    number, _, look = name.partition("+")
    last = int(number) if look else int(number) - 1

    def is_before(entry: Entry) -> bool:
        return entry.cycle <= last or (is_rehearsal(entry) and not look)

    return fold(_without_secrets(takewhile(is_before, Journal(home).entries())))


def _without_secrets(entries: Iterator[Entry]) -> Iterator[Entry]:
    # What the tape says of an issue has its secrets masked: told by another title it would be news.
    for entry in entries:
        facts = tuple(
            replace(fact, title=masked(fact.title)) if isinstance(fact, IssueSeen) else fact
            for fact in entry.facts
        )
        yield replace(entry, facts=facts)


def _differences(player: Player, end: Plain) -> Iterator[Difference]:
    yield from player.differences
    was = player.end
    if end is None:
        if was is not None and not player.differences:
            yield Difference(number=player.at, what="it goes on where the recorded cycle ended")
        return
    for number, one in enumerate(player.rest(), player.at + 1):
        yield Difference(number=number, what=f"{words_of(one)} is missing")
    if was is not None and _text(end) != _text(was):
        yield Difference(number=player.at + 1, what="its end differs", recorded=_text(was), now=_text(end))


def _notes(home: Home, played: Record, settings: Settings) -> Iterator[str]:
    code = played.header.get("code", "")
    was = (played.header["version"], code)
    is_now = (__version__, program.identity(home.code_file))
    if was != is_now:
        yield f"the code differs: recorded by {_program(*was)}, run again by {_program(*is_now)}"
    try:
        now, _ = compiled.in_force(home)
    except SettingsError as error:
        yield f"the settings of now cannot be read ({error.what}); it was run with the recorded ones"
        return
    then, here = encode(settings), encode(now)
    changed = [name for name in then if then[name] != here.get(name)]
    if changed:
        yield f"settings changed since ({', '.join(changed)}); it was run with the recorded ones"


def _program(version: str, code: str) -> str:
    return f"version {version} ({code or 'its code is not known'})"


def _text(value: object) -> str:
    """Return a value as JSON in one fixed form, without its secrets."""
    return json.dumps(masked(encode(value)), ensure_ascii=False, sort_keys=True, indent=1)
