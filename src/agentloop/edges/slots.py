"""Places made ahead: ready work trees, kept per target, each of them claimed once and by one attempt only.

    .agentloop/slots/TARGET/.new-HEX        being made, by the one process that holds the pool
    .agentloop/slots/TARGET/COMMIT-HEX      ready: whole, at that commit
    .agentloop/trash/HEX                    taken out of use by a rename; deleted later, where nobody waits

A slot becomes ready, and is claimed, by one rename each: nobody ever sees half of one, and of two that reach
for it one goes without. All of it is a cache: a slot that does not fit in every respect is not used.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from agentloop.domain.codec import CodecError, decode, encode
from agentloop.domain.valueclass import dataclass
from agentloop.edges.files import make_folder, write_plain
from agentloop.edges.processes import boot_id
from agentloop.edges.worktree import READY

if TYPE_CHECKING:
    from agentloop.home import Home

_MAKING: Final = ".new-"
_TIP: Final = ".tip"
_UNMADE: Final = ".unmade"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stand:
    """What is true of a place that was checked out; all of it has to fit whoever takes it over."""

    commit: str
    tree: str
    """Id of the commit's tree."""
    task: Literal["", "file", "folder"]
    """What the repository itself has under the name TASK.md."""
    mirror: str
    """Folder that the objects are borrowed from."""
    sandbox: str
    """Kind of sandbox that it was checked out in: it decides which owner git's index has noted."""
    boot: str
    """A place is not synced to the disk file by file, so after another boot nothing is known of it."""
    bytes: int = 0
    """What it takes of the disk, about."""


def write_stand(place: Path, stand: Stand) -> None:
    """Note in `place` what is true of it now. Raises OSError."""
    write_plain(place / READY, json.dumps(encode(stand)).encode())


def read_stand(place: Path) -> Stand | None:
    """Return what is true of `place`; None when nothing can be said, or it was said before the last boot."""
    try:
        found: Stand = decode(Stand, json.loads((place / READY).read_bytes()))
    except (OSError, ValueError, CodecError):
        return None
    return found if found.boot == boot_id() else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What an attempt needs of a place."""

    commit: str
    mirror: str
    sandbox: str

    def fits(self, stand: Stand) -> bool:
        """Return whether a place in which this is true can be had for it.

        One at another commit is brought to this one by checking out the difference.
        """
        return (stand.mirror, stand.sandbox) == (self.mirror, self.sandbox)


class Slots:
    """The slots of a home's targets."""

    def __init__(self, home: Home) -> None:
        self._home = home

    def ready(self, target: str) -> tuple[Path, ...]:
        """Return the slots of `target` that are ready, as they are named now."""
        try:
            found = sorted(self._home.slots_of(target).iterdir())
        except OSError:
            return ()
        return tuple(path for path in found if not path.name.startswith("."))

    def note_tip(self, target: str, commit: str) -> None:
        """Note the commit that work on `target` starts from now, for whoever makes slots. Raises OSError."""
        if self.tip(target) != commit:
            make_folder(self._home.slots_of(target))
            write_plain(self._home.slots_of(target) / _TIP, commit.encode())

    def tip(self, target: str) -> str:
        """Return the commit that was noted last, or ""."""
        return _text(self._home.slots_of(target) / _TIP)

    def note_unmade(self, target: str, key: str, why: str) -> None:
        """Note why there is no slot, so that it is not tried again under the same `key`. Raises OSError."""
        write_plain(self._home.slots_of(target) / _UNMADE, f"{key}\n{why}".encode("utf-8", "replace"))

    def unmade(self, target: str) -> tuple[str, str]:
        """Return key and reason as they were noted last; ("", "") when nothing was."""
        key, _, why = _text(self._home.slots_of(target) / _UNMADE).partition("\n")
        return key, why

    def claim(self, target: str, wanted: Wanted, to: Path) -> bool:
        """Move a slot that fits to the path `to`, and return whether there was one. Raises OSError.

        One at the wanted commit is preferred. A slot that somebody else has claimed first is passed over.
        """
        slots = self.ready(target)
        for slot in sorted(slots, key=lambda path: not path.name.startswith(wanted.commit)):
            stand = read_stand(slot)
            if stand is None or not wanted.fits(stand):
                continue
            try:
                slot.rename(to)
            except FileNotFoundError:
                continue
            return True
        return False

    def begin(self, target: str) -> Path:
        """Return a new, empty folder to make a slot of `target` in. Raises OSError."""
        folder = self._home.slots_of(target)
        make_folder(folder)
        place = folder / f"{_MAKING}{os.urandom(4).hex()}"
        place.mkdir()
        return place

    def finish(self, place: Path, stand: Stand) -> Path:
        """Make the place that was begun a ready slot: from now on it may be claimed. Raises OSError."""
        write_stand(place, stand)
        ready = place.with_name(f"{stand.commit}-{place.name.removeprefix(_MAKING)}")
        return place.rename(ready)

    def reopen(self, slot: Path) -> Path | None:
        """Take a ready slot back, to work on it; None when it was claimed first. Raises OSError."""
        place = slot.with_name(f"{_MAKING}{os.urandom(4).hex()}")
        try:
            return slot.rename(place)
        except FileNotFoundError:
            return None

    def unfinished(self) -> tuple[Path, ...]:
        """Return what is being made, or was when its maker was killed: who holds the pool can tell."""
        return tuple(self._home.slots.glob(f"*/{_MAKING}*"))

    def discard(self, path: Path) -> None:
        """Take a file or folder of ours out of use at once, however big it is. Raises OSError.

        What somebody else has moved away meanwhile needs no discarding.
        """
        make_folder(self._home.trash)
        try:
            if path.is_dir() and not path.is_symlink():
                path.chmod(0o700)  # a worker may have closed it, and then it could not be moved
            path.rename(self._home.trash / os.urandom(8).hex())
        except FileNotFoundError:
            return

    def trash(self) -> tuple[Path, ...]:
        """Return what waits to be deleted."""
        try:
            return tuple(sorted(self._home.trash.iterdir()))
        except OSError:
            return ()


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace")
    except OSError:
        return ""
