"""The light half of the run folder: what `wake`, `stop`, `pause` and `resume` need, in milliseconds.

These commands promise to take little longer than the interpreter's start, so nothing here loads pathlib,
typing or dataclasses, which would double it. Paths are spelled here a second time for the same reason; a
test holds them to `agentloop.home`. The typed half, for everybody else, is `agentloop.edges.runtime`.
"""
# ruff: noqa: PTH102, PTH104, PTH105, PTH108, PTH110, PTH116, PTH118, PTH120, PTH123, PTH208
# (pathlib alone takes half of the time that these commands have)

from __future__ import annotations

import json
import os
import stat
import time

TYPE_CHECKING = False  # typing costs as much as all the rest together; type checkers know this name
if TYPE_CHECKING:
    from typing import Any

RUN = ".agentloop/run"
WAKE = f"{RUN}/wake"
SUPERVISOR = f"{RUN}/supervisor.json"
PAUSE = "pause.json"
READ_LIMIT_BYTES = 4_000_000
REASON_LIMIT = 300
GONE = "the journal is gone; the next cycle reads it back from the marks (agentloop cycle)"


def now_text() -> str:
    """Return the time now as ISO 8601 in UTC with a trailing Z, in whole seconds."""
    return text_of(time.time())


def text_of(seconds: float) -> str:
    """Return seconds since the epoch as ISO 8601 in UTC with a trailing Z, in whole seconds."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def one_line(text: str, limit: int = REASON_LIMIT) -> str:
    """Return `text` as one printable line of at most `limit` characters: it may come from anybody."""
    words = " ".join(text.split())
    clean = "".join(letter if letter.isprintable() else "?" for letter in words)
    return clean if len(clean) <= limit else f"{clean[: limit - 1]}…"


def without(text: str, told: str) -> str:
    """Return `text` up to where it repeats `told`, which is said already; a cut off repetition counts too."""
    start = one_line(told)[:80].rstrip("…")
    return text.partition(start)[0].rstrip(" ;:,") if start else text


def newest_journal(home: str) -> str:
    """Return the name of the journal's newest file, "" when there is none."""
    try:
        return max((name for name in os.listdir(f"{home}/journal") if name.endswith(".jsonl")), default="")
    except OSError:
        return ""


def journal_gone(home: str) -> bool:
    """Return whether the journal is lost as a whole: the tracker's key came with its first mark."""
    return not newest_journal(home) and os.path.exists(f"{home}/tracker/key")


def relay_trouble(home: str) -> str:
    """Return why the relay cannot be read, with which a cycle begins; "" when it can, or there is none."""
    path = f"{home}/memories/consensus.md"
    try:
        found = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return ""
    except OSError as error:
        why = str(error.strerror)
    else:
        why = "" if stat.S_ISREG(os.fstat(found).st_mode) else "it is no regular file"
        os.close(found)
    said = "no cycle decides anything, and nothing is lost; how to mend it: agentloop doctor"
    return f"the relay cannot be read ({why}: {path}): {said}" if why else ""


def read_object(path: str) -> dict[str, Any] | None:
    """Return the JSON object in the file at `path`, or None when there is none to be read."""
    try:
        with open(path, "rb") as stream:
            found = json.loads(stream.read(READ_LIMIT_BYTES))
    except (OSError, ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def write_object(path: str, value: dict[str, Any], *, durable: bool = False) -> None:
    """Replace the file at `path` with `value` as JSON: readers see the old or the new. Raises OSError.

    `durable` makes it survive a power cut; without it, it may be lost, as everything in the run folder may.
    """
    temp = f"{path}.{os.getpid()}.tmp"
    data = json.dumps(value, ensure_ascii=False, separators=(", ", ": ")).encode("utf-8", "replace") + b"\n"
    try:
        with open(temp, "wb") as stream:
            stream.write(data)
            if durable:
                stream.flush()
                os.fsync(stream.fileno())
        os.replace(temp, path)
    except OSError:
        remove(temp)
        raise
    if durable:
        _sync_folder(os.path.dirname(path) or ".")


def remove(path: str) -> bool:
    """Remove the file at `path`; return whether there was one. Raises OSError when it cannot be removed."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        return False
    return True


def make_run(home: str) -> None:
    """Make the run folder of `home` where there is none; nobody else may look into the runtime folder.

    It holds what workers said, and trees of repositories. Raises OSError: also when there is no home.
    """
    for folder in (os.path.dirname(RUN), RUN):
        try:
            os.mkdir(os.path.join(home, folder), 0o700)
        except FileExistsError:
            continue


def append_wake(home: str, reason: str) -> None:
    """Leave `reason` as a line in the wake trigger of `home`. Raises OSError.

    The cycle may take the file away between our opening and our writing; then the line went with a file that
    nobody looks at again, so it is written once more.
    """
    make_run(home)
    path = os.path.join(home, WAKE)
    line = f"{one_line(reason)}\n".encode("utf-8", "replace")
    for _ in range(3):
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NONBLOCK, 0o644)
        try:
            os.write(fd, line)
            if _still_named(path, fd):
                return
        finally:
            os.close(fd)


def take_wake(home: str) -> tuple[str, ...]:
    """Take the wake trigger of `home` away and return its reasons, oldest first; () without one.

    The cycle calls this before it looks at anything: what is triggered later is a new trigger. Raises
    OSError.
    """
    path = os.path.join(home, WAKE)
    taken = f"{path}.{os.getpid()}.taken"
    try:
        os.rename(path, taken)
    except FileNotFoundError:
        return ()
    with open(taken, "rb") as stream:
        text = stream.read(READ_LIMIT_BYTES).decode("utf-8", "replace")
    remove(taken)
    return tuple(one_line(line) for line in text.splitlines() if line.strip()) or ("wake trigger",)


def supervisor_of(home: str) -> dict[str, Any] | None:
    """Return the record of the supervisor that is alive on `home` right now, or None."""
    record = read_object(os.path.join(home, SUPERVISOR))
    return record if record is not None and is_alive(record) else None


def is_alive(record: dict[str, Any]) -> bool:
    """Return whether the process that `record` (pid, boot_id, start_ticks) names is running."""
    pid, ticks = record.get("pid"), record.get("start_ticks")
    if not isinstance(pid, int) or not isinstance(ticks, int) or pid <= 0:
        return False
    return start_ticks(pid) == ticks and record.get("boot_id") == boot_id()


def start_ticks(pid: int) -> int | None:
    """Return field 22 of /proc/PID/stat (proc(5)), or None when there is no such process, or a zombie."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as stream:
            stat = stream.read()
    except OSError:
        return None
    fields = stat[stat.rfind(b")") + 2 :].split()
    return None if fields[0] in (b"Z", b"X") else int(fields[19])


def boot_id() -> str:
    """Return the id the kernel gave this boot. Raises OSError."""
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as stream:
        return stream.read().strip()


def _still_named(path: str, fd: int) -> bool:
    try:
        return os.path.samestat(os.stat(path), os.fstat(fd))
    except FileNotFoundError:
        return False


def _sync_folder(folder: str) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
