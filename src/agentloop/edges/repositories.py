"""The port `Repositories` over git: mirrors of the targets, work trees for attempts, and the way back in."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path
from typing import TYPE_CHECKING

from agentloop.edges.git import Git, GitError
from agentloop.errors import GoneError, TargetError
from agentloop.home import Home

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentloop.domain.settings import Target
    from agentloop.domain.work import AttemptSpec, End
    from agentloop.edges.git import Login
    from agentloop.edges.mirror import Mirror, Remote
    from agentloop.ports import Rejected, Taken


class GitRepositories:
    """Repositories of the home at `root`: a target's relative path counts from there."""

    def __init__(self, root: Path, *, login_of: Callable[[Target], Login | None] = lambda _: None) -> None:
        """`login_of` returns what opens a target's repository, None where nothing is needed."""
        self._home = Home(root.absolute())
        self._login_of = login_of

    def head(self, target: Target) -> tuple[str, str]:
        """Fetch, and return (branch, commit) that work starts from; no fetch when nothing has moved.

        Raises TargetError with the fix, and BusyError when another process holds the mirror.
        """
        from agentloop.edges.slots import Slots

        mirror = self._mirror(target)
        remote = mirror.look()
        branch = _branch(target, remote)
        have = mirror.branches()
        if any(have.get(name) != commit for name, commit in remote.branches.items()):
            mirror.fetch()
            have = mirror.branches()
        if branch not in have:
            raise TargetError(
                f"target {target.name}: branch {branch} could not be fetched: the repository is not complete",
                fix="complete it (git fetch --unshallow), or name a complete one",
            )
        with contextlib.suppress(OSError):  # a hint for whoever makes slots, and no more
            Slots(self._home).note_tip(target.name, have[branch])
        return branch, have[branch]

    def renew(self, target: Target) -> str:
        """Check the target's mirror, make it anew when it is damaged, bring everything in, and say so.

        Raises TargetError when the repository is out of reach, BusyError.
        """
        mirror = self._mirror(target)
        there = mirror.folder.exists()
        damaged = "the mirror was damaged, and is new" if there else "the mirror is new"
        said = "the mirror was whole" if mirror.check() else damaged
        mirror.fetch()
        branch, commit = self.head(target)
        return f"{said}; {branch} is at {commit[:10]}"

    def prepare(self, spec: AttemptSpec, *, message: str) -> None:
        """Give the attempt a place to work in; done already = nothing to do.

        It is one that was made ahead, when one fits, else a bare one: checking out is left to the attempt, so
        that nobody waits here and many do it side by side. The base is pinned in the mirror first; `message`
        says why in the mirror's log of that pin. Raises TargetError when the base cannot be had, and
        GitError and OSError.
        """
        from agentloop.edges.slots import Slots, Wanted
        from agentloop.edges.worktree import furnish

        attempt = _name(spec.id)
        mirror = self._mirror(spec.target)
        base = self._present(mirror, spec.base)
        mirror.write(
            lambda git: git.run("update-ref", "-m", message, f"refs/agentloop/bases/{attempt}", base)
        )
        wanted = Wanted(commit=base, mirror=str(mirror.folder), sandbox=spec.worker.sandbox)
        slots = Slots(self._home)
        furnish(
            Path(spec.folder),
            lender=mirror.folder,
            branch=f"agentloop/{_name(spec.task.id)}",
            commit=base,
            claim=lambda to: slots.claim(spec.target.name, wanted, to),
            discard=slots.discard,
        )

    def take(
        self, spec: AttemptSpec, end: End, *, message: str, parents: tuple[str, ...]
    ) -> Taken | Rejected:
        """Take a result over: pack into a quarantine, policy on the tree, one commit of ours with `parents`.

        Taken already = the same commit again. Raises TargetError when base or parents cannot be had, and
        GitError and OSError when the machine fails: try again.
        """
        from agentloop.edges.quarantine import take_result

        _name(spec.id)
        mirror = self._mirror(spec.target)
        for commit in (spec.base, *((spec.origin,) if spec.origin else ()), *parents):
            self._present(mirror, commit)
        return take_result(mirror, spec, end, message=message, parents=parents)

    def diff(self, target: Target, base: str, commit: str, limit_bytes: int) -> str:
        """Return the unified diff; it says so when it is cut at `limit_bytes`. Raises TargetError."""
        git = self._git(target, base, commit)
        words = ("--no-color", "--no-ext-diff", "--no-textconv", "-M", "--src-prefix=a/", "--dst-prefix=b/")
        return _cut(
            git.run("diff-tree", "-p", "-r", *words, base, commit, limit_bytes=limit_bytes), limit_bytes
        )

    def read(self, target: Target, commit: str, path: str, limit_bytes: int) -> str | None:
        """Return a file's text at a commit (undecodable bytes replaced), or None when there is none.

        Text beyond `limit_bytes` is cut, and it says so. Raises TargetError for an unknown commit.
        """
        git = self._git(target, commit)
        path = path.removeprefix("./")
        if {"", ".", ".."} & set(path.split("/")):
            return None
        listed = git.text("--literal-pathspecs", "ls-tree", "-z", commit, "--", path)
        entry = re.match(r"\d+ blob ([0-9a-f]+)\t", listed)
        if entry is None:
            return None
        return _cut(git.run("cat-file", "blob", entry[1], limit_bytes=limit_bytes), limit_bytes)

    def paths(self, target: Target, commit: str) -> tuple[str, ...]:
        """Return every path in the commit's tree. Raises GoneError for an unknown commit, TargetError."""
        listed = self._git(target, commit).run("ls-tree", "-r", "-z", "--name-only", commit)
        return tuple(name.decode("utf-8", "replace") for name in listed.split(b"\0") if name)

    def folder(self, target: Target) -> Path:
        """Return the mirror's folder; it exists from the first `head` on."""
        return self._home.mirror_of(target.name)

    def _mirror(self, target: Target) -> Mirror:
        from agentloop.edges.mirror import mirror_of

        folder = self._home.mirror_of(_name(target.name))
        return mirror_of(target, self._home.root, folder, self._login_of(target))

    def _present(self, mirror: Mirror, commit: str) -> str:
        """The commit, after a fetch when the mirror lacks it (the runtime folder may have been deleted)."""
        if not re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", commit):
            raise TargetError(f"target {mirror.target}: {commit!r} is no commit's id")
        if not mirror.has(commit):
            mirror.fetch()
            if not mirror.has(commit):
                raise GoneError(
                    f"target {mirror.target}: commit {commit[:12]} is not in the repository any more",
                    fix="start the work anew: it will begin from the branch as it is now",
                )
        return commit

    def _git(self, target: Target, *commits: str) -> Git:
        mirror = self._mirror(target)
        for commit in commits:
            self._present(mirror, commit)
        return mirror.git


def _branch(target: Target, remote: Remote) -> str:
    """The branch that work starts from. Raises TargetError, with the fix, when there is none."""
    known = ", ".join(sorted(remote.branches)[:10])
    if not remote.branches:
        raise TargetError(
            f"target {target.name}: the repository has no commits",
            fix="make a first commit on the branch that pull requests go into",
        )
    wanted = target.branch or remote.default
    if wanted in remote.branches:
        return wanted
    said = f"there is no branch {wanted}" if wanted else "its HEAD is on no branch"
    raise TargetError(
        f"target {target.name}: {said}",
        fix=f'set branch = "…" of target {target.name} in agentloop.toml to one of: {known}',
    )


def _name(text: str) -> str:
    """`text`, when it is fit to be part of paths and refs; ids are made by code, so it should be."""
    if not re.fullmatch(r"[0-9A-Za-z][0-9A-Za-z._-]{0,99}", text) or ".." in text or text.endswith(".lock"):
        raise TargetError(f"{text!r} cannot be used as a name", fix="use letters, digits, '.', '_' and '-'")
    return text


def _cut(data: bytes, limit_bytes: int) -> str:
    text = data[:limit_bytes].decode("utf-8", "replace")
    return f"{text}\n[cut after {limit_bytes} bytes]\n" if len(data) > limit_bytes else text


__all__ = ["GitError", "GitRepositories"]
