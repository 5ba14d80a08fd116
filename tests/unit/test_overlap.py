"""New work does not begin on files that an open pull request, or another attempt, changes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agentloop.domain import facts as f
from agentloop.domain.order import held_back
from agentloop.domain.work import Contract, Task
from agentloop.testing.samples import COMMIT, Told, task, verdict


def scoped(name: str, *scope: str, goal: str = "g", target: str = "calc") -> Task:
    """A task that may touch these paths."""
    contract = Contract(goal=goal, criteria=("c",), scope=scope)
    return replace(task(name), contract=contract, target=target)


def judged(told: Told, attempt: str, *paths: str) -> Told:
    """The gate saw that the attempt's commit changes these paths."""
    seen = replace(verdict(attempt, commit=COMMIT), paths=paths)
    return told.add(f.Judged(verdict=seen))


def in_review(*paths: str, scope: tuple[str, ...] = ()) -> Told:
    """Pull request 1 of task 7.1 is open, and changes these paths."""
    told = Told().issue().planned(scoped("7.1", *scope)).published("7.1.1")
    return judged(told, "7.1.1", *paths)


def held(told: Told, name: str = "8.1") -> tuple[str, ...]:
    """Why a task is not started."""
    return held_back(told.scene(), told.world.tasks[name])


@pytest.mark.parametrize(
    ("scope", "why"),
    [
        (("src/**",), ("waits for pull request 1, which changes src/a.py and 1 more file",)),
        (("src/b.py",), ("waits for pull request 1, which changes src/b.py",)),
        (("docs/**",), ()),
    ],
)
def test_a_scope_is_held_against_what_the_pull_request_really_changes(
    scope: tuple[str, ...], why: tuple[str, ...]
) -> None:
    """Not against what its own plan had said."""
    told = in_review("src/a.py", "src/b.py", scope=("docs/**",)).issue("8").planned(scoped("8.1", *scope))
    assert held(told) == why


def test_a_task_without_a_scope_waits_for_the_files_that_its_contract_names() -> None:
    """It would wait for everything, or for nothing; a conflict is found by the merge."""
    told = in_review("src/a.py").issue("8")
    told.planned(scoped("8.1", goal="Mend src/a.py: it crashes"), scoped("8.2", goal="Mend src/a.pyx"))
    assert held(told) == ("waits for pull request 1, which changes src/a.py",)
    assert held(told, "8.2") == ()


def test_it_starts_when_the_pull_request_is_merged_or_closed() -> None:
    """Then its base has what it waited for."""
    told = in_review("src/a.py").issue("8").planned(scoped("8.1", "src/**"))
    told.add(f.Merged(task="7.1", pull="1", commit=COMMIT))
    assert held(told) == ()


def test_rework_of_a_pull_request_is_no_new_work() -> None:
    """Two pull requests on the same file that came to be do not wait for each other."""
    told = in_review("src/a.py").issue("8").planned(scoped("8.1", "src/**")).published("8.1.1", number="2")
    judged(told, "8.1.1", "src/a.py").add(f.SentBack(task="8.1", heard=("r1",)))
    assert held(told) == ()


def test_another_target_has_other_files() -> None:
    """The same path there is another file."""
    told = in_review("src/a.py").issue("8").planned(scoped("8.1", "src/**", target="other"))
    assert not any("waits for pull" in why for why in held(told))


@pytest.mark.parametrize(
    ("first", "second", "why"),
    [
        (("src/**",), ("src/a.py",), ("waits for task 7.1, which may change src/**",)),
        (("docs/**",), ("src/a.py",), ()),
        ((), ("src/a.py",), ()),
        (("src/**",), (), ()),
    ],
)
def test_two_attempts_at_once_do_not_share_a_scope(
    first: tuple[str, ...], second: tuple[str, ...], why: tuple[str, ...]
) -> None:
    """Nobody knows yet what the first one changes, so its plan is believed."""
    told = Told().issue().planned(scoped("7.1", *first)).started("7.1.1").issue("8")
    assert held(told.planned(scoped("8.1", *second))) == why


def test_what_it_needs_first_is_told_once() -> None:
    """As a need, not as an overlap besides."""
    told = in_review("src/a.py").planned(replace(scoped("7.2", "src/**"), needs=("7.1",)))
    assert held(told, "7.2") == ("needs task 7.1 to be merged first",)
