"""A folder of records, numbered and never reused: `NNNN.md` while open, in `closed/` afterwards.

Every change is made under one lock of the whole tracker, which the kernel drops when its holder dies, and is
one durable replacement of one file: killed at any instruction, the folder holds the state before or the state
after. People write here too. A file under another name is a new record, and gets its number at the next look;
words added behind a comment become a comment; a file that cannot be understood is shown with its problem.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import hmac
import os
import pwd
import re
import signal
import stat
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Final, TypeAlias

from agentloop.domain.valueclass import dataclass, replace
from agentloop.edges import files, records
from agentloop.errors import ConflictError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from agentloop.edges.issuecache import FileStamp
    from agentloop.edges.records import Record, Value

FILE_LIMIT_BYTES: Final = 64_000_000
"""A longer file is shown as far as this, and not written to."""
WORDS_LIMIT_BYTES: Final = 16_000_000
"""Bytes of UTF-8 that a body or a comment may have."""

_NUMBERED: Final = re.compile(r"[0-9]{4,9}\.md")
_NO_UTF8: Final = re.compile("[\ud800-\udfff]")
_ID: Final = re.compile(r"[0-9]{1,9}")
_LETTER: Final = {"comment": "c", "review": "r", "check": "k"}
_TRIES: Final = 20
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One record as its file holds it. `changed_at` and `owner` are the file's, for what it leaves out."""

    id: str
    path: Path
    closed: bool
    text: str
    record: Record
    changed_at: datetime
    owner: str
    whole: bool = True
    stamp: FileStamp | None = None
    """Its file's, from before it was read; None when that could not be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PassedOver:
    """A file that somebody put here and that becomes no record: why, and what makes it one."""

    path: Path
    what: str
    fix: str


Edit: TypeAlias = "Callable[[Entry], str | None]"


class Marks:
    """The key that proves which words are the loop's own; it must outlive the runtime folder."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "key"
        self._key = b""

    def there(self) -> bool:
        """Return whether there is a key: without one no mark was ever made, or none can be proved."""
        return bool(self._read())

    def name(self) -> str:
        """Return what tells this key from another without giving it away; "" when there is none."""
        key = self._read()
        return hashlib.sha256(key).hexdigest()[:16] if key else ""

    def of(self, *parts: str) -> str:
        """Return the mark for `parts`; the first one ever makes the key. Raises OSError."""
        if not self._key:
            self._key = self._read() or self._make()
        return records.mark_for(self._key, *parts)

    def holds(self, mark: str, *parts: str) -> bool:
        """Return whether `mark` was made for `parts` with our key."""
        if not self._key:
            self._key = self._read()
        return bool(mark and self._key) and hmac.compare_digest(mark, records.mark_for(self._key, *parts))

    def _read(self) -> bytes:
        try:
            return self._path.read_bytes().strip()
        except FileNotFoundError:
            return b""

    def _make(self) -> bytes:
        files.make_folder(self._path.parent)
        create_durable(self._path, f"{os.urandom(32).hex()}\n".encode(), mode=0o600)
        return self._read()


class RecordFolder:
    """The records in one folder; `what` is what a person calls one of them.

    `fill` returns the fields that a record lacks; with it, files written here by hand become records.
    Methods raise OSError when the disk refuses, and NotFoundError for an id that no file has.
    """

    def __init__(
        self, folder: Path, *, what: str, lock: Path, fill: Callable[[Entry], dict[str, Value]] | None = None
    ) -> None:
        self._open = folder
        self._closed = folder / "closed"
        self._what = what
        self._lock = lock
        self._fill = fill

    def open(self) -> tuple[Entry, ...]:
        """Return the open records, lowest number first."""
        return self.changed({})[0]

    def changed(self, known: Mapping[str, FileStamp]) -> tuple[tuple[Entry, ...], frozenset[str]]:
        """Return the open records whose files are not as `known`, lowest number first, and the ids of others.

        Only settled records may be `known`.
        """
        same = self._unchanged(known)
        entries = self._entries(self._open, but=same)
        if any(map(self._needs_settling, entries)) or self._is_littered() or any(self._unnumbered()):
            self._settle()
            same = self._unchanged(known)
            entries = self._entries(self._open, but=same)
        return tuple(entry for entry in entries if not entry.closed), same

    def is_settled(self, entry: Entry) -> bool:
        """Return whether nothing has to be done about what people wrote into the record by hand."""
        return entry.whole and not entry.record.problems and not self._needs_settling(entry)

    def closed(self) -> tuple[Entry, ...]:
        """Return the closed records, lowest number first."""
        return self._entries(self._closed)

    def get(self, record: str) -> Entry:
        """Return one record. Raises NotFoundError."""
        entry = self._get(record)
        if self._needs_settling(entry):
            with self._held():
                self._settle_one(record)
            entry = self._get(record)
        return entry

    def passed_over(self) -> tuple[PassedOver, ...]:
        """Return the files here that become no record as they are, by name; none where people add nothing."""
        if self._fill is None:
            return ()
        names = (name for name in sorted(_names(self._open)) if not _is_nobodys(name))
        found = (_why_passed_over(self._open / name) for name in names if not _NUMBERED.fullmatch(name))
        return tuple(each for each in found if each is not None)

    def add(self, make: Callable[[str], str]) -> str:
        """Write the record that `make` returns for its id, and return the id."""
        with self._held():
            self._sweep()
            record = self._next()
            create_durable(self._open / _name(record), _encoded(make(record)))
        return record

    def change(self, record: str, edit: Edit) -> Entry:
        """Replace a record's text by what `edit` returns (None: leave it), and return what there is then.

        Raises ConflictError for a file too long or one that somebody keeps writing to; what `edit` raises.
        """
        with self._held():
            return self._change(record, edit)

    def close(self, record: str, edit: Edit) -> Entry:
        """Like `change`, and put the record with the closed ones; `edit` must set the field `state`."""
        with self._held():
            entry = self._change(record, edit)
            if entry.closed and entry.path.parent == self._open:
                _move(entry.path, self._closed / entry.path.name)
            return self._get(record)

    def reopen(self, record: str, edit: Edit) -> Entry:
        """Like `change`, and put the record with the open ones; `edit` must set the field `state`."""
        with self._held():
            entry = self._get(record)
            if entry.path.parent == self._closed:
                _move(entry.path, self._open / entry.path.name)
            return self._change(record, edit)

    @contextmanager
    def _held(self) -> Iterator[None]:
        files.make_folder(self._closed)
        with files.locked(self._lock, wait=True):
            yield

    def _get(self, record: str) -> Entry:
        if _ID.fullmatch(record):
            # Looked at twice: it may be moved from the second folder to the first in between.
            for folder in (self._open, self._closed, self._open):
                entry = _read(folder / _name(record), closed=folder == self._closed)
                if entry is not None:
                    return entry
        command = "issue" if self._what == "issue" else "pr"
        said = records.one_line(record, 40)
        raise NotFoundError(f"there is no {self._what} {said!r}", fix=f"agentloop {command} list --state all")

    def _change(self, record: str, edit: Edit) -> Entry:
        for _ in range(_TRIES):
            entry = self._get(record)
            if not entry.whole:
                problem = "; ".join(entry.record.problems)
                raise ConflictError(f"{self._what} {record}: {problem}", fix=f"mend {entry.path} by hand")
            before = _stamp(entry.path)
            text = edit(entry)
            if text is None:
                return entry
            # An editor that saved in the meantime is read again: no save of a person's is written over.
            if before == _stamp(entry.path):
                files.write_durable(entry.path, _encoded(text))
                return self._get(record)
        raise ConflictError(
            f"{self._what} {record} changes all the time", fix="try again when nobody writes to it"
        )

    def _next(self) -> str:
        """The number after all there ever were. It is used up before its file is there."""
        counter = self._open / ".last"
        try:
            last = int(counter.read_bytes())
        except (FileNotFoundError, ValueError):
            last = 0
        record = max(last, *_numbers(self._open), *_numbers(self._closed), 0) + 1
        files.write_durable(counter, f"{record}\n".encode())
        return str(record)

    def _unchanged(self, known: Mapping[str, FileStamp]) -> frozenset[str]:
        folder = str(self._open)
        return frozenset(one for one in known if _file_stamp(f"{folder}/{_name(one)}") == known[one])

    def _entries(self, folder: Path, but: frozenset[str] = frozenset()) -> tuple[Entry, ...]:
        names = (name for name in map(str, _numbers(folder)) if name not in but)
        paths = [folder / _name(name) for name in names]
        found = [_read(path, closed=folder == self._closed) for path in paths]
        return tuple(entry for entry in found if entry is not None)

    # What people did by hand since the last look.

    def _needs_settling(self, entry: Entry) -> bool:
        if not entry.whole:
            return False
        misplaced = entry.closed and entry.path.parent == self._open
        return misplaced or bool(entry.record.strays) or bool(self._missing(entry))

    def _missing(self, entry: Entry) -> dict[str, Value]:
        if self._fill is None or not entry.whole or entry.record.problems:
            return {}
        return self._fill(entry)

    def _is_littered(self) -> bool:
        """Whether there are temp files: of somebody who writes at this moment, or who was killed."""
        return any(name.startswith(files.TEMP_PREFIX) for name in _names(self._open))

    def _sweep(self) -> None:
        # Nobody else writes here while we hold the lock: what there is was left by a killed writer.
        files.sweep_temps(self._open)
        files.sweep_temps(self._closed)

    def _settle(self) -> None:
        with self._held():
            self._sweep()
            for path in tuple(self._unnumbered()):
                self._adopt(path)
            for entry in filter(self._needs_settling, self._entries(self._open)):
                self._settle_one(entry.id)

    def _settle_one(self, record: str) -> None:
        def edit(entry: Entry) -> str | None:
            text = with_strays_owned(entry)
            missing = self._missing(entry)
            return None if text == entry.text and not missing else records.with_fields(text, missing)

        entry = self._change(record, edit)
        if entry.closed and entry.path.parent == self._open:
            _move(entry.path, self._closed / entry.path.name)

    def _unnumbered(self) -> Iterator[Path]:
        if self._fill is None:
            return
        for name in sorted(_names(self._open)):
            path = self._open / name
            if (
                name.endswith(".md")
                and not name.startswith(".")
                and not _NUMBERED.fullmatch(name)
                and is_finished(path)
                and _why_passed_over(path) is None
            ):
                yield path

    def _adopt(self, path: Path) -> None:
        """Give a file that a person put here its number.

        An editor that still has it open writes it again under its old name. That is the same record as long
        as it is open and its title is the same; it gets the new body.
        """
        new = _read(path, closed=False)
        if new is None or self._fill is None:
            return
        origin = {"file": path.name, "title": self._fill(new).get("title", new.record.word("title"))}
        same = [entry for entry in self._entries(self._open) if not entry.closed and _has(entry, origin)]
        if same:
            self._change(same[0].id, lambda entry: records.with_body(entry.text, new.record.body))
            path.unlink()
            files.sync_folder(path.parent)
            return
        # Moved first: killed after that, it is a record already, and gets its fields at the next look.
        record = self._next()
        _move(path, self._open / _name(record))
        self._change(
            record, lambda entry: records.with_fields(entry.text, {"file": path.name, **self._missing(entry)})
        )


def appended(  # noqa: PLR0913 -- a block's parts, by name
    entry: Entry,
    *,
    kind: str,
    author: str,
    at: datetime,
    text: str,
    details: tuple[str, ...] = (),
    op: str = "",
    carries: str = "",
    mark: Callable[[str], str] = lambda _: "",
) -> tuple[str, str]:
    """Return the entry's text with one more block, and the block's id; `mark` makes the mark for that id.

    Block ids count on within a record and are not used again, whatever is deleted by hand.
    """
    block_id, fields = _next_block(entry.record, kind)
    block = records.Block(
        kind=kind,
        id=block_id,
        author=author,
        at=at,
        text=text,
        details=details,
        op=op,
        mark=mark(block_id) if op else "",
        carries=carries if op else "",
    )
    text = records.with_block(entry.text, block)
    return (records.with_fields(text, fields) if entry.record.fields else text), block_id


def with_strays_owned(entry: Entry) -> str:
    """Return the entry's text with words put behind a block made a comment of the file's owner."""
    number = _last_block(entry.record)
    blocks = {}
    for stray in entry.record.strays:
        number += 1
        blocks[stray] = records.Block(
            kind="comment", id=f"c{number}", author=entry.owner, at=entry.changed_at, text=stray.text
        )
    if not blocks:
        return entry.text
    text = records.with_strays_owned(entry.text, blocks)
    return records.with_fields(text, {"blocks": str(number)}) if entry.record.fields else text


def refuse_long(text: str, what: str) -> None:
    """Raise ConflictError when somebody's words are longer than a record holds."""
    size = len(text.encode("utf-8", "replace"))
    if size > WORDS_LIMIT_BYTES:
        raise ConflictError(
            f"{what} has {size / 1e6:,.1f} MB; {WORDS_LIMIT_BYTES / 1e6:g} MB is the most",
            fix="put the long part into a file of the repository and name it in the text",
        )


def create_durable(path: Path, data: bytes, *, mode: int = 0o644) -> None:
    """Make the file at `path`, whole and durable, or raise FileExistsError: of two who try, one does it.

    Raises OSError when the disk refuses; then it is not there: who is told of a failure tries again.
    """
    temp = path.with_name(f"{files.TEMP_PREFIX}{os.urandom(6).hex()}")
    try:
        files.write_durable(temp, data, mode=mode)
        path.hardlink_to(temp)
        try:
            files.sync_folder(path.parent)
        except OSError:
            path.unlink()
            raise
    finally:
        with suppress(OSError):  # whoever writes here next takes it away
            temp.unlink(missing_ok=True)


def is_finished(path: Path) -> bool:
    """Return whether a file has words and nobody is writing to it just now.

    A read lease is granted only on a file that no process has open for writing (fcntl(2)); where leases are
    not to be had, a file counts as finished.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode) or not status.st_size:
            return False
        # A writer that comes while we hold the lease sends this signal, which does nothing, instead of SIGIO.
        fcntl.fcntl(fd, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except OSError as error:
        return error.errno not in {errno.EAGAIN, errno.EWOULDBLOCK}
    finally:
        os.close(fd)
    return True


def is_text(text: str) -> bool:
    """Return whether a file's text, as `Entry` has it, is UTF-8 throughout and has no NUL in it."""
    return "\0" not in text and (text.isascii() or not _NO_UTF8.search(text))


def _is_nobodys(name: str) -> bool:
    """Whether a name is that of a hidden file or an editor's copy."""
    return name.startswith((".", "#")) or name.endswith(("~", ".swp", ".tmp"))


def _why_passed_over(path: Path) -> PassedOver | None:
    """Why a file under a name of its own becomes no record; None: it does, or it is gone, or a folder."""
    if path.is_dir() and path.suffix != ".md":
        return None
    mend = "mend it, or take it out"
    if path.suffix != ".md":
        return PassedOver(path=path, what="its name does not end in .md", fix="rename it, or take it out")
    if path.is_symlink() or not path.is_file():
        return PassedOver(path=path, what="it is no regular file", fix="put a file there, or take it out")
    entry = _read(path, closed=False)
    if entry is None:
        return None
    if not is_text(entry.text):
        return PassedOver(path=path, what="it is no UTF-8 text", fix="save it as text, or take it out")
    if entry.record.problems:
        return PassedOver(path=path, what=entry.record.problems[0], fix=mend)
    if not entry.text.strip():
        return PassedOver(path=path, what="it is empty", fix="write what you want into it, or take it out")
    return None


def _read(path: Path, *, closed: bool) -> Entry | None:
    """What the file holds; None when there is none (any more)."""
    try:
        data, cut, status = _bytes_of(path)
    except FileNotFoundError:
        return None
    except OSError as error:
        return _unreadable(path, closed=closed, problem=f"the file cannot be read: {error.strerror}")
    text = data.decode("utf-8", "surrogateescape").replace("\r\n", "\n")
    record = records.parse(text)
    if cut:
        problem = f"the file is longer than {FILE_LIMIT_BYTES:,} bytes; the rest is not read"
        record = replace(record, problems=(*record.problems, problem))
    return Entry(
        id=_id_of(path),
        path=path,
        closed=closed or record.word("state").lower() in {"closed", "merged"},
        text=text,
        record=record,
        changed_at=datetime.fromtimestamp(int(status.st_mtime), UTC),
        owner=_user(status.st_uid),
        whole=not cut,
        stamp=_stamp_in(status),
    )


def _bytes_of(path: Path) -> tuple[bytes, bool, os.stat_result]:
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "it is no regular file")  # reading a pipe would wait for its writer
    return *files.read_bounded(path, FILE_LIMIT_BYTES), status


def _unreadable(path: Path, *, closed: bool, problem: str) -> Entry:
    return Entry(
        id=_id_of(path),
        path=path,
        closed=closed,
        text="",
        record=records.Record(fields={}, body="", problems=(problem,)),
        changed_at=_EPOCH,
        owner="",
        whole=False,
    )


def _next_block(record: Record, kind: str) -> tuple[str, dict[str, Value]]:
    number = _last_block(record) + 1
    return f"{_LETTER[kind]}{number}", {"blocks": str(number)}


def _last_block(record: Record) -> int:
    said = record.word("blocks")
    counted = int(said) if _ID.fullmatch(said) else 0
    return max(counted, *(int(block.id[1:]) for block in record.blocks), 0)


def _has(entry: Entry, fields: Mapping[str, Value]) -> bool:
    return all(entry.record.fields.get(key) == value for key, value in fields.items())


def _move(path: Path, to: Path) -> None:
    if to.exists():
        return  # somebody copied it there by hand: both stay, the open one is shown
    path.rename(to)
    files.sync_folder(to.parent)
    files.sync_folder(path.parent)


def _names(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)  # noqa: PTH208 -- names, not paths
    except FileNotFoundError:
        return []


def _numbers(folder: Path) -> list[int]:
    return sorted(int(name[:-3]) for name in _names(folder) if _NUMBERED.fullmatch(name))


def _name(record: str) -> str:
    return f"{int(record):04d}.md"


def _id_of(path: Path) -> str:
    return str(int(path.stem)) if _NUMBERED.fullmatch(path.name) else ""


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size


def _file_stamp(path: str) -> FileStamp | None:
    try:
        return _stamp_in(os.stat(path))  # noqa: PTH116 -- thousands of them are looked at, by their names
    except OSError:
        return None


def _stamp_in(status: os.stat_result) -> FileStamp:
    return status.st_mtime_ns, status.st_size, status.st_ino, status.st_ctime_ns


def _encoded(text: str) -> bytes:
    """The bytes of a text: those that were no UTF-8 when it was read are the same again."""
    return text.encode("utf-8", "surrogateescape")


@cache
def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"
