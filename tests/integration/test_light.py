"""wake, stop, pause and resume as commands: what they print, return and leave behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from agentloop import exits, light
from agentloop.edges import runfolder, runtime
from agentloop.edges.processes import identity_of

if TYPE_CHECKING:
    from pathlib import Path

HEAVY = "import sys, agentloop.light; print(*sorted(sys.modules))"
DIES_OF_TERM = "import time; print(1, flush=True); time.sleep(60)"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Return a home that no supervisor runs on."""
    (tmp_path / "agentloop.toml").touch()
    return tmp_path


def test_loading_them_loads_nothing_that_takes_time() -> None:
    """Neither pathlib nor dataclasses nor any package of others."""
    loaded = subprocess.run((sys.executable, "-P", "-c", HEAVY), capture_output=True, text=True, check=True)
    names = set(loaded.stdout.split())
    slow = {"pathlib", "dataclasses", "subprocess", "argparse", "inspect", "typer", "pydantic", "anthropic"}
    # A virtual environment's own start may have loaded some of them before us.
    bare = subprocess.run(
        (sys.executable, "-P", "-c", "import sys; print(*sys.modules)"),
        capture_output=True,
        text=True,
        check=True,
    )
    assert slow & (names - set(bare.stdout.split())) == set()


NOT_WHEN_IDLE = frozenset(
    {
        *("dataclasses", "inspect", "sqlite3", "typer", "rich", "pydantic", "structlog", "anthropic", "git"),
        *("subprocess", "selectors", "tempfile", "shutil", "random", "secrets", "ctypes", "lzma", "bz2"),
        *("tomllib", "decimal", "difflib", "shlex", "argparse", "uuid", "socket", "http", "asyncio"),
        *("agentloop.domain.secrets", "agentloop.edges.mirror", "agentloop.edges.quarantine"),
        *("agentloop.edges.merge", "agentloop.admin.agent", "agentloop.prompts"),
        *(
            "agentloop.edges.metered",
            "agentloop.worker.harness",
            "agentloop.rehearsal",
            "agentloop.replaying",
        ),
    }
)
"""What takes milliseconds to load and an idle cycle has no use for."""
IDLE_MODULES = 124
"""Of our own, at most: each takes a third of a millisecond."""


def test_an_idle_cycle_loads_nothing_that_takes_time(tmp_path: Path) -> None:
    """A whole one, on a home looked at before: no package of others, nothing for work there is none of."""
    command = (sys.executable, "-P", "-m", "agentloop")
    subprocess.run((*command, "init", str(tmp_path / "home"), "--no-input"), check=True, capture_output=True)
    home = ("--home", str(tmp_path / "home"))
    subprocess.run((*command, "cycle", *home), check=True, capture_output=True)
    after = "import sys; from agentloop.__main__ import main; main(sys.argv[1:]); print(*sorted(sys.modules))"
    again = (sys.executable, "-P", "-c", after, "cycle", *home)
    # A virtual environment's own start may load some of them before us.
    bare, idle = (
        set(subprocess.run(each, capture_output=True, text=True, check=True).stdout.split())
        for each in ((sys.executable, "-P", "-c", "import sys; print(*sys.modules)"), again)
    )
    assert NOT_WHEN_IDLE & (idle - bare) == set()
    assert len([name for name in idle if name.startswith("agentloop")]) <= IDLE_MODULES


def test_a_failed_start_is_one_line_of_the_journal(home: Path) -> None:
    """It has the priority of an error, and says what is wrong and where, all of it."""
    (home / "agentloop.toml").write_text("first = 1\nsecond = 2\n")
    command = (sys.executable, "-m", "agentloop", "run", "--home", str(home))
    environment = {**os.environ, "INVOCATION_ID": "0" * 32}
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode == exits.SETTINGS
    assert ran.stdout == ""
    (line,) = ran.stderr.splitlines()
    assert line.startswith("<3>event=run.failed ")
    assert "agentloop.toml:1" in line
    assert "agentloop.toml:2" in line


@pytest.mark.parametrize("key", ["", "sk-test"])
def test_a_start_without_a_key_says_so_once(home: Path, key: str) -> None:
    """In one line, before the first cycle; the loop runs all the same. With a key there is nothing to say."""
    command = (sys.executable, "-m", "agentloop", "run", "--once", "--home", str(home))
    environment = {**os.environ, "ANTHROPIC_API_KEY": key}
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    warned = [line for line in ran.stderr.splitlines() if "event=key.missing" in line]
    assert (ran.returncode, len(warned)) == (exits.OK, 0 if key else 1), ran.stderr
    assert [line for line in warned if "ANTHROPIC_API_KEY" not in line or "level=warning" not in line] == []


@pytest.mark.parametrize("loop", ["stopped", "paused"])
def test_a_program_reads_what_the_quick_commands_did(
    home: Path, capsys: pytest.CaptureFixture[str], loop: str
) -> None:
    """`wake`, `pause` and `resume` with `--json`; `wake` tells whether somebody hears it."""

    def told(name: str, *words: str) -> dict[str, Any]:
        assert light.run(name, ["--home", str(home), "--json", *words]) == exits.OK
        said = json.loads(capsys.readouterr().out)
        assert said.pop("schema") == 1
        return dict(said)

    if loop == "paused":
        identity = identity_of(os.getpid())
        assert identity is not None
        (home / ".agentloop/run").mkdir(parents=True)
        record = runtime.SupervisorRecord(identity=identity, version="1", started_at=runfolder.now_text())
        runtime.write_supervisor(home, record)
    paused = told("pause", "--for", "2h", "--reason", "new disk")
    assert (paused["reason"], paused["by"]) == ("new disk", light.user_name())
    assert told("wake") == {"trigger": "left", "loop": loop}
    assert told("resume") == {"resumed": True}


def test_wake_leaves_its_reason(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It says that nobody hears it now, and what will."""
    assert light.run("wake", ["--home", str(home), "--reason=two\nlines"]) == exits.OK
    assert "no supervisor runs here" in capsys.readouterr().out
    assert runtime.take_wake(home) == ("two lines",)


def test_the_home_is_found_from_inside_it(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Flag, then AGENTLOOP_HOME, then the nearest agentloop.toml; without any, the fix is said."""
    inside = home / "memories/notes"
    inside.mkdir(parents=True)
    monkeypatch.chdir(inside)
    assert light.find_home(None, {}) == str(home)
    assert light.find_home(None, {"AGENTLOOP_HOME": "/"}) == "/"
    assert light.find_home(str(inside), {"AGENTLOOP_HOME": "/"}) == str(inside)
    (home / "agentloop.toml").unlink()
    assert light.run("wake", []) == exits.HOME
    assert "agentloop init" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("pause", ["--reason", "no end"]),
        ("pause", ["--for", "2h"]),
        ("pause", ["--for", "31d", "--reason", "too long"]),
        ("pause", ["--for", "0s", "--reason", "too short"]),
        ("pause", ["--for", "²h", "--reason", "no number"]),
        ("wake", ["--reason"]),
        ("stop", ["--now=1"]),
        ("resume", ["please"]),
        ("run", ["--max-cycles", "0"]),
    ],
)
def test_what_is_not_understood_changes_nothing(home: Path, name: str, args: list[str]) -> None:
    """The usage code, and no pause or trigger left."""
    assert light.run(name, ["--home", str(home), *args]) == exits.USAGE
    assert sorted(path.name for path in home.iterdir()) == ["agentloop.toml"]


def test_pause_and_resume(home: Path) -> None:
    """A pause has end, reason and author; resume removes it and leaves a trigger; twice is a conflict."""
    assert light.run("pause", ["--home", str(home), "--for", "2h", "--reason", "new disk"]) == exits.OK
    pause = runtime.read_pause(home)
    assert pause is not None
    assert (pause.reason, pause.by) == ("new disk", light.user_name())
    assert abs(pause.until - datetime.now(UTC) - timedelta(hours=2)) < timedelta(seconds=5)
    assert light.run("resume", ["--home", str(home)]) == exits.OK
    assert runtime.read_pause(home) is None
    assert runtime.take_wake(home) == (f"resumed by {light.user_name()}",)
    assert light.run("resume", ["--home", str(home)]) == exits.CONFLICT


@pytest.mark.parametrize("options", [[], ["--now"]])
def test_stop_ends_the_process_that_the_record_names(home: Path, options: list[str]) -> None:
    """It waits for the end and says so; without a supervisor it has a code of its own."""
    assert light.run("stop", ["--home", str(home)]) == exits.NOT_RUNNING
    with subprocess.Popen((sys.executable, "-c", DIES_OF_TERM), stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        identity = identity_of(process.pid)
        assert identity is not None
        runtime_folder = home / ".agentloop/run"
        runtime_folder.mkdir(parents=True, exist_ok=True)
        runtime.write_supervisor(
            home, runtime.SupervisorRecord(identity=identity, version="1", started_at=runfolder.now_text())
        )
        began = time.monotonic()
        assert light.run("stop", ["--home", str(home), *options]) == exits.OK
        assert time.monotonic() - began < 30
        assert process.wait(60) == -15
    assert light.run("stop", ["--home", str(home)]) == exits.NOT_RUNNING
