"""Putting a file in another's place without losing what somebody writes there at that very moment.

A rename over a file forgets what it displaced. An exchange keeps it, so that it can be looked at. Whoever
had it open for writing may still write into it afterwards: a lease tells when nobody has (fcntl(2),
"Leases").
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import signal
import stat
import time
from typing import TYPE_CHECKING, Final

from agentloop.errors import BusyError, HomeError

if TYPE_CHECKING:
    from pathlib import Path

_AT_FDCWD: Final = -100
_RENAME_EXCHANGE: Final = 2
_UNAVAILABLE: Final = frozenset({errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EPERM})
_TRIES: Final = 20
_POLL_SECONDS: Final = 0.005


def swap(new: Path, path: Path) -> Path | None:
    """Put the file `new` at `path`; return where the file that was there is now (None: there was none).

    Where the file system cannot exchange, the old file is linked aside and renamed over: a file renamed onto
    `path` between these two calls, microseconds apart, is lost. Raises OSError, and BusyError when the file
    comes and goes all the time.
    """
    for _ in range(_TRIES):
        try:
            return new if _exchange(new, path) else _link_and_rename(new, path)
        except FileNotFoundError:
            # A link, unlike a rename, fails when a file has appeared meanwhile.
            with contextlib.suppress(FileExistsError):
                os.link(new, path)
                new.unlink()
                return None
    raise BusyError(
        f"{path} comes and goes", fix="close the program that writes it; the next cycle tries again"
    )


def _link_and_rename(new: Path, path: Path) -> Path:
    aside = new.with_name(new.name + ".old")
    aside.unlink(missing_ok=True)
    os.link(path, aside, follow_symlinks=False)
    new.replace(path)
    return aside


def read_settled(path: Path, patience_seconds: float) -> bytes:
    """Return the bytes of the regular file at `path`, once nobody has it open for writing.

    After `patience_seconds` they are returned as they are. Raises FileNotFoundError, and HomeError when it
    is not a regular file.
    """
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(fd, "rb") as stream:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise HomeError(
                f"{path} is not a regular file",
                fix=f"mv {path} {path}.aside; the next cycle writes the file anew",
            )
        deadline = time.monotonic() + patience_seconds
        while being_written(fd) and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)
        return stream.read()


def sync_file_system(path: Path) -> None:
    """Make everything written to the file system of `path` durable (syncfs(2)). Raises OSError."""
    import ctypes

    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        call = getattr(ctypes.CDLL(None, use_errno=True), "syncfs", None)
        if call is None:
            os.sync()
        elif call(fd) != 0:
            _raise_errno(path)
    finally:
        os.close(fd)


def _exchange(a: Path, b: Path) -> bool:
    import ctypes

    call = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if call is None:
        return False
    if call(_AT_FDCWD, os.fsencode(a), _AT_FDCWD, os.fsencode(b), _RENAME_EXCHANGE) == 0:
        return True
    if ctypes.get_errno() in _UNAVAILABLE:
        return False
    return _raise_errno(b)


def _raise_errno(path: Path) -> bool:
    import ctypes

    code = ctypes.get_errno()
    raise OSError(code, os.strerror(code), str(path))


def being_written(fd: int) -> bool:
    """Return whether some process has the file open for writing; False where that cannot be told."""
    try:
        # Somebody who opens the file while we hold the lease makes the kernel signal us: with SIGURG, which
        # does nothing by default, in place of SIGIO, which kills.
        fcntl.fcntl(fd, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except OSError as error:
        return error.errno == errno.EAGAIN
    return False
