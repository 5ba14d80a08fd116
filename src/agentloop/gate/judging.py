"""One judgement, step by step: look at the change, check it out, run every check, and say what was seen."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from agentloop.domain.secrets import redact
from agentloop.domain.work import Check, CheckResult, Finding, Verdict
from agentloop.errors import AgentloopError
from agentloop.gate.checkout import make_checkout, read_diff, watch
from agentloop.gate.evidence import name_of, suspicion
from agentloop.gate.policy import scan
from agentloop.worker.sandbox import sandbox_for

if TYPE_CHECKING:
    from agentloop.domain.work import GateSpec
    from agentloop.edges.lines import Lines
    from agentloop.gate.checkout import Watched
    from agentloop.gate.policy import Diff
    from agentloop.home import RunFolder
    from agentloop.worker.sandbox import Ran, Sandbox

SETUP: Final = "setup"
OUTPUT_BYTES: Final = 8_000
_SAID: Final = 600
_LAST_SECONDS: Final = 15
"""How long before its deadline a gate stops running commands: the verdict wants to be written."""
_UNRUNNABLE: Final = frozenset({"empty", "hostile", "mode"})


def judge(spec: GateSpec, folder: RunFolder, lines: Lines) -> Verdict:
    """Return the verdict on the commit of `spec`.

    Raises AgentloopError (UnsafeError without a sandbox, GitError) and OSError: then nothing is known about
    it.
    """
    return _Judging(spec=spec, folder=folder, lines=lines).verdict()


def checks_of(spec: GateSpec) -> tuple[Check, ...]:
    """Return what is run, in order: set-up, the contract's checks, the target's own; no command twice."""
    verify = [
        Check(name=f"verify {number}", command=command)
        for number, command in enumerate(spec.target.verify, start=1)
    ]
    wanted = [*spec.task.contract.checks, *(verify if spec.scan else [])]
    once = {check.command: check for check in reversed(wanted)}
    chosen = [check for check in wanted if once[check.command] is check]
    if chosen and spec.target.setup:
        chosen.insert(0, Check(name=SETUP, command=spec.target.setup))
    return tuple(chosen)


@dataclass(slots=True, kw_only=True)
class _Judging:
    """What was found and run so far."""

    spec: GateSpec
    folder: RunFolder
    lines: Lines
    findings: list[Finding] = field(default_factory=list)
    results: list[CheckResult] = field(default_factory=list)

    def verdict(self) -> Verdict:
        spec = self.spec
        diff = read_diff(spec)
        if spec.scan or not diff.changes:
            self.findings += scan(diff, spec.task.contract, spec.target, spec.limits)
        if not any(finding.kind in _UNRUNNABLE for finding in self.findings):
            self._run_checks(diff)
        added, removed = diff.lines
        return Verdict(
            attempt=spec.attempt,
            commit=spec.commit,
            base=spec.base,
            checks=tuple(self.results),
            findings=tuple(self.findings),
            at=datetime.now(UTC),
            sandboxed=spec.worker.sandbox != "none",
            evidence=name_of(spec.commit, spec.base, self.results, self.findings),
            files=len(diff.changes),
            added=added,
            removed=removed,
        )

    def _run_checks(self, diff: Diff) -> None:
        checks = checks_of(self.spec)
        if not checks:
            says = "neither the contract nor the target names a check: nothing shows that it is done"
            self._find("none", says)
            return
        tree = make_checkout(self.spec, self.folder, diff)
        sandbox = self._sandbox()
        sandbox.check()
        before = watch(tree, self.spec)
        for check in checks:
            passed = self._run(check, sandbox, tree)
            self._look_for_meddling(check, before, tree)
            if check.name == SETUP and not passed:
                return

    def _sandbox(self) -> Sandbox:
        return sandbox_for(
            self.spec.worker,
            writable=(self.folder.tree, self.folder.git),
            readable=(Path(self.spec.mirror) / "objects",),
            hidden=(self.folder.root.parent.parent,),
            tmp=self.folder.tmp,
            mark=str(self.folder.root),
        )

    def _run(self, check: Check, sandbox: Sandbox, tree: Path) -> bool:
        seconds = min(self.spec.limits.check_minutes * 60.0, self._seconds_left())
        began = time.monotonic()
        ran = sandbox.run(
            ["/bin/sh", "-c", check.command],
            cwd=tree,
            # The checkout is its owner's, whoever that is to the sandbox.
            env={"GIT_CONFIG_GLOBAL": "/dev/null"},
            timeout_seconds=seconds,
            output_limit=OUTPUT_BYTES,
        )
        output = redact(ran.text)
        passed = ran.status == 0
        self.results.append(
            CheckResult(
                name=check.name,
                command=check.command,
                passed=passed,
                status=ran.status,
                output=output,
                seconds=round(time.monotonic() - began, 3),
            )
        )
        self.lines.say("gate.check", f"{check.name}: {_how(ran)}", check=check.name, status=ran.status)
        why = suspicion(check.command, output) if passed and check.name != SETUP else _failure(ran, output)
        if why and (not passed or check.name != SETUP):
            self._find(check.name, why)
        return passed

    def _seconds_left(self) -> float:
        left = (self.spec.deadline - datetime.now(UTC)).total_seconds() - _LAST_SECONDS
        if left <= 0:
            raise AgentloopError(
                "the gate's time was over before all checks were run",
                fix="make the checks quicker, or raise limits.check_minutes",
            )
        return left

    def _look_for_meddling(self, check: Check, before: Watched, tree: Path) -> None:
        for path in before.altered(watch(tree, self.spec)):
            says = f"was altered while {check.name!r} ran: what ran after it cannot be trusted"
            finding = Finding(kind="tests", about=path, says=says)
            if not any(each.about == path and each.kind == "tests" for each in self.findings):
                self.findings.append(finding)

    def _find(self, about: str, says: str) -> None:
        self.findings.append(Finding(kind="check", about=about, says=says))


def _how(ran: Ran) -> str:
    if ran.timed_out:
        return f"stopped after {ran.seconds:.0f} s"
    return "passed" if ran.status == 0 else f"ended with {ran.status}"


def _failure(ran: Ran, output: str) -> str:
    return f"{_how(ran)}: {output.strip()[-_SAID:]}" if output.strip() else _how(ran)
