"""Whether an agent still gets anywhere within its attempt. Pure: it is told each turn, and says what to do.

Several signs of progress, any one of which is enough: a tool's answer that was not there before, or a tree or
commit that is. Talk is none, nor is a command run again with the same answer (numbers in it aside), nor the
noise of a call that is tried again. Time in a running tool is no silence: the tool has a bound of its own.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

from agentloop.domain.signals import digest, without_numbers
from agentloop.domain.valueclass import dataclass, replace

Step: TypeAlias = Literal["on", "nudge", "afresh", "end"]
"""Go on; say so once; start afresh from a summary; end as stalled."""

LADDER: tuple[Step, ...] = ("nudge", "afresh", "end")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """How long nothing new may come: turns, or seconds outside of tools; 0 = that bound is off."""

    turns: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Pulse:
    """How it goes: what was seen, and turns and seconds without anything new. `steps` were taken since."""

    seen: frozenset[str] = frozenset()
    turns: int = 0
    seconds: float = 0.0
    steps: int = 0
    mark: str = ""
    """The name of the tree, with its commits, as it was when it was last looked at."""


def answer_print(tool: str, given: str, answer: str) -> str:
    """Return the name of a tool's answer: the same call with the same answer is nothing new."""
    return digest(tool, without_numbers(given), without_numbers(answer))


def turned(pulse: Pulse, answers: tuple[str, ...], *, seconds: float) -> Pulse:
    """Return the pulse after a turn whose tools gave `answers` (their prints).

    `seconds` is what the turn took outside of its tools.
    """
    new = frozenset(answers) - pulse.seen
    if new:
        return replace(pulse, seen=pulse.seen | new, turns=0, seconds=0.0, steps=0)
    return replace(pulse, turns=pulse.turns + 1, seconds=pulse.seconds + seconds)


def looked(pulse: Pulse, mark: str) -> Pulse:
    """Return the pulse after a look at the tree: another one than at the look before is progress."""
    if mark == pulse.mark or not pulse.mark:
        return replace(pulse, mark=mark)
    return replace(pulse, mark=mark, turns=0, seconds=0.0, steps=0)


def is_silent(pulse: Pulse, bounds: Bounds) -> bool:
    """Whether nothing new has come for as long as the bounds allow."""
    too_many = 0 < bounds.turns <= pulse.turns
    return too_many or (pulse.turns > 0 and 0 < bounds.seconds <= pulse.seconds)


def next_step(pulse: Pulse, bounds: Bounds) -> tuple[Step, Pulse]:
    """Return what to do now, and the pulse when it is done: each step has the bounds to itself."""
    if not is_silent(pulse, bounds):
        return "on", pulse
    step = LADDER[min(pulse.steps, len(LADDER) - 1)]
    return step, replace(pulse, turns=0, seconds=0.0, steps=pulse.steps + 1)
