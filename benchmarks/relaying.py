"""The relay: rendered, merged, written durably and committed, beside a plain durable `git commit`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.measuring import Row, ask_child, median

if TYPE_CHECKING:
    from pathlib import Path

ARCHIVED = (10, 10_000)


def rows(home: Path, turns: int) -> list[Row]:
    """Return the relay's commit against git's, and with many archived cycles against few."""
    few, many = (
        ask_child("relaycommit", str(home.with_name(f"relay-{count}")), str(count), str(turns))
        for count in ARCHIVED
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
            name="with 10,000 archived days / with 10",
            measured=median(many["ours"]) / ours,
            unit="×",
            promised=1.5,
            beside=f"{median(many['ours']) * 1000:.0f} ms",
        ),
    ]
