"""`agentloop sim` against the same small story on real parts: processes, git, HTTP and the scripted model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentloop.domain.model import Usage
from agentloop.domain.shares import Share, in_all
from agentloop.settings.compiling import compile_settings
from agentloop.testing.sim.forecast import week
from agentloop.testing.sim.workload import Workload

if TYPE_CHECKING:
    from tests.acceptance.conftest import Loop

CYCLES_APART = 2
"""How many cycles more or fewer a forecast may tell: reviews fall at other moments."""
DOLLARS_APART = 0.4
"""What the admin agent costs is drawn: one of three answers is 30 % off the middle."""
DAY = 1 / 7


def test_a_forecast_agrees_with_the_same_story_on_real_parts(loop: Loop) -> None:
    """One issue, one task, green at once, merged: asked as often, attempts, cycles and dollars alike."""
    loop.start_model("plan", "accept", "work")
    loop.file("add subtracts")
    loop.settle()
    loop.cli("pr", "merge", "1")
    loop.settle()
    world = loop.world()
    (tried,) = world.tasks["1.1"].tries
    worker, admin = in_all(tried.shares), in_all(world.issues["1"].admin)
    asked = sum(times for times, _ in world.admin_models.values())

    workload = Workload(
        issues_per_day=1.0,
        tasks_per_issue=((1, 1.0),),
        research_rate=0.0,
        vague_rate=0.0,
        failure_rate=0.0,
        changes_rate=0.0,
        unmerged_rate=0.0,
        attempt_turns=(worker.calls, 0.0),
        turn_tokens=_each(worker, worker.calls),
        admin_tokens=_each(admin, asked),
        review_hours=(0.5, 0.1),
    )
    settings = compile_settings(loop.home)
    plays = (week(settings, workload, seed=seed, weeks=DAY) for seed in range(100))
    told = next(one for one in plays if one.issues_filed == one.issues_done == 1)

    assert (told.attempts, told.pulls_merged, told.admin_calls) == (1, 1, asked)
    assert abs(told.cycles_working - world.cycle) <= CYCLES_APART
    spent = world.spent_micros()
    assert abs(told.spent_micros - spent) <= DOLLARS_APART * spent


def _each(share: Share, parts: int) -> Usage:
    return Usage(
        input_tokens=share.input_tokens // parts,
        output_tokens=share.output_tokens // parts,
        cache_write_tokens=share.cache_write_tokens // parts,
        cache_read_tokens=share.cache_read_tokens // parts,
    )
