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
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

from agentloop.domain.valueclass import dataclass
from agentloop.edges.exchange import sync_file_system
from agentloop.edges.files import make_folder, write_plain
from agentloop.edges.git import Git, GitError
from agentloop.errors import BusyError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

IDENTITY: Final = "agentloop <agentloop@localhost>"
STALE_LOCK_SECONDS: Final = 60
_TRIES: Final = 5
_LEFT: Final = (
    "index.lock", "HEAD.lock", "config.lock", "packed-refs.lock", "shallow.lock", "refs/**/*.lock",
    "objects/pack/tmp_*", "objects/info/*.lock", "fast_import_crash_*",
)  # fmt: skip
_SHA256_DIGITS: Final = 64
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
    """The branch's commit (None: not born), and the blobs of paths there and in the index."""

    tip: str | None
    head: dict[str, str | None]
    index: dict[str, str | None]


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
            changed = {
                path: data for path, data in files.items() if standing.head[path] != _blob(data, standing.tip)
            }
            if not changed:
                return None
            same = [path for path in changed if standing.index[path] == standing.head[path]]
            # Killed between commit and index, the next commit knows what still stands there.
            self._remember({path: standing.head[path] for path in same})
            commit = self._import(repository, standing.tip, changed, message)
            if commit is not None:
                sync_file_system(repository.shared)
                self._tell_index({path: _blob(changed[path], commit) for path in same})
                return commit
        raise BusyError(
            f"the branch {repository.branch} moves all the time", fix="the next cycle tries again"
        )

    def _standing(self, branch: str, paths: Iterable[str]) -> _Standing:
        wanted = list(paths)
        names = [f"{branch}^{{commit}}", *(f"{place}:{path}" for place in (branch, "") for path in wanted)]
        asked = "".join(f"{name}\n" for name in names).encode("utf-8", "surrogateescape")
        answers = self._git.text("cat-file", "--batch-check=%(objectname)", input=asked).split("\n")
        tip, *blobs = (None if answer.endswith(" missing") else answer for answer in answers)
        head, index = blobs[: len(wanted)], blobs[len(wanted) :]
        return _Standing(tip, dict(zip(wanted, head, strict=True)), dict(zip(wanted, index, strict=True)))

    def _import(
        self, repository: _Repository, tip: str | None, files: Mapping[str, bytes], message: str
    ) -> str | None:
        branch = repository.branch
        parent = "" if tip is None else f"from {tip}\n"
        said = message.encode()
        stream = [
            f"commit {branch}\nmark :1\ncommitter {IDENTITY} {int(time.time())} +0000\n".encode(),
            b"data %d\n%b\n%b" % (len(said), said, parent.encode()),
            *(
                b"M 100644 inline %b\ndata %d\n%b\n" % (_quoted(path), len(data), data)
                for path, data in files.items()
            ),
            b"get-mark :1\ndone\n",
        ]
        try:
            out = self._git.text(
                "fast-import", "--quiet", "--done", "--date-format=raw", input=b"".join(stream)
            )
        except GitError as error:
            _take_stale_lock(repository, error, self._root)
            return None
        return out.strip()

    # ---- the person's index

    def _tell_index(self, new: Mapping[str, str]) -> None:
        lines = "".join(f"100644 {blob}\t{path}\0" for path, blob in new.items())
        try:
            self._git.run(
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
            for path, blob in standing.head.items()
            if blob and standing.index[path] == behind[path]
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


def _blob(data: bytes, like: str | None) -> str:
    """Return the object id of a file, by the hash that the id `like` was made with."""
    algorithm = "sha256" if like is not None and len(like) == _SHA256_DIGITS else "sha1"
    return hashlib.new(algorithm, b"blob %d\0" % len(data) + data).hexdigest()


def _quoted(path: str) -> bytes:
    escaped = path.encode("utf-8", "surrogateescape").replace(b"\\", b"\\\\").replace(b'"', b'\\"')
    return b'"' + escaped.replace(b"\n", b"\\n") + b'"'


def _take_stale_lock(repository: _Repository, error: GitError, root: Path) -> None:
    """Take away a lock that a killed git left on our branch; raises what git said when it was not that."""
    moved = "Not updating" in error.stderr or "but expected" in error.stderr
    if moved:
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
