"""The journal's files: durable lines, torn ones passed over, anything else wrong named by file and line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from agentloop.domain import facts as f
from agentloop.domain.codec import encode
from agentloop.domain.effects import Say
from agentloop.domain.facts import Entry
from agentloop.domain.work import CheckResult, Verdict
from agentloop.edges.files import append_durable
from agentloop.edges.journal import Journal
from agentloop.errors import JournalError
from agentloop.home import Home
from agentloop.testing.samples import task

if TYPE_CHECKING:
    from pathlib import Path

AT = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
SEEN = Entry(
    at=AT,
    cycle=1,
    facts=(
        f.IssueSeen(
            issue="7", title="Grüße \u202e \x00 \n \ud800 😀", target="", priority="low", evidence="e"
        ),
    ),
)
RICH = Entry(
    at=AT + timedelta(minutes=1),
    cycle=2,
    facts=(
        f.Planned(issue="7", tasks=(task(),), evidence="e"),
        f.EffectIntended(op="o", effect=Say(issue="7", body='quotes " and \\ backslashes\tand é')),
        f.Judged(
            verdict=Verdict(
                attempt="7.1.1",
                commit="c",
                base="b",
                checks=(
                    CheckResult(name="n", command="c", passed=False, status=None, output="x", seconds=1.5e-7),
                ),
                findings=(),
                at=AT,
                sandboxed=True,
                evidence="e",
                added=-1,
            )
        ),
        f.Slept(until=None, kind="idle", reason="r"),
    ),
)


def written(home: Home) -> Path:
    """The file that November's entries are in."""
    return home.journal_of(AT)


def line_of(entry: Entry) -> bytes:
    """An entry as its line, without the newline."""
    text = json.dumps(encode(entry), ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", "surrogatepass")


def test_what_was_appended_is_read_again_in_order(tmp_path: Path) -> None:
    """Any characters, in the order of writing, over the turn of a month."""
    journal = Journal(Home(tmp_path))
    december = Entry(at=AT + timedelta(days=30), cycle=3, facts=SEEN.facts)
    for entry in (SEEN, RICH, december):
        journal.append(entry)
    assert list(journal.entries()) == [SEEN, RICH, december]
    assert sorted(path.name for path in Home(tmp_path).journal.iterdir()) == [
        "2026-11.jsonl",
        "2026-12.jsonl",
    ]


def test_a_new_home_has_an_empty_journal(tmp_path: Path) -> None:
    """No folder yet."""
    assert list(Journal(Home(tmp_path)).entries()) == []


@pytest.mark.parametrize("entry", [SEEN, RICH], ids=["words", "kinds"])
def test_a_last_line_torn_at_any_byte_was_never_acknowledged(tmp_path: Path, entry: Entry) -> None:
    """What came before is read; what is appended then is a line of its own, and read."""
    home = Home(tmp_path)
    whole = line_of(entry)
    later = Entry(at=AT + timedelta(minutes=2), cycle=3, facts=(f.CycleBegan(version="1"),))
    for cut in range(len(whole)):
        journal = Journal(home)  # a process of its own: one that had read more would not write on
        written(home).parent.mkdir(exist_ok=True)
        written(home).write_bytes(line_of(SEEN) + b"\n" + whole[:cut])
        assert (cut, list(journal.entries())) == (cut, [SEEN])
        journal.append(later)
        assert (cut, list(journal.entries())) == (cut, [SEEN, later])


def test_a_line_whose_newline_is_missing_is_whole(tmp_path: Path) -> None:
    """Every byte of it is there; the next one starts on a line of its own."""
    home = Home(tmp_path)
    home.journal.mkdir()
    written(home).write_bytes(line_of(SEEN))
    journal = Journal(home)
    journal.append(RICH)
    assert list(journal.entries()) == [SEEN, RICH]


@pytest.mark.parametrize(
    "garbage",
    [
        b"not json at all",
        b"{}",
        b"[]",
        b"null",
        b'{"at":"yesterday","cycle":1,"facts":[]}',
        b'{"at":"2026-11-02T09:00:00Z","cycle":"one","facts":[]}',
        b'{"at":"2026-11-02T09:00:00Z","cycle":1,"facts":[{"is":"made_up"}]}',
        b'{"at":"2026-11-02T09:00:00Z" "cycle":1,"facts":[]}',
        b'{"at":"2026-11-02T09:00:00Z","cycle":1,"facts":[]} and more',
        b'\xff\xfe{"at":"2026-11-02T09:00:00Z","cycle":1,"facts":[]}',
        b'{"at":"\xff","cycle":1,"facts":[]}',
    ],
)
def test_garbage_is_named_by_file_and_line(tmp_path: Path, garbage: bytes) -> None:
    """It is no torn line: somebody changed the truth, and the loop stops until it is mended."""
    home = Home(tmp_path)
    home.journal.mkdir()
    written(home).write_bytes(line_of(SEEN) + b"\n" + garbage + b"\n" + line_of(RICH) + b"\n")
    with pytest.raises(JournalError) as caught:
        Journal(home).world()
    assert caught.value.what.startswith(f"{written(home)}:2 is not an entry of the journal")
    assert caught.value.fix


def test_the_damaged_line_taken_out_as_the_fix_says_leaves_the_rest_readable(tmp_path: Path) -> None:
    """What hung on it is passed over."""
    home = Home(tmp_path)
    home.journal.mkdir()
    written(home).write_bytes(line_of(RICH) + b"\n")
    world = Journal(home).world()
    assert (world.tasks, list(world.open_ops)) == ({}, ["o"])


def test_entries_stay_in_the_order_of_writing_when_the_clock_is_set_back_over_a_month(tmp_path: Path) -> None:
    """The newest file goes on until the clock has caught up with it."""
    home = Home(tmp_path)
    journal = Journal(home)
    ats = [AT + timedelta(days=days) for days in (0, 40, -3, 1, 41, 70)]
    for number, at in enumerate(ats):
        journal.append(Entry(at=at, cycle=number, facts=()))
    assert [entry.cycle for entry in journal.entries()] == [0, 1, 2, 3, 4, 5]
    assert journal.world().cycle == 5


def test_a_journal_that_cannot_be_read_says_so(tmp_path: Path) -> None:
    """A folder where the file should be stands for it: root may read anything else."""
    home = Home(tmp_path)
    written(home).mkdir(parents=True)
    with pytest.raises(JournalError, match="cannot be read"):
        Journal(home).world()


FULL_DISK = """
import resource, signal, sys
from datetime import UTC, datetime
from pathlib import Path
from agentloop.domain import facts as f
from agentloop.domain.facts import Entry
from agentloop.edges.journal import Journal
from agentloop.errors import JournalError
from agentloop.home import Home

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
home = Home(Path(sys.argv[1]))
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
acknowledged = 0
try:
    for number in range(1000):
        Journal(home).append(Entry(at=datetime(2026, 11, 2, tzinfo=UTC), cycle=number, facts=()))
        acknowledged += 1
except JournalError as error:
    print(acknowledged, error.what)
"""


@pytest.mark.parametrize("limit", [1000, 1001, 1010, 1050])
def test_a_full_disk_loses_nothing_that_was_acknowledged(tmp_path: Path, limit: int) -> None:
    """The write is refused in the middle of a line: JournalError, and every entry before it is there."""
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(tmp_path), str(limit)],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    acknowledged, _, what = done.stdout.partition(" ")
    assert what.startswith("the journal cannot be written: File too large")
    journal = Journal(Home(tmp_path))
    found = [entry.cycle for entry in journal.entries()]
    assert found[: int(acknowledged)] == list(range(int(acknowledged)))
    assert len(found) <= int(acknowledged) + 1
    journal.append(SEEN)
    assert list(journal.entries())[-1] == SEEN


def test_an_appended_line_never_joins_a_torn_one(tmp_path: Path) -> None:
    """The torn one is closed first."""
    path = tmp_path / "file"
    path.write_bytes(b"torn")
    append_durable(path, b"whole")
    append_durable(path, b"next\n")
    assert path.read_bytes() == b"torn\nwhole\nnext\n"


def test_an_older_journal_is_counted_once(tmp_path: Path) -> None:
    """Its lines have no numbers: the one reading also says how many there are, with an index or not."""
    home = Home(tmp_path)
    home.journal.mkdir()
    home.runtime.mkdir()
    written(home).write_bytes(line_of(SEEN) + b"\n" + line_of(RICH) + b"\n")
    size = written(home).stat().st_size
    for _ in ("folded", "from the index"):
        journal = Journal(home)
        world = journal.world()
        kept = written(home).read_bytes()
        written(home).write_bytes(b"x" * size)  # whoever reads it again does not get far
        assert journal.last_number() == 2
        written(home).write_bytes(kept)
        journal.keep(world, lag_bytes=0)
    journal = Journal(home)
    journal.append(SEEN)
    assert (journal.last_number(), Journal(home).world().cycle) == (3, 2)
