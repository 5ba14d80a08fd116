"""A clean checkout to run checks in: the result, with configuration and existing tests as the base has them.

It is made from the mirror by plumbing, in folders of its own. No filter, hook or attribute of the result
takes part: the git directory is fresh, and git runs in it only before the first command of anybody else does.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Final

from agentloop.domain.changes import read_changes
from agentloop.domain.globs import matches
from agentloop.domain.valueclass import dataclass
from agentloop.edges.git import Git
from agentloop.edges.worktree import CHECKOUT_SECONDS, make_git_directory
from agentloop.gate.policy import STEERING, Diff, restored

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agentloop.domain.work import GateSpec
    from agentloop.home import RunFolder

_TEXT_BYTES: Final = 30_000_000
_HUNK: Final = re.compile(rb"@@ -\d+(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")
_NOT_OURS: Final = frozenset({".git", ".venv", "__pycache__", "node_modules", "site-packages"})
"""Folders that set-up and checks fill, which no change may bring."""
_WATCHED_BYTES: Final = 200_000_000
_NOBODY: Final = {
    f"GIT_{role}_{key}": value
    for role in ("AUTHOR", "COMMITTER")
    for key, value in (("NAME", "agentloop"), ("EMAIL", "agentloop@localhost"), ("DATE", "@0 +0000"))
}


def read_diff(spec: GateSpec) -> Diff:
    """Return what the commit changes against its base, read in the mirror. Raises GitError."""
    git = Git(Path(spec.mirror))
    words = ("-r", "--no-renames", "--no-ext-diff", "--no-textconv", "--no-color")
    listed = git.run("diff-tree", *words, "-z", "--raw", "--numstat", spec.base, spec.commit)
    changes = read_changes(listed)
    # As text, whatever it is: a NUL byte in a file must not hide a key in it.
    patch = git.run(
        "diff-tree", *words, "-p", "-U0", "--text", spec.base, spec.commit, limit_bytes=_TEXT_BYTES
    )
    # A link that became a file is two entries in a patch, and one in the list.
    shown = [change.path for change in changes for _ in range(2 if change.is_of_another_kind else 1)]
    added: dict[str, list[tuple[int, str]]] = {}
    for index, number, text in _added_lines(patch[:_TEXT_BYTES]):
        added.setdefault(shown[index], []).append((number, text))
    lines = {path: tuple(each) for path, each in added.items()}
    return Diff(changes=changes, added=lines, whole=len(patch) <= _TEXT_BYTES)


def _added_lines(patch: bytes) -> Iterator[tuple[int, int, str]]:
    """Which file (its place in the patch), line number and text: told by the hunks' counts, not by looks."""
    index, number, old_left, new_left = -1, 0, 0, 0
    for line in patch.split(b"\n"):
        if new_left and line.startswith(b"+"):
            yield index, number, line[1:].decode("utf-8", "replace")
            number, new_left = number + 1, new_left - 1
        elif old_left and line.startswith(b"-"):
            old_left -= 1
        elif line.startswith(b"diff --git "):
            index += 1
        elif (hunk := _HUNK.match(line)) is not None:
            old_left, number, new_left = int(hunk[1] or 1), int(hunk[2]), int(hunk[3] or 1)


def make_checkout(spec: GateSpec, folder: RunFolder, diff: Diff) -> Path:
    """Make `tree/` and `git/` in `folder` and return the tree; what an earlier try left is made anew.

    HEAD is a commit of exactly what is checked out, with the base as its parent. Raises GitError and OSError.
    """
    for left in (folder.tree, folder.git, folder.tmp):
        if left.exists():
            shutil.rmtree(left)
        left.mkdir(parents=True)
    make_git_directory(
        folder.git, lender=Path(spec.mirror), branch="result", commit=spec.commit, worker="gate"
    )
    git = Git(folder.git, tree=folder.tree, durable=False, env=_NOBODY)
    git.run("read-tree", spec.commit, timeout_seconds=CHECKOUT_SECONDS)
    undone = restored(diff.changes, spec.task.contract, spec.target)
    if undone:
        # Removals first: a file may stand where the base has a folder, or the other way round.
        lines = sorted((change.restoring() for change in undone), key=lambda line: not line.startswith(b"0"))
        git.run("update-index", "--replace", "-z", "--index-info", input=b"".join(lines))
    tree = git.text("write-tree")
    commit = git.text("commit-tree", "-p", spec.base, "-m", "what the gate runs", tree)
    git.run("update-ref", "refs/heads/result", commit)
    (folder.tree / ".git").write_text("gitdir: ../git\n")
    git.run("checkout-index", "--all", "--force", "--index", timeout_seconds=CHECKOUT_SECONDS)
    return folder.tree


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """What the files that decide a check looked like (tests, configuration, steering): path to digest."""

    digests: dict[str, str]

    def altered(self, now: Watched) -> tuple[str, ...]:
        """Return the paths that are not any more what they were; new ones count only where they steer."""
        gone = {path for path, digest in self.digests.items() if now.digests.get(path) != digest}
        new = {path for path in now.digests.keys() - self.digests.keys() if matches(path, STEERING)}
        return tuple(sorted(gone | new))


def watch(tree: Path, spec: GateSpec) -> Watched:
    """Look at every test and configuration file in `tree`, without following a link. Raises OSError."""
    globs = (*spec.target.tests, *spec.target.configuration, *STEERING)
    return Watched(digests={path: _digest(tree / path) for path in _files(tree) if matches(path, globs)})


def _files(tree: Path) -> Iterator[str]:
    for folder, folders, files in os.walk(tree):
        folders[:] = [name for name in folders if name not in _NOT_OURS]
        for name in files:
            yield str(Path(folder, name).relative_to(tree))


def _digest(path: Path) -> str:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return "unreadable"
    with os.fdopen(fd, "rb") as stream:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode) or found.st_size > _WATCHED_BYTES:
            return f"{found.st_mode}:{found.st_size}"
        return hashlib.file_digest(stream, "sha256").hexdigest()
