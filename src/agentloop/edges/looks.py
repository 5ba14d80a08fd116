"""Idle cycles, a line each in the runtime folder: bounded, not durable, and never a reason to fail."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

from agentloop.domain.codec import CodecError, decode, encode
from agentloop.domain.cycles import Look
from agentloop.edges.files import make_folder, write_all

if TYPE_CHECKING:
    from pathlib import Path

LIMIT_BYTES = 1_000_000
"""A file of idle cycles this long is put aside, and the one before it is dropped: about 3,000 each."""


def looks(path: Path) -> tuple[Look, ...]:
    """Return the idle cycles that are kept at `path`, oldest first; lines that make no sense are left out."""
    return tuple(one for name in (_older(path), path) for one in _read(name))


def add_look(path: Path, look: Look) -> None:
    """Append an idle cycle to the file at `path`. Raises OSError."""
    line = json.dumps(encode(look), ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
    make_folder(path.parent)
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
    try:
        write_all(fd, line + b"\n")
        long = os.fstat(fd).st_size > LIMIT_BYTES
    finally:
        os.close(fd)
    if long:
        path.replace(_older(path))


def _older(path: Path) -> Path:
    return path.with_name(f"{path.name}.1")


def _read(path: Path) -> list[Look]:
    try:
        lines = path.read_bytes().splitlines()
    except OSError:
        return []
    found = []
    for line in lines:
        try:
            found.append(decode(Look, json.loads(line)))
        except (CodecError, ValueError):
            continue  # torn by a kill: it is a note on the side, nothing rests on it
    return found
