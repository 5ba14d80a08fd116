"""Seeds that once broke a promise, by name: they are played for ever."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from agentloop.testing.sim.weather import KINDS, Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Storm:
    """The storm in which it happened."""

    seed: int
    weeks: float = 1.0
    kinds: tuple[Kind, ...] = KINDS


NAMED: Final[dict[str, Storm]] = {
    "a killed attempt's call in hand was settled at its ceiling": Storm(seed=3, kinds=("worker",)),
    "a start that was not noted before the runtime folder went was made again": Storm(
        seed=12, kinds=("crash", "wipe")
    ),
    "an answer that was lost again left a cycle idle": Storm(seed=48),
    "a list that lagged behind our own closing was taken for a reopening": Storm(seed=20100),
    "settings were changed between a cycle and the look at it": Storm(seed=3033),
}
"""What went wrong, and where."""
