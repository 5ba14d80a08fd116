"""What a passing check's output gives away, and what names the evidence of a verdict."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agentloop.domain.work import CheckResult, Finding
from agentloop.gate.evidence import name_of, suspicion

HOLLOW = [
    ("python -m pytest -q", "no tests ran in 0.01s\n"),
    ("pytest", "collected 0 items\n\n=== no tests ran in 0.00s ===\n"),
    ("python -m pytest", "2 deselected in 0.01s\n"),
    ("python -m pytest", "=== 3 skipped in 0.10s ===\n"),
    ("python -m pytest", ""),
    ("cd sub && pytest -x", "collecting ...\n"),
    ("python -m unittest", "\n----\nRan 0 tests in 0.000s\n\nOK\n"),
    ("npx jest --passWithNoTests", "No tests found, exiting with code 0\n"),
    ("npx mocha", "\n  0 passing (2ms)\n"),
    ("node --test", "# tests 0\n# pass 0\n"),
    ("cargo test", "running 0 tests\n\ntest result: ok. 0 passed; 0 failed\n"),
    ("vendor/bin/phpunit", "No tests executed!\n"),
]
SOLID = [
    ("python -m pytest -q", "..\n2 passed in 0.01s\n"),
    ("python -m pytest -qq", "..     [100%]\n"),
    ("python -m pytest", "=== 1 passed, 3 skipped in 0.10s ===\n"),
    ("pytest --version", "pytest 9.2.0\n"),
    ("python -m unittest", "Ran 4 tests in 0.000s\n\nOK (skipped=1)\n"),
    (
        "cargo test",
        "running 0 tests\n\ntest result: ok. 0 passed\n\nrunning 3 tests\ntest result: ok. 3 passed\n",
    ),
    ("go test ./...", "ok  \texample/a\t0.1s\n?   \texample/b\t[no test files]\n"),
    ("ruff check .", "All checks passed!\n"),
    ("true", ""),
    ("python -c 'import x'", ""),
]


@pytest.mark.parametrize(("command", "output"), HOLLOW)
def test_a_check_that_tested_nothing_is_told(command: str, output: str) -> None:
    """Exit 0 is no evidence when the runner itself says that nothing ran, or never came to its end."""
    assert suspicion(command, output)


@pytest.mark.parametrize(("command", "output"), SOLID)
def test_a_check_that_did_its_work_is_not_suspected(command: str, output: str) -> None:
    """Real runs, and commands that are no test runs at all, stand as they are."""
    assert suspicion(command, output) is None


def test_evidence_is_named_by_what_was_seen_and_not_by_when() -> None:
    """The same commands with the same results on the same commit are the same evidence."""
    check = CheckResult(name="t", command="make", passed=True, status=0, output="1.2 s", seconds=1.2)
    finding = Finding(kind="scope", about="a", says="b")
    name = name_of("c", "b", [check], [finding])
    assert name == name_of("c", "b", [replace(check, output="9 s", seconds=9.0)], [finding])
    others = [
        name_of("d", "b", [check], [finding]),
        name_of("c", "e", [check], [finding]),
        name_of("c", "b", [replace(check, status=1)], [finding]),
        name_of("c", "b", [replace(check, command="true")], [finding]),
        name_of("c", "b", [check], []),
    ]
    assert len({name, *others}) == 6
