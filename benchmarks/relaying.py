"""The relay: rendered, merged, written durably and committed, beside a plain durable `git commit`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.measuring import Row, ask_child, median

if TYPE_CHECKING:
    from pathlib import Path

ARCHIVED = ((10, 1), (10_000, 10), (10_000, 1))
"""Cycles that archived something, and how many of them on a day: a day has a file."""


def rows(home: Path, turns: int) -> list[Row]:
    """Return the relay's commit against git's, and with many archived cycles against few."""
    few, many, rare = (
        ask_child(
            "relaycommit", str(home.with_name(f"relay-{count}-{a_day}")), str(count), str(a_day), str(turns)
        )
        for count, a_day in ARCHIVED
    )
    ours, plain = median(few["ours"]), median(few["plain"])
    return [
        Row(
            group="relay",
            name="write and commit / a durable git commit",
            measured=ours / plain,
            unit="×",
            promised=2.0,
            beside=f"{ours * 1000:.0f} ms, git {plain * 1000:.0f} ms",
            why="a private index takes more git processes than one, and the write is durable first",
        ),
        Row(
            group="relay",
            name="with 10,000 archived cycles, ten a day / with 10",
            measured=median(many["ours"]) / ours,
            unit="×",
            promised=1.5,
            beside=f"{median(many['ours']) * 1000:.0f} ms",
        ),
        Row(
            group="relay",
            name="with 10,000 archived cycles, one a day for 27 years / with 10",
            measured=median(rare["ours"]) / ours,
            unit="×",
            beside=f"{median(rare['ours']) * 1000:.0f} ms",
            why="git reads and writes the index as a whole",
        ),
    ]
