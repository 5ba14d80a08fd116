"""The demo as a new user runs it: it ends well, says what it is, and leaves nothing behind."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from agentloop import exits
from agentloop.testing.demo.stage import data
from agentloop.testing.model import ScriptedModel

if TYPE_CHECKING:
    import pytest

DEMO = (sys.executable, "-m", "agentloop.testing.demo", "--pace", "fast")
BOUND_SECONDS = 300


def run(*words: str) -> subprocess.CompletedProcess[str]:
    """Run the demo to its end."""
    command = (*DEMO, *words)
    return subprocess.run(command, capture_output=True, text=True, timeout=BOUND_SECONDS, check=False)


def test_the_demo_tells_the_story_to_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """First the scripted model is owned up to; then issue to relay; then no file and no process is left."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    told = run()
    assert (told.returncode, told.stderr) == (exits.OK, "")
    assert "scripted model" in told.stdout.splitlines()[0]
    for words in ("The plan", "A worker agent", "The gate", "+    parts = ", "merged into main", "5400"):
        assert words in told.stdout
    assert max(len(line) for line in told.stdout.splitlines()) <= 80
    assert list(tmp_path.iterdir()) == []
    assert processes_in(tmp_path) == []


def test_ctrl_c_ends_every_process_of_the_demo_and_takes_its_folder_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Interrupted while the worker is at it."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    process = subprocess.Popen(DEMO, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout is not None
    assert any("A worker agent" in line for line in process.stdout)
    process.send_signal(signal.SIGINT)
    said = process.stdout.read()
    assert (process.wait(BOUND_SECONDS), "interrupted" in said, "Traceback" in said) == (130, True, False)
    assert list(tmp_path.iterdir()) == []
    assert processes_in(tmp_path) == []


def test_without_bubblewrap_the_demo_says_so_and_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It still comes to its end, and the pull request names what was missing."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("git", "sh", "cat", "tail", "env", "cp", "rm", "grep"):
        (programs / name).symlink_to(shutil.which(name) or f"/usr/bin/{name}")
    (programs / "python3").symlink_to(Path(sys.executable).resolve())
    monkeypatch.setenv("PATH", str(programs))
    told = run()
    assert told.returncode == exits.OK
    assert 'sandbox = "none"' in told.stdout
    assert "apt-get install bubblewrap" in told.stdout
    assert "No sandbox" in told.stdout


def test_a_kept_demo_is_a_home_to_look_around_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Live, on a service of the same script: the first line says what it costs at most; --keep leaves all."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    assert run("--live").returncode == exits.SETTINGS
    with ScriptedModel(data("script.toml")) as service:
        monkeypatch.setenv("ANTHROPIC_API_KEY", "a-key")
        monkeypatch.setenv("ANTHROPIC_BASE_URL", service.url)
        told = run("--live", "--keep")
        assert service.errors == []
    assert told.returncode == exits.OK
    assert re.search(r"real API .* at most \$2\.00", told.stdout.splitlines()[0])
    (root,) = tmp_path.iterdir()
    look = (sys.executable, "-m", "agentloop", "issue", "list", "--state", "closed")
    shown = subprocess.run((*look, "--home", str(root / "home")), capture_output=True, text=True, check=True)
    assert "1h30m counts as one hour" in shown.stdout
    files = [path for path in root.rglob("*") if path.is_file()]
    assert [path for path in files if "a-key" in path.read_text(errors="replace")] == []


def processes_in(folder: Path) -> list[str]:
    """Return the command lines of living processes that name the folder; those that end have a while."""
    give_up = time.monotonic() + 60
    while found := [words for words in _command_lines() if str(folder) in words]:
        if time.monotonic() > give_up:
            break
        time.sleep(0.05)
    return found


def _command_lines() -> list[str]:
    lines = []
    for pid in filter(str.isdigit, os.listdir("/proc")):  # noqa: PTH208 - names are all that is wanted
        try:
            lines.append(Path(f"/proc/{pid}/cmdline").read_text(errors="replace"))
        except OSError:
            continue
    return lines
