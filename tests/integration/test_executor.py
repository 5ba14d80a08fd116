"""The local executor with processes of the test's own: environment, loss, stopping, sweeping."""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from agentloop.domain.codec import encode
from agentloop.domain.effects import StartAttempt, StartGate, StopAttempt
from agentloop.domain.observed import GateEnded, Lost, Running
from agentloop.domain.settings import Limits, Target, Worker
from agentloop.domain.work import Contract, GateBroken, GateSpec, Task
from agentloop.edges.executor import LocalExecutor, marked
from agentloop.edges.processes import me
from agentloop.errors import ConflictError
from agentloop.home import Home

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

GATE = frozenset({"gate:1.1.1"})
START = StartGate(attempt="1.1.1", commit="c" * 40)


def executor(home: Path, code: str) -> LocalExecutor:
    """An executor whose processes run `code`."""
    return LocalExecutor(home, command=(sys.executable, "-I", "-c", code), stop_seconds=2)


def spec(home: Path) -> GateSpec:
    """A gate's spec."""
    return GateSpec(
        attempt="1.1.1",
        task=Task(
            id="1.1",
            issue="1",
            title="t",
            kind="change",
            contract=Contract(goal="g", criteria=()),
            target="x",
        ),
        base="b" * 40,
        commit="c" * 40,
        folder=str(Home(home).gate("1.1.1").root),
        mirror=str(home),
        deadline=datetime(2026, 11, 20, tzinfo=UTC),
        limits=Limits(),
        worker=Worker(),
        target=Target(name="x", repository="x"),
    )


CLAIM = """
import json, os, sys, time
from pathlib import Path
folder = Path(os.environ["AGENTLOOP_RUN"])
stat = Path("/proc/self/stat").read_text()
(folder / "env").write_text(json.dumps(dict(os.environ)))
(folder / "argv").write_text(json.dumps([*sys.argv[1:], os.getsid(0) == os.getpid(), sys.stdin.read()]))
temp = folder / "temp"
temp.write_text(json.dumps({
    "pid": os.getpid(),
    "boot_id": Path("/proc/sys/kernel/random/boot_id").read_text().strip(),
    "start_ticks": int(stat[stat.rindex(")") + 2:].split()[19]),
}))
temp.rename(folder / "claim.json")
"""


def wait_for(sign: Callable[[], bool]) -> None:
    """Wait until `sign` holds."""
    until = time.monotonic() + 60
    while not sign():
        assert time.monotonic() < until
        time.sleep(0.02)


def test_a_gate_gets_no_secret_and_a_session_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No key, no token, nothing on stdin; the spec is there before the process."""
    for name in ("ANTHROPIC_API_KEY", "GITHUB_TOKEN", "CREDENTIALS_DIRECTORY", "SSH_AUTH_SOCK"):
        monkeypatch.setenv(name, "canary")
    runs = executor(tmp_path, CLAIM + "time.sleep(60)")
    assert runs.find("op", START) is None
    assert runs.act("op", START, spec(tmp_path)) == "1.1.1"
    folder = Home(tmp_path).gate("1.1.1")
    wait_for(folder.claim.exists)
    env = json.loads((folder.root / "env").read_text())
    assert "canary" not in env.values()
    assert env["PATH"] == os.environ["PATH"]
    said = json.loads((folder.root / "argv").read_text())
    assert said[:4] == ["gate", "1.1.1", "--home", str(tmp_path)]
    assert said[5] == ""
    assert runs.find("op", START) == "1.1.1"
    (seen,) = runs.observe(GATE)
    assert isinstance(seen, Running)
    assert seen.role == "gate"
    runs.act("op", StopAttempt(attempt="1.1.1", why="over"), None)
    assert runs.observe(GATE) == (Lost(attempt="1.1.1", role="gate"),)


def test_a_runtime_folder_made_anew_has_another_name(tmp_path: Path) -> None:
    """What was to be started in the one that is gone may have run: it counts as started, and as lost."""
    runs = LocalExecutor(tmp_path)
    start = StartAttempt(attempt="1.1.1", place=runs.place())
    assert LocalExecutor(tmp_path).place() == start.place
    assert runs.find("op", start) is None
    shutil.rmtree(Home(tmp_path).runtime)
    assert runs.find("op", start) == "1.1.1"
    assert runs.place() != start.place
    (seen,) = runs.observe(frozenset({"attempt:1.1.1"}))
    assert seen == Lost(attempt="1.1.1", role="attempt", spent_micros=None)
    assert runs.find("op", StartAttempt(attempt="1.1.1")) is None


def test_what_ignores_sigterm_is_ended_all_the_same(tmp_path: Path) -> None:
    """After the bound comes SIGKILL, for the process and for what it left in other sessions."""
    stubborn = "import signal, subprocess\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    child = "subprocess.Popen(['sleep', '6161'], start_new_session=True)\n"
    runs = executor(tmp_path, CLAIM + stubborn + child + "while True: time.sleep(1)")
    runs.act("op", START, spec(tmp_path))
    folder = Home(tmp_path).gate("1.1.1")
    wait_for(lambda: folder.claim.exists() and len(list(marked(folder.root))) == 2)
    began = time.monotonic()
    runs.act("op", StopAttempt(attempt="1.1.1", why="over"), None)
    assert time.monotonic() - began > 1.5
    assert list(marked(folder.root)) == []
    assert runs.find("op", StopAttempt(attempt="1.1.1", why="over")) == "1.1.1"


def unmarked(home: Path) -> LocalExecutor:
    """An executor whose processes claim late, and cannot be told by their environment."""
    folder = Home(home).gate("1.1.1").root
    late = f"""
import os, time
os.environ["AGENTLOOP_RUN"] = {str(folder)!r}
while not os.path.exists({str(folder / "go")!r}):
    time.sleep(0.02)
"""
    words = ("/usr/bin/env", "-i", sys.executable, "-I", "-c", f"{late}{CLAIM}time.sleep(600)")
    return LocalExecutor(home, command=words, stop_seconds=2)


def test_one_that_is_slow_to_claim_is_not_lost(tmp_path: Path) -> None:
    """That very process lives, so it is waited for; once it has claimed, it is the one that runs."""
    runs = unmarked(tmp_path)
    runs.act("op", START, spec(tmp_path))
    folder = Home(tmp_path).gate("1.1.1")
    wait_for(lambda: not list(marked(folder.root)))
    for _ in range(3):
        assert isinstance(runs.observe(GATE)[0], Running)
        assert runs.find("op", START) == "1.1.1"
    assert not folder.claim.exists()
    (folder.root / "go").touch()
    wait_for(folder.claim.exists)
    assert isinstance(runs.observe(GATE)[0], Running)
    runs.act("op", StopAttempt(attempt="1.1.1", why="over"), None)
    assert runs.observe(GATE) == (Lost(attempt="1.1.1", role="gate"),)


def test_one_that_is_stopped_before_its_claim_never_comes(tmp_path: Path) -> None:
    """The stop is not done before it is gone, and the claim is taken from it."""
    runs = unmarked(tmp_path)
    stop = StopAttempt(attempt="1.1.1", why="over")
    runs.act("op", START, spec(tmp_path))
    assert runs.find("op", stop) is None
    runs.act("op", stop, None)
    assert runs.find("op", stop) == "1.1.1"
    assert runs.observe(GATE) == (Lost(attempt="1.1.1", role="gate"),)
    assert Home(tmp_path).gate("1.1.1").claim.exists()


def test_one_that_dies_before_its_claim_is_lost_at_once(tmp_path: Path) -> None:
    """No waiting for a process that is not there; its words are in the log."""
    runs = executor(tmp_path, "raise SystemExit('broken installation')")
    runs.act("op", START, spec(tmp_path))
    folder = Home(tmp_path).gate("1.1.1")
    wait_for(lambda: not list(marked(folder.root)))
    assert runs.observe(GATE) == (Lost(attempt="1.1.1", role="gate"),)
    assert "broken installation" in folder.log.read_text()


def test_a_verdict_counts_even_when_its_process_is_gone(tmp_path: Path) -> None:
    """What a gate wrote durably before it ended is what is seen."""
    broken = GateBroken(attempt="1.1.1", reason="no disk", at=datetime(2026, 11, 20, tzinfo=UTC))
    folder = Home(tmp_path).gate("1.1.1")
    folder.root.mkdir(parents=True)
    folder.verdict.write_text(json.dumps(encode(broken)))
    assert executor(tmp_path, "").observe(GATE) == (GateEnded(attempt="1.1.1", verdict=broken),)


def test_records_that_make_no_sense_are_a_loss(tmp_path: Path) -> None:
    """Torn or foreign records are not taken for an end."""
    folder = Home(tmp_path).gate("1.1.1")
    folder.root.mkdir(parents=True)
    for text in ("", "[]", "{", '{"is": "verdict"}', '"x"', "null"):
        folder.verdict.write_text(text)
        folder.claim.write_text(text)
        assert executor(tmp_path, "").observe(GATE) == (Lost(attempt="1.1.1", role="gate"),)


def test_a_start_without_a_spec_is_refused(tmp_path: Path) -> None:
    """There is nothing to start."""
    with pytest.raises(ConflictError):
        executor(tmp_path, "").act("op", START, None)


def test_stopping_what_never_was_does_nothing(tmp_path: Path) -> None:
    """No folder is made by it."""
    runs = executor(tmp_path, "")
    stop = StopAttempt(attempt="9.9.9", why="x")
    assert runs.act("op", stop, None) == "9.9.9"
    assert runs.find("op", stop) == "9.9.9"
    assert list(tmp_path.iterdir()) == []


def test_sweeping_follows_no_link_and_keeps_what_is_kept(tmp_path: Path) -> None:
    """Deep trees, closed folders and links: the trees go, what they point at stays."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_text("p")
    for name in ("1.1.1", "1.1.2"):
        tree = Home(tmp_path).attempt(name).tree
        tree.mkdir(parents=True)
        (tree / "link").symlink_to(outside)
        deep = tree
        for _ in range(60):
            deep /= "d" * 40
        deep.mkdir(parents=True)
        tree.chmod(0o555)
    assert executor(tmp_path, "").sweep(frozenset({"1.1.2"})) == ("1.1.1",)
    assert not Home(tmp_path).attempt("1.1.1").tree.exists()
    assert Home(tmp_path).attempt("1.1.2").tree.exists()
    assert (outside / "precious").read_text() == "p"
    Home(tmp_path).attempt("1.1.2").tree.chmod(0o755)


MEET = """
import os, sys, time
from pathlib import Path
folder = Path(sys.argv[sys.argv.index("--home") + 1])
(folder / f"came-{os.getpid()}").touch()
until = time.monotonic() + 60
while len(list(folder.glob("came-*"))) < 3 and time.monotonic() < until:
    time.sleep(0.02)
(folder / f"met-{len(list(folder.glob('came-*')))}-{os.getpid()}").touch()
"""


def test_what_several_killed_attempts_left_is_handed_over_side_by_side(tmp_path: Path) -> None:
    """A cycle waits for the longest of them, not for one after the other: each meets the others."""
    gone = {**encode(me()), "pid": 2**22 + 1}
    for number in (1, 2, 3):
        folder = Home(tmp_path).attempt(f"{number}.1.1")
        (folder.root / "tree").mkdir(parents=True)
        folder.claim.write_text(json.dumps(gone))
    names = frozenset(f"attempt:{number}.1.1" for number in (1, 2, 3))
    found = executor(tmp_path, MEET).observe(names)
    assert [type(one) for one in found] == [Lost, Lost, Lost]
    assert sorted(path.name[:6] for path in tmp_path.glob("met-*")) == ["met-3-"] * 3
