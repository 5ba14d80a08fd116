"""Which code runs: a name for the sources of this program, so that two runs can be told apart."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import agentloop
from agentloop.edges.files import write_plain

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(agentloop.__file__).parent
BESIDE = frozenset({"cli", "doctor", "testing", "__pycache__"})
"""Folders whose code no cycle runs."""


def identity(kept: Path, root: Path = ROOT) -> str:
    """Return 16 hex digits of the SHA-256 over names and contents of the sources that a cycle may run.

    Prompts are none of them. What was read is kept at `kept` (it may be deleted) with the files' stamps: as
    long as these stand, nothing is read again. Raises OSError when the sources cannot be read.
    """
    found = sorted(_sources(str(root)))
    stamps = hashlib.sha256(repr(found).encode("utf-8", "surrogatepass")).hexdigest()
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        known = json.loads(kept.read_bytes())
        if known["stamps"] == stamps:
            return str(known["code"])
    code = hashlib.sha256()
    for path, _, _ in found:
        data = Path(path).read_bytes()
        code.update(f"{os.path.relpath(path, root)}\0{len(data)}\0".encode("utf-8", "surrogatepass") + data)
    name = code.hexdigest()[:16]
    with contextlib.suppress(OSError):
        write_plain(kept, json.dumps({"stamps": stamps, "code": name}).encode())
    return name


def _sources(folder: str) -> Iterator[tuple[str, int, int]]:
    """Yield path, size in bytes and time of change in nanoseconds of every source below `folder`."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir():
                if entry.name not in BESIDE:
                    yield from _sources(entry.path)
            elif entry.name.endswith(".py"):
                found = entry.stat()
                yield entry.path, found.st_size, found.st_mtime_ns
