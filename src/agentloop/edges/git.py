"""git, run as a program under an environment of our own; the only module that loads GitPython.

Nothing of the machine's or the user's git settings reaches these runs: no hooks, no signing, no prompts, no
pager, no file-system monitor, no replacement objects; file, https and ssh are the only ways to another
repository.

`Git.run` starts git through GitPython, `Git.look` and `Git.plainly` through `subprocess`: loading GitPython
takes 65-70 ms, a `for-each-ref` 3 ms, and an idle cycle has about 130 ms in all, so its questions go through
`look`.
GitPython hands every child the whole environment of its parent, model key included; `env -i` takes it away
again. And it runs in our own folder when the one named is not there, so the folder is named to git (`-C`).
"""

from __future__ import annotations

import os
import re
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO, Final
from urllib.parse import urlsplit

from agentloop.domain.valueclass import dataclass
from agentloop.errors import AgentloopError

if TYPE_CHECKING:
    import selectors
    import subprocess
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

CONFIG: Final = {
    "advice.detachedHead": "false",
    "color.ui": "false",
    "commit.gpgSign": "false",
    "core.attributesFile": "/dev/null",
    "core.fsmonitor": "false",
    "core.hooksPath": "/dev/null",
    "core.pager": "cat",
    "core.protectHFS": "true",
    "core.protectNTFS": "true",
    "credential.helper": "",
    "fetch.recurseSubmodules": "false",
    "fetch.writeCommitGraph": "false",
    "gc.auto": "0",
    "gpg.program": "false",
    "init.defaultBranch": "main",
    "init.templateDir": "",
    "maintenance.auto": "false",
    "push.gpgSign": "false",
    # A bare repository hidden in somebody's tree is never taken for the one that was meant.
    "safe.bareRepository": "explicit",
    # Which folders are run in is decided by the code that calls, never by who owns them.
    "safe.directory": "*",
    "submodule.recurse": "false",
    "tag.gpgSign": "false",
}
DURABLE: Final = {"core.fsync": "all", "core.fsyncMethod": "fsync"}
"""By default git syncs packs only; a power cut can then leave an unreadable repository: git-config(1)."""

UPLOAD_PACK: Final = "--upload-pack=git -c 'safe.directory=*' upload-pack"
"""For ls-remote and fetch from a local path: git clears our settings, safe.directory too, for that side."""

_KEPT: Final = (
    "PATH", "TMPDIR", "TZ", "SSH_AUTH_SOCK", "SSL_CERT_FILE", "SSL_CERT_DIR",
    "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "NO_PROXY", "no_proxy",
)  # fmt: skip

_FIXES: Final = (
    (r"\.lock': File exists|Unable to create .*\.lock", "{lock}"),
    (r"No space left on device", "free some disk space"),
    (r"[Dd]ubious ownership", "let the repository belong to the user that runs agentloop"),
    (
        r"Permission denied|access denied|40[13]|Authentication failed|could not read Username",
        "check who may read or write the repository",
    ),
    (r"[Nn]ot a git repository|not appear to be a git repository", "check the path of the repository"),
    (
        r"Could not resolve host|unable to access|Connection (refused|timed out)|Could not read from remote",
        "check that the repository can be reached from this machine",
    ),
    (r"transport '.*' not allowed", "use a local path, an https:// or an ssh:// address"),
)
_STDERR_TAIL: Final = 2000
_CWD: Final = "/"
_CHUNK: Final = 1 << 16


class GitError(AgentloopError):
    """git failed: the command, its exit status (None = stopped at its time limit), the end of its words."""

    def __init__(self, command: str, status: int | None, stderr: str, *, after_seconds: float = 0) -> None:
        self.command = command
        self.status = status
        self.stderr = stderr
        how = f"took longer than {after_seconds:g} s" if status is None else f"ended with {status}"
        super().__init__(f"{command} {how}{': ' if stderr else ''}{stderr}", fix=_fix(stderr))


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """What opens repositories at `address` (scheme and host): git is given it through a pipe, for one call.

    It is never an argument, in the environment, in an address or on a disk.
    """

    address: str
    secret: Callable[[], str]
    user: str = "x-access-token"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Call:
    argv: tuple[str, ...]
    words: tuple[str, ...]
    env: dict[str, str]
    timeout_seconds: float
    limit_bytes: int | None
    keep: tuple[int, ...]


class Git:
    """git in one folder: a bare repository or git directory, or a checkout.

    `tree` is the work tree that belongs to a git directory elsewhere. `durable` makes every object, pack,
    index and ref survive a power cut; switch it off for what is thrown away. `env` adds variables.
    Descriptors in `keep` stay open in every git that is started: a flock on one is held until the last of
    them has ended, even when we are killed. `login` opens an address that takes one.
    """

    def __init__(
        self,
        folder: Path,
        *,
        tree: Path | None = None,
        durable: bool = True,
        env: Mapping[str, str] | None = None,
        keep: tuple[int, ...] = (),
        login: Login | None = None,
    ) -> None:
        self.folder = folder
        self._keep = keep
        self._tree = tree
        self._login = login
        self._env = environment(CONFIG | (DURABLE if durable else {})) | dict(env or {})
        # Whatever lies above the folder is never taken for its repository.
        self._env.setdefault("GIT_CEILING_DIRECTORIES", str(folder.absolute().parent))

    def run(
        self,
        *args: str,
        input: bytes | BinaryIO | None = None,  # noqa: A002 -- subprocess's word for it
        timeout_seconds: float = 120,
        limit_bytes: int | None = None,
    ) -> bytes:
        """Return what `git ARGS` prints: at most `limit_bytes` + 1 bytes; git is stopped when there is more.

        Raises GitError when it fails or runs longer than `timeout_seconds`.
        """
        with self._call(args, timeout_seconds, limit_bytes) as call, _stdin(input) as stdin:
            return _outcome(call, _through_gitpython(call, stdin))

    def text(
        self,
        *args: str,
        input: bytes | BinaryIO | None = None,  # noqa: A002 -- as in `run`
        timeout_seconds: float = 120,
    ) -> str:
        """Return what `run` returns, as text without the newline at its end; odd bytes become surrogates."""
        return _text(self.run(*args, input=input, timeout_seconds=timeout_seconds))

    def look(self, *args: str, timeout_seconds: float = 60) -> str:
        """Return what `text` returns, without loading GitPython: for the questions of an idle cycle."""
        return _text(self.plainly(*args, timeout_seconds=timeout_seconds))

    def plainly(
        self,
        *args: str,
        input: bytes | None = None,  # noqa: A002 -- as in `run`
        timeout_seconds: float = 60,
    ) -> bytes:
        """Return what `run` returns, without loading GitPython and with one process fewer."""
        with self._call(args, timeout_seconds, None) as call, _stdin(input) as stdin:
            return _outcome(call, _plainly(call, stdin))

    @contextmanager
    def _call(
        self, args: tuple[str, ...], timeout_seconds: float, limit_bytes: int | None
    ) -> Iterator[_Call]:
        where = ["-C", str(self._tree or self.folder)]
        if is_git_directory(self.folder):
            where.append(f"--git-dir={self.folder.absolute()}")
        if self._tree:
            where.append(f"--work-tree={self._tree.absolute()}")
        with _lent(self._login) as (lent, settings):
            yield _Call(
                argv=("git", *where, *settings, *args),
                words=args,
                env=self._env | _protocols(self._login),
                timeout_seconds=timeout_seconds,
                limit_bytes=limit_bytes,
                keep=(*self._keep, *lent),
            )


def is_git_directory(folder: Path) -> bool:
    """Return whether `folder` itself is a bare repository or a git directory."""
    return (folder / "HEAD").exists() and (folder / "objects").is_dir()


def environment(config: Mapping[str, str]) -> dict[str, str]:
    """Return the whole environment of a git process, with `config` as settings no file can override."""
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    pairs = {f"GIT_CONFIG_KEY_{i}": key for i, key in enumerate(config)}
    values = {f"GIT_CONFIG_VALUE_{i}": value for i, value in enumerate(config.values())}
    return {
        "PATH": os.defpath,
        **kept,
        "GIT_ALLOW_PROTOCOL": "file:https:ssh",
        "GIT_ASKPASS": "false",
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_SYSTEM": "/dev/null",
        "GIT_CONFIG_COUNT": str(len(config)),
        **pairs,
        **values,
        "GIT_EDITOR": "false",
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_PAGER": "cat",
        "GIT_SSH_COMMAND": "ssh -oBatchMode=yes -oConnectTimeout=15",
        "GIT_TERMINAL_PROMPT": "0",
        "HOME": "/nonexistent",
        "LC_ALL": "C",
        "SSH_ASKPASS": "false",
    }


@contextmanager
def _lent(login: Login | None) -> Iterator[tuple[tuple[int, ...], tuple[str, ...]]]:
    """Yield the descriptor that git may read the login from, once, and the settings that say so."""
    if login is None:
        yield (), ()
        return
    out, into = os.pipe()
    try:
        os.write(into, f"username={login.user}\npassword={login.secret()}\n".encode())
    finally:
        os.close(into)
    # A helper is a line for the shell: it hands on what is in the pipe, and nothing the second time.
    helper = f"credential.{login.address}.helper=!f() {{ cat /dev/fd/{out}; }}; f"
    try:
        yield (out,), ("-c", "credential.helper=", "-c", helper)
    finally:
        os.close(out)


def _protocols(login: Login | None) -> dict[str, str]:
    # Without encryption a token goes to this machine itself and nowhere else.
    own = login is not None and urlsplit(login.address).hostname in ("127.0.0.1", "::1", "localhost")
    return {"GIT_ALLOW_PROTOCOL": "file:https:ssh:http"} if own else {}


def refuse_unsafe_address(address: str) -> None:
    """Raise GitError for an address that makes git run a program (`ext::…`) or that looks like an option."""
    if address.startswith("-") or re.match(r"[A-Za-z][A-Za-z0-9+.-]*::", address):
        raise GitError(
            f"git fetch {without_password(address)}", 128, f"transport '{address[:20]}' not allowed"
        )


def without_password(text: str) -> str:
    """Return `text` with the credentials of every URL in it taken out."""
    return re.sub(r"(?<=://)[^/@\s]+@", "***@", text)


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape").removesuffix("\n")


def _stdin(given: bytes | BinaryIO | None) -> BinaryIO:
    """A file git reads from: a pipe that nobody reads would block us."""
    import tempfile

    if given is None:
        return open(os.devnull, "rb")  # noqa: PTH123 -- the caller closes it
    if not isinstance(given, bytes):
        return open(os.dup(given.fileno()), "rb")  # noqa: PTH123 -- likewise
    stream = tempfile.TemporaryFile()  # noqa: SIM115 -- likewise
    stream.write(given)
    stream.seek(0)
    return stream


def _plainly(call: _Call, stdin: BinaryIO) -> subprocess.Popen[bytes]:
    import subprocess

    try:
        return subprocess.Popen(
            call.argv,
            cwd=_CWD,
            env=call.env,
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            pass_fds=call.keep,
        )
    except OSError as error:
        raise _not_started(call, error) from error


def _through_gitpython(call: _Call, stdin: BinaryIO) -> subprocess.Popen[bytes]:
    os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")  # or loading it fails where git is missing
    import git

    command = ["env", "-i", *(f"{name}={value}" for name, value in call.env.items()), *call.argv]
    try:
        child = git.cmd.Git(_CWD).execute(command, istream=stdin, as_process=True, pass_fds=call.keep)
    except (OSError, git.exc.GitCommandNotFound) as error:
        raise _not_started(call, error) from error
    process = child.proc
    if process is None:
        raise _not_started(call, OSError("no process"))
    child.proc = None  # ending it is our business from here on: GitPython would end it when it forgets it
    return process


def _not_started(call: _Call, error: Exception) -> GitError:
    return GitError(_shown(call), 127, f"git cannot be started: {error}")


def _outcome(call: _Call, process: subprocess.Popen[bytes]) -> bytes:
    out, err = bytearray(), bytearray()
    with process:
        try:
            ended = _collect(process, out, err, call)
        finally:
            if process.poll() is None:
                _end(process)
    cut = call.limit_bytes is not None and len(out) > call.limit_bytes
    if ended and (process.returncode == 0 or cut):
        return bytes(out if call.limit_bytes is None else out[: call.limit_bytes + 1])
    words = without_password(err[-_STDERR_TAIL:].decode("utf-8", "replace").strip())
    status = process.returncode if ended else None
    raise GitError(_shown(call), status, words, after_seconds=call.timeout_seconds)


def _collect(process: subprocess.Popen[bytes], out: bytearray, err: bytearray, call: _Call) -> bool:
    """Read both pipes to their end; False when the time was up first."""
    import selectors

    deadline = time.monotonic() + call.timeout_seconds
    with selectors.DefaultSelector() as waiting:
        for pipe, into in ((process.stdout, out), (process.stderr, err)):
            if pipe is not None:
                waiting.register(pipe, selectors.EVENT_READ, into)
        while waiting.get_map():
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            for key, _ in waiting.select(left):
                _take_in(key, waiting, err)
            if call.limit_bytes is not None and len(out) > call.limit_bytes:
                return True
    return _await_end(process, max(0.1, deadline - time.monotonic()))


def _await_end(process: subprocess.Popen[bytes], seconds: float) -> bool:
    """Wait for the end by the kernel's word: `Popen.wait` with a time limit looks now and then, asleep."""
    import select

    try:
        fd = os.pidfd_open(process.pid)
    except OSError:  # no room for a descriptor
        return process.wait() is not None
    try:
        poll = select.poll()
        poll.register(fd, select.POLLIN)
        ended = bool(poll.poll(seconds * 1000))
    finally:
        os.close(fd)
    return ended and process.wait() is not None


def _take_in(key: selectors.SelectorKey, waiting: selectors.BaseSelector, err: bytearray) -> None:
    data = os.read(key.fd, _CHUNK)
    if not data:
        waiting.unregister(key.fileobj)
    key.data.extend(data)
    del err[: -2 * _STDERR_TAIL]


def _end(process: subprocess.Popen[bytes]) -> None:
    """SIGTERM first: git then takes its lock files away and ends its children."""
    import subprocess

    process.terminate()
    try:
        process.wait(2)
    except subprocess.TimeoutExpired:
        process.kill()


def _shown(call: _Call) -> str:
    return without_password(" ".join(("git", *call.words)))[:300]


def _fix(stderr: str) -> str:
    for pattern, fix in _FIXES:
        if re.search(pattern, stderr):
            lock = re.search(r"'([^']*\.lock)'", stderr)
            return fix.replace(
                "{lock}", f"delete {lock[1]} once no git runs there" if lock else "look for *.lock"
            )
    return ""
