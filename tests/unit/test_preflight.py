"""Whether a plan is fit to be worked on, and that a refused one says what would mend it."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentloop.domain.decisions import Plan, PlannedTask
from agentloop.domain.observed import Ground
from agentloop.domain.preflight import problems
from agentloop.domain.relay import KeyDecision
from agentloop.domain.settings import Target
from agentloop.domain.work import Check
from agentloop.testing.samples import SETTINGS, TARGET

GROUND = Ground(
    target="calc",
    branch="main",
    commit="a" * 40,
    paths=frozenset(
        {"README.md", "src/calc/core/parse.py", "tests/test_parse.py", "scripts/check", "docs/a/b.md"}
    ),
    programs=frozenset({"python", "make", "sh"}),
)
FIT = PlannedTask(
    title="Say that one cannot divide by zero",
    goal="Dividing by zero prints one sentence and ends with status 2.",
    criteria=("a sentence and no traceback",),
    checks=(Check(name="tests", command="python -m pytest -q"),),
)


def said(
    *tasks: PlannedTask,
    standing: tuple[KeyDecision, ...] = (),
    target: Target = TARGET,
    **ground: Any,  # noqa: ANN401 - any field
) -> tuple[str, ...]:
    """What is wrong with a plan of these tasks."""
    plan = Plan(issue="7", tasks=tasks, rationale="r")
    return problems(
        plan, settings=SETTINGS, target=target, ground=replace(GROUND, **ground), standing=standing
    )


def test_a_fit_plan_has_no_problems() -> None:
    """Specific, checkable, possible."""
    assert said(FIT, replace(FIT, needs=(1,))) == ()


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"title": ""}, "its title must be one line"),
        ({"title": "two\nlines"}, "its title must be one line"),
        ({"title": "x" * 101}, "its title must be one line"),
        ({"goal": "make it better"}, "its goal is too vague (14 characters)"),
        ({"criteria": ()}, "it has no acceptance criteria"),
        ({"criteria": ("works",)}, "criterion 'works' is too vague"),
        ({"checks": ()}, "nothing checks it"),
        ({"checks": (Check(name="x", command="cargo test"),)}, "'cargo' is neither a program here"),
        ({"checks": (Check(name="x", command="echo 'open"),)}, "is not a shell command"),
        ({"checks": (Check(name="x", command="# nothing"),)}, "runs nothing"),
        ({"checks": (Check(name="x", command=""),)}, "runs nothing"),
        ({"scope": ("lib/deep/**",)}, "scope 'lib/deep/**' matches nothing"),
        ({"scope": ("lib/new/file.py",)}, "its folder does not exist"),
        ({"scope": ("../elsewhere/x",)}, "matches nothing"),
        ({"needs": (2,)}, "task 1 needs task 2, which is not in the plan"),
        ({"needs": (0,)}, "task 1 needs task 0, which is not in the plan"),
        ({"needs": (1,)}, "tasks 1 → 1 need each other in a circle"),
    ],
)
def test_a_plan_that_is_not_fit_says_why(changes: dict[str, Any], says: str) -> None:
    """One problem, one sentence."""
    (found,) = said(replace(FIT, **changes))
    assert says in found


@pytest.mark.parametrize(
    "command",
    [
        "python -m pytest -q",
        "PYTHONPATH=src python -m calc",
        "./scripts/check",
        "scripts/check --fast",
        "test -f README.md",
        "! grep -r TODO src",
        "cd docs && make",
        "[ -f README.md ]",
    ],
)
def test_a_check_that_can_be_run_passes(command: str) -> None:
    """A program on the PATH, a file of the target, or the shell's own word."""
    assert said(replace(FIT, checks=(Check(name="x", command=command),))) == ()


@pytest.mark.parametrize(
    "glob",
    [
        "src/**",
        "src/calc/core/parse.py",
        "src/calc/core/*.py",
        "new.py",
        "tests/test_new.py",
        "src/calc/new.py",
        "src/new/**",
        "lib/**",
        "docs/a",
        "docs/c.md",
    ],
)
def test_a_scope_may_name_what_is_there_or_what_can_be_made_in_a_folder_that_is(glob: str) -> None:
    """A folder that holds only folders exists too."""
    assert said(replace(FIT, scope=(glob,))) == ()


def test_research_needs_no_check() -> None:
    """It ends in a note; and verify commands of the target check a change."""
    assert said(replace(FIT, kind="research", checks=())) == ()
    assert said(replace(FIT, checks=()), target=replace(TARGET, verify=("make test",))) == ()


def test_a_plan_without_tasks_or_with_too_many_is_refused() -> None:
    """The limit is in the settings and named."""
    assert said() == ("the plan has no tasks: ask or answer instead",)
    (found,) = said(*[FIT] * 9)
    assert "limits.tasks_per_issue = 8" in found


def test_a_target_that_cannot_be_used_is_named_with_its_problem() -> None:
    """It is not the plan that must change then."""
    (found,) = said(FIT, problem="the repository has no commits", paths=frozenset())
    assert found == "target 'calc' cannot be worked on: the repository has no commits"


def test_a_plan_may_not_contradict_an_earlier_decision() -> None:
    """A scope that is off limits, reaches into it, or is left open while something is."""
    standing = (
        KeyDecision(what="leave the parser", why="a rewrite is coming", off_limits=("src/calc/core/**",)),
    )
    for scope in (("src/calc/core/parse.py",), ("src/**",), ("src/calc/core/**",), ()):
        (found,) = said(replace(FIT, scope=scope), standing=standing)
        assert "'leave the parser'" in found
    assert said(replace(FIT, scope=("docs/**",)), standing=standing) == ()
    assert said(replace(FIT, kind="research"), standing=standing) == ()


NEEDS = st.lists(st.lists(st.integers(1, 6), max_size=3).map(tuple), min_size=6, max_size=6)


def depths(needs: list[tuple[int, ...]]) -> bool:
    """Whether the tasks can be done one after the other (Kahn's way, to compare with)."""
    left = dict(enumerate(needs, 1))
    while free := [number for number, needed in left.items() if not set(needed) & left.keys()]:
        for number in free:
            del left[number]
    return not left


@given(NEEDS)
def test_a_circle_of_needs_is_found_whenever_there_is_one(needs: list[tuple[int, ...]]) -> None:
    """And named by tasks that really need each other."""
    found = said(*[replace(FIT, needs=each) for each in needs])
    assert bool(found) is not depths(needs)
    for text in found:
        circle = [int(number) for number in text.removeprefix("tasks ").partition(" need")[0].split(" → ")]
        assert circle[0] == circle[-1]
        assert all(after in needs[before - 1] for before, after in pairwise(circle))
