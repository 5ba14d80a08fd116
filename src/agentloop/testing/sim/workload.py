"""What an ordinary week brings: a model of work, workers and the person, for forecasts and for storms.

Every figure here is an assumption. `agentloop sim` says them, and takes others for the ones that matter most.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from agentloop.domain.model import Usage
from agentloop.domain.money import cost_micros

if TYPE_CHECKING:
    from agentloop.domain.settings import Price
    from agentloop.testing.sim.chance import Chance

SATURDAY: Final = 5
A_TURN: Final = Usage(input_tokens=60, cache_read_tokens=26_000, cache_write_tokens=2_200, output_tokens=450)
A_MATTER: Final = Usage(
    input_tokens=2_500, cache_read_tokens=9_000, cache_write_tokens=1_500, output_tokens=900
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """Rates are shares of 1; spans are medians of log-normal draws, with their sigma beside them."""

    issues_per_day: float = 3.0
    """Filed on working days, within working hours."""
    tasks_per_issue: tuple[tuple[int, float], ...] = ((1, 0.6), (2, 0.25), (3, 0.1), (5, 0.05))
    """(tasks, weight)."""
    research_rate: float = 0.1
    """Issues whose first task is research."""
    vague_rate: float = 0.1
    """Issues that the admin agent asks about first."""
    failure_rate: float = 0.25
    """Attempts that do not get a green gate."""
    attempt_minutes: tuple[float, float] = (14.0, 0.6)
    attempt_turns: tuple[float, float] = (25.0, 0.5)
    turn_tokens: Usage = A_TURN
    """Tokens of one model call of a worker."""
    admin_tokens: Usage = A_MATTER
    """Tokens of the admin agent for one matter that it is shown."""
    gate_minutes: tuple[float, float] = (3.0, 0.5)
    changes_rate: float = 0.2
    """Reviews that ask for changes."""
    unmerged_rate: float = 0.04
    """Pull requests that a person closes without merging."""
    review_hours: tuple[float, float] = (2.5, 1.0)
    """From a pull request (or a question) to the person's word on it, within working hours."""
    working_hours: tuple[int, int] = (9, 18)
    """UTC, Monday to Friday."""

    def attempt_calls(self, chance: Chance) -> int:
        """Return how many model calls an attempt makes."""
        return round(chance.spread(*self.attempt_turns))

    def call_micros(self, price: Price) -> int:
        """Return what one model call of a worker costs, in micro-dollars."""
        return cost_micros(self.turn_tokens, price)

    def admin_micros(self, chance: Chance, price: Price, matters: int) -> int:
        """Return what an answer of the admin agent on so many matters costs, in micro-dollars."""
        return round(chance.spread(1.0, 0.3) * matters * cost_micros(self.admin_tokens, price))

    def at_work(self, now: datetime) -> bool:
        """Whether the person works at this moment."""
        low, high = self.working_hours
        return now.weekday() < SATURDAY and low <= now.hour < high

    def within_hours(self, now: datetime, hours: float) -> datetime:
        """Return the moment that is `hours` of working time after `now`."""
        low, high = self.working_hours
        left = timedelta(hours=hours)
        moment = now
        while True:
            if not self.at_work(moment):
                moment = _next_start(moment, low)
                continue
            end = moment.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(hours=high)
            if moment + left <= end:
                return moment + left
            left -= end - moment
            moment = end


def tokens_of(usage: Usage) -> int:
    """Return the tokens of every kind in `usage`."""
    return usage.input_tokens + usage.cache_read_tokens + usage.cache_write_tokens + usage.output_tokens


def _next_start(moment: datetime, low: int) -> datetime:
    start = moment.replace(hour=low, minute=0, second=0, microsecond=0)
    if start <= moment:
        start += timedelta(days=1)
    while start.weekday() >= SATURDAY:
        start += timedelta(days=1)
    return start
