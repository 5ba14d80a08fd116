"""The relay's file: read, written by exchange, its versions kept, committed.

- A new version is stored by its number (durable) before it is put in place, so that a crash in between loses
  nothing, and any file with a stamp can be compared with what was written.
- It is put in place by exchange. The file it displaced is looked at: when it is not what was read, somebody
  saved it meanwhile, and both are merged and written again.
- Without the runtime folder, the home's git history says what was written.
"""

from __future__ import annotations

import contextlib
import os
import stat
import time
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from agentloop.domain.relay import (
    FIRST,
    Merged,
    Plan,
    Relay,
    Stamp,
    fit,
    left_behind,
    merge,
    parse,
    render,
    salvage,
    stamp_in,
    stamp_of,
    without_secrets,
)
from agentloop.domain.valueclass import dataclass, replace
from agentloop.edges.displaced import Displaced, Late
from agentloop.edges.exchange import read_settled, swap
from agentloop.edges.files import append_durable, locked, make_folder, sync_folder, write_all, write_plain
from agentloop.edges.homegit import CommitOutcome, HomeGit, PutOff
from agentloop.edges.versions import FIRST_TEXT, Version, Versions
from agentloop.errors import HomeError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agentloop.home import Home

_COMMITTED: Final = "committed"
"""In the state folder: the version that was committed last."""
_MADE_UP_SECONDS: Final = 2 * 86400
_ROUNDS: Final = 20
_READ_PATIENCE_SECONDS: Final = 0.5
_WRITE_PATIENCE_SECONDS: Final = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The relay as it was found.

    `text` is the file's (None: there is none). `relay` is what is true now: facts and plan as last written,
    the human's section with everything that a human did anywhere; derive the next one from it. `moved` are
    the blocks that the next write will move into the human's section. `settled`: the file is just what was
    last written.
    """

    text: str | None
    relay: Relay
    stamp: Stamp | None
    moved: tuple[str, ...]
    settled: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What a write did: the relay now in place, whether the file changed, and the blocks that were moved.

    `displaced` counts saves of somebody else's that came in between and were merged; `archived` is the
    archive file that grew, or None.
    """

    relay: Relay
    changed: bool
    moved: tuple[str, ...] = ()
    displaced: int = 0
    archived: Path | None = None


@dataclass(frozen=True, slots=True)
class _Placed:
    relay: Relay
    moved: tuple[str, ...]
    merged: tuple[Late, ...]


class RelayFile:
    """`memories/consensus.md` of a home, and its earlier versions."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._path = home.relay
        self._state = home.runtime / "relay"
        self._git = HomeGit(home.root, self._state)
        self._versions = Versions(self._state, self._git, self._name(self._path))
        self._displaced = Displaced(self._state / "late", self._path)

    # ---- read

    def read(self) -> Snapshot:
        """Return the relay as it is now; changes nothing. A missing or damaged file is no error.

        Raises HomeError when it is not to be read: a symbolic link, a folder, not ours.
        """
        try:
            text = self._text()
        except OSError as error:
            raise unreadable(self._path, error) from error
        last = self._versions.last(text)
        late = self._displaced.waiting(self._stored)
        found = (text, *(_decoded(one.data) for one in late))
        theirs = [one for one in found if last is None or one != last.text]  # no edit, and nothing to merge
        relay, moved = self._with_edits(_first_guess(text) if last is None else last.relay, theirs, last)
        return Snapshot(
            text=text,
            relay=relay,
            stamp=None if text is None else stamp_of(text),
            moved=moved,
            settled=last is not None and text == last.text and not late,
        )

    def versions(self) -> tuple[Version, ...]:
        """Return the versions that are kept, newest first: 50 in the runtime folder, and those in git."""
        return self._versions.all()

    def version(self, number: int) -> Version:
        """Return one kept version. Raises NotFoundError."""
        found = self._versions.find(number)
        if found is None:
            raise NotFoundError(
                f"there is no version {number} of the relay", fix="agentloop relay log lists them"
            )
        return found

    # ---- write

    def write(self, new: Relay, base: Snapshot, *, day: date | None = None) -> Written:
        """Make `new`, which was derived from `base.relay`, the relay; durable on return.

        Its version is counted here. Secrets in facts and plan are redacted; the core's part is cut to its
        cap, and what goes (or what `base` said and `new` no longer says) is appended to the archive of
        `day` (default: today, UTC) first. What somebody saves meanwhile is merged; when
        they save faster than that, the next write merges the rest. Raises HomeError as `read` does, and
        OSError when the disk says no: then the old file is in place.
        """
        make_folder(self._state)
        make_folder(self._path.parent)
        with locked(self._state / "lock", wait=True):
            self._displaced.clear(self._stored)
            late = self._displaced.waiting(self._stored)
            last = self._versions.last(base.text)
            wanted = without_secrets(new)
            fitted, overflow = fit(wanted)
            theirs = (base.text, *(_decoded(one.data) for one in late))
            target, moved = self._with_edits(fitted, theirs, last)
            if last and base.settled and not late and target == replace(last.relay, version=target.version):
                return Written(relay=last.relay, changed=False)
            archived = self._archive(left_behind(base.relay.plan, wanted.plan) + overflow, day)
            placed = self._place(target, base.text)
            self._displaced.merged((*late, *placed.merged))
            return Written(
                relay=placed.relay,
                changed=True,
                moved=moved + placed.moved,
                displaced=len(placed.merged),
                archived=archived,
            )

    def rollback(self, number: int, *, day: date | None = None) -> Written:
        """Write the plan of version `number` anew; the human's section and the facts stay as they are.

        Raises NotFoundError.
        """
        old = self.version(number).relay
        base = self.read()
        return self.write(replace(base.relay, plan=old.plan), base, day=day)

    def commit(self, message: str, paths: Iterable[Path] = ()) -> CommitOutcome:
        """Commit the relay, and those of `paths` (archive, notes) that exist; see `HomeGit.commit`.

        The relay goes in as it was last written: what a person saved since then is in their work tree. It
        is left out while there is a secret in it, in the human's section too, which is never altered.
        """
        last = self._versions.last(self._text())
        files = {} if last is None else {self._name(self._path): _encoded(last.text)}
        files |= {self._name(path): path.read_bytes() for path in paths if path.is_file()}
        outcome = self._git.commit(files, message)
        if last is not None and not isinstance(outcome, PutOff):
            # Lost, it costs the next cycle a look into git.
            with contextlib.suppress(OSError):
                write_plain(self._state / _COMMITTED, str(last.relay.version).encode())
        return outcome

    def make_up_commit(self) -> CommitOutcome | None:
        """Commit what was written last, when its commit was cut off or put off; None when there was none.

        A version that was kept but killed on its way into place is put there first, so that what is committed
        is what stands there. Of archive and notes goes in what changed within two days. Raises HomeError,
        OSError.
        """
        newest = self._versions.numbers()[:1]
        if not newest or newest[0] <= self._committed_version():
            return None
        if self._is_behind(newest[0]):
            found = self.read()
            newest = [self.write(found.relay, found).relay.version]
        since = time.time() - _MADE_UP_SECONDS
        beside = (path for name in ("archive", "notes") for path in (self._path.parent / name).rglob("*.md"))
        recent = [path for path in beside if path.stat().st_mtime > since]
        return self.commit(f"Relay {newest[0]}, whose commit was cut off", recent)

    def _is_behind(self, version: int) -> bool:
        text = self._text()
        stamp = None if text is None else stamp_in(text)
        return stamp is not None and stamp.version < version

    def _committed_version(self) -> int:
        try:
            return int((self._state / _COMMITTED).read_bytes())
        except (OSError, ValueError):
            return 0  # it may be committed all the same: then there is nothing to commit

    def saved_elsewhere(self, data: bytes) -> None:
        """Take the relay as a person saved it in another place: the next write merges it. Raises OSError."""
        self._displaced.add(data)

    # ---- what others wrote

    def _text(self) -> str | None:
        with contextlib.suppress(FileNotFoundError):
            self._refuse_odd(self._path.lstat())
            return _decoded(read_settled(self._path, _READ_PATIENCE_SECONDS))
        return None

    def _refuse_odd(self, found: os.stat_result) -> None:
        if stat.S_ISLNK(found.st_mode):
            raise HomeError(
                f"{self._path} is a symbolic link, which an exchange would replace",
                fix=f"put the file itself there: cp --remove-destination TARGET {self._path}",
            )
        if not stat.S_ISREG(found.st_mode):
            raise HomeError(
                f"{self._path} is a folder"
                if stat.S_ISDIR(found.st_mode)
                else f"{self._path} is no regular file",
                fix=f"mv {self._path} {self._path}.aside; the next cycle writes the file anew",
            )

    def _stored(self, number: int) -> bytes | None:
        version = self._versions.stored(number)
        return None if version is None else _encoded(version.text)

    def _with_edits(
        self, ours: Relay, theirs: Iterable[str | None], last: Version | None
    ) -> tuple[Relay, tuple[str, ...]]:
        moved: tuple[str, ...] = ()
        for text in theirs:
            # When nothing is known of what was written, every word may be a human's.
            merged = self._merged(ours, text, FIRST_TEXT if last is None else last.text)
            ours, moved = merged.relay, (*moved, *merged.moved)
        return ours, moved

    def _merged(self, ours: Relay, theirs: str | None, expected: str | None) -> Merged:
        """Merge with what `theirs` was made from: the version that its stamp names.

        Without a stamp, or when that version is kept no longer, what was expected there is but a guess: the
        buffer may be older than what others saved since.
        """
        stamp = None if theirs is None else stamp_in(theirs)
        if stamp is not None and expected is not None and stamp == stamp_in(expected):
            return merge(expected, ours, theirs)
        found = None if stamp is None else self._versions.stamped(stamp)
        if found is None:
            return merge(expected, ours, theirs, guessed=True)
        return merge(found.text, ours, theirs)

    # ---- putting a version in place

    def _place(self, target: Relay, expected: str | None) -> _Placed:
        moved: tuple[str, ...] = ()
        saves: tuple[Late, ...] = ()
        for _ in range(_ROUNDS):
            written = self._keep(target, expected)
            save = self._exchange(written, expected)
            theirs = None if save is None else _decoded(save.data)
            if save is None or theirs == expected:
                break
            merged = self._merged(written, theirs, expected)
            moved, saves = moved + merged.moved, (*saves, save)
            if merged.relay == written:
                break
            target, expected = merged.relay, render(written)
        else:
            # Somebody saves faster than we merge: what was displaced last stays marked for the next write.
            saves = saves[:-1]
        return _Placed(written, moved, saves)

    def _keep(self, target: Relay, expected: str | None) -> Relay:
        written = replace(target, version=self._versions.next_number(expected))
        text = render(written)
        if parse(text) != written:
            raise HomeError(
                "the relay would not read back as it was meant; the old one stays", fix="report this"
            )
        self._versions.keep(written.version, text)
        return written

    def _exchange(self, relay: Relay, expected: str | None) -> Late | None:
        """Put the version in place; return what it displaced, or None when there was no file."""
        temp = self._displaced.temp_for(relay.version)
        self._prepare(temp, _encoded(render(relay)))
        aside = swap(temp, self._path)
        sync_folder(self._path.parent)
        if aside is None:
            return None
        found = aside.lstat()
        if not stat.S_ISREG(found.st_mode):
            swap(aside, self._path)
            aside.unlink()
            self._refuse_odd(found)
        data = read_settled(aside, _WRITE_PATIENCE_SECONDS)
        return self._displaced.keep(aside, relay.version, data, merged=_decoded(data) == expected)

    def _prepare(self, temp: Path, data: bytes) -> None:
        old = None
        with contextlib.suppress(FileNotFoundError):
            old = self._path.lstat()
            self._refuse_odd(old)
        fd = os.open(temp, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
        try:
            write_all(fd, data)
            if old is not None:
                os.fchmod(fd, stat.S_IMODE(old.st_mode))
                with contextlib.suppress(PermissionError):
                    os.fchown(fd, old.st_uid, old.st_gid)
            os.fsync(fd)
        except OSError:
            temp.unlink(missing_ok=True)
            raise
        finally:
            os.close(fd)

    def _archive(self, text: str, day: date | None) -> Path | None:
        if not text:
            return None
        path = self._home.archive_of(day or datetime.now(UTC).date())
        make_folder(path.parent)
        append_durable(path, _encoded(text))
        return path

    def _name(self, path: Path) -> str:
        return path.relative_to(self._home.root).as_posix()


def unreadable(path: Path, error: OSError) -> HomeError:
    """Return what is said of a relay that the system does not let us read, with the command that mends it."""
    user = f"user {os.getuid()}"
    if isinstance(error, PermissionError):
        return HomeError(
            f"the relay cannot be read by {user}, and a person may have written there: {path}",
            fix=f"ls -ld {path.parent} {path}; then make both that user's: sudo chown {os.getuid()} {path}",
        )
    if isinstance(error, NotADirectoryError):
        return HomeError(
            f"{path.parent} is no folder, so there is no relay in it",
            fix=f"mv {path.parent} {path.parent}.aside; git -C {path.parent.parent} checkout memories",
        )
    return HomeError(
        f"the relay cannot be read: {error.strerror}: {path}", fix=f"ls -l {path}; check the disk"
    )


def _first_guess(text: str | None) -> Relay:
    # Nothing is known of what was written: the plan is taken from the file as far as it can be understood.
    relay = FIRST if text is None else salvage(text)[0]
    return relay if relay.plan != Plan() else replace(FIRST, human=relay.human or FIRST.human)


def _decoded(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
