"""What the files of open issues said when they were read, so that a look reads only those that changed.

`.agentloop/issues.json`: a cache that may be deleted at any moment, and is thrown away when it is damaged,
another version's, or the key that proves our marks is another. An issue is taken from it while its file has
the same stamp: modification and change time, size, inode. A file that changed less than RACY_NS before the
look may change again within the same tick of the file system's clock, so it is not kept yet.
"""

from __future__ import annotations

import contextlib
import json
import zlib
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from agentloop.domain.issue import Comment, Issue
from agentloop.domain.valueclass import dataclass
from agentloop.edges.files import read_bounded, write_plain

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

FORMAT: Final = 1
CACHE_BYTES: Final = 64_000_000
"""A cache that would be larger is not kept."""
RACY_NS: Final = 2_000_000_000
"""The coarsest clock of a file system in use (FAT): two seconds."""

FileStamp: TypeAlias = tuple[int, int, int, int]
"""What tells one version of a file from the next: (mtime in ns, size in bytes, inode, ctime in ns)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """An open issue as it is shown, and the stamp of the file that said so."""

    stamp: FileStamp
    issue: Issue


class IssueCache:
    """The cache at `path`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamps: dict[str, FileStamp] = {}

    def load(self, key: str) -> dict[str, Known]:
        """Return what is known, by issue, if it was kept under the same `key`; else nothing."""
        try:
            data, cut = read_bounded(self._path, CACHE_BYTES)
            head, _, body = data.partition(b"\n")
            fits = json.loads(head) == _head(key, body) and not cut
            known = {row[0]: _known(row) for row in json.loads(body)} if fits else {}
        except (OSError, ValueError, TypeError, LookupError):
            known = {}
        self._stamps = {name: one.stamp for name, one in known.items()}
        return known

    def keep(self, key: str, known: Mapping[str, Known]) -> None:
        """Keep what is known now, when it is not what was loaded; a disk that says no costs only time."""
        stamps = {name: one.stamp for name, one in known.items()}
        if stamps == self._stamps:
            return
        body = json.dumps([_row(one) for one in known.values()], separators=(",", ":")).encode()
        with contextlib.suppress(OSError):
            if len(body) < CACHE_BYTES // 2:
                write_plain(self._path, json.dumps(_head(key, body)).encode() + b"\n" + body)
            else:
                self._path.unlink(missing_ok=True)


def is_steady(stamp: FileStamp, now_ns: int) -> bool:
    """Return whether a file with that stamp, looked at from `now_ns` on, can change only to another stamp."""
    return max(stamp[0], stamp[3]) + RACY_NS < now_ns


def _head(key: str, body: bytes) -> dict[str, Any]:
    return {"v": FORMAT, "key": key, "sum": zlib.crc32(body)}


# By hand and by place, not by `codec`: thousands of them are read at each look.


def _row(known: Known) -> list[Any]:
    issue = known.issue
    said = [
        [one.id, one.author, one.body, one.at.isoformat(), one.ours, one.trusted] for one in issue.comments
    ]
    created = issue.created_at.isoformat()
    words = [issue.title, issue.body, issue.author, issue.target, created, issue.labels]
    return [issue.id, known.stamp, *words, said]


def _known(row: list[Any]) -> Known:
    name, stamp, title, body, author, target, created, labels, said = row
    mtime_ns, size, inode, ctime_ns = stamp
    issue = Issue(
        id=name,
        number=int(name),
        title=title,
        body=body,
        author=author,
        state="open",
        target=target,
        created_at=datetime.fromisoformat(created),
        labels=tuple(labels),
        comments=tuple(_comment(*each) for each in said),
    )
    return Known(stamp=(mtime_ns, size, inode, ctime_ns), issue=issue)


def _comment(name: str, author: str, body: str, at: str, ours: bool, trusted: bool) -> Comment:  # noqa: FBT001 -- a row
    moment = datetime.fromisoformat(at)
    return Comment(id=name, author=author, body=body, at=moment, ours=ours, trusted=trusted)
