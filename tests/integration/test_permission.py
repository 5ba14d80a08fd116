"""A whole cycle on ports in memory: what waits for a person's word, and goes on with it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from agentloop.domain import decisions as d
from agentloop.domain import states as s
from agentloop.domain.settings import Settings
from agentloop.domain.world import Stuck
from tests.integration.test_cycle import SETTINGS, TARGET, House, change, plan

if TYPE_CHECKING:
    from agentloop.domain.scene import Scene
    from agentloop.domain.signals import Matter

SUGGEST = Settings(targets=(replace(TARGET, autonomy="suggest"),))


def risky(scene: Scene, matter: Matter) -> tuple[d.AdminDecision, ...]:
    """An admin that plans something in a path where plans wait; a small thing when it is asked for less."""
    words = scene.observed.issue(matter.about)
    small = words is not None and any("smaller" in one.body for one in words.comments)
    task = replace(change(), scope=("src/**",) if small else ("deploy/**",))
    return (plan(matter.about, task),)


def filed(settings: Settings = SETTINGS) -> House:
    """A house in which issue 1 was planned, and the plan waits."""
    house = House(settings=settings, decide=risky)
    house.file()
    house.cycle()
    house.sleep()
    return house


def test_a_risky_plan_waits_idle_until_a_person_approves_it() -> None:
    """Asked once, with the plan; nothing is written while it waits; one character starts it."""
    house = filed()
    said = house.says("1")
    asks = [one for one in said if one.startswith("**This plan waits for your word:** touches deploy/**.")]
    assert (len(said), len(asks)) == (2, 1)  # the other is the kept comment, with the plan
    lines = list(house.journal.lines)
    assert [house.cycle().outcome for _ in range(3)] == ["idle"] * 3
    assert (house.journal.lines, house.executor.started, house.says("1")) == (lines, [], said)
    asked = len(house.shown)
    house.tracker.comment("1", "1", author="bob")
    house.sleep()
    house.cycle()
    assert house.executor.started == ["attempt:1.1.1"]
    assert len(house.shown) == asked
    assert house.world.issues["1"].approvals[0].by == "bob"


def test_a_rejected_plan_is_dropped_and_said_once() -> None:
    """The issue waits for words then; nothing was built."""
    house = filed()
    house.tracker.comment("1", "2", author="bob")
    house.sleep()
    for _ in range(3):
        house.cycle()
    assert house.world.tasks["1.1"].state == s.Cancelled(reason="bob will not have the plan")
    assert house.world.issues["1"].state == Stuck(reason="bob will not have the plan")
    assert house.executor.started == []
    assert sum("bob will not have the plan" in one and "**Stopped:**" in one for one in house.says("1")) == 1


def test_other_words_bring_another_plan_in_its_place() -> None:
    """The plan that waited is dropped; the new one is judged by itself, and this one is small."""
    house = filed()
    house.tracker.comment("1", "smaller, please", author="bob")
    house.sleep()
    house.cycle()
    assert house.world.tasks["1.1"].state == s.Cancelled(reason="another plan takes its place")
    assert house.executor.started == ["attempt:1.2.1"]


def test_under_suggest_there_are_plans_and_nothing_else_until_a_person_says_so() -> None:
    """No attempt, no branch, no pull request; then one issue goes on as a draft."""
    house = filed(SUGGEST)
    assert "**A suggestion:**" in house.says("1")[0]
    assert [house.cycle().outcome for _ in range(2)] == ["idle"] * 2
    assert (house.executor.started, sorted(house.forge.branches)) == ([], [("calc", "main")])
    house.tracker.comment("1", "1", author="bob")
    house.sleep()
    house.cycle()
    assert house.executor.started == ["attempt:1.1.1"]
    assert house.world.issues["1"].permitted == "bob"


def test_a_label_makes_one_issue_a_suggestion() -> None:
    """It is noted once, and told by the name of the label."""
    house = House(settings=Settings(targets=(replace(TARGET, suggest_labels=("low",)),)))
    house.tracker.new("A label", "It should be better.", author="ana", labels=("low",))
    house.cycle()
    house.sleep()
    assert house.world.held["1.1"].why == (
        "only suggested (autonomy suggest, label low): /agentloop start has it built, as drafts",
    )
    assert house.cycle().outcome == "idle"
