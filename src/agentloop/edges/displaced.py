"""Files that an exchange displaced: looked at, kept a while, and looked at again.

A program that had a file open when it was displaced may write into it later (an editor that saves in place
is between emptying the file and filling it). So displaced files stay, under a name that says which content
was merged; content that is not the named one is yet to be merged. A crash at any point leaves content that
is looked at once too often, never once too little: merging twice changes nothing.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from agentloop.domain.valueclass import dataclass
from agentloop.edges.exchange import being_written
from agentloop.edges.files import make_folder, write_durable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_KEPT: Final = 8
_KEPT_YOUNG: Final = 64
_YOUNG_SECONDS: Final = 10
_UNMERGED: Final = "0" * 16
_NAME: Final = re.compile(r"(\d{1,9})-([0-9a-f]{16})\.md")


@dataclass(frozen=True, slots=True, kw_only=True)
class Late:
    """Content of a displaced file that is not merged yet."""

    path: Path
    data: bytes


class Displaced:
    """The displaced files of the relay at `path`, kept in `folder`, where they may be lost."""

    def __init__(self, folder: Path, path: Path) -> None:
        self._folder = folder
        self._path = path
        self._temp = re.compile(rf"\.{re.escape(path.name)}\.(\d{{1,9}})\.tmp(?:\.old)?")

    def temp_for(self, version: int) -> Path:
        """Return where a version is prepared: it and the displaced file change places there."""
        return self._path.with_name(f".{self._path.name}.{version}.tmp")

    def waiting(self, written: Callable[[int], bytes | None]) -> tuple[Late, ...]:
        """Return what is not merged yet, oldest first. `written` gives a version's bytes by its number.

        Found beside the relay after a crash: a displaced file, or the new version that never came into place.
        """
        late = [
            Late(path=path, data=data)
            for path in self._kept()
            if (data := _bytes_of(path)) is not None and not _names(path, data)
        ]
        for path, version in self._left_over():
            data = _bytes_of(path)
            if data and not _is_beginning(data, written(version)):
                late.append(Late(path=path, data=data))
        return tuple(late)

    def clear(self, written: Callable[[int], bytes | None]) -> None:
        """Take away what a crash left beside the relay; displaced content is kept as not yet merged."""
        for path, version in self._left_over():
            if _is_beginning(_bytes_of(path), written(version)):
                path.unlink(missing_ok=True)
            else:
                self._move(path, version, _UNMERGED)

    def keep(self, path: Path, version: int, data: bytes, *, merged: bool) -> Late:
        """Keep the displaced file at `path`, which was found to hold `data`; return it."""
        kept = self._move(path, version, _digest(data) if merged else _UNMERGED)
        return Late(path=kept, data=data)

    def add(self, data: bytes) -> None:
        """Keep content that was not displaced here but saved elsewhere, as not yet merged. Raises OSError."""
        make_folder(self._folder)
        newest = max((int(path.stem.partition("-")[0]) for path in self._kept()), default=0)
        write_durable(self._folder / f"{newest + 1}-{_UNMERGED}.md", data)

    def merged(self, late: Iterable[Late]) -> None:
        """Note that this content is merged, and durable in its new place; let go of the oldest files."""
        for one in late:
            if one.path.exists():
                one.path.replace(
                    one.path.with_name(f"{one.path.stem.partition('-')[0]}-{_digest(one.data)}.md")
                )
        kept = self._kept()
        for at, old in enumerate(kept[:-_KEPT]):
            # Its change time is when it was displaced; a busy program may be about to open what it looked up.
            young = time.time() - old.stat().st_ctime < _YOUNG_SECONDS and len(kept) - at <= _KEPT_YOUNG
            if not young and _is_done_with(old):
                old.unlink(missing_ok=True)

    def _kept(self) -> list[Path]:
        found = [path for path in self._folder.glob("*.md") if _NAME.fullmatch(path.name)]
        return sorted(found, key=lambda path: int(path.stem.partition("-")[0]))

    def _left_over(self) -> list[tuple[Path, int]]:
        found = (
            (path, self._temp.fullmatch(path.name))
            for path in self._path.parent.glob(f".{self._path.name}.*")
        )
        return sorted((path, int(match[1])) for path, match in found if match)

    def _move(self, path: Path, version: int, digest: str) -> Path:
        make_folder(self._folder)
        kept = self._folder / f"{version}-{digest}.md"
        try:
            path.replace(kept)
        except OSError:
            # The runtime folder is on another file system: the content can be kept, this very file cannot.
            kept.write_bytes(path.read_bytes())
            path.unlink()
        return kept


def _is_done_with(path: Path) -> bool:
    # Nobody has it open for writing (a shell may for days), and all that is in it is merged.
    with contextlib.suppress(OSError), path.open("rb") as stream:
        return not being_written(stream.fileno()) and _names(path, stream.read())
    return False


def _names(path: Path, data: bytes) -> bool:
    return path.stem.partition("-")[2] == _digest(data)


def _is_beginning(data: bytes | None, ours: bytes | None) -> bool:
    # A new version that never came into place, whole or torn by the crash. An empty file is no such thing: an
    # editor that saves in place may be about to fill it.
    return data is None or (bool(data) and ours is not None and ours.startswith(data))


def _bytes_of(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]
