"""A model whose every call is paid for from a ledger, and whose role has a second model to fall back on.

ask -> first model -> (try -> reserve, ask, settle) as often as `retry` says
    -> on a refusal or an outage: the fallback model, once, in the same way
"""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from importlib import resources
from typing import TYPE_CHECKING, TypeAlias, assert_never

from agentloop.domain.model import (
    NOTHING_USED,
    Answered,
    Ceiling,
    Limited,
    OutOfBudget,
    Refused,
    Rejected,
    Truncated,
    Unavailable,
)
from agentloop.domain.money import (
    BadPrices,
    Measured,
    NoPrice,
    PriceTable,
    Reserved,
    Settled,
    ceiling_micros,
    ceiling_tokens,
    cost_micros,
    may_spend,
    parse_prices,
    price_of,
)
from agentloop.domain.valueclass import replace
from agentloop.errors import SettingsError, UnsafeError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from agentloop.domain.model import Answer, Request, Usage
    from agentloop.domain.money import Limit
    from agentloop.domain.settings import Price
    from agentloop.edges.ledger import Ledger
    from agentloop.ports import Model

    Retry: TypeAlias = Callable[[Callable[[], Answer]], Answer]


def shipped_prices() -> PriceTable:
    """Return the price table that ships with the package. Raises SettingsError when it cannot be used."""
    text = resources.files("agentloop").joinpath("prices.toml").read_text(encoding="utf-8")
    table = parse_prices(text)
    if isinstance(table, BadPrices):
        raise SettingsError(
            f"the price table cannot be used: {table.why}", fix="mend src/agentloop/prices.toml"
        )
    return table


def require_prices(prices: Mapping[str, Price], *models: str) -> None:
    """Return when every named model (empty names are no models) has a price.

    Raises UnsafeError, with the fix.
    """
    for model in models:
        price = price_of(prices, model) if model else None
        if isinstance(price, NoPrice):
            raise UnsafeError(price.what, fix=price.fix)


def once(ask: Callable[[], Answer]) -> Answer:
    """Return the first answer, whatever it is."""
    return ask()


def _now() -> datetime:
    return datetime.now(tz=UTC)


class MeteredModel:
    """The model port with money: reserves before each try, settles after, refuses what does not fit.

    Made for one role: `model` is the one it asks for, `fallback` the one asked instead when that refuses or
    is out (empty = none). Every limit is held against what the ledger says plus the limit's own `spend`
    (what was spent elsewhere). `retry` asks again after an outage (`agentloop.edges.anthropic.retrying`);
    each try is reserved on its own, and one that may have been served stays unresolved, at its ceiling.

    Raises UnsafeError when `model` or `fallback` has no price.
    """

    def __init__(
        self,
        port: Model,
        *,
        model: str,
        ledger: Ledger,
        prices: Mapping[str, Price],
        limits: tuple[Limit, ...],
        fallback: str = "",
        retry: Retry = once,
        now: Callable[[], datetime] = _now,
    ) -> None:
        require_prices(prices, model, fallback)
        self._port = port
        self._ledger = ledger
        self._prices = prices
        self._limits = limits
        self._fallback = fallback
        self._retry = retry
        self._now = now
        self._before: Measured | None = None

    def ask(self, request: Request) -> Answer:
        """Return the answer, with the fallback's use in it.

        OutOfBudget when no limit allows the call. Raises OSError when the ledger cannot be written.
        """
        first = self._ask_patiently(request)
        why = _reason_to_fall_back(first)
        if why is None or self._fallback in {"", request.model}:
            return first
        second = self._ask_patiently(replace(request, model=self._fallback))
        match second:
            case Answered():
                return replace(second, fell_back_because=f"{request.model} {why}")
            case OutOfBudget():
                return first  # what went wrong was not the money
            case _:
                return second

    def _ask_patiently(self, request: Request) -> Answer:
        outage: Unavailable | None = None

        def ask() -> Answer:
            nonlocal outage
            answer = self._try(request)
            if outage is not None and isinstance(answer, OutOfBudget):
                # Failed tries hold their ceilings: that a further one does not fit is still the outage.
                return replace(outage, again=False)
            outage = answer if isinstance(answer, Unavailable) else None
            return answer

        return self._retry(ask)

    def _try(self, request: Request) -> Answer:
        price = price_of(self._prices, request.model)
        if isinstance(price, NoPrice):
            return Rejected(why=price.what, fix=price.fix)
        ceiling = ceiling_micros(request, price, self._before)
        tokens = ceiling_tokens(request, self._before)
        refused = may_spend(self._limits_now(), ceiling, tokens)
        if refused is not None:
            return refused
        call = uuid.uuid4().hex
        self._ledger.reserve(
            Reserved(call=call, model=request.model, micros=ceiling, at=self._now(), tokens=tokens)
        )
        answer = self._port.ask(replace(request, ceiling=Ceiling(micros=ceiling, price=price)))
        if isinstance(answer, OutOfBudget) and answer.most_micros:
            # It may have cost more than was set aside: it stays unresolved, at the most it can have been.
            more = max(ceiling, answer.most_micros)
            self._ledger.reserve(
                Reserved(call=call, model=request.model, micros=more, at=self._now(), tokens=tokens)
            )
        usage = _usage(answer)
        if usage is not None:
            micros = cost_micros(usage, price)
            self._ledger.settle(Settled(call=call, micros=micros, usage=usage, at=self._now()))
            self._learn(request, usage)
        return answer

    def _limits_now(self) -> tuple[Limit, ...]:
        here = self._ledger.spent()
        return tuple(
            limit if limit.each_call else replace(limit, spend=limit.spend + here) for limit in self._limits
        )

    def _learn(self, request: Request, usage: Usage) -> None:
        counted = usage.input_tokens + usage.cache_write_tokens + usage.cache_read_tokens
        if counted:
            self._before = Measured(request=request, input_tokens=counted)


def _usage(answer: Answer) -> Usage | None:
    match answer:
        case Answered() | Truncated() | Refused() | Limited() | Unavailable() | Rejected():
            return answer.usage
        case OutOfBudget():
            return None if answer.most_micros else NOTHING_USED
        case _:
            assert_never(answer)


def _reason_to_fall_back(answer: Answer) -> str | None:
    match answer:
        case Refused():
            return f"refused: {answer.why}"
        case Unavailable():
            return f"was out: {answer.why}"
        case Answered() | Truncated() | Limited() | Rejected() | OutOfBudget():
            return None
        case _:
            assert_never(answer)
