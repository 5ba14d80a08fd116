"""Which process is which: an identity that a reused pid cannot fake.

A pid alone names whoever has it now. (boot id, pid, start time in clock ticks since boot) names one process
for ever; see proc(5), field 22 of /proc/PID/stat.
"""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

from agentloop.domain.valueclass import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """One process, for ever: its pid, the boot it lived in, and its start in clock ticks since that boot."""

    pid: int
    boot_id: str
    start_ticks: int


@cache
def boot_id() -> str:
    """Return the id the kernel gave this boot."""
    return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()


def identity_of(pid: int) -> Identity | None:
    """Return the identity of the process that has `pid` now, or None (a zombie is none)."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return None
    # The command's name is in parentheses and may itself hold spaces and parentheses: split behind the last.
    fields = stat[stat.rindex(b")") + 2 :].split()
    if fields[0] in (b"Z", b"X"):
        return None
    return Identity(pid=pid, boot_id=boot_id(), start_ticks=int(fields[19]))


def me() -> Identity:
    """Return this process's identity."""
    found = identity_of(os.getpid())
    if found is None:
        msg = "this process is not in /proc"
        raise OSError(msg)
    return found


def alive(identity: Identity) -> bool:
    """Return whether that very process is still running (a zombie is not)."""
    return identity_of(identity.pid) == identity


def pidfd_of(identity: Identity) -> int | None:
    """Return a pidfd of that very process, or None when it is gone. The caller closes it.

    The identity is compared after opening, so the descriptor can never refer to a later process with that
    pid.
    """
    try:
        fd = os.pidfd_open(identity.pid)
    except OSError:
        return None
    if not alive(identity):
        os.close(fd)
        return None
    return fd
