"""When money was spent: an attempt's calls, ten minutes at a time, for the limits of an hour and of a day.

An attempt is settled when its end is noticed, which may be hours after its first call. What it spent counts
when it was spent; what nobody can date counts when it is settled, which is the latest it can have been.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from agentloop.domain.shares import Share, by_model, less
from agentloop.domain.valueclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable

TEN_MINUTES: Final = timedelta(minutes=10)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Spell:
    """What calls took within ten minutes, model by model; `at` is when the last of them was settled."""

    at: datetime
    shares: tuple[Share, ...]


def spells(calls: Iterable[tuple[datetime, Share]]) -> tuple[Spell, ...]:
    """Return settled calls by their time, oldest first; nothing when all came within ten minutes."""
    found: dict[int, list[tuple[datetime, Share]]] = {}
    for at, share in calls:
        found.setdefault((at - _EPOCH) // TEN_MINUTES, []).append((at, share))
    times = [at for each in found.values() for at, _ in each]
    if not times or max(times) - min(times) < TEN_MINUTES:
        return ()
    return tuple(
        Spell(at=max(at for at, _ in found[key]), shares=by_model(share for _, share in found[key]))
        for key in sorted(found)
    )


def spread(
    shares: tuple[Share, ...], dated: tuple[Spell, ...], *, began: datetime | None, at: datetime
) -> tuple[Spell, ...]:
    """Return `shares` by when they count; together they are exactly `shares`.

    A spell before `began` or after `at` (a clock was set), what no spell names, and everything when the
    spells are more than there is: all of that counts at `at`, when it was settled.
    """
    known = tuple(one for one in dated if (began is None or began <= one.at) and one.at <= at)
    rest = less(shares, [share for one in known for share in one.shares])
    if rest is None or not known:
        return (Spell(at=at, shares=shares),)
    return (*known, Spell(at=at, shares=rest)) if rest else known
