"""What a passing check's output gives away, and what names the evidence of a verdict."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agentloop.domain.work import CheckResult, Finding
from agentloop.gate.counts import count_tests
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
    ("python -m pytest -q", "s                                   [100%]\n1 skipped in 0.01s\n"),
    ("python -m unittest", "sss\n----\nRan 3 tests in 0.000s\n\nOK (skipped=3)\n"),
    ("python -m unittest", "x\n----\nRan 1 test in 0.000s\n\nOK (expected failures=1)\n"),
    ("python -m unittest", "\n----\nRan 0 tests in 0.000s\n\nNO TESTS RAN\n"),
    ("npm test", '> x@1.0.0 test\n> echo "Error: no test specified"\n\nError: no test specified\n'),
    ("npm test", "> jest --passWithNoTests\n\nNo tests found, exiting with code 0\n"),
    ("npm test", "> vitest run --passWithNoTests\n\nNo test files found, exiting with code 0\n"),
    ("npm test", "Tests:       4 skipped, 4 total\n"),
    ("npm test", "\n  0 passing (1ms)\n  3 pending\n"),
    ("node --test", "\u2139 tests 0\n\u2139 suites 0\n\u2139 pass 0\n\u2139 fail 0\n"),
    (
        "cargo test",
        "running 2 tests\ntest a ... ignored\n\ntest result: ok. 0 passed; 0 failed; 2 ignored;\n",
    ),
    ("go test ./...", "?   \texample/b\t[no test files]\n"),
    ("go test ./...", "testing: warning: no tests to run\nPASS\n"),
    ("ctest", "No tests were found!!!\n"),
    ("mvn test", "[INFO] Tests are skipped.\n"),
    ("gradle test", "> Task :app:test NO-SOURCE\n"),
    ("python -m pytest", "=== 1 failed, 1 passed in 0.01s ===\n"),
    ("python -m pytest", "1 passed, 2 errors in 0.01s\n"),
    ("python -m unittest", "Ran 2 tests in 0.000s\n\nFAILED (failures=1)\n"),
    ("npm test", "Tests:       1 failed, 3 passed, 4 total\n"),
    ("npm test", "      Tests  1 failed | 3 passed (4)\n"),
    ("npm test", "  3 passing (4ms)\n  1 failing\n"),
    ("node --test", "# pass 3\n# fail 1\n"),
    ("cargo test", "test result: FAILED. 2 passed; 1 failed; 0 ignored\n"),
    ("go test -v ./...", "--- PASS: TestA (0.00s)\n--- FAIL: TestB (0.00s)\n"),
    ("mvn test", "[INFO] Tests run: 12, Failures: 1, Errors: 0, Skipped: 1\n"),
    ("bundle exec rspec", "0 examples, 0 failures\n"),
    ("rake test", "0 runs, 0 assertions, 0 failures, 0 errors, 0 skips\n"),
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
    ("npm test", "Tests:       1 skipped, 3 passed, 4 total\n"),
    ("npm test", "  3 passing (4ms)\n  1 pending\n"),
    ("mvn test", "[INFO] Tests run: 3, Failures: 0, Errors: 0, Skipped: 1\n"),
    ("ruff check .", "All checks passed!\n"),
    ("true", ""),
    ("python -c 'import x'", ""),
]


COUNTED = [
    (0, "no tests ran in 0.01s\n"),
    (3, "...                                                         [100%]\n3 passed in 0.01s\n"),
    (4, "=== 1 failed, 3 passed, 2 skipped, 1 xfailed, 1 warning in 65.01s (0:01:05) ===\n"),
    (5, "\x1b[32m\x1b[1m5 passed\x1b[0m\x1b[32m in 0.01s\x1b[0m\n"),
    (7, "3 passed in 0.01s\nmake: next\n=== 4 passed in 1.20s ===\n"),
    (3, "..F                                   [ 75%]\ns                                   [100%]\n"),
    (52, "....\n----\nRan 52 tests in 0.100s\n\nOK\n"),
    (49, "....\n----\nRan 52 tests in 0.100s\n\nOK (skipped=2, expected failures=1)\n"),
    (2, "----\r\nRan 2 tests in 0.100s\r\n\r\nFAILED (failures=1)\r\n"),
    (0, "----\nRan 0 tests in 0.000s\n\nNO TESTS RAN\n"),
    (4, "Test Suites: 1 passed, 1 total\nTests:       1 failed, 2 skipped, 3 passed, 6 total\n"),
    (50, " Test Files  3 passed (3)\n      Tests  50 passed | 2 skipped (52)\n"),
    (6, "\n  5 passing (10ms)\n  2 pending\n  1 failing\n"),
    (5, "1..5\n# tests 5\n# suites 0\n# pass 4\n# fail 1\n# skipped 0\n"),
    (5, "\u2139 tests 6\n\u2139 pass 5\n\u2139 fail 0\n\u2139 skipped 1\n"),
    (12, "ok | 12 passed (3 steps) | 0 failed (10ms)\n"),
    (12, "bun test v1\n\n 12 pass\n 0 fail\nRan 12 tests across 2 files. [9.00ms]\n"),
    (
        3,
        "--- PASS: TestA (0.00s)\n    --- PASS: TestA/x (0.00s)\n--- FAIL: TestB (0.1s)\nFAIL\n",
    ),
    (None, "ok  \texample/a\t0.1s\n"),
    (3, "test result: ok. 0 passed; 0 failed; 1 ignored\ntest result: ok. 3 passed; 0 failed; 0 ignored\n"),
    (12, "100% tests passed, 0 tests failed out of 12\n"),
    (12, "[==========] 12 tests from 3 test suites ran. (4 ms total)\n[  PASSED  ] 12 tests.\n"),
    (
        11,
        (
            "[INFO] Tests run: 12, Failures: 0, Errors: 0, Skipped: 1, Time elapsed: 0.1 s - in A\n"
            "[INFO] Tests run: 12, Failures: 0, Errors: 0, Skipped: 1\n"
        ),
    ),
    (12, "OK (12 tests, 30 assertions)\n"),
    (2, "Tests: 3, Assertions: 2, Failures: 1, Skipped: 1.\n"),
    (11, "12 examples, 0 failures, 1 pending\n"),
    (11, "12 runs, 30 assertions, 0 failures, 0 errors, 1 skips\n"),
    (12, "12 tests, 0 failures\n"),
    (12, "Passed!  - Failed:     0, Passed:    12, Skipped:     0, Total:    12, Duration: 3 ms\n"),
    (9, "All tests successful.\nFiles=2, Tests=9,  1 wallclock secs\nResult: PASS\n"),
    (5, "5 passed and 0 failed.\nTest passed.\n"),
    (None, ""),
    (None, "All checks passed!\n"),
    (None, "3 files already formatted\nSuccess: no issues found in 3 source files\n"),
    (None, "3 passed in 0.01s\n\n[… 900000 bytes left out …]\n3 passed in 0.01s\n"),
]


@pytest.mark.parametrize(("count", "output"), COUNTED)
def test_tests_that_were_run_are_counted_as_their_runner_tells_it(count: int | None, output: str) -> None:
    """What was carried out counts, what was switched off does not; unknown words are no number at all."""
    assert count_tests(output) == count


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
