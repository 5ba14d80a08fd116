"""Mending the journal from marks: what is believed, what is not, and what else is swept and made anew."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from agentloop.domain import facts as f
from agentloop.domain import marks as m
from agentloop.domain.effects import CloseIssue, OpenPull, Say
from agentloop.domain.observed import RetryRequest
from agentloop.domain.settings import Limits, Settings
from agentloop.domain.world import Closed, Fresh, InWork
from agentloop.edges.executor import LocalExecutor
from agentloop.edges.files import TEMP_PREFIX, locked
from agentloop.edges.forge import FileForge
from agentloop.edges.journal import Journal
from agentloop.edges.repositories import GitRepositories
from agentloop.edges.requests import FileRequests
from agentloop.edges.tidying import tidy
from agentloop.edges.tracker import FileTracker
from agentloop.errors import JournalError
from agentloop.home import Home
from agentloop.recovery import MendedJournal, Witnesses
from agentloop.testing.memory_parts import VirtualClock
from agentloop.testing.samples import task

if TYPE_CHECKING:
    from pathlib import Path

    from agentloop.domain.relay.values import Facts
    from agentloop.domain.world import World

AT = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
SETTINGS = Settings(limits=Limits(day_usd=20.0))


def journal(home: Home, *, facts: Facts = (), number: int = 0) -> MendedJournal:
    """The journal of a home, with what the relay and the last cycle knew of it."""
    witnesses = Witnesses(
        tracker=FileTracker(home.tracker),
        forge=FileForge(home, SETTINGS),
        executor=LocalExecutor(home.root),
        repositories=GitRepositories(home.root),
        facts=lambda: facts,
        number=number,
    )
    return MendedJournal(Journal(home), home, SETTINGS, VirtualClock(), witnesses)


def carried(issue: str, *facts: f.Fact, spent: int = 0) -> str:
    """What a mark on an issue carries."""
    seen = f.IssueSeen(issue=issue, title="t", target="calc", priority="normal", evidence="e")
    return m.pack(m.Carried(at=AT, cycle=4, facts=(seen, *facts), spent_micros=spent))


def plan(issue: str = "1") -> f.Planned:
    """A plan of one task."""
    return f.Planned(issue=issue, tasks=(task(f"{issue}.1"),), evidence="e")


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A home with one issue that was planned, and whose journal is gone."""
    found = Home(tmp_path)
    tracker = FileTracker(found.tracker)
    tracker.new("Divide", "by zero", author="ann")
    tracker.act("plan:1:e", Say(issue="1", body="**Plan**", carries=carried("1", plan(), spent=3_000_000)))
    return found


def told(world: World) -> tuple[dict[str, str], int]:
    """Which marks were believed, and what counts as spent."""
    return world.found, world.spent_micros()


def test_a_plan_comes_back_and_the_day_counts_as_spent(home: Home) -> None:
    """The second look reads the same from the new journal, and writes nothing."""
    world = journal(home).world()
    assert world.issues["1"].state == InWork(tasks=("1.1",))
    assert told(world) == ({"plan:1:e": "issue 1, c1"}, 20_000_000)
    assert [loss.what for loss in world.losses] == ["all of it was missing"]
    before = [path.read_bytes() for path in home.journal.iterdir()]
    again = journal(home, number=Journal(home).last_number()).world()
    assert told(again) == told(world)
    assert [path.read_bytes() for path in home.journal.iterdir()] == before


def test_a_home_that_never_had_a_journal_has_lost_nothing(tmp_path: Path) -> None:
    """Issues are there, and no mark of ours."""
    home = Home(tmp_path)
    FileTracker(home.tracker).new("Divide", "by zero", author="ann")
    assert (journal(home).world().losses, home.journal.exists()) == ((), False)


@pytest.mark.parametrize("kept", range(1, 5))
def test_killed_in_the_middle_of_mending_it_starts_over(home: Home, kept: int) -> None:
    """Only the first lines of the new journal were written: nothing comes twice."""
    whole = journal(home).world()
    (path,) = home.journal.glob("2*.jsonl")
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:kept]))
    world = journal(home).world()
    assert (world.mended, told(world)) == (True, told(whole))
    assert len(world.issues["1"].state.tasks if isinstance(world.issues["1"].state, InWork) else ()) == 1


def forge_comment(home: Home, issue: str, old: str, new: str) -> None:
    """Change an issue's file by hand."""
    path = home.issues / f"{int(issue):04d}.md"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_a_mark_that_was_copied_to_another_issue_is_nobodys_word(home: Home) -> None:
    """To the letter, with its block: it was made for that issue and that comment."""
    FileTracker(home.tracker).new("Multiply", "by zero", author="eve")
    block = (home.issues / "0001.md").read_text().partition("## comment")
    (home.issues / "0002.md").open("a").write("\n## comment" + block[2])
    assert journal(home).world().found == {"plan:1:e": "issue 1, c1"}


def test_a_mark_that_carries_something_else_than_it_was_made_for_is_nobodys_word(home: Home) -> None:
    """The mark covers what it carries."""
    closed = carried("1", f.IssueClosed(issue="1", by="loop"))
    forge_comment(home, "1", carried("1", plan(), spent=3_000_000), closed)
    world = journal(home).world()
    assert (world.found, world.issues) == ({}, {})


def test_a_pull_request_made_by_hand_is_not_ours(home: Home) -> None:
    """Operation and branch are as ours would be; the mark is not to be had without the key."""
    home.pulls.mkdir(parents=True)
    told_ = carried("1", plan())
    head = "---\nid: 1\nstate: open\ntarget: calc\nbranch: agentloop/1.1-x\nop: pull:1.1#0\n"
    (home.pulls / "0001.md").write_text(f"{head}mark: {'0' * 32}\ncarries: {told_}\n---\n\nwords\n")
    forge = FileForge(home, SETTINGS)
    wanted = OpenPull(target="calc", branch="agentloop/1.1-x", base="main", title="t", body="b")
    assert (forge.marks(), forge.unproved(), forge.find("pull:1.1#0", wanted)) == ((), ("1",), None)


def test_without_the_key_the_loop_stops_and_names_what_would_be_done_twice(home: Home) -> None:
    """Until the key is back, or a person has closed what is named."""
    key = home.tracker / "key"
    kept = key.read_bytes()
    key.unlink()
    with pytest.raises(JournalError, match="so is the key that proves what was done: issue 1") as caught:
        journal(home, number=12).world()
    assert "put" in caught.value.fix
    key.write_bytes(kept)
    assert journal(home, number=12).world().found == {"plan:1:e": "issue 1, c1"}


def test_an_issue_closed_by_the_loop_stays_closed(home: Home) -> None:
    """Its tasks are over as they were."""
    ended = (f.IssueClosed(issue="1", by="loop"), f.Merged(task="1.1", pull="1", commit="c"))
    FileTracker(home.tracker).act(
        "close:1", CloseIssue(issue="1", body="**Done.**", carries=carried("1", *ended))
    )
    world = journal(home).world()
    assert (world.issues["1"].state, world.live_tasks()) == (Closed(by="loop"), ())


def test_last_lines_that_are_cut_off_are_noticed(home: Home) -> None:
    """By the number that the last cycle left, or by the cycle that the relay names."""
    book = Journal(home)
    seen = f.IssueSeen(issue="1", title="t", target="calc", priority="normal", evidence="e")
    book.append(f.Entry(at=AT, cycle=1, facts=(seen,)))
    assert isinstance(journal(home, number=1).world().issues["1"].state, Fresh)
    assert journal(home, facts=(("cycle", "1"),)).world().losses == ()
    for knows in ({"number": 9}, {"facts": (("cycle", "4"),)}):
        world = journal(home, **knows).world()
        assert world.losses[-1].what == "its last entries were missing"
        assert isinstance(world.issues["1"].state, InWork)
        for path in home.journal.glob("*.jsonl"):
            path.write_bytes(path.read_bytes().splitlines(keepends=True)[0])


@pytest.mark.parametrize("left", [0, 1])
def test_entries_that_go_while_a_cycle_runs_are_missed_by_the_next(home: Home, left: int) -> None:
    """Nothing is written behind the gap: the next cycle sees it, and counts the unknown money."""
    book = Journal(home)
    for cycle in (1, 2):
        book.append(f.Entry(at=AT, cycle=cycle, facts=(f.Settled(purse="admin:1", micros=9),)))
    running = journal(home, number=2)
    running.world()
    (path,) = home.journal.glob("2*.jsonl")
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:left])) if left else shutil.rmtree(home.journal)
    with pytest.raises(JournalError, match="lost entries while this cycle ran"):
        running.append(f.Entry(at=AT, cycle=2, facts=()))
    world = journal(home, number=2).world()
    assert (len(world.losses), world.spent_micros()) == (1, 20_000_000)


# Sweeping, and making anew.


def git(folder: Path, *words: str) -> None:
    """Run git as a person does."""
    subprocess.run(["git", "-C", str(folder), *words], check=True, capture_output=True)


def test_leftovers_go_and_what_lives_stays(tmp_path: Path) -> None:
    """Old temp files, those of processes that are gone, a stale lock of git; nothing young or alive."""
    home = Home(tmp_path)
    git(tmp_path, "init", "-q")
    home.run.mkdir(parents=True)
    for folder in (home.issues, home.requests, home.slots_of("lib")):
        folder.mkdir(parents=True)
    old = [
        home.issues / f"{TEMP_PREFIX}aa",
        home.requests / f"{TEMP_PREFIX}aa",
        home.slots_of("lib") / f"{TEMP_PREFIX}aa",
        home.run / "wake.4194300.taken",
        tmp_path / ".git" / "index.lock",
    ]
    young = [
        home.issues / f"{TEMP_PREFIX}bb",
        home.run / f"sleep.json.{os.getpid()}.tmp",
        tmp_path / "notes.tmp",
    ]
    for path in (*old, *young):
        path.write_text("")
    for path in old:
        os.utime(path, (time.time() - 3600,) * 2)
    assert sorted(tidy(home)) == sorted(old)
    assert [path.exists() for path in young] == [True] * 3


def test_a_request_under_another_name_is_put_aside(tmp_path: Path) -> None:
    """Heard by its id it could not be taken away, and would be heard in every cycle; the fix is named."""
    requests = FileRequests(Home(tmp_path))
    asked = RetryRequest(id="7.1-aa", task="7.1", by="ann", at=AT)
    requests.ask(asked)
    assert requests.waiting() == (asked,)
    path = Home(tmp_path).requests / "7.1-aa.json"
    path.rename(path.with_name("copy.json"))
    assert requests.take_in() == ()
    (said,) = requests.left_out()
    assert "is no request (it says that it is '7.1-aa')" in said
    assert said.endswith(f"rm -r {path.parent / 'aside/copy.json'}")


def test_a_lock_is_left_while_a_git_of_anybodys_works_in_the_home(tmp_path: Path) -> None:
    """A commit that waits for its editor holds the index for as long as the person thinks."""
    git(tmp_path, "init", "-q")
    lock = tmp_path / ".git" / "index.lock"
    lock.write_text("")
    os.utime(lock, (time.time() - 3600,) * 2)
    words = ["git", "-C", str(tmp_path), "cat-file", "--batch"]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as busy:
        assert busy.stdin is not None
        assert busy.stdout is not None
        busy.stdin.write(b"nothing\n")
        busy.stdin.flush()
        assert busy.stdout.readline() == b"nothing missing\n"
        assert (tidy(Home(tmp_path)), lock.exists()) == ((), True)
        busy.stdin.close()
    assert (tidy(Home(tmp_path)), lock.exists()) == ((lock,), False)


def test_rebuild_says_what_it_did_and_waits_for_nobody(tmp_path: Path) -> None:
    """A home whose runtime folder is gone has one again; while a cycle holds the home it ends with 3."""
    target, home = tmp_path / "calc", Home(tmp_path / "home")
    target.mkdir()
    git(target, "init", "-q", "-b", "main")
    git(target, "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-q", "--allow-empty", "-m", "one")

    def agentloop(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "agentloop", *words],
            capture_output=True,
            text=True,
            check=False,
        )

    assert agentloop("init", str(home.root), "--target", str(target), "--no-input").returncode == 0
    done = agentloop("rebuild", "--home", str(home.root))
    assert (done.returncode, done.stderr) == (0, "")
    assert "settings compiled: 1 target\n" in done.stdout
    assert "target calc: the mirror is new; main is at" in done.stdout
    assert home.compiled_settings.exists()
    assert (home.mirror_of("calc") / "HEAD").exists()
    assert (home.run / "standing.json").exists()
    with locked(home.lock):
        busy = agentloop("rebuild", "--home", str(home.root))
    assert (busy.returncode, "held by another process" in busy.stderr) == (3, True)
