"""The supervisor as a process of its own, on homes of its own, with small real programs as its cycles."""

from __future__ import annotations

import json
import os
import pty
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from agentloop import exits, light
from agentloop.edges import runfolder
from agentloop.edges.processes import identity_of
from agentloop.supervision.ending import GRACE_SECONDS
from agentloop.supervisor import SETTLE_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SUPERVISE = """
import sys
from pathlib import Path
from agentloop import exits, supervisor
from agentloop.errors import AgentloopError
from agentloop.supervision.commands import Commands

home, options = Path(sys.argv[1]), sys.argv[2:]
python = (sys.executable, "-I", "-S")
commands = Commands(cycle=(*python, f"{home}.cycle.py"), compile=(*python, f"{home}.compile.py"))
counts = [int(word) for word in options if word.isdigit()]
try:
    code = supervisor.run(
        home,
        once="once" in options,
        max_cycles=counts[0] if counts else None,
        commands=commands,
        inotify="polling" not in options,
    )
except AgentloopError as error:
    print(error, file=sys.stderr)
    code = exits.code_for(error)
sys.exit(code)
"""

PRELUDE = """
import json, os, signal, subprocess, sys, time
home = sys.argv[sys.argv.index("--home") + 1]
run = home + "/.agentloop/run"
def note(word):
    with open(home + ".notes", "a") as stream:
        stream.write(word + "\\n")
def take():
    try:
        os.unlink(run + "/wake")
        note("taken")
    except FileNotFoundError:
        pass
def number():
    with open(home + ".notes") as stream:
        return stream.read().split().count("cycle")
def await_file(name):
    while not os.path.exists(home + "." + name):
        time.sleep(0.01)
def stamp(path):
    found = os.stat(os.path.join(home, path))
    return [found.st_mtime_ns, found.st_size, found.st_ino]
def sleep(seconds, **more):
    until = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + seconds))
    said = {"cycle": number(), "until": until, "reason": "nothing to do", "kind": "idle", "saw": {}, **more}
    with open(run + "/sleep.tmp", "w") as stream:
        json.dump(said, stream)
    os.replace(run + "/sleep.tmp", run + "/sleep.json")
def claim(pid, folder):
    stat = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
    boot = open("/proc/sys/kernel/random/boot_id").read().strip()
    os.makedirs(folder, exist_ok=True)
    with open(folder + "/claim.tmp", "w") as stream:
        json.dump({"pid": pid, "boot_id": boot, "start_ticks": int(stat[19])}, stream)
    os.replace(folder + "/claim.tmp", folder + "/claim.json")
note("cycle")
"""

COMPILE = """
import json, os, sys
home = sys.argv[sys.argv.index("--home") + 1]
text = open(home + "/agentloop.toml").read()
if "nonsense" in text:
    sys.exit("agentloop.toml:1: nonsense is no setting")
os.makedirs(home + "/.agentloop", exist_ok=True)
with open(home + "/.agentloop/settings.json", "w") as stream:
    json.dump({"supervision": json.loads(text or "{}")}, stream)
"""

BOUND_SECONDS = 90.0
IDLE = "take()\nsleep(600)\n"


def eventually(holds: Callable[[], Any], what: str) -> None:
    """Wait until `holds()` is true; fail with `what` when it does not become so.

    The bound is far below the ten minutes that cycles ask to sleep, and far above what a busy machine takes.
    """
    give_up = time.monotonic() + BOUND_SECONDS
    while not holds():
        assert time.monotonic() < give_up, what
        time.sleep(0.01)


@dataclass
class Den:
    """A home under test, and what its cycles noted."""

    root: Path

    def cycle(self, body: str) -> None:
        """Say what a cycle does from now on."""
        Path(f"{self.root}.cycle.py").write_text(PRELUDE + body)

    def settings(self, **supervision: int) -> None:
        """Write agentloop.toml, which the compiler of these tests reads as JSON."""
        (self.root / "agentloop.toml").write_text(json.dumps(supervision))

    def notes(self) -> list[str]:
        """Return what the cycles noted so far."""
        with suppress(FileNotFoundError):
            return Path(f"{self.root}.notes").read_text().split()
        return []

    def cycles(self) -> int:
        """Return how many cycles were started."""
        return self.notes().count("cycle")

    def mark(self, name: str) -> None:
        """Make the file that a cycle waits for."""
        Path(f"{self.root}.{name}").touch()

    def status(self) -> dict[str, Any]:
        """Return run/status.json."""
        return runfolder.read_object(str(self.root / ".agentloop/run/status.json")) or {}

    def is_asleep(self, cycles: int = 1) -> bool:
        """Return whether the supervisor rests after that many cycles."""
        return self.cycles() == cycles and self.status().get("state") in ("sleeping", "backoff")

    def has_slept_since(self, cycles: int) -> bool:
        """Return whether the supervisor rests after more than that many cycles."""
        return self.cycles() > cycles and self.status().get("state") in ("sleeping", "backoff")

    def said(self) -> str:
        """Return the supervisor's log."""
        return Path(f"{self.root}.log").read_text()

    @contextmanager
    def supervised(self, *options: str, **environ: str) -> Iterator[subprocess.Popen[bytes]]:
        """Run the supervisor; at the end it is killed if it still runs."""
        command = (sys.executable, "-P", "-c", SUPERVISE, str(self.root), *options)
        with Path(f"{self.root}.log").open("ab") as log:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stderr=log, env={**os.environ, **environ}
            )
        try:
            yield process
        finally:
            process.kill()
            process.wait()

    def stop(self, process: subprocess.Popen[bytes]) -> int:
        """Ask the supervisor to stop and return its exit code."""
        process.terminate()
        return process.wait(BOUND_SECONDS)


@pytest.fixture
def den(tmp_path: Path) -> Den:
    """Return an empty home whose cycles do nothing but sleep."""
    root = tmp_path / "home"
    (root / "memories").mkdir(parents=True)
    (root / "memories/consensus.md").write_text("relay\n")
    (root / "tracker/issues").mkdir(parents=True)
    Path(f"{root}.compile.py").write_text(COMPILE)
    found = Den(root)
    found.settings()
    found.cycle(IDLE)
    return found


def test_a_trigger_wakes_a_sleeping_loop(den: Den) -> None:
    """`wake` starts a cycle at once, and that cycle takes the trigger away."""
    with den.supervised():
        eventually(den.is_asleep, "the first cycle ends in sleep")
        runfolder.append_wake(str(den.root), "please")
        eventually(lambda: den.is_asleep(2), "the trigger starts a cycle")
    assert den.notes() == ["cycle", "cycle", "taken"]


def test_a_trigger_that_comes_while_a_cycle_runs_is_not_lost(den: Den) -> None:
    """The cycle took the trigger before it looked; one left after that starts the next cycle at once."""
    den.cycle("take()\nnote('looked')\nawait_file('go')\nsleep(600)\n")
    with den.supervised():
        eventually(lambda: "looked" in den.notes(), "the cycle runs")
        runfolder.append_wake(str(den.root), "late")
        den.mark("go")
        eventually(lambda: den.is_asleep(2), "the late trigger starts a second cycle")
    assert den.notes() == ["cycle", "looked", "cycle", "taken", "looked"]


def test_the_run_folder_may_be_deleted_and_replaced(den: Den) -> None:
    """It is made anew, with who supervises and the lock in it; a cycle looks at once what was lost with it.

    The trigger in the new one is heard.
    """
    with den.supervised() as process:
        eventually(den.is_asleep, "asleep")
        for _ in range(2):
            before = den.cycles()
            shutil.rmtree(den.root / ".agentloop")
            eventually(partial(den.has_slept_since, before), "a cycle looks without being asked")
            assert runfolder.supervisor_of(str(den.root))
            before = den.cycles()
            runfolder.append_wake(str(den.root), "after the loss")
            eventually(partial(den.has_slept_since, before), "the trigger was heard")
        assert den.stop(process) == exits.OK


def test_a_journal_that_vanishes_starts_a_cycle(den: Den) -> None:
    """What it held is read back at once, not when the sleep is over; a home that has none sleeps on."""
    journal = den.root / "journal"
    journal.mkdir()
    (journal / "2026-11.jsonl").write_text("{}\n")
    with den.supervised():
        eventually(den.is_asleep, "asleep")
        shutil.rmtree(journal)
        eventually(lambda: den.is_asleep(2), "a cycle looks without being asked")
        runfolder.append_wake(str(den.root), "and it sleeps on without one")
        eventually(lambda: den.is_asleep(3), "the trigger is heard")
    assert den.cycles() == 3


def test_the_run_folder_may_be_moved_away(den: Den) -> None:
    """A folder under the same name is watched, not the one that was moved."""
    with den.supervised():
        eventually(den.is_asleep, "asleep")
        (den.root / ".agentloop").rename(den.root.with_name("elsewhere"))
        eventually(partial(den.has_slept_since, 1), "a cycle looks without being asked")
        before = den.cycles()
        runfolder.append_wake(str(den.root), "after the move")
        eventually(partial(den.has_slept_since, before), "the trigger in the new folder is heard")


def test_without_inotify_it_polls(den: Den) -> None:
    """Where the kernel cannot tell, a look every poll_seconds finds the trigger and the edit."""
    den.settings(poll_seconds=1)
    with den.supervised("polling"):
        eventually(den.is_asleep, "asleep")
        runfolder.append_wake(str(den.root), "please")
        eventually(lambda: den.is_asleep(2), "polling finds the trigger")
        (den.root / "memories/consensus.md").write_text("edited\n")
        eventually(lambda: den.is_asleep(3), "polling finds the edit")


START_ATTEMPT = """
take()
folder = home + "/.agentloop/attempts/7.1.1"
if not os.path.exists(folder):
    script = "import os, sys, time\\nwhile not os.path.exists(sys.argv[1]): time.sleep(0.01)"
    attempt = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", script, home + ".end"], start_new_session=True,
        env={}, stdin=subprocess.DEVNULL,
    )
    note(f"pid:{attempt.pid}")
    %s
sleep(600)
"""


def attempt_pid(den: Den) -> int:
    """Return the pid of the attempt that a cycle started."""
    return next(int(note.removeprefix("pid:")) for note in den.notes() if note.startswith("pid:"))


def test_the_end_of_an_attempt_starts_a_cycle(den: Den) -> None:
    """Its pidfd wakes the loop; while it runs, it outlives the cycle that started it."""
    den.cycle(START_ATTEMPT % "claim(attempt.pid, folder)")
    with den.supervised():
        eventually(den.is_asleep, "asleep while the attempt runs")
        time.sleep(0.3)
        assert den.is_asleep()
        assert identity_of(attempt_pid(den)) is not None
        den.mark("end")
        eventually(lambda: den.is_asleep(2), "its end starts a cycle")


def test_an_attempt_that_claims_after_its_cycle_is_watched_too(den: Den) -> None:
    """The cycle may be gone before its attempt has claimed: the claim is waited for, then the end."""
    den.cycle(START_ATTEMPT % "os.makedirs(folder)")
    with den.supervised():
        eventually(den.is_asleep, "asleep before the claim")
        time.sleep(0.2)
        identity = identity_of(attempt_pid(den))
        assert identity is not None
        claim = {"pid": identity.pid, "boot_id": identity.boot_id, "start_ticks": identity.start_ticks}
        runfolder.write_object(str(den.root / ".agentloop/attempts/7.1.1/claim.json"), {"by": claim})
        time.sleep(0.2)
        den.mark("end")
        eventually(lambda: den.is_asleep(2), "its end starts a cycle")


def test_a_claim_that_a_cycle_took_is_waited_for_no_longer(den: Den) -> None:
    """A run that was lost has a claim without a process: it is no news, and its folder is not watched."""
    folder = den.root / ".agentloop/attempts/7.1.1"
    folder.mkdir(parents=True)
    (folder / "claim.json").write_text('{"taken_by": "the executor"}')
    with den.supervised():
        eventually(den.is_asleep, "asleep")
        (folder / "heartbeat").touch()
        time.sleep(0.3)
        assert den.is_asleep()


def test_an_attempt_that_ends_while_a_cycle_runs_is_not_missed(den: Den) -> None:
    """The cycle may have looked before it ended: one more cycle follows."""
    hurry = "claim(attempt.pid, folder); open(home + '.end', 'w'); attempt.wait()"
    den.cycle(START_ATTEMPT % hurry)
    with den.supervised():
        eventually(lambda: den.is_asleep(2), "a second cycle looks at the end")
        time.sleep(0.3)
        assert den.is_asleep(2)


def test_edits_wake_and_a_burst_of_them_is_one_cycle(den: Den) -> None:
    """An editor's writes settle first; then one cycle sees them all."""
    den.cycle(
        "take()\nsaw = {'memories/consensus.md': stamp('memories/consensus.md')}\nsleep(600, saw=saw)\n"
    )
    with den.supervised():
        eventually(den.is_asleep, "asleep")
        cycles = 1
        while _longest_gap_of_a_burst(den) > SETTLE_SECONDS / 2:  # we were held up: that was no burst
            time.sleep(1)
            eventually(lambda: den.is_asleep(den.cycles()), "asleep again")
            cycles = den.cycles()
        eventually(lambda: den.is_asleep(cycles + 1), "the edits start a cycle")
        (den.root / "tracker/issues/0001.md").write_text("a new issue\n")
        eventually(lambda: den.is_asleep(cycles + 2), "a new issue starts a cycle")
        time.sleep(0.6)
        assert den.cycles() == cycles + 2


def _longest_gap_of_a_burst(den: Den) -> float:
    times = []
    for word in range(5):
        (den.root / "memories/consensus.md").write_text(f"edit {word}\n")
        times.append(time.monotonic())
        time.sleep(0.05)
    return max(later - earlier for earlier, later in pairwise(times))


def test_an_edit_while_a_cycle_runs_starts_the_next_one(den: Den) -> None:
    """What the cycle saw is compared with what is there when it ended."""
    look = "saw = {'memories/consensus.md': stamp('memories/consensus.md')}\n"
    den.cycle(f"{look}note('looked')\nawait_file('go')\nsleep(600, saw=saw)\n")
    with den.supervised():
        eventually(lambda: "looked" in den.notes(), "the cycle runs")
        (den.root / "memories/consensus.md").write_text("a person's words\n")
        den.mark("go")
        eventually(lambda: den.is_asleep(2), "the edit starts a second cycle")


def test_what_cycles_write_themselves_starts_nothing(den: Den) -> None:
    """Neither files they report as left by them, nor issues that they wrote to without a word."""
    (den.root / "tracker/issues/0001.md").write_text("an issue\n")
    den.cycle(
        "for path in ('memories/consensus.md', 'tracker/issues/0001.md'):\n"
        "    open(os.path.join(home, path), 'a').write('ours')\n"
        "sleep(600, saw={'memories/consensus.md': stamp('memories/consensus.md')})\n"
    )
    with den.supervised():
        eventually(den.is_asleep, "asleep")
        time.sleep(0.8)
        assert den.cycles() == 1


def test_asleep_it_does_not_wake_up(den: Den) -> None:
    """Not one switch of context in two seconds, with an attempt alive beside it; and below 28 MB."""
    den.cycle(START_ATTEMPT % "claim(attempt.pid, folder)")
    with den.supervised() as process:
        eventually(den.is_asleep, "asleep")
        eventually(lambda: _is_still(process.pid, 2), "two seconds without a switch")
        assert _proc_status(process.pid, "VmRSS") <= 28_000
        den.mark("end")


def _is_still(pid: int, seconds: float) -> bool:
    before = _proc_status(pid, "voluntary_ctxt_switches")
    time.sleep(seconds)
    return _proc_status(pid, "voluntary_ctxt_switches") == before


def _proc_status(pid: int, name: str) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1])
    raise AssertionError(name)


def test_a_stop_lets_the_cycle_in_hand_finish(den: Den) -> None:
    """SIGTERM waits for it within drain_seconds, and the exit code is 0."""
    den.cycle("note('begun')\ntime.sleep(0.5)\nnote('finished')\nsleep(600)\n")
    with den.supervised() as process:
        eventually(lambda: "begun" in den.notes(), "the cycle runs")
        assert den.stop(process) == exits.OK
    assert den.notes() == ["cycle", "begun", "finished"]
    assert den.status()["state"] == "stopped"


def test_a_stop_ends_a_cycle_that_outlasts_the_drain(den: Den) -> None:
    """After drain_seconds its group is asked to end, and the supervisor leaves."""
    den.settings(drain_seconds=1)
    den.cycle("note('begun')\ntime.sleep(60)\nnote('finished')\n")
    with den.supervised() as process:
        eventually(lambda: "begun" in den.notes(), "the cycle runs")
        began = time.monotonic()
        assert den.stop(process) == exits.OK
        assert 0.9 < time.monotonic() - began < 50
    assert den.notes() == ["cycle", "begun"]


def test_a_second_signal_means_now(den: Den) -> None:
    """Even a cycle that ignores SIGTERM is gone at once."""
    den.cycle("signal.signal(signal.SIGTERM, signal.SIG_IGN)\nnote('begun')\ntime.sleep(60)\n")
    with den.supervised() as process:
        eventually(lambda: "begun" in den.notes(), "the cycle runs")
        process.terminate()
        eventually(lambda: den.status().get("state") == "draining", "it drains")
        began = time.monotonic()
        process.terminate()
        assert process.wait(BOUND_SECONDS) == exits.OK
        assert time.monotonic() - began < GRACE_SECONDS


LEAVE_A_MESS = """
child = "import time; time.sleep(300)"
def leave(**options):
    left = subprocess.Popen([sys.executable, "-I", "-S", "-c", child], **options)
    note(f"left:{left.pid}")
    return left
leave()
leave(start_new_session=True)
subprocess.run(["sh", "-c", "setsid setsid sh -c 'sleep 301 & echo left:$! >> " + home + ".notes; wait' &"])
attempt = leave(start_new_session=True)
claim(attempt.pid, home + "/.agentloop/attempts/7.1.1")
note("spared")
"""


def test_a_deadline_ends_the_cycle_and_all_it_left_but_no_attempt(den: Den) -> None:
    """Its group, children in sessions of their own, their orphans: all go; a claimed attempt stays."""
    den.settings(cycle_deadline_seconds=4, backoff_seconds=600)
    den.cycle(LEAVE_A_MESS + "time.sleep(60)\n")
    with den.supervised():
        eventually(den.is_asleep, "the deadline ends the cycle")
        pids = [int(note.removeprefix("left:")) for note in den.notes() if note.startswith("left:")]
        assert len(pids) == 4
        claim = runfolder.read_object(str(den.root / ".agentloop/attempts/7.1.1/claim.json")) or {}
        alive = [pid for pid in pids if identity_of(pid) is not None]
        os.kill(claim["pid"], signal.SIGKILL)
        assert alive == [claim["pid"]]
    assert "outlived its deadline" in den.said()


def test_failing_cycles_are_backed_off_and_open_the_breaker(den: Den) -> None:
    """Each waits longer; from breaker_after on one try at a time; a wake is a try; success closes it."""
    den.settings(backoff_seconds=1, breaker_after=3, breaker_seconds=600)
    den.cycle("sys.exit(1)\n")
    with den.supervised():
        eventually(lambda: den.is_asleep(3), "three tries")
        eventually(lambda: "breaker open: 3 cycles" in den.status()["reason"], "the breaker opens")
        den.cycle(IDLE)
        runfolder.append_wake(str(den.root), "mended")
        eventually(lambda: den.status()["state"] == "sleeping", "a wake closes it")
    assert den.cycles() == 4


def test_a_failing_cycle_is_not_believed(den: Den) -> None:
    """What it left in run/sleep.json does not count: the outcome comes from the process."""
    den.settings(backoff_seconds=600)
    den.cycle("sleep(0)\nos.kill(os.getpid(), signal.SIGKILL)\n")
    with den.supervised():
        eventually(den.is_asleep, "it rests")
        assert (den.status()["state"], den.cycles()) == ("backoff", 1)
        assert "signal 9" in den.status()["reason"]


def test_an_old_word_about_sleep_is_not_believed(den: Den) -> None:
    """A cycle that says nothing gets the default sleep, not the last cycle's."""
    den.cycle("sleep(600) if number() == 1 else None\ntake()\n")
    with den.supervised():
        eventually(den.is_asleep, "asleep")
        runfolder.append_wake(str(den.root), "again")
        eventually(lambda: den.is_asleep(2), "asleep again")
        eventually(lambda: "no word" in den.status()["reason"], "the default is said")


def test_a_home_held_by_a_cycle_by_hand_is_no_failure(den: Den) -> None:
    """The code for busy is tried again soon and opens no breaker."""
    den.settings(breaker_after=1, breaker_seconds=600)
    den.cycle(f"sys.exit({exits.BUSY}) if number() == 1 else sleep(600)\n")
    with den.supervised():
        eventually(lambda: den.status().get("state") == "sleeping", "it tries again")
    assert den.cycles() == 2


def test_a_hot_loop_is_held_back(den: Den) -> None:
    """Cycles that always ask for the next one at once get 20 a minute, and it is said."""
    den.cycle("sleep(0)\n")
    with den.supervised():
        eventually(lambda: "20 cycles within a minute" in den.status().get("reason", ""), "held back")
    assert den.cycles() == 20


def test_an_invalid_edit_keeps_the_last_good_settings(den: Den) -> None:
    """It is said in status and log; a valid edit ends the complaint and starts a cycle."""
    with den.supervised() as process:
        eventually(den.is_asleep, "asleep")
        (den.root / "agentloop.toml").write_text("nonsense")
        eventually(lambda: "nonsense is no setting" in den.status()["notice"], "the complaint is shown")
        cycles = den.cycles()
        runfolder.append_wake(str(den.root), "still works")
        eventually(lambda: den.has_slept_since(cycles), "cycles go on")
        cycles = den.cycles()
        den.settings(poll_seconds=7)
        eventually(lambda: den.has_slept_since(cycles), "new settings start a cycle")
        assert den.status()["notice"] == ""
        cycles = den.cycles()
        process.send_signal(signal.SIGHUP)
        eventually(lambda: den.has_slept_since(cycles), "SIGHUP compiles again")
    assert "the last good ones stay in force" in den.said()


def test_settings_that_are_written_while_they_are_compiled_are_compiled_again(den: Den) -> None:
    """The compiler read the file before the last word was in it; that word counts, in the same turn."""
    late = (
        "with open(home + '.compiles', 'a') as stream:\n"
        "    stream.write('x')\n"
        "if os.path.getsize(home + '.compiles') == 2:\n"
        "    with open(home + '/agentloop.toml', 'w') as stream:\n"
        "        stream.write('{\"poll_seconds\": 8}')\n"
    )
    Path(f"{den.root}.compile.py").write_text(COMPILE + late)
    with den.supervised():
        eventually(den.is_asleep, "asleep")
        den.settings(poll_seconds=7)
        eventually(lambda: den.has_slept_since(1), "new settings start a cycle")
        settings = json.loads((den.root / ".agentloop/settings.json").read_text())
    assert settings == {"supervision": {"poll_seconds": 8}}
    assert (Path(f"{den.root}.compiles").stat().st_size, den.cycles()) == (3, 2)


def test_a_closed_terminal_is_a_stop(den: Den) -> None:
    """SIGHUP from a window that was closed does not leave a loop behind that nobody sees."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(sys.executable, (sys.executable, "-P", "-c", SUPERVISE, str(den.root)))  # noqa: S606 -- it is us
    eventually(den.is_asleep, "asleep")
    said = ""
    while "asleep until" not in said:
        said += os.read(terminal, 65536).decode()
    os.close(terminal)
    eventually(lambda: den.status()["state"] == "stopped", "it stops")
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == exits.OK


def test_without_any_good_settings_it_does_not_start(den: Den) -> None:
    """The message is the compiler's, the exit code the one for settings, and no cycle ran."""
    (den.root / "agentloop.toml").write_text("nonsense")
    with den.supervised() as process:
        assert process.wait(BOUND_SECONDS) == exits.SETTINGS
    assert "nonsense is no setting" in den.said()
    assert den.cycles() == 0


def test_an_invalid_file_at_the_start_leaves_earlier_settings_in_force(den: Den) -> None:
    """Settings that were compiled before the restart are good enough to go on with."""
    with den.supervised() as process:
        eventually(den.is_asleep, "asleep")
        den.stop(process)
    (den.root / "agentloop.toml").write_text("nonsense")
    with den.supervised():
        eventually(lambda: den.is_asleep(2), "it starts all the same")
        assert "nonsense is no setting" in den.status()["notice"]


def test_two_supervisors_on_one_home(den: Den) -> None:
    """The second says who has it, leaves with a code of its own, and disturbs nothing."""
    with den.supervised() as first:
        eventually(den.is_asleep, "asleep")
        with den.supervised() as second:
            assert second.wait(BOUND_SECONDS) == exits.BUSY
        assert f"pid {first.pid}, since 20" in den.said()
        assert runfolder.supervisor_of(str(den.root)) is not None


def test_a_killed_supervisor_leaves_nothing_in_the_way(den: Den) -> None:
    """The next one starts at once, and first outlives the cycle that was left behind."""
    den.cycle("note('begun')\ntime.sleep(1)\nnote('finished')\nsleep(600)\n")
    with den.supervised() as process:
        eventually(lambda: "begun" in den.notes(), "the cycle runs")
        eventually(lambda: den.status().get("cycle"), "its process is written down")
        process.kill()
    with den.supervised():
        eventually(lambda: den.is_asleep(2), "the next supervisor carries on")
    assert den.notes() == ["cycle", "begun", "finished"] * 2


def test_a_pause_has_an_end(den: Den) -> None:
    """No cycle starts while it lasts, not even for a wake; then it is removed, said, and a cycle starts."""
    with den.supervised():
        eventually(den.is_asleep, "asleep")
        until = time.time() + 4
        pause = {"until": runfolder.text_of(until), "reason": "moving the server", "by": "ann"}
        runfolder.write_object(str(den.root / "pause.json"), pause)
        eventually(lambda: den.status()["state"] == "paused", "it pauses")
        assert den.status()["reason"] == "moving the server (by ann)"
        runfolder.append_wake(str(den.root), "not now")
        time.sleep(0.5)
        assert den.cycles() == 1 or time.time() > until - 1
        eventually(lambda: den.is_asleep(2), "it goes on at the end")
    assert not (den.root / "pause.json").exists()
    assert "the pause is over (moving the server)" in den.said()


def test_a_resume_is_one_cycle(den: Den) -> None:
    """The end of the pause and the trigger that goes with it are one reason, not two."""
    with den.supervised():
        eventually(den.is_asleep, "asleep")
        assert light.pause(str(den.root), "1h", "lunch") == exits.OK
        eventually(lambda: den.status()["state"] == "paused", "it pauses")
        assert light.resume(str(den.root)) == exits.OK
        eventually(lambda: den.is_asleep(2), "it goes on")
        time.sleep(0.3)
    assert den.notes() == ["cycle", "cycle", "taken"]


def test_an_unreadable_pause_is_a_pause(den: Den) -> None:
    """Fail closed, with the fix said, for a day from when it was written and no longer."""
    pause = den.root / "pause.json"
    pause.write_text("until tomorrow, I hope")
    with den.supervised():
        eventually(lambda: den.status().get("state") == "paused", "it pauses")
        assert "agentloop resume" in den.status()["reason"]
        assert den.cycles() == 0
        os.utime(pause, (time.time() - 90_000, time.time() - 90_000))
        (den.root / "memories/touched").touch()
        eventually(den.is_asleep, "after a day it is over")


def test_once_and_max_cycles(den: Den) -> None:
    """They end with the last cycle's code; a pause refuses `--once`."""
    den.cycle(f"sleep(0)\nsys.exit({exits.MODEL} if number() == 1 else 0)\n")
    with den.supervised("once") as process:
        assert process.wait(BOUND_SECONDS) == exits.MODEL
    with den.supervised("3") as process:
        assert process.wait(BOUND_SECONDS) == exits.OK
    assert den.cycles() == 4
    runfolder.write_object(
        str(den.root / "pause.json"), {"until": runfolder.text_of(time.time() + 60), "reason": "r", "by": "b"}
    )
    with den.supervised("once") as process:
        assert process.wait(BOUND_SECONDS) == exits.CONFLICT
    assert den.cycles() == 4


@pytest.mark.parametrize("kind", ["path", "abstract"])
def test_systemd_is_told(den: Den, tmp_path: Path, kind: str) -> None:
    """READY, STATUS, the watchdog's beat, RELOADING and STOPPING, on a real socket."""
    name = str(tmp_path / "notify") if kind == "path" else f"@agentloop-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(name.replace("@", "\0", 1))
        listener.settimeout(0)
        with den.supervised(NOTIFY_SOCKET=name, WATCHDOG_USEC="400000") as process:
            told: list[str] = []
            eventually(lambda: _beats(told, listener) >= 4, "it beats")
            eventually(den.is_asleep, "asleep")
            process.send_signal(signal.SIGHUP)
            eventually(lambda: den.is_asleep(2), "reloaded")
            told += _datagrams(listener)
            assert den.stop(process) == exits.OK
        told += _datagrams(listener)
    firsts = [message.split("\n")[0].split("=")[0] for message in told]
    assert firsts.index("READY") < firsts.index("RELOADING") < firsts.index("STOPPING")
    assert firsts.count("READY") == 2
    assert any(message.startswith("STATUS=sleeping until") for message in told)


def _beats(told: list[str], listener: socket.socket) -> int:
    told += _datagrams(listener)
    return sum(message.startswith("WATCHDOG") for message in told)


def test_a_reload_leaves_the_status_as_it_was(den: Den, tmp_path: Path) -> None:
    """Settings that were refused are shown as refused, however often they are read again."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "notify"))
        listener.settimeout(0)
        with den.supervised(NOTIFY_SOCKET=str(tmp_path / "notify")) as process:
            eventually(den.is_asleep, "asleep")
            (den.root / "agentloop.toml").write_text("nonsense")
            eventually(lambda: "nonsense is no setting" in den.status()["notice"], "the complaint is shown")
            told = _datagrams(listener)
            process.send_signal(signal.SIGHUP)
            eventually(lambda: den.said().count("settings.refused") == 2, "read again")
            eventually(lambda: _heard(told, listener)[-1:] == ["READY=1"], "ready again")
    assert "RELOADING=1" in told[-2].split("\n")
    assert "nonsense is no setting" in [message for message in told if "STATUS=" in message][-1]


def _heard(told: list[str], listener: socket.socket) -> list[str]:
    told += _datagrams(listener)
    return told


def test_systemd_waits_for_the_drain(den: Den, tmp_path: Path) -> None:
    """However long a stop may take by the settings, systemd is told, and does not kill us before."""
    den.settings(drain_seconds=1000)
    den.cycle("note('begun')\nawait_file('go')\n")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "notify"))
        listener.settimeout(0)
        with den.supervised(NOTIFY_SOCKET=str(tmp_path / "notify")) as process:
            eventually(lambda: "begun" in den.notes(), "the cycle runs")
            process.terminate()
            eventually(lambda: den.status()["state"] == "draining", "draining")
            den.mark("go")
            assert process.wait(BOUND_SECONDS) == exits.OK
        told = _datagrams(listener)
    assert "EXTEND_TIMEOUT_USEC=1020000000" in told


def _datagrams(listener: socket.socket) -> list[str]:
    found = []
    with suppress(BlockingIOError):
        while True:
            found.append(listener.recv(65536).decode())
    return found


def test_the_watchdog_is_not_fed_by_a_cycle_that_cannot_be_ended(den: Den, tmp_path: Path) -> None:
    """Within its deadline a long cycle is progress; beyond it, being alive is not."""
    den.settings(cycle_deadline_seconds=1)
    den.cycle("signal.signal(signal.SIGTERM, signal.SIG_IGN)\nnote('begun')\ntime.sleep(60)\n")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "notify"))
        listener.settimeout(0)
        with den.supervised(NOTIFY_SOCKET=str(tmp_path / "notify"), WATCHDOG_USEC="400000"):
            eventually(lambda: "begun" in den.notes(), "the cycle runs")
            eventually(lambda: "WATCHDOG=1" in _datagrams(listener), "it is fed")
            # From the deadline until SIGKILL, which comes GRACE_SECONDS later.
            eventually(lambda: _is_silent(listener, 1.2), "it is fed no more")
            assert den.status()["state"] == "cycling"


def _is_silent(listener: socket.socket, seconds: float) -> bool:
    _datagrams(listener)
    time.sleep(seconds)
    return _datagrams(listener) == []


def test_the_clock_of_the_sleep_is_its_own(den: Den) -> None:
    """A sleep of two seconds is over after two seconds of the monotonic clock."""
    den.cycle("take()\nsleep(2 if number() == 1 else 600)\n")
    with den.supervised():
        eventually(lambda: den.is_asleep(2), "the sleep ends by itself")


def test_the_unit_file_verifies() -> None:
    """systemd-analyze has nothing to say about it."""
    unit = Path(__file__).parents[2] / "systemd/agentloop.service"
    tool = shutil.which("systemd-analyze")
    if tool is None:
        pytest.skip("systemd-analyze is missing: apt-get install systemd")
    done = subprocess.run((tool, "verify", str(unit)), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
