"""The place an attempt works in: its tree, what can be done there, and how the result gets out.

Nothing here opens a path in the tree or in its git directory: all of it happens inside the sandbox. What is
delivered is made from a git directory of the harness's own (`snapshot/`), in a sandbox that sees the tree but
cannot write it: whatever a worker did to its git directory (corrupted, reconfigured, removed), the result is
the files of its tree, as one commit on the base.
"""

from __future__ import annotations

import json
import os
import sys
from functools import partial
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Final

from agentloop.domain.valueclass import dataclass, replace
from agentloop.domain.work import Check
from agentloop.errors import AgentloopError
from agentloop.worker.checkout import Checkout, place_brief, variables_for
from agentloop.worker.sandbox import MARK, sandbox_for

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from agentloop.domain.work import AttemptSpec
    from agentloop.worker.sandbox import Ran

GIT_SECONDS: Final = 300.0
CHECK_OUTPUT_BYTES: Final = 12_000
SHELL_OUTPUT_BYTES: Final = 24_000
EDIT_SECONDS: Final = 30.0
KILLED: Final = 128
"""Exit status from which on a command, or one in it, was ended by a signal (sh(1))."""
_WHO: Final = "agentloop worker <worker@agentloop.invalid>"


class WorkplaceError(AgentloopError):
    """The place cannot be used: set-up failed, or git could not make a result."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What the checks said about a tree: its id, whether it differs from the base, what failed and how."""

    tree: str
    changed: bool
    failed: tuple[str, ...] = ()
    report: str = ""

    @property
    def passed(self) -> bool:
        """Whether there is something to deliver and nothing against it."""
        return self.changed and not self.failed


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What is handed over: a commit on the base, its objects as a pack; `tip` is "" when nothing changed."""

    tip: str
    pack: bytes


class Workplace:
    """Tree, sandbox and snapshot of an attempt. `interrupt` is a descriptor that ends the command in hand."""

    def __init__(self, spec: AttemptSpec, *, interrupt: int | None = None) -> None:
        folder = Path(spec.folder)
        self.spec = spec
        self.tree = folder / "tree"
        self._snapshot = folder / "snapshot"
        lent = (Path(spec.mirror) / "objects",)
        runtime = folder.parent.parent
        tmp = folder / "tmp"
        mark = os.environ.get(MARK, str(folder))  # as the executor wrote it
        sandbox = partial(sandbox_for, spec.worker, hidden=(runtime,), mark=mark, interrupt=interrupt)
        self.sandbox = sandbox(writable=(self.tree, folder / "git"), readable=lent, tmp=tmp)
        self._scribe = sandbox(
            writable=(self._snapshot,),
            readable=(self.tree, *lent),
            variables=_scribe_variables(self._snapshot, self.tree),
        )
        self._checkout = Checkout(
            folder,
            mirror=Path(spec.mirror),
            worker=spec.worker,
            hidden=runtime,
            mark=mark,
            interrupt=interrupt,
        )
        self._base_tree = ""
        for path in (tmp, self._snapshot):
            path.mkdir(exist_ok=True)

    def set_up(self) -> str:
        """Prove the sandbox, check the base out, run the target's set-up command; note what it left about.

        Returns how the tree came: "ready" (made ahead), "moved" (made ahead, brought to the base), "new".
        Raises UnsafeError, CheckoutError, WorkplaceError, OSError.
        """
        folder = Path(self.spec.folder)
        secrets = [folder / "spec.json", folder / "claim.json", folder.parent.parent / "run"]
        key_file = self.spec.models.key_file
        self.sandbox.check(secrets=(*secrets, *((Path(key_file).expanduser(),) if key_file else ())))
        stand, how_it_came = self._checkout.to(self.spec.base)
        self._base_tree = stand.tree
        if self.spec.origin:
            self._base_tree = self._git("rev-parse", f"{self.spec.origin}^{{tree}}").strip()
        if stand.task != "folder":  # that is the repository's business; the worker is told the brief anyway
            place_brief(self.tree, self.spec.brief)
        if stand.task == "file":
            self._checkout.cover_task()
        if self.spec.target.setup:
            ran = self._command(self.spec.target.setup, self.spec.limits.check_minutes * 60)
            if ran.status != 0:
                raise WorkplaceError(
                    f"the set-up command failed ({how(ran)}): {self.spec.target.setup}\n{ran.text[-2000:]}",
                    fix=f"mend `setup` of target {self.spec.target.name!r}; it runs without network",
                )
            left = self._git("ls-files", "-z", "--others", "--exclude-standard", "--directory").split("\0")
            self._leave_out(f"/{_escaped(path)}" for path in left if path)
        return how_it_came

    def take_up(self) -> None:
        """Take up the place as an attempt left it that was killed. Raises WorkplaceError."""
        self._clear_locks()
        self._base_tree = self._git("rev-parse", f"{self.spec.origin or self.spec.base}^{{tree}}").strip()

    def shell(self, command: str) -> Ran:
        """Return how `command` went in the tree."""
        return self._command(command, self.spec.worker.command_seconds, SHELL_OUTPUT_BYTES)

    def edit(self, given: Mapping[str, object]) -> tuple[bool, str]:
        """Return whether the edit was made, and what to say about it."""
        script = resources.files("agentloop.worker").joinpath("hands.py").read_text("utf-8")
        ran = self.sandbox.run(
            [sys.executable, "-I", "-S", "-c", script],
            cwd=self.tree,
            timeout_seconds=EDIT_SECONDS,
            input=json.dumps(dict(given), default=str).encode(),
            output_limit=1 << 20,
        )
        try:
            answer = json.loads(ran.output)
        except ValueError:
            return False, f"the edit failed ({how(ran)}): {ran.text[-500:]}"
        return bool(answer["ok"]), str(answer["says"]).encode("utf-8", "replace").decode()

    def mark(self) -> str:
        """Return the name of the tree and its last commit, as they are now; "" when git cannot say."""
        ran = self._command("git rev-parse HEAD", EDIT_SECONDS, 200)
        try:
            return f"{self._tree(careless=True)} {ran.text.strip()}"
        except WorkplaceError:
            return ""

    def prove(self) -> Proof:
        """Run the contract's checks and the target's verify commands on the tree as it is now.

        Raises WorkplaceError, UnsafeError.
        """
        try:
            tree = self._tree()
        except WorkplaceError as error:
            return Proof(tree="", changed=True, failed=("git add",), report=error.what)
        if tree == self._base_tree:
            return Proof(tree=tree, changed=False)
        foreign = self._foreign()
        if foreign:
            says = f"{', '.join(foreign)}: a repository within it cannot be delivered; remove its .git"
            return Proof(tree=tree, changed=True, failed=("deliverable",), report=says)
        failed, words = [], []
        for check in checks_of(self.spec):
            ran = self._command(check.command, self.spec.limits.check_minutes * 60, CHECK_OUTPUT_BYTES)
            words.append(f"$ {check.command}\n{ran.text.rstrip()}\n[{how(ran)}]")
            failed += [] if ran.status == 0 else [check.name]
        return Proof(tree=tree, changed=True, failed=tuple(failed), report="\n\n".join(words))

    def result(self, *, message: str, tree: str = "") -> Result:
        """Return the tree (as it is now, or as `tree` names it) as a commit on the base, packed.

        Raises WorkplaceError when it weighs more than `limits.pack_mb` or git fails.
        """
        tree = tree or self._tree(careless=True)
        if tree == self._base_tree:
            return Result(tip="", pack=b"")
        tip = self._git("commit-tree", tree, "-p", self.spec.base, "-m", message).strip()
        limit = self.spec.limits.pack_mb << 20
        ran = self._scribe.run(
            [
                "/bin/sh",
                "-c",
                "exec git pack-objects -q --revs --thin --stdout --delta-base-offset 2>/dev/null",
            ],
            cwd=self._snapshot,
            timeout_seconds=GIT_SECONDS,
            input=f"{tip}\n^{self.spec.base}\n".encode(),
            output_limit=2 * limit,
        )
        if ran.status != 0:
            raise WorkplaceError(f"git could not pack the result ({how(ran)})")
        if len(ran.output) > limit:
            raise WorkplaceError(
                f"the result weighs more than {self.spec.limits.pack_mb} MB",
                fix="take big or generated files out of the change, or raise limits.pack_mb",
            )
        return Result(tip=tip, pack=ran.output)

    def leave_out_big(self) -> None:
        """Leave files out of the result that weigh more than a result may, when they are new.

        For an attempt that is ended because it filled the disk: storing them would fill it once more.
        """
        mb = self.spec.limits.pack_mb
        words = ("find", ".", "-name", ".git", "-prune", "-o", "-type", "f", "-size", f"+{mb}M", "-print0")
        ran = self._scribe.run(words, cwd=self.tree, timeout_seconds=EDIT_SECONDS, output_limit=1 << 20)
        paths = ran.output.decode("utf-8", "surrogateescape").split("\0")
        self._leave_out(f"/{_escaped(path[2:])}" for path in paths if path and "\n" not in path)

    def ignore_interrupt(self) -> None:
        """Let the interrupt pass from now on: for the last things, after the time is over."""
        self.sandbox = replace(self.sandbox, interrupt=None)
        self._scribe = replace(self._scribe, interrupt=None)

    def _command(self, command: str, seconds: float, output_limit: int = CHECK_OUTPUT_BYTES) -> Ran:
        ran = self.sandbox.run(
            ["/bin/sh", "-c", command], cwd=self.tree, timeout_seconds=seconds, output_limit=output_limit
        )
        if ran.status is None or ran.status >= KILLED:
            self._clear_locks()
        return ran

    def _clear_locks(self) -> None:
        """Take away what a killed git left in the worker's git directory: its next git would wait for nobody.

        Commands run one at a time and end with all they started, so no lock there is anybody's now.
        """
        words = ("find", str(self.tree.parent / "git"), "-name", "*.lock", "-type", "f", "-delete")
        self.sandbox.run(words, cwd=self.tree, timeout_seconds=EDIT_SECONDS)

    def _leave_out(self, patterns: Iterable[str]) -> None:
        with (self._snapshot / "info" / "exclude").open(
            "a", encoding="utf-8", errors="surrogateescape"
        ) as stream:
            stream.writelines(f"{pattern}\n" for pattern in patterns)

    def _tree(self, *, careless: bool = False) -> str:
        """Return the id of the tree as it is now; `careless` leaves out what cannot be read."""
        (self._snapshot / "index.lock").unlink(missing_ok=True)  # of a git that was stopped
        options = ("--ignore-errors",) if careless else ()
        self._git("add", "-A", *options, "--", ".", may_fail=careless)
        return self._git("write-tree").split()[-1]

    def _foreign(self) -> tuple[str, ...]:
        """Paths that became links to commits: git takes a repository within the tree for one."""
        raw = self._git("diff-index", "--cached", "--raw", "-z", "--no-renames", self.spec.base).split("\0")
        pairs = zip(raw[::2], raw[1::2], strict=False)
        return tuple(path for change, path in pairs if change[8:14] == "160000")

    def _git(self, *words: str, may_fail: bool = False) -> str:
        ran = self._scribe.run(
            ["git", *words], cwd=self.tree, timeout_seconds=GIT_SECONDS, output_limit=8 << 20
        )
        if ran.status != 0 and not may_fail:
            raise WorkplaceError(f"git {words[0]} failed ({how(ran)}): {ran.text.strip()[-1000:]}")
        return ran.output.decode("utf-8", "surrogateescape")


def checks_of(spec: AttemptSpec) -> tuple[Check, ...]:
    """Return what must pass: the contract's checks, then those verify commands that it does not name."""
    named = {check.command for check in spec.task.contract.checks}
    verify = (Check(name=command, command=command) for command in spec.target.verify if command not in named)
    return (*spec.task.contract.checks, *verify)


def how(ran: Ran) -> str:
    """Return how a command ended, in words: "exit 1 after 0.2 s"."""
    if ran.timed_out:
        return f"stopped: not finished after {ran.seconds:.0f} s"
    ended = f"exit {ran.status}" if ran.status is not None else "stopped"
    return f"{ended} after {ran.seconds:.1f} s"


def _escaped(path: str) -> str:
    return "".join(f"\\{letter}" if letter in "\\*?[]!# " else letter for letter in path)


def _scribe_variables(folder: Path, tree: Path) -> dict[str, str]:
    config = {
        "core.hooksPath": "/dev/null",
        "core.quotePath": "false",
        "core.safecrlf": "false",
        "advice.addEmbeddedRepo": "false",
        "gc.auto": "0",
        "pack.threads": "1",
    }
    who, mail = _WHO.removesuffix(">").split(" <")
    return variables_for(folder, tree, config) | {
        f"GIT_{role}_{key}": value
        for role in ("AUTHOR", "COMMITTER")
        for key, value in (("NAME", who), ("EMAIL", mail))
    }
