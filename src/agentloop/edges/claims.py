"""Claims: which process has a run, made once and whole; of those who reach for it one has it."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

from agentloop.domain.codec import encode
from agentloop.edges.files import TEMP_PREFIX, sync_folder, write_durable
from agentloop.edges.processes import me

if TYPE_CHECKING:
    from pathlib import Path

    from agentloop.domain.codec import Plain


def claim(path: Path) -> bool:
    """Make the claim at `path` for this process; False when somebody has it already. Raises OSError."""
    return _make(path, encode(me()))


def forestall(path: Path, why: str) -> bool:
    """Make the claim at `path` for nobody, so that a process that is late finds it taken. Raises OSError."""
    return _make(path, {"taken_by": why})


def _make(path: Path, said: Plain) -> bool:
    # A link to a finished file: it appears whole, and fails when there is one already.
    temp = path.with_name(f"{TEMP_PREFIX}{os.urandom(6).hex()}")
    write_durable(temp, json.dumps(said).encode())
    try:
        path.hardlink_to(temp)
    except FileExistsError:
        return False
    finally:
        temp.unlink(missing_ok=True)
    sync_folder(path.parent)
    return True
