"""What a pull request says about its checks: what they proved, and what each of them said last."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from agentloop.domain.states import Cancelled, TaskView, Try
from agentloop.domain.wording import last_words, pull_body
from agentloop.domain.work import CheckResult, Delivered
from agentloop.testing import samples

UNITTEST = ".......\n----------\nRan 55 tests in 0.100s\n\nOK\n"
CHECK = CheckResult(
    name="tests", command="make | tee", passed=True, status=0, output=UNITTEST, seconds=0.14, tests=55
)
SAID = [
    ("", ""),
    ("\n\n", ""),
    (UNITTEST, "Ran 55 tests in 0.100s"),
    ("..\n===== 3 passed, 1 skipped in 0.10s =====\n", "3 passed, 1 skipped in 0.10s"),
    ("Success: no issues found in 3 source files\n", "Success: no issues found in 3 source files"),
    ("Tests:       1 failed, 3 passed, 4 total\nTime: 1 s\n", "Tests:       1 failed, 3 passed, 4 total"),
    ("building\ndone\n-----\n", "done"),
]


def body(*checks: CheckResult, notes: tuple[str, ...] = (), summary: str = "done") -> str:
    """The description of a pull request with these checks."""
    verdict = replace(samples.verdict("1.1.1"), checks=checks, notes=notes)
    one = Try(
        attempt="1.1.1", evidence="e", started=samples.BEGAN, base="b", parents=("b",), branch="x",
        base_branch="main", slice_micros=1, deadline=samples.BEGAN, trunk="b",
    )  # fmt: skip
    view = TaskView(
        task=samples.task("1.1"), state=Cancelled(reason="any"), since=samples.BEGAN, tries=(one,)
    )
    said = Delivered(tip="d" * 40, summary=summary)
    return pull_body(view, one, said, verdict, closes="", says="", receipt="")


@pytest.mark.parametrize(("output", "line"), SAID)
def test_of_an_output_the_line_that_says_most_is_shown(output: str, line: str) -> None:
    """A runner's count wherever it stands near the end, else the last line with a word in it."""
    assert last_words(output) == line


def test_a_check_that_failed_before_and_passes_now_is_the_proof() -> None:
    """It is set in bold, with how many tests it ran, and summed up below; what it said is folded."""
    text = body(replace(CHECK, before="failed", tests_before=52))
    row = "- **passes now, failed before** (55 tests, 52 before): `make | tee`"
    assert row in text.splitlines()
    assert "- `make | tee` in 0.1 s: `Ran 55 tests in 0.100s`" in text.splitlines()
    assert "1 of these checks failed before this change and passes now." in text


def test_checks_that_passed_before_are_said_to_prove_little() -> None:
    """No finding, but a person should know that nothing here shows the task itself."""
    setup = replace(CHECK, name="setup", command="npm ci", output="", tests=None)
    text = body(setup, replace(CHECK, before="passed", tests_before=55))
    assert "- passed, passed before (55 tests): `make | tee`" in text.splitlines()
    assert "- passed: `npm ci`" in text.splitlines()
    assert "Every check passed before this change too" in text


def test_what_is_not_known_of_the_base_is_not_made_up() -> None:
    """Without a look at the base nothing is claimed; an empty run on it is no pass."""
    assert "before this change" not in body(CHECK)
    text = body(replace(CHECK, before="passed", tests_before=0))
    assert "- passed, ran no test before (55 tests, 0 before): `make | tee`" in text.splitlines()
    assert "before this change" not in text


def test_notes_stand_at_the_top() -> None:
    """What a person should look at first comes before everything else, each on a line of its own."""
    text = body(CHECK, notes=("Removes 363 lines from `a/tests/b.py`", "Deletes 6 files"))
    assert text.startswith(
        "> **Look first:** Removes 363 lines from `a/tests/b.py`\n>\n> **Look first:** Deletes 6 files\n\n"
    )


def test_an_output_cannot_break_out_of_its_line() -> None:
    """What a check prints is a stranger's text."""
    text = body(replace(CHECK, output="x `y` @everybody 3 passed\n"))
    assert "`x 'y' @everybody 3 passed`" in text


def test_what_is_not_folded_fits_on_a_phone() -> None:
    """Many checks, long words: what a reviewer reads first stays within 25 lines."""
    checks = [replace(CHECK, name=f"c{n}", command=f"make {n}") for n in range(30)]
    text = re.sub(r"<details>.*?</details>", "", body(*checks), flags=re.DOTALL)
    shown = [line for line in text.splitlines() if line]
    assert "- and 24 more checks, below" in shown
    assert len(shown) <= 25


def test_a_models_words_fold_nothing_away() -> None:
    """Nor do they end a fold, or begin a comment that hides what follows."""
    text = body(CHECK, summary="</details><!-- all is well --><details open>")
    assert text.count("<details") == text.count("</details>") == 2
    assert "<!--" not in text
