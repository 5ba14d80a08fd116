"""Bare mirrors of the targets: what every attempt borrows its objects from, and where results are kept.

A mirror never loses an object: nothing in it is pruned, small packs are only put together. One process
writes to it at a time, under a lock of ours that every git we start inherits, so that a git which outlived us
still holds it; hence a lock file of git's that is found under our lock belongs to nobody.
"""

from __future__ import annotations

import fcntl
import os
import re
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from agentloop.domain.valueclass import dataclass
from agentloop.edges.files import make_folder, sync_folder
from agentloop.edges.git import UPLOAD_PACK, Git, GitError, Login, refuse_unsafe_address, without_password
from agentloop.errors import BusyError, TargetError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from agentloop.domain.settings import Target

_T = TypeVar("_T")

FETCH_SECONDS: Final = 600
PACKS_AT_MOST: Final = 40
LOOSE_AT_MOST: Final = 2000
"""More packs or loose objects than these slow every git down; each result brings a few."""
_LOCK_SECONDS: Final = 60
_URL: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:(//|:)|[^/\s]+@[^/\s:]+:")
_OUT_OF_REACH: Final = re.compile(
    r"[Cc]ould not resolve|unable to access|Connection|timed out|Could not read from remote|Permission denied"
    r"|Authentication|not allowed|not appear to be a git repository|No space left|[Dd]ubious"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Remote:
    """What a target's repository shows: default branch ("" = HEAD names none), HEAD's commit, branches."""

    default: str
    head: str
    branches: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mirror:
    """The mirror of one target in `folder`; `address` is what git calls its repository."""

    target: str
    folder: Path
    address: str
    login: Login | None = None

    @property
    def git(self) -> Git:
        """Git in the mirror, for reading."""
        return Git(self.folder)

    def write(self, act: Callable[[Git], _T]) -> _T:
        """Return what `act` returns, called with git in the mirror while nobody else writes to it.

        The mirror is made when it is missing. When a lock file of a killed git is in the way it is taken away
        and `act` called once more. Raises BusyError when another process holds the mirror for a minute, and
        GitError.
        """
        make_folder(self.folder.parent)
        with _held(self.folder.with_suffix(".lock")) as lock:
            if not _is_whole(self.folder):
                self._make(lock)
            git = Git(self.folder, keep=(lock,), login=self.login)
            try:
                return act(git)
            except GitError as error:
                if ".lock" not in error.stderr:
                    raise
            _sweep_locks(self.folder)
            return act(git)

    def look(self) -> Remote:
        """Return what the repository shows now. Raises TargetError with the fix."""
        git = Git(self.folder.parent, login=self.login)
        make_folder(self.folder.parent)
        try:
            refuse_unsafe_address(self.address)
            listed = git.look("ls-remote", "--symref", *self._way(), self.address, "HEAD", "refs/heads/*")
        except GitError as error:
            raise self.out_of_reach(error) from error
        return _remote(listed)

    def branches(self) -> dict[str, str]:
        """Return the branches of the mirror and their commits; empty when there is no mirror."""
        if not _is_whole(self.folder):
            return {}
        listed = self.git.look("for-each-ref", "--format=%(objectname) %(refname:lstrip=2)", "refs/heads")
        return {name: commit for commit, name in (line.split(" ", 1) for line in listed.splitlines())}

    def fetch(self) -> None:
        """Bring every branch of the repository into the mirror. Raises TargetError or BusyError.

        A mirror that turns out to be damaged is set aside and made anew.
        """
        try:
            self.write(self._fetch_into)
        except GitError as error:
            if _OUT_OF_REACH.search(error.stderr) or error.status is None or self._is_sound():
                raise self.out_of_reach(error) from error
            self._set_aside()
            try:
                self.write(self._fetch_into)
            except GitError as again:
                raise self.out_of_reach(again) from again

    def check(self) -> bool:
        """Return whether the mirror is whole; a damaged one is set aside, and a fetch makes it anew."""
        if not _is_whole(self.folder):
            return False
        if self._is_sound():
            return True
        with _held(self.folder.with_suffix(".lock")):
            self._set_aside()
        return False

    def gather(self) -> bool:
        """Pack what is small together when there is much of it; return whether it was done.

        Every object stays, reachable or not, and who has an old pack open finds it in the new one: attempts
        may run meanwhile. Raises BusyError and GitError.
        """
        objects = self.folder / "objects"
        packs = sum(1 for _ in objects.glob("pack/*.pack"))
        loose = sum(1 for _ in objects.glob("[0-9a-f][0-9a-f]/*"))
        if not _is_whole(self.folder) or (packs <= PACKS_AT_MOST and loose <= LOOSE_AT_MOST):
            return False
        self.write(_gather)
        return True

    def has(self, commit: str) -> bool:
        """Return whether the mirror holds `commit` (full id)."""
        if not _is_whole(self.folder):
            return False
        try:
            self.git.look("cat-file", "-e", f"{commit}^{{commit}}")
        except GitError:
            return False
        return True

    def out_of_reach(self, error: GitError) -> TargetError:
        """Return what git said about the repository as the error of its target."""
        shown = without_password(self.address)
        if not _URL.match(self.address) and not Path(self.address).exists():
            return TargetError(
                f"target {self.target}: there is nothing at {shown}",
                fix=f'correct repository = "…" of target {self.target} in agentloop.toml',
            )
        if "not appear to be a git repository" in error.stderr:
            return TargetError(
                f"target {self.target}: {shown} is no git repository",
                fix=f"git init {shown} and commit something, or correct repository in agentloop.toml",
            )
        says = error.stderr or error.what
        return TargetError(f"target {self.target}: {shown} cannot be read: {says}", fix=error.fix)

    def _way(self) -> tuple[str, ...]:
        return ("--",) if _URL.match(self.address) else (UPLOAD_PACK, "--")

    def _fetch_into(self, git: Git) -> None:
        for left in self.folder.glob("objects/pack/tmp_*"):
            left.unlink(missing_ok=True)
        words = ("--quiet", "--no-tags", "--no-write-fetch-head")
        source = (*self._way(), self.address, "+refs/heads/*:refs/heads/*")
        try:
            git.run("fetch", *words, *source, timeout_seconds=FETCH_SECONDS)
        except GitError as error:
            # `a` became `a/b` over there: the old name has to go. Its objects stay, nothing here is
            # collected.
            if not re.search(r"cannot lock ref|refname conflict|some local refs could not be", error.stderr):
                raise
            if "File exists" in error.stderr:
                raise
            git.run("fetch", "--prune", *words, *source, timeout_seconds=FETCH_SECONDS)

    def _make(self, lock: int) -> None:
        import shutil

        if self.folder.exists():
            self._set_aside()
        for left in self.folder.parent.glob(f".new-{self.target}-*"):
            shutil.rmtree(left)
        made = self.folder.parent / f".new-{self.target}-{os.urandom(4).hex()}"
        made.mkdir()
        git = Git(self.folder.parent, keep=(lock,))
        git.run("init", "--quiet", "--bare", str(made))
        for setting in (
            ("core.repositoryFormatVersion", "1"),
            # No gc or prune, not even a person's, may take what an attempt borrows.
            ("extensions.preciousObjects", "true"),
            ("gc.auto", "0"),
        ):
            Git(made, keep=(lock,)).run("config", *setting)
        made.rename(self.folder)
        sync_folder(self.folder.parent)

    def _is_sound(self) -> bool:
        try:
            self.git.run("fsck", "--connectivity-only", "--no-dangling", timeout_seconds=FETCH_SECONDS)
        except GitError:
            return False
        return True

    def _set_aside(self) -> None:
        """Nothing is deleted here: what is broken may still hold what somebody needs."""
        aside = self.folder.with_name(f"{self.folder.name}.broken-{time.time_ns()}")
        self.folder.rename(aside)


def _gather(git: Git) -> None:
    # git deletes no pack of such a repository, not even one whose objects are all in another. A kill in
    # between leaves it unset until the next time: nothing of ours prunes, and gc.auto is 0.
    git.run("config", "extensions.preciousObjects", "false")
    try:
        git.run("repack", "--geometric=2", "-d", "-q", timeout_seconds=FETCH_SECONDS)
    finally:
        git.run("config", "extensions.preciousObjects", "true")


def mirror_of(target: Target, home: Path, folder: Path, login: Login | None = None) -> Mirror:
    """Return the mirror of `target` in `folder`; a relative path of the target counts from `home`."""
    given = target.repository
    if not _URL.match(given) or (home / given).exists():
        given = str((home / Path(given).expanduser()).absolute())
    return Mirror(target=target.name, folder=folder, address=given, login=login)


def _is_whole(folder: Path) -> bool:
    try:
        config = (folder / "config").stat().st_size
        head = (folder / "HEAD").stat().st_size
    except OSError:
        return False
    return bool(config and head) and (folder / "objects").is_dir() and (folder / "refs").is_dir()


def _remote(listed: str) -> Remote:
    default, head = "", ""
    branches: dict[str, str] = {}
    for line in listed.splitlines():
        value, _, name = line.partition("\t")
        # A pattern fits the end of a name: a clone's refs/remotes/origin/HEAD is listed with HEAD.
        if name == "HEAD" and value.startswith("ref: "):
            default = value.removeprefix("ref: ").removeprefix("refs/heads/")
        elif name == "HEAD":
            head = value
        elif name.startswith("refs/heads/"):
            branches[name.removeprefix("refs/heads/")] = value
    return Remote(default=default, head=head, branches=branches)


def _sweep_locks(folder: Path) -> None:
    for left in folder.rglob("*.lock"):
        left.unlink(missing_ok=True)


@contextmanager
def _held(path: Path) -> Iterator[int]:
    """Hold the lock at `path`; as opposed to `files.locked`, wait for it, but not for ever."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    until = time.monotonic() + _LOCK_SECONDS
    try:
        while True:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                if time.monotonic() > until:
                    raise BusyError(f"{path} is held by another process", fix="wait for it") from error
                time.sleep(0.02)
            else:
                break
        yield fd
    finally:
        os.close(fd)
