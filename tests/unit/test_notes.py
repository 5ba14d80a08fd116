"""What a person is told first about a change, and what not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agentloop.domain.changes import GONE, Change
from agentloop.gate.notes import looks_like_a_test, notes_on
from agentloop.gate.policy import Diff

TESTS = [
    "pkg/tests/testtimeparse.py", "a/test.py", "a_test.go", "x/ATest.java", "x/ATests.cs", "unittests/a.c",
    "spec/a.yaml", "a.spec.ts", "lib/foo-test.js", "Tests/a.swift", "doctest_a.txt",
]  # fmt: skip
NO_TESTS = [
    "src/latest.js", "contest/a.py", "docs/attest.md", "testimonials.html", "src/inspect.py", "special.c",
    "src/a.py", "README", "testament.txt", "src/testing/doubles.py",
]  # fmt: skip


def change(
    path: str, *, added: int = 0, removed: int = 0, old: str = "100644", new: str = "100644"
) -> Change:
    """A changed file with its lines."""
    return Change(
        raw_path=path.encode(),
        old_mode=old,
        new_mode=new,
        old_id="a" * 40,
        new_id="b" * 40,
        added=added,
        removed=removed,
    )


def told(*changes: Change, **added: str) -> tuple[str, ...]:
    """The notes on these changes, with one added line each for `added` (a path's stem: its text)."""
    lines: dict[str, tuple[tuple[int, str], ...]] = {
        f"{path}.py": ((7, text),) for path, text in added.items()
    }
    return notes_on(Diff(changes=changes, added=lines))


@pytest.mark.parametrize("path", TESTS)
def test_what_sounds_like_a_test_is_told_as_one(path: str) -> None:
    """No list of globs is asked: a wrong setting must not hide that tests go."""
    assert looks_like_a_test(path)


@pytest.mark.parametrize("path", NO_TESTS)
def test_what_only_has_the_letters_is_no_test(path: str) -> None:
    """Words that hold `test` or `spec` by chance raise no alarm."""
    assert not looks_like_a_test(path)


def test_an_emptied_test_file_is_told_with_its_lines() -> None:
    """The number of lines says at a glance what was lost."""
    emptied = change("pytimeparse/tests/testtimeparse.py", removed=363)
    cut = change("a/test_b.py", removed=20, added=3)
    assert told(change("a.py", added=3), cut, emptied) == (
        "Removes 363 lines from `pytimeparse/tests/testtimeparse.py`",
        "Removes 20 lines from `a/test_b.py` and adds 3",
        "Removes 383 lines in all and adds 6",
    )


def test_a_deleted_test_file_is_told_however_short() -> None:
    """A file that is gone is a decision, not an edit; one that only moved among the tests is none."""
    gone = change("tests/test_a.py", removed=2, new=GONE)
    moved = replace(change("tests/unit/test_a.py", added=2, old=GONE), new_id=gone.old_id)
    assert told(gone) == ("Deletes `tests/test_a.py` (2 lines)",)
    assert told(gone, moved) == ()


def test_much_that_is_removed_is_told_whatever_it_was() -> None:
    """Product code goes too: hundreds of lines, or many files."""
    assert told(change("a.py", removed=300, added=20)) == ("Removes 300 lines in all and adds 20",)
    files = [change(f"{n}.py", removed=1, new=GONE) for n in range(6)]
    assert told(*files) == ("Deletes 6 files",)
    assert told(change("a.py", removed=300, added=290)) == ()


def test_only_the_worst_are_told_one_by_one() -> None:
    """A long list is summed up: the notes stand at the top of a pull request that is read on a phone."""
    notes = told(*(change(f"tests/test_{n}.py", removed=20 + n) for n in range(8)))
    assert notes[0] == "Removes 27 lines from `tests/test_7.py`"
    assert notes[5] == "Removes 63 lines from 3 more files that look like tests"


def test_ordinary_changes_carry_no_note() -> None:
    """New tests, small edits of tests, and ordinary edits: nothing to look at first."""
    assert told(change("a.py", added=30, removed=12), change("tests/test_a.py", added=3, removed=5)) == ()


def test_code_that_could_speak_for_a_test_runner_is_told() -> None:
    """Counts are read from what a run prints: who prints such words, or ends the run, is named."""
    assert told(calc="import os; os._exit(0)") == ("`calc.py`, line 7, ends the process on the spot",)
    assert told(calc="print('Ran 52 tests in 0.1s')") == ("`calc.py`, line 7, says what test runners say",)
    assert told(calc="from _pytest import python") == ("`calc.py`, line 7, reaches into the test runner",)
    assert told(test_calc="print('Ran 52 tests in 0.1s')", other="x = 3") == ()


def test_a_path_cannot_break_out_of_its_quotes() -> None:
    """Names come from strangers."""
    assert told(change("tests/a`b.py", removed=99))[0] == "Removes 99 lines from `tests/a'b.py`"
