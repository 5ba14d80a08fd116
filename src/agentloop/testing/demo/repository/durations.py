"""Durations as people write them: "90s", "15m", "1h30m"."""

import re

UNITS = {"s": 1, "m": 60, "h": 3600}


def seconds(text):
    """Return the seconds in a duration, or raise ValueError."""
    found = re.match(r"(\d+)([smh])", text.strip())
    if not found:
        raise ValueError(f"not a duration: {text!r}")
    return int(found[1]) * UNITS[found[2]]
