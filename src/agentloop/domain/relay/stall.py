"""When the loop goes in circles."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import takewhile
from typing import Final, Literal

Stall = Literal["no", "warn", "park"]
Step = tuple[int, str, bool]
"""(cycle, its next action, whether a new signal was seen in that cycle)"""

WARN_AT: Final = 2
PARK_AT: Final = 3


def stalled(history: Iterable[Step]) -> Stall:
    """Return whether the newest steps repeat one next action without a new signal.

    Twice: "warn" (the admin is told and must change direction). Three times or more: "park" (the work is
    parked and a human asked). A cycle with a new signal starts the count anew; of several steps of one
    cycle the last counts.
    """
    last_of_each = {cycle: (_same(action), signal) for cycle, action, signal in history}
    newest_first = [last_of_each[cycle] for cycle in sorted(last_of_each, reverse=True)]
    if not newest_first:
        return "no"
    action = newest_first[0][0]
    run = list(takewhile(lambda step: step[0] == action, newest_first))
    silent = len(list(takewhile(lambda step: not step[1], run)))
    # The step that had the signal is the first of the run that is counted.
    count = min(len(run), silent + 1)
    if count >= PARK_AT:
        return "park"
    return "warn" if count >= WARN_AT else "no"


def _same(action: str) -> str:
    return " ".join(action.casefold().split()).rstrip(".!… ")
