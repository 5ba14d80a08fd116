"""One judgement, step by step: look at the change, run the checks on it and on its base, tell the outcome."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from agentloop.domain.valueclass import dataclass, field, replace
from agentloop.domain.work import Check, CheckResult, Finding, Verdict
from agentloop.errors import AgentloopError
from agentloop.gate.baseline import Baseline
from agentloop.gate.checkout import make_checkout, read_diff, watch
from agentloop.gate.commands import run_command, sandbox_of, seconds_left
from agentloop.gate.evidence import lost_tests, may_lose, name_of, suspicion
from agentloop.gate.notes import notes_on
from agentloop.gate.policy import beyond_approval, scan

if TYPE_CHECKING:
    from pathlib import Path

    from agentloop.domain.work import GateSpec
    from agentloop.edges.lines import Lines
    from agentloop.gate.baseline import Before
    from agentloop.gate.checkout import Watched
    from agentloop.gate.policy import Diff
    from agentloop.home import RunFolder
    from agentloop.worker.sandbox import Ran, Sandbox

SETUP: Final = "setup"
_SAID: Final = 600
PATHS: Final = 200
"""Changed paths that a verdict names."""
_UNRUNNABLE: Final = frozenset({"empty", "hostile", "mode"})


def judge(spec: GateSpec, folder: RunFolder, baselines: Path, lines: Lines) -> Verdict:
    """Return the verdict on the commit of `spec`; `baselines` is where the home keeps what bases were like.

    Raises AgentloopError (UnsafeError without a sandbox, GitError) and OSError: then nothing is known about
    it.
    """
    return _Judging(spec=spec, folder=folder, baselines=baselines, lines=lines).verdict()


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
    baselines: Path
    lines: Lines
    notes: list[str] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    results: list[CheckResult] = field(default_factory=list)

    def verdict(self) -> Verdict:
        spec = self.spec
        diff = read_diff(spec)
        self.notes += notes_on(diff)
        if spec.scan or not diff.changes:
            self.findings += scan(diff, spec.task.contract, spec.target, spec.limits)
            self.findings += beyond_approval(diff, spec.unapproved)
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
            paths=tuple(sorted({change.path for change in diff.changes}))[:PATHS],
            added=added,
            removed=removed,
            notes=tuple(self.notes),
        )

    def _run_checks(self, diff: Diff) -> None:
        checks = checks_of(self.spec)
        if not checks:
            says = "neither the contract nor the target names a check: nothing shows that it is done"
            self._find("none", says)
            return
        began = time.monotonic()
        tree = make_checkout(self.spec, self.folder, diff)
        sandbox = sandbox_of(self.spec, self.folder)
        sandbox.check()
        before = watch(tree, self.spec)
        for check in checks:
            passed = self._run(check, sandbox, tree)
            self._look_for_meddling(check, before, tree)
            if check.name == SETUP and not passed:
                return
        if self.spec.scan:
            self._compare(checks, time.monotonic() - began)

    def _run(self, check: Check, sandbox: Sandbox, tree: Path) -> bool:
        seconds = min(self.spec.limits.check_minutes * 60.0, self._seconds_left())
        began = time.monotonic()
        seen = run_command(check.command, sandbox, tree, seconds)
        ran, output = seen.ran, seen.kept
        passed = ran.status == 0
        self.results.append(
            CheckResult(
                name=check.name,
                command=check.command,
                passed=passed,
                status=ran.status,
                output=output,
                seconds=round(time.monotonic() - began, 3),
                tests=seen.tests,
            )
        )
        self.lines.say("gate.check", f"{check.name}: {_how(ran)}", check=check.name, status=ran.status)
        if not passed:
            self._find(check.name, _failure(ran, output))
        elif check.name != SETUP and (why := suspicion(check.command, seen.whole)):
            self._find(check.name, why)
        return passed

    def _seconds_left(self) -> float:
        left = seconds_left(self.spec)
        if left <= 0:
            raise AgentloopError(
                "the gate's time was over before all checks were run",
                fix="make the checks quicker, or raise limits.check_minutes",
            )
        return left

    def _compare(self, checks: tuple[Check, ...], spent_seconds: float) -> None:
        """Tell of each check how it ended on the base, and hold against the change what is tested no more."""
        asked = {check.command for check in self.spec.task.contract.checks}
        named = [check.command for check in checks if check.name != SETUP]
        lists = [[each for each in named if (each in asked) is of_contract] for of_contract in (True, False)]
        baseline = Baseline(spec=self.spec, folder=self.folder, cache=self.baselines, lines=self.lines)
        known = baseline.look(filter(None, lists), spent_seconds=spent_seconds)
        self.results = [_compared(each, known.get(each.command)) for each in self.results]
        for check in self.results:
            lost = lost_tests(check)
            if lost and may_lose(check, self.spec.task.contract):
                self.notes.insert(0, f"Of {check.name!r}: {lost}")
            elif lost:
                says = f"{lost}: they may become fewer only where the contract opens them, and not by half"
                self.findings.append(Finding(kind="tests", about=check.name, says=says))

    def _look_for_meddling(self, check: Check, before: Watched, tree: Path) -> None:
        for path in before.altered(watch(tree, self.spec)):
            says = f"was altered while {check.name!r} ran: what ran after it cannot be trusted"
            finding = Finding(kind="tests", about=path, says=says)
            if not any(each.about == path and each.kind == "tests" for each in self.findings):
                self.findings.append(finding)

    def _find(self, about: str, says: str) -> None:
        self.findings.append(Finding(kind="check", about=about, says=says))


def _compared(check: CheckResult, before: Before | None) -> CheckResult:
    if before is None or check.name == SETUP:
        return check
    return replace(check, before=before.ended, tests_before=before.tests)


def _how(ran: Ran) -> str:
    if ran.timed_out:
        return f"stopped after {ran.seconds:.0f} s"
    return "passed" if ran.status == 0 else f"ended with {ran.status}"


def _failure(ran: Ran, output: str) -> str:
    return f"{_how(ran)}: {output.strip()[-_SAID:]}" if output.strip() else _how(ran)
