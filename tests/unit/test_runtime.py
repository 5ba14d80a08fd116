"""The files between supervisor, cycle and light commands, and how log lines look."""

from __future__ import annotations

import json
import os
import stat
import threading
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentloop.edges import runfolder, runtime
from agentloop.edges.inotify import Inotify
from agentloop.edges.lines import Form, Level, Lines
from agentloop.edges.processes import me
from agentloop.home import Home

NOW = datetime(2026, 11, 20, 10, 0, tzinfo=UTC)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Return a home with a run folder."""
    Home(tmp_path).run.mkdir(parents=True)
    return tmp_path


def test_the_light_paths_are_those_of_the_home() -> None:
    """The light half spells paths of its own; they are the same."""
    home = Home(Path("/h"))
    light = {f"/h/{path}" for path in (runfolder.RUN, runfolder.WAKE, runfolder.SUPERVISOR, runfolder.PAUSE)}
    assert light == {str(path) for path in (home.run, home.wake_file, home.supervisor_file, home.pause_file)}


def test_records_come_back_as_they_were_written(home: Path) -> None:
    """Sleep, status and supervisor survive their files."""
    sleep = runtime.SleepRecord(cycle=7, until=NOW, reason="idle", kind="idle", saw={"a": (1, 2, 3)})
    status = runtime.StatusRecord(state="cycling", since=NOW, reason="wake", notice="!", cycle=me())
    supervisor = runtime.SupervisorRecord(identity=me(), version="1", started_at="now")
    runtime.write_sleep(home, sleep)
    runtime.write_status(home, status)
    runtime.write_supervisor(home, supervisor)
    assert runtime.read_sleep(home) == sleep
    assert runtime.read_status(home) == status
    assert runtime.read_supervisor(home) == supervisor


@given(
    st.binary(max_size=200) | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(json.dumps)
)
def test_no_file_makes_reading_raise(tmp_path_factory: pytest.TempPathFactory, data: bytes | str) -> None:
    """Whatever is in the run folder, reading gives a record or None; and a mangled pause is a pause."""
    root = tmp_path_factory.mktemp("mangled")
    home = Home(root)
    home.run.mkdir(parents=True)
    content = data if isinstance(data, bytes) else data.encode()
    for path in (home.sleep_file, home.status_file, home.supervisor_file, home.pause_file):
        path.write_bytes(content)
    assert runtime.read_sleep(root) is None
    assert runtime.read_status(root) is None
    assert runtime.read_supervisor(root) is None
    pause = runtime.read_pause(root)
    assert pause is not None
    assert not pause.readable


def test_no_pause_is_longer_than_thirty_days(home: Path) -> None:
    """A hand-written end in the year 9999 is cut to thirty days after the file was written."""
    (home / "pause.json").write_text('{"until": "9999-01-01T00:00:00Z", "reason": "r", "by": "b"}')
    os.utime(home / "pause.json", (NOW.timestamp(), NOW.timestamp()))
    pause = runtime.read_pause(home)
    assert pause is not None
    assert pause.until == NOW + timedelta(days=30)


def test_no_reason_is_lost_between_wakers_and_takers(home: Path) -> None:
    """Four wakers against one taker: every reason arrives (at least once)."""
    reasons = {f"{waker}.{n}" for waker in range(4) for n in range(50)}

    def wake(waker: int) -> None:
        for n in range(50):
            runfolder.append_wake(str(home), f"{waker}.{n}")

    wakers = [threading.Thread(target=wake, args=(waker,)) for waker in range(4)]
    for thread in wakers:
        thread.start()
    taken: set[str] = set()
    while any(thread.is_alive() for thread in wakers):
        taken |= set(runfolder.take_wake(str(home)))
    taken |= set(runfolder.take_wake(str(home)))
    assert taken - {"wake trigger"} == reasons  # taken between being made and being written: still a trigger


def test_a_runtime_folder_that_was_lost_is_private_again(tmp_path: Path) -> None:
    """What workers said is for its owner alone, whoever makes it anew; where no home is none is made."""
    runfolder.append_wake(str(tmp_path), "look")
    made = [tmp_path / ".agentloop", tmp_path / ".agentloop" / "run"]
    assert [stat.S_IMODE(each.stat().st_mode) for each in made] == [0o700, 0o700]
    with pytest.raises(FileNotFoundError):
        runfolder.append_wake(str(tmp_path / "nowhere"), "look")


def test_an_empty_trigger_is_a_trigger(home: Path) -> None:
    """`touch run/wake` wakes as well."""
    Home(home).wake_file.touch()
    assert runtime.take_wake(home) == ("wake trigger",)
    assert runtime.take_wake(home) == ()


def test_a_dead_supervisor_is_none(home: Path) -> None:
    """Same pid, other start: not the process that the record means."""
    record = runfolder.read_object("/nonexistent") or {"pid": me().pid, "boot_id": me().boot_id}
    runfolder.write_object(str(home / runfolder.SUPERVISOR), {**record, "start_ticks": me().start_ticks + 1})
    assert runfolder.supervisor_of(str(home)) is None


def test_a_replaced_folder_is_watched_anew(tmp_path: Path) -> None:
    """Names are resolved at each call; what cannot be watched is said."""
    inotify, folder = Inotify(), tmp_path / "folder"
    folder.mkdir()
    assert inotify.watch({folder}) == set()
    folder.rename(tmp_path / "other")
    assert inotify.watch({folder}) == {folder}
    folder.mkdir()
    assert inotify.watch({folder}) == set()
    inotify.drain()
    (tmp_path / "other/x").touch()
    assert not inotify.drain()
    (folder / "x").touch()
    assert inotify.drain()
    inotify.close()


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ("person", "a b\n"),
        ("journal", '<4>event=x.y n=1 why="say \\"no\\"" msg="a b"\n'),
        ("file", 'level=warning event=x.y n=1 why="say \\"no\\"" msg="a b"\n'),
    ],
)
def test_log_lines(form: Form, expected: str) -> None:
    """For a person the text; for a program logfmt; control characters never get through."""
    reader, writer = os.pipe()
    Lines(writer, form).say("x.y", "a\nb", level=Level.WARNING, n=1, why='say "no"', nothing=None)
    line = os.read(reader, 4096).decode()
    os.close(reader)
    os.close(writer)
    assert line.endswith(expected)
    assert line.count("\n") == 1


def test_a_reader_that_hangs_costs_lines_not_time() -> None:
    """A full pipe drops lines and counts them; the next line that fits says how many."""
    reader, writer = os.pipe()
    lines = Lines(writer, "journal")
    os.set_blocking(writer, False)
    with suppress(BlockingIOError):
        while True:
            os.write(writer, b"x" * 4096)
    lines.say("lost", "lost")
    os.read(reader, 65536)
    lines.say("found", "found")
    assert b"lines_lost=1" in os.read(reader, 65536)
    os.close(reader)
    os.close(writer)
