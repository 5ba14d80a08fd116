"""The files that differ between two commits, as `git diff-tree -r -z --raw [--numstat]` lists them."""

from __future__ import annotations

from typing import Final

from agentloop.domain.valueclass import dataclass

GONE: Final = "000000"
"""git's mode of a file that is not there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One file: its modes and object ids before and after (mode 000000 = not there), and changed lines.

    `added` and `removed` are None where they were not asked for, and for binary files.
    """

    raw_path: bytes
    old_mode: str
    new_mode: str
    old_id: str
    new_id: str
    added: int | None = None
    removed: int | None = None

    @property
    def path(self) -> str:
        """The path as text; bytes that are no UTF-8 are shown as escapes."""
        return self.raw_path.decode("utf-8", "backslashreplace")

    @property
    def is_new(self) -> bool:
        """Whether there was no such file before."""
        return self.old_mode == GONE

    @property
    def is_gone(self) -> bool:
        """Whether there is no such file any more."""
        return self.new_mode == GONE

    @property
    def is_of_another_kind(self) -> bool:
        """Whether it was a file and is a link (or the like), or the other way round."""
        return not self.is_new and not self.is_gone and self.old_mode[:3] != self.new_mode[:3]

    def restoring(self) -> bytes:
        """Return the line for `git update-index -z --index-info` that puts the file back as it was before."""
        return f"{self.old_mode} {self.old_id}\t".encode() + self.raw_path + b"\0"


def read_changes(listed: bytes) -> tuple[Change, ...]:
    """Return the changes that `git diff-tree -r -z --raw --no-renames` printed, with `--numstat` or without.

    Raises ValueError for anything else.
    """
    words = iter(listed.split(b"\0"))
    raw: list[tuple[list[str], bytes]] = []
    lines: dict[bytes, tuple[int | None, int | None]] = {}
    for word in words:
        if word.startswith(b":"):
            raw.append((word[1:].decode("ascii").split(" "), next(words)))
        elif word:
            added, removed, path = word.split(b"\t", 2)
            lines[path] = (_count(added), _count(removed))
    return tuple(_change(fields, path, lines.get(path, (None, None))) for fields, path in raw)


def _count(text: bytes) -> int | None:
    return None if text == b"-" else int(text)


def _change(fields: list[str], path: bytes, lines: tuple[int | None, int | None]) -> Change:
    old_mode, new_mode, old_id, new_id, _ = fields
    return Change(
        raw_path=path,
        old_mode=old_mode,
        new_mode=new_mode,
        old_id=old_id,
        new_id=new_id,
        added=lines[0],
        removed=lines[1],
    )
