"""Chance from a seed: the same draws on every machine, in every run."""

from __future__ import annotations

import math
from random import Random
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Sequence

T = TypeVar("T")


class Chance:
    """One stream of draws. Streams of other names are apart: one more draw here moves nothing there."""

    def __init__(self, seed: int, name: str) -> None:
        self._seed, self._name = seed, name
        self._random = Random(f"{seed}:{name}")  # noqa: S311 - a simulation wants draws that repeat

    def apart(self, name: str) -> Chance:
        """Return a stream of its own for one thing, so that it is drawn alike whatever else happens."""
        return Chance(self._seed, f"{self._name}, {name}")

    def happens(self, probability: float) -> bool:
        """Return whether something of this probability (0 to 1) happens."""
        return probability > 0 and self._random.random() < probability

    def between(self, low: float, high: float) -> float:
        """Return a number between the two, all alike likely."""
        return low + (high - low) * self._random.random()

    def number(self, low: int, high: int) -> int:
        """Return a whole number, both ends included."""
        return low + int(self._random.random() * (high - low + 1))

    def pick(self, things: Sequence[T]) -> T:
        """Return one of them, all alike likely."""
        return things[self.number(0, len(things) - 1)]

    def weighted(self, things: Sequence[tuple[T, float]]) -> T:
        """Return one of them, as likely as its weight says."""
        at = self._random.random() * sum(weight for _, weight in things)
        for thing, weight in things:
            at -= weight
            if at < 0:
                return thing
        return things[-1][0]

    def until_next(self, mean: float) -> float:
        """Return the time to the next of events that come every `mean` on average, memoryless."""
        return -mean * math.log(1.0 - self._random.random())

    def spread(self, median: float, sigma: float) -> float:
        """Return a log-normal draw: half are below `median`, two of three within a factor of e^sigma."""
        return float(median * math.exp(sigma * self._random.gauss(0.0, 1.0)))
