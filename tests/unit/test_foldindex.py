"""The index over the journal: what is read with its help is what the whole journal says."""

from __future__ import annotations

import sqlite3
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentloop.domain import decisions as d
from agentloop.domain import facts as f
from agentloop.domain.effects import CloseIssue, Say
from agentloop.domain.shelf import Shelf
from agentloop.domain.states import Merged
from agentloop.domain.valueclass import shape
from agentloop.domain.world import World, fold
from agentloop.edges.foldindex import loaded_at
from agentloop.edges.journal import Journal
from agentloop.errors import DamagedJournalError, JournalError
from agentloop.home import Home
from agentloop.testing.samples import COMMIT, delivered, finding, task, verdict

if TYPE_CHECKING:
    from collections.abc import Callable

AT = datetime(2026, 10, 31, 23, 0, tzinfo=UTC)
ISSUES = st.sampled_from(["1", "2", "3"])
TASKS = st.sampled_from(["1.1", "1.2", "2.1", "3.1"])
ATTEMPTS = st.sampled_from(["1.1.1", "1.1.2", "1.2.1", "2.1.1", "3.1.1"])
WORDS = st.sampled_from(["e", "f", "Grüße \ud800"])


def _seen(issue: str, words: str) -> f.Fact:
    return f.IssueSeen(issue=issue, title=words, target="", priority="low", evidence=words)


def _planned(issue: str, words: str) -> f.Fact:
    return f.Planned(issue=issue, tasks=(task(f"{issue}.1"), task(f"{issue}.2")), evidence=words)


def _started(attempt: str, words: str) -> f.Fact:
    return f.AttemptStarted(
        attempt=attempt,
        task=attempt.rpartition(".")[0],
        base="b",
        parents=(),
        branch="agentloop/x",
        base_branch="main",
        evidence=words,
        slice_micros=7,
        deadline=AT,
    )


def _ended(attempt: str, words: str) -> f.Fact:
    return f.AttemptEnded(attempt=attempt, outcome=delivered(), turns=2, sandboxed=True, models=(words,))


def _judged(attempt: str, words: str) -> f.Fact:
    return f.Judged(verdict=verdict(attempt, *([finding()] if words == "f" else [])))


def _asked_in_cycle(issue: str, words: str) -> f.Fact:
    matters = (f"issue:{issue}:{words}", f"green:{issue}.1.1", "human:x")
    return f.CycleEnded(outcome="acted", fingerprint=words, matters=matters)


FACTS = st.one_of(
    st.builds(_seen, ISSUES, WORDS),
    st.builds(_planned, ISSUES, WORDS),
    st.builds(_started, ATTEMPTS, WORDS),
    st.builds(_ended, ATTEMPTS, WORDS),
    st.builds(_judged, ATTEMPTS, WORDS),
    st.builds(_asked_in_cycle, ISSUES, WORDS),
    st.builds(lambda issue: f.IssueClosed(issue=issue, by="loop"), ISSUES),
    st.builds(lambda issue: f.IssueReopened(issue=issue), ISSUES),
    st.builds(lambda name: f.Merged(task=name, pull="1", commit=COMMIT), TASKS),
    st.builds(lambda name: f.Cancelled(task=name, reason="no"), TASKS),
    st.builds(lambda name: f.Parked(task=name, reason="no"), TASKS),
    st.builds(lambda name: f.Requeued(task=name, not_before=AT, why="killed"), TASKS),
    st.builds(lambda name: f.NoteTaken(task=name, attempt=f"{name}.1", path="p"), TASKS),
    st.builds(lambda one: f.ResultTaken(attempt=one, commit=COMMIT), ATTEMPTS),
    st.builds(lambda one: f.Reserved(purse=f"attempt:{one}", micros=5), ATTEMPTS),
    st.builds(lambda one: f.Settled(purse=f"attempt:{one}", micros=3, unresolved_micros=1), ATTEMPTS),
    st.builds(
        lambda one, say: f.EffectIntended(op=f"o:{one}", effect=say(issue=one, body="b")),
        ISSUES,
        st.sampled_from([Say, CloseIssue]),
    ),
    st.builds(lambda one: f.EffectDone(op=f"o:{one}", result="c1"), ISSUES),
    st.builds(
        lambda issue: f.Refused(
            by="admin", decision=d.Answer(issue=issue, text="c", rationale="r"), why="no"
        ),
        ISSUES,
    ),
    st.just(f.Slept(until=AT, kind="hibernate", reason="r", wake=())),
    st.just(f.RelayWritten(version=1, next_action="a", signal=True)),
    st.just(f.LimitReached(until=AT, detail="d")),
)


def _entries(told: list[list[f.Fact]]) -> list[f.Entry]:
    return [
        f.Entry(at=AT + timedelta(minutes=10 * n), cycle=1 + n // 3, facts=tuple(facts))
        for n, facts in enumerate(told)
    ]


def _whole(world: World) -> dict[str, object]:
    return {name: getattr(world, name) for name in shape(World) or ()}


def _told(home: Home, entries: list[f.Entry]) -> Journal:
    journal = Journal(home)
    for entry in entries:
        journal.append(entry)
    return journal


@settings(max_examples=60, deadline=None)
@given(
    told=st.lists(st.lists(FACTS, min_size=1, max_size=3), min_size=1, max_size=25),
    cuts=st.tuples(st.integers(0, 25), st.integers(0, 25)),
)
def test_the_index_and_what_came_after_say_what_the_whole_journal_says(
    told: list[list[f.Fact]], cuts: tuple[int, int]
) -> None:
    """Kept twice on the way, over the turn of a month: the second time only what is new is written."""
    entries = _entries(told)
    first, second = sorted(cuts)
    with tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder))
        home.runtime.mkdir()
        for part in (entries[:first], entries[first:second]):
            journal = _told(home, part)
            journal.keep(journal.world(), lag_bytes=0)
        world = _told(home, entries[second:]).world()
        assert (bool(entries[:second]), _whole(fold(entries))) == (
            loaded_at(world) is not None,
            _whole(world),
        )


def _finished(issue: str) -> list[f.Fact]:
    return [
        _seen(issue, "e"),
        f.Planned(issue=issue, tasks=(task(f"{issue}.1"),), evidence="e"),
        _started(f"{issue}.1.1", "e"),
        _judged(f"{issue}.1.1", "e"),
        f.Merged(task=f"{issue}.1", pull=issue, commit=COMMIT),
        f.IssueClosed(issue=issue, by="loop"),
    ]


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """Return a home with an index over three finished issues."""
    home = Home(tmp_path)
    home.runtime.mkdir()
    journal = _told(home, _entries([_finished(issue) for issue in ("1", "2", "3")]))
    journal.keep(journal.world(), lag_bytes=0)
    return home


def _shelf(world: World) -> Shelf[object]:
    assert isinstance(world.tasks, Shelf)
    return world.tasks


def test_what_is_finished_is_not_read_until_it_is_asked_for(home: Home) -> None:
    """Nothing of it is at hand, and by its name it is there."""
    world = Journal(home).world()
    assert _shelf(world).at_hand() == {}
    assert isinstance(world.tasks["2.1"].state, Merged)
    assert ("3.1" in world.tasks, "4.1" in world.tasks, len(world.tasks)) == (True, False, 3)


def test_an_index_is_not_believed_once_something_before_its_mark_changed(home: Home) -> None:
    """A person took a line out of the journal: the whole of it is read, the loss seen, the index gone."""
    path = next(home.journal.iterdir())
    path.write_bytes(b"\n".join(path.read_bytes().split(b"\n")[1:]))
    with pytest.raises(DamagedJournalError, match="1 entries before"):
        Journal(home).world()
    Journal(home).mend(datetime(2026, 11, 20, tzinfo=UTC))
    assert not home.fold_index.exists()
    world = Journal(home).world()
    assert (loaded_at(world), list(world.issues)) == (None, ["2", "3"])


def _nonsense(path: Path) -> None:
    path.write_bytes(b"SQLite format 3\0" + b"x" * 5000)


def _cut_off(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:4096])


def _other_code(path: Path) -> None:
    with sqlite3.connect(path) as opened:
        opened.execute("update fold set code = 'older'")
    opened.close()


def _other_shape(path: Path) -> None:
    with sqlite3.connect(path) as opened:
        opened.execute("""update fold set at_hand = '{"cycle": "seven"}'""")
    opened.close()


@pytest.mark.parametrize("harm", [Path.unlink, _nonsense, _cut_off, _other_code, _other_shape])
def test_whatever_gives_doubt_about_the_index_leads_to_the_journal(
    home: Home, harm: Callable[[Path], None]
) -> None:
    """Gone, no database, cut off, made by other code, or of another shape: and then it is made anew."""
    harm(home.fold_index)
    journal = Journal(home)
    world = journal.world()
    assert (loaded_at(world), list(world.issues)) == (None, ["1", "2", "3"])
    journal.keep(world, lag_bytes=0)
    assert loaded_at(journal.world()) is not None


def test_a_damaged_row_stops_the_reader_once(home: Home) -> None:
    """What cannot be read is not passed over as if it had never been; the next one reads the journal."""
    with sqlite3.connect(home.fold_index) as opened:
        opened.execute("update finished set value = '{' where name = '2.1'")
    opened.close()
    with pytest.raises(JournalError, match="damaged"):
        Journal(home).world().tasks.get("2.1")
    assert isinstance(Journal(home).world().tasks["2.1"].state, Merged)


def test_who_reads_an_index_keeps_its_writer_waiting_but_not_failing(home: Home) -> None:
    """The writer gives up the index, not its cycle, and the reader sees one state throughout."""
    reader = Journal(home).world()
    writer = _told(home, [f.Entry(at=AT + timedelta(hours=9), cycle=9, facts=(f.IssueReopened(issue="1"),))])
    writer.keep(writer.world(), lag_bytes=0)
    assert len([view for view in reader.issues.values() if view.id == "1" and not view.reopened]) == 1
    assert Journal(home).world().issues["1"].reopened == 1
