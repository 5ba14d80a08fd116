"""Where hands work: one command at a time in bubblewrap, deny by default, nothing left of it afterwards.

Each command gets namespaces of its own (pid, mount, network, user, ipc, uts, cgroup) and no capability. It
sees the system's programs and what was named to it, and can write to what was named writable, nothing else.
When the command ends, or its time is over, the kernel ends everything it started with its pid namespace.

`sandbox = "none"` runs the same commands with the person's own rights, in sessions of their own: for a
machine without bubblewrap, named in the settings and in every pull request.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import functools
import json
import os
import selectors
import shutil
import signal
import subprocess
import sys
import time
from importlib import resources
from pathlib import Path
from typing import IO, TYPE_CHECKING, Literal

from agentloop.domain.valueclass import dataclass, field
from agentloop.errors import UnsafeError
from agentloop.worker import seccomp

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from agentloop.domain.settings import Worker

MARK = "AGENTLOOP_RUN"
"""Variable of every process on our side of a sandbox: names the run, so that its leftovers are found."""

DEFAULT_OUTPUT_BYTES = 32_000
SHM_BYTES = 256 << 20
FILE_BYTES = 4 << 30
PROCESSES = 4096
"""Bounds for a command: shared memory, largest file, processes (the kernel exempts root from the last)."""

_END_SECONDS = 10.0
_CHUNK = 1 << 16
_ID = "1000"
_TMP, _SHM = "/tmp", "/dev/shm"  # noqa: S108 -- inside, both are the run's own

_ETC = (
    "alternatives", "ca-certificates", "debian_version", "fonts", "java-11-openjdk", "java-17-openjdk",
    "java-21-openjdk", "ld.so.cache", "ld.so.conf", "ld.so.conf.d", "localtime", "magic", "mime.types",
    "nsswitch.conf", "os-release", "perl", "pki/tls/certs", "pki/ca-trust/extracted", "protocols", "python3",
    "python3.11", "python3.12", "python3.13", "services", "ssl/certs", "ssl/openssl.cnf", "terminfo",
    "timezone",
)  # fmt: skip
_READ_ONLY_PROC = ("bus", "driver", "fs", "irq", "mtrr", "sys", "sysrq-trigger")
"""What runs for root is root to the kernel, which lets it write these without any capability: a way out."""
_HIDDEN_PROC = ("kallsyms", "kcore", "key-users", "keys", "kmsg", "sched_debug", "timer_list", "vmallocinfo")
_EMPTY_PROC = ("acpi", "asound", "scsi")

_PASSWD = f"agent:x:{_ID}:{_ID}:agent:/tmp:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n"
_GROUP = f"agent:x:{_ID}:\nnogroup:x:65534:\n"
_HOSTS = "127.0.0.1 localhost sandbox\n::1 localhost\n"

FIX_MISSING = 'apt-get install bubblewrap (or your system\'s package), or set worker.sandbox = "none"'
FIX_BROKEN = (
    "allow user namespaces (sysctl kernel.unprivileged_userns_clone=1, or on Ubuntu "
    'kernel.apparmor_restrict_unprivileged_userns=0), or set worker.sandbox = "none"'
)

_SELF_TEST = """
set -u
fail() { echo "$1"; exit 9; }
[ "$(awk 'NR > 2 && $1 != "lo:"' /proc/net/dev | wc -l)" = 0 ] || fail "the network can be seen"
[ "$(awk '/^CapEff/ { print $2 }' /proc/self/status)" = 0000000000000000 ] || fail "capabilities are left"
(echo x > /usr/.agentloop-probe) 2>/dev/null && fail "/usr can be written"
(echo x > /.agentloop-probe) 2>/dev/null && fail "/ can be written"
[ -w /proc/sys/kernel/core_pattern ] && fail "kernel settings can be written"
[ -e /etc/shadow ] && fail "/etc/shadow can be seen"
[ "$(id -u)" = 0 ] && fail "it runs as root"
for hidden in "$@"; do [ -e "$hidden" ] && fail "$hidden can be seen"; done
echo sound
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """How a command ended. `status` is None when it was stopped: on time (`timed_out`), or by an interrupt.

    `output` is stdout and stderr as they came; beyond the limit, head and tail with a line about the gap.
    """

    status: int | None
    output: bytes
    seconds: float
    timed_out: bool = False

    @property
    def text(self) -> str:
        """The output as text, undecodable bytes replaced."""
        return self.output.decode("utf-8", "replace")


@dataclass(slots=True)
class _Kept:
    """Head and tail of a stream of any length, in bounded memory."""

    limit: int
    head: bytearray = field(default_factory=bytearray)
    tail: bytearray = field(default_factory=bytearray)
    lost: int = 0

    def add(self, data: bytes) -> None:
        room = max(0, self.limit // 2 - len(self.head))
        self.head += data[:room]
        self.tail += data[room:]
        over = len(self.tail) - (self.limit - self.limit // 2)
        if over > 0:
            self.lost += over
            del self.tail[:over]

    def bytes(self) -> bytes:
        gap = f"\n[… {self.lost} bytes left out …]\n".encode() if self.lost else b""
        return bytes(self.head) + gap + bytes(self.tail)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sandbox:
    """A place to run commands in; made by `sandbox_for`."""

    kind: Literal["bubblewrap", "none"]
    path: str
    writable: tuple[Path, ...]
    readable: tuple[Path, ...]
    hidden: tuple[Path, ...]
    tmp: Path | None
    mark: str
    interrupt: int | None
    variables: tuple[tuple[str, str], ...]

    def run(
        self,
        argv: Sequence[str],
        *,
        cwd: Path,
        env: Mapping[str, str] | None = None,
        timeout_seconds: float,
        input: bytes | None = None,  # noqa: A002 -- subprocess's word for it
        output_limit: int = DEFAULT_OUTPUT_BYTES,
    ) -> Ran:
        """Return how `argv` ended; whatever it started has ended too.

        Raises UnsafeError when the sandbox could not be set up, or its processes would not end.
        """
        began = time.monotonic()
        kept = _Kept(limit=output_limit)
        inside = self._environment() | dict(env or {})
        with _opened(self, argv, cwd, inside, input) as started:
            reason = _watch(started, kept, began + timeout_seconds, self.interrupt)
            status = _finish(started, kept, reason)
        seconds = time.monotonic() - began
        self._refuse_failed_setup(started, status, reason, kept)
        return Ran(
            status=status if reason == "ended" else None,
            output=kept.bytes(),
            seconds=seconds,
            timed_out=reason == "time",
        )

    def check(self, *, secrets: tuple[Path, ...] = ()) -> None:
        """Return when the sandbox holds; prove it by a command inside. `secrets` must be out of its sight.

        Raises UnsafeError with the fix.
        """
        if self.kind == "none":
            return
        if shutil.which("bwrap") is None:
            raise UnsafeError(
                "bubblewrap (bwrap) is not installed, so no agent can be started", fix=FIX_MISSING
            )
        ran = self.run(
            ["/bin/sh", "-c", _SELF_TEST, "self-test", *(str(path) for path in secrets)],
            cwd=Path("/"),
            timeout_seconds=30,
        )
        if ran.status != 0 or not ran.output.endswith(b"sound\n"):
            raise UnsafeError(
                f"the sandbox's self-test failed: {ran.text.strip() or 'no answer'}", fix=FIX_BROKEN
            )

    def _environment(self) -> dict[str, str]:
        home = _TMP if self.kind == "bubblewrap" else str(self.tmp or "/nonexistent")
        return {
            "PATH": self.path,
            "HOME": home,
            "TMPDIR": home,
            "LANG": "C.UTF-8",
            "TERM": "dumb",
            "PAGER": "cat",
            "GIT_PAGER": "cat",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_CONFIG_NOSYSTEM": "1",
            # Droppings of a test run are no part of anybody's change.
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONUNBUFFERED": "1",
            "PYTEST_ADDOPTS": "-p no:cacheprovider",
            "NO_COLOR": "1",
            "CI": "1",
            **dict(self.variables),
        }

    def _refuse_failed_setup(self, started: _Started, status: int | None, reason: str, kept: _Kept) -> None:
        if self.kind == "none" or reason != "ended" or started.set_up:
            return
        words = kept.bytes().decode("utf-8", "replace").strip()
        raise UnsafeError(
            f"the sandbox could not be set up: {words or f'bwrap ended with {status}'}", fix=FIX_BROKEN
        )


def sandbox_for(
    worker: Worker,
    *,
    writable: tuple[Path, ...],
    readable: tuple[Path, ...] = (),
    hidden: tuple[Path, ...] = (),
    tmp: Path | None = None,
    mark: str = "",
    interrupt: int | None = None,
    variables: Mapping[str, str] | None = None,
) -> Sandbox:
    """Return a sandbox in which only `writable` can be written and only `readable` (and the system) be read.

    Paths are the same inside and outside. `hidden` folders stay out of sight even where a readable one holds
    them. `tmp` becomes /tmp inside (default: in memory). A descriptor `interrupt` that becomes readable ends
    the command in hand. `variables` are added to every command's environment.
    """
    kind = worker.sandbox
    system = _system_folders()
    extra = (*_interpreter(), *(Path(path).expanduser() for path in worker.read))
    reads = [path for path in (*extra, *readable) if not any(path.is_relative_to(each) for each in system)]
    search = worker.path or os.environ.get("PATH", os.defpath)
    return Sandbox(
        kind=kind,
        # The loop's own interpreter comes last, so that there is a `python` where the system has none.
        path=os.pathsep.join(dict.fromkeys([*search.split(os.pathsep), str(Path(sys.executable).parent)])),
        writable=tuple(path.absolute() for path in writable),
        readable=tuple(dict.fromkeys(path.absolute() for path in reads)),
        hidden=tuple(path.absolute() for path in hidden),
        tmp=tmp.absolute() if tmp else None,
        mark=mark,
        interrupt=interrupt,
        variables=tuple((variables or {}).items()),
    )


def _system_folders() -> tuple[Path, ...]:
    return tuple(Path(f"/{name}") for name in ("usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32"))


def _interpreter() -> tuple[Path, ...]:
    """Folders without which this very Python does not start: its prefixes, and where its links lead."""
    real = Path(sys.executable).resolve()
    found = {Path(sys.prefix), Path(sys.base_prefix), real.parent.parent}
    return tuple(sorted(path for path in found if path not in {Path("/"), Path("/usr")}))


# Starting


@functools.cache
def _script(name: str) -> str:
    return resources.files("agentloop.worker").joinpath(name).read_text("utf-8")


@functools.cache
def _hold_lifeline(mark: str) -> None:
    """Start, once for each mark, what ends all that carries it when this process is gone, however it went."""
    script = _script("lifeline.py")
    read_end, write_end = os.pipe2(os.O_CLOEXEC)
    try:
        subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", script, f"{MARK}={mark}"],
            cwd="/",
            env={"PATH": os.defpath},
            stdin=read_end,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except OSError as error:
        raise UnsafeError(f"{sys.executable} cannot be started: {error}", fix="agentloop doctor") from error
    finally:
        os.close(read_end)
    # An orderly exit leaves nothing to end, and says so.
    atexit.register(os.write, write_end, b".")


@dataclass(slots=True)
class _Started:
    """A command under way; `inside` is a pidfd of its namespace's first process, once bubblewrap told it."""

    process: subprocess.Popen[bytes]
    output: IO[bytes]
    status_fd: int | None
    others: frozenset[int]
    said: bytearray = field(default_factory=bytearray)
    inside: int | None = None

    @property
    def set_up(self) -> bool:
        """Whether the command itself was reached: bubblewrap tells its exit code only then."""
        return b'"exit-code"' in self.said


@contextlib.contextmanager
def _opened(
    sandbox: Sandbox, argv: Sequence[str], cwd: Path, env: dict[str, str], given: bytes | None
) -> Iterator[_Started]:
    if sandbox.mark:
        _hold_lifeline(sandbox.mark)
    with contextlib.ExitStack() as stack:
        stdin = _memory_file(stack, given) if given is not None else subprocess.DEVNULL
        if sandbox.kind == "bubblewrap":
            _clear_mount_points(sandbox)
            status_fd, status_end = _pipe(stack)
            command, fds = _bubblewrap(sandbox, argv, cwd, env, status_end, stack)
            started = _spawn(
                command, cwd=Path("/"), env={MARK: sandbox.mark, "PATH": os.defpath}, stdin=stdin, fds=fds
            )
            os.close(status_end)
            started.status_fd = status_fd
        else:
            _adopt_orphans()
            mark = f"{MARK}={sandbox.mark}"
            command = [sys.executable, "-I", "-S", "-c", _script("warden.py"), str(os.getpid()), mark, *argv]
            started = _spawn(command, cwd=cwd, env=env, stdin=stdin, fds=())
        stack.callback(_leave_nothing, started)
        yield started


def _spawn(
    command: list[str], *, cwd: Path, env: dict[str, str], stdin: int, fds: tuple[int, ...]
) -> _Started:
    others = _children()
    try:
        process = subprocess.Popen(
            command,
            cwd=cwd,
            env=env,
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=fds,
        )
    except OSError as error:
        raise UnsafeError(f"{command[0]} cannot be started: {error}", fix=FIX_MISSING) from error
    if process.stdout is None:
        raise UnsafeError(f"{command[0]} has no output", fix=FIX_BROKEN)
    os.set_blocking(process.stdout.fileno(), False)
    return _Started(process=process, output=process.stdout, status_fd=None, others=others)


def _bubblewrap(
    sandbox: Sandbox,
    argv: Sequence[str],
    cwd: Path,
    env: Mapping[str, str],
    status_end: int,
    stack: contextlib.ExitStack,
) -> tuple[list[str], tuple[int, ...]]:
    data = {
        "/etc/passwd": _memory_file(stack, _PASSWD.encode()),
        "/etc/group": _memory_file(stack, _GROUP.encode()),
        "/etc/hosts": _memory_file(stack, _HOSTS.encode()),
    }
    files = [word for path, fd in data.items() for word in ("--ro-bind-data", str(fd), path)]
    calls = seccomp.program()
    rules = _memory_file(stack, calls) if calls else None
    bwrap = shutil.which("bwrap") or "bwrap"
    options = [
        *("--unshare-user", "--uid", _ID, "--gid", _ID, "--unshare-ipc", "--unshare-pid", "--unshare-net"),
        *("--unshare-uts", "--hostname", "sandbox", "--unshare-cgroup-try", *_nested(bwrap)),
        *("--die-with-parent", "--new-session", "--cap-drop", "ALL", "--json-status-fd", str(status_end)),
        *(("--seccomp", str(rules)) if rules is not None else ()),
        *_system(),
        *files,
        *_places(sandbox),
        *("--remount-ro", "/dev", "--remount-ro", "/", "--chdir", str(cwd), "--clearenv"),
        *(word for name, value in env.items() for word in ("--setenv", name, value)),
    ]
    bounds = [shutil.which("prlimit"), "--core=0", f"--fsize={FILE_BYTES}", f"--nproc={PROCESSES}"]
    wrapped = [*(word for word in bounds if bounds[0] and word), *argv]
    fds = (status_end, *data.values(), *((rules,) if rules is not None else ()))
    return [bwrap, *options, "--", *wrapped], fds


@functools.cache
def _nested(bwrap: str) -> tuple[str, ...]:
    """The option that forbids user namespaces within, where this bubblewrap (0.8 and later) has it."""
    try:
        said = subprocess.run([bwrap, "--help"], capture_output=True, timeout=10, check=False).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ()
    return ("--disable-userns",) if b"--disable-userns" in said else ()


def _system() -> Iterator[str]:
    for folder in _system_folders():
        if folder.is_symlink():
            yield from ("--symlink", str(folder.readlink()), str(folder))
        elif folder.is_dir():
            yield from ("--ro-bind", str(folder), str(folder))
    for name in _ETC:
        yield from ("--ro-bind-try", f"/etc/{name}", f"/etc/{name}")
    yield from ("--proc", "/proc")
    for name in _READ_ONLY_PROC:
        yield from ("--ro-bind-try", f"/proc/{name}", f"/proc/{name}")
    for name in _HIDDEN_PROC:
        if Path("/proc", name).exists():
            yield from ("--ro-bind", "/dev/null", f"/proc/{name}")
    for name in _EMPTY_PROC:
        if Path("/proc", name).is_dir():
            yield from ("--tmpfs", f"/proc/{name}")
    yield from ("--dev", "/dev", "--perms", "1777", "--size", str(SHM_BYTES), "--tmpfs", _SHM)


def _places(sandbox: Sandbox) -> Iterator[str]:
    """Mounts in an order in which the later, more special one wins: tmp, readable, hidden, writable."""
    if sandbox.tmp:
        yield from ("--bind", str(sandbox.tmp), _TMP)
        for name in _within_tmp(sandbox):
            yield from ("--perms", "0755", "--tmpfs", f"{_TMP}/{name}")
    else:
        yield from ("--perms", "1777", "--size", str(SHM_BYTES), "--tmpfs", _TMP)
    for path in sandbox.readable:
        yield from ("--ro-bind-try", str(path), str(path))
    for path in sandbox.hidden:
        if any(path.is_relative_to(each) for each in sandbox.readable) and path.is_dir():
            yield from ("--perms", "0755", "--tmpfs", str(path))
    for path in sandbox.readable:
        if any(path.is_relative_to(each) for each in sandbox.hidden):
            yield from ("--ro-bind-try", str(path), str(path))
    for path in sandbox.writable:
        yield from ("--bind", str(path), str(path))
    for name in _within_tmp(sandbox) if sandbox.tmp else ():
        yield from ("--remount-ro", f"{_TMP}/{name}")


def _within_tmp(sandbox: Sandbox) -> tuple[str, ...]:
    """First names below /tmp of what is mounted there: of a home in /tmp."""
    places = (path.parts for path in (*sandbox.readable, *sandbox.writable) if path.is_relative_to(_TMP))
    return tuple(dict.fromkeys(parts[2] for parts in places))


def _clear_mount_points(sandbox: Sandbox) -> None:
    """Make the mount points in the run's own /tmp anew where a command put something else in their place.

    A link there would lead a mount astray. Nobody writes there now: what a command started ended with it.
    """
    if sandbox.tmp is None:
        return
    for name in _within_tmp(sandbox):
        point = sandbox.tmp / name
        if point.is_symlink() or (point.exists() and not point.is_dir()):
            point.unlink()
        point.mkdir(exist_ok=True)


def _memory_file(stack: contextlib.ExitStack, data: bytes) -> int:
    fd = os.memfd_create("agentloop")
    stack.callback(os.close, fd)
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
    os.lseek(fd, 0, os.SEEK_SET)
    return fd


def _pipe(stack: contextlib.ExitStack) -> tuple[int, int]:
    read_end, write_end = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    stack.callback(os.close, read_end)
    return read_end, write_end


# Watching and ending


def _watch(
    started: _Started, kept: _Kept, until: float, interrupt: int | None
) -> Literal["ended", "time", "interrupt"]:
    exited = os.pidfd_open(started.process.pid)
    try:
        with selectors.DefaultSelector() as waiting:
            for fd in (exited, started.output.fileno(), started.status_fd, interrupt):
                if fd is not None:
                    waiting.register(fd, selectors.EVENT_READ)
            while (left := until - time.monotonic()) > 0:
                ready = {key.fd for key, _ in waiting.select(left)}
                if started.output.fileno() in ready and not _take(started, kept):
                    waiting.unregister(started.output.fileno())
                if started.status_fd in ready and not _listen(started):
                    waiting.unregister(started.status_fd)
                if interrupt in ready:
                    return "interrupt"
                if exited in ready:
                    return "ended"
    finally:
        os.close(exited)
    return "time"


def _take(started: _Started, kept: _Kept) -> bool:
    """Take in what there is of the output; False at its end."""
    try:
        data = os.read(started.output.fileno(), _CHUNK)
    except BlockingIOError:
        return True
    kept.add(data)
    return bool(data)


def _listen(started: _Started) -> bool:
    """Take in what bubblewrap says about itself; False at its end."""
    if started.status_fd is None:
        return False
    try:
        data = os.read(started.status_fd, _CHUNK)
    except BlockingIOError:
        return True
    started.said += data
    if started.inside is None and b"\n" in started.said:
        with contextlib.suppress(ValueError, KeyError, OSError):
            pid = int(json.loads(started.said.split(b"\n", 1)[0])["child-pid"])
            started.inside = os.pidfd_open(pid)
    return bool(data)


def _finish(started: _Started, kept: _Kept, reason: str) -> int | None:
    """End what is left, take in the rest of the output, and return the command's status."""
    if reason != "ended":
        started.process.kill()
    status = started.process.wait()
    while started.status_fd is not None and not started.set_up and _listen_more(started):
        pass
    _leave_nothing(started)
    _drain(started, kept)
    return status if status >= 0 else 128 - status


def _listen_more(started: _Started) -> bool:
    before = len(started.said)
    return _listen(started) and len(started.said) > before


def _drain(started: _Started, kept: _Kept) -> None:
    until = time.monotonic() + _END_SECONDS
    with selectors.DefaultSelector() as waiting:
        waiting.register(started.output.fileno(), selectors.EVENT_READ)
        while (left := until - time.monotonic()) > 0:
            if waiting.select(left) and not _take(started, kept):
                return


def _leave_nothing(started: _Started) -> None:
    """End every process that the command started; safe to call again. Raises UnsafeError when one stays."""
    if started.process.poll() is None:
        started.process.kill()
        started.process.wait()
    if started.inside is not None:
        inside, started.inside = started.inside, None
        _end_namespace(inside)
    if started.status_fd is None:
        _end_descendants(started)


def _end_namespace(inside: int) -> None:
    try:
        # Its own end is the end of all: the kernel ends a pid namespace with its first process.
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(inside, signal.SIGKILL)
        with selectors.DefaultSelector() as waiting:
            waiting.register(inside, selectors.EVENT_READ)
            if not waiting.select(_END_SECONDS):
                raise UnsafeError(
                    "processes in the sandbox do not end", fix="look for stuck disks, or restart"
                )
    finally:
        os.close(inside)


def _end_descendants(started: _Started) -> None:
    """Without a pid namespace orphans come to us, their subreaper: end what is new among our children."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(started.process.pid, signal.SIGKILL)
    until = time.monotonic() + _END_SECONDS
    while (left := _children() - started.others) and time.monotonic() < until:
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, 0)


def _children() -> frozenset[int]:
    found = (path.read_text("ascii") for path in Path("/proc/self/task").glob("*/children"))
    return frozenset(int(pid) for pids in found for pid in pids.split())


def _adopt_orphans() -> None:
    set_child_subreaper = 36  # linux/prctl.h
    ctypes.CDLL(None, use_errno=True).prctl(set_child_subreaper, 1, 0, 0, 0)
