"""How many tests a check ran, as the test runners' own summaries tell it. Pure.

A test counts that was carried out, whether it passed or failed; skipped, pending, ignored and expected
failures do not, so that a test which a change merely switches off is missed. The words are those that the
runners print: pytest, unittest, doctest, jest, vitest, mocha, `node --test` in TAP and spec form, Deno, Bun,
`go test -v`, cargo, ctest, GoogleTest, Maven Surefire, JUnit, PHPUnit, RSpec, minitest, ExUnit, bats, .NET
and prove. What a command prints of several runs is added up.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

_ESCAPES: Final = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_LEFT_OUT: Final = re.compile(r"^\[… \d+ bytes left out …\]$", re.MULTILINE)
_WORD: Final = re.compile(r"(\d+) ([a-z]+)")


def count_tests(output: str) -> int | None:
    """Return how many tests `output` says were run, or None when no runner that is known here told it.

    None too where the middle of the output was left out: a sum over what is left would be made up.
    """
    text = _ESCAPES.sub("", output).replace("\r\n", "\n")
    if _LEFT_OUT.search(text):
        return None
    found = [
        count(match) for pattern, count in _SUMMARIES for match in re.finditer(pattern, text, re.MULTILINE)
    ]
    if not found:
        found = _case_by_case(text)
    return sum(found) if found else None


def _case_by_case(text: str) -> list[int]:
    """Runners that were told to be quiet, or never add up: a line, or a character, for each test."""
    go = re.findall(r"^[ \t]*--- (?:PASS|FAIL): ", text, re.MULTILINE)
    dots = re.findall(r"^([.FEsxXR]+) +\[ *\d+%\]$", text, re.MULTILINE)
    rows = [sum(row.count(sign) for sign in ".FX") for row in dots]
    return [len(go)] if go else rows


def _words(match: re.Match[str]) -> int:
    """`3 failed, 50 passed, 1 skipped`, and the other words for it."""
    counts = {word: int(number) for number, word in _WORD.findall(match[1])}
    return sum(counts.get(word, 0) for word in ("passed", "failed", "xpassed"))


def _less(match: re.Match[str]) -> int:
    """All of them, less those that were left out: groups `all` and `out`."""
    return max(0, int(match["all"]) - sum(map(int, re.findall(r"\d+", match["out"] or ""))))


def _sum(match: re.Match[str]) -> int:
    return sum(int(number) for number in match.groups() if number)


def _unittest(match: re.Match[str]) -> int:
    left_out = re.findall(r"(?:skipped|expected failures)=(\d+)", match["ended"] or "")
    return max(0, int(match["all"]) - sum(map(int, left_out)))


def _phpunit(match: re.Match[str]) -> int:
    left_out = re.findall(r"(?:Skipped|Incomplete): (\d+)", match["out"])
    return max(0, int(match["all"]) - sum(map(int, left_out)))


_SUMMARIES: Final[tuple[tuple[str, Callable[[re.Match[str]], int]], ...]] = (
    # pytest: "=== 1 failed, 3 passed in 0.1s ===", with -q without the rule, "no tests ran in 0.01s".
    (r"^=* ?((?:\d+ [a-z]+(?:, )?)+|no tests ran) in [\d.]+s(?: \([\d:]+\))? ?=*$", _words),
    (r"^Ran (?P<all>\d+) tests? in [\d.]+s$(?P<ended>\n+^(?:OK|FAILED|NO TESTS RAN).*$)?", _unittest),
    # jest: "Tests:       1 failed, 2 skipped, 3 passed, 6 total".
    (r"^Tests: +((?:\d+ [a-z]+, )*)\d+ total$", _words),
    # vitest: "      Tests  1 failed | 3 passed (4)".
    (r"^ *Tests  ((?:\d+ [a-z]+(?: \| )?)+) \(\d+\)$", _words),
    (r"^ +(\d+) (?:passing|failing)\b", _sum),
    (r"^(?:#|\u2139) (?:pass|fail) +(\d+)$", _sum),
    # Deno: "ok | 12 passed (3 steps) | 0 failed (10ms)"; Bun: " 12 pass" and " 0 fail", a line each.
    (r"^(?:ok|FAILED) \| (\d+) passed(?: \(\d+ steps?\))? \| (\d+) failed", _sum),
    (r"^ +(\d+) (?:pass|fail)$", _sum),
    (r"^test result: \w+\. (\d+) passed; (\d+) failed\b", _sum),
    (r"^\d+% tests passed, \d+ tests? failed out of (\d+)$", _sum),
    (r"^\[==========\] (\d+) tests? from \d+ test (?:suites?|cases?) ran\.", _sum),
    # Surefire: each class ends with ", Time elapsed", the whole module does not.
    (r"Tests run: (?P<all>\d+), Failures: \d+, Errors: \d+(?P<out>, Skipped: \d+)?$", _less),
    # JUnit's own runner, and PHPUnit.
    (r"^OK \((\d+) tests?(?:, \d+ assertions?)?\)$", _sum),
    (r"^Tests: (?P<all>\d+), Assertions: \d+(?P<out>(?:, [A-Z][A-Za-z ]*: \d+)*)\.$", _phpunit),
    (r"^(?P<all>\d+) examples?, \d+ failures?(?P<out>, \d+ pending)?", _less),
    (r"^(?P<all>\d+) runs, \d+ assertions, \d+ failures, \d+ errors(?P<out>, \d+ skips)?$", _less),
    (r"^(?P<all>\d+) tests?, \d+ failures?(?P<out>(?:, \d+ (?:skipped|excluded))*)$", _less),
    (r"^(\d+) passed and (\d+) failed\.$", _sum),
    (r"(?:Passed|Failed)! +- Failed: +(\d+), Passed: +(\d+), Skipped:", _sum),
    (r"^Files=\d+, Tests=(\d+), ", _sum),
)
