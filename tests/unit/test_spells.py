"""Money counts in the hour and on the day in which it was spent, whenever it is settled."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from agentloop.domain import facts as f
from agentloop.domain.costs import charged
from agentloop.domain.limits import Wanted, house, short
from agentloop.domain.model import Usage
from agentloop.domain.money import Entry, Reserved, Settled, shares_of, spells_of
from agentloop.domain.settings import Limits
from agentloop.domain.shares import Share, by_model, in_all
from agentloop.domain.spells import Spell, spells, spread
from agentloop.domain.world import World

BEGAN = datetime(2026, 11, 2, 21, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
LIMITS = Limits(hour_usd=3.0, day_usd=5.0, hour_tokens=3_000_000, day_tokens=5_000_000, total_usd=0.0)
MOST = 3_000_000


@dataclass
class Books:
    """A world that attempts are started, make calls and end in, and what was really served when."""

    now: datetime = BEGAN
    world: World = field(default_factory=World)
    open: dict[str, list[Entry]] = field(default_factory=dict)
    slices: dict[str, int] = field(default_factory=dict)
    served: list[tuple[datetime, int]] = field(default_factory=list)
    entries: list[f.Entry] = field(default_factory=list)

    def record(self, *facts: f.Fact) -> None:
        """Write an entry of the journal, now."""
        self.entries.append(f.Entry(at=self.now, cycle=1, facts=facts))
        self.world.apply(self.entries[-1])

    def start(self, amount: int) -> None:
        """Start an attempt with a slice of `amount`, in money and in tokens, if every limit allows it."""
        wanted = Wanted(micros=amount, tokens=amount)
        if short(house(self.world, LIMITS, self.now, "worker"), wanted) is None:
            name = f"7.1.{len(self.slices) + 1}"
            self.slices[name], self.open[name] = amount, []
            self.record(f.Reserved(purse=f"attempt:{name}", micros=amount, tokens=amount))

    def call(self, amount: int) -> None:
        """Let the oldest attempt make a call, as far as its slice reaches; every seventh is never settled."""
        for name, ledger in list(self.open.items())[:1]:
            taken = in_all(shares_of(ledger)).most_micros
            cost, call = min(amount, self.slices[name] - taken), f"c{len(self.served)}"
            ledger.append(Reserved(call=call, model="m", micros=cost, at=self.now, tokens=cost))
            if len(self.served) % 7 != 6:
                usage = Usage(input_tokens=cost)
                ledger.append(Settled(call=call, micros=cost, usage=usage, at=self.now))
            self.served.append((self.now, cost))

    def end(self, which: int) -> None:
        """Notice the end of an attempt."""
        for name in list(self.open)[which % 2 :][:1]:
            ledger = self.open.pop(name)
            whole = shares_of(ledger)
            sums = in_all(whole)
            self.record(
                f.Settled(
                    purse=f"attempt:{name}",
                    micros=sums.micros,
                    unresolved_micros=sums.unresolved_micros,
                    shares=whole,
                    spells=spells_of(ledger),
                )
            )


steps = st.lists(
    st.tuples(
        st.sampled_from([0, 1, 9, 10, 11, 30, 59, 60, 61, 200]),
        st.sampled_from(["start", "call", "call", "call", "end"]),
        st.integers(min_value=1, max_value=MOST),
    ),
    max_size=60,
)


@given(steps)
def test_no_hour_and_no_day_serves_more_than_its_limit(steps: list[tuple[int, str, int]]) -> None:
    """However long attempts run and whenever their ends are noticed: held against what was really served."""
    books = Books()
    for minutes, action, amount in steps:
        books.now += timedelta(minutes=minutes)
        match action:
            case "start":
                books.start(amount)
            case "call":
                books.call(amount)
            case _:
                books.end(amount)
    for at, _ in books.served:
        assert sum(each for when, each in books.served if at - HOUR < when <= at) <= MOST
        assert sum(each for when, each in books.served if when.date() == at.date()) <= 5_000_000
    counted = books.world.spent_micros() - sum(books.world.purses.values())
    assert counted == sum(one.settled_micros + one.unresolved_micros for one in charged(books.entries)[1])


def test_a_long_attempt_leaves_the_hour_after_it_what_it_did_not_spend_in_it() -> None:
    """Three hours long, all spent in the first: noticed, it takes nothing of the hour that begins then."""
    books = Books()
    books.start(MOST)
    books.call(1_000_000)
    books.now += timedelta(minutes=30)
    books.call(1_500_000)
    books.now += timedelta(hours=2, minutes=30)
    books.end(0)
    assert books.world.recent == ()
    # It ended at midnight, and all of it counts on the day before.
    assert dict(books.world.spent_by_day) == {BEGAN.date(): 2_500_000}
    assert [one.at for one in charged(books.entries)[1]] == [BEGAN, BEGAN + timedelta(minutes=30)]


def test_what_was_spent_on_both_sides_of_midnight_counts_on_both() -> None:
    """And the call that nobody knows the end of counts when it is settled, at its ceiling."""
    books = Books(now=datetime(2026, 11, 2, 23, 50, tzinfo=UTC))
    books.served += [(BEGAN, 0)] * 4
    books.start(MOST)
    for cost in (1_000_000, 400_000, 300_000):
        books.call(cost)
        books.now += timedelta(minutes=15)
    books.end(0)
    first, second = date(2026, 11, 2), date(2026, 11, 3)
    assert dict(books.world.spent_by_day) == {first: 1_000_000, second: 700_000}
    assert books.world.unresolved_micros == 300_000


amounts = st.integers(min_value=0, max_value=1000)
times = st.integers(min_value=0, max_value=400).map(lambda minutes: BEGAN + timedelta(minutes=minutes))
calls = st.lists(
    st.tuples(times, st.builds(Share, model=st.sampled_from("ab"), calls=st.just(1), micros=amounts))
)


@given(calls, amounts, st.none() | times, times)
def test_spread_over_time_it_is_the_same_money(
    made: list[tuple[datetime, Share]], unknown: int, began: datetime | None, at: datetime
) -> None:
    """Whatever clocks said: nothing is lost, nothing counts twice, and nothing after it was settled."""
    shares = by_model([*(share for _, share in made), Share(model="a", unresolved_micros=unknown)])
    found = spread(shares, spells(made), began=began, at=at)
    assert in_all(share for one in found for share in one.shares) == in_all(shares)
    assert all(one.at <= at and (began is None or one.at >= began or one.at == at) for one in found)


def test_more_than_there_is_dates_nothing() -> None:
    """Such a record is not believed: all of it counts when it was settled."""
    share = Share(model="m", calls=1, micros=5)
    odd = (Spell(at=BEGAN, shares=(replace(share, micros=6),)),)
    assert spread((share,), odd, began=None, at=BEGAN + HOUR) == (Spell(at=BEGAN + HOUR, shares=(share,)),)
