"""What every rule is given: the world as the journal tells it, one look outside, and the settings."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from agentloop.domain.settings import micros
from agentloop.domain.states import InReview, Working
from agentloop.domain.valueclass import dataclass, field

if TYPE_CHECKING:
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

    def money_left(self) -> tuple[str, int]:
        """Return the name of the tightest limit and the micro-dollars left under it (never below 0)."""
        day = micros(self.settings.limits.day_usd) - self.world.spent_micros(self.now.date())
        total = micros(self.settings.limits.total_usd) - self.world.spent_micros()
        name, left = ("limits.day_usd", day) if day <= total else ("limits.total_usd", total)
        return name, max(0, left)

    def cycle_purse(self) -> int:
        """Return what asking the admin may cost now, in micro-dollars: all that a cycle may, or 0."""
        limits = self.settings.limits
        needed = micros(min(limits.cycle_usd, limits.day_usd, limits.total_usd))
        return needed if self.money_left()[1] >= needed else 0

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
        return (self.now + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)

    def limited(self) -> bool:
        """Whether the provider told us to wait, and the time is not up."""
        # A clock that was set back behind the moment the limit was met says nothing about its end.
        since, until = self.world.limited_since, self.world.limited_until
        return since is not None and until is not None and since <= self.now < until

    def attempts_allowed(self, view: TaskView) -> int:
        """Return how many attempts of the task may end by their own verdict: each review allows one more."""
        return self.settings.limits.attempts_per_task + len(view.reviewed)
