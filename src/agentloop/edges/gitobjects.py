"""git's objects (blob, tree, commit) made and written as files, without starting a process.

An object is its kind, its size, a NUL and its bytes; its name is the hash of that, and its file is that
compressed (git-hash-object(1); "Git Objects" in the Pro Git book). A tree is a row of `MODE NAME`, NUL and
the entry's name in bytes, sorted as if a folder's name ended in `/` (base_name_compare in git's tree.c).
"""

from __future__ import annotations

import hashlib
import os
import zlib
from typing import TYPE_CHECKING, Final, TypeAlias

from agentloop.edges.files import write_all

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

FILE: Final = b"100644"
FOLDER: Final = b"40000"
TEMP: Final = "tmp_obj_"
"""How git's own unfinished objects begin: `git gc` takes old ones away."""
_SHA1_DIGITS: Final = 40

Entry: TypeAlias = tuple[bytes, str]
"""Mode and object name."""


def name_of(kind: str, data: bytes, *, algorithm: str) -> str:
    """Return the name of an object, in hexadecimal digits."""
    return hashlib.new(algorithm, _head(kind, data) + data, usedforsecurity=False).hexdigest()


def algorithm_of(name: str) -> str:
    """Return the hash that an object's name was made with."""
    return "sha1" if len(name) == _SHA1_DIGITS else "sha256"


def entries_in(tree: bytes, *, algorithm: str) -> dict[bytes, Entry]:
    """Return the entries of a tree by their names. Raises ValueError when it is cut off."""
    size = hashlib.new(algorithm, usedforsecurity=False).digest_size
    found: dict[bytes, Entry] = {}
    at = 0
    while at < len(tree):
        end = tree.index(b"\0", at)
        mode, _, name = tree[at:end].partition(b" ")
        at = end + 1 + size
        found[name] = (mode, tree[end + 1 : at].hex())
    return found


def tree_of(entries: Mapping[bytes, Entry]) -> bytes:
    """Return the tree of these entries."""
    ordered = sorted(entries.items(), key=lambda one: one[0] + (b"/" if one[1][0] == FOLDER else b""))
    return b"".join(b"%b %b\0%b" % (mode, name, bytes.fromhex(of)) for name, (mode, of) in ordered)


class ObjectFolder:
    """A repository's `objects` folder, and the objects that are on their way into it.

    Written, then synced by the caller, then placed, as git does with `core.fsyncMethod=batch`: else a power
    cut could leave an empty file under an object's name, which git would take for the object ever after.
    """

    def __init__(self, folder: Path, algorithm: str) -> None:
        self._folder = folder
        self._algorithm = algorithm
        self._written: list[tuple[Path, Path]] = []

    def write(self, kind: str, data: bytes) -> str:
        """Write an object beside its place and return its name. Raises OSError."""
        name = name_of(kind, data, algorithm=self._algorithm)
        folder = self._folder / name[:2]
        if not folder.exists():
            folder.mkdir(exist_ok=True)
            folder.chmod(self._folder.stat().st_mode & 0o7777)  # a repository may be shared with a group
        temp = folder / f"{TEMP}{os.urandom(6).hex()}"
        fd = os.open(temp, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o444)
        try:
            try:
                write_all(fd, zlib.compress(_head(kind, data) + data, 1))
            finally:
                os.close(fd)
        except OSError:
            temp.unlink(missing_ok=True)
            raise
        self._written.append((temp, folder / name[2:]))
        return name

    def place(self) -> None:
        """Put what was written, and was synced since, in its place. Raises OSError."""
        for temp, place in self._written:
            temp.replace(place)
        self._written.clear()


def _head(kind: str, data: bytes) -> bytes:
    return b"%b %d\0" % (kind.encode(), len(data))
