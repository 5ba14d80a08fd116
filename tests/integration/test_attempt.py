"""Attempts as real processes: harness, sandbox, ledger and a scripted model over HTTP, started by the executor."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from agentloop.domain.codec import encode
from agentloop.domain.effects import StartAttempt, StopAttempt
from agentloop.domain.observed import AttemptEnded, Lost, Running
from agentloop.domain.settings import Limits, Models, Price, Target, Worker
from agentloop.domain.work import (
    AttemptSpec,
    Blocked,
    Broken,
    Check,
    Contract,
    Delivered,
    GaveUp,
    LimitedBy,
    NothingDone,
    Stopped,
    Task,
)
from agentloop.edges.executor import LocalExecutor
from agentloop.edges.processes import me
from agentloop.home import Home
from agentloop.testing.model import ScriptedModel

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agentloop.domain.work import Outcome

pytestmark = pytest.mark.skipif(shutil.which("bwrap") is None, reason="needs bubblewrap (apt-get install bubblewrap)")

KEY = "sk-ant-test-canary-9f8e7d6c5b4a"
PRICE = Price(input=3_000_000, output=15_000_000, cache_write=3_750_000, cache_read=300_000)
LAUNCH = """
import sys
from pathlib import Path
from agentloop.edges.attempt_model import connect
from agentloop.worker.harness import main
sys.exit(main(sys.argv[2], Path(sys.argv[4]), connect))
"""
COMMAND = (sys.executable, "-c", LAUNCH)

FIX = """
[[step]]
name = "mend it"
when.has = "adds wrongly"
[[step.call]]
tool = "edit"
input = { command = "str_replace", path = "calc.py", old_str = "a - b", new_str = "a + b" }

[[step]]
name = "claim it"
when.tool_result_of = "edit"
when.has = "Edited calc.py"
[[step.call]]
tool = "done"
input = { summary = "add adds now", not_done = "subtract was not looked at" }
"""


@dataclass(frozen=True)
class Stage:
    """A home with a mirror of a small repository, and what an attempt in it needs."""

    home: Path
    mirror: Path
    base: str
    executor: LocalExecutor

    def prepare(self, url: str = "http://127.0.0.1:9", **changes: object) -> AttemptSpec:
        """Make tree and git directory as the core does, and return the spec."""
        folder = Home(self.home).attempt("1.1.1").root
        (folder / "tmp").mkdir(parents=True)
        git("init", "-q", f"--separate-git-dir={folder}/git", f"{folder}/tree")
        (folder / "git/objects/info/alternates").write_text(f"{self.mirror}/objects\n")
        git("-C", f"{folder}/tree", "checkout", "-q", "--detach", self.base)
        (folder / "git/info/exclude").write_text("/TASK.md\n")
        (folder / "tree/TASK.md").write_text("# Task\n")
        task = Task(
            id="1.1",
            issue="1",
            title="Make add add",
            kind="change",
            contract=Contract(
                goal="add adds",
                criteria=("2 + 3 = 5",),
                checks=(Check(name="sum", command="python3 -c 'from calc import add; assert add(2, 3) == 5'"),),
            ),
            target="calc",
        )
        spec = AttemptSpec(
            id="1.1.1",
            task=task,
            base=self.base,
            folder=str(folder),
            mirror=str(self.mirror),
            deadline=datetime.now(tz=UTC) + timedelta(minutes=5),
            slice_micros=2_000_000,
            limits=Limits(attempt_turns=12),
            models=Models(base_url=url),
            worker=Worker(grace_seconds=300, path="/usr/bin:/bin"),
            target=Target(name="calc", repository=str(self.mirror)),
            prices={"claude-sonnet-5-5": PRICE, "claude-sonnet-5": PRICE},
            brief="# Make add add\n\nIt adds wrongly.",
        )
        return dataclasses.replace(spec, **changes)  # type: ignore[arg-type]

    def start(self, spec: AttemptSpec) -> None:
        """Start the attempt through the executor."""
        assert self.executor.act("op", StartAttempt(attempt=spec.id), spec) == spec.id

    def ended(self, seconds: float = 40) -> AttemptEnded:
        """Wait for the end record."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            (seen,) = self.executor.observe(frozenset({"attempt:1.1.1"}))
            if isinstance(seen, AttemptEnded):
                return seen
            assert isinstance(seen, Running), self.log()
            time.sleep(0.05)
        raise AssertionError(self.log())

    def until(self, sign: str, seconds: float = 20) -> None:
        """Wait until the event log holds `sign`."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if sign in self.events():
                return
            time.sleep(0.05)
        raise AssertionError(self.log())

    def outcome(self, spec: AttemptSpec) -> Outcome:
        """Run the attempt to its end and return how it ended."""
        self.start(spec)
        return self.ended().end.outcome

    def log(self) -> str:
        folder = Home(self.home).attempt("1.1.1")
        return folder.log.read_text() + self.events()

    def events(self) -> str:
        path = Home(self.home).attempt("1.1.1").events
        return path.read_text() if path.exists() else ""

    def delivered(self, tip: str) -> dict[str, str]:
        """Take the pack into the mirror, and return the tip's files."""
        folder = Home(self.home).attempt("1.1.1")
        git("-C", str(self.mirror), "index-pack", "--strict", "--fix-thin", "--stdin", given=folder.result.read_bytes())
        assert git("-C", str(self.mirror), "rev-parse", f"{tip}^").strip() == self.base
        names = git("-C", str(self.mirror), "ls-tree", "-r", "--name-only", tip).split()
        return {name: git("-C", str(self.mirror), "show", f"{tip}:{name}") for name in names}


def git(*words: str, given: bytes | None = None) -> str:
    """Run git and return what it printed."""
    ran = subprocess.run(["git", *words], input=given, capture_output=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.decode()


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    """A stage, with a supervisor on it (this process) and a key in the environment."""
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path for path in sys.path if path))
    home = tmp_path / "home"
    (home / ".agentloop/run").mkdir(parents=True)
    (home / ".agentloop/run/supervisor.json").write_text(json.dumps(encode(me())))
    origin = tmp_path / "origin"
    git("init", "-q", "-b", "main", str(origin))
    (origin / "calc.py").write_text("def add(a, b):\n    return a - b\n")
    (origin / "README").write_text("calc\n")
    git("-C", str(origin), "add", "-A")
    git("-C", str(origin), "commit", "-q", "-m", "Begin")
    mirror = home / ".agentloop/mirrors/calc.git"
    git("clone", "-q", "--bare", str(origin), str(mirror))
    base = git("-C", str(mirror), "rev-parse", "HEAD").strip()
    executor = LocalExecutor(home, command=COMMAND, stop_seconds=15)
    yield Stage(home=home, mirror=mirror, base=base, executor=executor)
    executor.act("op", StopAttempt(attempt="1.1.1", why="the test is over"), None)


def shell(command: str, name: str = "go", *, then: str = "") -> str:
    """A script's step that runs one command at the beginning, and further steps."""
    return f"""
[[step]]
name = "{name}"
when.has = "adds wrongly"
[[step.call]]
tool = "shell"
input = {{ command = {json.dumps(command)} }}
{then}
"""


BLOCK = """
[[step]]
name = "stop there"
when.tool_result_of = "shell"
[[step.call]]
tool = "blocked"
input = { reason = "enough seen" }
"""


def test_a_change_is_made_checked_and_handed_over(stage: Stage) -> None:
    """An attempt ends with a commit on the base whose pack holds the change, and what it cost."""
    with ScriptedModel(FIX) as model:
        spec = stage.prepare(model.url)
        stage.start(spec)
        seen = stage.ended()
        outcome = seen.end.outcome
        assert isinstance(outcome, Delivered), stage.log()
        assert outcome.summary == "add adds now"
        assert stage.delivered(outcome.tip) == {"README": "calc\n", "calc.py": "def add(a, b):\n    return a + b\n"}
        assert seen.settled_micros == model.served_micros(spec.prices)
        assert seen.unresolved_micros == 0
        assert seen.end.sandboxed
        assert seen.end.models == ("claude-sonnet-5-5",)
