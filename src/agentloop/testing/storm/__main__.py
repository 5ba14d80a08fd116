"""A hundred cycles without a change, then a hundred faults for each seed: what was tried, what held."""

from __future__ import annotations

import argparse
import sys
import time

from agentloop.testing.storm.play import quiet, storm


def tell(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> int:
    """Play, print, and return 1 when something did not hold."""
    parser = argparse.ArgumentParser(prog="scripts/check-github", description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3], help="storms (default: 1 2 3)")
    parser.add_argument("--rounds", type=int, default=100, help="faults of a storm, and quiet cycles")
    given = parser.parse_args()
    calm = quiet(given.rounds)
    tell(
        f"{calm.cycles} cycles without a change: {calm.requests} conditional reads, {calm.units} units of "
        f"the limit, {calm.writes} writes, {calm.entries} entries in the journal, {calm.asked} model calls"
    )
    held = not (calm.units or calm.writes or calm.entries or calm.asked)
    for seed in given.seeds:
        began = time.monotonic()
        played = storm(seed, given.rounds)
        struck = ", ".join(f"{name} {times}" for name, times in sorted(played.struck.items()))
        seconds = time.monotonic() - began
        tell(f"seed {seed}: {played.rounds} faults in {played.cycles} cycles, {seconds:.0f} s: {struck}")
        for one in played.broken:
            tell(f"  BROKEN {one}")
        held = held and not played.broken
    return 0 if held else 1


sys.exit(main())
