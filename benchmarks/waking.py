"""The supervisor asleep: what it holds and does, and how soon it acts when something happens.

Its cycle is a small shell script here that writes down when it began; what the same script takes when it is
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
from typing import TYPE_CHECKING

from benchmarks.measuring import PYTHON, Row, environment, median, quantile

if TYPE_CHECKING:
    from collections.abc import Iterator

SUPERVISE = """
import sys
from pathlib import Path
from agentloop import supervisor
from agentloop.supervision.commands import Commands
home = sys.argv[1]
compiled = ("/bin/true",)
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
SHARED = "a busy machine: whatever else runs on both cores is in it"


def rows(home: Path, turns: int) -> list[Row]:
    """Return the latencies of several supervisors, and the rest of one with 0 and with 16 attempts."""
    lairs = [_Lair(home.with_name(f"asleep-{n}")) for n in range(max(1, turns // 3))]
    woken, ended = [], []
    for lair in lairs:
        with lair.supervised():
            lair.await_cycles(1)
            woken += [lair.wake() for _ in range(WAKES)]
            ended += [lair.end_attempt() for _ in range(ENDS)]
    base = median([one for lair in lairs for one in lair.direct])
    return [
        *_latency("wake trigger → cycle's start", woken, base),
        *_latency("attempt's end → cycle's start", ended, base),
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


def _latency(name: str, found: list[float], base: float) -> list[Row]:
    beside = f"{median(found) * 1000:.2f} ms, of which the child's own start {base * 1000:.2f} ms"
    middle, late = (max(0.0, value - base) * 1000 for value in (median(found), quantile(found, 0.99)))
    return [
        Row(
            group="waking", name=name, measured=middle, unit="ms", promised=ACTS_MS, beside=beside, why=SHARED
        ),
        Row(group="waking", name=f"{name} (p99)", measured=late, unit="ms", promised=ACTS_P99_MS, why=SHARED),
    ]


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
        self.began = Path(f"{root}.began")
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

    def starts(self) -> list[float]:
        """Return when each cycle began, in seconds of the clock."""
        return [float(line) for line in self.began.read_text().split()] if self.began.exists() else []

    def await_cycles(self, count: int) -> float:
        """Wait until so many have begun and it sleeps again; return when the last of them began."""
        give_up = time.monotonic() + BOUND_SECONDS
        while self._log().count("event=supervisor.sleeping") < count:
            if time.monotonic() > give_up:
                raise TimeoutError(self._log()[-2000:])
            time.sleep(0.01)
        return self.starts()[count - 1]

    def _log(self) -> str:
        return Path(f"{self.root}.log").read_text()

    def wake(self) -> float:
        """Leave a trigger; return the seconds until the cycle's first instruction."""
        count = len(self.starts()) + 1
        self._start_directly()
        at = time.time()
        (self.run / "wake").write_text("bench\n")
        return self.await_cycles(count) - at

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

    def end_attempt(self) -> float:
        """Kill one that the supervisor has seen; return the seconds until a cycle's first instruction."""
        self._number += 1
        process = self.claim(f"1.1.{self._number}")
        self.wake()
        count = len(self.starts()) + 1
        at = time.time()
        process.send_signal(signal.SIGKILL)
        found = self.await_cycles(count) - at
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
