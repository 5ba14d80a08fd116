"""The stage of the demo: a temporary folder with everything in it, real processes, and their certain end.

Nothing outside the folder is read or written by what runs here: HOME, XDG_* and git's settings lie inside.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from agentloop.domain.settings import Worker
from agentloop.edges.processes import alive, identity_of, pidfd_of
from agentloop.edges.runtime import identity_in
from agentloop.errors import AgentloopError, UnsafeError
from agentloop.home import Home
from agentloop.testing.model import ScriptedModel
from agentloop.testing.script import load
from agentloop.worker.sandbox import sandbox_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType
    from typing import Self

    from agentloop.edges.processes import Identity

AGENTLOOP: Final = (sys.executable, "-P", "-m", "agentloop")
COMMAND_SECONDS: Final = 60
DRAIN_SECONDS: Final = 5.0
LOG_LINES: Final = 14
ROUNDS: Final = 5
"""How often to look for processes to end: one that is ended may just have started another."""

LIVE_LIMITS: Final = {
    "attempt_usd": "0.6",
    "cycle_usd": "0.4",
    "day_usd": "2.0",
    "total_usd": "2.0",
    "attempt_minutes": "10",
    "attempt_turns": "30",
    "attempts_per_task": "2",
    "tasks_per_issue": "2",
}
"""What a live demo may spend: two dollars in all, whatever the models do."""

_KEPT: Final = ("PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TERM", "PYTHONHOME", "VIRTUAL_ENV")
_LIVE: Final = (
    "ANTHROPIC_API_KEY",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "HTTPS_PROXY",
    "https_proxy",
    "NO_PROXY",
)


class DemoError(AgentloopError):
    """The demo could not be told to its end; says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """One command of the demo: exit status and all it printed."""

    status: int
    text: str


class Stage:
    """Everything the demo needs, from `with` on; at its end every process has ended and the folder is gone.

    `live`: the real API, with the key from the environment, instead of the scripted model. `keep`: the folder
    stays. Raises DemoError, OSError.
    """

    def __init__(self, *, live: bool, keep: bool) -> None:
        self.live = live
        self.keep = keep
        self.sandbox_off: UnsafeError | None = None
        self._supervisor: subprocess.Popen[bytes] | None = None
        self._model: ScriptedModel | None = None

    def __enter__(self) -> Self:
        self.root = Path(tempfile.mkdtemp(prefix="agentloop-demo-")).resolve()
        try:
            self._set()
        except BaseException:
            self.strike()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.strike()

    @property
    def repository(self) -> Path:
        """The target: a small repository of a person."""
        return self.root / "durations"

    @property
    def home(self) -> Home:
        """The home that works for it."""
        return Home(self.root / "home")

    @property
    def log(self) -> Path:
        """What the supervisor and its cycles print."""
        return self.root / "run.log"

    def run(self, *words: str, cwd: Path | None = None, said: str = "") -> Ran:
        """Return how a command ended, in the home unless said otherwise. Raises DemoError when it hangs."""
        try:
            ran = subprocess.run(
                words,
                cwd=cwd or self.home.root,
                env=self._environment,
                input=said.encode(),
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=COMMAND_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise DemoError(f"`{' '.join(words)}` took more than {COMMAND_SECONDS} s") from error
        return Ran(status=ran.returncode, text=ran.stdout.decode("utf-8", "replace"))

    def agentloop(self, *words: str, said: str = "") -> str:
        """Return what `agentloop WORDS` printed. Raises DemoError when it ended badly."""
        ran = self.run(*AGENTLOOP, *words, said=said)
        if ran.status != 0:
            raise DemoError(f"`agentloop {' '.join(words)}` ended with {ran.status}: {ran.text.strip()}")
        return ran.text

    def raise_curtain(self) -> int:
        """Start the supervisor in the background and return its pid."""
        with self.log.open("ab") as log:
            self._supervisor = subprocess.Popen(
                (*AGENTLOOP, "run"),
                cwd=self.home.root,
                env={**self._environment, **self._key},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is ours: it is ended in order, not torn down
            )
        return self._supervisor.pid

    def check(self) -> None:
        """Raise DemoError when the supervisor has ended, or the script has no answer for what was asked."""
        if self._model is not None and self._model.errors:
            raise DemoError(f"the demo's script has no answer: {self._model.errors[0]}")
        if self._supervisor is not None and self._supervisor.poll() is not None:
            raise DemoError(f"`agentloop run` ended by itself with {self._supervisor.returncode}")

    def log_end(self) -> str:
        """Return the last lines of the log, "" when there is none."""
        try:
            return "\n".join(self.log.read_text("utf-8", "replace").splitlines()[-LOG_LINES:])
        except OSError:
            return ""

    def strike(self) -> None:
        """End every process, then take the folder away unless it is kept. Never raises OSError."""
        self._end_supervisor()
        for _ in range(ROUNDS):
            living = {*self._claimed(), *self._started()}
            if not living:
                break
            for identity in living:
                _end(identity)
        if self._model is not None:
            self._model.stop()
        if not self.keep:
            shutil.rmtree(self.root, onerror=_make_writable)

    # Setting the stage

    def _set(self) -> None:
        for name in ("person/.config", "person/.cache", "person/.local/share", "tmp"):
            (self.root / name).mkdir(parents=True)
        if not self.live:
            script = replace(load(data("script.toml")), name="the demo's script")
            self._model = ScriptedModel(script).start()
        try:
            sandbox_for(Worker(), writable=()).check()
        except UnsafeError as error:
            self.sandbox_off = error
        self._make_repository()
        self._make_home()

    @property
    def _environment(self) -> dict[str, str]:
        person = self.root / "person"
        kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
        return {
            "PATH": os.defpath,
            **kept,
            **_import_path(),
            "HOME": str(person),
            "XDG_CONFIG_HOME": str(person / ".config"),
            "XDG_CACHE_HOME": str(person / ".cache"),
            "XDG_DATA_HOME": str(person / ".local/share"),
            "TMPDIR": str(self.root / "tmp"),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": str(person / ".gitconfig"),
            "GIT_TERMINAL_PROMPT": "0",
            "PYTHONDONTWRITEBYTECODE": "1",
            "NO_COLOR": "1",
            "COLUMNS": "78",
        }

    @property
    def _key(self) -> dict[str, str]:
        if not self.live:
            return {"ANTHROPIC_API_KEY": "no-key-is-needed-for-a-script"}
        return {name: os.environ[name] for name in _LIVE if name in os.environ}

    def _make_repository(self) -> None:
        _copy(data("repository"), self.repository)
        person = self.root / "person/.gitconfig"
        person.write_text("[user]\n\tname = You\n\temail = you@localhost\n[init]\n\tdefaultBranch = main\n")
        for words in (("init", "-q"), ("add", "."), ("commit", "-q", "-m", "Parse durations")):
            self._git(self.repository, *words)

    def _make_home(self) -> None:
        made = self.run(
            *(*AGENTLOOP, "init", "home", "--target", str(self.repository), "--no-input"), cwd=self.root
        )
        if made.status != 0:
            raise DemoError(f"`agentloop init` ended with {made.status}: {made.text.strip()}")
        path = self.home.settings_file
        path.write_text(self._settings(path.read_text("utf-8")), "utf-8")
        self._git(self.home.root, "commit", "-q", "-m", "Set the home up for the demo", "agentloop.toml")

    def _settings(self, text: str) -> str:
        wanted = {"verify": '["python3 -m unittest"]', **(LIVE_LIMITS if self.live else {})}
        url = os.environ.get("ANTHROPIC_BASE_URL", "") if self._model is None else self._model.url
        if url:
            wanted["base_url"] = json.dumps(url)
        if self.sandbox_off is not None:
            wanted["sandbox"] = '"none"'
        lines = text.splitlines()
        for key, value in wanted.items():
            place = next((n for n, line in enumerate(lines) if line.startswith(f"#{key} = ")), None)
            if place is None:
                raise DemoError(f"a new agentloop.toml names no {key!r}")
            lines[place] = f"{key} = {value}"
        return "\n".join(lines) + "\n"

    def _git(self, folder: Path, *words: str) -> None:
        ran = self.run("git", *words, cwd=folder)
        if ran.status != 0:
            raise DemoError(f"`git {' '.join(words)}` ended with {ran.status}: {ran.text.strip()}")

    # Ending

    def _end_supervisor(self) -> None:
        process = self._supervisor
        if process is None:
            return
        for number in (signal.SIGTERM, signal.SIGTERM, signal.SIGKILL):
            if process.poll() is not None:
                return
            process.send_signal(number)
            with suppress(subprocess.TimeoutExpired):
                process.wait(DRAIN_SECONDS)

    def _claimed(self) -> Iterator[Identity]:
        """Attempts and gates: they outlive a supervisor on purpose, so the demo ends them itself."""
        for claim in self.home.runtime.glob("*/*/claim.json"):
            with suppress(OSError, ValueError):
                identity = identity_in(json.loads(claim.read_bytes()))
                if identity is not None and alive(identity):
                    yield identity

    def _started(self) -> Iterator[Identity]:
        """Whatever else was started here, told by its HOME: an attempt that has yet to claim, for one."""
        ours = f"HOME={self.root / 'person'}".encode()
        for path in Path("/proc").glob("[0-9]*/environ"):
            with suppress(OSError):
                identity = identity_of(int(path.parent.name))
                if identity is not None and ours in path.read_bytes().split(b"\0"):
                    yield identity


def data(name: str) -> Path:
    """Return a file or folder of the demo's own, as it was installed."""
    return Path(str(resources.files("agentloop.testing.demo") / name))


def _import_path() -> dict[str, str]:
    """PYTHONPATH as our own, good in every folder: one that is relative would not be."""
    found = os.environ.get("PYTHONPATH", "")
    paths = [str(Path(path).resolve()) for path in found.split(os.pathsep) if path]
    return {"PYTHONPATH": os.pathsep.join(paths)} if paths else {}


def _copy(origin: Path, to: Path) -> None:
    shutil.copytree(origin, to, ignore=shutil.ignore_patterns("__pycache__"))
    for path in (to, *to.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)  # an installed package may be read-only


def _end(identity: Identity) -> None:
    pidfd = pidfd_of(identity)
    if pidfd is None:
        return
    try:
        for number in (signal.SIGTERM, signal.SIGKILL):
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(pidfd, number)
            give_up = time.monotonic() + DRAIN_SECONDS
            while alive(identity) and time.monotonic() < give_up:
                time.sleep(0.02)
    finally:
        os.close(pidfd)


def _make_writable(remove: Any, path: str, _why: Any) -> None:  # noqa: ANN401 - shutil's own signature
    with suppress(OSError):
        Path(path).parent.chmod(stat.S_IRWXU)
        Path(path).chmod(stat.S_IRWXU)
        remove(path)
