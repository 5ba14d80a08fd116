"""`agentloop upkeep`: makes work trees ahead, empties the trash, packs mirrors, in a process of its own.

Started at the end of a cycle that left something to do, so that neither a cycle nor an attempt waits for it.
It holds no secret, gives way to everything else (nice), is the only one of its kind (a lock), and is on a
leash as attempts are: it ends at its deadline, and when no supervisor comes back. Killed at any moment it
leaves what the next one throws away.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from agentloop import exits
from agentloop.domain.valueclass import replace
from agentloop.edges.files import locked, make_folder, size_on_disk
from agentloop.edges.git import Git
from agentloop.edges.mirror import mirror_of
from agentloop.edges.pool import Pool
from agentloop.edges.worktree import make_place
from agentloop.errors import AgentloopError, BusyError
from agentloop.worker.checkout import Checkout
from agentloop.worker.leash import STOP_FILE, Leash, Pulled
from agentloop.worker.sandbox import MARK

if TYPE_CHECKING:
    from agentloop.domain.settings import Settings, Target
    from agentloop.home import Home

LONGEST: Final = timedelta(minutes=15)
ROUNDS: Final = 5
"""The tip may move while slots are made: so often they follow it; then the next upkeep does."""
_NICE: Final = 10
_BLOCK: Final = 4096
_LOOK_SECONDS: Final = 0.1
_ROOM: Final = 3
"""A tree is made ahead only where there is room for so many of its size: cold starts come first."""


class NoRoomError(AgentloopError):
    """A slot would take more than may be taken."""


def main(home: Home, settings: Settings) -> int:
    """Do what is due and return an exit code; BUSY: another one is at it."""
    os.nice(_NICE)
    make_folder(home.upkeep.root)
    try:
        with locked(home.upkeep.root / "lock"):
            (home.upkeep.root / STOP_FILE).unlink(missing_ok=True)
            deadline = datetime.now(tz=UTC) + LONGEST
            grace = settings.worker.grace_seconds
            with Leash(
                home.upkeep, home.root, deadline=deadline, grace_seconds=grace, claimed=False
            ) as leash:
                _Upkeep(home, settings, leash).run()
    except BusyError:
        return exits.BUSY
    except Pulled as pulled:
        sys.stderr.write(f"upkeep ended early: {pulled.stopped.detail}\n")
    return exits.OK


class _Upkeep:
    def __init__(self, home: Home, settings: Settings, leash: Leash) -> None:
        self._home = home
        self._settings = settings
        self._leash = leash
        self._pool = Pool(home, settings)
        self._slots = self._pool.slots

    def run(self) -> None:
        for left in self._slots.unfinished():  # nobody else makes any: we hold the lock
            self._slots.discard(left)
        for _ in range(ROUNDS):
            self._take_away()
            lacking = [target for target in self._settings.targets if self._pool.is_lacking(target)]
            if not lacking:
                break
            for target in lacking:
                self._fill(target)
        self._empty_trash()
        for target in self._settings.targets:
            self._gather(target)

    def _gather(self, target: Target) -> None:
        self._leash.check()
        self._leash.doing = f"packing the mirror of {target.name}"
        try:
            mirror_of(target, self._home.root, self._home.mirror_of(target.name)).gather()
        except (AgentloopError, OSError) as error:
            sys.stderr.write(f"the mirror of {target.name} is not packed: {error}\n")

    def _take_away(self) -> None:
        for path in self._pool.strangers():
            self._slots.discard(path)
        for target in self._settings.targets:
            for slot in self._pool.surplus(target):
                self._discard_slot(slot)

    def _discard_slot(self, slot: Path) -> None:
        place = self._slots.reopen(slot)
        if place is not None:  # else an attempt has it
            self._slots.discard(place)

    def _fill(self, target: Target) -> None:
        while self._pool.is_lacking(target):
            self._leash.check()
            self._leash.doing = f"making a work tree of {target.name} ahead"
            place = self._reopened(target)
            try:
                self._make(target, place)
            except (AgentloopError, OSError) as error:
                self._leash.check()
                self._slots.note_unmade(target.name, self._pool.key(target), str(error))
                sys.stderr.write(f"no work tree of {target.name} is made ahead: {error}\n")

    def _reopened(self, target: Target) -> Path | None:
        return next(filter(None, map(self._slots.reopen, self._pool.stock(target).behind)), None)

    def _make(self, target: Target, place: Path | None) -> None:
        wanted = self._pool.wanted(target)
        mirror = Path(wanted.mirror)
        if place is None:
            self._refuse_without_room(target, wanted.commit, mirror)
            place = self._slots.begin(target.name)
            make_place(place, lender=mirror, branch="ahead", commit="")
        try:
            checkout = Checkout(
                place,
                mirror=mirror,
                worker=self._settings.worker,
                hidden=self._home.runtime,
                # Its own: what ends the leftovers of a killed upkeep must not end those of the next.
                mark=f"{os.environ.get(MARK, str(self._home.upkeep.root))}#{os.getpid()}",
                interrupt=self._leash.interrupt,
            )
            stand, _ = checkout.to(wanted.commit)
            _settle(place)
            self._slots.finish(place, replace(stand, bytes=size_on_disk(place)))
        except (AgentloopError, OSError):
            self._slots.discard(place)
            raise

    def _refuse_without_room(self, target: Target, commit: str, mirror: Path) -> None:
        weighs = _weight(mirror, commit)
        most = self._settings.worker.ready_mb << 20
        if self._pool.bytes() + weighs > most:
            raise NoRoomError(
                f"one more tree of {target.name} ({weighs >> 20} MB) would exceed worker.ready_mb",
                fix="raise worker.ready_mb, or lower worker.ready_trees",
            )
        if shutil.disk_usage(self._home.root).free < _ROOM * weighs:
            raise NoRoomError(
                f"the disk has no room for a tree of {target.name} ({weighs >> 20} MB) to spare",
                fix="free some disk space",
            )

    def _empty_trash(self) -> None:
        self._leash.doing = "emptying the trash"
        for path in self._slots.trash():
            # Modes first: a worker may have closed folders. Links within are not followed.
            for words in (("chmod", "-R", "u+rwX"), ("rm", "-rf", "--one-file-system")):
                self._wait_for(subprocess.Popen([*words, "--", str(path)], stderr=subprocess.DEVNULL))

    def _wait_for(self, child: subprocess.Popen[bytes]) -> None:
        try:
            while child.poll() is None:
                self._leash.check()
                time.sleep(_LOOK_SECONDS if child.poll() is None else 0)
        finally:
            child.kill()
            child.wait()


def _settle(place: Path) -> None:
    """Date both indexes later than every file, so that git need not doubt those of their last second.

    A file as young as the index might have been changed after it was noted; git reads such files again each
    time (racy git, in its technical documentation). Nothing has touched the tree since it was checked out,
    and whoever does now gives a file a later time than was noted.
    """
    indexes = (place / "git" / "index", place / "snapshot" / "index")
    written = max(index.stat().st_mtime for index in indexes)
    time.sleep(max(0.0, int(written) + 1 - time.time()))
    for index in indexes:
        os.utime(index)


def _weight(mirror: Path, commit: str) -> int:
    """Return the bytes that a checkout of `commit` takes, about: whole blocks, and two indexes."""
    listed = Git(mirror).look("ls-tree", "-r", "-l", commit, timeout_seconds=600)
    sizes = [line.split(None, 4)[3] for line in listed.splitlines()]
    return sum(-(-int(size) // _BLOCK) * _BLOCK + 200 for size in sizes if size.isdigit())
