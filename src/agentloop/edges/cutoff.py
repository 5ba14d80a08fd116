"""Putting a person's checkout back that a merge of ours was updating when it was cut off.

git writes the files first, then the index (through `index.lock`), then the branch. Killed on the way, it
leaves paths that the merge changes as in one of both commits, or away, or begun; git has all of that, so none
of it is anybody's work. Anything else there is a person's, and then nothing at all is touched. The checkout
becomes what its branch says: as before the merge, or merged when the branch has moved. The merge itself is
not gone on with.
"""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

from agentloop.domain.valueclass import dataclass
from agentloop.edges.exchange import sync_file_system
from agentloop.edges.git import Git, GitError
from agentloop.edges.homegit import git_runs_in
from agentloop.edges.origin import persons_environment
from agentloop.errors import BusyError, ConflictError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_PAGE: Final = 4096
"""A write that a kill cut short ends at a page of memory."""

_LOCK_SECONDS: Final = 2.0
"""Programs that are not called git hold an index for less than that; a git that lives is seen."""

_NO_MODE: Final = "000000"
_SHOWN: Final = 10

_Entry: TypeAlias = tuple[str, str]
_Signature: TypeAlias = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Change:
    """What a path is in the commit the branch stands at, and in the other one; None: it is not there."""

    here: _Entry | None
    there: _Entry | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """What is to be put back: paths to write again, files to take away first, what a person wrote."""

    missing: tuple[str, ...]
    written: Mapping[str, _Signature]
    persons: tuple[str, ...]
    index: tuple[str, ...]
    locks: Mapping[Path, _Signature]


def put_back(checkout: Path, branch: str, commit: str, *, asked: bool) -> bool:
    """Put `checkout` of `branch` back where merging `commit` was cut off; return whether there was a need.

    Files that are merely away count as cut off only when a person `asked` for the merge again. Raises
    ConflictError, naming them, for paths that a person changed since, and BusyError while a git works there.
    """
    git = Git(checkout, env=persons_environment())
    ends = _ends(git, commit)
    if ends is None:
        return False
    changes = _changes(git, *ends)
    found = _found(git, checkout, changes, ends, branch)
    cut = found.locks or found.written or found.index
    if not cut and not (asked and found.missing and not found.persons):
        return False
    if found.persons:
        raise _refusal(checkout, found.persons)
    _take_locks(git, checkout, found.locks)
    if found.index:
        _set_index(git, changes)
    _take_away(checkout, found.written)
    again = [path for path in (*found.missing, *found.written) if changes[path].here]
    git.run("checkout-index", "-u", "-q", "-z", "--stdin", input=_zero_ended(again))
    sync_file_system(checkout)  # before anything says that the merge is over
    return True


def _ends(git: Git, commit: str) -> tuple[str, str] | None:
    """The commit that is checked out, and the other end of the merge; None when it is neither end."""
    try:
        head = git.look("rev-parse", "--verify", "--quiet", "HEAD^{commit}")
        base = git.look("rev-parse", "--verify", "--quiet", f"{commit}^1^{{commit}}")
    except GitError:
        return None  # the merge never came as far as this checkout
    if head not in {base, commit}:
        return None
    return head, commit if head == base else base


def _changes(git: Git, here: str, there: str) -> dict[str, _Change]:
    said = git.look("diff-tree", "-r", "-z", "--raw", "--no-renames", "--no-abbrev", here, there)
    fields = said.split("\0")[:-1]
    changes = {}
    for told, path in zip(fields[::2], fields[1::2], strict=True):
        mode, other_mode, blob, other_blob, _ = told.removeprefix(":").split(" ")
        changes[path] = _Change(
            here=(mode, blob) if mode != _NO_MODE else None,
            there=(other_mode, other_blob) if other_mode != _NO_MODE else None,
        )
    return changes


def _found(
    git: Git, checkout: Path, changes: Mapping[str, _Change], ends: tuple[str, str], branch: str
) -> _Found:
    signatures = {path: _signature(checkout / path) for path in changes}
    unlike_here = _unlike(checkout, {path: change.here for path, change in changes.items()})
    unlike_there = _unlike(checkout, {path: change.there for path, change in changes.items()})
    locks = dict(_locks(git, branch))
    missing, written, persons = [], {}, []
    for path, signature in signatures.items():
        if path not in unlike_here:
            continue
        if signature is None or _is_folder_of(checkout, path, changes):
            missing.append(path)
        elif path not in unlike_there or (locks and _is_begun(git, checkout, path, ends)):
            written[path] = signature
        else:
            persons.append(path)
    index, staged = _index(git, changes, ends)
    return _Found(
        missing=tuple(missing),
        written=written,
        persons=tuple(dict.fromkeys((*persons, *staged))),
        index=index,
        locks=locks,
    )


def _unlike(checkout: Path, entries: Mapping[str, _Entry | None]) -> frozenset[str]:
    """The paths whose files are not as in `entries`: by git's own eye, filters, modes and links included."""
    listed = [f"{entry[0]} {entry[1]}\t{path}" for path, entry in entries.items() if entry]
    with tempfile.TemporaryDirectory(prefix="agentloop-index-") as temp:
        own = Git(checkout, env=persons_environment() | {"GIT_INDEX_FILE": f"{temp}/index"})
        own.run("update-index", "-z", "--index-info", input=_zero_ended(listed))
        said = own.look("diff", "--name-only", "-z", "--no-renames", "--no-ext-diff", "--ignore-submodules")
    there = {path for path, entry in entries.items() if entry is None and os.path.lexists(checkout / path)}
    return frozenset(said.split("\0")[:-1]) | there


def _is_folder_of(checkout: Path, path: str, changes: Mapping[str, _Change]) -> bool:
    place = checkout / path
    return place.is_dir() and not place.is_symlink() and any(name.startswith(f"{path}/") for name in changes)


def _is_begun(git: Git, checkout: Path, path: str, ends: tuple[str, str]) -> bool:
    """Whether the file is the beginning of what git was writing: nothing yet, or whole pages."""
    place = checkout / path
    if place.is_symlink() or not place.is_file() or place.stat().st_size % _PAGE:
        return False
    data = place.read_bytes()
    return any(_content(git, commit, path).startswith(data) for commit in ends)


def _content(git: Git, commit: str, path: str) -> bytes:
    try:
        return git.run("cat-file", "--filters", f"{commit}:{path}")
    except GitError:
        return b""  # it is not in that commit


def _index(
    git: Git, changes: Mapping[str, _Change], ends: tuple[str, str]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The changed paths that the index has as in the other commit, else those that a person staged."""
    words = ("diff-index", "--cached", "--name-only", "-z", "--no-renames")
    said = [git.look(*words, end, "--").split("\0") for end in ends]
    here, there = (tuple(path for path in paths if path in changes) for paths in said)
    if not here:
        return (), ()
    return ((), there) if there else (here, ())


def _locks(git: Git, branch: str) -> Iterator[tuple[Path, _Signature]]:
    own, shared = _folders(git)
    for lock in (
        *(own / f"{name}.lock" for name in ("index", "HEAD", "ORIG_HEAD")),
        shared / "refs" / "heads" / f"{branch}.lock",
    ):
        signature = _signature(lock)
        if signature is not None:
            yield lock, signature


def _folders(git: Git) -> tuple[Path, Path]:
    said = git.look("rev-parse", "--path-format=absolute", "--git-dir", "--git-common-dir")
    own, shared = said.splitlines()
    return Path(own), Path(shared)


def _take_locks(git: Git, checkout: Path, locks: Mapping[Path, _Signature]) -> None:
    """Take away locks that no git holds any more. Raises BusyError while one may."""
    for lock in locks:
        young = _LOCK_SECONDS - (time.time() - lock.stat().st_mtime) if lock.exists() else 0
        time.sleep(min(_LOCK_SECONDS, max(0.0, young)))
    changed = [lock for lock, signature in locks.items() if _signature(lock) != signature]
    if changed or any(git_runs_in(folder) for folder in (checkout, *_folders(git))):
        raise BusyError(f"a git works in {checkout}", fix="try again when it has ended")
    for lock in locks:
        lock.unlink(missing_ok=True)


def _set_index(git: Git, changes: Mapping[str, _Change]) -> None:
    """What the merge changes becomes in the index as the branch has it; what else is staged stays."""
    gone = [f"0 {one.there[1]}\t{name}" for name, one in changes.items() if one.there and not one.here]
    kept = [f"{one.here[0]} {one.here[1]}\t{name}" for name, one in changes.items() if one.here]
    git.run("update-index", "-z", "--index-info", input=_zero_ended([*gone, *kept]))


def _take_away(checkout: Path, written: Mapping[str, _Signature]) -> None:
    for path, signature in written.items():
        place = checkout / path
        if _signature(place) != signature:
            raise _refusal(checkout, (path,))  # just now
        place.unlink()
        for folder in place.parents:
            if folder == checkout or any(folder.iterdir()):
                break
            folder.rmdir()


def _signature(path: Path) -> _Signature | None:
    try:
        found = path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _zero_ended(lines: Iterable[str]) -> bytes:
    return b"".join(os.fsencode(line) + b"\0" for line in lines)


def _refusal(checkout: Path, paths: tuple[str, ...]) -> ConflictError:
    names = ", ".join(paths[:_SHOWN]) + (" …" if len(paths) > _SHOWN else "")
    return ConflictError(
        f"a merge was cut off while it updated {checkout}, and {names} there was changed by somebody else; "
        "nothing was touched",
        fix="move that out of the way (with what is yours in it), then merge again: the rest is put back",
    )
