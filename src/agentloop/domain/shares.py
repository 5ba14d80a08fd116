"""What model calls took, model by model: the values that receipts and limits are made of."""

from __future__ import annotations

from collections.abc import Iterable

from agentloop.domain.valueclass import dataclass, replace


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """Calls of one model: micro-dollars and tokens, settled, and unresolved at their ceiling."""

    model: str
    calls: int = 0
    micros: int = 0
    unresolved_micros: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cache_write_tokens: int = 0
    cache_read_tokens: int = 0
    unresolved_tokens: int = 0

    @property
    def most_micros(self) -> int:
        """Settled, and unresolved at its ceiling: what counts."""
        return self.micros + self.unresolved_micros

    @property
    def tokens(self) -> int:
        """Tokens of every kind, the unresolved at their ceiling: what counts."""
        return self.input_all + self.output_tokens + self.unresolved_tokens

    @property
    def input_all(self) -> int:
        """Input tokens, cached or not."""
        return self.input_tokens + self.cache_write_tokens + self.cache_read_tokens


_SUMMED = (
    "calls",
    "micros",
    "unresolved_micros",
    "input_tokens",
    "output_tokens",
    "cache_write_tokens",
    "cache_read_tokens",
    "unresolved_tokens",
)


def added(one: Share, other: Share) -> Share:
    """Return both together, under the first one's name."""
    return Share(
        model=one.model,
        calls=one.calls + other.calls,
        micros=one.micros + other.micros,
        unresolved_micros=one.unresolved_micros + other.unresolved_micros,
        input_tokens=one.input_tokens + other.input_tokens,
        output_tokens=one.output_tokens + other.output_tokens,
        cache_write_tokens=one.cache_write_tokens + other.cache_write_tokens,
        cache_read_tokens=one.cache_read_tokens + other.cache_read_tokens,
        unresolved_tokens=one.unresolved_tokens + other.unresolved_tokens,
    )


def by_model(shares: Iterable[Share]) -> tuple[Share, ...]:
    """Return one share for each model, the dearest first."""
    found: dict[str, Share] = {}
    for share in shares:
        known = found.get(share.model)
        found[share.model] = share if known is None else added(known, share)
    return tuple(sorted(found.values(), key=lambda one: (-one.most_micros, one.model)))


def in_all(shares: Iterable[Share]) -> Share:
    """Return all of them as one, of no model."""
    total = Share(model="")
    for share in shares:
        total = added(total, share)
    return total


def less(shares: Iterable[Share], taken: Iterable[Share]) -> tuple[Share, ...] | None:
    """Return what is left of `shares` without `taken`, by model; None when more was taken than is there."""
    left = {one.model: one for one in by_model(shares)}
    for one in by_model(taken):
        whole = left.get(one.model, Share(model=one.model))
        left[one.model] = replace(
            whole, **{name: getattr(whole, name) - getattr(one, name) for name in _SUMMED}
        )
    amounts = [[getattr(one, name) for name in _SUMMED] for one in left.values()]
    if any(amount < 0 for each in amounts for amount in each):
        return None
    return tuple(one for one, each in zip(left.values(), amounts, strict=True) if any(each))


def split(share: Share, parts: int) -> tuple[Share, ...]:
    """Return `share` in `parts` that add up to it; what does not divide falls to the first ones."""

    def part(number: int) -> Share:
        amounts = {name: divmod(getattr(share, name), parts) for name in _SUMMED}
        return replace(share, **{name: each + (number < rest) for name, (each, rest) in amounts.items()})

    return tuple(part(number) for number in range(parts))
