"""`python -m agentloop.testing.crash`: strike the story at its state-changing calls, print the sum."""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from agentloop import exits
from agentloop.errors import AgentloopError
from agentloop.testing.crash.arena import Arena, in_memory
from agentloop.testing.crash.calls import FITTING, LASTING, Point, point_named, spread
from agentloop.testing.crash.disks import Cuts, Disk, cut_power, fill_up, missing, mounted_small
from agentloop.testing.crash.run import (
    Tally,
    Tried,
    all_points,
    code_tried,
    prepare,
    recorded,
    remember,
    remembered,
    strike,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

WHOLE = 8
NO_STRACE = "strace is missing; install it (Debian, Ubuntu: apt-get install strace)"


def main(arguments: Sequence[str] | None = None) -> int:
    """Try points and return 0 when all of them were good, 1 when one was not, 8 when strace is missing."""
    given = _parser().parse_args(arguments)
    if shutil.which("strace") is None:
        _say(NO_STRACE)
        return exits.UNSAFE
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(exits.FAILED))
    folder = Path(tempfile.mkdtemp(prefix="agentloop-crash-", dir=in_memory()))
    try:
        if given.cuts:
            return _cut(given, folder)
        if given.small_disk:
            return _filled(folder, given.step or ())
        return _tried_all(given, folder)
    except AgentloopError as error:
        _say(str(error))
        return exits.FAILED
    finally:
        if not given.keep:
            shutil.rmtree(folder, ignore_errors=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="scripts/check-crash", description=__doc__)
    kinds = [*FITTING, *LASTING, "errors"]
    parser.add_argument("--fault", action="append", choices=kinds, help="default: kill; + = from there on")
    parser.add_argument(
        "--whole",
        type=int,
        default=0,
        help="play every n-th to the story's end (0: the 8th; with --only all)",
    )
    parser.add_argument(
        "--role", action="append", help="cycle, attempt, gate, salvage, upkeep, run, issue, pr, config, git"
    )
    parser.add_argument(
        "--step",
        action="append",
        help="file, supervise, slots, plan, salvage, work, judge, trash, publish, merge, close",
    )
    parser.add_argument("--only", action="append", metavar="POINT", help="this point, as a failure names it")
    parser.add_argument("--seed", type=int, default=1, help="which sample comes first")
    parser.add_argument("--points", type=int, default=0, help="at most so many (0: all)")
    parser.add_argument("--minutes", type=float, default=0, help="start no point after so many (0: no bound)")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument(
        "--results",
        type=Path,
        help="remember each point here; those in it are not tried again on the same code",
    )
    parser.add_argument("--cuts", type=int, default=0, help="cut the power so often, instead of points")
    parser.add_argument("--file-system", choices=["xfs", "ext4"], default="xfs", help="for --cuts")
    parser.add_argument("--small-disk", action="store_true", help="let a disk fill up, instead of points")
    parser.add_argument("--list", type=Path, help="write the names of the points, in their order, here")
    parser.add_argument("--keep", action="store_true", help="leave the folder of the run behind")
    return parser


def _tried_all(given: argparse.Namespace, folder: Path) -> int:
    first = Arena(folder / "1")
    arenas = [first]
    began = time.monotonic()
    try:
        first.make()
        points = _chosen(given, first)
        if given.list:
            given.list.write_text("".join(f"{point.name}\n" for point in points))
        _say(f"{len(points)} points; recorded in {time.monotonic() - began:.0f} s")
        arenas += [Arena(folder / str(n)) for n in range(2, given.jobs + 1)]
        board = _Board(points=list(points)[::-1], given=given)
        _work(arenas, board)
    finally:
        for arena in arenas:
            arena.stop()
    return board.closing()


def _cut(given: argparse.Namespace, folder: Path) -> int:
    lacking = missing(given.file_system)
    if lacking:
        _say(f"no power cuts: {lacking}")
        return exits.UNSAFE
    arena = Arena(folder / "1")
    disk = Disk(image=folder / "disk", at=arena.world, file_system=given.file_system)
    done = Cuts()
    began = time.monotonic()
    try:
        disk.make()
        arena.make()
        for done in cut_power(arena, disk, cuts=given.cuts, seed=given.seed, seconds=given.minutes * 60):
            _say(
                "\n".join((f"{done.cuts} cuts, {done.stories} stories, {len(done.bad)} bad", *done.bad[-3:]))
            )
    finally:
        arena.stop()
        disk.unmount()
    each = (time.monotonic() - began) / max(1, done.cuts)
    _say(f"{done.cuts} cuts on {given.file_system}, {each:.1f} s each, {len(done.bad)} bad")
    return exits.FAILED if done.bad else exits.OK


def _filled(folder: Path, steps: Sequence[str]) -> int:
    if os.geteuid() != 0:
        _say("no small disk: it is mounted, which needs root")
        return exits.UNSAFE
    arena = Arena(folder / "1")
    bad = tried = 0
    try:
        mounted_small(arena.world)
        arena.make()
        for name, told in fill_up(arena, steps):
            tried += 1
            bad += not told.good
            _say(f"{'good' if told.good else 'NOT GOOD'}: {name}{'' if told.good else f': {told}'}")
    finally:
        arena.stop()
        subprocess.run(("umount", "-l", str(arena.world)), check=False)
    _say(f"{tried} times the disk was full, {bad} not good")
    return exits.FAILED if bad else exits.OK


def _chosen(given: argparse.Namespace, arena: Arena) -> tuple[Point, ...]:
    """Return the points to try, in their order; with names given, without recording."""
    if given.only:
        prepare(arena)
        return tuple(map(point_named, given.only))
    faults = given.fault or ["kill"]
    errors = "errors" in faults
    named = [one for one in (*FITTING, *LASTING) if one in faults or (errors and one != "kill")]
    done = remembered(given.results, code_tried()) if given.results else frozenset()
    fitting = (point for point in all_points(recorded(arena), named) if _is_wanted(point, given))
    ordered = [point for point in spread(fitting, given.seed) if point.name not in done]
    return tuple(ordered[: given.points] if given.points else ordered)


def _is_wanted(point: Point, given: argparse.Namespace) -> bool:
    roles = (point.role, "git") if point.role.startswith("git") else (point.role,)
    by_role = not given.role or any(role in given.role for role in roles)
    return by_role and (not given.step or point.step in given.step)


@dataclass
class _Board:
    """The points still to be tried, and what came of the others; several threads work on it."""

    points: list[Point]
    given: argparse.Namespace
    tally: Tally = field(default_factory=Tally.empty)
    lock: threading.Lock = field(default_factory=threading.Lock)
    began: float = field(default_factory=time.monotonic)
    bad: int = 0
    over: bool = False
    """Told to end: what is being tried now is being taken away, and says nothing."""
    code: str = field(default_factory=code_tried)

    def take(self) -> Iterator[tuple[Point, bool]]:
        """Yield points, and whether to play to the end, until there is none left or the time is up."""
        while True:
            with self.lock:
                minutes = (time.monotonic() - self.began) / 60
                if not self.points or (self.given.minutes and minutes >= self.given.minutes):
                    return
                point = self.points.pop()
                every = self.given.whole or (1 if self.given.only else WHOLE)
                whole = len(self.points) % every == 0
            yield point, whole

    def note(self, tried: Tried) -> None:
        """Count a point, remember it, and print what was not good."""
        with self.lock:
            if self.over:
                return
            self.tally.add(tried)
            if self.given.results:
                remember(self.given.results, tried, self.code)
            if tried.told.failed_cycles or not tried.told.good:
                _say(_told(tried))
            self.bad += not tried.told.good

    def closing(self) -> int:
        """Print the table and return the exit code."""
        tally = self.tally
        _say(
            f"{'role':10} {'tried':>6} {'missed':>7} {'lost':>5} {'doubled':>8} {'left over':>10} {'hand':>5}"
        )
        for role in (*sorted(tally.tried), "all"):
            counts = (tally.tried, tally.missed, tally.lost, tally.doubled, tally.left, tally.by_hand)
            row = [count.total() if role == "all" else count[role] for count in counts]
            _say("{:10} {:6} {:7} {:5} {:8} {:10} {:5}".format(role, *row))
        each = tally.seconds / max(1, tally.tried.total())
        minutes = (time.monotonic() - self.began) / 60
        _say(f"{each:.1f} s a point, {minutes:.1f} minutes, {len(self.points)} not tried")
        return exits.FAILED if self.bad else exits.OK


def _work(arenas: list[Arena], board: _Board) -> None:
    def work(arena: Arena) -> None:
        if arena is not arenas[0]:
            arena.make()
            prepare(arena)
        for point, whole in board.take():
            board.note(strike(arena, point, whole=whole))

    threads = [threading.Thread(target=work, args=(arena,), daemon=True) for arena in arenas]
    for thread in threads:
        thread.start()
    try:
        for thread in threads:
            thread.join()
    except SystemExit:
        with board.lock:
            board.over = True
        board.closing()
        raise


def _told(tried: Tried) -> str:
    told = tried.told
    lines = [f"{'NOT GOOD' if not told.good else 'told of'}: scripts/check-crash --only {tried.point.name}"]
    for what, found in (("lost", told.lost), ("doubled", told.doubled), ("left over", told.left)):
        lines += [f"    {what}: {one}" for one in found]
    lines += [f"    hand needed: {one}" for one in told.by_hand]
    lines += [f"    {one}" for one in told.failed_cycles]
    return "\n".join(lines)


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
