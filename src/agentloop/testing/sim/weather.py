"""What goes wrong, by kind, and how often: all of it drawn from the seed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, get_args

from agentloop.testing.sim.chance import Chance

if TYPE_CHECKING:
    from collections.abc import Iterable

Kind = Literal[
    "crash",
    "lost answer",
    "outage",
    "lag",
    "bad moment",
    "worker",
    "gate",
    "admin",
    "limit",
    "clock",
    "wipe",
    "people",
    "relay",
    "settings",
    "pause",
    "target",
    "late look",
    "retry",
    "orders",
]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)

CALLS_BETWEEN: Final[dict[Kind, float]] = {
    "crash": 150,
    "lost answer": 120,
    "outage": 250,
    "lag": 15,
    "bad moment": 150,
    "late look": 60,
}
"""Calls of a port from one fault of this kind to the next, on average; by seed a third or thrice of it."""

HOURS_BETWEEN: Final[dict[Kind, float]] = {
    "clock": 60,
    "wipe": 80,
    "people": 4,
    "relay": 8,
    "settings": 30,
    "pause": 40,
    "target": 50,
    "retry": 10,
    "orders": 6,
}
RATES: Final[dict[Kind, float]] = {"worker": 0.4, "gate": 0.3, "admin": 0.25, "limit": 0.06, "wipe": 0.1}
"""Of so many attempts, verdicts and answers is one bad, and after so many cut-off cycles the folder goes."""


class Weather:
    """The faults of one simulation. `calm` ends them all."""

    def __init__(self, seed: int, kinds: Iterable[Kind]) -> None:
        self.kinds = frozenset(kinds)
        self._streams = {kind: Chance(seed, kind) for kind in KINDS}
        self._force = {kind: Chance(seed, f"force of {kind}").pick((0.3, 1.0, 1.0, 3.0)) for kind in KINDS}
        self._left = {kind: self._distance(kind) for kind in CALLS_BETWEEN if kind in self.kinds}
        self.struck: dict[Kind, int] = dict.fromkeys(KINDS, 0)

    def calm(self) -> None:
        """End every fault, for good."""
        self.kinds = frozenset()
        self._left = {}

    def stream(self, kind: Kind) -> Chance:
        """Return the draws of one kind."""
        return self._streams[kind]

    def strikes(self, kind: Kind) -> bool:
        """Return whether a fault of this kind comes with this call of a port."""
        if kind not in self._left:
            return False
        self._left[kind] -= 1
        if self._left[kind] > 0:
            return False
        self._left[kind] = self._distance(kind)
        self.struck[kind] += 1
        return True

    def goes_wrong(self, kind: Kind) -> bool:
        """Return whether this attempt, verdict, answer or end of a cycle is a bad one."""
        bad = kind in self.kinds and self._streams[kind].happens(min(0.9, RATES[kind] * self._force[kind]))
        self.struck[kind] += bad
        return bad

    def hours_to(self, kind: Kind) -> float | None:
        """Return the hours to the next fault of this kind; None: there is none."""
        if kind not in self.kinds:
            return None
        return self._streams[kind].until_next(HOURS_BETWEEN[kind] / self._force[kind])

    def _distance(self, kind: Kind) -> int:
        return 1 + int(self._streams[kind].until_next(CALLS_BETWEEN[kind] / self._force[kind]))
