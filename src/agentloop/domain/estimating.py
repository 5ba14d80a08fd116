"""What an attempt will cost, by our own history. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from agentloop.domain.settings import micros
from agentloop.domain.valueclass import dataclass
from agentloop.domain.world import similar

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentloop.domain.settings import Limits
    from agentloop.domain.work import Task
    from agentloop.domain.world import World

PRIOR: Final = 4
"""The default weighs as much as so many attempts."""
ENOUGH: Final = 5
"""Similar attempts from which on an estimate, and not the whole slice, decides whether an attempt fits."""
USUAL: Final = 4
"""Without any history an attempt is thought to take a fourth of what it may."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """Micro-dollars: half of such attempts cost less than `micros`, nine in ten less than `high_micros`."""

    micros: int
    high_micros: int
    based_on: int
    """How many attempts of ours it is made from."""

    @property
    def known(self) -> bool:
        """Whether there are enough of them to plan by."""
        return self.based_on >= ENOUGH


def estimate(costs: Sequence[int], slice_micros: int) -> Estimate:
    """Return what an attempt will cost, given what similar ones cost and what this one may.

    Median and ninetieth percentile of the sample (nearest rank), each drawn towards a default while the
    sample is small: (n * quantile + PRIOR * default) / (n + PRIOR). The defaults are a fourth of the slice
    and the slice itself. Never above the slice: more it cannot spend.
    """
    sample = sorted(costs)
    count = len(sample)
    middle = sample[(count - 1) // 2] if sample else 0
    high = sample[-(-count * 9 // 10) - 1] if sample else 0
    usual = (count * middle + PRIOR * (slice_micros // USUAL)) // (count + PRIOR)
    most = (count * high + PRIOR * slice_micros) // (count + PRIOR)
    return Estimate(
        micros=min(usual, slice_micros), high_micros=min(max(usual, most), slice_micros), based_on=count
    )


def estimate_for(world: World, limits: Limits, task: Task) -> Estimate:
    """Return what one attempt at `task` will cost: by attempts of the same kind at the same target."""
    return estimate(world.history.get(similar(task), ()), micros(limits.attempt_usd))


def needed_micros(found: Estimate, slice_micros: int) -> int:
    """Return what must be left for an attempt to be started, so that it is not ended by a limit half-way.

    The whole slice while there is little history; then twice what nine in ten cost less than.
    """
    return min(slice_micros, 2 * found.high_micros) if found.known else slice_micros
