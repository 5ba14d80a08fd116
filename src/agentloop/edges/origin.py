"""A target's origin as the built-in forge sees it: its branches, and a bench to try things on beside it.

An origin is any repository that git can reach: a path (bare, or with checkouts) or an address. Nothing in it
is changed but by `push`; merges are tried in a bench, a bare repository in a temp folder that borrows the
objects which are on this machine already.
"""

from __future__ import annotations

import os
import re
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urlsplit

from agentloop.domain.valueclass import dataclass
from agentloop.edges.git import UPLOAD_PACK, Git, GitError, Login, refuse_unsafe_address, without_password
from agentloop.errors import ConflictError, TargetError, UnsafeError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from agentloop.domain.settings import Target

RECEIVE_PACK: Final = "--receive-pack=git -c 'safe.directory=*' -c core.fsync=all receive-pack"
"""For a push into a local path: git clears our settings for that side, the durable ones too."""

BRANCHES: Final = "agentloop/"
"""Only branches below this are ours."""

FETCH_SECONDS: Final = 600

_PASSING: Final = re.compile(
    r"No space left|Read-only file system|Input/output error|Too many open files|unpacker error"
    r"|failed to update ref|cannot lock ref|unable to create temporary"
)
"""What git says when the origin's machine failed, not its rules: the push is tried again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Merging:
    """What merging two commits would give: the merged tree, or the paths that are in conflict."""

    tree: str
    conflicts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """One target's origin. `local` is its folder when it is on this machine; `mirror` need not exist."""

    name: str
    address: str
    local: Path | None
    mirror: Path
    login: Login | None = None

    def heads(self, branches: Iterable[str]) -> dict[str, str]:
        """Return the commits that those of `branches` stand at which exist. Raises TargetError."""
        refs = [f"refs/heads/{branch}" for branch in branches]
        try:
            refuse_unsafe_address(self.address)
            said = Git(Path("/"), login=self.login).look(
                "ls-remote", *self._upload_pack(), "--", self.address, *refs
            )
        except GitError as error:
            raise self._unusable(error) from error
        pairs = [line.split("\t", 1) for line in said.splitlines()]
        return {ref.removeprefix("refs/heads/"): commit for commit, ref in pairs if ref in refs}

    @contextmanager
    def bench(self, branches: Iterable[str]) -> Iterator[Git]:
        """Yield a throw-away bare repository that has `branches` of the origin. Raises TargetError."""
        import tempfile

        with tempfile.TemporaryDirectory(prefix="agentloop-bench-") as temp:
            folder = Path(temp) / "bench.git"
            Git(Path(temp), durable=False).look("init", "--quiet", "--bare", str(folder))
            lenders = "".join(f"{path}\n" for path in self._objects() if path.is_dir())
            (folder / "objects" / "info").mkdir(exist_ok=True)
            (folder / "objects" / "info" / "alternates").write_text(lenders, encoding="utf-8")
            bench = Git(folder, durable=False)
            self._fetch(
                Git(bench.folder, durable=False, login=self.login),
                [f"+refs/heads/{branch}:refs/heads/{branch}" for branch in branches],
            )
            yield bench

    def _fetch(self, bench: Git, specs: list[str]) -> None:
        if not specs:
            return  # git would take this as a wish for all there is
        try:
            bench.look(
                "fetch", "--quiet", "--no-tags", "--no-write-fetch-head", *self._upload_pack(), "--",
                self.address, *specs, timeout_seconds=FETCH_SECONDS,
            )  # fmt: skip
        except GitError as error:
            raise self._unusable(error) from error

    def push(self, repository: Git, branch: str, commit: str, *, expected: str) -> None:
        """Set `branch` to `commit` ("" = take it away), which is in `repository`, if it stands at `expected`.

        Raises ConflictError when it stands elsewhere or the origin refuses, TargetError when out of reach.
        """
        ref = f"refs/heads/{branch}"
        receive = (RECEIVE_PACK,) if self.local else ()
        lease = f"--force-with-lease={ref}:{expected}"
        try:
            Git(repository.folder, login=self.login).look(
                "push", "--quiet", *receive, lease, "--", self.address, f"{commit}:{ref}",
                timeout_seconds=FETCH_SECONDS,
            )  # fmt: skip
        except GitError as error:
            if self._freed(branch):
                self.push(repository, branch, commit, expected=expected)
                return
            now = self.heads([branch]).get(branch, "")
            if now != commit:
                raise self._refusal(error, branch, now, expected) from error

    def delete(self, branch: str, *, expected: str) -> None:
        """Take a branch of ours away if it stands at `expected`; one that is gone is gone.

        Raises UnsafeError for a branch that is not ours, else as `push`.
        """
        if not branch.startswith(BRANCHES):
            raise UnsafeError(f"{branch} is no branch of ours", fix=f"only {BRANCHES}* is ever deleted")
        now = self.heads([branch]).get(branch, "")
        if now and now != expected:
            raise ConflictError(f"{branch} of {self.name} stands at {_short(now)}: it is somebody else's now")
        if now:
            self.push(Git(self.mirror), branch, "", expected=expected)

    def _freed(self, branch: str) -> bool:
        """Take away the lock that a killed push of ours left on a branch of ours; True when there was one.

        Nobody else writes those branches, and a git that still works there would be seen.
        """
        from agentloop.edges.homegit import git_runs_in

        if self.local is None or not branch.startswith(BRANCHES):
            return False
        lock = self.common_folder() / "refs" / "heads" / f"{branch}.lock"
        if not lock.exists() or git_runs_in(self.local):
            return False
        lock.unlink(missing_ok=True)
        return True

    def _refusal(self, error: GitError, branch: str, now: str, expected: str) -> ConflictError | TargetError:
        if now != expected:
            return ConflictError(
                f"{branch} of {self.name} stands at {_short(now)}, not at {_short(expected)}",
                fix="somebody else moved it: look at their commits first",
            )
        if "currently checked out" in error.stderr:
            return ConflictError(
                f"{branch} is checked out in {self.address}",
                fix=f"check out another branch there: {self.address}",
            )
        if "rejected" in error.stderr and not _PASSING.search(error.stderr):
            return ConflictError(
                f"{self.name} refused {branch}: {_remote_words(error.stderr)}", fix=error.fix
            )
        return self._unusable(error)

    def _upload_pack(self) -> tuple[str, ...]:
        return (UPLOAD_PACK,) if self.local else ()

    def _objects(self) -> tuple[Path, ...]:
        if self.local is None:
            return (self.mirror / "objects",)
        return self.mirror / "objects", self.common_folder() / "objects"

    def common_folder(self) -> Path:
        """Return the git directory that all work trees of a local origin share. Raises TargetError."""
        if self.local is None:
            raise TargetError(f"{self.address} is not on this machine")
        try:
            said = Git(self.local).look("rev-parse", "--path-format=absolute", "--git-common-dir")
        except GitError as error:
            raise self._unusable(error) from error
        return Path(said)

    def _unusable(self, error: GitError) -> TargetError:
        fix = error.fix or "check the target's repository in agentloop.toml"
        return TargetError(f"target {self.name} ({without_password(self.address)}): {error.what}", fix=fix)


def origin_of(target: Target, home: Path, mirror: Path, login: Login | None = None) -> Origin:
    """Return the target's origin; a path in the settings is relative to the home."""
    given = target.repository
    if given.startswith("file://"):
        return Origin(
            name=target.name, address=given, local=Path(unquote(urlsplit(given).path)), mirror=mirror
        )
    local = (home / Path(given).expanduser()).absolute()
    if "://" in given or (re.match(r"[^/]+:", given) and not local.exists()):
        return Origin(name=target.name, address=given, local=None, mirror=mirror, login=login)
    return Origin(name=target.name, address=str(local), local=local, mirror=mirror)


def is_within(repository: Git, commit: str, base: str) -> bool:
    """Return whether `commit` is `base` or one of its ancestors; False when either is not there."""
    try:
        repository.look("merge-base", "--is-ancestor", commit, base)
    except GitError:
        return False
    return True


def merging(repository: Git, base: str, commit: str) -> Merging:
    """Return what merging `commit` into `base` gives. Raises TargetError when git cannot say."""
    try:
        said = repository.text(
            "merge-tree", "--write-tree", "--stdin", "-z", "--name-only", input=f"{base} {commit}\n".encode()
        )
    except GitError as error:
        raise TargetError(
            f"git cannot try the merge: {error.what}", fix="git 2.38 or newer is needed"
        ) from error
    clean, tree, *rest = said.split("\0")
    if clean == "1":
        return Merging(tree=tree)
    return Merging(tree=tree, conflicts=tuple(dict.fromkeys(rest[: rest.index("")])))


def merge_commit(repository: Git, commit: str, base: str) -> str:
    """Return the commit of `base`'s own line with which `commit` came in (itself, if it is on that line)."""
    said = repository.look("rev-list", "--first-parent", "--ancestry-path", "--parents", f"{commit}..{base}")
    lines = said.splitlines()
    if not lines:
        return commit
    oldest, first_parent = lines[-1].split()[:2]
    return commit if first_parent == commit else oldest


def persons_environment() -> dict[str, str]:
    """Return what git needs to act as the person who runs us: their settings file and their name."""
    home = os.environ.get("HOME", "")
    settings = Path(os.environ.get("XDG_CONFIG_HOME") or f"{home}/.config") / "git" / "config"
    own = Path(home) / ".gitconfig"
    names = [f"GIT_{role}_{what}" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")]
    kept = {name: os.environ[name] for name in ("HOME", "EMAIL", *names) if os.environ.get(name)}
    found = own if own.is_file() else settings
    return kept | ({"GIT_CONFIG_GLOBAL": str(found)} if found.is_file() else {})


def _short(commit: str) -> str:
    return commit[:10] or "nothing (there is no such branch)"


def _remote_words(stderr: str) -> str:
    lines = [
        line.removeprefix("remote:").strip() for line in stderr.splitlines() if line.startswith("remote:")
    ]
    return " ".join(filter(None, lines)) or stderr.strip().splitlines()[0]
