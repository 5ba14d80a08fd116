"""Money: costs, ceilings, limits and the fold of a ledger."""

from __future__ import annotations

import dataclasses
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentloop.domain import facts as f
from agentloop.domain.codec import encode
from agentloop.domain.model import Message, OutOfBudget, Request, SystemBlock, Text, Tool, Usage
from agentloop.domain.money import (
    BadPrices,
    Limit,
    Measured,
    NoPrice,
    PriceTable,
    Reserved,
    Settled,
    Spend,
    ceiling_micros,
    cost_micros,
    may_spend,
    parse_prices,
    price_of,
    shares_of,
    spent,
    used,
)
from agentloop.domain.settings import Models, Price
from agentloop.domain.shares import in_all
from agentloop.domain.world import World
from agentloop.edges.ledger import Ledger, read_entries
from agentloop.edges.metered import shipped_prices

if TYPE_CHECKING:
    from pathlib import Path

    from agentloop.domain.money import Entry

NOW = datetime(2026, 11, 20, tzinfo=UTC)
PRICE = Price(input=4_000_000, output=20_000_000, cache_write=5_000_000, cache_read=200_000)

counts = st.integers(min_value=0, max_value=10_000_000)
usages = st.builds(
    Usage, input_tokens=counts, output_tokens=counts, cache_write_tokens=counts, cache_read_tokens=counts
)
calls = st.sampled_from(["a", "b", "c", "d"])
entries = st.lists(
    st.one_of(
        st.builds(Reserved, call=calls, model=st.just("m"), micros=counts, at=st.just(NOW)),
        st.builds(Settled, call=calls, micros=counts, usage=usages, at=st.just(NOW)),
    )
)


def asked(text: str, *more: str) -> Request:
    """A request with the texts as its messages."""
    messages = tuple(Message(role="user", blocks=(Text(text=each),)) for each in (text, *more))
    return Request(
        model="m",
        system=(SystemBlock(text="be brief"),),
        messages=messages,
        tools=(Tool(name="t", description="d", schema={"type": "object"}),),
        max_output_tokens=100,
    )


def test_the_shipped_table_has_every_default_model() -> None:
    """A fresh home starts: each model of the default settings has a price."""
    models = Models()
    known = shipped_prices().models
    assert {
        models.admin,
        models.admin_fallback,
        models.worker,
        models.worker_fallback,
    } - known.keys() == set()


def test_the_shipped_table_says_when_and_from_where() -> None:
    """A price without its date cannot be judged."""
    table = shipped_prices()
    assert table.as_of.year == 2026
    assert "pricing" in table.source


def test_prices_are_read_exactly() -> None:
    """Dollars for a million tokens become whole micro-dollars, without a float in between."""
    entry = "{ input = 4, output = 20, cache_write = 5, cache_read = 0.2 }"
    table = parse_prices(f'as_of = 2026-01-02\nsource = "s"\n[models]\nm = {entry}')
    assert isinstance(table, PriceTable)
    assert table.models == {"m": PRICE}


@pytest.mark.parametrize(
    "entry",
    [
        "{ input = 1, output = 1, cache_write = 1 }",
        "{ input = -1, output = 1, cache_write = 1, cache_read = 1 }",
        "{ input = 0.0000001, output = 1, cache_write = 1, cache_read = 1 }",
        "{ input = nan, output = 1, cache_write = 1, cache_read = 1 }",
        "{ input = inf, output = 1, cache_write = 1, cache_read = 1 }",
        "{ input = true, output = 1, cache_write = 1, cache_read = 1 }",
        "{ input = 1, output = 1, cache_write = 1, cache_read = 1, batch = 1 }",
        "3",
    ],
)
def test_a_price_that_cannot_be_one_spoils_the_table(entry: str) -> None:
    """A guessed price is a limit that does not hold."""
    assert isinstance(parse_prices(f'as_of = 2026-01-02\nsource = "s"\n[models]\nm = {entry}'), BadPrices)


@pytest.mark.parametrize("text", ["", "= 1", 'as_of = 2026-01-02\nsource = "s"', "models = 3"])
def test_a_table_without_its_parts_is_bad(text: str) -> None:
    """Date, source and models are all needed."""
    assert isinstance(parse_prices(text), BadPrices)


def test_an_unknown_model_names_its_fix() -> None:
    """The value that comes back says which models are known."""
    found = price_of({"m": PRICE}, "x")
    assert isinstance(found, NoPrice)
    assert ("'x'" in found.what, "m" in found.fix) == (True, True)


def test_a_cost_is_rounded_up() -> None:
    """One cached token costs a fifth of a micro-dollar, and is counted as one."""
    assert cost_micros(Usage(cache_read_tokens=1), PRICE) == 1
    assert cost_micros(Usage(input_tokens=1_000, output_tokens=10), PRICE) == 4_200


@given(usages, usages)
def test_costs_add_up_to_no_less(first: Usage, second: Usage) -> None:
    """Two calls never look cheaper apart than together."""
    apart = cost_micros(first, PRICE) + cost_micros(second, PRICE)
    assert cost_micros(first + second, PRICE) <= apart <= cost_micros(first + second, PRICE) + 1


@given(st.text(max_size=300), st.integers(min_value=0, max_value=3))
def test_no_text_costs_more_than_its_ceiling(text: str, parts: int) -> None:
    """Even one token for every byte, all of it written to the cache, stays below it."""
    request = asked(text, *["more"] * parts)
    shown = len(text.encode()) + 4 * parts
    worst = Usage(cache_write_tokens=shown + 1_000, output_tokens=request.max_output_tokens)
    assert cost_micros(worst, PRICE) <= ceiling_micros(request, PRICE)


def test_a_conversation_that_goes_on_is_held_to_what_was_measured() -> None:
    """Only the new message counts by its bytes; of a changed request all does."""
    before = asked("x" * 100_000)
    measured = Measured(request=before, input_tokens=25_000)
    longer = asked("x" * 100_000, "and now?")
    changed = dataclasses.replace(longer, system=())
    other = dataclasses.replace(longer, model="n")
    assert ceiling_micros(longer, PRICE, measured) < ceiling_micros(longer, PRICE) / 3
    assert ceiling_micros(longer, PRICE, measured) >= 25_000 * 5
    assert ceiling_micros(changed, PRICE, measured) == ceiling_micros(changed, PRICE)
    assert ceiling_micros(other, PRICE, measured) == ceiling_micros(other, PRICE)


@given(entries)
def test_the_fold_does_not_mind_the_order(several: list[Entry]) -> None:
    """A ledger read in any order, or with lines twice, says the same."""
    assert spent(several) == spent(list(reversed(several))) == spent(several + several)


@given(entries)
def test_what_is_settled_is_not_unresolved(several: list[Entry]) -> None:
    """Settling a call moves it; nothing is counted twice and nothing is forgotten."""
    spend = spent(several)
    reserved = {entry.call for entry in several if isinstance(entry, Reserved)}
    settled = {entry.call for entry in several if isinstance(entry, Settled)}
    assert (spend.unresolved_micros == 0) or bool(reserved - settled)
    closing = [Settled(call=call, micros=0, usage=Usage(), at=NOW) for call in reserved - settled]
    assert spent([*several, *closing]).most_micros == spend.settled_micros


def test_used_adds_up_what_was_settled() -> None:
    """Tokens of settled calls, each once."""
    one = Settled(call="a", micros=1, usage=Usage(input_tokens=3), at=NOW)
    two = Settled(call="b", micros=1, usage=Usage(output_tokens=4), at=NOW)
    assert used([one, two, one]) == Usage(input_tokens=3, output_tokens=4)


@given(counts, counts, counts, counts)
def test_a_limit_is_never_passed(limit: int, settled: int, unresolved: int, needed: int) -> None:
    """What is allowed fits together with all that may have been spent."""
    spend = Spend(settled_micros=settled, unresolved_micros=unresolved)
    allowed = may_spend([Limit(name="day", micros=limit, spend=spend)], needed) is None
    assert allowed == (needed == 0 or settled + unresolved + needed <= limit)


def test_the_tightest_limit_is_named() -> None:
    """A person raises the limit that stands in the way first."""
    limits = [
        Limit(name="day", micros=50),
        Limit(name="attempt", micros=20),
        Limit(name="in all", micros=900),
    ]
    assert may_spend(limits, 60) == OutOfBudget(limit="attempt", left_micros=20, needed_micros=60)


def test_a_ledger_is_read_as_it_was_written(tmp_path: Path) -> None:
    """Entries come back equal, in order; a ledger that is not there is empty."""
    ledger = Ledger(tmp_path / "ledger.jsonl")
    assert ledger.entries() == ()
    reserved = Reserved(call="a", model="m", micros=5, at=NOW)
    settled = Settled(call="a", micros=3, usage=Usage(input_tokens=1), at=NOW)
    ledger.reserve(reserved)
    ledger.settle(settled)
    assert ledger.entries() == (reserved, settled)
    assert ledger.spent() == Spend(settled_micros=3, tokens=1)


def test_a_torn_settlement_leaves_its_call_at_the_ceiling(tmp_path: Path) -> None:
    """Cut the file anywhere in its last line: the call counts in full, and the next entry is whole."""
    ledger = Ledger(tmp_path / "ledger.jsonl")
    ledger.reserve(Reserved(call="a", model="m", micros=5, at=NOW))
    start = ledger.path.stat().st_size
    ledger.settle(Settled(call="a", micros=3, usage=Usage(), at=NOW))
    whole = ledger.path.read_bytes()
    for end in range(start + 1, len(whole) - 1):
        ledger.path.write_bytes(whole[:end])
        assert ledger.spent() == Spend(unresolved_micros=5)
        ledger.reserve(Reserved(call="b", model="m", micros=7, at=NOW))
        assert ledger.spent() == Spend(unresolved_micros=12)
        assert [each.line for each in ledger.read()[1]] == [2]


@given(st.binary(max_size=200))
def test_garbage_in_a_ledger_is_reported_and_never_raises(data: bytes) -> None:
    """Whatever bytes stand in a line, entries around it are read."""
    line = b'{"is":"reserved","call":"a","model":"m","micros":5,"at":"2026-11-20T00:00:00Z"}'
    found, _ = read_entries(line + b"\n" + data + b"\n" + line + b"\n")
    assert spent(found).unresolved_micros >= 5


KILLS = ("none", "before it is set aside", "torn reservation", "while it is asked", "torn settlement")


@given(
    st.lists(
        st.tuples(st.integers(0, 10**6), st.integers(0, 10**6), st.sampled_from(KILLS)),
        min_size=1,
        max_size=20,
    ),
    st.integers(0, 10**6),
)
def test_at_every_kill_settled_is_at_most_served_and_served_at_most_settled_and_unresolved(
    calls: list[tuple[int, int, str]], cut: int
) -> None:
    """An attempt may die anywhere in any of its calls and go on; its ledger and the journal stay right."""
    book, served = b"", 0
    purse = sum(ceiling for ceiling, _, _ in calls)
    for number, (ceiling, part, kill) in enumerate(calls):
        cost = part % (ceiling + 1)
        reserved = _line(Reserved(call=str(number), model="m", micros=ceiling, at=NOW))
        settled = _line(Settled(call=str(number), micros=cost, usage=Usage(output_tokens=1), at=NOW))
        if kill == "before it is set aside":
            continue
        if kill == "torn reservation":
            book += reserved[: cut % len(reserved)] + b"\n"  # and so the call was not made
            continue
        book, served = book + reserved, served + cost
        if kill == "torn settlement":
            book += settled[: cut % (len(settled) - 1)] + b"\n"
        elif kill == "none":
            book += settled
        spend = spent(read_entries(book)[0])
        assert spend.settled_micros <= served <= spend.most_micros <= purse
        world = World()
        shares = shares_of(read_entries(book)[0])
        whole = in_all(shares)
        facts = (f.Reserved(purse="attempt:1.1.1", micros=purse),)
        world.apply(f.Entry(at=NOW, cycle=1, facts=facts))
        assert served <= world.spent_micros()
        paid = f.Settled(
            purse="attempt:1.1.1",
            micros=whole.micros,
            unresolved_micros=whole.unresolved_micros,
            shares=shares,
        )
        world.apply(f.Entry(at=NOW, cycle=1, facts=(paid,)))
        assert world.spent_micros() - world.unresolved_micros <= served <= world.spent_micros()


def _line(entry: Entry) -> bytes:
    return json.dumps(encode(entry)).encode() + b"\n"
