"""The supervisor asleep: what it holds and does, and how soon it acts when something happens.

Two moments count: when it has decided, which is when it calls for the start of a cycle, and when that cycle
has begun. The cycle is a small shell script here that writes down when; what the same script takes when it is
started directly, in turn in the same run, is taken off.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from benchmarks.measuring import PYTHON, Row, environment, median, quantile

if TYPE_CHECKING:
    from collections.abc import Iterator

SUPERVISE = """
import sys
from pathlib import Path
import time
from agentloop import supervisor
from agentloop.supervision import child
from agentloop.supervision.commands import Commands
home = sys.argv[1]
compiled = ("/bin/true",)
start = child.start
def told(*given, **more):
    now = time.time()
    started = start(*given, **more)
    if given[0][1].endswith(".cycle"):  # the compiler of the settings is started in the same way
        with open(f"{home}.decided", "a") as stream:
            print(now, file=stream)
    return started
child.start = told
supervisor.run(Path(home), commands=Commands(cycle=("/bin/bash", f"{home}.cycle"), compile=compiled))
"""
CYCLE = """
printf '%s\n' "$EPOCHREALTIME" >> {home}.began
printf '%s' '{said}' > {run}/sleep.tmp
mv {run}/sleep.tmp {run}/sleep.json
rm -f {run}/wake
"""
BASH = ("/bin/bash", "-c", 'printf \'%s\n\' "$EPOCHREALTIME" >> "$0"')
BOUND_SECONDS = 60.0
ASLEEP_SECONDS = 3.0
ATTEMPTS = 16
WAKES, ENDS = 8, 4
"""Of one supervisor: it lets no more than twenty cycles start within a minute."""
MEGABYTES, ACTS_MS, ACTS_P99_MS = 28.0, 0.5, 3.0
_Latency: TypeAlias = tuple[float, float]
"""Seconds until the supervisor has decided, and until the cycle has begun."""
SHARED = "a busy machine: whatever else runs on both cores is in it"


def rows(home: Path, turns: int) -> list[Row]:
    """Return the latencies of several supervisors, and the rest of one with 0 and with 16 attempts."""
    lairs = [_Lair(home.with_name(f"asleep-{n}")) for n in range(max(1, turns // 3))]
    woken: list[_Latency] = []
    ended: list[_Latency] = []
    for lair in lairs:
        with lair.supervised():
            lair.await_cycles(1)
            woken += [lair.wake() for _ in range(WAKES)]
            ended += [lair.end_attempt() for _ in range(ENDS)]
    base = median([one for lair in lairs for one in lair.direct])
    return [
        *_latencies("wake trigger", woken, base),
        *_latencies("attempt's end", ended, base),
        *_rest(_Lair(home.with_name("asleep"))),
    ]


def _rest(lair: _Lair) -> list[Row]:
    with lair.supervised() as pid:
        lair.await_cycles(1)
        alone = lair.rest_of(pid)
        workers = [lair.claim(f"9.1.{n}") for n in range(ATTEMPTS)]
        lair.wake()
        busy = lair.rest_of(pid)
        for worker in workers:
            worker.kill()
            worker.wait()
    return [*_resting("no attempt", alone), *_resting(f"{ATTEMPTS} attempts", busy)]


def _latencies(name: str, found: list[_Latency], base: float) -> list[Row]:
    decided, begun = [one[0] for one in found], [one[1] - base for one in found]
    what = f"{name} → decided to start a cycle"
    return [
        _row(what, median(decided), ACTS_MS),
        _row(f"{what} (p99)", quantile(decided, 0.99), ACTS_P99_MS),
        _row(f"{name} → cycle begun", median(begun), None, f"beyond its own start, {base * 1000:.2f} ms"),
        _row(f"{name} → cycle begun (p99)", quantile(begun, 0.99), None),
    ]


def _row(name: str, seconds: float, promised: float | None, beside: str = "") -> Row:
    measured = max(0.0, seconds) * 1000
    return Row(
        group="waking", name=name, measured=measured, unit="ms", promised=promised, beside=beside, why=SHARED
    )


def _resting(name: str, found: dict[str, float]) -> list[Row]:
    return [
        Row(
            group="asleep", name=f"memory, {name}", measured=found["megabytes"], unit="MB", promised=MEGABYTES
        ),
        Row(group="asleep", name=f"wake-ups in 3 s, {name}", measured=found["switches"], unit="", promised=0),
        Row(group="asleep", name=f"CPU in 3 s, {name}", measured=found["cpu_ms"], unit="ms", promised=0),
    ]


class _Lair:
    """A home whose cycles are a shell script."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.run = root / ".agentloop/run"
        self.direct: list[float] = []
        self._number = 0
        for folder in (root / "memories", root / "tracker/issues", self.run):
            folder.mkdir(parents=True)
        (root / "agentloop.toml").touch()
        (root / "memories/consensus.md").write_text("relay\n")
        (root / ".agentloop/settings.json").write_text('{"supervision": {}}')
        until = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3000))
        said = {"cycle": 1, "until": until, "reason": "nothing to do", "kind": "idle", "saw": {}}
        Path(f"{root}.cycle").write_text(CYCLE.format(home=root, run=self.run, said=json.dumps(said)))

    @contextlib.contextmanager
    def supervised(self) -> Iterator[int]:
        """Run the supervisor, and yield its pid."""
        command = (PYTHON, "-P", "-c", SUPERVISE, str(self.root))
        with Path(f"{self.root}.log").open("wb") as log:
            process = subprocess.Popen(command, env=environment(), stderr=log, stdin=subprocess.DEVNULL)
        try:
            yield process.pid
        finally:
            process.terminate()
            process.wait()

    def starts(self, what: str = "began") -> list[float]:
        """Return when each cycle `began`, or was `decided` on, in seconds of the clock."""
        path = Path(f"{self.root}.{what}")
        return [float(line) for line in path.read_text().split()] if path.exists() else []

    def await_cycles(self, count: int, at: float = 0.0) -> _Latency:
        """Wait until so many have begun and it sleeps again; return how long after `at` the last did."""
        give_up = time.monotonic() + BOUND_SECONDS
        while self._log().count("event=supervisor.sleeping") < count:
            if time.monotonic() > give_up:
                raise TimeoutError(self._log()[-2000:])
            time.sleep(0.01)
        return self.starts("decided")[count - 1] - at, self.starts()[count - 1] - at

    def _log(self) -> str:
        return Path(f"{self.root}.log").read_text()

    def wake(self) -> _Latency:
        """Leave a trigger; return how long it took."""
        count = len(self.starts()) + 1
        self._start_directly()
        at = time.time()
        (self.run / "wake").write_text("bench\n")
        return self.await_cycles(count, at)

    def claim(self, attempt: str) -> subprocess.Popen[bytes]:
        """Start something that has the claim of an attempt."""
        process = subprocess.Popen(("/bin/sleep", "1000"), start_new_session=True)
        ticks = int(Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[19])
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        folder = self.root / ".agentloop/attempts" / attempt
        folder.mkdir(parents=True)
        said = {"pid": process.pid, "boot_id": boot, "start_ticks": ticks}
        (folder / "claim.json").write_text(json.dumps(said))
        return process

    def end_attempt(self) -> _Latency:
        """Kill one that the supervisor has seen; return how long it took."""
        self._number += 1
        process = self.claim(f"1.1.{self._number}")
        self.wake()
        count = len(self.starts()) + 1
        at = time.time()
        process.send_signal(signal.SIGKILL)
        found = self.await_cycles(count, at)
        process.wait()
        return found

    def _start_directly(self) -> None:
        path = Path(f"{self.root}.direct")
        at = time.time()
        pid = os.posix_spawn(BASH[0], (*BASH, str(path)), environment())
        os.waitpid(pid, 0)
        self.direct.append(float(path.read_text().split()[-1]) - at)

    def rest_of(self, pid: int) -> dict[str, float]:
        """Return what the sleeping supervisor holds, and what it does in three seconds."""
        time.sleep(0.5)
        before = _counts(pid)
        time.sleep(ASLEEP_SECONDS)
        after = _counts(pid)
        status = Path(f"/proc/{pid}/status").read_text()
        kibibytes = int(status.split("VmRSS:")[1].split()[0])
        return {
            "megabytes": kibibytes * 1024 / 1e6,
            "switches": after[0] - before[0],
            "cpu_ms": (after[1] - before[1]) / 1e6,
        }


def _counts(pid: int) -> tuple[int, int]:
    status = Path(f"/proc/{pid}/status").read_text()
    switches = int(status.split("\nvoluntary_ctxt_switches:")[1].split()[0])
    return switches, int(Path(f"/proc/{pid}/schedstat").read_text().split()[0])
