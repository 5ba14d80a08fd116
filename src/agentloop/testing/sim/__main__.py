"""Looks for a broken promise in many seeds, or plays one again: `python -m agentloop.testing.sim`.

    --seeds FIRST LAST   play one simulation a seed (default: 0 99)
    --seed N             play seed N again, and tell everything that happens
    --weeks W            simulated weeks a seed (default: 1); four quiet days follow
    --without KIND       leave a kind of fault out (again for more)
    --jobs N             processes to use (default: all cores)
    --mutants            break rules on purpose, one at a time, and tell which promise sees it

Ends with 1 when a promise was broken; then the smallest set of faults that still breaks it is told. Broken
off with ^C it tells of what it has played (the smallest sets aside), and ends with 130.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final, get_args

from agentloop.testing.sim.broken import BrokenPromiseError
from agentloop.testing.sim.play import Simulation, storm
from agentloop.testing.sim.weather import KINDS, Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

BROKEN_OFF: Final = 130
"""The exit code of a run that was broken off: 128 and the number of the signal."""
SHOWN: Final = 20
"""Broken seeds that are told at full length."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """How the play of one seed went."""

    seed: int
    cycles: dict[str, int]
    faults: dict[Kind, int]
    steps: int
    broken: str = ""
    promise: str = ""
    needs: tuple[Kind, ...] = ()


def play(
    seed: int, *, weeks: float, kinds: frozenset[Kind], told: Callable[[str], None] | None = None
) -> Played:
    """Play one seed and return how it went."""
    simulation = Simulation(storm(seed, weeks=weeks, kinds=kinds), told)
    broken = promise = ""
    try:
        simulation.run()
    except BrokenPromiseError as error:
        broken, promise = str(error), error.promise
    struck = {kind: count for kind, count in simulation.weather.struck.items() if count}
    return Played(
        seed=seed,
        cycles=dict(simulation.cycles),
        faults=dict(struck),
        steps=simulation.steps,
        broken=broken,
        promise=promise,
        needs=tuple(one for one in KINDS if one in kinds),
    )


def shrunk(played: Played, *, weeks: float) -> Played:
    """Return the same seed played with as few kinds of faults as still break the same promise."""
    for kind in played.needs:
        fewer = frozenset(played.needs) - {kind}
        again = play(played.seed, weeks=weeks, kinds=fewer)
        if again.promise == played.promise:
            return shrunk(again, weeks=weeks)
    return played


def main(argv: Sequence[str] | None = None) -> int:
    """Play what was asked for, and return the exit code."""
    asked = _parser().parse_args(argv)
    kinds = frozenset(KINDS) - frozenset(asked.without or ())
    if asked.mutants:
        return _hunt(range(*asked.seeds))
    if asked.seed is not None:
        played = play(asked.seed, weeks=asked.weeks, kinds=kinds, told=_say)
        _say(f"seed {played.seed}, step {played.steps}: {played.broken or 'every promise held'}")
        return 1 if played.broken else 0
    first, last = asked.seeds
    began = time.monotonic()
    all_played: list[Played] = []
    broken_off = True
    with contextlib.suppress(KeyboardInterrupt):
        sys.stderr.write(f"plays seeds {first} to {last}; ^C tells what came of those played so far\n")
        # Told at once, so that a long run may be watched; broken off with ^C, it tells of what it has played.
        for each in _all(range(first, last + 1), partial(play, weeks=asked.weeks, kinds=kinds), asked.jobs):
            all_played.append(each)
            if each.broken:
                _say(f"seed {each.seed}: {each.broken}")
        broken_off = False
    _report(all_played, weeks=asked.weeks, seconds=time.monotonic() - began, shrink=not broken_off)
    return BROKEN_OFF if broken_off else int(any(each.broken for each in all_played))


def _all(seeds: range, one: Callable[[int], Played], jobs: int) -> Iterator[Played]:
    """Yield what each seed came to, in their order. Broken off, only the seeds in hand are played on."""
    pool = ProcessPoolExecutor(max_workers=jobs)
    try:
        # The processes that play are started blocked: ^C is for this one, which tells.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        played = pool.map(one, seeds)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        yield from played
    finally:
        pool.shutdown(cancel_futures=True)


def _parser() -> argparse.ArgumentParser:
    about = (__doc__ or "").partition(":")[0]
    parser = argparse.ArgumentParser(prog="python -m agentloop.testing.sim", description=f"{about}.")
    parser.add_argument(
        "--seeds",
        nargs=2,
        type=int,
        default=(0, 99),
        metavar=("FIRST", "LAST"),
        help="play these (default: 0 99; scripts/check-sim: 0 1999)",
    )
    parser.add_argument("--seed", type=int, help="play this one again, and tell what happens")
    parser.add_argument("--weeks", type=float, default=1.0, help="simulated weeks a seed (default: 1)")
    parser.add_argument(
        "--without",
        action="append",
        choices=get_args(Kind),
        metavar="KIND",
        help=f"leave out one kind of fault; may be repeated: {', '.join(get_args(Kind))}",
    )
    parser.add_argument(
        "--jobs", type=int, default=os.cpu_count() or 1, help="processes (default: the cores)"
    )
    parser.add_argument("--mutants", action="store_true", help="break rules on purpose instead")
    return parser


def _hunt(seeds: range) -> int:
    from agentloop.testing.sim.mutants import MUTANTS, hunt

    missed = 0
    for mutant in MUTANTS:
        caught = hunt(mutant, seeds)
        good = caught.promise in mutant.breaks
        missed += not good
        how = "caught" if good else "MISSED"
        _say(f"{how}  {mutant.name}: seed {caught.seed}, {caught.promise or 'nothing'}")
    _say(f"missed    {missed} of {len(MUTANTS)} broken rules")
    return 1 if missed else 0


def _report(played: list[Played], *, weeks: float, seconds: float, shrink: bool) -> None:
    cycles: Counter[str] = Counter()
    faults: Counter[str] = Counter()
    for each in played:
        cycles.update(each.cycles)
        faults.update(each.faults)
    broken = [each for each in played if each.broken]
    for each in broken[:SHOWN]:
        small = shrunk(each, weeks=weeks) if shrink else each
        _say(f"BROKEN seed {each.seed}, step {each.steps}: {each.broken}")
        _say(f"       still with: {', '.join(small.needs) or 'no fault at all'}")
        _say(f"       again: python -m agentloop.testing.sim --seed {each.seed} --weeks {weeks:g}")
    simulated = weeks * len(played)
    _say(f"weeks     {simulated:g} in {seconds:.0f} s ({60 * simulated / max(seconds, 0.001):.0f} a minute)")
    _say(
        f"cycles    {sum(cycles.values()):,}: "
        + ", ".join(f"{n:,} {what}" for what, n in cycles.most_common())
    )
    _say(
        f"faults    {sum(faults.values()):,}: "
        + ", ".join(f"{n:,} {what}" for what, n in faults.most_common())
    )
    _say(f"broken    {len(broken)} of {len(played)} seeds")


def _say(words: str) -> None:
    sys.stdout.write(f"{words}\n")


if __name__ == "__main__":
    sys.exit(main())
