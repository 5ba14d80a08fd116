"""`agentloop status --json`, in milliseconds: what a cycle left, and a look at what runs now.

What follows from the journal is read from a snapshot, `.agentloop/run/standing.json` (`report.Standing` as
plain JSON), which is an index and may be deleted at any moment. It counts only while all it was made from
is as it was: the journal's newest file, the settings and their files, the environment, the program, and the
times it mentions. Otherwise `agentloop.looking` reads the whole journal and leaves a new one. Values here are
plain JSON; a test holds them to the classes in `agentloop.domain.report`.
"""
# ruff: noqa: PTH110, PTH116, PTH118, PTH123, T201
# (pathlib alone takes half of the time that this command has; what it prints is its result)

from __future__ import annotations

import json
import os
import time

from agentloop import __version__
from agentloop.edges import runfolder

TYPE_CHECKING = False  # typing costs as much as all the rest together; type checkers know this name
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

SCHEMA = 1
"""As `cli.common.SCHEMA`."""
SNAPSHOT = ".agentloop/run/standing.json"
SECONDS = len("2026-11-20T11:08:46")
EVENTS_READ_BYTES = 16 << 20
"""No event log is longer; see `worker.events`."""
BOOKKEEPING = ("AGENTLOOP_HOME", "AGENTLOOP_RUN")
"""Variables of ours that are no settings."""


def print_status(home: str, *, compact: bool = False) -> int:
    """Print the status of the home at `home` as JSON and return the exit code.

    Raises AgentloopError, OSError.
    """
    said = {"schema": SCHEMA, **status(home)}
    if compact:
        print(json.dumps(without_empty(said), ensure_ascii=False, separators=(",", ":")))
    else:
        print(json.dumps(said, ensure_ascii=False, indent=2))
    return 0


def status(home: str) -> dict[str, Any]:
    """Return the status as programs get it, without its schema. Raises AgentloopError, OSError."""
    standing = standing_of(home)
    return assemble(standing, live(home, standing["running"]))


def standing_of(home: str) -> dict[str, Any]:
    """Return `report.Standing`, plain: from the snapshot when it is good, else from the journal.

    Raises AgentloopError.
    """
    found = snapshot(home)
    if found is None:
        from agentloop import looking

        found = looking.leave_snapshot(home)
    return found


def assemble(standing: dict[str, Any], now: dict[str, Any]) -> dict[str, Any]:
    """Return the JSON that programs read, from `Standing` and `Live`, both plain."""
    progress = {(one["role"], one["attempt"]): one for one in now["progress"]}
    money = standing["money"]
    running = [{**one, **progress.get((one["role"], one["attempt"]), {})} for one in standing["running"]]
    limit = (
        {"until": standing["limit_until"], "why": standing["limit_why"]} if standing["limit_until"] else None
    )
    return {
        "home": now["home"],
        "at": now["at"],
        "loop": now["loop"],
        "pause": now["pause"],
        "woken_by": now["woken_by"],
        "sleep": {"until": now["sleep_until"], "reason": now["sleep_reason"]},
        "last_cycle": {"number": standing["cycle"], "at": standing["cycle_at"]},
        "needs_you": standing["needs_you"],
        "running": running,
        "attempts_at_once": standing["attempts_at_once"],
        "coming": standing["coming"],
        "queue": standing["queue"],
        "listed": standing["listed"],
        "money": {
            **money,
            "today_micros": money["spent_today_micros"] + money["reserved_micros"],
            "runway": standing["runway"],
            "alerts": standing["alerts"],
        },
        "limit": limit,
        "problems": now["problems"],
        "notices": now["notices"],
        "warnings": standing["warnings"],
        "fallbacks": [
            *standing["fallbacks"],
            *(one["fallback"] for one in now["progress"] if one["fallback"]),
        ],
        "triage": standing.get("triage", ""),
        "open_issues": standing["open_issues"],
        "merged": standing["merged"],
    }


def without_empty(value: Any) -> Any:  # noqa: ANN401 -- anything that JSON has
    """Return `value` without keys that hold nothing."""
    if isinstance(value, dict):
        pairs = ((key, without_empty(each)) for key, each in value.items())
        return {key: each for key, each in pairs if each not in (None, "", [], {})}
    return [without_empty(each) for each in value] if isinstance(value, list) else value


# --- the snapshot -------------------------------------------------------------------------------------------


def snapshot(home: str) -> dict[str, Any] | None:
    """Return the standing that was left in `home`, or None when there is none that still counts."""
    found = runfolder.read_object(os.path.join(home, SNAPSHOT))
    if found is None or found.get("program") != __version__ or found.get("valid_until", 0) <= time.time():
        return None
    if found.get("overrides") != overrides(os.environ) or found.get("marks") != marks(
        home, found.get("files", ())
    ):
        return None
    standing = found.get("standing")
    return standing if isinstance(standing, dict) else None


def write_snapshot(
    home: str, standing: dict[str, Any], *, files: list[str], made_from: object, until: float
) -> None:
    """Leave `standing`; it counts until `until` (seconds since the epoch), or what it was made from changes.

    `files` are the settings files, `made_from` the `marks` taken before any of it was read: what changed
    meanwhile makes it useless, never wrong. Raises OSError.
    """
    said = {
        "program": __version__,
        "valid_until": until,
        "overrides": overrides(os.environ),
        "files": files,
        "marks": made_from,
        "standing": standing,
    }
    runfolder.write_object(os.path.join(home, SNAPSHOT), said)


def marks(home: str, files: Iterable[str]) -> list[Any]:
    """Return what tells whether journal and settings are as they were: [mtime in ns, size, inode] each."""
    newest = runfolder.newest_journal(home)
    return [newest, *(_mark(path) for path in (os.path.join(home, "journal", newest), *files))]


def overrides(environ: Mapping[str, str]) -> list[list[str]]:
    """Return every variable that could be a setting."""
    ours = [name for name in environ if name.upper().startswith("AGENTLOOP_") and name not in BOOKKEEPING]
    return [[name, environ[name]] for name in sorted(ours)]


def _mark(path: str) -> list[int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return [found.st_mtime_ns, found.st_size, found.st_ino]


# --- what happens now ---------------------------------------------------------------------------------------


def live(home: str, runs: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Return `report.Live`, plain: supervisor, pause, wake trigger, how far `runs` (of `Standing`) are."""
    asleep = runfolder.read_object(os.path.join(home, ".agentloop/run/sleep.json")) or {}
    pause, trouble = _pause(home), runfolder.relay_trouble(home)
    return {
        "at": runfolder.now_text(),
        "home": home,
        "loop": _loop(home, pause),
        "pause": pause,
        "woken_by": _wakes(home),
        "sleep_until": _second(asleep.get("until")),
        "sleep_reason": runfolder.one_line(str(asleep.get("reason", ""))),
        "problems": [*([trouble] if trouble else []), *_texts(asleep.get("problems"))],
        "notices": _texts(asleep.get("notices")),
        "progress": [_progress(home, one["role"], one["attempt"]) for one in runs],
    }


def _texts(found: object) -> list[str]:
    return [runfolder.one_line(str(one)) for one in found] if isinstance(found, list) else []


def _loop(home: str, pause: object) -> dict[str, Any]:
    record = runfolder.supervisor_of(home)
    left = runfolder.read_object(os.path.join(home, ".agentloop/run/status.json")) or {}
    said = left if record else {}
    state = str(said.get("state", "starting")) if record else "stopped"
    todo = {"stopped": "agentloop run", "sleeping": "agentloop wake", "backoff": "agentloop wake"}
    return {
        "state": state,
        "pid": record["pid"] if record else None,
        "version": str(record.get("version", "")) if record else "",
        "started_at": _second(record.get("started_at")) if record else None,
        "since": _second(said.get("since")),
        "until": _second(said.get("until")),
        "reason": runfolder.one_line(str(said.get("reason", ""))),
        "notice": runfolder.one_line(str(said.get("notice", ""))),
        "do": "agentloop resume" if pause and state != "stopped" else todo.get(state, ""),
        "stopped_at": _second(left.get("since")) if not record and left.get("state") == "stopped" else None,
    }


def _pause(home: str) -> dict[str, str] | None:
    path = os.path.join(home, runfolder.PAUSE)
    if not os.path.exists(path):
        return None
    from datetime import UTC, datetime  # a pause is rare, and its end is read as the supervisor reads it
    from pathlib import Path

    from agentloop.edges import runtime

    found = runtime.read_pause(Path(home))
    if found is None or found.until <= datetime.now(UTC):
        return None
    return {"until": f"{found.until:%Y-%m-%dT%H:%M:%SZ}", "reason": found.reason, "by": found.by}


def _wakes(home: str) -> list[str]:
    try:
        with open(os.path.join(home, runfolder.WAKE), "rb") as stream:
            text = stream.read(100_000).decode("utf-8", "replace")
    except OSError:
        return []
    lines = dict.fromkeys(runfolder.one_line(line) for line in text.splitlines() if line.strip())
    return list(lines)[:20]


def _progress(home: str, role: str, attempt: str) -> dict[str, Any]:
    folder = os.path.join(home, ".agentloop", "attempts" if role == "attempt" else "gates", attempt)
    claim = runfolder.read_object(os.path.join(folder, "claim.json"))
    beat = _mark(os.path.join(folder, "heartbeat"))
    events = _bytes(os.path.join(folder, "events.jsonl"))
    return {
        "attempt": attempt,
        "role": role,
        "alive": None if claim is None else runfolder.is_alive(claim),
        "beat_at": runfolder.text_of(beat[0] / 1e9) if beat else None,
        "turns": events.count(b'"event": "model.answered"'),
        "spent_micros": spent_micros(_bytes(os.path.join(folder, "ledger.jsonl"))),
        "doing": _doing(folder),
        "fallback": _fallback(events, attempt),
    }


def _doing(folder: str) -> str:
    ended = any(os.path.exists(os.path.join(folder, name)) for name in ("end.json", "verdict.json"))
    if ended:
        return "ended; the next cycle takes it in"
    said = runfolder.read_object(os.path.join(folder, "heartbeat")) or {}
    return runfolder.one_line(str(said.get("doing", "")))


def spent_micros(ledger: bytes) -> int:
    """Return what a ledger says was spent, the unsettled at its ceiling; as `domain.money.spent` does."""
    reserved: dict[str, int] = {}
    settled: dict[str, int] = {}
    for line in ledger.split(b"\n"):
        try:
            entry = json.loads(line)
            into = {"reserved": reserved, "settled": settled}[entry["is"]]
            into[entry["call"]] = max(int(entry["micros"]), into.get(entry["call"], 0))
        except (ValueError, KeyError, TypeError):
            continue  # torn by a crash: a torn reservation was never acted upon
    return sum(settled.values()) + sum(micros for call, micros in reserved.items() if call not in settled)


def _fallback(events: bytes, attempt: str) -> str:
    at = events.rfind(b'"because": "')
    if at < 0:
        return ""
    start = events.rfind(b"\n", 0, at) + 1
    try:
        said = json.loads(events[start : events.find(b"\n", at)])
        return f"{said['model']} answers in {attempt}: {runfolder.one_line(str(said['because']))}"
    except (ValueError, KeyError, TypeError):
        return ""


def _bytes(path: str) -> bytes:
    try:
        with open(path, "rb") as stream:
            return stream.read(EVENTS_READ_BYTES)
    except OSError:
        return b""


def _second(text: object) -> str | None:
    """A time of ours, whole seconds."""
    return f"{text[:SECONDS]}Z" if isinstance(text, str) and text[SECONDS:].endswith("Z") else None
