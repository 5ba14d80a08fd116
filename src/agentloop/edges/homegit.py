"""Commits in the home's git repository that leave a person's own work there alone.

`git fast-import` makes blob, trees and commit and moves the branch in one process, without index, work tree
or hooks, and only from the commit that it started from. Then the person's index is told about exactly those
paths which stood there as in the commit before: else `git status` would show our commit as undone, and a
careless commit undo it.
"""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

from agentloop.domain.secrets import find_secrets
from agentloop.edges.exchange import sync_file_system
from agentloop.edges.files import make_folder, write_durable
from agentloop.edges.git import Git, GitError
from agentloop.errors import BusyError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

IDENTITY: Final = "agentloop <agentloop@localhost>"
STALE_LOCK_SECONDS: Final = 60
_TRIES: Final = 5
_UNDER_WAY: Final = {
    "MERGE_HEAD": "a merge",
    "rebase-merge": "a rebase",
    "rebase-apply": "a rebase or git am",
    "CHERRY_PICK_HEAD": "a cherry-pick",
    "REVERT_HEAD": "a revert",
    "sequencer": "a cherry-pick or revert",
    "BISECT_LOG": "a bisect",
}

Entry: TypeAlias = tuple[str, str]
"""(mode, object id) of a path in a tree or index"""


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
    folder: Path
    shared: Path
    object_format: str


class HomeGit:
    """The git repository whose work tree begins at `root`; `state` is a folder for what may be lost."""

    def __init__(self, root: Path, state: Path) -> None:
        self._root = root
        self._git = Git(root)
        self._behind_file = state / "index-behind.json"

    def commit(self, files: Mapping[str, bytes], message: str) -> CommitOutcome:
        """Commit `files` (path from the root: content) on the branch that is checked out, durably.

        A file with a secret in it is left out. Put off: no repository, a merge or the like under way, a
        detached HEAD (the commit would hang in the air when the person goes back to their branch). Raises
        GitError when git fails.
        """
        repository = self._repository()
        if isinstance(repository, PutOff):
            return repository
        branch = _branch(repository)
        if isinstance(branch, PutOff):
            return branch
        left_out = tuple(
            (path, f"holds a secret ({found[0].kind}) on line {found[0].line}")
            for path, data in files.items()
            if (found := find_secrets(data.decode("utf-8", "surrogateescape")))
        )
        clean = {path: data for path, data in files.items() if path not in dict(left_out)}
        commit = self._commit(repository, branch, clean, message) if clean else None
        if isinstance(commit, PutOff):
            return commit
        if commit is None:
            return NothingToCommit(left_out=left_out)
        return Committed(commit=commit, left_out=left_out)

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

    def _repository(self) -> _Repository | PutOff:
        if not (self._root / ".git").exists():
            return PutOff(reason=f"{self._root} is not a git repository", fix=f"git -C {self._root} init")
        try:
            answer = self._git.look(
                "rev-parse", "--absolute-git-dir", "--git-common-dir", "--show-object-format"
            )
        except GitError as error:
            return PutOff(reason=f"git cannot use {self._root}: {error.stderr}", fix=error.fix)
        folder, shared, object_format = answer.splitlines()
        return _Repository(Path(folder), self._root / shared, object_format)

    def _commit(
        self, repository: _Repository, branch: str, files: Mapping[str, bytes], message: str
    ) -> str | PutOff | None:
        for _ in range(_TRIES):
            old = self._tree(branch, files)
            changed = {
                p: data for p, data in files.items() if _differs(old.get(p), data, repository.object_format)
            }
            self._catch_up_index(old)
            if not changed:
                return None
            staged = self._index(changed)
            commit = self._import(repository, branch, changed, old, message)
            if commit is not None:
                sync_file_system(repository.shared)
                untouched = [path for path in changed if staged.get(path) == old.get(path)]
                self._tell_index(self._tree(commit, untouched), {path: old.get(path) for path in untouched})
                return commit
        return PutOff(
            reason=f"the branch {branch} moves all the time", fix="nothing: the next cycle tries again"
        )

    def _tree(self, tree: str, paths: Iterable[str]) -> dict[str, Entry]:
        wanted = list(paths)
        if not wanted:
            return {}
        try:
            listing = self._git.look("ls-tree", "-z", tree, "--", *wanted)
        except GitError:
            if self._exists(tree):
                raise
            return {}
        entries = (record.partition("\t") for record in listing.split("\0") if record)
        return {path: (meta.split()[0], meta.split()[2]) for meta, _, path in entries}

    def _index(self, paths: Iterable[str]) -> dict[str, Entry]:
        listing = self._git.look("ls-files", "--stage", "-z", "--", *(f":(literal){path}" for path in paths))
        entries = (record.partition("\t") for record in listing.split("\0") if record)
        return {path: (meta.split()[0], meta.split()[1]) for meta, _, path in entries}

    def _exists(self, branch: str) -> bool:
        try:
            self._git.look("rev-parse", "--quiet", "--verify", f"{branch}^{{commit}}")
        except GitError as error:
            if error.status == 1:
                return False
            raise
        return True

    def _import(
        self,
        repository: _Repository,
        branch: str,
        files: Mapping[str, bytes],
        old: Mapping[str, Entry],
        message: str,
    ) -> str | None:
        parent = f"from {branch}^0\n" if old or self._exists(branch) else ""
        said = message.encode()
        stream = [
            f"commit {branch}\nmark :1\ncommitter {IDENTITY} {int(time.time())} +0000\n".encode(),
            b"data %d\n%b\n%b" % (len(said), said, parent.encode()),
            *(
                b"M %b inline %b\ndata %d\n%b\n" % (_mode(old.get(path)), _quoted(path), len(data), data)
                for path, data in files.items()
            ),
            b"get-mark :1\ndone\n",
        ]
        try:
            out = self._git.text(
                "fast-import", "--quiet", "--done", "--date-format=raw", input=b"".join(stream)
            )
        except GitError as error:
            _take_stale_lock(repository, branch, error, self._root)
            return None
        return out.strip()

    # ---- the person's index

    def _tell_index(self, new: Mapping[str, Entry], old: Mapping[str, Entry | None]) -> None:
        lines = "".join(f"{mode} {oid}\t{path}\0" for path, (mode, oid) in new.items())
        try:
            self._git.run(
                "update-index", "-z", "--index-info", input=lines.encode("utf-8", "surrogateescape")
            )
        except GitError:
            # Somebody holds the index. What stands there is remembered, and set right by the next commit.
            behind = self._behind() | dict(old)
            make_folder(self._behind_file.parent)
            write_durable(self._behind_file, json.dumps(behind).encode())

    def _behind(self) -> dict[str, Entry | None]:
        try:
            known = json.loads(self._behind_file.read_bytes())
        except (OSError, ValueError):
            return {}
        return {path: None if entry is None else (entry[0], entry[1]) for path, entry in known.items()}

    def _catch_up_index(self, head: Mapping[str, Entry]) -> None:
        behind = self._behind()
        if not behind:
            return
        staged = self._index(behind)
        self._behind_file.unlink(missing_ok=True)
        left = {path: entry for path, entry in behind.items() if staged.get(path) == entry and path in head}
        if left:
            self._tell_index({path: head[path] for path in left}, left)


def _branch(repository: _Repository) -> str | PutOff:
    for name, what in _UNDER_WAY.items():
        if (repository.folder / name).exists():
            return PutOff(
                reason=f"{what} is under way in the home", fix="finish or abort it; the next cycle commits"
            )
    head = (repository.folder / "HEAD").read_text("utf-8").strip()
    if not head.startswith("ref: "):
        return PutOff(
            reason="HEAD is detached in the home", fix="git switch to a branch; the next cycle commits"
        )
    return head.removeprefix("ref: ")


def _differs(entry: Entry | None, data: bytes, object_format: str) -> bool:
    name = hashlib.new(object_format, b"blob %d\0" % len(data) + data).hexdigest()
    return entry is None or entry[1] != name


def _mode(entry: Entry | None) -> bytes:
    return b"100755" if entry is not None and entry[0] == "100755" else b"100644"


def _quoted(path: str) -> bytes:
    escaped = path.encode("utf-8", "surrogateescape").replace(b"\\", b"\\\\").replace(b'"', b'\\"')
    return b'"' + escaped.replace(b"\n", b"\\n") + b'"'


def _take_stale_lock(repository: _Repository, branch: str, error: GitError, root: Path) -> None:
    """Take away a lock that a killed git left on our branch; raises what git said when it was not that."""
    moved = "Not updating" in error.stderr or "but expected" in error.stderr
    if moved:
        return
    if ".lock" not in error.stderr:
        raise error
    for lock in (repository.shared / f"{branch}.lock", repository.folder / "HEAD.lock"):
        if not lock.exists():
            continue
        if time.time() - lock.stat().st_mtime < STALE_LOCK_SECONDS or _git_runs_in(root):
            raise BusyError(f"{lock} is held", fix="the next cycle tries again") from error
        lock.unlink(missing_ok=True)


def _git_runs_in(root: Path) -> bool:
    for process in Path("/proc").glob("[0-9]*"):
        try:
            name = (process / "comm").read_text("utf-8", "replace")
            cwd = (process / "cwd").readlink()
        except OSError:
            continue
        if name.startswith("git") and cwd.is_relative_to(root.resolve()):
            return True
    return False
