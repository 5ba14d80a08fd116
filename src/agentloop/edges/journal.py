"""The journal's files: one a month, one entry a line, append-only, durable before anything is acknowledged.

A line torn by a power cut was never acknowledged and is passed over, the last one of a file only; anything
else that cannot be read stops the loop, because every promise rests on it.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import TYPE_CHECKING, Final

from agentloop.domain.codec import CodecError, decode, encode
from agentloop.domain.facts import Entry
from agentloop.domain.world import World
from agentloop.edges.files import append_durable, make_folder
from agentloop.edges.foldindex import FoldIndex, Mark, Stamp, loaded_at
from agentloop.errors import JournalError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from agentloop.home import Home


TAIL_BYTES: Final = 4096
LAG_BYTES: Final = 16_384
"""So much of the journal may come after what the index holds before that is made anew: some 40 entries."""


class Journal:
    """A home's journal. One writer at a time: the cycle, which holds the home's lock."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._index = FoldIndex(home.fold_index)

    def entries(self, after: Mark | None = None) -> Iterator[Entry]:
        """Yield every entry, or those after a mark, oldest first.

        Raises JournalError naming file and line.
        """
        newest = after.files[-1].name if after else ""
        for path in self._files():
            if path.name >= newest:
                yield from _read(path, after.offset if after and path.name == newest else 0)

    def world(self) -> World:
        """Return the fold over all entries. Raises JournalError."""
        world, mark = self._index.load(self._holds) or (World(), None)
        for entry in self.entries(mark):
            world.apply(entry)
        return world

    def keep(self, world: World, *, lag_bytes: int = LAG_BYTES) -> None:
        """Keep `world`, the fold over all entries, when there is much that is read anew each time.

        For the writer, when it is done with it.
        """
        now = self._end()
        if now is not None and _behind(loaded_at(world), now) > lag_bytes:
            self._index.keep(world, now)

    def _files(self) -> list[Path]:
        return sorted(self._home.journal.glob("*.jsonl")) if self._home.journal.is_dir() else []

    def _end(self) -> Mark | None:
        files = self._files()
        if not files:
            return None
        stamps = tuple(map(_stamp, files))
        return Mark(files=stamps, offset=stamps[-1].size, tail=_tail(files[-1], stamps[-1].size))

    def _holds(self, mark: Mark) -> bool:
        """Whether everything before `mark` is as it was."""
        files = self._files()[: len(mark.files)]
        if not files:
            return False
        try:
            stamps = tuple(map(_stamp, files))
            same = [each.name for each in stamps] == [each.name for each in mark.files]
            unchanged = stamps[:-1] == mark.files[:-1]
            return same and unchanged and _tail(files[-1], mark.offset) == mark.tail
        except OSError:
            return False

    def append(self, entry: Entry) -> None:
        """Add an entry; on return it survives a power cut. Raises JournalError.

        Then nothing was acknowledged.
        """
        line = json.dumps(encode(entry), ensure_ascii=False, separators=(",", ":"))
        try:
            make_folder(self._home.journal)
            append_durable(self._file_for(entry), line.encode("utf-8", "surrogatepass"))
        except OSError as error:
            raise JournalError(
                f"the journal cannot be written: {error.strerror} ({self._home.journal})",
                fix="make room on the disk, or make the folder writable; the loop goes on by itself then",
            ) from error

    def _file_for(self, entry: Entry) -> Path:
        # When the clock was set back over the end of a month, the newest file goes on: order is what counts.
        newest = max(self._files(), default=None, key=lambda path: path.name)
        wanted = self._home.journal_of(entry.at)
        return wanted if newest is None else max(wanted, newest, key=lambda path: path.name)


def _stamp(path: Path) -> Stamp:
    stat = path.stat()
    return Stamp(name=path.name, size=stat.st_size, mtime_ns=stat.st_mtime_ns)


def _tail(path: Path, offset: int) -> str:
    start = max(0, offset - TAIL_BYTES)
    with path.open("rb") as stream:
        stream.seek(start)
        tail = stream.read(offset - start)
    return hashlib.sha256(tail).hexdigest() if len(tail) == offset - start else ""


def _behind(mark: Mark | None, now: Mark) -> int:
    if mark is None:
        return sum(each.size for each in now.files)
    return sum(each.size for each in now.files[len(mark.files) - 1 :]) - mark.offset


def _read(path: Path, offset: int = 0) -> Iterator[Entry]:
    try:
        with path.open("rb") as stream:
            stream.seek(offset)
            lines = stream.read().split(b"\n")
    except OSError as error:
        raise JournalError(f"{path} cannot be read: {error.strerror}", fix="make it readable") from error
    for number, line in enumerate(lines, 1):
        if not line:
            continue
        try:
            yield decode(Entry, json.loads(line.decode("utf-8", "surrogatepass")))
        except (CodecError, ValueError, RecursionError) as error:
            if _torn(error, line):
                continue
            raise JournalError(
                f"{path}:{number + _lines_before(path, offset)} is not an entry of the journal: {error}",
                fix="restore the line from a backup, or move it out of the file",
            ) from error


def _lines_before(path: Path, offset: int) -> int:
    with path.open("rb") as stream:
        return stream.read(offset).count(b"\n")


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
