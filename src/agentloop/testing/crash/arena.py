"""One folder with everything the story needs, and shims that strike a chosen process at a chosen call.

    root/bin/python, git   shims: the next process of an armed role is started under strace
    root/arm/ROLE          what strace is told about it; taken away by the process that it is for
    root/world/            home, repository and person's settings: what a snapshot holds
    root/record.*          what strace wrote

The shim is what runs as `sys.executable`, so whatever the loop starts of its own comes through it.
"""

from __future__ import annotations

import compileall
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import agentloop
from agentloop.domain.effects import gate_run
from agentloop.domain.observed import Running
from agentloop.domain.states import Judging, Working
from agentloop.edges import runtime
from agentloop.edges.executor import LocalExecutor
from agentloop.edges.journal import Journal
from agentloop.edges.metered import shipped_prices
from agentloop.errors import AgentloopError
from agentloop.home import Home
from agentloop.testing.crash.calls import TRACED
from agentloop.testing.model import ScriptedModel
from agentloop.testing.script import load

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agentloop.domain.observed import Seen
    from agentloop.domain.world import World
    from agentloop.testing.crash.calls import Point
    from agentloop.testing.model import Served

FILES: Final = {
    "calc.py": "def add(a, b):\n    return a - b\n\n\ndef double(a):\n    return a * 2\n",
    "tests/__init__.py": "",
    "tests/test_calc.py": (
        "import unittest\n\nfrom calc import double\n\n\nclass Calc(unittest.TestCase):\n"
        "    def test_double(self):\n        self.assertEqual(double(4), 8)\n"
    ),
}
SETTINGS: Final = {"backoff_seconds": "1", "verify": '["python3 -m unittest"]'}
COMMAND_SECONDS: Final = 240.0
RUNS_SECONDS: Final = 240.0
GONE_SECONDS: Final = 60.0
ROOM_BYTES: Final = 1 << 30
LONGEST_NAP_SECONDS: Final = 8.0

_PYTHON: Final = """#!/bin/bash
root={root}
role= previous=
for word; do
  if [[ $previous == agentloop ]]; then role=$word; break; fi
  previous=$word
done
if [[ -n $role ]] && mv "$root/arm/$role" "$root/fired.$role" 2>/dev/null; then
  read -r -a words <"$root/fired.$role"
  # strace finds it in a folder of its own; it finds itself in PATH, here: what it starts comes through here.
  told=$PATH PATH=$root/real
  traced=({strace} -E PATH="$told" -D -f -b execve -qq -y -s 128 -o "$root/record.$role" "${{words[@]}}")
  exec "${{traced[@]}}" python "$@"
fi
exec -a "$0" {real} "$@"
"""
_GIT: Final = """#!/bin/bash
root={root}
if [[ -d $root/arm/git && -w $root/arm/git ]]; then
  n=1
  until mkdir "$root/arm/git/$n" 2>/dev/null; do n=$((n + 1)); done
  if [[ -e $root/arm/git.all ]]; then
    read -r -a words <"$root/arm/git.all"
    exec strace -D -f -qq -y -s 128 -o "$root/record.git$n" "${{words[@]}}" {real} "$@"
  fi
  if [[ -e $root/arm/git.$n ]]; then
    read -r -a words <"$root/arm/git.$n"
    strace -f -qq -y -s 128 -o "$root/record.git$n" "${{words[@]}}" {real} "$@"
    code=$?
    touch "$root/fired.git$n"
    if [[ $code == 137 && -e $root/arm/git.parent ]]; then kill -9 "$PPID"; fi
    [[ $code == 137 ]] && kill -9 $$
    exit $code
  fi
fi
exec {real} "$@"
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """How a command ended; `status` None: it was ended because it hung."""

    status: int | None
    text: str


class Arena:
    """A world of its own in `root`, with a scripted model. `stop` ends what is left of it.

    Its processes talk to the model through a stand-in for the SDK, unless it is to be the `whole_sdk`.
    """

    def __init__(self, root: Path, *, model: ScriptedModel | None = None, whole_sdk: bool = False) -> None:
        self.whole_sdk = whole_sdk
        self.root = root.absolute()
        self.world = self.root / "world"
        self.home = Home(self.world / "home")
        self.repository = self.world / "calc"
        self.snapshots = self.root / "snapshots"
        story = Path(str(resources.files("agentloop.testing.crash") / "story.toml"))
        self.model = ScriptedModel(load(story)) if model is None else model
        self._served: dict[str, list[Served]] = {}

    # Making it.

    def make(self) -> None:
        """Make shims, repository and home. Raises OSError, AgentloopError."""
        # The processes here write no bytecode, which would count among their calls; they shall find some.
        compileall.compile_dir(Path(agentloop.__file__).parent, quiet=2)
        for name in ("bin", "arm", "snapshots", "world/person", "tmp"):
            (self.root / name).mkdir(parents=True, exist_ok=True)
        self._make_shims()
        self.model.start()
        (self.world / "person/.gitconfig").write_text("[user]\n\tname = You\n\temail = you@localhost\n")
        for name, text in FILES.items():
            path = self.repository / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        for words in (("init", "-q", "-b", "main"), ("add", "."), ("commit", "-q", "-m", "Calculate")):
            self.git(*words)
        named = ("--target", str(self.repository), "--no-input")
        made = self.agentloop("init", str(self.home.root), *named, cwd=self.root)
        if made.status != 0:
            raise AgentloopError(f"no home could be made: {made.text}")
        sandbox = {} if shutil.which("bwrap") else {"sandbox": '"none"'}
        self.set({**SETTINGS, **sandbox, "base_url": json.dumps(self.model.url)})

    def set(self, values: dict[str, str]) -> None:
        """Change settings on their lines, as a person does. Values are TOML."""
        lines = self.home.settings_file.read_text().splitlines()
        for key, value in values.items():
            starts = (f"#{key} = ", f"{key} = ")
            place = next(n for n, line in enumerate(lines) if line.startswith(starts))
            lines[place] = f"{key} = {value}"
        self.home.settings_file.write_text("\n".join(lines) + "\n")

    def _make_shims(self) -> None:
        # The interpreter is known by the shim's name and finds its modules as this one does.
        prefix, base = Path(sys.prefix), Path(sys._base_executable)  # type: ignore[attr-defined]  # noqa: SLF001 -- the only name for it
        if (prefix / "pyvenv.cfg").exists():
            shutil.copy(prefix / "pyvenv.cfg", self.root)
            (self.root / "lib").symlink_to(prefix / "lib")
        (self.root / "real").mkdir(exist_ok=True)
        (self.root / "real/python").symlink_to(base.resolve())
        real_git = shutil.which("git") or "git"
        for name, text, real in (("python", _PYTHON, base.resolve()), ("git", _GIT, real_git)):
            path = self.root / "bin" / name
            path.write_text(text.format(root=self.root, real=real, strace=shutil.which("strace")))
            path.chmod(0o755)

    @property
    def environment(self) -> dict[str, str]:
        """The environment of everything here."""
        lean = () if self.whole_sdk else (str(resources.files("agentloop.testing.crash") / "lean"),)
        return {
            "PATH": f"{self.root / 'bin'}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
            "HOME": str(self.world / "person"),
            "TMPDIR": str(self.root / "tmp"),
            "LANG": "C.UTF-8",
            "PYTHONPATH": os.pathsep.join((*lean, *(str(Path(part).resolve()) for part in _import_path()))),
            "PYTHONDONTWRITEBYTECODE": "1",
            "ANTHROPIC_API_KEY": "no-key-is-needed-for-a-script",
            "NO_COLOR": "1",
        }

    # Doing.

    def agentloop(self, *words: str, cwd: Path | None = None) -> Ran:
        """Return how `agentloop WORDS` went."""
        return self._run(*self._command(words), cwd=cwd)

    def begin(self, *words: str) -> subprocess.Popen[bytes]:
        """Start `agentloop WORDS` and return its process; nobody reads what it prints."""
        null = subprocess.DEVNULL
        return subprocess.Popen(
            self._command(words),
            cwd=self.root,
            env={**self.environment, "AGENTLOOP_HOME": str(self.home.root)},
            stdin=null,
            stdout=null,
            stderr=null,
            start_new_session=True,
        )

    def _command(self, words: tuple[str, ...]) -> tuple[str, ...]:
        return (str(self.root / "bin/python"), "-P", "-m", "agentloop", *words)

    def git(self, *words: str, cwd: Path | None = None) -> Ran:
        """Return how git went, in the target's checkout unless said otherwise."""
        return self._run(shutil.which("git") or "git", *words, cwd=cwd or self.repository)

    def _run(self, *words: str, cwd: Path | None = None) -> Ran:
        process = subprocess.Popen(
            words,
            cwd=cwd or self.home.root,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            said, _ = process.communicate(timeout=COMMAND_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            said, _ = process.communicate()
            return Ran(status=None, text=said.decode("utf-8", "replace"))
        return Ran(status=process.returncode, text=said.decode("utf-8", "replace"))

    def json(self, *words: str) -> Any:  # noqa: ANN401 - what a command's JSON holds
        """Return what `agentloop WORDS --json` printed. Raises ValueError when that is no JSON."""
        return json.loads(self.agentloop(*words, "--json").text)

    def seen(self, job: str) -> tuple[Seen, ...]:
        """Return what is to be seen of an attempt or a gate."""
        return LocalExecutor(self.home.root, only_look=True).observe(frozenset({job}))

    def wait_for_runs(self) -> None:
        """Wait until no attempt and no gate that the journal knows to be under way is running."""
        give_up = time.monotonic() + RUNS_SECONDS
        look = LocalExecutor(self.home.root, only_look=True)
        while time.monotonic() < give_up:
            jobs = frozenset(_jobs(self.journal()))
            if not any(isinstance(one, Running) for one in look.observe(jobs)):
                return
            time.sleep(0.03)
        raise AgentloopError(f"a run did not end within {RUNS_SECONDS:.0f} s")

    def rest(self) -> None:
        """Wait as long as the last cycle said, when that is a short wait for another try."""
        nap = runtime.read_sleep(self.home.root)
        if nap is not None and nap.kind == "due" and nap.until is not None:
            left = (nap.until - datetime.now(UTC)).total_seconds()
            if left < LONGEST_NAP_SECONDS:
                time.sleep(max(0.0, left) + 0.02)

    def journal(self) -> World:
        """Return the fold over the journal. Raises JournalError."""
        return Journal(self.home).world()

    def money_amiss(self, world: World, *, over: bool) -> Iterator[str]:
        """Yield what is wrong with the money: settled ≤ served ≤ settled + unresolved + what is set aside.

        When the story is `over`, nothing is set aside any more. What the model had no answer for is said too.
        """
        served = self.model.served_micros(shipped_prices().models)
        in_all = sum(world.spent_by_day.values())
        settled = in_all - world.unresolved_micros
        if not settled <= served <= in_all + sum(world.purses.values()):
            yield f"settled {settled}, served {served}, unresolved {world.unresolved_micros}, in all {in_all}"
        if over and world.purses:
            yield f"purses that nobody settles: {dict(world.purses)}"
        yield from (f"the model was asked what it has no answer for: {one}" for one in self.model.errors)

    # Striking.

    def arm(self, point: Point) -> None:
        """Have the process of the point struck when it comes."""
        error = point.fault.rstrip("+")
        happens = "signal=KILL" if error == "kill" else f"error={error}"
        when = f"{point.n}{'+' if point.fault.endswith('+') else ''}"
        words = f"-e trace={point.call} -e inject={point.call}:{happens}:when={when}"
        if point.only:
            words += f" -P {self.world / point.only}"
        if point.role.startswith("git"):
            number = point.role.removeprefix("git").rstrip("+")
            (self.root / "arm/git").mkdir()
            (self.root / f"arm/git.{number}").write_text(words + "\n")
            if point.role.endswith("+"):
                (self.root / "arm/git.parent").touch()
        else:
            (self.root / "arm" / point.role).write_text(words + "\n")

    def arm_to_record(self, roles: tuple[str, ...]) -> None:
        """Have the first process of each role, and every git, recorded."""
        words = f"-e trace={','.join(sorted(TRACED))}"
        (self.root / "arm/git").mkdir()
        for role in (*roles, "git.all"):
            (self.root / "arm" / role).write_text(words + "\n")

    def disarm(self) -> dict[str, str]:
        """Take everything armed away, and return what strace recorded, by role."""
        shutil.rmtree(self.root / "arm")
        (self.root / "arm").mkdir()
        records = {path.suffix[1:]: path.read_text("utf-8", "replace") for path in self.root.glob("record.*")}
        for path in (*self.root.glob("record.*"), *self.root.glob("fired.*")):
            path.unlink()
        return records

    # Going back.

    def save(self, name: str) -> None:
        """Keep the world as it is now under a name."""
        ignored = shutil.ignore_patterns("lost+found")
        shutil.copytree(self.world, self.snapshots / name, symlinks=True, ignore=ignored)
        self._served[name] = list(self.model.served)

    def restore(self, name: str) -> None:
        """Make the world what it was; whatever still runs in it is ended first."""
        self.end_leftovers()
        _empty(self.world)
        _empty(self.root / "tmp")
        shutil.copytree(self.snapshots / name, self.world, symlinks=True, dirs_exist_ok=True)
        self.model.served[:] = self._served[name]
        self.model.errors.clear()
        self.model.requests.clear()

    # Ending.

    def living(self) -> Iterator[int]:
        """Yield the pids of all processes that belong here, sandboxed ones too."""
        mark = f"{self.root}/".encode()
        for folder in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                said = (folder / "environ").read_bytes() + (folder / "cmdline").read_bytes()
                if mark in said and int(folder.name) != os.getpid() and _runs(folder):
                    yield int(folder.name)

    def outlived(self) -> tuple[str, ...]:
        """Return what still runs after everything had time to end, as command lines."""
        give_up = time.monotonic() + GONE_SECONDS
        while (left := tuple(self.living())) and time.monotonic() < give_up:
            time.sleep(0.05)
        return tuple(_command_line(pid) for pid in left)

    def end_leftovers(self) -> None:
        """End every process that belongs here."""
        while left := tuple(self.living()):
            for pid in left:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.02)

    def stop(self) -> None:
        """End everything, the model too."""
        self.end_leftovers()
        self.model.stop()


def in_memory() -> Path | None:
    """Return a folder whose files are in memory, where fsync costs nothing; None when there is none."""
    shared = Path("/dev/shm")  # noqa: S108 -- what is made in it gets a name of its own
    return shared if os.access(shared, os.W_OK) and shutil.disk_usage(shared).free > ROOM_BYTES else None


def _empty(folder: Path) -> None:
    """Take everything in a folder away, but not the folder: it may be where a file system is mounted."""
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def _import_path() -> list[str]:
    return [part for part in os.environ.get("PYTHONPATH", "").split(os.pathsep) if part]


def _jobs(world: World) -> Iterator[str]:
    for view in world.live_tasks():
        match view.state:
            case Working(attempt=attempt):
                yield f"attempt:{attempt}"
            case Judging(attempt=attempt, started=True, round=number):
                yield f"gate:{gate_run(attempt, number)}"
            case _:
                continue


def _runs(folder: Path) -> bool:
    stat = (folder / "stat").read_bytes()
    return stat[stat.rindex(b")") + 2 :][:1] not in (b"Z", b"X")


def _command_line(pid: int) -> str:
    with suppress(OSError):
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        return b" ".join(words).decode("utf-8", "replace")[:160]
    return f"pid {pid}"
