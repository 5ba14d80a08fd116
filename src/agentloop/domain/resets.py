"""How long a provider's limit is waited for: until its reset and a little more, all together. Pure."""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from typing import Final

AT_LEAST: Final = timedelta(seconds=60)
"""Shortest wait that a cycle takes: a reset is not hit to the second."""
MARGIN_SECONDS: Final = 5
JITTER_SECONDS: Final = 25
LONGEST_EXTRA: Final = timedelta(minutes=30)
SHORT: Final = timedelta(seconds=90)
"""A limit that is over so soon (a window of a minute) is waited out where it was met, work in hand."""


def waits_until(reset: datetime, now: datetime, *, seed: str, in_a_row: int = 0) -> datetime:
    """Return when the provider is asked again: after `reset`, and not in the same second as everybody else.

    A margin of 5 s, up to 25 s of jitter made from `seed` (the same seed, the same moment), and, when the
    limit was met again right after a reset `in_a_row` times, 1, 3, 7 … up to 30 minutes more.
    """
    drawn = int.from_bytes(hashlib.sha256(seed.encode()).digest()[:4], "big") / 2**32
    flapping = min(timedelta(minutes=2 ** min(in_a_row, 6) - 1), LONGEST_EXTRA)
    margin = timedelta(seconds=MARGIN_SECONDS + round(drawn * JITTER_SECONDS))
    return max(reset + margin + flapping, now + AT_LEAST)
