"""What can happen to the journal: each loss is noticed, kept aside, and leaves a line in its place."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from agentloop.domain import facts as f
from agentloop.domain.facts import Entry
from agentloop.edges.journal import Journal
from agentloop.errors import DamagedJournalError, JournalError
from agentloop.home import Home

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

AT = datetime(2026, 10, 30, 9, 0, tzinfo=UTC)
NOW = AT + timedelta(days=60)
LINES = 6
"""Three of October, three of November."""


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A home whose journal has entries of two months."""
    found = Home(tmp_path)
    for number in range(1, LINES + 1):
        Journal(found).append(entry(number))
    return found


def entry(number: int) -> Entry:
    """The n-th entry."""
    return Entry(
        at=AT + timedelta(days=number - 1),
        cycle=number,
        facts=(f.Asked(issue="7", question="?", choices=(), evidence=f"words {number}"),),
    )


def months(home: Home) -> list[Path]:
    """The journal's files."""
    return sorted(home.journal.glob("*.jsonl"))


def mended(home: Home) -> list[Entry]:
    """What is read when the damage was noticed and mended; a second mending changes nothing."""
    with pytest.raises(DamagedJournalError):
        Journal(home).world()
    Journal(home).mend(NOW)
    read = list(Journal(home).entries())
    before = [path.read_bytes() for path in months(home)]
    Journal(home).mend(NOW)
    assert [path.read_bytes() for path in months(home)] == before
    return read


def cut_line(number: int, change: Callable[[bytes], bytes]) -> Callable[[Home], None]:
    """Change the n-th line."""

    def act(home: Home) -> None:
        path = months(home)[0 if number <= 2 else 1]
        lines = path.read_bytes().split(b"\n")
        place = number - 1 if number <= 2 else number - 3
        lines[place] = change(lines[place])
        path.write_bytes(b"\n".join(lines))

    return act


def lost(read: list[Entry]) -> list[f.JournalLost]:
    """The lines in the place of what is lost."""
    return [fact for one in read for fact in one.facts if isinstance(fact, f.JournalLost)]


def test_lines_are_numbered_over_the_months_and_sealed(home: Home) -> None:
    """An older program reads them too: it does not know these keys, and passes them over."""
    lines = [json.loads(line) for path in months(home) for line in path.read_bytes().splitlines()]
    assert [len(path.read_bytes().splitlines()) for path in months(home)] == [2, 4]
    assert [line["n"] for line in lines] == [1, 2, 3, 4, 5, 6]
    assert list(Journal(home).entries()) == [entry(number) for number in range(1, LINES + 1)]


@pytest.mark.parametrize("number", range(1, LINES + 1))
@pytest.mark.parametrize(
    "change",
    [lambda line: line.replace(b"words", b"wordz"), lambda line: b"\0" * len(line), lambda _: b"{}"],
    ids=["one bit", "zeros", "another line"],
)
def test_a_damaged_line_is_kept_aside_and_replaced(
    home: Home, number: int, change: Callable[[bytes], bytes]
) -> None:
    """All other entries are there, in their order; the damaged file is aside, whole."""
    cut_line(number, change)(home)
    damaged = {path.name: path.read_bytes() for path in months(home)}
    read = mended(home)
    kept = [one for one in read if not any(isinstance(fact, f.JournalLost) for fact in one.facts)]
    assert kept == [entry(each) for each in range(1, LINES + 1) if each != number]
    (told,) = lost(read)
    aside = home.root / told.aside
    assert aside.read_bytes() == damaged[aside.name.partition("Z-")[2]]
    assert told.tail == (number == LINES)
    Journal(home).append(entry(9))
    assert Journal(home).last_number() == LINES + 1


def test_a_line_taken_out_is_noticed(home: Home) -> None:
    """Nothing that is there looks wrong; its number tells."""
    path = months(home)[1]
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:1] + lines[2:]))
    (told,) = lost(mended(home))
    assert told.what.startswith("1 entries before")


def test_a_month_that_is_missing_is_noticed(home: Home) -> None:
    """The next month does not begin where the one before it ended."""
    months(home)[0].unlink()
    read = mended(home)
    assert (len(lost(read)), [one.cycle for one in read[1:]]) == (1, [3, 4, 5, 6])
    assert Journal(home).last_number() == LINES


def test_a_piece_put_in_twice_is_kept_aside(home: Home) -> None:
    """A copy of a line is none of the journal's; nothing is lost by it."""
    path = months(home)[1]
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:2] + lines[:1] + lines[2:]))
    read = mended(home)
    assert read == [entry(number) for number in range(1, LINES + 1)]
    assert len(list((home.journal / "aside").iterdir())) == 1


def test_a_file_of_another_name_is_none_of_the_journals(home: Home) -> None:
    """An editor's copy, a backup: not read, not changed."""
    copy = home.journal / "2026-11 (copy).jsonl"
    copy.write_bytes(months(home)[1].read_bytes())
    assert len(list(Journal(home).entries())) == LINES


@pytest.mark.parametrize(
    "line",
    [
        b'{"v":2,"at":"2026-12-02T09:00:00Z","cycle":1,"facts":[]}',
        b'{"v":2,"when":"2026-12-02T09:00:00Z"}',
    ],
)
def test_a_newer_format_is_refused_and_nothing_changed(home: Home, line: bytes) -> None:
    """It is no damage: an older agentloop was put in the place of a newer one."""
    path = months(home)[1]
    path.write_bytes(path.read_bytes() + line + b"\n")
    before = path.read_bytes()
    for act in (Journal(home).world, lambda: Journal(home).mend(NOW)):
        with pytest.raises(JournalError, match="a newer agentloop wrote the journal") as caught:
            act()
        assert not isinstance(caught.value, DamagedJournalError)
    assert path.read_bytes() == before
