"""Prints every figure beside its promise; one beyond it says MISS, and why. Ends with 1 when there is one."""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from dataclasses import asdict, fields
from pathlib import Path
from types import ModuleType

from benchmarks import commands, growth, ongithub, plots, relaying, spending, waking
from benchmarks.measuring import COMMAND, Row, made_home

GROUPS: dict[str, ModuleType] = {
    "commands": commands,
    "waking": waking,
    "relay": relaying,
    "growth": growth,
    "github": ongithub,
    "spending": spending,
}
FOLDER = Path(__file__).resolve().parents[1]


def line_for(row: Row) -> str:
    """Return the row as it is printed."""
    promise = "" if row.promised is None else f"≤ {row.promised:g} {row.unit}"
    verdict = "" if row.promised is None else "kept" if row.kept else "MISS"
    why = f"; {row.why}" if row.why and not row.kept else ""
    return (
        f"{row.name:52} {promise:>10} {row.measured:9.2f} {row.unit:2} {verdict:4} {row.beside}{why}".rstrip()
    )


def main() -> int:
    """Measure, print, write down and draw."""
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    parser.add_argument("--runs", type=int, default=15, help="runs of each command (default: 15)")
    parser.add_argument("--only", choices=GROUPS, action="append", help="this group; may be repeated")
    parser.add_argument("--json", type=Path, help="write the figures there as well")
    parser.add_argument("--plots", type=Path, help="draw them into this folder, e.g. docs/plots")
    parser.add_argument("--draw", type=Path, help="measure nothing: draw the figures that --json wrote there")
    given = parser.parse_args()
    if given.draw:
        plots.draw(_written(given.draw), given.plots or FOLDER / "docs/plots")
        return 0
    if not Path(COMMAND).exists():
        parser.error(f"there is no {COMMAND}")
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="agentloop-bench-", ignore_cleanup_errors=True) as scratch:
        for name in given.only or GROUPS:
            home = made_home(Path(scratch) / name / "home")
            found: list[Row] = GROUPS[name].rows(home, max(1, given.runs))
            for row in found:
                print(line_for(row), flush=True)
            rows += found
        os.chdir(FOLDER)
    _leave(rows, given.json, given.plots)
    promised = [row for row in rows if row.promised is not None]
    print(
        f"{sum(row.kept for row in promised)} of {len(promised)} promises kept; medians of {given.runs} runs"
    )
    return 0 if all(row.kept for row in promised) else 1


def _written(path: Path) -> list[Row]:
    names = {field.name for field in fields(Row)}
    return [Row(**{name: one[name] for name in names & one.keys()}) for one in json.loads(path.read_text())]


def _leave(rows: list[Row], figures: Path | None, drawings: Path | None) -> None:
    if figures is not None:
        told = [asdict(row) | {"kept": row.kept} for row in rows]
        figures.write_text(json.dumps(told, indent=1, ensure_ascii=False) + "\n")
    if drawings is not None:
        plots.draw(rows, drawings)


if __name__ == "__main__":
    sys.exit(main())
