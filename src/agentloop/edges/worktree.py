"""Private git directories with a work tree, made by hand: nothing is shared with anybody but objects.

A git directory is four names (gitrepository-layout(5)); writing them takes no git, no template and no hook.
"""

from __future__ import annotations

import secrets
import shutil
from typing import TYPE_CHECKING, Final

from agentloop.edges.files import make_folder
from agentloop.edges.git import Git

if TYPE_CHECKING:
    from pathlib import Path

TASK: Final = "TASK.md"
CHECKOUT_SECONDS: Final = 600

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
    ref = folder / "refs" / "heads" / branch
    for each in (folder / "objects" / "info", folder / "objects" / "pack", ref.parent, folder / "info"):
        each.mkdir(parents=True)
    (folder / "HEAD").write_text(f"ref: refs/heads/{branch}\n")
    (folder / "config").write_text(_CONFIG.format(name=f"agentloop {worker}", email=f"{worker}@localhost"))
    (folder / "objects" / "info" / "alternates").write_text(f"{lender.absolute()}/objects\n")
    (folder / "info" / "exclude").write_text(f"/{TASK}\n")
    if commit:
        ref.write_text(f"{commit}\n")


def make_worktree(work: Path, *, lender: Path, branch: str, commit: str, brief: str) -> None:
    """Make `work/git` and `work/tree` at `commit`, with `brief` in TASK.md; is `work/tree` there, it is done.

    The work tree gets its name last: killed before, all of it is made again. Raises GitError and OSError.
    """
    tree = work / "tree"
    if tree.exists():
        return
    make_folder(work)
    for left in work.glob(".new-*"):
        shutil.rmtree(left)
    new = work / f".new-{secrets.token_hex(4)}"
    new.mkdir()
    make_git_directory(new / "git", lender=lender, branch=branch, commit=commit, worker="worker")
    # Relative, so that it is right before and after the folders get their names, wherever the home lies.
    (new / "tree").mkdir()
    (new / "tree" / ".git").write_text("gitdir: ../git\n")
    git = Git(new / "git", tree=new / "tree", durable=False)
    git.run("read-tree", "--reset", "-u", commit, timeout_seconds=CHECKOUT_SECONDS)
    _place_brief(git, new / "tree" / TASK, brief)
    if (work / "git").exists():
        shutil.rmtree(work / "git")
    (new / "git").rename(work / "git")
    (new / "tree").rename(tree)
    new.rmdir()


def _place_brief(git: Git, path: Path, brief: str) -> None:
    """Write TASK.md so that it is part of no diff, even in a repository that has a TASK.md of its own."""
    if git.text("ls-files", "--", TASK):
        if path.is_dir() and not path.is_symlink():
            return  # a folder of that name is the repository's business; the worker is told the brief anyway
        git.run("update-index", "--skip-worktree", "--", TASK)
        # It may be a link to somewhere: written through, that file would be overwritten.
        path.unlink(missing_ok=True)
    path.write_text(brief, encoding="utf-8", errors="replace")
