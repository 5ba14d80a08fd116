"""What a person is told about money: once, with the receipt, the runway and the estimate."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from agentloop.domain import facts as f
from agentloop.domain import receipt
from agentloop.domain.alerts import due, standing
from agentloop.domain.costs import About, charged, costs
from agentloop.domain.order import held_back
from agentloop.domain.report import stand
from agentloop.domain.runway import runway, runway_lines
from agentloop.domain.settings import Price, Settings
from agentloop.domain.shares import Share
from agentloop.testing.samples import SETTINGS, Told, delivered


def settings(**limits: Any) -> Settings:  # noqa: ANN401 - any limit
    """Settings with these limits, and none of an hour."""
    return replace(SETTINGS, limits=replace(SETTINGS.limits, **({"hour_usd": 0} | limits)))


def spend(told: Told, dollars: float) -> Told:
    """So much is spent by some attempt of before."""
    return told.add(f.Settled(purse=f"attempt:6.1.{len(told.entries)}", micros=int(dollars * 1e6)))


def tell(told: Told, given: Settings) -> list[str]:
    """What is told now; it is recorded as the cycle does it."""
    found = due(told.scene(given))
    for one in found:
        told.add(f.Alerted(key=one.key, says=one.says))
    return [one.says for one in found]


def test_each_share_of_a_limit_is_told_once_a_day() -> None:
    """Half, four fifths, all of it; a share that was jumped over is not told afterwards; tomorrow anew."""
    told = Told()
    heard = [tell(spend(told, dollars), settings()) for dollars in (9, 2, 0, 7, 1, 1, 0)]
    until = "; it waits for tomorrow (2026-11-03 00:00 UTC)"
    expected = [[], [f"50 % of limits.day_usd = $20.00 is spent{until}"], []]
    expected += [[f"80 % of limits.day_usd = $20.00 is spent{until}"], [], [], []]
    expected[5] = [f"100 % of limits.day_usd = $20.00 is spent{until}"]
    assert heard == expected
    assert standing(told.scene(settings())) == (expected[5][0],)
    told.now += timedelta(days=1)
    assert standing(told.scene(settings())) == ()
    assert tell(spend(told, 11), settings())[0].startswith("50 % of limits.day_usd")


def test_a_limit_that_was_raised_is_told_of_afresh() -> None:
    """What was told of the lower one stands no more, and the new one is told of in the same day."""
    told = spend(Told().issue().planned("7.1"), 0.31)
    low = settings(day_usd=0.32)
    assert len(tell(told, low)) == 2
    assert standing(told.scene(low))[0].startswith("task 7.1 waits: $0.01 is left under limits.day_usd")
    assert standing(told.scene(settings())) == ()
    assert tell(spend(told, 16), settings())[0].startswith("80 % of limits.day_usd = $20.00")


def test_a_task_that_waits_for_money_says_so_on_its_issue_once() -> None:
    """Only when the money is gone, not while it is set aside for another."""
    told = spend(Told().issue().planned("7.1", "7.2"), 17).add(
        f.Reserved(purse="attempt:6.9.1", micros=2_000_000)
    )
    assert [one.issue for one in due(told.scene(settings())) if one.issue] == []
    told.add(f.Settled(purse="attempt:6.9.1", micros=2_000_000))
    (one,) = [one for one in due(told.scene(settings())) if one.issue]
    assert (one.issue, one.says) == (
        "7",
        (
            "task 7.1 waits: $1.00 is left under limits.day_usd, an attempt may need $2.00; "
            "it waits for tomorrow (2026-11-03 00:00 UTC)"
        ),
    )
    tell(told, settings())
    assert due(told.scene(settings())) == ()


def test_what_an_hour_holds_up_is_not_told_again_when_the_clock_strikes() -> None:
    """The same words about the same wait are told once; the next wait is another one."""
    told = Told().issue().planned("7.1")
    told.now = told.now.replace(minute=25)
    spend(told, 2)
    narrow = settings(hour_usd=2)
    first = tell(told, narrow)
    assert [one.partition("; ")[2] for one in first[1:]] == ["more is free from 10:26 UTC on"]
    told.now = told.now.replace(hour=10, minute=5)
    assert (tell(told, narrow), len(standing(told.scene(narrow)))) == ([], 1)
    told.now = told.now.replace(minute=26)
    assert len(tell(spend(told, 2), narrow)) == 2


def test_an_admin_that_cannot_be_asked_is_told_on_the_issue() -> None:
    """Its words wait for a decision."""
    told = spend(Told().issue(), 19.5)
    said = [one for one in due(told.scene(settings())) if "admin" in one.says]
    assert [(one.issue, one.says[:46]) for one in said] == [
        ("7", "the admin agent is not asked: $0.50 is left un")
    ]


def test_the_runway_says_what_fits_today() -> None:
    """In the order of work, by the median of similar attempts; its length does not grow with the queue."""
    told = spend(Told().issue().planned(*(f"7.{n}" for n in range(1, 31))), 17)
    told.world.history["change calc"] = (400_000,) * 46
    found = runway(told.scene(settings()))
    assert (found.queued, found.today, found.tomorrow) == (30, 5, 25)
    lines = runway_lines(found)
    assert lines[:2] == (
        "limits.total_usd: $183.00 left of $200.00",
        "limits.day_usd: $3.00 left of $20.00",
    )
    assert len(lines) == 3
    assert lines[2].endswith("5 may start today; 25 wait for tomorrow")


def test_the_runway_and_the_queue_say_the_same() -> None:
    """The expectation fits, all that the attempt may need does not: it waits for tomorrow in both."""
    told = spend(Told().issue().planned("7.1"), 18.5)
    scene = told.scene(settings())
    assert runway_lines(runway(scene))[-1].endswith("0 may start today; 1 waits for tomorrow")
    assert "it waits for tomorrow" in held_back(scene, told.world.tasks["7.1"])[-1]


def test_a_slice_that_pays_for_no_call_holds_back_what_is_queued() -> None:
    """No attempt is started that could not make one call; a person is told the least that works."""
    price = Price(input=2_000_000, output=10_000_000, cache_write=2_500_000, cache_read=200_000)
    told = Told().issue().planned("7.1")

    def held(dollars: float) -> tuple[str, ...]:
        given = replace(settings(attempt_usd=dollars), prices={"claude-sonnet-5-5": price})
        return held_back(told.scene(given), told.world.tasks["7.1"])

    says = (
        "limits.attempt_usd = $0.05 does not pay for one call to claude-sonnet-5-5: raise it to $0.11 or more"
    )
    assert (held(0.05), held(0.11)) == ((says,), ())
    needs = stand(
        told.world, replace(settings(attempt_usd=0.05), prices={"claude-sonnet-5-5": price}), told.now
    )
    assert [(one.kind, one.about, one.says) for one in needs.needs_you] == [
        ("money", "limits.attempt_usd", says)
    ]


def worked() -> Told:
    """An issue with one attempt that ended, and an admin that was asked about it."""
    told = Told().issue().planned("7.1")
    told.started("7.1.1", estimate_micros=200_000, estimate_high_micros=900_000, estimate_from=3)
    share = Share(
        model="sonnet",
        calls=4,
        micros=300_000,
        unresolved_micros=50_000,
        input_tokens=1_000,
        cache_read_tokens=3_000,
        output_tokens=500,
    )
    told.ended("7.1.1", delivered())
    told.add(
        f.Settled(purse="attempt:7.1.1", micros=300_000, unresolved_micros=50_000, shares=(share,)),
    )
    admin = Share(model="opus", calls=2, micros=30_000, output_tokens=100)
    return told.add(f.Settled(purse="admin:3", micros=30_000, model="opus", shares=(admin,), issues=("7",)))


def test_a_receipt_has_everything_that_it_cost() -> None:
    """Dollars, tokens, calls, attempts, models, expectation, what is unresolved, and our own share."""
    told = worked()
    assert receipt.of_closed(told.world, "7").splitlines() == [
        "**Cost** $0.38 in 1 attempt",
        (
            "- 6 calls, 4,000 tokens in (75 % from the cache), 600 out; sonnet $0.35, opus $0.03; "
            "expected $0.20, in nine of ten cases below $0.90; $0.05 of it unresolved, at its ceiling"
        ),
        "- the admin agent's part $0.03 (9 % of the workers')",
    ]
    view = told.world.tasks["7.1"]
    assert receipt.of_pull(told.world, view, view.tries[0]).startswith(
        "**Cost** $0.35 for this task in 1 attempt"
    )


def test_the_account_can_be_asked_about_one_thing() -> None:
    """An issue bears its tasks and its share of the admin; a task only its attempts."""
    told = worked()
    world, charges = charged(told.entries)

    def total(**about: Any) -> int:  # noqa: ANN401 - any field of it
        found = costs(world, charges, settings(), told.now, by="specialist", about=About(**about))
        assert sum(row.settled_micros for row in found.rows) == found.settled_micros
        return found.settled_micros

    assert (total(issue="7"), total(task="7.1"), total(issue="8")) == (340_000, 310_000, 0)
    assert total(day=told.now.date()) == 340_000
    rows = costs(world, charges, settings(), told.now, by="hour").rows
    assert [row.key for row in rows] == ["2026-11-02 09:00"]
    by_model = costs(world, charges, settings(), told.now, by="model").rows
    assert {row.key: row.calls for row in by_model if row.calls} == {"sonnet": 4, "opus": 2}
