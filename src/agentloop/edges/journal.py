"""The journal's files: one a month, one entry a line, append-only, durable before anything is acknowledged.

Every line is numbered, over all files, and sealed with its checksum, so that a loss shows: a file that is
missing, a piece cut out or off, a bit that turned. A line torn by a power cut was never acknowledged, has no
number, and is passed over. Anything else that cannot be read stops whoever reads, because every promise
rests on it; the cycle then puts the damaged file aside and a line in the place of what is lost (`mend`).
"""

from __future__ import annotations

import gc
import hashlib
import json
import re
import zlib
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, TypeAlias

from agentloop.domain.codec import CodecError, decode, encode
from agentloop.domain.facts import Entry, JournalLost
from agentloop.domain.valueclass import dataclass
from agentloop.domain.world import World
from agentloop.edges.files import append_durable, make_folder, write_durable
from agentloop.edges.foldindex import FoldIndex, Mark, Stamp, drop, loaded_at
from agentloop.errors import DamagedJournalError, JournalError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from pathlib import Path

    from agentloop.home import Home

FORMAT: Final = 1
"""The version of the lines written here; one with a higher version is never read."""
TAIL_BYTES: Final = 4096
LAG_BYTES: Final = 16_384
"""So much of the journal may come after what the index holds before that is made anew: some 40 entries."""
ASIDE: Final = "aside"
_MONTH: Final = re.compile(r"\d{4}-\d{2}\.jsonl")
_SEAL: Final = re.compile(
    rb',"n":(?P<n>\d{1,18})(?:,"from":(?P<first>\d{1,18}))?,"sum":"(?P<sum>[0-9a-f]{8})"\}\Z'
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Good:
    """An entry, and its number. `first` is the first of those it stands for; 0: an older line without one."""

    entry: Entry
    number: int
    first: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Bad:
    """A line that is no entry, or one (`good`) in front of which others are missing."""

    what: str
    good: _Good | None = None


class _Place:
    """A line of a file, counted from `start` (bytes); what comes before is read only when it is told."""

    def __init__(self, path: Path, start: int, line: int) -> None:
        self._path = path
        self._start = start
        self._line = line

    def __str__(self) -> str:
        with self._path.open("rb") as stream:
            before = stream.read(self._start).count(b"\n")
        return f"{self._path}:{before + self._line}"


_Line: TypeAlias = "_Good | _Bad | None"


class Journal:
    """A home's journal. One writer at a time: the cycle, which holds the home's lock."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._index = FoldIndex(home.fold_index)
        self._known = 0  # the number of the last entry that was read for `world`, or written here
        self._counted: tuple[str, int, int] | None = None
        """The number of the entry before a place, where all of them were read: (file, offset, number)."""

    def entries(self, after: Mark | None = None) -> Iterator[Entry]:
        """Yield every entry, or those after a mark, oldest first.

        Raises JournalError naming file and line: DamagedJournalError when lines are lost or make no sense.
        """
        for line in self._lines(after):
            if isinstance(line, _Bad):
                fix = "agentloop cycle puts the damaged file aside and reads again what our marks can tell"
                raise DamagedJournalError(line.what, fix=fix)
            if line is not None:
                yield line.entry

    def world(self) -> World:
        """Return the fold over all entries. Raises JournalError."""
        world, mark = self._index.load(self._holds) or (World(), None)
        with _uncollected():
            for entry in self.entries(mark):
                world.apply(entry)
        self._known = self.last_number()
        return world

    def keep(self, world: World, *, lag_bytes: int = LAG_BYTES) -> None:
        """Keep `world`, the fold over all entries, when there is much that is read anew each time.

        For the writer, when it is done with it.
        """
        now = self._end()
        if now is not None and _behind(loaded_at(world), now) > lag_bytes:
            self._index.keep(world, now)

    def append(self, entry: Entry, *, until: int = 0) -> None:
        """Add an entry; on return it survives a power cut. Raises JournalError.

        Then nothing was acknowledged. It stands in the place of lost ones up to number `until`.
        """
        first = self._next_number()
        try:
            make_folder(self._home.journal)
            append_durable(self._file_for(entry), sealed(entry, max(first, until), first))
            self._known = max(first, until)
        except OSError as error:
            raise JournalError(
                f"the journal cannot be written: {error.strerror} ({self._home.journal})",
                fix="make room on the disk, or make the folder writable; the loop goes on by itself then",
            ) from error

    def _next_number(self) -> int:
        """The number of the next entry. Raises JournalError when entries went away since they were read.

        A line written behind the gap would hide it from the next cycle: what was done, and what it cost,
        would be forgotten.
        """
        last = self.last_number()
        if last < self._known:
            raise DamagedJournalError(
                f"the journal lost entries while this cycle ran: it ends at {last} of {self._known}",
                fix="the next cycle reads again what our marks can tell; put the files back if you can",
            )
        return last + 1

    def last_number(self) -> int:
        """Return the number of the last entry; 0 when there is none. Raises JournalError."""
        newest = max(self._files(), default=None)
        if newest is None:
            return 0
        size = _stamp(newest).size
        number = _number_at(newest, size)
        if number is not None:
            return number
        # Lines of an older journal have no numbers, nor has a torn one: counted, from the first if need be.
        if self._counted is None or self._counted[:2] != (newest.name, size):
            for _ in self._lines():
                continue
        return self._counted[2] if self._counted else 0

    def mend(self, at: datetime) -> None:
        """Put every damaged file aside, whole, and a line `JournalLost` in the place of what is lost.

        Killed in between, it is done again; what was put aside stays. Raises JournalError for a file that
        cannot be read, or that a newer agentloop wrote, and OSError.
        """
        drop(self._home.fold_index)
        mending = _Mending(at)
        files = self._files()
        for path in files:
            aside = self._aside_of(path, at)
            kept = mending.read(path, str(aside.relative_to(self._home.root)), last=path == files[-1])
            if kept is not None:
                make_folder(aside.parent)
                write_durable(aside, path.read_bytes())
                write_durable(path, b"".join(line + b"\n" for line in kept))

    def _aside_of(self, path: Path, at: datetime) -> Path:
        aside = self._home.journal / ASIDE / f"{at:%Y%m%dT%H%M%SZ}-{path.name}"
        while aside.exists():
            aside = aside.with_name(f"again-{aside.name}")
        return aside

    def _files(self) -> list[Path]:
        if not self._home.journal.is_dir():
            return []
        return sorted(path for path in self._home.journal.iterdir() if _MONTH.fullmatch(path.name))

    def _end(self) -> Mark | None:
        files = self._files()
        if not files:
            return None
        stamps = tuple(map(_stamp, files))
        size = stamps[-1].size
        tail = _digest(_tail(files[-1], size))
        return Mark(files=stamps, offset=size, tail=tail, number=self.last_number())

    def _holds(self, mark: Mark) -> bool:
        """Whether everything before `mark` is as it was."""
        files = self._files()[: len(mark.files)]
        if not files:
            return False
        try:
            stamps = tuple(map(_stamp, files))
            same = [each.name for each in stamps] == [each.name for each in mark.files]
            unchanged = stamps[:-1] == mark.files[:-1]
            return same and unchanged and _digest(_tail(files[-1], mark.offset)) == mark.tail
        except OSError:
            return False

    def _lines(self, after: Mark | None = None) -> Iterator[_Line]:
        newest, offset = (after.files[-1].name, after.offset) if after else ("", 0)
        files = [path for path in self._files() if path.name >= newest]
        number = after.number if after else 0
        for path in files:
            start = end = offset if path.name == newest else 0
            for place, raw in enumerate(_raw_lines(path, start), 1):
                end += len(raw) + 1
                if raw:
                    line = _line(raw, number, _Place(path, start, place))
                    number = line.number if isinstance(line, _Good) else number
                    yield line
            self._counted = (path.name, end - 1, number)

    def _file_for(self, entry: Entry) -> Path:
        # When the clock was set back over the end of a month, the newest file goes on: order is what counts.
        newest = max(self._files(), default=None, key=lambda path: path.name)
        wanted = self._home.journal_of(entry.at)
        return wanted if newest is None else max(wanted, newest, key=lambda path: path.name)


@contextmanager
def _uncollected() -> Iterator[None]:
    """Keep the collector of cycles from walking over a growing world again and again: a fold makes none."""
    collected = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collected:
            gc.enable()


class _Mending:
    """One walk over all files that finds what is lost, and what to write in its place."""

    def __init__(self, at: datetime) -> None:
        self._at = at
        self._cycle = 0
        self._number = 0
        self._bad: list[str] = []

    def read(self, path: Path, aside: str, *, last: bool) -> list[bytes] | None:
        """Return the lines that the file is to have; None: it stays as it is."""
        kept: list[bytes] = []
        damaged = False
        for place, raw in enumerate(_raw_lines(path), 1):
            line = _line(raw, self._number, _Place(path, 0, place)) if raw else None
            good = line.good if isinstance(line, _Bad) else line
            if isinstance(line, _Bad):
                damaged = True
                self._bad.append(line.what.replace(f"{path.parent}/", ""))
            if good is not None:
                kept += self._in_place(good, aside)
            if raw and (line is None or good is not None):
                kept.append(raw)
        if last and self._bad:
            kept.append(self._filler(len(self._bad), self._at, aside, tail=True))
        return kept if damaged else None

    def _in_place(self, good: _Good, aside: str) -> list[bytes]:
        """The line in the place of what is lost before `good`, which goes on from there."""
        lost = good.first - self._number - 1 if good.first else len(self._bad)
        filler = [self._filler(lost, good.entry.at, aside)] if lost else []
        self._bad = []
        self._cycle = max(self._cycle, good.entry.cycle)
        self._number = good.number if good.first else self._number + 1
        return filler

    def _filler(self, lost: int, at: datetime, aside: str, *, tail: bool = False) -> bytes:
        first, self._number = self._number + 1, self._number + lost
        fact = JournalLost(what="; ".join(self._bad) or f"{lost} entries", aside=aside, tail=tail)
        self._bad = []
        return sealed(Entry(at=at, cycle=self._cycle, facts=(fact,)), self._number, first)


def sealed(entry: Entry, number: int, first: int) -> bytes:
    """Return the line of an entry: its JSON, its number (and the first it stands for), and their CRC-32."""
    text = json.dumps(encode(entry), ensure_ascii=False, separators=(",", ":"))
    since = f',"from":{first}' if first != number else ""
    body = f'{text[:-1]},"n":{number}{since}'.encode("utf-8", "surrogatepass")
    return body + b',"sum":"%08x"}' % zlib.crc32(body)


def _stamp(path: Path) -> Stamp:
    stat = path.stat()
    return Stamp(name=path.name, size=stat.st_size, mtime_ns=stat.st_mtime_ns)


def _tail(path: Path, offset: int) -> bytes:
    """What stands before `offset`, as far as it tells one journal from another; b"" when it ends earlier."""
    start = max(0, offset - TAIL_BYTES)
    with path.open("rb") as stream:
        stream.seek(start)
        tail = stream.read(offset - start)
    return tail if len(tail) == offset - start else b""


def _digest(tail: bytes) -> str:
    return hashlib.sha256(tail).hexdigest() if tail else ""


def _behind(mark: Mark | None, now: Mark) -> int:
    if mark is None:
        return sum(each.size for each in now.files)
    return sum(each.size for each in now.files[len(mark.files) - 1 :]) - mark.offset


def _number_at(path: Path, offset: int) -> int | None:
    """The number of the last entry before `offset`; None when that is of an older agentloop, or torn."""
    try:
        seal = _SEAL.search(_tail(path, offset).removesuffix(b"\n"))
    except OSError as error:
        raise JournalError(f"{path} cannot be read: {error.strerror}", fix="make it readable") from error
    return None if seal is None else int(seal["n"])


def _raw_lines(path: Path, start: int = 0) -> list[bytes]:
    try:
        with path.open("rb") as stream:
            stream.seek(start)
            return stream.read().split(b"\n")
    except OSError as error:
        raise JournalError(f"{path} cannot be read: {error.strerror}", fix="make it readable") from error


def _line(raw: bytes, before: int, where: _Place) -> _Line:
    """What a line says that follows entry number `before`. Raises JournalError for a newer format."""
    seal = _SEAL.search(raw)
    whole = seal is not None and zlib.crc32(raw[: seal.start("sum") - len(',"sum":"')]) == int(
        seal["sum"], 16
    )
    if seal is not None and not whole:
        return _Bad(what=f"{where} is not an entry of the journal: its checksum does not fit")
    found = _parsed(raw, where, sure=whole)
    if not isinstance(found, Entry) or seal is None:
        # Lines of an older agentloop have no number: they count all the same.
        return _Good(entry=found, number=before + 1) if isinstance(found, Entry) else found
    good = _Good(entry=found, number=int(seal["n"]), first=int(seal["first"] or seal["n"]))
    missing = good.first - before - 1
    if missing < 0:
        return _Bad(what=f"{where} is not an entry of the journal: {good.first} came before")
    return good if not missing else _Bad(what=f"{missing} entries before {where} are missing", good=good)


def _parsed(raw: bytes, where: _Place, *, sure: bool) -> Entry | _Bad | None:
    try:
        data = json.loads(raw.decode("utf-8", "surrogatepass"))
        _refuse_newer(data, where)
        entry: Entry = decode(Entry, data)
    except (CodecError, ValueError, RecursionError) as error:
        if sure:
            raise _newer(f"{where}: {error}") from error
        if _torn(error, raw):
            return None
        return _Bad(what=f"{where} is not an entry of the journal: {error}")
    return entry


def _refuse_newer(data: object, where: _Place) -> None:
    version = data.get("v") if isinstance(data, dict) else None
    if isinstance(version, int) and version > FORMAT:
        raise _newer(f"{where}: format {version}, and {FORMAT} is the newest known here")


def _newer(what: str) -> JournalError:
    fix = "go back to that version, or a newer one; nothing was changed"
    return JournalError(f"a newer agentloop wrote the journal: {what}", fix=fix)


def _torn(error: Exception, line: bytes) -> bool:
    # A line that a power cut shortened was never acknowledged. It stops making sense at its end, and only
    # there; `append_durable` closed it with a newline before it added the next.
    match error:
        case json.JSONDecodeError(msg=msg, pos=pos, doc=doc):
            rest = doc[pos:]
            cut_word = any(word.startswith(rest) for word in ("true", "false", "null"))
            cut_word |= re.fullmatch(r"-|\.|[eE][+-]?", rest) is not None
            return msg.startswith("Unterminated string") or cut_word or _cut_escape(doc)
        case UnicodeDecodeError(start=start):
            return _CUT_CHARACTER.fullmatch(line, start) is not None
        case _:
            return False


_CUT_CHARACTER = re.compile(rb"[\xc2-\xdf]|[\xe0-\xef][\x80-\xbf]?|[\xf0-\xf4][\x80-\xbf]{0,2}")
"""The beginning of a character of several bytes, surrogates included."""


def _cut_escape(doc: str) -> bool:
    return re.search(r"\\(u[0-9a-fA-F]{0,4})?$", doc) is not None
