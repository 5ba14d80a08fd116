"""The journal's files: one a month, one entry a line, append-only, durable before anything is acknowledged.

A line torn by a power cut was never acknowledged and is passed over, the last one of a file only; anything
else that cannot be read stops the loop, because every promise rests on it.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from agentloop.domain.codec import CodecError, decode, encode
from agentloop.domain.facts import Entry
from agentloop.domain.world import World
from agentloop.edges.files import append_durable, make_folder
from agentloop.errors import JournalError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from agentloop.home import Home


class Journal:
    """A home's journal. One writer at a time: the cycle, which holds the home's lock."""

    def __init__(self, home: Home) -> None:
        self._home = home

    def entries(self) -> Iterator[Entry]:
        """Yield every entry, oldest first. Raises JournalError naming file and line."""
        if not self._home.journal.is_dir():
            return
        for path in sorted(self._home.journal.glob("*.jsonl")):
            yield from _read(path)

    def world(self) -> World:
        """Return the fold over all entries. Raises JournalError."""
        world = World()
        for entry in self.entries():
            world.apply(entry)
        return world

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
        newest = max(self._home.journal.glob("*.jsonl"), default=None, key=lambda path: path.name)
        wanted = self._home.journal_of(entry.at)
        return wanted if newest is None else max(wanted, newest, key=lambda path: path.name)


def _read(path: Path) -> Iterator[Entry]:
    try:
        lines = path.read_bytes().split(b"\n")
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
                f"{path}:{number} is not an entry of the journal: {error}",
                fix="restore the line from a backup, or move it out of the file",
            ) from error


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
