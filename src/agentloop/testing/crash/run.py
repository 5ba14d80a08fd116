"""Trying points: record the story once, then strike each point in a world that is as it was just before."""

from __future__ import annotations

import hashlib
import json
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import agentloop
from agentloop.errors import AgentloopError
from agentloop.testing.crash import play
from agentloop.testing.crash.calls import Point, points_of
from agentloop.testing.crash.play import STEPS, Told

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from agentloop.testing.crash.arena import Arena


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """One point, whether the blow fell, how the story ended, and how long all that took."""

    point: Point
    struck: bool
    told: Told
    seconds: float


def recorded(arena: Arena) -> dict[tuple[str, str], str]:
    """Play the story unharmed, keep the world before each step; return strace's records by step and role.

    Raises AgentloopError when the story does not end well by itself.
    """
    records: dict[tuple[str, str], str] = {}
    for step in STEPS:
        if step.before:
            continue
        arena.save(step.name)
        records |= _recorded(arena, step)
    told = play.judged(arena, (), ())
    if not told.good:
        raise AgentloopError(f"the story does not end well even without a blow: {told}")
    for step in STEPS:
        if step.before:
            arena.restore(step.before)
            records |= _recorded(arena, step)
    return records


def _recorded(arena: Arena, step: play.Step) -> dict[tuple[str, str], str]:
    arena.arm_to_record(step.roles)
    ran = step.act(arena)
    found = arena.disarm()
    if ran is not None and ran.status != 0:
        raise AgentloopError(f"the step {step.name!r} ended with {ran.status}: {ran.text[-1500:]}")
    if lacking := set(step.roles) - set(found):
        raise AgentloopError(f"in the step {step.name!r} there was no {', '.join(sorted(lacking))}")
    wanted = {
        role: record
        for role, record in found.items()
        if role in step.roles or (role.startswith("git") and step.gits)
    }
    return {(step.name, role): record for role, record in wanted.items()}


def prepare(arena: Arena) -> None:
    """Keep the world before each step, without recording."""
    for step in STEPS:
        if not step.before:
            arena.save(step.name)
            step.act(arena)
            arena.disarm()


def all_points(records: dict[tuple[str, str], str], faults: Iterable[str]) -> Iterator[Point]:
    """Yield every point of the recorded story; a kill of a git comes with and without its parent's."""
    for fault in faults:
        for (step, role), record in records.items():
            yield from points_of(step, role, record, fault)
            if role.startswith("git") and fault == "kill":
                yield from points_of(step, f"{role}+", record, fault)


def strike(arena: Arena, point: Point, *, whole: bool = True) -> Tried:
    """Go back to before the point's step, strike, go on to the step's end or to the end of all, and look."""
    began = time.monotonic()
    step = next(one for one in STEPS if one.name == point.step)
    until = play.LAST if whole else step
    arena.restore(step.before or step.name)
    arena.arm(point)
    failed: tuple[str, ...] = ()
    stuck: tuple[str, ...] = ()
    try:
        step.act(arena)
        struck = _has_struck(arena.disarm(), point)
        failed, stuck = play.go_on(arena, step, until)
    except (AgentloopError, OSError, ValueError) as error:
        struck, stuck = True, (str(error),)
        arena.disarm()
    told = play.judged(arena, failed, stuck, until)
    return Tried(point=point, struck=struck, told=told, seconds=time.monotonic() - began)


def struck_story(arena: Arena, points: Mapping[str, Point]) -> tuple[Told, int]:
    """Play one story from its beginning in which a step is struck at its point, if it has one.

    Return how it ended and how many blows fell. Raises AgentloopError when the story gets stuck.
    """
    failed: list[str] = []
    stuck: list[str] = []
    fell = 0
    arena.restore(STEPS[0].name)
    for step in (one for one in STEPS if not one.before):
        point = points.get(step.name)
        if point is None:
            step.act(arena)
            arena.disarm()
            continue
        arena.arm(point)
        step.act(arena)
        fell += _has_struck(arena.disarm(), point)
        more_failed, more_stuck = play.go_on(arena, step, step)
        failed += more_failed
        stuck += more_stuck
    return play.judged(arena, tuple(failed), tuple(stuck)), fell


def _has_struck(records: dict[str, str], point: Point) -> bool:
    record = records.get(point.role.rstrip("+"), "")
    return "+++ killed by SIGKILL" in record if point.fault == "kill" else "(INJECTED)" in record


@dataclass
class Tally:
    """What was tried and what came of it, by role."""

    tried: Counter[str]
    missed: Counter[str]
    lost: Counter[str]
    doubled: Counter[str]
    left: Counter[str]
    by_hand: Counter[str]
    seconds: float = 0.0

    @classmethod
    def empty(cls) -> Tally:
        """Return a tally of nothing."""
        return cls(Counter(), Counter(), Counter(), Counter(), Counter(), Counter())

    def add(self, tried: Tried) -> None:
        """Count one point."""
        role = "git" if tried.point.role.startswith("git") else tried.point.role
        self.tried[role] += 1
        self.missed[role] += not tried.struck
        self.lost[role] += bool(tried.told.lost)
        self.doubled[role] += bool(tried.told.doubled)
        self.left[role] += bool(tried.told.left)
        self.by_hand[role] += bool(tried.told.by_hand)
        self.seconds += tried.seconds


def code_tried() -> str:
    """Return what names the code that is struck: a hash over the package but for its doubles."""
    package = Path(agentloop.__file__).parent
    found = sorted(path for path in package.rglob("*.py") if "testing" not in path.relative_to(package).parts)
    return hashlib.sha256(b"\0".join(path.read_bytes() for path in found)).hexdigest()[:12]


def remember(path: Path, tried: Tried, code: str) -> None:
    """Append what came of a point on that code, so that a run that was broken off can go on."""
    said: dict[str, Any] = {
        "point": tried.point.name,
        "code": code,
        "good": tried.told.good,
        "struck": tried.struck,
        "seconds": round(tried.seconds, 2),
    }
    if not tried.told.good:
        told = tried.told
        said |= {"lost": told.lost, "doubled": told.doubled, "left": told.left, "by_hand": told.by_hand}
    if tried.told.failed_cycles:
        said["failed_cycles"] = tried.told.failed_cycles
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(said, ensure_ascii=False) + "\n")


def remembered(path: Path, code: str) -> frozenset[str]:
    """Return the names of the points that were tried before on that code."""
    try:
        lines = path.read_text("utf-8").splitlines()
    except FileNotFoundError:
        return frozenset()
    known = (json.loads(line) for line in lines if line.endswith("}"))
    return frozenset(one["point"] for one in known if one.get("code") == code)
