"""Files that survive a power cut, and locks that die with their holder.

Durable means: temp file in the same folder, fsync, rename, fsync of the folder; every error raised. An fsync
that failed is never retried, because the kernel may have dropped the dirty pages it failed to write
(https://lwn.net/Articles/752063/): the caller must treat the write as not done.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from agentloop.errors import BusyError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

TEMP_PREFIX = ".agentloop-tmp-"
BLOCK_BYTES = 512
"""What `st_blocks` counts, whatever the file system's own blocks are (stat(2))."""


def write_durable(path: Path, data: bytes, *, mode: int = 0o644) -> None:
    """Replace the file at `path` with `data`; on return it survives a power cut.

    Readers see the old bytes or the new, never a mixture. Raises OSError and leaves the old file when the new
    one could not be made durable; the temp file is taken away.
    """
    temp = path.with_name(f"{TEMP_PREFIX}{os.urandom(6).hex()}")
    try:
        fd = os.open(temp, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        try:
            write_all(fd, data)
            os.fsync(fd)
        finally:
            os.close(fd)
        temp.replace(path)
    except OSError:
        temp.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def write_plain(path: Path, data: bytes, *, mode: int = 0o644) -> None:
    """Replace the file at `path` atomically but without fsync: for caches and heartbeats that may be lost."""
    temp = path.with_name(f"{TEMP_PREFIX}{os.urandom(6).hex()}")
    try:
        fd = os.open(temp, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        try:
            write_all(fd, data)
        finally:
            os.close(fd)
        temp.replace(path)
    except OSError:
        temp.unlink(missing_ok=True)
        raise


def append_durable(path: Path, line: bytes) -> None:
    """Append `line` (a newline is added when missing) to the file at `path` and fsync it.

    A last line torn by an earlier crash is closed with a newline first, so that what is appended stays a line
    of its own. A file's name is made durable before its first byte is there. Raises OSError; what was written
    then is taken away again, as nobody can tell whether it reached the disk.
    """
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
    try:
        size = os.fstat(fd).st_size
        if size == 0:
            sync_folder(path.parent)
            sync_folder(path.parent.parent)
        torn = size > 0 and os.pread(fd, 1, size - 1) != b"\n"
        try:
            write_all(fd, (b"\n" if torn else b"") + line + (b"" if line.endswith(b"\n") else b"\n"))
            os.fsync(fd)
        except OSError:
            with suppress(OSError):
                os.ftruncate(fd, size)
            raise
    finally:
        os.close(fd)


def write_all(fd: int, data: bytes) -> None:
    """Write every byte of `data` to `fd`; a short write (a nearly full disk) goes on or raises OSError."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def sync_folder(folder: Path) -> None:
    """Make the names in `folder` durable. Raises OSError."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def make_folder(folder: Path, *, mode: int = 0o755) -> None:
    """Make `folder` and its parents; those that are new are durable on return. Raises OSError."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    folder.mkdir(mode=mode, exist_ok=True)
    sync_folder(folder.parent)


def read_bounded(path: Path, limit_bytes: int) -> tuple[bytes, bool]:
    """Return at most `limit_bytes` of the file at `path`, and whether there was more. Raises OSError."""
    with path.open("rb") as stream:
        data = stream.read(limit_bytes + 1)
    return data[:limit_bytes], len(data) > limit_bytes


def size_on_disk(folder: Path, *, without: Collection[str] = ()) -> int:
    """Return the bytes that the files in `folder` take of the disk, folders named in `without` aside.

    What goes away meanwhile counts as nothing.
    """
    total, folders = 0, [str(folder)]
    while folders:
        with suppress(OSError), os.scandir(folders.pop()) as entries:
            for entry in entries:
                with suppress(OSError):
                    if not entry.is_dir(follow_symlinks=False):
                        total += entry.stat(follow_symlinks=False).st_blocks * BLOCK_BYTES
                    elif entry.name not in without:
                        folders.append(entry.path)
    return total


def sweep_temps(folder: Path) -> int:
    """Take away temp files that a killed process left in `folder` (not below it); return how many."""
    swept = 0
    for entry in folder.glob(f"{TEMP_PREFIX}*"):
        entry.unlink(missing_ok=True)
        swept += 1
    return swept


@contextmanager
def locked(path: Path, *, wait: bool = False) -> Iterator[int]:
    """Hold an exclusive flock on the file at `path`; yields its descriptor.

    The kernel drops the lock when the holder dies, so a lock is never stale. Raises BusyError when another
    process holds it and `wait` is false.
    """
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError as error:
            raise BusyError(f"{path} is held by another process", fix="wait for it to end") from error
        yield fd
    finally:
        os.close(fd)
