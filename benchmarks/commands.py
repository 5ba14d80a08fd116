"""Whole commands, from process start to end, as ratios to the interpreter's own start."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from benchmarks.measuring import BASELINE, COMMAND, START, Row, in_turn, median

if TYPE_CHECKING:
    from pathlib import Path

LIGHT, HELP, OTHERS, IDLE = 2.5, 7.0, 15.0, 12.0
GH = 0.6
MEGABYTES = 35.0
TYPER = "typer validates every option with pydantic, which takes as long to load as all the rest"
PROMISED = {
    "--version": LIGHT,
    "status --json": LIGHT,
    "wake": LIGHT,
    "--help": HELP,
    "issue list": OTHERS,
    "tasks": OTHERS,
    "cycle": IDLE,
}


def rows(home: Path, turns: int) -> list[Row]:
    """Return time and memory of each command in an empty home."""
    commands = {name: ((COMMAND, *name.split()), home) for name in PROMISED if name != "wake"}
    if (gh := shutil.which("gh")) is not None:
        commands["gh"] = ((gh, "--version"), home)
    # A wake is taken by the cycle that follows, which then is none of the idle ones: it comes last.
    found = in_turn({"": (BASELINE, home), **commands, "wake": ((COMMAND, "wake"), home)}, turns)
    base = median(found[""].seconds)
    told = [Row(group="commands", name=START, measured=base * 1000, unit="ms")]
    for name, promised in PROMISED.items():
        runs = found[name]
        if runs.failure:
            told.append(_failed(name, runs.failure))
            continue
        seconds = median(runs.seconds)
        told.append(
            Row(
                group="commands",
                name=f"agentloop {name}{' (idle)' if name == 'cycle' else ''}",
                measured=seconds / base,
                unit="×",
                promised=promised,
                beside=f"{runs.told(found[''])}, {runs.megabytes:.0f} MB",
                why=TYPER if promised == OTHERS else "",
            )
        )
        if promised > LIGHT:
            peak = runs.megabytes
            told.append(
                Row(group="memory", name=f"agentloop {name}", measured=peak, unit="MB", promised=MEGABYTES)
            )
    if "gh" in found and not found["gh"].failure:
        theirs = median(found["gh"].seconds)
        told.append(
            Row(
                group="commands",
                name="agentloop status --json / gh --version",
                measured=median(found["status --json"].seconds) / theirs,
                unit="×",
                promised=GH,
                beside=f"gh {theirs * 1000:.0f} ms",
            )
        )
    return told


def _failed(name: str, why: str) -> Row:
    return Row(
        group="commands", name=f"agentloop {name}", measured=float("inf"), unit="×", promised=0, why=why
    )
