"""What `cost` tells: where the money went, in micro-dollars. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Final, Literal

from agentloop.domain import facts as f
from agentloop.domain.report import fallbacks
from agentloop.domain.settings import micros
from agentloop.domain.valueclass import dataclass
from agentloop.domain.world import World

if TYPE_CHECKING:
    from agentloop.domain.settings import Settings

By = Literal["day", "model", "task", "issue"]

UNNAMED: Final = "(not known)"
"""Stands for the model of money that a killed attempt spent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Charge:
    """Money that was spent: settled, and unresolved at its ceiling, which counts for good."""

    day: date
    purse: str
    model: str
    settled_micros: int
    unresolved_micros: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CostRow:
    """What was spent on one thing; `times` counts attempts and cycles."""

    key: str
    settled_micros: int
    unresolved_micros: int
    times: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Reservation:
    """Money set aside for something under way: it counts by its whole until it is settled."""

    purse: str
    micros: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitLeft:
    """A limit, what counts against it (reserved money included), and what is left."""

    name: str
    micros: int
    used_micros: int
    left_micros: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """The whole account; rows and sums are of the days asked for, reservations and limits of now."""

    by: By
    since: date | None
    rows: tuple[CostRow, ...]
    settled_micros: int
    unresolved_micros: int
    reserved: tuple[Reservation, ...]
    limits: tuple[LimitLeft, ...]
    fallbacks: tuple[str, ...] = ()
    """Which models stood in for those that the settings name."""


def charged(entries: Iterable[f.Entry]) -> tuple[World, tuple[Charge, ...]]:
    """Return the fold over `entries`, and every settlement in it."""
    world = World()
    charges: list[Charge] = []
    for entry in entries:
        world.apply(entry)
        charges += [
            Charge(
                day=entry.at.astimezone(UTC).date(),
                purse=fact.purse,
                model=fact.model or UNNAMED,
                settled_micros=fact.micros,
                unresolved_micros=fact.unresolved_micros,
            )
            for fact in entry.facts
            if isinstance(fact, f.Settled)
        ]
    return world, tuple(charges)


def costs(
    world: World,
    charges: Iterable[Charge],
    settings: Settings,
    now: datetime,
    *,
    by: By,
    days: int | None = None,
) -> Costs:
    """Return the account of the last `days` days (UTC, today included; None = all), by what was asked for."""
    today = now.astimezone(UTC).date()
    since = today - timedelta(days=days - 1) if days else None
    within = [one for one in charges if since is None or one.day >= since]
    rows: dict[str, list[Charge]] = {}
    for one in within:
        rows.setdefault(_key(one, by), []).append(one)
    made = [_row(key, rows[key]) for key in rows]
    newest_first = sorted(made, key=lambda row: row.key, reverse=True)
    dearest_first = sorted(made, key=lambda row: -(row.settled_micros + row.unresolved_micros))
    return Costs(
        by=by,
        since=since,
        rows=tuple(newest_first if by == "day" else dearest_first),
        settled_micros=sum(one.settled_micros for one in within),
        unresolved_micros=sum(one.unresolved_micros for one in within),
        reserved=tuple(Reservation(purse=_of(purse), micros=each) for purse, each in world.purses.items()),
        limits=_limits(world, settings, today),
        fallbacks=fallbacks(world, settings),
    )


def _key(charge: Charge, by: By) -> str:
    kind, _, name = charge.purse.partition(":")
    match by:
        case "day":
            return f"{charge.day:%Y-%m-%d}"
        case "model":
            return charge.model
        case "task" if kind == "attempt":
            return name.rpartition(".")[0]
        case "issue" if kind == "attempt":
            return name.rpartition(".")[0].rpartition(".")[0]
        case _:
            return _ROLES.get(kind, kind)


_ROLES: Final = {"admin": "admin agent", "rehearsal": "rehearsals"}


def _of(purse: str) -> str:
    kind, _, name = purse.partition(":")
    return (
        f"attempt {name}"
        if kind == "attempt"
        else f"{_ROLES.get(kind, kind)}, cycle {name.partition(':')[0]}"
    )


def _row(key: str, charges: list[Charge]) -> CostRow:
    return CostRow(
        key=key,
        settled_micros=sum(one.settled_micros for one in charges),
        unresolved_micros=sum(one.unresolved_micros for one in charges),
        times=len(charges),
    )


def _limits(world: World, settings: Settings, today: date) -> tuple[LimitLeft, ...]:
    pairs = (
        ("limits.day_usd", settings.limits.day_usd, world.spent_micros(today)),
        ("limits.total_usd", settings.limits.total_usd, world.spent_micros()),
    )
    return tuple(
        LimitLeft(name=name, micros=micros(usd), used_micros=used, left_micros=max(0, micros(usd) - used))
        for name, usd, used in pairs
    )
