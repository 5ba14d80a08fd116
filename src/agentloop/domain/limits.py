"""What every limit leaves, when it starts anew, and what may be set aside under all of them. Pure.

What counts against a limit: settled, unresolved at its ceiling, and what is set aside for work under way. The
limits of a single call, inside what was set aside for a run, are `money`'s.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Literal, TypeAlias

from agentloop.domain.settings import MICROS, micros
from agentloop.domain.shares import in_all
from agentloop.domain.valueclass import dataclass
from agentloop.domain.wording import dollars
from agentloop.domain.world import AN_HOUR, role_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agentloop.domain.settings import Limits, Settings
    from agentloop.domain.states import TaskView
    from agentloop.domain.world import IssueView, World

WITHOUT_END = 2**62
"""More micro-dollars, or tokens, than any limit allows."""
FIRST_CALL_TOKENS = 8_000
"""Bound of a worker's first call, a byte a token: prompt, tools and a short task; measured: 7,990."""
CENT = 10_000
UNDER_ALL = (
    *("attempt_usd", "call_usd", "task_usd", "issue_usd", "worker_day_usd"),
    *("hour_usd", "day_usd", "total_usd"),
)
"""Limits of dollars that every call of a worker is under.

An attempt started under one that pays for no call would end with nothing spent, and wait for money again.
"""
AN_HOURS = "limits.hour"
"""How the names of an hour's limits begin."""
BUDGET = "the budget"
"""How the name of a limit begins that a person set for one issue."""
Role: TypeAlias = Literal["admin", "worker"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rest:
    """What a limit leaves. Amounts are micro-dollars, or tokens where `tokens` says so.

    `until` is when it starts anew; None: when somebody raises it.
    """

    name: str
    most: int
    used: int
    until: datetime | None = None
    tokens: bool = False
    aside: int = 0
    """What of `used` is only set aside for work under way."""

    @property
    def spent(self) -> int:
        """Settled, and unresolved at its ceiling."""
        return self.used - self.aside

    @property
    def left(self) -> int:
        """Never below 0."""
        return max(0, self.most - self.used)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is to be set aside; 0 tokens = tokens are not counted."""

    micros: int
    tokens: int = 0

    def under(self, rest: Rest) -> int:
        """Return what of it counts against `rest`: never more than it allows at all."""
        return min(self.tokens if rest.tokens else self.micros, rest.most)


def next_day(now: datetime) -> datetime:
    """The next midnight, UTC: when the limits of a day start anew."""
    return (now + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)


def house(world: World, limits: Limits, now: datetime, role: Role | None = None) -> tuple[Rest, ...]:
    """Return what the limits of the whole house leave, and those of `role`; the longest-lasting first."""
    return world.once(f"house {role}", (limits, now), lambda: _house(world, limits, now, role))


def _house(world: World, limits: Limits, now: datetime, role: Role | None) -> tuple[Rest, ...]:
    if role is not None:
        wide, own = house(world, limits, now), _of_role(world, limits, role, now)
        at = next((n for n, rest in enumerate(wide) if rest.name.startswith(AN_HOURS)), len(wide))
        return wide if own is None else (*wide[:at], own, *wide[at:])
    day = now.astimezone(UTC).date()
    midnight, back = next_day(now), _hour_starts_anew(world, now)
    money, tokens = sum(world.purses.values()), sum(world.token_purses.values())
    found = [
        _usd("total_usd", limits.total_usd, world.spent_micros(), aside=money),
        _count("total_tokens", limits.total_tokens, world.used_tokens(), aside=tokens),
        _usd("day_usd", limits.day_usd, world.spent_micros(day), midnight, aside=money),
        _count("day_tokens", limits.day_tokens, world.used_tokens(day), midnight, aside=tokens),
    ]
    recent = [one for one in world.recent if now - AN_HOUR < one.at]
    spent, used = sum(one.micros for one in recent), sum(one.tokens for one in recent)
    found.append(_usd("hour_usd", limits.hour_usd, spent + money, back, aside=money))
    found.append(_count("hour_tokens", limits.hour_tokens, used + tokens, back, aside=tokens))
    return tuple(rest for rest in found if rest is not None)


def of_task(
    world: World, limits: Limits, now: datetime, view: TaskView, wide: tuple[Rest, ...] | None = None
) -> tuple[Rest, ...]:
    """Return what every limit leaves for an attempt at the task; the longest-lasting first.

    `wide` is what `house` says for workers, where the caller asks about many tasks and knows it.
    """
    wider = of_issue(world, limits, view.task.issue)
    own = world.once(f"task {view.task.id}", (limits, view), lambda: _of_task(world, limits, view))
    wide = house(world, limits, now, "worker") if wide is None else wide
    return (*wider, *own, *wide)


def _of_task(world: World, limits: Limits, view: TaskView) -> tuple[Rest, ...]:
    mine = _taken(world, (view,))
    own = (
        _usd("task_usd", limits.task_usd, mine.micros, aside=mine.aside),
        _count("task_tokens", limits.task_tokens, mine.tokens, aside=mine.tokens_aside),
    )
    return tuple(rest for rest in own if rest is not None)


def of_issue(world: World, limits: Limits, issue: str) -> tuple[Rest, ...]:
    """Return what the limits of the issue leave: for attempts at its tasks, and for asking the admin."""
    return world.once(f"issue {issue}", (limits,), lambda: _of_issue(world, limits, issue))


def _of_issue(world: World, limits: Limits, issue: str) -> tuple[Rest, ...]:
    view = world.issues.get(issue)
    admin = in_all(view.admin if view else ())
    taken = _taken(world, world.tasks_of(issue))
    own = (
        _for_issue(view, limits, taken.micros + admin.most_micros, taken.aside),
        _count("issue_tokens", limits.issue_tokens, taken.tokens + admin.tokens, aside=taken.tokens_aside),
    )
    return tuple(rest for rest in own if rest is not None)


def budget_words(world: World, limits: Limits, issue: str) -> str:
    """Return what an issue may spend, who said so, and what is left of it; "" for one that nobody knows."""
    view = world.issues.get(issue)
    rest = next((one for one in of_issue(world, limits, issue) if not one.tokens), None)
    if view is None:
        return ""
    if rest is None:
        return "Nothing bounds what this issue may spend but the limits of the house (limits.issue_usd = 0)."
    said = f"{view.budget_by} said so" if view.budget_micros is not None else "limits.issue_usd"
    aside = f", {dollars(rest.aside)} is set aside for work under way" if rest.aside else ""
    spent = f"{dollars(rest.spent)} is spent{aside}, {dollars(rest.left)} is left"
    return f"This issue may spend {dollars(rest.most)} ({said}): {spent}."


def _for_issue(view: IssueView | None, limits: Limits, used: int, aside: int) -> Rest | None:
    if view is None or view.budget_micros is None:
        return _usd("issue_usd", limits.issue_usd, used, aside=aside)
    return Rest(name=f"{BUDGET} of issue {view.id}", most=view.budget_micros, used=used, aside=aside)


def tokens_given(limits: Limits) -> int:
    """Return the tokens that an attempt, or the admin in a cycle, may take; 0 = tokens are not counted.

    Without `attempt_tokens`, all that a wider limit leaves is set aside: one at a time, but never too much.
    """
    house_wide = (limits.hour_tokens, limits.day_tokens, limits.total_tokens)
    wider = (limits.task_tokens, limits.issue_tokens, *house_wide)
    return limits.attempt_tokens or (WITHOUT_END if any(wider) else 0)


def tokens_needed(limits: Limits) -> int:
    """Return the tokens that must be left for it to be started; 0 = tokens are not counted."""
    return limits.attempt_tokens or min(1, tokens_given(limits))


def too_narrow(settings: Settings) -> str:
    """Return that an attempt could not make one single call, and the least that works; "" when it can.

    A first call costs at most `FIRST_CALL_TOKENS` at the dearest way to be charged for input, and the longest
    answer. A model without a price is never called.
    """
    limits, model = settings.limits, settings.models.worker
    price = settings.prices.get(model)
    if price is None:
        return ""
    dearest = max(price.input, price.cache_write, price.cache_read)
    most = FIRST_CALL_TOKENS * dearest + settings.models.max_output_tokens * price.output
    least = -(-most // (MICROS * CENT)) * CENT
    given = ((name, micros(getattr(limits, name))) for name in UNDER_ALL)
    # 0 is no limit; an attempt always has one.
    narrow = [(name, each) for name, each in given if each < least and (each or name == UNDER_ALL[0])]
    if not narrow:
        return ""
    name, each = narrow[0]
    says = f"limits.{name} = {dollars(each)} does not pay for one call to {model}"
    return f"{says}: raise it to {dollars(least)} or more"


def slow_call_stalls(settings: Settings) -> str:
    """Return that a single call to the model may count as a stall, and what to change; "" when none can."""
    seconds, minutes = settings.models.call_seconds, settings.worker.stall_minutes
    if not 0 < minutes * 60 <= seconds:
        return ""
    return (
        f"models.call_seconds = {seconds} is not below worker.stall_minutes = {minutes}, so that one slow "
        f"call counts as a stall: set stall_minutes = {seconds // 60 + 1} or more, "
        f"or call_seconds below {minutes * 60}"
    )


def short(rests: tuple[Rest, ...], wanted: Wanted) -> Rest | None:
    """Return the limit that `wanted` does not fit under, the longest-lasting one; None = it fits."""
    return next((rest for rest in rests if rest.left < wanted.under(rest)), None)


def fitting(rests: tuple[Rest, ...], most: Wanted) -> Wanted:
    """Return as much of `most` as fits under every limit."""
    money = min([most.micros, *(rest.left for rest in rests if not rest.tokens)])
    tokens = min([most.tokens, *(rest.left for rest in rests if rest.tokens)]) if most.tokens else 0
    return Wanted(micros=money, tokens=tokens)


def _usd(name: str, most: float, used: int, until: datetime | None = None, *, aside: int = 0) -> Rest | None:
    if not most:
        return None
    return Rest(name=f"limits.{name}", most=micros(most), used=used, until=until, aside=aside)


def _count(name: str, most: int, used: int, until: datetime | None = None, *, aside: int = 0) -> Rest | None:
    if not most:
        return None
    return Rest(name=f"limits.{name}", most=most, used=used, until=until, tokens=True, aside=aside)


def _of_role(world: World, limits: Limits, role: Role, now: datetime) -> Rest | None:
    most = limits.admin_day_usd if role == "admin" else limits.worker_day_usd
    aside = sum(each for purse, each in world.purses.items() if role_of(purse) == role)
    spent = world.roles_by_day[f"{role}:{now.astimezone(UTC).date()}"]
    return _usd(f"{role}_day_usd", most, spent + aside, next_day(now), aside=aside)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Taken:
    """What attempts took, and what of it is only set aside."""

    micros: int
    aside: int
    tokens: int
    tokens_aside: int


def _taken(world: World, views: Iterable[TaskView]) -> _Taken:
    tries = [one for view in views for one in view.tries]
    purses = [f"attempt:{one.attempt}" for one in tries]
    aside = sum(world.purses.get(purse, 0) for purse in purses)
    tokens_aside = sum(world.token_purses.get(purse, 0) for purse in purses)
    return _Taken(
        micros=sum(one.spent_micros for one in tries) + aside,
        aside=aside,
        tokens=sum(share.tokens for one in tries for share in one.shares) + tokens_aside,
        tokens_aside=tokens_aside,
    )


def _hour_starts_anew(world: World, now: datetime) -> datetime:
    # When the oldest settlement that still counts is an hour old; what is set aside ends when its run does.
    oldest = min((one.at for one in world.recent if now - AN_HOUR < one.at), default=None)
    if oldest is None:
        return now + timedelta(minutes=5)
    return max(oldest + AN_HOUR, now + timedelta(minutes=1))


def left_words(rest: Rest, wanted: Wanted) -> str:
    """Return why an attempt is not paid for, as a person reads it."""
    needed = wanted.under(rest)
    if rest.tokens:
        said = f"{rest.left:,} tokens are left under {rest.name}, an attempt may need {needed:,}"
    else:
        said = f"{dollars(rest.left)} is left under {rest.name}, an attempt may need {dollars(needed)}"
    return said + anew_words(rest)


def gone_words(rest: Rest) -> str:
    """Return how the limit stands that something does not fit under: the beginning of a sentence."""
    if not rest.left:
        return f"{rest.name} is used up"
    return f"{rest.name} leaves only {f'{rest.left:,} tokens' if rest.tokens else dollars(rest.left)}"


def anew_words(rest: Rest) -> str:
    """Return when the limit starts anew, to be put behind a sentence."""
    if rest.until is None and rest.name.startswith(BUDGET):
        return ": raise it to go on (/agentloop budget, with dollars)"
    if rest.until is None:
        return ": raise it to go on"
    if rest.name.startswith(AN_HOURS):
        return f"; more is free from {rest.until:%H:%M} UTC on"
    return f"; it waits for tomorrow ({rest.until:%Y-%m-%d %H:%M} UTC)"
