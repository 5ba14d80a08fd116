"""How long the loop sleeps: chosen from what is true now, and always with its reason."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentloop.domain import decisions as d
from agentloop.domain import facts as f
from agentloop.domain.order import held_back
from agentloop.domain.report import stand
from agentloop.domain.settings import Layers, Limits, Price
from agentloop.domain.sleeping import Nap, nap
from agentloop.testing.samples import SETTINGS, Told, delivered, task

if TYPE_CHECKING:
    from agentloop.domain.scene import Scene

PRICE = Price(input=2_000_000, output=10_000_000, cache_write=2_500_000, cache_read=200_000)
MIDNIGHT = datetime(2026, 11, 3, tzinfo=UTC)


def minutes(found: Nap, scene: Scene) -> float:
    """How long it is."""
    assert found.until is not None
    return (found.until - scene.now).total_seconds() / 60


def rest(told: Told, asked: d.Sleep | d.Hibernate | None = None, quiet: int = 0) -> tuple[Nap, Scene]:
    """The sleep that fits, and its scene."""
    scene = told.scene()
    return nap(scene, quiet_cycles=quiet, more=False, asked=asked), scene


def test_sleep_grows_from_five_minutes_to_thirty_when_nothing_happens() -> None:
    """Doubling with each quiet cycle, and never more however many there were."""
    found = [minutes(*rest(Told(), quiet=quiet)) for quiet in (0, 1, 2, 3, 50, 10_000)]
    assert found == [5, 10, 20, 30, 30, 30]


def test_there_is_no_sleep_when_there_is_more_to_do() -> None:
    """Not even when the admin asked for one."""
    scene = Told().scene()
    found = nap(scene, quiet_cycles=9, more=True, asked=d.Sleep(minutes=30, rationale="r"))
    assert found == Nap(until=scene.now, kind="more", reason="there is more to do")


def test_five_minutes_while_attempts_or_gates_run() -> None:
    """However quiet it was before; those at work are named."""
    told = Told().issue().planned("7.1").started("7.1.1")
    found, scene = rest(told, quiet=9)
    assert (minutes(found, scene), found.kind, found.reason) == (5, "busy", "attempt 7.1.1 at work")
    told.ended("7.1.1", delivered()).taken("7.1.1")
    assert rest(told)[0].reason == "the gate on 7.1.1 at work"


def test_an_attempts_deadline_ends_the_sleep() -> None:
    """It is looked at when it must be over."""
    told = Told().issue().planned("7.1")
    told.started("7.1.1", deadline=told.now + timedelta(minutes=4))
    found, scene = rest(told)
    assert minutes(found, scene) == pytest.approx(2)


def test_a_task_that_waits_ends_the_sleep_when_its_wait_is_over() -> None:
    """With the reason it waits for."""
    told = Told().issue().planned("7.1")
    told.add(f.Requeued(task="7.1", not_before=told.now + timedelta(minutes=9), why="it was killed"))
    found, scene = rest(told, quiet=9)
    assert (minutes(found, scene), found.kind) == (7, "due")
    assert found.reason == "task 7.1 is tried again then: it was killed"


def test_the_providers_limit_sleeps_until_its_reset() -> None:
    """Not a minute shorter, whatever runs or was asked for."""
    told = Told().issue().planned("7.1")
    until = told.now + timedelta(hours=5)
    found, _ = rest(told.add(f.LimitReached(until=until, detail="5-hour window")))
    assert found == Nap(until=until, kind="limited", reason="the provider's limit: 5-hour window")


def test_a_days_money_sleeps_until_midnight_utc() -> None:
    """And what is left in all, for ever or until somebody raises it."""
    told = Told().issue().planned("7.1").add(f.Settled(purse="attempt:6.1.1", micros=19_000_000))
    found, _ = rest(told)
    assert (found.until, found.kind) == (MIDNIGHT, "budget")
    assert found.reason == "limits.day_usd leaves only $1.00; task 7.1 goes on tomorrow"
    told.add(f.Settled(purse="attempt:6.1.2", micros=181_000_000))
    found = nap(told.scene(replace(SETTINGS, limits=Limits(day_usd=1000))), quiet_cycles=0, more=False)
    assert (found.until, found.kind) == (None, "budget")
    assert "limits.total_usd is used up: raise it" in found.reason


def test_an_issue_that_cannot_be_asked_about_for_want_of_money_says_so() -> None:
    """No task waits, but a decision does."""
    told = Told().issue().add(f.Settled(purse="attempt:6.1.1", micros=19_900_000))
    found, _ = rest(told)
    assert (found.until, found.kind) == (MIDNIGHT, "budget")
    assert found.reason == "limits.day_usd leaves only $0.10; 1 matter waits for a decision until tomorrow"


def test_the_admin_may_shorten_a_sleep_but_not_lengthen_it() -> None:
    """At least a minute."""
    for asked, expected in ((1, 1), (-5, 1), (3, 3), (90, 5)):
        found, scene = rest(Told(), d.Sleep(minutes=asked, rationale="r"))
        assert (asked, minutes(found, scene)) == (asked, expected)


def hibernate(*wakes: d.Wake) -> d.Hibernate:
    """A hibernation with these conditions."""
    return d.Hibernate(until=wakes, rationale="all waits for Ana")


def test_a_hibernation_lasts_until_its_condition() -> None:
    """Without a moment among the conditions it has no end but something happening; they are told."""
    found, _ = rest(Told(), hibernate(d.Wake(on="comment", which="7"), d.Wake(on="issue")))
    assert (found.until, found.kind) == (None, "hibernating")
    assert found.reason == "hibernating until: comment 7, issue (all waits for Ana)"
    timed = hibernate(d.Wake(on="time", which="2026-11-09T08:00:00+01:00"), d.Wake(on="issue"))
    assert rest(Told(), timed)[0].until == datetime(2026, 11, 9, 7, tzinfo=UTC)


def test_a_hibernation_whose_moment_is_over_is_over() -> None:
    """It does not sleep for ever on a moment that has passed."""
    over = hibernate(d.Wake(on="time", which="2026-11-02T09:00:30Z"), d.Wake(on="issue"))
    found, scene = rest(Told(), over)
    assert (minutes(found, scene), found.kind) == (5, "idle")


def test_nothing_hibernates_while_something_is_under_way_or_due() -> None:
    """The end of an attempt is looked at."""
    found, _ = rest(Told().issue().planned("7.1").started("7.1.1"), hibernate(d.Wake(on="issue")))
    assert found.kind == "busy"


def test_what_is_waited_for_is_said() -> None:
    """A review, an answer, or nothing at all."""
    told = Told().issue().planned("7.1").published("7.1.1").issue("8")
    told.add(f.Asked(issue="8", question="?", choices=("a", "b"), evidence="e"))
    assert rest(told)[0].reason == "waits for you: 1 pull request to review, an answer on issue 8"
    assert rest(Told())[0].reason == "nothing to do"


def test_what_is_held_back_is_said_with_what_to_change() -> None:
    """A slice that pays for no call, workers switched off: with the setting, and how many others wait."""
    told = Told().issue().planned("7.1").issue("8").planned("8.1")
    narrow = replace(SETTINGS, limits=Limits(attempt_usd=0.05), prices={"claude-sonnet-5-5": PRICE})
    said = nap(told.scene(narrow), quiet_cycles=0, more=False).reason
    assert said.startswith(
        "task 7.1 (and 1 more) is held back: limits.attempt_usd = $0.05 does not pay for one"
    )
    assert said.endswith(" or more")
    off = replace(narrow, layers=Layers(workers=False))
    said = nap(told.scene(off), quiet_cycles=0, more=False).reason
    assert said == (
        "task 7.1 (and 1 more) is held back: workers are switched off (layers.workers = false): "
        "the loop only plans (and 1 other reason)"
    )


def test_a_task_that_waits_for_another_is_told_by_the_other_one() -> None:
    """What it needs is in review: that is what a person is asked for."""
    told = Told().issue().planned("7.1", task("7.2", "7.1")).published("7.1.1")
    assert rest(told)[0].reason == "waits for you: 1 pull request to review"


def test_what_is_parked_is_no_reason_to_say_that_nothing_is_to_do() -> None:
    """It waits for a person's word, by its name."""
    told = Told().issue().planned("7.1").add(f.Parked(task="7.1", reason="twice the same failing check"))
    assert rest(told)[0].reason == "waits for you: a word on what is parked: task 7.1"


def test_a_provider_that_talks_much_is_cut_short() -> None:
    """The reason stays a line of a phone's screen or two; the journal has all of it."""
    told = Told().issue().add(f.LimitReached(until=Told().now + timedelta(hours=5), detail="very busy " * 90))
    said = rest(told)[0].reason
    assert (len(said) < 200, said[-1]) == (True, "…")


def test_a_clock_set_back_does_not_sleep_for_years() -> None:
    """A wait that began in what is the future now is no reason to sleep."""
    told = Told().issue().planned("7.1")
    told.now += timedelta(days=9000)
    told.add(f.Requeued(task="7.1", not_before=told.now + timedelta(days=1), why="w"))
    told.now -= timedelta(days=9000)
    found, scene = rest(told)
    assert minutes(found, scene) == 5


STEPS = st.lists(
    st.sampled_from(["issue", "plan", "start", "end", "limit", "spend", "requeue", "ask"]), max_size=8
)


@given(
    STEPS,
    st.integers(0, 99),
    st.sampled_from([None, d.Sleep(minutes=7, rationale="r"), hibernate(d.Wake(on="issue"))]),
)
def test_every_sleep_has_a_reason_and_never_ends_in_the_past(
    steps: list[str], quiet: int, asked: d.Sleep | d.Hibernate | None
) -> None:
    """Whatever happened before."""
    told = Told().issue().planned("7.1")
    acts = {
        "issue": lambda: told.issue("8"),
        "plan": lambda: told.issue("9").planned("9.1"),
        "start": lambda: told.started("7.1.1"),
        "end": lambda: told.ended("7.1.1", delivered()),
        "limit": lambda: told.add(f.LimitReached(until=told.now + timedelta(hours=1), detail="d")),
        "spend": lambda: told.add(f.Settled(purse="x", micros=19_999_000)),
        "requeue": lambda: told.add(
            f.Requeued(task="7.1", not_before=told.now + timedelta(hours=1), why="w")
        ),
        "ask": lambda: told.add(f.Asked(issue="7", question="?", choices=("a", "b"), evidence="e")),
    }
    for step in steps:
        acts[step]()
    found, scene = rest(told, asked, quiet)
    assert found.reason.strip()
    assert found.until is None or found.until > scene.now
    assert found.until is not None or found.kind in ("hibernating", "budget")


def test_a_long_reason_is_told_short() -> None:
    """A provider's whole answer is not repeated with every sleep."""
    told = Told().issue().planned("7.1").started("7.1.1").add(f.AttemptLost(attempt="7.1.1"))
    told.add(f.Requeued(task="7.1", not_before=told.now + timedelta(hours=1), why="400: " + "x " * 500))
    assert len(nap(told.scene(), quiet_cycles=0, more=False).reason) < 230


def test_the_providers_limit_is_told_once_about_a_task_that_waits_for_it() -> None:
    """The attempt met it, and it holds for all: one reason, in the words of the service."""
    told = Told().issue().planned("7.1").issue("8").planned("8.1")
    until = told.now + timedelta(hours=5)
    told.add(f.LimitReached(until=until, detail="5-hour window"))
    told.add(
        f.Requeued(task="7.1", not_before=until, why="the provider's limit: 5-hour window", counts=False)
    )
    scene = told.scene()
    said = [held_back(scene, scene.world.tasks[task]) for task in ("7.1", "8.1")]
    when = f"{until:%H:%M} UTC"
    assert said == [
        (f"waits until {until:%Y-%m-%d} {when}: the provider's limit: 5-hour window",),
        (f"the provider's limit lasts until {when}",),
    ]


def test_a_new_issue_is_not_said_to_be_read_next_while_the_provider_makes_us_wait() -> None:
    """It is read when the limit is over."""
    told = Told().issue()
    told.add(f.LimitReached(until=told.now + timedelta(hours=5), detail="5-hour window"))
    (coming,) = stand(told.world, SETTINGS, told.now).coming
    assert coming.says.endswith(" when the provider's limit is over")
