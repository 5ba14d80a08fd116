"""`python -m agentloop.testing.kills`: kill what an attempt is made of at random moments; count what is left.

Each round starts an attempt as a cycle does, kills one of its processes (starter, harness, or anything in
and around its sandbox) somewhere between spawn and end, and then does what the next cycle does: look for the
start, start it when it is not there, wait for its end or its loss. Counted are processes that are left
(orphans), attempts that ran twice (doubled), and what the sweep leaves of their trees (leftovers).
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from agentloop.domain.codec import decode, encode, tag_of
from agentloop.domain.effects import StartAttempt, StopAttempt
from agentloop.domain.observed import AttemptEnded, Running
from agentloop.domain.settings import Limits, Models, Price, Target, Worker
from agentloop.domain.work import AttemptSpec, Broken, Check, Contract, Task
from agentloop.edges.executor import BIG, LocalExecutor, marked
from agentloop.edges.files import TEMP_PREFIX
from agentloop.edges.processes import me
from agentloop.edges.repositories import GitRepositories
from agentloop.home import Home
from agentloop.testing import gitrepo
from agentloop.testing.model import ScriptedModel

if TYPE_CHECKING:
    from collections.abc import Sequence

ROUND_SECONDS: Final = 120.0
GONE_SECONDS: Final = 60.0
MODEL: Final = "claude-sonnet-5-5"
SCRIPT: Final = """
[[step]]
name = "work, and leave something running"
when.has = "adds wrongly"
[[step.call]]
tool = "shell"
input = { command = "setsid sleep NAP & (setsid sh -c 'sleep NAP &' &); echo x > new.txt; sleep 0.1" }

[[step]]
name = "claim it"
when.tool_result_of = "shell"
[[step.call]]
tool = "done"
input = { summary = "added" }
"""


@dataclass(slots=True)
class Sum:
    """What came of the kills."""

    kills: Counter[str] = field(default_factory=Counter)
    ends: Counter[str] = field(default_factory=Counter)
    orphans: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    leftovers: list[str] = field(default_factory=list)
    stuck: list[str] = field(default_factory=list)

    @property
    def good(self) -> bool:
        """Whether nothing was left, doubled or stuck."""
        return not (self.orphans or self.doubled or self.leftovers or self.stuck)

    def words(self) -> str:
        """Return the sum, for a person."""
        ends = ", ".join(f"{count} {what}" for what, count in sorted(self.ends.items()))
        kills = ", ".join(f"{count} {what}" for what, count in sorted(self.kills.items()))
        found = [
            self._counted(),
            *(f"  orphan: {one}" for one in self.orphans),
            *(f"  doubled: {one}" for one in self.doubled),
            *(f"  leftover: {one}" for one in self.leftovers),
            *(f"  never ended: {one}" for one in self.stuck),
        ]
        return "\n".join([f"kills {self.kills.total()} ({kills}); ends: {ends}", *found])

    def _counted(self) -> str:
        left, twice, behind = len(self.orphans), len(self.doubled), len(self.leftovers)
        return f"orphans {left}, doubled {twice}, leftovers {behind}, never ended {len(self.stuck)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """A home with a target, and what starts attempts in it; `nap` is this run's own number of seconds."""

    home: Path
    target: Target
    base: str
    url: str
    nap: str
    executor: LocalExecutor

    def spec(self, attempt: str, *, sandbox: str) -> AttemptSpec:
        """Return the spec of an attempt."""
        contract = Contract(
            goal="add adds", criteria=("it adds",), checks=(Check(name="file", command="test -f new.txt"),)
        )
        return AttemptSpec(
            id=attempt,
            task=Task(
                id=attempt.rpartition(".")[0],
                issue=attempt.partition(".")[0],
                title="Make add add",
                kind="change",
                contract=contract,
                target=self.target.name,
            ),
            base=self.base,
            folder=str(Home(self.home).attempt(attempt).root),
            mirror=str(Home(self.home).mirror_of(self.target.name)),
            deadline=datetime.now(tz=UTC) + timedelta(minutes=30),
            slice_micros=2_000_000,
            limits=Limits(attempt_turns=5),
            models=Models(base_url=self.url, worker_fallback=""),
            worker=Worker(sandbox=sandbox),  # type: ignore[arg-type]
            target=self.target,
            prices={MODEL: Price(input=1, output=1, cache_write=1, cache_read=1)},
            brief="# Make add add\n\nIt adds wrongly.",
        )


def start(home: Path, spec: AttemptSpec) -> None:
    """Do what a cycle does to start an attempt: look, ready its place, start it."""
    executor = LocalExecutor(home)
    effect = StartAttempt(attempt=spec.id)
    if executor.find("op", effect) is None:
        GitRepositories(home).prepare(spec, message="start")
        executor.act("op", effect, spec)


def run(kills: int, *, seed: int, folder: Path, sandboxes: Sequence[str]) -> Sum:
    """Return what came of `kills` kills, drawn from `seed`, in an empty `folder`."""
    chance, found, nap = random.Random(seed), Sum(), f"86400.{os.getpid()}"  # noqa: S311 -- no secret
    os.environ["ANTHROPIC_API_KEY"] = "scripted"
    home = folder / "home"
    (home / ".agentloop/run").mkdir(parents=True)
    (home / ".agentloop/run/supervisor.json").write_text(json.dumps(encode(me())))
    origin = gitrepo.checkout(folder / "origin", {"calc.py": "def add(a, b):\n    return a - b\n"})
    target = Target(name="calc", repository=str(origin))
    _, base = GitRepositories(home).head(target)
    with ScriptedModel(SCRIPT.replace("NAP", nap)) as model:
        ground = Ground(
            home=home, target=target, base=base, url=model.url, nap=nap, executor=LocalExecutor(home)
        )
        longest = 1.0
        for number in range(1, kills + 1):
            spec = ground.spec(f"{number}.1.1", sandbox=sandboxes[number % len(sandboxes)])
            longest = 0.8 * longest + 0.2 * _round(ground, spec, chance, found, longest)
    _look_for_leftovers(ground, found)
    return found


def _round(ground: Ground, spec: AttemptSpec, chance: random.Random, found: Sum, longest: float) -> float:
    """Kill one process of an attempt at a moment drawn from `longest`; return how long the attempt took."""
    began = time.monotonic()
    asked = ground.home / "spec.json"
    asked.write_text(json.dumps(encode(spec)))
    starter = subprocess.Popen(
        [sys.executable, "-m", "agentloop.testing.kills", "--starter", str(asked), str(ground.home)],
        start_new_session=True,
    )
    time.sleep(chance.uniform(0, 1.2 * longest))
    found.kills[_kill_one(ground, spec, starter, chance)] += 1
    starter.wait()
    start(ground.home, spec)  # the next cycle finishes what a killed one began
    end = _ended(ground, spec)
    found.ends[end] += 1
    took = time.monotonic() - began
    if end == "never":
        found.stuck.append(spec.id)
    ground.executor.act("op", StopAttempt(attempt=spec.id, why="the round is over"), None)
    _judge(ground, spec, found)
    return took


def _kill_one(
    ground: Ground, spec: AttemptSpec, starter: subprocess.Popen[bytes], chance: random.Random
) -> str:
    """SIGKILL one of the attempt's processes as they are now; return what it was."""
    ours = dict.fromkeys(marked(Path(spec.folder)), "around the sandbox")
    ours |= dict.fromkeys(_naps(ground.nap), "in the sandbox")
    for pid in [pid for pid in ours if _is_harness(pid)]:
        ours[pid] = "harness"
    if starter.poll() is None:
        ours[starter.pid] = "starter"
    if not ours:
        return "nothing there"
    kind = chance.choice(sorted(set(ours.values())))
    victim = chance.choice([pid for pid, what in ours.items() if what == kind])
    with contextlib.suppress(ProcessLookupError):
        os.kill(victim, signal.SIGKILL)
    return kind


def _is_harness(pid: int) -> bool:
    words = _words(pid)
    return b"agentloop" in words and b"attempt" in words


def _words(pid: int) -> list[bytes]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return []


def _naps(nap: str) -> list[int]:
    pids = [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]
    return [pid for pid in pids if _words(pid)[:2] == [b"sleep", nap.encode()]]


def _ended(ground: Ground, spec: AttemptSpec) -> str:
    until = time.monotonic() + ROUND_SECONDS
    while time.monotonic() < until:
        (seen,) = ground.executor.observe(frozenset({f"attempt:{spec.id}"}))
        if isinstance(seen, AttemptEnded):
            outcome = seen.end.outcome
            return f"broken ({outcome.reason[:80]})" if isinstance(outcome, Broken) else tag_of(type(outcome))
        if not isinstance(seen, Running):
            return "lost"
        time.sleep(0.02)
    return "never"


def _judge(ground: Ground, spec: AttemptSpec, found: Sum) -> None:
    until = time.monotonic() + GONE_SECONDS
    while (left := [*_naps(ground.nap), *marked(Path(spec.folder))]) and time.monotonic() < until:
        time.sleep(0.02)
    for pid in left:
        found.orphans.append(f"{spec.id}: {b' '.join(_words(pid)).decode('utf-8', 'replace')[:100]}")
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    log = Home(ground.home).attempt(spec.id).events
    starts = log.read_text().count('"attempt.started"') if log.exists() else 0
    if starts > 1:
        found.doubled.append(f"{spec.id}: {starts} times")


def _look_for_leftovers(ground: Ground, found: Sum) -> None:
    ground.executor.sweep(frozenset())
    attempts = Home(ground.home).attempts
    for path in sorted(attempts.glob("*/*")):
        if path.name in BIG or path.name.startswith((TEMP_PREFIX, ".new-")):
            found.leftovers.append(str(path.relative_to(attempts)))


def main(arguments: Sequence[str] | None = None) -> int:
    """Kill, print the sum, and return 0 when nothing was left, doubled or stuck."""
    parser = argparse.ArgumentParser(prog="check-kills", description=(__doc__ or "").split("\n\n")[1])
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--sandbox", choices=("bubblewrap", "none", "both"), default="both")
    parser.add_argument("--starter", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.starter:
        asked, home = map(Path, given.starter)
        start(home, decode(AttemptSpec, json.loads(asked.read_text())))
        return 0
    sandboxes = ("bubblewrap", "none") if given.sandbox == "both" else (given.sandbox,)
    folder = Path(tempfile.mkdtemp(prefix="agentloop-kills-"))
    try:
        began = time.monotonic()
        found = run(given.kills, seed=given.seed, folder=folder, sandboxes=sandboxes)
        print(f"{found.words()}\nseed {given.seed}, {time.monotonic() - began:.0f} s")  # noqa: T201 -- it is a command
        return 0 if found.good else 1
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
