"""The git side of a simulated GitHub: real bare repositories, looked at and merged with plain git."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Final

from agentloop.testing import gitrepo

# The words that GitHub closes issues by, case aside: docs.github.com, "Linking a pull request to an issue".
_CLOSING: Final = re.compile(r"\b(?:close[sd]?|fix(?:e[sd])?|resolve[sd]?):?\s+#(\d+)", re.IGNORECASE)


def create(folder: Path, files: dict[str, str]) -> None:
    """Make a bare repository with one commit, that takes pushes over HTTP."""
    gitrepo.bare(folder, files)
    for key, value in (
        ("http.receivepack", "true"),
        ("uploadpack.allowAnySHA1InWant", "true"),
        ("receive.denyDeletes", "false"),
        # Refs below refs/pull are GitHub's own: nobody pushes them.
        ("receive.hideRefs", "refs/pull"),
        ("gc.auto", "0"),
    ):
        gitrepo.git(folder, "config", key, value)


def heads(folder: Path) -> dict[str, str]:
    """Return every branch and the commit it points at."""
    listed = gitrepo.git(folder, "for-each-ref", "--format=%(refname:lstrip=2) %(objectname)", "refs/heads")
    return dict(line.rsplit(" ", 1) for line in listed.splitlines())


def is_within(folder: Path, commit: str, base: str) -> bool:
    """Return whether `commit` is `base` or an ancestor of it: there is nothing new in it."""
    return gitrepo.git(folder, "rev-list", "--count", f"{base}..{commit}") == "0"


def conflicts(folder: Path, commit: str, base: str) -> bool:
    """Return whether the two cannot be merged without a person."""
    return _merged_tree(folder, commit, base) is None


def _merged_tree(folder: Path, commit: str, base: str) -> str | None:
    try:
        return gitrepo.git(folder, "merge-tree", "--write-tree", base, commit).splitlines()[0]
    except subprocess.CalledProcessError as error:
        if error.returncode == 1:  # git's own: 1 = conflicts, more = a real error
            return None
        raise


def merge(folder: Path, branch: str, base: str, title: str, number: int) -> str:
    """Merge `branch` into `base` with a merge commit and return it; "" when they conflict."""
    tips = heads(folder)
    tree = _merged_tree(folder, tips[branch], tips[base])
    if tree is None:
        return ""
    message = f"Merge pull request #{number} from {branch}\n\n{title}"
    parents = ["-p", tips[base], "-p", tips[branch]]
    made = gitrepo.git(folder, "commit-tree", tree, *parents, "-m", message)
    gitrepo.git(folder, "update-ref", f"refs/heads/{base}", made, tips[base])
    return made


def delete(folder: Path, branch: str) -> None:
    """Delete a branch."""
    gitrepo.git(folder, "update-ref", "-d", f"refs/heads/{branch}")


def changed(folder: Path, commit: str, base: str) -> dict[str, tuple[str, int, int]]:
    """Return what `commit` changes since it left `base`, by path: (status, lines added, lines removed)."""
    since = gitrepo.git(folder, "merge-base", base, commit)
    status = gitrepo.git(folder, "diff", "--name-status", "--no-renames", since, commit)
    counts = gitrepo.git(folder, "diff", "--numstat", "--no-renames", since, commit)
    words = {"A": "added", "D": "removed"}
    kinds = {line.split("\t", 1)[1]: line[0] for line in status.splitlines()}
    found = {}
    for line in counts.splitlines():
        added, removed, path = line.split("\t", 2)
        number = [0 if count == "-" else int(count) for count in (added, removed)]
        found[path] = (words.get(kinds[path], "modified"), number[0], number[1])
    return found


def difference(folder: Path, commit: str, base: str) -> str:
    """Return what `commit` changes since it left `base`, as a unified diff."""
    return gitrepo.git(folder, "diff", "--no-renames", f"{base}...{commit}")


def closing_numbers(body: str) -> list[int]:
    """Return the issues that a pull request's body says it closes."""
    return [int(number) for number in _CLOSING.findall(body)]
