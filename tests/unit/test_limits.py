"""Limits of every width: what they leave, when they start anew, and that what is set aside fits under all."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentloop.domain import facts as f
from agentloop.domain.estimating import ENOUGH, estimate, estimate_for, needed_micros
from agentloop.domain.limits import UNDER_ALL, Rest, Wanted, fitting, house, short, too_narrow
from agentloop.domain.order import held_back
from agentloop.domain.settings import Limits, Price, Settings
from agentloop.domain.shares import Share, added, by_model, in_all, split
from agentloop.domain.sleeping import nap
from agentloop.testing.samples import SETTINGS, Told, delivered

MIDNIGHT = datetime(2026, 11, 3, tzinfo=UTC)
amounts = st.integers(min_value=0, max_value=10**9)
shares = st.builds(
    Share,
    model=st.sampled_from(["a", "b"]),
    calls=amounts,
    micros=amounts,
    unresolved_micros=amounts,
    input_tokens=amounts,
    cache_read_tokens=amounts,
    unresolved_tokens=amounts,
)


def settings(**limits: Any) -> Settings:  # noqa: ANN401 - any limit
    """Settings with these limits."""
    return replace(SETTINGS, limits=replace(SETTINGS.limits, **limits))


def spent(attempt: str, micros: int, tokens: int = 0) -> f.Settled:
    """What an attempt took."""
    share = Share(model="m", calls=1, micros=micros, input_tokens=tokens)
    return f.Settled(purse=f"attempt:{attempt}", micros=micros, shares=(share,))


def tried(told: Told, attempt: str, micros: int, tokens: int = 0) -> Told:
    """An attempt that ended and cost so much; its task may be tried again."""
    told.started(attempt).add(f.AttemptLost(attempt=attempt), spent(attempt, micros, tokens))
    return told.add(f.Requeued(task=attempt.rpartition(".")[0], not_before=told.now, why="killed"))


@pytest.mark.parametrize(
    ("limits", "says"),
    [
        (
            {"task_usd": 4},
            "$1.00 is left under limits.task_usd, an attempt may need $2.00: raise it to go on",
        ),
        (
            {"issue_usd": 4.5},
            "$1.50 is left under limits.issue_usd, an attempt may need $2.00: raise it to go on",
        ),
        (
            {"hour_usd": 4},
            "$1.00 is left under limits.hour_usd, an attempt may need $2.00; more is free from 10:04 UTC on",
        ),
        (
            {"worker_day_usd": 3},
            (
                "$0.00 is left under limits.worker_day_usd, an attempt may need $2.00; "
                "it waits for tomorrow (2026-11-03 00:00 UTC)"
            ),
        ),
        (
            {"task_tokens": 1000, "attempt_tokens": 600},
            "100 tokens are left under limits.task_tokens, an attempt may need 600: raise it to go on",
        ),
        (
            {"day_tokens": 900},
            (
                "0 tokens are left under limits.day_tokens, an attempt may need 1; "
                "it waits for tomorrow (2026-11-03 00:00 UTC)"
            ),
        ),
    ],
)
def test_every_limit_holds_a_start_back_and_says_so(limits: dict[str, float], says: str) -> None:
    """In the words that `explain`, `status` and the log show, with what brings the task on."""
    told = tried(Told().issue().planned("7.1"), "7.1.1", 3_000_000, 900)
    told.now += timedelta(minutes=1)
    assert held_back(told.scene(settings(**limits)), told.world.tasks["7.1"]) == (says,)


def test_a_limit_of_zero_is_none() -> None:
    """What was spent does not count against it."""
    told = tried(Told().issue().planned("7.1"), "7.1.1", 9_000_000, 10**9)
    told.now += timedelta(minutes=1)
    none = settings(task_usd=0, issue_usd=0, hour_usd=0, call_usd=0)
    assert held_back(told.scene(none), told.world.tasks["7.1"]) == ()


@pytest.mark.parametrize("name", UNDER_ALL)
def test_a_limit_that_pays_for_no_call_starts_nothing_and_is_named(name: str) -> None:
    """Else an attempt would end with nothing spent and start again every minute, for ever."""
    price = Price(input=2_000_000, output=10_000_000, cache_write=2_500_000, cache_read=200_000)
    narrow = replace(settings(**{name: 0.05}), prices={SETTINGS.models.worker: price})
    told = Told().issue().planned("7.1")
    model = SETTINGS.models.worker
    said = f"limits.{name} = $0.05 does not pay for one call to {model}: raise it to $0.11 or more"
    assert too_narrow(narrow) == said
    assert said in held_back(told.scene(narrow), told.world.tasks["7.1"])


def test_an_hours_limit_rolls() -> None:
    """Money counts for sixty minutes after it was settled; the loop sleeps until the oldest of it is free."""
    told = tried(Told().issue().planned("7.1"), "7.1.1", 3_000_000)
    at = told.now
    told.now += timedelta(minutes=5)
    scene = told.scene(settings(hour_usd=4))
    found = nap(scene, quiet_cycles=0, more=False)
    assert (found.kind, found.until) == ("budget", told.world.recent[0].at + timedelta(hours=1))
    told.now += timedelta(minutes=60)
    assert told.now > at
    assert held_back(told.scene(settings(hour_usd=4)), told.world.tasks["7.1"]) == ()


def test_the_admin_has_a_limit_of_its_own() -> None:
    """What workers spend does not count against it."""
    told = Told().issue().add(spent("6.1.1", 5_000_000)).add(f.Settled(purse="admin:1", micros=1_500_000))
    assert told.scene(settings(admin_day_usd=3)).cycle_purse() == 1_000_000
    assert told.scene(settings(admin_day_usd=2)).cycle_purse() == 0


def test_an_issue_bears_its_share_of_the_admin() -> None:
    """Equal parts for the issues that it was asked about, to the micro-dollar."""
    told = Told().issue("7").issue("8")
    share = Share(model="m", calls=1, micros=1_000_001, output_tokens=3)
    told.add(f.Settled(purse="admin:1", micros=1_000_001, shares=(share,), issues=("7", "8", "99")))
    parts = [in_all(told.world.issues[issue].admin) for issue in ("7", "8")]
    assert [(one.micros, one.output_tokens) for one in parts] == [(500_001, 2), (500_000, 1)]


def test_tokens_of_a_lost_ledger_count_at_all_that_was_set_aside() -> None:
    """Nobody knows what they were: the limits of tokens hold as those of money do."""
    told = Told().issue().planned("7.1").started("7.1.1")
    told.add(f.Reserved(purse="attempt:7.1.1", micros=2_000_000, tokens=600))
    told.add(f.AttemptLost(attempt="7.1.1"))
    told.add(f.Settled(purse="attempt:7.1.1", micros=0, unresolved_micros=2_000_000))
    assert (told.world.used_tokens(), in_all(told.world.tasks["7.1"].tries[0].shares).tokens) == (600, 600)


def test_what_is_set_aside_leaves_room_for_the_review() -> None:
    """An attempt with the last of a day's money could not be looked at; it gets less, if that will do."""
    told = Told().issue().planned("7.1").add(f.Settled(purse="attempt:6.1.1", micros=17_700_000))
    view = told.world.tasks["7.1"]
    assert told.scene(settings(hour_usd=0)).slice_for(view) == Wanted(micros=2_000_000)
    told.world.history["change calc"] = (100_000,) * 40
    assert told.scene(settings(hour_usd=0)).slice_for(view) == Wanted(micros=1_300_000)


@given(rests=st.lists(st.builds(Rest, name=st.just("n"), most=amounts, used=amounts)), wanted=amounts)
def test_what_fits_is_never_more_than_any_limit_leaves(rests: list[Rest], wanted: int) -> None:
    """And what is not short gets all that it needs of a limit that allows it at all."""
    given_micros = fitting(tuple(rests), Wanted(micros=wanted)).micros
    assert all(given_micros <= rest.left for rest in rests)
    if short(tuple(rests), Wanted(micros=wanted)) is None:
        assert given_micros == min([wanted, *(rest.left for rest in rests)])


@given(st.lists(amounts, max_size=60), st.integers(min_value=1, max_value=10**8))
def test_an_estimate_is_within_the_slice_and_in_order(costs: list[int], slice_micros: int) -> None:
    """Median <= ninetieth percentile <= slice, and what is needed lies between nothing and the slice."""
    found = estimate([cost % (slice_micros + 1) for cost in costs], slice_micros)
    assert 0 <= found.micros <= found.high_micros <= slice_micros
    assert 0 <= needed_micros(found, slice_micros) <= slice_micros
    assert found.based_on == len(costs)


def test_an_estimate_moves_from_the_default_to_our_own_history() -> None:
    """A fourth of the slice and the slice at first; forty attempts at ten cents say ten cents, nearly."""
    assert (estimate((), 2_000_000).micros, estimate((), 2_000_000).high_micros) == (500_000, 2_000_000)
    assert estimate((100_000,) * 40, 2_000_000).micros == (40 * 100_000 + 4 * 500_000) // 44
    assert not estimate((1,) * (ENOUGH - 1), 100).known
    assert estimate((1,) * ENOUGH, 100).known


def test_only_attempts_that_ended_by_themselves_teach() -> None:
    """A killed one would say that work is cheap."""
    told = Told().issue().planned("7.1", "7.2")
    tried(told, "7.1.1", 30_000)
    assert estimate_for(told.world, Limits(), told.world.tasks["7.1"].task).based_on == 0
    told.started("7.2.1").ended("7.2.1", delivered())
    assert estimate_for(told.world, Limits(), told.world.tasks["7.1"].task).based_on == 1


@given(st.lists(shares, max_size=6), st.integers(min_value=1, max_value=5))
def test_parts_add_up(several: list[Share], parts: int) -> None:
    """However shares are split, added or sorted, nothing is lost."""
    whole = in_all(several)
    assert in_all(by_model(several)) == whole
    pieces = split(whole, parts)
    assert in_all(pieces) == whole
    assert added(pieces[0], in_all(pieces[1:])) == whole


def test_the_house_is_told_from_the_longest_lasting_limit_on() -> None:
    """A limit that only a person lifts is named before one that midnight lifts."""
    told = Told().issue().planned("7.1").add(f.Settled(purse="attempt:6.1.1", micros=200_000_000))
    found = house(told.world, settings(hour_usd=5).limits, told.now)
    assert [one.name for one in found] == ["limits.total_usd", "limits.day_usd", "limits.hour_usd"]
    assert short(found, Wanted(micros=1)) == found[0]
    assert [one.until for one in found[:2]] == [None, MIDNIGHT]
