"""What `explain` and `cycles` tell of the past: folds over the journal, and reasons that were recorded."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from agentloop.domain import facts as f
from agentloop.domain.candidates import UNRECORDED, candidates, candidates_then, not_started
from agentloop.domain.cycles import Look, cycles, what_it_did, why_it_began
from agentloop.domain.observed import Observed
from agentloop.domain.past import by_cycle, by_moment, loop_then
from agentloop.domain.scene import Scene
from agentloop.domain.settings import Layers, Settings, Target
from agentloop.domain.world import World, fold
from agentloop.testing.night import night

NOW = datetime(2026, 11, 20, 12, 12, tzinfo=UTC)
SETTINGS = Settings(targets=(Target(name="repo", repository="/srv/repo"),))


def _scene(world: World, now: datetime = NOW, settings: Settings = SETTINGS) -> Scene:
    return Scene(world=world, observed=Observed(now=now), settings=settings)


def test_every_candidate_has_a_reason_and_it_is_recorded_once() -> None:
    """What is queued or unread is said with its reason; said again only when the reason changes."""
    world = fold(night(NOW))
    scene = _scene(world)
    said = not_started(scene)
    assert {one.about: one.why for one in said} == {one.about: one.why for one in candidates(scene)}
    assert all(one.why for one in said)
    world.apply(f.Entry(at=NOW, cycle=13, facts=said))
    assert not_started(scene) == ()
    off = replace(SETTINGS, layers=Layers(workers=False))
    changed = not_started(_scene(world, settings=off))
    assert {one.about for one in changed} == {"3.2"}


def test_what_failed_to_start_says_so() -> None:
    """A task whose start went wrong waits for the next try, and tells what went wrong."""
    world = fold(one for one in night(NOW) if one.cycle <= 10)
    free = [one.about for one in candidates(_scene(world)) if one.why == ("starts in the next cycle",)]
    told = candidates(_scene(world), [f"start {task}: the target is gone" for task in free])
    said = {one.about: one.why for one in told if one.about in free}
    assert said == dict.fromkeys(free, ("it could not be started: the target is gone",))


def test_the_past_is_told_by_what_was_recorded_then() -> None:
    """Today's settings say nothing about yesterday; without a record only the journal's reasons count."""
    entries = night(NOW)
    before = by_moment(entries, NOW - timedelta(minutes=50))
    unrecorded = candidates_then(_scene(fold(before), NOW - timedelta(minutes=50)))
    why = {one.about: one.why for one in unrecorded}
    assert why["3.2"] == ("needs task 3.1 to be merged first", UNRECORDED)
    held = f.HeldBack(about="3.2", why=("3 attempts run already (limits.attempts_at_once)",))
    recorded = (*before, f.Entry(at=NOW - timedelta(minutes=51), cycle=10, facts=(held,)))
    told = {one.about: one for one in candidates_then(_scene(fold(recorded), NOW - timedelta(minutes=50)))}
    assert (told["3.2"].why, told["3.2"].known) == (held.why, "as cycle 10 recorded it")


def test_a_moment_and_a_cycle_name_what_the_journal_held_then() -> None:
    """The fold stops there; a clock that was set back later hides nothing."""
    entries = night(NOW)
    assert by_cycle(entries, 3)[-1].cycle == 3
    assert by_cycle(entries, 99) == ()
    set_back = (*entries, f.Entry(at=NOW - timedelta(days=9), cycle=14, facts=()))
    assert by_moment(set_back, NOW) == set_back
    slept = f.Slept(until=NOW, kind="idle", reason="nothing to do")
    asleep = (*entries, f.Entry(at=NOW, cycle=13, facts=(slept,)))
    assert loop_then(asleep, NOW).startswith("the loop slept after cycle 13 until 2026-11-20 12:12 UTC")
    assert loop_then(entries[:1], NOW, entries[1:]) == "cycle 1 was under way"
    assert loop_then((), NOW) == "no cycle had run"


def test_cycles_tell_why_they_began_and_what_they_did() -> None:
    """From the journal alone; idle looks with one fingerprint and one reason are one run."""
    look = Look(cycle=13, number=1, at=NOW, fingerprint="f", until=None, reason="nothing to do")
    looks = (look, replace(look, number=2), replace(look, number=3, reason="waits for you"))
    told = {one.number: one for one in cycles(night(NOW), looks)}
    assert [(run.times, run.reason) for run in told[13].idle] == [(2, "nothing to do"), (1, "waits for you")]
    assert [one.refused for one in told[13].refused] == ["task 1: 'make' is not on the PATH of checks"]
    assert told[13].outcome == "acted"
    assert told[12].outcome == ""
    assert "left no end" in what_it_did(told[12])
    assert "merged" in why_it_began(told[4]) or why_it_began(told[4])
    assert (told[1].spent_micros, told[1].asked) == (40_000, False)
