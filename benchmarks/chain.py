"""From the wake trigger to the agent's first word in a ready work tree, as one: supervisor, cycle, attempt.

`scripts/bench chain [--files N …] [--runs N]`. A task waits in the queue, so a rule starts it and no model is
asked before; the agent's first word is its first request, noted when it arrives here, and never answered.
The baseline is the same chain of process starts with nothing to do in them, in turn: interpreters that load
what a cycle and an attempt load, two of git's, the sandbox.
"""

from __future__ import annotations

import argparse
import json
import os
import pickle
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from agentloop.domain import facts as f
from agentloop.domain.facts import Entry
from agentloop.domain.settings import Settings, Target, Worker
from agentloop.domain.signals import evidence_of
from agentloop.domain.work import Contract, Task
from agentloop.edges.journal import Journal
from agentloop.edges.repositories import GitRepositories
from agentloop.edges.tracker import FileTracker
from agentloop.home import Home
from benchmarks.measuring import COMMAND, PYTHON, environment
from benchmarks.spawn import BEYOND_MS, FLAT, UPKEEP, make_repository, median, taken, tell

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

BOUND_SECONDS = 600.0
LOADS = ("import agentloop.light, agentloop.wiring", "import agentloop.worker.harness, anthropic")
SANDBOX = ("bwrap", "--ro-bind", "/", "/", "--proc", "/proc", "--dev", "/dev", "--unshare-all", "true")


class Ear:
    """Takes what agents send, notes when, and says nothing."""

    def __init__(self) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        self.heard: list[float] = []
        self._held: list[socket.socket] = []
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        while True:
            one, _ = self._listening.accept()
            self._held.append(one)
            if one.recv(1):
                self.heard.append(time.perf_counter())

    def hang_up(self) -> None:
        """Let go of all who wait."""
        while self._held:
            self._held.pop().close()


def await_that(what: str, found: Callable[[], bool]) -> None:
    """Wait until `found()`; raises TimeoutError."""
    give_up = time.monotonic() + BOUND_SECONDS
    while not found():
        if time.monotonic() > give_up:
            raise TimeoutError(what)
        time.sleep(0.02)


class Yard:
    """A home, a target of so many files, and trees of it made ahead."""

    def __init__(self, root: Path, files: int, ready: int, ear: Ear) -> None:
        self.home = Home(root / "home")
        self._ear = ear
        make_repository(root / "source.git", files)
        self._run("init", str(self.home.root), "--target", str(root / "source.git"), "--no-input")
        text = self.home.settings_file.read_text()
        for key, value in (("base_url", f'"{ear.url}"'), ("ready_trees", ready), ("ready_mb", 100_000)):
            lines = [
                f"{key} = {value}" if line.startswith(f"#{key} = ") else line for line in text.split("\n")
            ]
            text = "\n".join(lines).replace(f"\n{key} = 2", f"\n{key} = {value}", 1)
        self.home.settings_file.write_text(text)
        self._ready = ready

    def _run(self, *words: str) -> None:
        given = {**environment(), "ANTHROPIC_API_KEY": "no-key-is-needed"}
        where = self.home.root if self.home.root.is_dir() else self.home.root.parent
        subprocess.run((COMMAND, *words), cwd=where, env=given, check=True, capture_output=True)

    def make_ready(self) -> None:
        """Have the trees made."""
        self._run("cycle")
        target = Target(name="source", repository="../source.git")
        worker = Worker(ready_trees=self._ready, ready_mb=100_000)
        GitRepositories(self.home.root).head(target)
        given = pickle.dumps((self.home, Settings(targets=(target,), worker=worker)))
        subprocess.run((PYTHON, "-c", UPKEEP), input=given, check=True)

    @contextmanager
    def supervised(self) -> Iterator[None]:
        """Run the supervisor, asleep."""
        before = self._sleeping()
        given = {**environment(), "ANTHROPIC_API_KEY": "no-key-is-needed"}
        with (self.home.root / "run.log").open("wb") as log:
            process = subprocess.Popen(
                (COMMAND, "run"), cwd=self.home.root, env=given, stderr=log, stdout=log
            )
        try:
            await_that("a supervisor asleep", lambda: self._sleeping() != before)
            time.sleep(1.0)
            yield
        finally:
            process.terminate()
            process.wait()

    def _sleeping(self) -> str:
        with suppress(OSError, ValueError):
            said = json.loads((self.home.run / "status.json").read_text())
            if said["state"] == "sleeping":
                return str(said["since"])
        return ""

    def start_one(self) -> float:
        """Queue a task and wake the supervisor; return the milliseconds to its agent's first word."""
        tracker, heard = FileTracker(self.home.tracker), len(self._ear.heard)
        number = tracker.new("Say so", "Say so.", author="ana")
        issue = next(one for one in tracker.observe(frozenset()) if one.id == number)
        words = evidence_of(issue)
        task = Task(
            id=f"{number}.1",
            issue=number,
            title="Say so",
            kind="change",
            contract=Contract(goal="Say so.", criteria=("it says so",)),
            target="source",
        )
        seen = f.IssueSeen(
            issue=number, title=issue.title, target=issue.target, priority=issue.priority, evidence=words
        )
        self._tell(seen, f.Planned(issue=number, tasks=(task,), evidence=words))
        began = time.perf_counter()
        (self.home.run / "wake").write_text("bench\n")
        await_that("the agent's first word", lambda: len(self._ear.heard) > heard)
        took = (self._ear.heard[heard] - began) * 1000
        self._end(number)
        return took

    def _end(self, number: str) -> None:
        folder = self.home.attempt(f"{number}.1.1").root
        came = [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]
        if not any(one.get("came") == "ready" or '"ready"' in json.dumps(one) for one in came):
            raise SystemExit("the tree was not made ahead")
        claim = json.loads((folder / "claim.json").read_text())
        pid = claim.get("pid") or next(one["pid"] for one in claim.values() if isinstance(one, dict))
        FileTracker(self.home.tracker).close(number, reason="enough", author="ana")
        os.kill(pid, signal.SIGKILL)
        self._ear.hang_up()
        await_that("a supervisor asleep again", lambda: self._sleeping() != "")
        time.sleep(3.0)

    def _tell(self, *facts: f.Fact) -> None:
        journal = Journal(self.home)
        world = journal.world()
        journal.append(Entry(at=datetime.now(UTC), cycle=world.cycle, facts=facts))

    def starts(self) -> None:
        """Start the same processes."""
        for loads in LOADS:
            subprocess.run((PYTHON, "-c", loads), check=True)
        subprocess.run(SANDBOX, check=True)
        for _ in range(2):
            subprocess.run(("git", "-C", str(self.home.root), "cat-file", "-e", "HEAD"), check=True)


def measure(root: Path, files: int, runs: int, ear: Ear) -> tuple[float, bool]:
    """Measure one size; return the median in milliseconds, and whether its promise was kept."""
    yard = Yard(root, files, runs + 1, ear)
    yard.make_ready()
    bare, found = [], []
    for _ in range(runs):
        bare.append(taken(yard.starts))
        with yard.supervised():
            found.append(yard.start_one())
    beyond = median(found) - median(bare)
    said = f"{beyond:.0f} ms beyond {median(bare):.0f} ({min(found) - min(bare):.0f} beyond {min(bare):.0f})"
    kept = tell(f"wake → agent's first word, {files:,} files", "≤ 10 ms", said, kept=beyond <= BEYOND_MS)
    return median(found), kept


def main() -> int:
    """Measure and print; return 1 when a promise is missed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--files", type=int, nargs="+", default=[1000, 20_000])
    parser.add_argument("--runs", type=int, default=3)
    chosen = parser.parse_args()
    root, ear = Path(tempfile.mkdtemp(prefix="agentloop-chain-")), Ear()
    times, kept = {}, []
    try:
        for files in chosen.files:
            folder = root / str(files)
            folder.mkdir()
            times[files], held = measure(folder, files, chosen.runs, ear)
            kept.append(held)
        ratio = times[max(times)] / times[min(times)]
        said = f"{ratio:.2f} × of {times[min(times)]:.0f} ms"
        kept.append(tell("the same, largest / smallest", f"≤ {FLAT}", said, kept=ratio <= FLAT))
    finally:
        shutil.rmtree(root, ignore_errors=True)
    return 0 if all(kept) else 1


if __name__ == "__main__":
    sys.exit(main())
