"""Private git directories and the places around them, made by hand: nothing is shared but objects.

A git directory is four names (gitrepository-layout(5)); writing them takes no git, no template and no hook.
A place is a folder with a git directory, a work tree, and what belongs to them; see `edges.slots` for those
that are made ahead.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from agentloop.home import RunFolder

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

TASK: Final = "TASK.md"
CHECKOUT_SECONDS: Final = 600
READY: Final = "ready.json"
"""File in a place, written when its tree is checked out: at which commit, and what else is true of it."""
PARTS: Final = ("git", "snapshot", "tmp", READY, "tree")
"""What a place is made of; the tree is given its name last."""

_CONFIG: Final = """\
[core]
\trepositoryformatversion = 0
\tfilemode = true
\tbare = false
\tlogallrefupdates = true
\thooksPath = /dev/null
\tfsmonitor = false
[user]
\tname = {name}
\temail = {email}
[commit]
\tgpgSign = false
[gc]
\tauto = 0
[maintenance]
\tauto = false
[advice]
\tdetachedHead = false
"""


def make_git_directory(folder: Path, *, lender: Path, branch: str, commit: str, worker: str) -> None:
    """Make a git directory at `folder` that borrows objects from the repository `lender`.

    Its HEAD is `branch` at `commit` ("" = unborn); commits made in it are by `worker`.
    """
    for each in (folder / "objects" / "info", folder / "objects" / "pack", folder / "info"):
        each.mkdir(parents=True)
    (folder / "config").write_text(_CONFIG.format(name=f"agentloop {worker}", email=f"{worker}@localhost"))
    (folder / "objects" / "info" / "alternates").write_text(f"{lender.absolute()}/objects\n")
    (folder / "info" / "exclude").write_text(f"/{TASK}\n")
    point_head(folder, branch=branch, commit=commit)


def point_head(folder: Path, *, branch: str, commit: str) -> None:
    """Put the git directory at `folder` on `branch`, at `commit` ("" = unborn)."""
    ref = folder / "refs" / "heads" / branch
    ref.parent.mkdir(parents=True, exist_ok=True)
    (folder / "HEAD").write_text(f"ref: refs/heads/{branch}\n")
    if commit:
        ref.write_text(f"{commit}\n")


def make_place(place: Path, *, lender: Path, branch: str, commit: str) -> None:
    """Make `git/` and an empty `tree/` that belongs to it in the folder `place`, which is there and empty."""
    make_git_directory(place / "git", lender=lender, branch=branch, commit=commit, worker="worker")
    (place / "tree").mkdir()
    # Relative, so that it is right before and after the folders get their names, wherever the home lies.
    (place / "tree" / ".git").write_text("gitdir: ../git\n")


def furnish(
    work: Path,
    *,
    lender: Path,
    branch: str,
    commit: str,
    claim: Callable[[Path], bool],
    discard: Callable[[Path], None],
) -> bool:
    """Put a place into the folder `work`, for `commit`; return whether it is one that was made ahead.

    `claim` moves such a place to a path and says whether it did; otherwise a bare one is made, and checking
    out is left to whoever works there. Is `work/tree` there, the place is: a slot comes whole, and in a bare
    one the tree gets its name last. What a killed try left behind is given to `discard`. Raises OSError.
    """
    if not (work / "tree").exists():
        # Not synced: the runtime folder may be lost as a whole.
        work.parent.mkdir(parents=True, exist_ok=True)
        if work.exists() or not claim(work):
            _make_bare(work, lender=lender, branch=branch, commit=commit, discard=discard)
    # Once it is claimed, a worker may have written there: a link in its git directory could lead us astray.
    if not RunFolder(work).claim.exists() and not (work / "git" / "refs" / "heads" / branch).exists():
        point_head(work / "git", branch=branch, commit=commit)
    return (work / READY).exists()


def _make_bare(
    work: Path, *, lender: Path, branch: str, commit: str, discard: Callable[[Path], None]
) -> None:
    work.mkdir(exist_ok=True)
    for left in (*work.glob(".new-*"), *(work / name for name in PARTS)):
        if left.exists():
            discard(left)
    new = work / f".new-{os.urandom(4).hex()}"
    new.mkdir()
    make_place(new, lender=lender, branch=branch, commit=commit)
    for name in ("git", "tree"):
        (new / name).rename(work / name)
    new.rmdir()
