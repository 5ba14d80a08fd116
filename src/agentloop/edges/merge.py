"""Merging a pull request for a person, with plumbing: nothing is changed before all of it is known to work.

The merge is made in a bench. Then, in this order: the origin's base branch is moved from where it was (or, if
there is of it, that checkout's branch, index and files together), and the merged branch is taken away.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

from agentloop.domain.valueclass import dataclass
from agentloop.edges.cutoff import put_back
from agentloop.edges.exchange import sync_file_system
from agentloop.edges.git import Git, GitError
from agentloop.edges.origin import Origin, merging, persons_environment
from agentloop.errors import AgentloopError, BusyError, ConflictError

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentloop.domain.issue import Pull

_REF: Final = "refs/heads/agentloop-merge"
_SHOWN: Final = 10
_CLOSES: Final = re.compile(
    r"^[ \t]*(?:closes|fixes|resolves)[ \t]+#(\d{1,9})\b", re.IGNORECASE | re.MULTILINE
)
_UNDER_WAY: Final = {
    "MERGE_HEAD": "a merge",
    "CHERRY_PICK_HEAD": "a cherry-pick",
    "REVERT_HEAD": "a revert",
    "rebase-merge": "a rebase",
    "rebase-apply": "a rebase",
    "BISECT_LOG": "a bisection",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Merged:
    """What came of a merge: the base's new commit, the checkout that was updated, what was left behind.

    `already`: it had been merged before, and nothing was done.
    """

    commit: str
    base: str
    checkout: Path | None = None
    left: str = ""
    already: bool = False


def land(
    origin: Origin,
    pull: Pull,
    *,
    home: Path,
    squash: bool,
    before: Callable[[str], None],
    keep: tuple[int, ...] = (),
) -> Merged:
    """Merge `pull` into its base in `origin`; `before` is told the new commit just before the base moves.

    It is told "" when a checkout refused, and nothing has changed after all. The git that updates a checkout
    keeps the descriptors in `keep`: a flock on one shows that it is still at work when we are gone.

    The commit is the person's: as git knows them in the origin, in `home`, or everywhere. Raises
    ConflictError, with nothing changed, when git does not know them, when it does not merge, when the base is
    checked out and not clean, or when the origin refuses; TargetError when the origin cannot be used.
    """
    heads = origin.heads([pull.base, pull.branch])
    if pull.base not in heads:
        raise ConflictError(
            f"{origin.name} has no branch {pull.base}", fix="make it, or close the pull request"
        )
    if heads.get(pull.branch) != pull.head:
        raise ConflictError(f"{pull.branch} has just moved", fix=f"look again: agentloop pr show {pull.id}")
    checkout = checkout_of(origin, pull.base)
    with origin.bench([pull.base, pull.branch]) as bench:
        old = heads[pull.base]
        commit = _commit(bench, origin, pull, old, home=home, squash=squash)
        if checkout is None:
            before(commit)
            origin.push(bench, pull.base, commit, expected=old)
        else:
            _move_checkout(checkout, pull.base, bench, commit, before=before, keep=keep)
        left = _take_branch_away(origin, bench, pull)
    return Merged(commit=commit, base=pull.base, checkout=checkout, left=left)


def _commit(bench: Git, origin: Origin, pull: Pull, base: str, *, home: Path, squash: bool) -> str:
    tried = merging(bench, base, pull.head)
    if tried.conflicts:
        names = ", ".join(tried.conflicts[:_SHOWN]) + (" …" if len(tried.conflicts) > _SHOWN else "")
        raise ConflictError(
            f"pull request {pull.id} is in conflict with {pull.base} in {names}; nothing was merged",
            fix="a pull request of the loop's is done again on the newer base by itself: agentloop status",
        )
    parents = [base] if squash else [base, pull.head]
    committer = Git(bench.folder, durable=False, env=_identity(origin, home))
    words = [word for parent in parents for word in ("-p", parent)]
    return committer.text("commit-tree", tried.tree, *words, input=_message(pull, squash=squash).encode())


def _message(pull: Pull, *, squash: bool) -> str:
    closes = dict.fromkeys(_CLOSES.findall(pull.body))
    # Without a '#': another tracker that the origin is pushed to must not close an issue of its own.
    said = "".join(f"Closes issue {number}.\n" for number in closes)
    title = (
        f"{pull.title} (pull request {pull.id})" if squash else f"Merge pull request {pull.id}: {pull.title}"
    )
    return f"{title}\n\n{said}Branch: {pull.branch}\n"


def _identity(origin: Origin, home: Path) -> dict[str, str]:
    """The person's name and address as they told git: for the origin, for the home, or for all.

    What git would make up from the names of user and machine does not go into anybody's history.
    """
    env = persons_environment()
    folders = [folder for folder in (origin.local, home) if folder is not None]
    mails = [{}, {"GIT_AUTHOR_EMAIL": env["EMAIL"]}] if env.get("EMAIL") else [{}]
    said = (_said_identity(folder, {**mail, **env}) for mail in mails for folder in folders)
    found = next(filter(None, said), None)
    if found is None:
        raise ConflictError(
            "git does not know who merges: it has no name and no address of yours; nothing was merged",
            fix="git config --global user.name 'Your Name'\n"
            "       git config --global user.email you@example.com",
        )
    name, email = found
    return {
        f"GIT_{role}_{what}": value
        for role in ("AUTHOR", "COMMITTER")
        for what, value in (("NAME", name), ("EMAIL", email))
    }


def _said_identity(folder: Path, env: dict[str, str]) -> tuple[str, str] | None:
    try:
        said = Git(folder, env=env).look("-c", "user.useConfigOnly=true", "var", "GIT_AUTHOR_IDENT")
    except GitError:
        return None
    found = re.fullmatch(r"(.+?) <([^>]+)> \d+ [+-]\d+", said)
    return (found[1], found[2]) if found else None


def checkout_of(origin: Origin, branch: str) -> Path | None:
    """The folder where `branch` of a local origin is checked out. Raises ConflictError for several."""
    if origin.local is None:
        return None
    said = Git(origin.local).look("worktree", "list", "--porcelain", "-z")
    trees = [dict(_pair(line) for line in tree.split("\0") if line) for tree in said.split("\0\0") if tree]
    found = [Path(tree["worktree"]) for tree in trees if tree.get("branch") == f"refs/heads/{branch}"]
    if len(found) > 1:
        raise ConflictError(
            f"{branch} is checked out in {' and '.join(map(str, found))}",
            fix="check out another branch in one of them",
        )
    if found and not found[0].is_dir():
        raise ConflictError(
            f"the checkout of {branch} in {found[0]} is gone", fix=f"git -C {origin.local} worktree prune"
        )
    return found[0] if found else None


def _pair(line: str) -> tuple[str, str]:
    key, _, value = line.partition(" ")
    return key, value


def _move_checkout(
    checkout: Path,
    branch: str,
    bench: Git,
    commit: str,
    *,
    before: Callable[[str], None],
    keep: tuple[int, ...],
) -> None:
    """Update branch, index and files of a clean checkout together, or raise ConflictError and nothing.

    BusyError when the git that does it was killed half-way: what it left is put back by the next look.
    """
    # The person's own settings hold here: their filters made the files, and make them again.
    git = Git(checkout, env=persons_environment(), keep=keep)
    _refuse_unclean(git, checkout)
    bench.look("update-ref", _REF, commit)
    git.look("fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--", str(bench.folder), _REF)
    before(commit)
    try:
        git.look("merge", "--quiet", "--ff-only", "--no-overwrite-ignore", commit)
    except GitError as error:
        if error.status is None or error.status < 0:
            raise BusyError(
                f"git was stopped while it updated {checkout}: the merge was cut off",
                fix="merge again: what it left half-way is put back first",
            ) from error
        put_back(checkout, branch, commit, asked=True)  # a full disk, too, ends it half-way
        before("")
        raise ConflictError(
            f"{checkout} cannot be updated, nothing was merged: {' '.join(error.stderr.split())}",
            fix="move those files out of the way, then merge again",
        ) from error
    # git syncs the branch, not the files: told that it is merged, nobody puts them back after a power cut.
    sync_file_system(checkout)


def _refuse_unclean(git: Git, checkout: Path) -> None:
    folder = Path(git.look("rev-parse", "--absolute-git-dir"))
    under_way = [words for name, words in _UNDER_WAY.items() if (folder / name).exists()]
    changed = [line[3:] for line in git.look("status", "--porcelain", "--untracked-files=no").splitlines()]
    if under_way:
        raise ConflictError(
            f"{under_way[0]} is under way in {checkout}; nothing was merged",
            fix="end it there, then merge again",
        )
    if changed:
        names = ", ".join(changed[:_SHOWN]) + (" …" if len(changed) > _SHOWN else "")
        raise ConflictError(
            f"{checkout} has changes that are not committed ({names}); nothing was merged",
            fix=f"commit them or put them away (git -C {checkout} stash), then merge again",
        )


def _take_branch_away(origin: Origin, bench: Git, pull: Pull) -> str:
    """Delete the merged branch if it did not move; return why it was left, or ""."""
    try:
        origin.push(bench, pull.branch, "", expected=pull.head)
    except AgentloopError as error:
        return error.what
    return ""
