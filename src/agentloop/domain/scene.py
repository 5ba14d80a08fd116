"""What every rule is given: the world as the journal tells it, one look outside, and the settings."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from agentloop.domain.estimating import estimate_for, needed_micros
from agentloop.domain.limits import (
    WITHOUT_END,
    Wanted,
    fitting,
    house,
    next_day,
    of_issue,
    of_task,
    short,
    tokens_given,
    tokens_needed,
)
from agentloop.domain.settings import micros
from agentloop.domain.states import InReview, Working
from agentloop.domain.valueclass import dataclass, field, replace
from agentloop.domain.world import similar

if TYPE_CHECKING:
    from agentloop.domain.limits import Rest
    from agentloop.domain.observed import Ground, Observed
    from agentloop.domain.relay import KeyDecision
    from agentloop.domain.settings import Settings, Target
    from agentloop.domain.states import TaskView
    from agentloop.domain.work import Task
    from agentloop.domain.world import World


def gate_minutes(settings: Settings, task: Task, target: Target) -> int:
    """Return how long a gate on the task may take, in minutes: its set-up, each check, and one to spare."""
    return settings.limits.check_minutes * (2 + len(task.contract.checks) + len(target.verify))


@dataclass(frozen=True, slots=True, kw_only=True)
class Common:
    """What holds back all queued tasks alike, until something is recorded.

    How many attempts run, how many pull requests wait for a person, and what the limits of the whole house
    leave for workers.
    """

    working: int
    in_review: int
    rests: tuple[Rest, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """The whole input of admission, reconciliation, sleep and explanation.

    `grounds` has a target's facts once they were looked at; `standing` are the relay's key decisions.
    """

    world: World
    observed: Observed
    settings: Settings
    grounds: Mapping[str, Ground] = field(default_factory=dict)
    standing: tuple[KeyDecision, ...] = ()
    woken: bool = False
    """Whether a person asked for this look; then the admin is asked even though it failed a moment ago."""

    @property
    def now(self) -> datetime:
        """The moment of the look; rules have no other clock."""
        return self.observed.now

    def working(self) -> int:
        """How many attempts run."""
        return sum(isinstance(view.state, Working) for view in self.world.live_tasks())

    def in_review(self) -> int:
        """How many pull requests wait for a person."""
        return sum(isinstance(view.state, InReview) for view in self.world.live_tasks())

    def common(self) -> Common:
        """Return what all queued tasks have in common: for who asks about many of them."""
        given = (self.settings.limits, self.now)
        return self.world.once("common", given, self._common)

    def _common(self) -> Common:
        rests = house(self.world, self.settings.limits, self.now, "worker")
        return Common(working=self.working(), in_review=self.in_review(), rests=rests)

    def unpaid(self, view: TaskView, common: Common | None = None) -> Rest | None:
        """Return the limit that keeps an attempt at the task from being paid for, or None."""
        given = self.settings.limits, self.now, view
        return self.world.once(f"unpaid {view.task.id}", given, lambda: self._unpaid(view, common))

    def _unpaid(self, view: TaskView, common: Common | None) -> Rest | None:
        wide = None if common is None else common.rests
        rests = of_task(self.world, self.settings.limits, self.now, view, wide)
        return short(rests, self.needed(view))

    def needed(self, view: TaskView) -> Wanted:
        """Return what must be left so that an attempt at the task is started (see `estimating`)."""
        limits = self.settings.limits
        kind = similar(view.task)
        given = limits, self.world.history.get(kind)
        return self.world.once(f"needed {kind}", given, lambda: self._needed(view))

    def _needed(self, view: TaskView) -> Wanted:
        limits = self.settings.limits
        found = estimate_for(self.world, limits, view.task)
        return Wanted(micros=needed_micros(found, micros(limits.attempt_usd)), tokens=tokens_needed(limits))

    def slice_for(self, view: TaskView) -> Wanted:
        """Return what is set aside for an attempt at the task: all it may take, as far as limits allow.

        Where it can, it leaves what asking the admin about the result will take.
        """
        limits = self.settings.limits
        most = Wanted(micros=micros(limits.attempt_usd), tokens=tokens_given(limits))
        fits = fitting(of_task(self.world, limits, self.now, view), most)
        wider = (*of_issue(self.world, limits, view.task.issue), *house(self.world, limits, self.now))
        left = fitting(wider, Wanted(micros=WITHOUT_END)).micros
        free = max(self.needed(view).micros, left - micros(limits.cycle_usd))
        return replace(fits, micros=min(fits.micros, free))

    def admin_unpaid(self) -> Rest | None:
        """Return the limit that keeps the admin from being asked, or None."""
        return short(house(self.world, self.settings.limits, self.now, "admin"), self.admin_wants())

    def cycle_purse(self) -> int:
        """Return what asking the admin may cost now, in micro-dollars: all that a cycle may, or 0."""
        return self.cycle_slice().micros

    def cycle_slice(self) -> Wanted:
        """Return what is set aside for asking the admin: all that a cycle may take, or nothing."""
        limits = self.settings.limits
        rests = house(self.world, limits, self.now, "admin")
        if self.admin_unpaid() is not None:
            return Wanted(micros=0)
        return fitting(rests, Wanted(micros=micros(limits.cycle_usd), tokens=tokens_given(limits)))

    def admin_wants(self) -> Wanted:
        """Return what must be left so that the admin is asked."""
        limits = self.settings.limits
        return Wanted(micros=micros(limits.cycle_usd), tokens=tokens_needed(limits))

    def may_ask(self) -> bool:
        """Whether the admin may be asked now."""
        again = self.ask_again_at()
        rested = self.woken or again is None or self.now >= again
        return rested and not self.limited() and self.cycle_purse() > 0

    def ask_again_at(self) -> datetime | None:
        """Return when the admin may be asked again after it gave no usable answer; None: nothing went wrong.

        Exponential, then the breaker: the same figures as for cycles that end badly (settings, supervision).
        """
        trouble, rules = self.world.trouble, self.settings.supervision
        if trouble is None or trouble.since > self.now:
            return None
        seconds = min(rules.backoff_seconds * 2 ** min(trouble.in_a_row - 1, 20), rules.backoff_max_seconds)
        if trouble.in_a_row >= rules.breaker_after:
            seconds = rules.breaker_seconds
        return trouble.since + timedelta(seconds=seconds)

    def next_day(self) -> datetime:
        """The next midnight, UTC: when the day's limit starts anew."""
        return next_day(self.now)

    def limited(self) -> bool:
        """Whether the provider told us to wait, and the time is not up."""
        # A clock that was set back behind the moment the limit was met says nothing about its end.
        since, until = self.world.limited_since, self.world.limited_until
        return since is not None and until is not None and since <= self.now < until

    def fruitless(self) -> bool:
        """Whether nothing is started, because too many attempts in a row came to nothing.

        A person who wakes the loop has it try once more.
        """
        limit = self.settings.limits.attempts_without_result
        return self.world.fruitless >= limit and not self.woken

    def attempts_allowed(self, view: TaskView) -> int:
        """Return how many attempts of the task may end by their own verdict.

        Each review and each retry of a person's allows one more.
        """
        return self.settings.limits.attempts_per_task + len(view.reviewed)
