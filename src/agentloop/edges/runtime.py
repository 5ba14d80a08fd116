"""What supervisor, cycle and light commands tell each other: run folder and pause, typed.

All of it may be lost or mangled at any moment, so reading never raises: a file that makes no sense is None
(or, for a pause, still a pause: fail closed). Times are aware UTC datetimes.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from agentloop.domain.valueclass import dataclass, field
from agentloop.edges import runfolder
from agentloop.edges.processes import Identity

if TYPE_CHECKING:
    from pathlib import Path

Stamp: TypeAlias = tuple[int, int, int]
"""What tells one version of a file from the next: (mtime in ns, size in bytes, inode)."""

State: TypeAlias = Literal["starting", "cycling", "sleeping", "paused", "draining", "backoff", "stopped"]

PAUSE_LIMIT = timedelta(days=30)
"""No pause lasts longer, whatever its file says."""
UNREADABLE_PAUSE = timedelta(hours=24)
"""How long a pause file that nobody can read holds the loop, from its modification time on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SupervisorRecord:
    """`run/supervisor.json`: who supervises this home."""

    identity: Identity
    version: str
    started_at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SleepRecord:
    """`run/sleep.json`: what the last cycle told us. `until` None: only a wake ends the sleep.

    `saw` names every file that a person may edit (relay, issues, pull requests), relative to the home, as the
    cycle saw it or itself left it: a file that differs starts the next cycle at once.
    """

    cycle: int
    until: datetime | None
    reason: str
    kind: str = ""
    saw: dict[str, Stamp] = field(default_factory=dict)
    problems: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()
    outcome: str = ""
    """How the cycle ended; `idle`: nothing was new."""
    journal: int = 0
    """The number of the journal's last entry then: one that ends before it has lost its last lines."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusRecord:
    """`run/status.json`: what the supervisor does now. `notice` is a standing complaint (bad settings).

    `cycle` is the process of the cycle in hand: a supervisor that was killed leaves it behind for the next.
    """

    state: State
    since: datetime
    until: datetime | None = None
    reason: str = ""
    notice: str = ""
    cycle: Identity | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """`pause.json`, bounded: `until` is the end that counts. `readable` False: the file makes no sense."""

    until: datetime
    reason: str
    by: str
    readable: bool = True


def read_supervisor(home: Path) -> SupervisorRecord | None:
    """Return who supervises `home`, if that process is alive."""
    found = runfolder.supervisor_of(str(home))
    identity = _identity(found)
    if found is None or identity is None:
        return None
    return SupervisorRecord(
        identity=identity, version=str(found.get("version", "")), started_at=str(found.get("started_at", ""))
    )


def write_supervisor(home: Path, record: SupervisorRecord) -> None:
    """Write `run/supervisor.json`. Raises OSError."""
    said = {**_plain(record.identity), "version": record.version, "started_at": record.started_at}
    runfolder.write_object(str(home / runfolder.SUPERVISOR), said)


def read_sleep(home: Path) -> SleepRecord | None:
    """Return what the last cycle said, or None when it is missing or makes no sense."""
    found = runfolder.read_object(str(home / ".agentloop/run/sleep.json"))
    if found is None or not isinstance(found.get("cycle"), int):
        return None
    until = found.get("until")
    moment = _moment(until)
    if until is not None and moment is None:
        return None
    return SleepRecord(
        cycle=found["cycle"],
        until=moment,
        reason=runfolder.one_line(str(found.get("reason", ""))),
        kind=str(found.get("kind", "")),
        saw=_saw(found.get("saw")),
        problems=_texts(found.get("problems")),
        notices=_texts(found.get("notices")),
        outcome=str(found.get("outcome", "")),
        journal=_count(found.get("journal")),
    )


def write_sleep(home: Path, record: SleepRecord) -> None:
    """Write `run/sleep.json`, the last thing a cycle does. Raises OSError."""
    said = {
        "cycle": record.cycle,
        "until": _text(record.until),
        "reason": record.reason,
        "kind": record.kind,
        "saw": {path: list(stamp) for path, stamp in record.saw.items()},
        "problems": list(record.problems),
        "notices": list(record.notices),
        "outcome": record.outcome,
        "journal": record.journal,
    }
    runfolder.write_object(str(home / ".agentloop/run/sleep.json"), said)


def read_status(home: Path) -> StatusRecord | None:
    """Return what the supervisor said last, or None. Whether it still lives is `read_supervisor`'s answer."""
    found = runfolder.read_object(str(home / ".agentloop/run/status.json"))
    since = _moment(found.get("since")) if found else None
    if found is None or since is None:
        return None
    return StatusRecord(
        state=found.get("state", "stopped"),
        since=since,
        until=_moment(found.get("until")),
        reason=str(found.get("reason", "")),
        notice=str(found.get("notice", "")),
        cycle=_identity(found.get("cycle")),
    )


def write_status(home: Path, record: StatusRecord) -> None:
    """Write `run/status.json`. Raises OSError."""
    said = {
        "state": record.state,
        "since": _text(record.since),
        "until": _text(record.until),
        "reason": record.reason,
        "notice": record.notice,
        "cycle": _plain(record.cycle) if record.cycle else None,
    }
    runfolder.write_object(str(home / ".agentloop/run/status.json"), said)


def read_pause(home: Path) -> Pause | None:
    """Return the pause of `home`, in force or over, or None when there is no pause file.

    A file that cannot be understood is a pause too (until a day after it was written), and no file pauses for
    longer than 30 days after it was written.
    """
    path = home / runfolder.PAUSE
    stamp = stamp_of(path)
    if stamp is None:
        return None
    written = datetime.fromtimestamp(stamp[0] / 1e9, UTC)
    found = runfolder.read_object(str(path)) or {}
    until = _moment(found.get("until"))
    if until is None:
        said = "pause.json cannot be read: mend it, or end the pause with: agentloop resume"
        return Pause(until=written + UNREADABLE_PAUSE, reason=said, by="?", readable=False)
    return Pause(
        until=min(until, written + PAUSE_LIMIT),
        reason=runfolder.one_line(str(found.get("reason", ""))),
        by=runfolder.one_line(str(found.get("by", ""))),
    )


def take_wake(home: Path) -> tuple[str, ...]:
    """Take the wake trigger away, return its reasons: the first act of a cycle. Raises OSError."""
    return runfolder.take_wake(str(home))


def stamp_of(path: Path | str) -> Stamp | None:
    """Return the stamp of the file at `path`, or None when there is none to be had."""
    try:
        found = os.stat(path)  # noqa: PTH116 -- paths of thousands of files come as text
    except OSError:
        return None
    return (found.st_mtime_ns, found.st_size, found.st_ino)


def _identity(found: object) -> Identity | None:
    if not isinstance(found, dict):
        return None
    pid, boot, ticks = found.get("pid"), found.get("boot_id"), found.get("start_ticks")
    if not (isinstance(pid, int) and isinstance(boot, str) and isinstance(ticks, int)):
        return None
    return Identity(pid=pid, boot_id=boot, start_ticks=ticks) if pid > 0 else None


def identity_in(found: object) -> Identity | None:
    """Return the identity in a decoded claim: its own fields, or those of an object one level down."""
    if not isinstance(found, dict):
        return None
    inner = [_identity(value) for value in found.values()]
    return _identity(found) or next((identity for identity in inner if identity), None)


def _plain(identity: Identity) -> dict[str, Any]:
    return {"pid": identity.pid, "boot_id": identity.boot_id, "start_ticks": identity.start_ticks}


def _count(found: object) -> int:
    return found if isinstance(found, int) and not isinstance(found, bool) and found > 0 else 0


def _texts(found: object) -> tuple[str, ...]:
    return tuple(str(one) for one in found) if isinstance(found, list) else ()


def _saw(found: object) -> dict[str, Stamp]:
    if not isinstance(found, dict):
        return {}
    return {str(path): (stamp[0], stamp[1], stamp[2]) for path, stamp in found.items() if _is_stamp(stamp)}


def _is_stamp(found: object) -> bool:
    return isinstance(found, list) and [type(part) for part in found] == [int, int, int]


def _moment(found: object) -> datetime | None:
    try:
        moment = datetime.fromisoformat(found) if isinstance(found, str) else None
        return moment.astimezone(UTC) if moment is not None and moment.tzinfo is not None else None
    except (ValueError, OverflowError):
        return None


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
