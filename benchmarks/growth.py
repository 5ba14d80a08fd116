"""What must not grow: the cycle with what is finished, the start after a crash with the journal's length."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.measuring import BASELINE, COMMAND, Row, Runs, ask_child, in_turn, made_home, median, quantile

if TYPE_CHECKING:
    from pathlib import Path

SIZES = (0, 100, 1_000, 10_000)
"""Finished stories behind a cycle, twelve entries of the journal each."""
OPEN = (100, 1_000, 5_000)
CRASH_SECONDS = 5.0


def rows(home: Path, turns: int) -> list[Row]:
    """Return idle cycles with a past of each size, one without its index, and looks at open issues."""
    homes = {size: made_home(home.with_name(f"past-{size}")) for size in SIZES}
    for size in SIZES[1:]:
        ask_child("past", str(homes[size]), str(size))
    anew = in_turn({"": ((COMMAND, "cycle"), homes[SIZES[-1]])}, 1, warm=False)[""]
    commands = {str(size): ((COMMAND, "cycle"), homes[size]) for size in SIZES}
    found = in_turn({"base": (BASELINE, home), **commands}, turns)
    none = median(found["0"].seconds)
    told = [_cycle(size, found[str(size)], none) for size in SIZES[1:]]
    most = found[str(SIZES[-1])]
    told.append(
        Row(
            group="growth",
            name="crash → running again, 120,000 entries (p99)",
            measured=quantile(most.seconds, 0.99),
            unit="s",
            promised=CRASH_SECONDS,
            beside=f"median {median(most.seconds):.2f} s",
        )
    )
    without = Row(
        group="growth",
        name="the same without the index (after an upgrade)",
        measured=median(anew.seconds),
        unit="s",
        beside=f"{anew.megabytes:.0f} MB",
    )
    return [*told, without, *_briefings()]


def _cycle(size: int, runs: Runs, none: float) -> Row:
    return Row(
        group="growth",
        name=f"idle cycle with {size:,} finished tasks / with none",
        measured=median(runs.seconds) / none,
        unit="×",
        promised=1.2,
        beside=f"{runs.told()}, {runs.megabytes:.0f} MB",
    )


def _briefings() -> list[Row]:
    sizes = {count: ask_child("briefing", str(count)) for count in OPEN}
    few, many = sizes[OPEN[0]]["bytes"], sizes[OPEN[-1]]["bytes"]
    beside = ", ".join(f"{count:,} issues: {said['bytes']:,} bytes" for count, said in sizes.items())
    looks = ", ".join(f"{count:,}: {said['look_ms']:.0f} ms" for count, said in sizes.items())
    return [
        Row(
            group="growth",
            name="briefing, 5,000 open issues / 100",
            measured=many / few,
            unit="×",
            promised=1.05,
            beside=beside,
        ),
        Row(
            group="growth",
            name="one look of the built-in tracker at 1,000 open issues",
            measured=sizes[1_000]["look_ms"],
            unit="ms",
            beside=looks,
        ),
    ]
