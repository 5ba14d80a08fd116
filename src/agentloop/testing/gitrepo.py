"""Small real git repositories, made and looked at with plain git, for tests of whatever works on some."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

IDENTITY: Final = {
    f"GIT_{role}_{what}": value
    for role in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "Test"), ("EMAIL", "test@example.invalid"))
}


def git(folder: Path, *args: str, stdin: str = "", env: Mapping[str, str] | None = None) -> str:
    """Return what `git ARGS` prints in `folder`, stripped. Raises CalledProcessError with git's words."""
    done = subprocess.run(
        ["git", "-C", str(folder), *args],
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **IDENTITY, "GIT_CONFIG_GLOBAL": "/dev/null", **(env or {})},
    )
    if done.returncode:
        raise subprocess.CalledProcessError(done.returncode, ["git", *args], done.stdout, done.stderr)
    return done.stdout.strip()


def bare(folder: Path, files: Mapping[str, str]) -> Path:
    """Make a bare repository whose branch `main` has one commit with `files`, and return its folder."""
    folder.mkdir(parents=True)
    git(folder, "init", "--quiet", "--bare", "--initial-branch=main")
    git(folder, "update-ref", "refs/heads/main", commit_in(folder, "", files, "first"))
    return folder


def checkout(folder: Path, files: Mapping[str, str]) -> Path:
    """Make a repository with a checkout of `main`, one commit with `files`, and return its folder."""
    folder.mkdir(parents=True)
    git(folder, "init", "--quiet", "--initial-branch=main")
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message=first")
    return folder


def mirror(origin: Path, folder: Path) -> Path:
    """Make a bare mirror of `origin` and return its folder."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    git(origin, "clone", "--quiet", "--mirror", str(origin), str(folder))
    return folder


def commit_in(repository: Path, parent: str, files: Mapping[str, str | None], message: str) -> str:
    """Make a commit on `parent` ("" = none) with `files` changed (None = deleted), and return its id.

    No branch, index or checkout of the repository is touched.
    """
    with tempfile.TemporaryDirectory() as folder:
        env = {"GIT_INDEX_FILE": f"{folder}/index"}
        if parent:
            git(repository, "read-tree", parent, env=env)
        for name, text in files.items():
            if text is None:
                git(repository, "update-index", "--index-info", stdin=f"0 {'0' * 40}\t{name}\n", env=env)
                continue
            blob = git(repository, "hash-object", "-w", "--stdin", stdin=text)
            git(repository, "update-index", "--add", "--cacheinfo", f"100644,{blob},{name}", env=env)
        tree = git(repository, "write-tree", env=env)
    return git(repository, "commit-tree", tree, *(["-p", parent] if parent else []), "-m", message)


def head(repository: Path, branch: str) -> str:
    """Return the commit that a branch stands at; "" when there is none."""
    return git(repository, "for-each-ref", "--format=%(objectname)", f"refs/heads/{branch}")
