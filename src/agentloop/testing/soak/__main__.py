"""`python -m agentloop.testing.soak`: an hour under kills, a person at work beside it; then all is checked.

While it lasts, a line a minute says how it goes. Its end is a drain: no more kills, every pull request is
merged, and the loop has time to finish; then every promise that can be looked at is looked at.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from agentloop.edges import runtime
from agentloop.edges.processes import alive
from agentloop.testing.crash.arena import Arena
from agentloop.testing.soak.gauges import Gauges
from agentloop.testing.soak.model import SoakModel
from agentloop.testing.soak.person import Person
from agentloop.testing.soak.verdict import verdict

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

SETTINGS: Final = {
    "backoff_seconds": "1",
    "backoff_max_seconds": "2",
    "breaker_after": "100",
    "busy_seconds": "5",
    "idle_seconds": "10",
    "cycle_deadline_seconds": "240",
    "retries_per_task": "50",
    "attempts_per_task": "50",
    "open_pulls": "50",
    "day_usd": "10000.0",
    "total_usd": "10000.0",
    "verify": '["test -f calc.py"]',
}
KILL_SECONDS: Final = (5.0, 40.0)
ACT_SECONDS: Final = (1.0, 8.0)
RESTART_SECONDS: Final = (0.2, 3.0)
SAMPLE_SECONDS: Final = 15.0
LINE_SECONDS: Final = 60.0
DRAIN_SECONDS: Final = 900.0
REPORT_WIDTH: Final = 400


@dataclass
class Soak:
    """One soak: the arena, the person, the supervisor, and what was killed."""

    arena: Arena
    chance: random.Random
    person: Person
    gauges: Gauges
    killed: Counter[str] = field(default_factory=Counter)
    supervisor: subprocess.Popen[bytes] | None = None
    ended_by_itself: list[int] = field(default_factory=list)

    def start(self) -> None:
        """Start a supervisor."""
        with (self.arena.root / "run.log").open("ab") as log:
            self.supervisor = subprocess.Popen(
                (str(self.arena.root / "bin/python"), "-P", "-m", "agentloop", "run"),
                cwd=self.arena.home.root,
                env=self.arena.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def look_after(self) -> None:
        """Start the supervisor again when it has ended, as systemd would."""
        if self.supervisor is None or self.supervisor.poll() is not None:
            if self.supervisor is not None and self.supervisor.returncode != -signal.SIGKILL:
                self.ended_by_itself.append(self.supervisor.returncode)
            self.start()

    def note(self, what: str) -> None:
        """Write down what was done to the loop, and when, beside its log."""
        with (self.arena.root / "done.log").open("a", encoding="utf-8") as file:
            file.write(f"{datetime.now(UTC):%H:%M:%S.%f} {what}\n")

    def kill(self) -> str:
        """Kill something that lives, chosen by chance, and return what it was."""
        victims = list(self._victims())
        if not victims:
            return "nothing to kill"
        kinds = sorted({kind for kind, _ in victims})
        kind = self.chance.choice(kinds)
        pid = self.chance.choice(sorted(pid for each, pid in victims if each == kind))
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
            self.killed[kind] += 1
        if kind == "supervisor" and self.supervisor is not None:
            self.supervisor.wait()
            time.sleep(self.chance.uniform(*RESTART_SECONDS))
        return f"kills {kind} ({pid})"

    def _victims(self) -> Iterator[tuple[str, int]]:
        if self.supervisor is not None and self.supervisor.poll() is None:
            yield "supervisor", self.supervisor.pid
        status = runtime.read_status(self.arena.home.root)
        if status is not None and status.cycle is not None and alive(status.cycle):
            yield "cycle", status.cycle.pid
        for pid in self.arena.living():
            with suppress(OSError):
                words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
                for kind in ("attempt", "gate", "bwrap"):
                    if kind.encode() in words[:5]:
                        yield kind, pid
                if words[0].endswith(b"git"):
                    yield "git", pid

    def stop(self) -> None:
        """Stop the supervisor in order."""
        if self.supervisor is not None:
            self.supervisor.terminate()
            with suppress(subprocess.TimeoutExpired):
                self.supervisor.wait(90)


def main(arguments: Sequence[str] | None = None) -> int:
    """Soak, and return 0 when every promise held, 1 when not."""
    parser = argparse.ArgumentParser(prog="scripts/soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", action="store_true", help="leave the folder behind, also when all held")
    parser.add_argument("--folder", type=Path, help="make it here (it must not be there yet)")
    given = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    root = given.folder or Path(tempfile.mkdtemp(prefix="agentloop-soak-"))
    soak = _made(root, given.seed)
    held = False
    try:
        _run(soak, given.minutes * 60)
        held = _report(soak)
    finally:
        soak.stop()
        soak.arena.stop()
        if held and not given.keep:
            shutil.rmtree(root, ignore_errors=True)
        else:
            _say(f"everything is left in {root}")
    return 0 if held else 1


def _made(root: Path, seed: int) -> Soak:
    arena = Arena(root, model=SoakModel(seed), whole_sdk=True)
    arena.make()
    arena.set(SETTINGS)
    chance = random.Random(seed)  # noqa: S311 - moments, not secrets
    person = Person(arena=arena, chance=random.Random(seed + 1))  # noqa: S311 - likewise
    return Soak(arena=arena, chance=chance, person=person, gauges=Gauges(arena=arena))


def _run(soak: Soak, seconds: float) -> None:
    began = time.monotonic()
    due = {"kill": 5.0, "act": 0.0, "sample": 10.0, "line": LINE_SECONDS}
    soak.start()
    while (now := time.monotonic() - began) < seconds:
        soak.look_after()
        if now >= due["act"]:
            soak.note(soak.person.act())
            due["act"] = now + soak.person.chance.uniform(*ACT_SECONDS)
        if now >= due["kill"]:
            soak.note(soak.kill())
            due["kill"] = now + soak.chance.uniform(*KILL_SECONDS)
        if now >= due["sample"]:
            soak.gauges.sample(now, soak.supervisor.pid if soak.supervisor else None)
            due["sample"] = now + SAMPLE_SECONDS
        if now >= due["line"]:
            _say(_line(soak, now))
            due["line"] = now + LINE_SECONDS
        time.sleep(0.1)
    _say("the time is over: no more kills, everything is merged and finished")
    _drain(soak, began)


def _drain(soak: Soak, began: float) -> None:
    give_up = time.monotonic() + DRAIN_SECONDS
    while time.monotonic() < give_up:
        soak.look_after()
        for pull in soak.person.open_pulls():
            soak.person.merge(pull)
        nap = runtime.read_sleep(soak.arena.home.root)
        waits = nap is not None and nap.outcome == "idle" and not soak.person.open_pulls()
        if waits and not any(True for _ in _runs(soak.arena)):
            break
        time.sleep(1)
    soak.gauges.sample(time.monotonic() - began, soak.supervisor.pid if soak.supervisor else None)


def _runs(arena: Arena) -> Iterator[str]:
    for view in arena.journal().live_tasks():
        if type(view.state).__name__ in (
            "Working",
            "Returned",
            "Judging",
            "Green",
            "Accepted",
            "Queued",
            "Red",
        ):
            yield view.task.id


def _line(soak: Soak, seconds: float) -> str:
    person, killed = soak.person, soak.killed
    kills = ", ".join(f"{kind} {count}" for kind, count in sorted(killed.items()))
    states = Counter(type(view.state).__name__ for view in soak.arena.journal().issues.values())
    return (
        f"{seconds / 60:5.1f} min: {person.filed} issues filed ({dict(states)}), "
        f"{len(person.said)} edits of the relay, {person.comments} comments, killed {kills or 'nothing'}"
    )


def _report(soak: Soak) -> bool:
    """Say what became of every promise, and return whether all were held."""
    soak.stop()
    wrong = verdict(soak.arena, soak.person)
    left = soak.arena.outlived()
    wrong += [f"still runs: {one}" for one in left]
    wrong += [f"the supervisor ended by itself with {code}" for code in soak.ended_by_itself]
    _say(_line(soak, soak.gauges.samples[-1][0]))
    _say("\n".join(soak.gauges.table()))
    _say("\n".join(f"NOT HELD: {one[:REPORT_WIDTH]}" for one in wrong) or "every promise held")
    for one in soak.person.failures:
        _say(f"told of: {one}")
    return not wrong


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
