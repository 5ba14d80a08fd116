"""Records of cycles on disk: taken down while a cycle runs, read when one is run again.

    cycles/N/tape.jsonl   a cycle that wrote into the journal: a header, a line a call, how it ended
    cycles/idle.jsonl     idle cycles, a line each: `N+1` is the first look after cycle N
    cycles/pool/KEY       what is large or stands still (issues, relay, settings), once, compressed

All of it may be deleted at any moment, none of it is made durable, and a disk that says no ends the record,
not the cycle. Secrets are masked before anything is written. Kept are the last KEPT cycles, KEPT_BYTES at
most.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
import zlib
from typing import TYPE_CHECKING, Any, TypeVar

from agentloop.domain.codec import CodecError, decode, encode
from agentloop.domain.cycles import Look
from agentloop.domain.facts import Entry
from agentloop.domain.issue import Issue
from agentloop.domain.signals import evidence_of
from agentloop.domain.taping import FORMAT, Call, end_of, masked
from agentloop.domain.valueclass import dataclass
from agentloop.edges.files import make_folder, write_all, write_plain
from agentloop.errors import AgentloopError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime
    from pathlib import Path

    from agentloop.domain.codec import Plain
    from agentloop.domain.settings import Settings
    from agentloop.domain.taping import HasEnded
    from agentloop.home import Home

KEPT = 200
"""Cycles whose record is kept: a busy day and night."""
KEPT_BYTES = 64_000_000
"""All records together, on disk; the oldest go first. A cycle takes 10 to 60 kB, an issue seen 1 to 4."""
PRUNED_EACH = 20
"""Cycles between two looks at what is kept: looking costs a few milliseconds."""
LONGEST_SECONDS = 3600
"""No cycle takes longer."""
POOLED_FROM = 4096
"""Characters of JSON from which a value goes into the pool: a line stays one that a person can look at."""
IDLE_BYTES = 1_000_000
"""A file of idle cycles this long is put aside, and the one before it is dropped: some thousand in each."""
TAIL_BYTES = 200_000
POOLED = "agentloop.pool"
ITEMS = frozenset({"tracker.observe", "forge.observe"})
"""Ports whose answers are lists of what mostly stands still: each item is pooled by itself."""

T = TypeVar("T")
_Raw = tuple[str, object, object, tuple[str, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What a cycle was made of besides its ports: code, settings, and how many quiet ones came before.

    `code` names the sources (`edges.program`). `tracker_stands`: what the tracker holds has not been touched
    since the cycle before looked at it.
    """

    version: str
    code: str
    quiet_cycles: int
    settings: Settings
    tracker_stands: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A cycle as it was recorded.

    `end` None: it was cut off. `header` holds v, cycle, version, code, quiet_cycles and settings.
    """

    name: str
    header: dict[str, Any]
    calls: tuple[Call, ...]
    end: Plain = None


class Recorder:
    """Takes one cycle down. Nothing is on disk before the cycle writes into the journal, or has ended."""

    def __init__(self, home: Home, made: Made, known: tuple[str, ...] = ()) -> None:
        """`known` are secrets that are masked besides those that look like one."""
        self.trouble = ""
        """Why the record is not whole; "" when it is."""
        self._home = home
        self._made = made
        self._known = tuple(one for one in known if one)
        self._waiting: list[_Raw] = []
        self._cycle: int | None = None
        self._fd: int | None = None
        self._pool = _Pool(home.cycles / "pool", self._known)
        self._began = time.monotonic()

    def call(self, port: str, gave: object, do: Callable[[], T], read: Callable[[Plain], Any]) -> T:
        """Return what `do` returns, and take it down; what it raises is taken down too."""
        del read
        try:
            got = do()
        except (AgentloopError, OSError) as error:
            self._take_down((port, gave, None, raised_by(error)))
            raise
        self._take_down((port, gave, got, ()))
        return got

    def end(self, ended: HasEnded, at: datetime) -> None:
        """Take down how the cycle ended; an idle one becomes a line of its own."""
        if self.trouble:
            return
        try:
            if self._fd is None:
                self._add_look(ended, at)
            else:
                self._write({"end": masked(end_of(ended), self._known)})
                os.close(self._fd)
                if self._cycle is not None and self._cycle % PRUNED_EACH == 0:
                    prune(self._home.cycles)
        except OSError as error:
            self._give_up(error)

    def _take_down(self, raw: _Raw) -> None:
        if self.trouble:
            return
        try:
            if self._fd is None:
                self._waiting.append(raw)
                if isinstance(raw[1], Entry):
                    self._start(raw[1].cycle)
            else:
                self._write(self._line(raw))
        except OSError as error:
            self._give_up(error)

    def _give_up(self, error: OSError) -> None:
        self.trouble = f"this cycle could not be recorded: {error.strerror or error}"
        self._waiting.clear()

    def _start(self, cycle: int) -> None:
        folder = self._home.cycle(cycle)
        make_folder(folder)
        make_folder(self._pool.folder)
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC
        self._fd, self._cycle = os.open(folder / "tape.jsonl", flags, 0o644), cycle
        self._write(self._header(cycle))
        for raw in self._waiting:
            self._write(self._line(raw))
        self._waiting.clear()

    def _header(self, cycle: int) -> Plain:
        return {
            "v": FORMAT,
            "cycle": cycle,
            "version": self._made.version,
            "code": self._made.code,
            "quiet_cycles": self._made.quiet_cycles,
            "settings": self._pool.keep(self._made.settings),
        }

    def _line(self, raw: _Raw, as_before: Plain = None) -> Plain:
        """Return a call as it is written; `as_before` is what the tracker is known to have answered, kept."""
        port, gave, got, raised = raw
        line: dict[str, Plain] = {"call": port}
        if gave is not None:
            line["gave"] = self._pool.spill(masked(encode(gave), self._known))
        if raised:
            line["raised"] = list(masked(list(raised), self._known))
        elif port == "tracker.observe" and self._pool.holds(as_before):
            line["got"] = as_before
        elif port in ITEMS and isinstance(got, tuple):
            line["got"] = self._pool.spill([self._pool.keep(item) for item in got])
        elif port == "baton.take":
            line["got"] = self._pool.keep(got)
        elif got is not None:
            line["got"] = self._pool.spill(masked(encode(got), self._known))
        return line

    def _write(self, line: Plain) -> None:
        if self._fd is not None:
            write_all(self._fd, _json(line) + b"\n")

    def _add_look(self, ended: HasEnded, at: datetime) -> None:
        make_folder(self._pool.folder)
        path = self._home.looks
        before = _last_line(path)
        last = before[0] if before is not None and before[0].cycle == ended.cycle else None
        number = last.number + 1 if last is not None else 1
        woken = next((raw[2] for raw in self._waiting if raw[0] == "wake"), ())
        look = Look(
            cycle=ended.cycle,
            number=number,
            at=at,
            fingerprint=ended.fingerprint,
            until=ended.nap.until,
            reason=masked(ended.nap.reason, self._known),
            woken_by=masked(list(woken), self._known) if isinstance(woken, tuple) else (),
            problems=masked(list(ended.problems), self._known),
            seconds=round(time.monotonic() - self._began, 4),
        )
        stands = self._made.tracker_stands and last is not None and last.fingerprint == ended.fingerprint
        as_before = _kept_list(before[1]) if stands and before is not None else None
        tape = [self._line(raw, as_before) for raw in self._waiting]
        end = masked(end_of(ended), self._known)
        line = {"look": encode(look), "header": self._header(ended.cycle), "tape": tape, "end": end}
        _append_bounded(path, _json(line) + b"\n")


def _append_bounded(path: Path, line: bytes) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
    try:
        write_all(fd, line)
        is_long = os.fstat(fd).st_size > IDLE_BYTES
    finally:
        os.close(fd)
    if is_long:
        path.replace(_older(path))


class _Pool:
    """Values by the name of their contents, each written once."""

    def __init__(self, folder: Path, known: tuple[str, ...]) -> None:
        self.folder = folder
        self._known = known

    def keep(self, value: object) -> Plain:
        """Keep a frozen value; what stands still is neither encoded nor searched for secrets again."""
        key = hashlib.sha256(repr(value).encode("utf-8", "surrogatepass")).hexdigest()[:24]
        if not self._is_there(key):
            self._put(key, self._without_secrets(value))
        return {POOLED: key}

    def spill(self, plain: Plain) -> Plain:
        """Return `plain` with its large parts in the pool; it holds no secret any more."""
        if isinstance(plain, dict) and "is" not in plain:
            return {name: self._spilled(value) for name, value in plain.items()}
        return self._spilled(plain)

    def _spilled(self, plain: Plain) -> Plain:
        data = _json(plain)
        if len(data) < POOLED_FROM:
            return plain
        key = hashlib.sha256(data).hexdigest()[:24]
        if not self._is_there(key):
            self._put(key, plain)
        return {POOLED: key}

    def _without_secrets(self, value: object) -> Plain:
        plain = encode(value)
        hidden = masked(plain, self._known)
        if isinstance(value, Issue) and hidden != plain:
            hidden["words"] = evidence_of(value)
        return hidden

    def holds(self, plain: Plain) -> bool:
        """Whether `plain` stands for a value that is kept here."""
        return isinstance(plain, dict) and self._is_there(str(plain.get(POOLED)))

    def _is_there(self, key: str) -> bool:
        try:
            os.utime(self.folder / key)  # what is used again is not old
        except FileNotFoundError:
            return False
        return True

    def _put(self, key: str, plain: Plain) -> None:
        write_plain(self.folder / key, zlib.compress(_json(plain), 1))


def raised_by(error: AgentloopError | OSError) -> tuple[str, ...]:
    """Return what `error_from` makes the error of again."""
    if isinstance(error, AgentloopError):
        return (type(error).__name__, error.what, error.fix, error.read)
    return ("OSError", str(error.errno or 0), error.strerror or str(error), str(error.filename or ""))


def _with_all_below(kind: type[AgentloopError]) -> Iterator[type[AgentloopError]]:
    yield kind
    for each in kind.__subclasses__():
        yield from _with_all_below(each)


_ERRORS = {kind.__name__: kind for kind in _with_all_below(AgentloopError)}


def error_from(raised: tuple[str, ...]) -> AgentloopError | OSError:
    """Return the error that a call raised."""
    name, what, fix, read = raised
    if name == "OSError":
        return OSError(int(what), fix, read) if read else OSError(int(what), fix)
    kind = _ERRORS.get(name, AgentloopError)
    return kind(what, fix=fix, read=read)


def _json(plain: Plain) -> bytes:
    return json.dumps(plain, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")


# --- what is kept -------------------------------------------------------------------------------------------


def prune(cycles: Path) -> None:
    """Take away records beyond KEPT and KEPT_BYTES, the oldest first, and what only they had in the pool."""
    import shutil

    folders = sorted(
        (path for path in cycles.glob("*") if path.name.isdigit()), key=lambda path: int(path.name)
    )
    for gone in folders[:-KEPT]:
        shutil.rmtree(gone, ignore_errors=True)
    kept = folders[-KEPT:]
    pool = {path: path.stat() for path in (cycles / "pool").glob("*")}
    room = KEPT_BYTES - sum(found.st_size for found in pool.values())
    sizes = [sum(path.stat().st_size for path in folder.glob("*")) for folder in kept]
    while len(kept) > 1 and sum(sizes) > room:
        shutil.rmtree(kept.pop(0), ignore_errors=True)
        sizes.pop(0)
    if kept:
        # What a cycle saw is older than the end of its record.
        oldest = min((path.stat().st_mtime for path in kept[0].glob("*")), default=0.0) - LONGEST_SECONDS
        for path, found in pool.items():
            if found.st_mtime < oldest:
                path.unlink(missing_ok=True)


# --- reading ------------------------------------------------------------------------------------------------


def looks(path: Path) -> tuple[Look, ...]:
    """Return the idle cycles that are kept at `path`, oldest first; lines that make no sense are left out."""
    return tuple(look for name in (_older(path), path) for look, _ in _idle_lines(_bytes(name)))


def last_look(path: Path) -> Look | None:
    """Return the newest idle cycle, or None."""
    found = _last_line(path)
    return None if found is None else found[0]


def _last_line(path: Path) -> tuple[Look, dict[str, Any]] | None:
    try:
        with path.open("rb") as stream:
            stream.seek(max(0, os.fstat(stream.fileno()).st_size - TAIL_BYTES))
            found = list(_idle_lines(b"\n".join(stream.read().splitlines()[-1:])))
    except FileNotFoundError:
        return None
    return found[-1] if found else None


def _kept_list(line: dict[str, Any]) -> Plain:
    """Return the reference to what the tracker answered in an idle cycle, None when it was a short list."""
    found = next((one.get("got") for one in line["tape"] if one["call"] == "tracker.observe"), None)
    return found if isinstance(found, dict) else None


def record(home: Home, name: str) -> Record:
    """Return the record of cycle `12`, or of the third idle look after it, `12+3`.

    Raises NotFoundError when there is none, or not all of it any more.
    """
    cycle, _, number = name.partition("+")
    if number:
        return _idle_record(home, name, int(cycle), int(number))
    lines = [json.loads(line) for line in _whole_lines(_bytes(home.cycle(int(cycle)) / "tape.jsonl"))]
    if not lines:
        raise NotFoundError(
            f"cycle {cycle} has no record: it never ran, or more than {KEPT} came after it",
            fix="agentloop cycles lists those that ran",
        )
    header, *rest = lines
    return _record(home, name, header, [one for one in rest if "call" in one], rest[-1:] or [{}])


def _idle_record(home: Home, name: str, cycle: int, number: int) -> Record:
    for path in (home.looks, _older(home.looks)):
        for look, line in _idle_lines(_bytes(path)):
            if (look.cycle, look.number) == (cycle, number):
                return _record(home, name, line["header"], line["tape"], [line])
    raise NotFoundError(f"there is no idle cycle {name} in what is kept", fix="agentloop cycles shows them")


def _record(home: Home, name: str, header: dict[str, Any], lines: list[Any], last: list[Any]) -> Record:
    if header.get("v") != FORMAT:
        raise NotFoundError(
            f"the record of cycle {name} has format {header.get('v')}, this program reads {FORMAT}",
            fix="replay it with the version that wrote it",
        )
    pool = home.cycles / "pool"
    found = [
        Call(
            port=one["call"],
            gave=_resolved(one.get("gave"), pool),
            got=_resolved(one.get("got"), pool),
            raised=tuple(one.get("raised", ())),
        )
        for one in lines
    ]
    return Record(
        name=name,
        header=_resolved(header, pool),
        calls=tuple(found),
        end=last[0].get("end") if last else None,
    )


def _resolved(plain: Plain, pool: Path) -> Plain:
    if isinstance(plain, list):
        return [_resolved(item, pool) for item in plain]
    if not isinstance(plain, dict):
        return plain
    key = plain.get(POOLED)
    if len(plain) == 1 and isinstance(key, str) and key.isalnum():
        try:
            return _resolved(json.loads(zlib.decompress((pool / key).read_bytes())), pool)
        except (OSError, zlib.error, ValueError) as error:
            raise NotFoundError(
                f"part of the record is not kept any more ({key})", fix="replay a newer cycle"
            ) from error
    return {name: _resolved(value, pool) for name, value in plain.items()}


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def _whole_lines(data: bytes) -> list[str]:
    # The last line of a cycle that was killed may be torn.
    return [line.decode("utf-8", "surrogatepass") for line in data.split(b"\n")[:-1]]


def _idle_lines(data: bytes) -> Iterator[tuple[Look, dict[str, Any]]]:
    for line in data.splitlines():
        try:
            found = json.loads(line.decode("utf-8", "surrogatepass"))
            yield decode(Look, found["look"]), found
        except (CodecError, ValueError, KeyError, TypeError):
            continue  # torn by a kill: it is a note on the side, nothing rests on it


def _older(path: Path) -> Path:
    return path.with_name(f"{path.name}.1")
