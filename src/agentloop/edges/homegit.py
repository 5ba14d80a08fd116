"""Commits in the home's git repository that leave a person's own work there alone.

Blob, trees and commit are written as files, without index, work tree or hooks; once they are durable, git
moves the branch, and only from the commit that they were made on. Then the person's index is told about
exactly those paths which stood there as in the commit before: else `git status` would show our commit as
undone, and a careless commit undo it. One git each to look, to move and to tell.
"""

from __future__ import annotations

import json
import time
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final, TypeAlias

from agentloop.domain.valueclass import dataclass
from agentloop.edges.exchange import sync_file_system
from agentloop.edges.files import make_folder, sync_folder, write_plain
from agentloop.edges.git import Git, GitError
from agentloop.edges.gitobjects import (
    FILE,
    FOLDER,
    Entry,
    ObjectFolder,
    algorithm_of,
    entries_in,
    name_of,
    tree_of,
)
from agentloop.errors import BusyError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

IDENTITY: Final = "agentloop <agentloop@localhost>"
STALE_LOCK_SECONDS: Final = 60
_TRIES: Final = 5
_LEFT: Final = (
    "index.lock", "HEAD.lock", "config.lock", "packed-refs.lock", "shallow.lock", "refs/**/*.lock",
    "objects/pack/tmp_*", "objects/??/tmp_obj_*", "objects/info/*.lock",
)  # fmt: skip
_UNDER_WAY: Final = {
    "MERGE_HEAD": "a merge",
    "rebase-merge": "a rebase",
    "rebase-apply": "a rebase or git am",
    "CHERRY_PICK_HEAD": "a cherry-pick",
    "REVERT_HEAD": "a revert",
    "sequencer": "a cherry-pick or revert",
    "BISECT_LOG": "a bisect",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Committed:
    """A commit was made. `left_out`: (path, reason) of files that were not taken in."""

    commit: str
    left_out: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class NothingToCommit:
    """Everything was committed before, or had to be left out: (path, reason)."""

    left_out: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PutOff:
    """No commit now, and why; nothing is lost, the next commit takes it all."""

    reason: str
    fix: str = ""


CommitOutcome: TypeAlias = Committed | NothingToCommit | PutOff


@dataclass(frozen=True, slots=True)
class _Repository:
    """A git directory, the one that has its objects and branches (mostly itself), and the branch."""

    folder: Path
    shared: Path
    branch: str


@dataclass(frozen=True, slots=True)
class _Standing:
    """The branch's commit (None: not born), its trees by their paths ("" = the root), the index's blobs."""

    tip: str | None
    algorithm: str
    trees: dict[str, dict[bytes, Entry]]
    index: dict[str, str | None]

    def head(self, path: str) -> str | None:
        """Return the blob of `path` in the branch's commit, or None."""
        folder, name = _split(path)
        found = self.trees.get(folder, {}).get(name)
        return None if found is None else found[1]


class HomeGit:
    """The git repository whose work tree begins at `root`; `state` is a folder for what may be lost."""

    def __init__(self, root: Path, state: Path) -> None:
        self._root = root
        self._git = Git(root)
        self._behind_file = state / "index-behind.json"

    def commit(self, files: Mapping[str, bytes], message: str) -> CommitOutcome:
        """Commit `files` (path from the root: content) on the branch that is checked out, durably.

        A file with a secret in it is left out. Put off: no repository, a merge or the like under way, a
        detached HEAD (the commit would hang in the air when the person goes back to their branch), git
        failed.
        Raises OSError when the commit cannot be made durable.
        """
        from agentloop.domain.secrets import find_secrets

        left_out = tuple(
            (path, f"holds a secret ({found[0].kind}) on line {found[0].line}")
            for path, data in files.items()
            if (found := find_secrets(data.decode("utf-8", "surrogateescape")))
        )
        clean = {path: data for path, data in files.items() if path not in dict(left_out)}
        repository = _repository(self._root)
        if isinstance(repository, PutOff):
            return repository
        try:
            commit = self._commit(repository, clean, message) if clean else None
        except (GitError, BusyError) as error:
            return PutOff(reason=error.what, fix=error.fix)
        return (
            NothingToCommit(left_out=left_out)
            if commit is None
            else Committed(commit=commit, left_out=left_out)
        )

    def show(self, path: str) -> str | None:
        """Return `path` as HEAD has it, or None when it has none (or there is no repository)."""
        try:
            return self._git.run("cat-file", "blob", f"HEAD:{path}").decode("utf-8", "surrogateescape")
        except GitError:
            return None

    def history(self, path: str, limit: int) -> tuple[str, ...]:
        """Return at most `limit` earlier contents of `path`, newest first; empty without a repository."""
        try:
            log = self._git.look(
                "log", f"-n{limit}", "--format=", "--raw", "--no-abbrev", "--no-renames", "--", path
            )
        except GitError:
            return ()
        blobs = [line.split()[3] for line in log.splitlines() if line.startswith(":")]
        texts = (self._git.run("cat-file", "blob", blob) for blob in blobs if set(blob) != {"0"})
        return tuple(text.decode("utf-8", "surrogateescape") for text in texts)

    def _commit(self, repository: _Repository, files: Mapping[str, bytes], message: str) -> str | None:
        for _ in range(_TRIES):
            standing = self._standing(repository.branch, files)
            self._catch_up_index(repository.branch)
            blobs = {
                path: name_of("blob", data, algorithm=standing.algorithm) for path, data in files.items()
            }
            changed = {path: data for path, data in files.items() if standing.head(path) != blobs[path]}
            if not changed:
                return None
            same = [path for path in changed if standing.index[path] == standing.head(path)]
            # Killed between commit and index, the next commit knows what still stands there.
            self._remember({path: standing.head(path) for path in same})
            objects = ObjectFolder(repository.shared / "objects", standing.algorithm)
            commit = _written(objects, standing, changed, message)
            sync_file_system(repository.shared)  # before they have names, and a branch leads there
            objects.place()
            if self._moved(repository, standing.tip, commit):
                _sync_branch(repository)
                self._tell_index({path: blobs[path] for path in same})
                return commit
        raise BusyError(
            f"the branch {repository.branch} moves all the time", fix="the next cycle tries again"
        )

    def _standing(self, branch: str, paths: Iterable[str]) -> _Standing:
        wanted = list(paths)
        folders = sorted({folder for path in wanted for folder in _folders_of(path)})
        names = [
            f"{branch}^{{commit}}",
            *(f"{branch}:{folder}" for folder in folders),
            *(f":{path}" for path in wanted),
        ]
        (tip, _, _), *found = self._objects(names)
        algorithm = self._git.look("rev-parse", "--show-object-format") if tip is None else algorithm_of(tip)
        trees = {
            folder: entries_in(data, algorithm=algorithm)
            for folder, (_, kind, data) in zip(folders, found, strict=False)
            if kind == "tree"
        }
        index = {path: name for path, (name, _, _) in zip(wanted, found[len(folders) :], strict=True)}
        return _Standing(tip, algorithm, trees, index)

    def _objects(self, names: Iterable[str]) -> list[tuple[str | None, str, bytes]]:
        """Return (name, kind, bytes) of each; (None, "", b"") of one that is not there."""
        asked = "".join(f"{name}\n" for name in names).encode("utf-8", "surrogateescape")
        said, at = self._git.plainly("cat-file", "--batch", input=asked), 0
        found: list[tuple[str | None, str, bytes]] = []
        while at < len(said):
            line, at = said[at : (end := said.index(b"\n", at))], end + 1
            if line.endswith(b" missing"):
                found.append((None, "", b""))
                continue
            name, kind, size = line.decode().split()
            found.append((name, kind, said[at : at + int(size)]))
            at += int(size) + 1
        return found

    def _moved(self, repository: _Repository, tip: str | None, commit: str) -> bool:
        """Move the branch from `tip` to `commit`; False when it was moved meanwhile."""
        before = tip or "0" * len(commit)
        try:
            self._git.plainly("update-ref", "-m", "agentloop", repository.branch, commit, before)
        except GitError as error:
            _take_stale_lock(repository, error, self._root)
            return False
        return True

    # ---- the person's index

    def _tell_index(self, new: Mapping[str, str]) -> None:
        lines = "".join(f"100644 {blob}\t{path}\0" for path, blob in new.items())
        try:
            self._git.plainly(
                "update-index", "-z", "--index-info", input=lines.encode("utf-8", "surrogateescape")
            )
        except GitError:
            return  # somebody holds the index: what stands there is remembered
        self._behind_file.unlink(missing_ok=True)

    def _remember(self, old: Mapping[str, str | None]) -> None:
        make_folder(self._behind_file.parent)
        write_plain(self._behind_file, json.dumps(self._behind() | dict(old)).encode())

    def _behind(self) -> dict[str, str | None]:
        try:
            known: dict[str, str | None] = json.loads(self._behind_file.read_bytes())
        except (OSError, ValueError):
            return {}
        return known

    def _catch_up_index(self, branch: str) -> None:
        behind = self._behind()
        if not behind:
            return
        standing = self._standing(branch, behind)
        new = {
            path: blob
            for path in behind
            if (blob := standing.head(path)) and standing.index[path] == behind[path]
        }
        if new:
            self._tell_index(new)
        else:
            self._behind_file.unlink(missing_ok=True)


def _repository(root: Path) -> _Repository | PutOff:
    folder = root / ".git"
    if folder.is_file():
        folder = root / folder.read_text("utf-8", "surrogateescape").strip().removeprefix("gitdir: ")
    if not folder.is_dir():
        return PutOff(reason=f"{root} is not a git repository", fix=f"git -C {root} init")
    for name, what in _UNDER_WAY.items():
        if (folder / name).exists():
            return PutOff(
                reason=f"{what} is under way in the home", fix="finish or abort it; the next cycle commits"
            )
    try:
        head = (folder / "HEAD").read_text("utf-8", "surrogateescape").strip()
    except OSError as error:
        return PutOff(reason=f"{folder}/HEAD cannot be read: {error.strerror}", fix=f"git -C {root} fsck")
    if not head.startswith("ref: "):
        return PutOff(
            reason="HEAD is detached in the home", fix="git switch to a branch; the next cycle commits"
        )
    common = folder / "commondir"
    shared = folder / common.read_text("utf-8", "surrogateescape").strip() if common.exists() else folder
    return _Repository(folder, shared, head.removeprefix("ref: "))


def branch_of(root: Path) -> tuple[str, Path]:
    """Return the branch that is checked out at `root`, in full, and the git directory that has it.

    The branch is "" where nothing can be committed now. No process is started.
    """
    found = _repository(root)
    return ("", root) if isinstance(found, PutOff) else (found.branch, found.shared)


def ref_in(folder: Path, ref: str) -> str | None:
    """Return the commit that `ref` stands at in the git directory `folder`, None when it is not there.

    Read from its file or from `packed-refs`: no process is started.
    """
    try:
        return (folder / ref).read_text("ascii").strip()
    except OSError:
        pass
    try:
        lines = (folder / "packed-refs").read_text("utf-8", "replace").splitlines()
    except OSError:
        return None
    return next((line.partition(" ")[0] for line in lines if line.endswith(f" {ref}")), None)


def _folders_of(path: str) -> list[str]:
    """Return the folders above `path`, the nearest first; "" is the root."""
    return [str(folder).removeprefix(".") for folder in PurePosixPath(path).parents]


def _split(path: str) -> tuple[str, bytes]:
    folder, _, name = path.rpartition("/")
    return folder, name.encode("utf-8", "surrogateescape")


def _written(objects: ObjectFolder, standing: _Standing, files: Mapping[str, bytes], message: str) -> str:
    """Write a commit of `files` on what stands, and return its name. Raises OSError, GitError."""
    changed: dict[str, dict[bytes, Entry]] = {}
    for path, data in files.items():
        folder, name = _split(path)
        changed.setdefault(folder, {})[name] = (FILE, objects.write("blob", data))
    for path in files:
        for folder in _folders_of(path):
            changed.setdefault(folder, {})
    # A folder's name is known when all that is below it is: the longest paths first, the root last.
    for folder in sorted(changed, key=lambda one: (one.count("/") + bool(one), one), reverse=True):
        tree = objects.write("tree", tree_of(_known(standing, folder) | changed[folder]))
        if folder:
            above, name = _split(folder)
            changed[above][name] = (FOLDER, tree)
    parent = f"parent {standing.tip}\n" if standing.tip else ""
    who = f"{IDENTITY} {int(time.time())} +0000"
    said = f"tree {tree}\n{parent}author {who}\ncommitter {who}\n\n{message}"
    return objects.write("commit", said.encode())


def _known(standing: _Standing, folder: str) -> dict[bytes, Entry]:
    """Return what a folder holds; none is taken for empty whose tree is lost, for all in it would be gone."""
    if folder in standing.trees:
        return standing.trees[folder]
    above, name = _split(folder)
    expected = standing.tip if not folder else standing.trees.get(above, {}).get(name, (b"", ""))[0] == FOLDER
    if expected:
        raise GitError(f"git cat-file tree {standing.tip}:{folder}", 128, "the tree is missing")
    return {}


def _sync_branch(repository: _Repository) -> None:
    """Make durable where the branch leads to: git has synced its file, and not the name of that."""
    file = repository.shared / repository.branch
    if not file.exists():  # branches in some other form than files
        sync_file_system(repository.shared)
        return
    for folder in file.parents:
        if folder == repository.shared:
            break
        sync_folder(folder)


def _take_stale_lock(repository: _Repository, error: GitError, root: Path) -> None:
    """Take away a lock that a killed git left on our branch; raises what git said when it was not that."""
    if "but expected" in error.stderr or "reference already exists" in error.stderr:
        return
    if ".lock" not in error.stderr:
        raise error
    for lock in (repository.shared / f"{repository.branch}.lock", repository.folder / "HEAD.lock"):
        if not lock.exists():
            continue
        if time.time() - lock.stat().st_mtime < STALE_LOCK_SECONDS or git_runs_in(root):
            raise BusyError(f"{lock} is held", fix="the next cycle tries again") from error
        lock.unlink(missing_ok=True)


def repair_locks(root: Path) -> tuple[Path, ...]:
    """Take away what a killed git left in the repository at `root`: its locks and unfinished packs.

    Only under the home's lock, only what is a minute old, and only while no git works there: a person's
    commit that waits for its editor is one. Returns what was taken away. Raises OSError.
    """
    repository = _repository(root)
    if isinstance(repository, PutOff):
        return ()
    folders = dict.fromkeys((repository.folder, repository.shared))
    found = [path for folder in folders for pattern in _LEFT for path in folder.glob(pattern)]
    old = [path for path in found if _age_seconds(path) >= STALE_LOCK_SECONDS]
    if not old or git_runs_in(root):
        return ()
    for path in old:
        path.unlink(missing_ok=True)
    return tuple(old)


def _age_seconds(path: Path) -> float:
    try:
        return time.time() - path.stat().st_mtime
    except FileNotFoundError:
        return 0


def git_runs_in(root: Path) -> bool:
    """Whether a git works in `root`: it stands in there, or was told so by its words or its environment."""
    here = root.resolve()
    named = str(here).encode()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if not (process / "comm").read_text("utf-8", "replace").startswith("git"):
                continue
            said = (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
            if named in said or (process / "cwd").readlink().is_relative_to(here):
                return True
        except (FileNotFoundError, ProcessLookupError):
            continue  # it has ended
        except OSError:
            return True  # somebody else's: where it works cannot be seen
    return False
