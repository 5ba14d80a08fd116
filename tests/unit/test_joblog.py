"""The part of a log that says why a build failed."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agentloop.domain.joblog import CHARACTERS, LINES, failing_part

STAMP = "2026-11-20T12:00:00.1234567Z "
LOG = "\n".join(
    f"{STAMP}{line}"
    for line in (
        "##[group]Run actions/checkout@v4",
        "##[endgroup]",
        "##[error]a warning of an earlier step",
        "##[group]Run python -m pytest",
        "python -m pytest",
        "##[endgroup]",
        "\x1b[31mFAILED\x1b[0m test_calc.py::test_add - assert 1 == 3",
        "##[debug]cache miss",
        "",
        "##[error]Process completed with exit code 1.",
        "Post job cleanup.",
        "Cleaning up orphan processes",
    )
)


def test_it_is_the_end_of_the_step_that_failed_without_times_and_colours() -> None:
    """What GitHub does afterwards says nothing, nor what went before."""
    assert failing_part(f"\ufeff{LOG}").splitlines() == [
        "Run python -m pytest",
        "python -m pytest",
        "FAILED test_calc.py::test_add - assert 1 == 3",
        "Process completed with exit code 1.",
    ]


def test_a_log_without_a_marked_error_tells_its_end() -> None:
    """Other builders mark nothing."""
    assert failing_part("one\n\ntwo\r\nthree\n", lines=2) == "two\nthree"


@given(st.text())
def test_whatever_a_log_holds_little_is_told(log: str) -> None:
    """Bounded in lines and characters."""
    told = failing_part(log)
    assert len(told) <= CHARACTERS
    assert told.count("\n") < LINES
