"""Checking a commit out into a place, inside a sandbox: the first thing that happens there.

git's index notes the owner of each file as git sees it, and inside a sandbox that is another number than
outside. A tree that was checked out inside counts as unchanged there at a glance; of one that was checked out
outside, every `git status` and the making of the result would read each file again.

Two git directories look at one tree: the worker's own (`git/`), and the one that results are made from
(`snapshot/`), which no worker can write. Both start with the same index.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Final

from agentloop.edges.git import CONFIG
from agentloop.edges.processes import boot_id
from agentloop.edges.slots import Stand, read_stand, write_stand
from agentloop.edges.worktree import CHECKOUT_SECONDS, READY, TASK, make_git_directory
from agentloop.errors import AgentloopError
from agentloop.worker.sandbox import sandbox_for

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from agentloop.domain.settings import Worker
    from agentloop.worker.sandbox import Sandbox

LEFT_OUT: Final = (
    f"/{TASK}",
    *(
        "__pycache__/",
        "*.pyc",
        ".pytest_cache/",
        ".mypy_cache/",
        ".ruff_cache/",
        ".hypothesis/",
        ".tox/",
        ".nox/",
    ),
    *(".coverage", ".DS_Store", "*.egg-info/"),
)
"""What is no part of a result unless the base has it: the task's own file and the droppings of test runs."""

_SCRIPT: Final = """
set -e
base=$1 from=$2 snapshot=$3
if [ -n "$from" ] && git read-tree -m -u "$from" "$base"; then
  # What attributes say of files that stayed the same reaches these only when they are written again.
  if git diff-tree -r --name-only "$from" "$base" | grep -q '[.]gitattributes$'; then
    rm "$GIT_DIR/index"
    git read-tree "$base"
    git checkout-index --all --force --index
  fi
else
  git read-tree --reset -u "$base"
fi
cp -p "$GIT_DIR/index" "$snapshot/index"
echo "checked out: $(git rev-parse "$base^{tree}") $(git ls-tree "$base" TASK.md)"
"""
_COVER: Final = """
set -e
git update-index --skip-worktree TASK.md
cp -p "$GIT_DIR/index" "$1/index"
"""


_DONE: Final = re.compile(r"^checked out: (?P<tree>[0-9a-f]{40,64}) (?:\d+ (?P<kind>\w+) .*)?$", re.MULTILINE)


class CheckoutError(AgentloopError):
    """The tree could not be checked out."""


class Checkout:
    """Brings the tree of a place to a commit. `interrupt` is a descriptor that ends it."""

    def __init__(
        self, place: Path, *, mirror: Path, worker: Worker, hidden: Path, mark: str, interrupt: int | None
    ) -> None:
        self._place = place
        self._mirror = mirror
        self._kind = worker.sandbox
        self._sandbox: Sandbox = sandbox_for(
            worker,
            writable=(place / "tree", place / "git", place / "snapshot"),
            readable=(mirror / "objects",),
            hidden=(hidden,),
            mark=mark,
            interrupt=interrupt,
            variables=variables_for(place / "git", place / "tree", CONFIG),
        )

    def to(self, commit: str) -> tuple[Stand, str]:
        """Return what is true of the place with its tree at `commit`, and how that came about.

        "ready": it was there already; "moved": by checking out the difference; "new": all of it. Raises
        CheckoutError and UnsafeError; the place is of no use then.
        """
        stand = read_stand(self._place)
        if stand is not None and stand.commit == commit:
            return stand, "ready"
        (self._place / READY).unlink(missing_ok=True)
        if stand is None:
            self._begin_snapshot()
        now = self._check_out(commit, stand.commit if stand else "")
        write_stand(self._place, now)
        return now, "moved" if stand else "new"

    def cover_task(self) -> None:
        """Make the repository's own TASK.md count as unchanged, whatever lies in its place."""
        self._run(_COVER, str(self._place / "snapshot"))

    def _check_out(self, commit: str, before: str) -> Stand:
        said = self._run(_SCRIPT, commit, before, str(self._place / "snapshot"))
        found = _DONE.search(said)
        if found is None:
            raise CheckoutError(f"git said something else than what was asked: {said.strip()[-1000:]}")
        return Stand(
            commit=commit,
            tree=found["tree"],
            task="" if not found["kind"] else "file" if found["kind"] == "blob" else "folder",
            mirror=str(self._mirror),
            sandbox=self._kind,
            boot=boot_id(),
        )

    def _begin_snapshot(self) -> None:
        folder = self._place / "snapshot"
        if not (folder / "HEAD").exists():
            make_git_directory(folder, lender=self._mirror, branch="snapshot", commit="", worker="snapshot")
            (folder / "info" / "exclude").write_text("".join(f"{pattern}\n" for pattern in LEFT_OUT))

    def _run(self, script: str, *words: str) -> str:
        ran = self._sandbox.run(
            ["/bin/sh", "-c", script, "check-out", *words],
            cwd=self._place / "tree",
            timeout_seconds=CHECKOUT_SECONDS,
        )
        if ran.status != 0:
            why = "it took too long or was stopped" if ran.status is None else ran.text.strip()[-1000:]
            raise CheckoutError(
                f"the tree could not be checked out: {why}", fix="look at disk space (agentloop doctor)"
            )
        return ran.text


def place_brief(tree: Path, brief: str) -> None:
    """Write TASK.md into `tree`, in which nothing runs now. Raises OSError.

    What lies there may be a link to somewhere: written through, that file would be overwritten.
    """
    path = tree / TASK
    path.unlink(missing_ok=True)
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    with os.fdopen(fd, "w", encoding="utf-8", errors="replace") as stream:
        stream.write(brief)


def variables_for(folder: Path, tree: Path, config: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a git inside a sandbox that works with `folder` on `tree`, under `config`."""
    config = {**config, "core.fsync": "none"}  # thrown away with the attempt; the pack that leaves is durable
    return {
        "GIT_DIR": str(folder),
        "GIT_WORK_TREE": str(tree),
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_COUNT": str(len(config)),
        **{f"GIT_CONFIG_KEY_{i}": key for i, key in enumerate(config)},
        **{f"GIT_CONFIG_VALUE_{i}": value for i, value in enumerate(config.values())},
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_NO_LAZY_FETCH": "1",
    }
