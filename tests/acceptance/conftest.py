"""What every story needs: a repository, a home made by the command line, a scripted model, real processes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from agentloop.domain.states import Judging, Working
from agentloop.edges import runtime
from agentloop.edges.journal import Journal
from agentloop.edges.processes import alive
from agentloop.edges.tape import looks
from agentloop.edges.tracker import FileTracker
from agentloop.home import Home
from agentloop.replaying import replay
from agentloop.testing.model import ScriptedModel
from agentloop.testing.script import parse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from agentloop.domain.issue import Issue
    from agentloop.domain.world import World
    from agentloop.home import RunFolder

SCRIPTS = Path(__file__).parent / "scripts"
AGENTLOOP = (sys.executable, "-m", "agentloop")
BOUND_SECONDS = 180.0
CYCLES_AT_MOST = 40

FILES = {
    "calc.py": "def add(a, b):\n    return a - b\n\n\ndef double(a):\n    return a * 2\n",
    "tests/__init__.py": "",
    "tests/test_calc.py": (
        "import unittest\n\nfrom calc import double\n\n\nclass Calc(unittest.TestCase):\n"
        "    def test_double(self):\n        self.assertEqual(double(4), 8)\n"
    ),
}
VERIFY = "python3 -m unittest"


class Loop:
    """One home with its target, and everything a person or the machine can do to it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.repository = root / "calc"
        self.home = Home(root / "home")
        self.model: ScriptedModel | None = None
        self.environment = {**os.environ, "ANTHROPIC_API_KEY": "a-key-for-tests", "NO_COLOR": "1"}
        path = [str(Path(part).resolve()) for part in os.environ.get("PYTHONPATH", "").split(":") if part]
        if path:
            self.environment["PYTHONPATH"] = ":".join(path)
        self._supervisors: list[subprocess.Popen[bytes]] = []

    # Setting up

    def make_repository(self, files: dict[str, str] = FILES) -> None:
        """Make the target: a small repository with a clean checkout of main."""
        for name, text in files.items():
            path = self.repository / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        self.git("init", "-q", "-b", "main")
        self.git("add", ".")
        self.git("commit", "-q", "-m", "Calculate")

    def make_home(self, *targets: Path) -> None:
        """Make the home through the command line; killed work is tried again after a second."""
        named = [word for target in targets or (self.repository,) for word in ("--target", str(target))]
        self.run(*AGENTLOOP, "init", str(self.home.root), *named, "--no-input", cwd=self.root)
        self.set(backoff_seconds="1", verify=json.dumps([VERIFY]))

    def set(self, **values: str) -> None:
        """Change settings as a person does: on their line in agentloop.toml. Values are TOML."""
        lines = self.home.settings_file.read_text().splitlines()
        for key, value in values.items():
            starts = (f"#{key} = ", f"{key} = ")
            place = next(n for n, line in enumerate(lines) if line.startswith(starts))
            lines[place] = f"{key} = {value}"
        self.home.settings_file.write_text("\n".join(lines) + "\n")

    def start_model(self, *parts: str) -> ScriptedModel:
        """Serve the script of these parts (files in scripts/, or TOML itself), and point the home at it."""
        if self.model is not None:
            self.model.stop()
        texts = [part if "\n" in part else self.script(part) for part in parts]
        named = "+".join(part for part in parts if "\n" not in part)
        self.model = ScriptedModel(parse("\n".join(texts), named)).start()
        self.set(base_url=json.dumps(self.model.url))
        return self.model

    def script(self, part: str) -> str:
        """Return the text of a script in scripts/."""
        return (SCRIPTS / f"{part}.toml").read_text()

    # Doing

    def run(
        self, *words: str, cwd: Path | None = None, said: str | bytes = b"", code: int | None = 0
    ) -> subprocess.CompletedProcess[bytes]:
        """Run a command in the home; its exit code must be `code` (None: any)."""
        ran = subprocess.run(
            words,
            cwd=cwd or self.home.root,
            env=self.environment,
            input=said.encode() if isinstance(said, str) else said,
            capture_output=True,
            timeout=BOUND_SECONDS,
            check=False,
        )
        if code is not None and ran.returncode != code:
            said = (ran.stdout + ran.stderr).decode("utf-8", "replace")[-2000:]
            pytest.fail(f"`{' '.join(words[3:] or words)}` ended with {ran.returncode}, not {code}:\n{said}")
        return ran

    def cli(self, *words: str, said: str | bytes = b"", code: int | None = 0) -> str:
        """Return what `agentloop WORDS` printed, errors included."""
        ran = self.run(*AGENTLOOP, *words, said=said, code=code)
        return (ran.stdout + ran.stderr).decode("utf-8", "replace")

    def code(self, *words: str) -> int:
        """Return how `agentloop WORDS` ended."""
        return self.run(*AGENTLOOP, *words, code=None).returncode

    def json(self, *words: str) -> Any:  # noqa: ANN401 - what a command's JSON holds
        """Return what `agentloop WORDS --json` printed."""
        return json.loads(self.run(*AGENTLOOP, *words, "--json").stdout)

    def git(self, *words: str, cwd: Path | None = None) -> str:
        """Return what git printed, in the target's checkout unless said otherwise."""
        return self.run("git", *words, cwd=cwd or self.repository).stdout.decode().strip()

    def file(self, title: str, body: str = "") -> str:
        """File an issue and return its id."""
        return str(self.json("issue", "new", title, "--body", body)["issue"]["id"])

    def cycle(self, *, code: int | None = 0) -> str:
        """Run one cycle and return what it said."""
        return self.cli("cycle", code=code)

    def settle(self, *, code: int | None = 0) -> None:
        """Run cycles until the loop would wait for something else than attempts, gates and short waits."""
        for _ in range(CYCLES_AT_MOST):
            self.cycle(code=code)
            nap = runtime.read_sleep(self.home.root)
            if nap is None:
                pytest.fail("the cycle did not say how long to sleep")
            if nap.kind in ("more", "busy"):
                self.wait_for_runs()
            elif nap.kind == "due" and nap.until is not None and "tried again" in nap.reason:
                time.sleep(max(0.0, nap.until.timestamp() - time.time()) + 0.05)
            elif "merges is not known yet" in nap.reason:
                continue  # the simulated GitHub knows it when it is asked again
            else:
                return
        pytest.fail(f"the loop did not come to rest in {CYCLES_AT_MOST} cycles: {self.nap()}")

    def lose_runtime(self) -> None:
        """Delete the runtime folder, while processes that make work trees ahead may be writing into it."""
        gone = self.root / f"gone-{time.monotonic_ns()}"
        self.home.runtime.rename(gone)
        shutil.rmtree(gone, ignore_errors=True)

    def wait_for_runs(self) -> None:
        """Wait until every attempt and gate that the journal knows to be under way has ended."""
        for view in self.world().live_tasks():
            match view.state:
                case Working(attempt=attempt):
                    folder = self.home.attempt(attempt)
                    self.until(lambda folder=folder: folder.end.exists() or _is_dead(folder))  # type: ignore[misc]
                case Judging(attempt=attempt, started=True):
                    folder = self.home.gate(attempt)
                    self.until(lambda folder=folder: folder.verdict.exists() or _is_dead(folder))  # type: ignore[misc]
                case _:
                    continue

    def until(self, condition: Callable[[], object], *, seconds: float = BOUND_SECONDS) -> None:
        """Wait until the condition holds; fail with the log's end when it does not within the bound."""
        give_up = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > give_up:
                log = self.root / "run.log"
                pytest.fail(f"not within {seconds} s\n{log.read_text()[-1500:] if log.exists() else ''}")
            time.sleep(0.05)

    @contextmanager
    def supervised(self) -> Iterator[subprocess.Popen[bytes]]:
        """Run a supervisor; it is stopped in the end, when it still runs."""
        with (self.root / "run.log").open("ab") as log:
            process = subprocess.Popen(
                (*AGENTLOOP, "run"),
                cwd=self.home.root,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._supervisors.append(process)
        try:
            yield process
        finally:
            process.terminate()
            process.wait(BOUND_SECONDS)

    def log(self) -> str:
        """Return what supervisors and their cycles have said."""
        return (self.root / "run.log").read_text("utf-8", "replace")

    # Looking

    def world(self) -> World:
        """Return the fold over the journal."""
        return Journal(self.home).world()

    def issue(self, number: str = "1") -> Issue:
        """Return an issue as the tracker has it."""
        return FileTracker(self.home.tracker).get(number).issue

    def ours(self, number: str = "1") -> list[str]:
        """Return the loop's own comments on an issue, in order."""
        return [one.body for one in self.issue(number).comments if one.ours]

    def state(self, task: str) -> str:
        """Return the name of a task's state."""
        return type(self.world().tasks[task].state).__name__

    def pulls(self) -> list[dict[str, Any]]:
        """Return all pull requests, oldest first, as a program sees them."""
        found: list[dict[str, Any]] = self.json("pr", "list", "--state", "all")["pulls"]
        return found[::-1]

    def pull(self, number: str = "1") -> dict[str, Any]:
        """Return one pull request whole."""
        found: dict[str, Any] = self.json("pr", "show", number)["pull"]
        return found

    def task_md(self, attempt: str) -> str:
        """Return what the attempt's worker was told: its first message to the model."""
        return str(json.loads(self.home.attempt(attempt).spec.read_bytes())["brief"])

    def nap(self) -> str:
        """Return why the loop sleeps."""
        found = runtime.read_sleep(self.home.root)
        return found.reason if found else ""

    def commits(self) -> list[str]:
        """Return the subjects of the home's commits, newest first."""
        return self.git("log", "--format=%s", cwd=self.home.root).splitlines()

    def bytes_outside(self) -> dict[str, bytes]:
        """Return every file that an idle cycle must leave alone: the target and the home."""
        roots = (self.home.root, self.repository)
        return {
            str(path): path.read_bytes()
            for root in roots
            for path in sorted(root.rglob("*"))
            if path.is_file() and self.home.runtime not in path.parents
        }

    def bytes_of_the_home(self) -> list[bytes]:
        """Return all that lies in the home, the runtime folder included."""
        return [path.read_bytes() for path in sorted(self.home.root.rglob("*")) if path.is_file()]

    def strayed(self) -> list[str]:
        """Return where cycles and idle looks, run again from their records, differ; () when all are the same.

        Running them again writes nothing, and finds the code that made them.
        """
        cycles = [path.parent.name for path in self.home.cycles.glob("*/tape.jsonl")]
        idle = [f"{one.cycle}+{one.number}" for one in looks(self.home.looks)]
        assert cycles != []
        kept = (self.home.journal, self.home.tracker, self.home.memories, self.home.cycles)
        before = files_below(*kept)
        found = [replay(self.home, name) for name in (*sorted(cycles, key=int), *idle)]
        assert files_below(*kept) == before
        assert [note for one in found for note in one.notes if "code" in note] == []
        return [
            f"{one.name}, call {each.number}: {each.what}\n{each.recorded}\n{each.now}"
            for one in found
            for each in one.differences
        ]

    def end(self) -> None:
        """End all that is left: supervisors, attempts, gates, the model."""
        for process in self._supervisors:
            with suppress(ProcessLookupError):
                process.kill()
        for claim in self.home.runtime.glob("*/*/claim.json"):
            identity = _identity(claim)
            if identity is not None and alive(identity):
                with suppress(ProcessLookupError):
                    os.kill(identity.pid, signal.SIGKILL)
        if self.model is not None:
            self.model.stop()


def files_below(*roots: Path) -> dict[str, tuple[int, int]]:
    """Return size and time of change of every file below `roots`."""
    paths = (path for root in roots for path in root.rglob("*") if not path.is_dir())
    found = ((str(path), path.lstat()) for path in paths)
    return {path: (stat.st_size, stat.st_mtime_ns) for path, stat in found}


def _identity(claim: Path) -> Any:  # noqa: ANN401 - an identity or None
    with suppress(OSError, ValueError):
        return runtime.identity_in(json.loads(claim.read_bytes()))
    return None


def _is_dead(folder: RunFolder) -> bool:
    identity = _identity(folder.claim)
    return not folder.root.exists() or (identity is not None and not alive(identity))


@pytest.fixture
def bare(tmp_path: Path) -> Iterator[Loop]:
    """Give a loop whose repository and home are yet to be made."""
    made = Loop(tmp_path)
    yield made
    made.end()


@pytest.fixture
def loop(bare: Loop) -> Loop:
    """Give a loop with repository and home; bubblewrap is needed unless the test switches the sandbox off."""
    bare.make_repository()
    bare.make_home()
    if shutil.which("bwrap") is None:
        bare.set(sandbox='"none"')
    return bare
