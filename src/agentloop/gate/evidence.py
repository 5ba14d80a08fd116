"""What a check's output says about whether it tested anything, and the name of a verdict's evidence."""

from __future__ import annotations

import hashlib
import json
import re
from typing import TYPE_CHECKING, Final

from agentloop.domain.codec import encode
from agentloop.gate.counts import count_tests

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agentloop.domain.work import CheckResult, Contract, Finding

_NOTHING: Final = (
    (r"\bno tests ran\b|\bcollected 0 items\b", "pytest"),
    (r"^Ran 0 tests in ", "unittest"),
    (r"\bNo tests found\b", "jest"),
    (r"\bNo test files found\b", "vitest"),
    (r"\bError: no test specified\b", "npm"),
    (r"^[ \t]*0 passing\b", "mocha"),
    (r"^# tests 0$", "node --test"),
    (r"\bno tests to run\b|\[no test files\]", "go test"),
    (r"\bNo tests were found!!!", "ctest"),
    (r"\bNo tests to run\.|\bTests are skipped\.", "Maven"),
    (r"^> Task :\S*test NO-SOURCE$", "Gradle"),
    (r"\bNo test is available in ", "dotnet test"),
    (r"\bNo tests executed!", "phpunit"),
    (r"\bNo test modules found\b", "Deno"),
)
_SOMETHING: Final = re.compile(
    r"\b[1-9]\d* (?:passed|passing|failed)\b|^Ran [1-9]\d* tests? in |^ok\s+\S+\s+[\d.(]|^# tests [1-9]",
    re.MULTILINE,
)
_SKIPPED: Final = re.compile(
    r"\b[1-9]\d* (?:skipped|deselected|xfailed|pending|ignored|todo)\b"
    r"|^OK \((?:skipped|expected failures)=\d+",
    re.MULTILINE,
)
_PYTEST: Final = re.compile(r"(?:^|[\s/;&|])(?:pytest|py\.test)(?:\s|$)")
_PYTEST_ENDED: Final = re.compile(r"\b\d+ (?:passed|failed|error|skipped|deselected|xfailed)|\[100%\]")


_FAILED: Final = re.compile(
    r"^=* ?(?:\d+ [a-z]+, )*[1-9]\d* (?:failed|errors?)\b.* in [\d.]+s|^FAILED \((?:failures|errors)="
    r"|^Tests: +[1-9]\d* failed,|^ *Tests  [1-9]\d* failed\b|^ +[1-9]\d* failing$"
    r"|^(?:#|\u2139) fail +[1-9]|^test result: FAILED\.|^[ \t]*--- FAIL: "
    r"|^\d+% tests passed, [1-9]\d* tests? failed"
    r"|\bTests run: \d+, Failures: (?:[1-9]|0, Errors: [1-9])"
    r"|^\d+ (?:examples?|tests?), [1-9]\d* failures?\b"
    r"|^\d+ runs, \d+ assertions, (?:[1-9]|0 failures, [1-9])",
    re.MULTILINE,
)


def suspicion(command: str, output: str) -> str | None:
    """Return why a check that passed shows nothing, or None when there is no reason to think so."""
    if _FAILED.search(output):
        return "it ended with 0 although its output tells of tests that failed"
    count = count_tests(output)
    if count or (count is None and _SOMETHING.search(output)):
        return None
    for pattern, runner in _NOTHING:
        if re.search(pattern, output, re.MULTILINE):
            return f"it passed without running any test ({runner} says so)"
    if _SKIPPED.search(output):
        return "it passed because every test was skipped"
    if count == 0:
        return "it passed without running any test"
    if _PYTEST.search(command) and "--version" not in command and not _PYTEST_ENDED.search(output):
        return "pytest ended with 0 before it came to the end of its tests"
    return None


def lost_tests(check: CheckResult) -> str | None:
    """Return how many fewer tests a check that passed ran than on the base, in words; None when none went."""
    if not check.passed or not check.tests_before:
        return None
    if check.tests is None:
        return f"it told no number of tests; {check.tests_before} ran on the base"
    if check.tests < check.tests_before:
        return f"it ran {check.tests} test{'s' * (check.tests != 1)}; {check.tests_before} ran on the base"
    return None


def may_lose(check: CheckResult, contract: Contract) -> bool:
    """Return whether the contract lets tests go: it opens some, and at least half of all are still run."""
    left = (check.tests or 0) * 2 >= (check.tests_before or 0)
    return bool(contract.may_change_tests) and left


def name_of(commit: str, base: str, checks: Iterable[CheckResult], findings: Iterable[Finding]) -> str:
    """Return the SHA-256 that names this evidence: commits, commands, exit codes, findings; no times."""
    told = [
        commit,
        base,
        [[check.name, check.command, check.status, check.passed] for check in checks],
        [encode(finding) for finding in findings],
    ]
    return hashlib.sha256(json.dumps(told, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
