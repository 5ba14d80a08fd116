"""What a process changes in the world, read from strace's record of it; and the points made from that.

A point names one system call of one process: the n-th call of its kind that this process makes, as strace
counts for `--inject` (every call of the kind counts, those that change nothing too).
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING, Final

from agentloop.edges.files import TEMP_PREFIX

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

OPENS: Final = frozenset({"open", "openat", "creat"})
WRITES: Final = frozenset({"write", "pwrite64", "writev", "sendto", "sendmsg"})
NAMES: Final = frozenset(
    {
        *("rename", "renameat", "renameat2", "unlink", "unlinkat", "rmdir", "mkdir", "mkdirat"),
        *("link", "linkat", "symlink", "symlinkat"),
    }
)
SYNCS: Final = frozenset({"fsync", "fdatasync", "syncfs", "sync_file_range"})
SIZES: Final = frozenset({"ftruncate", "truncate", "fallocate"})
BIRTHS: Final = frozenset({"clone", "clone3", "vfork", "fork", "execve"})
OTHERS: Final = frozenset({"flock", "connect", "kill", "pidfd_send_signal", "chmod", "fchmod"})
TRACED: Final = OPENS | WRITES | NAMES | SYNCS | SIZES | BIRTHS | OTHERS
"""Every call that can change something. For those of OPENS and WRITES their arguments tell."""

FITTING: Final = {
    "kill": TRACED,
    "ENOSPC": OPENS | {"write", "pwrite64", "writev"} | NAMES | SYNCS | {"ftruncate", "fallocate"},
    "EIO": OPENS | {"write", "pwrite64", "writev"} | NAMES | SYNCS | SIZES,
    "EROFS": OPENS | NAMES | SIZES | {"chmod", "fchmod"},
    "EMFILE": OPENS,
}
"""Which calls a fault can happen to. What is not in the manual of a call is not injected into it."""
LASTING: Final = tuple(f"{fault}+" for fault in FITTING if fault != "kill")
"""Errors of that call and of all like it from there on, until the process ends."""

_LINE: Final = re.compile(r"(?:(\d+) +)?([a-z0-9_]+)\((.*)")
_OF_FILE: Final = re.compile(r"\d+<(/[^>]*)>")
_OF_SOCKET: Final = re.compile(r"\d+<(TCP|TCPv6|socket):")
_IN_WORLD: Final = re.compile(r'[<"]/[^">]*?/world/([^">]+)[>"]')
_OPENED: Final = re.compile(r'"([^"]*)", (O_[A-Z_|]+)')


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Point:
    """One moment of one process: in which step of the story, who, the n-th call of what, and what happens.

    `role` is the command of ours (`cycle`, `attempt`, …) or `gitN`: the N-th git of the step. `gitN+` strikes
    the process that started it as well. With a path (below the world) in `only`, calls on it alone count: so
    a thread is met that is not the first of its process, as strace counts for each by itself.
    """

    step: str
    role: str
    call: str
    n: int
    fault: str = "kill"
    only: str = ""

    @property
    def name(self) -> str:
        """What `--only` takes."""
        on = f"/{self.only}" if self.only else ""
        return f"{self.step}/{self.role}/{self.call}/{self.n}/{self.fault}{on}"


def point_named(name: str) -> Point:
    """Return the point of a name. Raises ValueError."""
    step, role, call, n, fault, *only = name.split("/", 5)
    return Point(step=step, role=role, call=call, n=int(n), fault=fault, only="".join(only))


def changing(record: str) -> tuple[tuple[str, int], ...]:
    """Return (call, n) of every state-changing call in strace's record, in order, each pair once."""
    found = {(call, n): None for _, call, rest, n in _calls(record) if _changes(call, rest)}
    return tuple(found)


def beside(record: str) -> tuple[tuple[str, int, str], ...]:
    """Return (call, n, path) of what other threads than the first change, each once.

    n counts the calls on that path alone. Without a path: calls that only they make. Files with a name drawn
    by lot are left out, and so is what a child does until it is another program.
    """
    calls = _calls(record)
    first = calls[0][0] if calls else ""
    made = {call for process, call, _, _ in calls if process == first}
    counts: Counter[tuple[str, str, str]] = Counter()
    found: dict[tuple[str, int, str], None] = {}
    for process, call, rest, n in calls:
        if process == first or call == "execve" or not _changes(call, rest):
            continue
        path = next((one for one in _IN_WORLD.findall(rest)[::-1] if TEMP_PREFIX not in one), "")
        counts[process, call, path] += 1
        if path or call not in made:
            found[call, counts[process, call, path] if path else n, path] = None
    return tuple(found)


def _calls(record: str) -> list[tuple[str, str, str, int]]:
    """Return (process or thread, call, rest of the line, which of its kind by that one) of each call."""
    counts: Counter[tuple[str, str]] = Counter()
    found = []
    for line in record.splitlines():
        match = _LINE.match(line)
        if match is None or line.endswith("resumed>)") or "resumed>" in line[:60]:
            continue
        process, call = match[1] or "", match[2]
        counts[process, call] += 1
        found.append((process, call, match[3], counts[process, call]))
    return found


def points_of(step: str, role: str, record: str, fault: str) -> Iterator[Point]:
    """Yield the points of a recorded process for a fault."""
    gits = role.startswith("git")
    first = record if gits else _of_first(record)
    others = () if gits else beside(record)
    for call, n, only in (*((call, n, "") for call, n in changing(first)), *others):
        # The first thing a process does is to be there: before that it is its parent's call that counts.
        born = (call, n) == ("execve", 1)
        if call in FITTING[fault.rstrip("+")] and not born:
            yield Point(step=step, role=role, call=call, n=n, fault=fault, only=only)


def _of_first(record: str) -> str:
    """Return the lines of the process's first thread: its children are roles of their own, or no business."""
    first = record.split(maxsplit=1)[0] if record else ""
    lines = record.splitlines()
    return "\n".join(line for line in lines if line.startswith(f"{first} ")) if first.isdigit() else record


def strided(points: Iterable[Point], seed: int) -> tuple[Point, ...]:
    """Return all points in an order of which every beginning is a broad sample.

    The golden ratio's multiples are spread evenly (Knuth, The Art of Computer Programming, 6.4): the points
    keep their order along the story, and are taken by the fraction that falls on their place.
    """
    ordered = list(points)
    golden = (5**0.5 - 1) / 2
    ranked = sorted(range(len(ordered)), key=lambda place: (place * golden + seed * golden * golden) % 1.0)
    return tuple(ordered[place] for place in _by_rank(ranked))


def spread(points: Iterable[Point], seed: int) -> tuple[Point, ...]:
    """Return all points, one of each (step, role, fault) in turn; within these one of each call in turn.

    Those of one call come in the order of `strided`: any beginning is the broadest sample of its length.
    """
    groups: dict[tuple[str, str, str], dict[str, list[Point]]] = {}
    for point in points:
        role = "git" if point.role.startswith("git") else point.role
        group = groups.setdefault((point.step, role, point.fault), {})
        group.setdefault(point.call, []).append(point)
    return _in_turn(_in_turn(strided(one, seed) for one in group.values()) for group in groups.values())


def _in_turn(queues: Iterable[tuple[Point, ...]]) -> tuple[Point, ...]:
    return tuple(point for turn in zip_longest(*queues) for point in turn if point is not None)


def _by_rank(ranked: list[int]) -> list[int]:
    places = [0] * len(ranked)
    for rank, place in enumerate(ranked):
        places[place] = rank
    return places


def _changes(call: str, rest: str) -> bool:
    if call in OPENS:
        opened = _OPENED.search(rest)
        flags = set(opened[2].split("|")) if opened else set()
        writes = flags & {"O_CREAT", "O_TRUNC", "O_WRONLY", "O_RDWR"}
        return opened is not None and bool(writes) and _is_kept(opened[1])
    if call in WRITES:
        written = _OF_FILE.match(rest)
        return (written is not None and _is_kept(written[1])) or _OF_SOCKET.match(rest) is not None
    return call in TRACED


def _is_kept(path: str) -> bool:
    """Return whether a path is that of a file, not of a device, a process or memory; /dev/shm holds files."""
    return path.startswith("/dev/shm/") or not path.startswith(("/dev/", "/proc/", "/memfd:"))  # noqa: S108
