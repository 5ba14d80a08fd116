"""Workers at the ends of what there is: one that only chatters, one that changes everything.

What becomes of them is decided by the real rules: the ladder against standing still, and the gate's policy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from agentloop.domain import stall
from agentloop.domain.changes import Change
from agentloop.gate import policy
from agentloop.testing.sim.broken import hold

if TYPE_CHECKING:
    from agentloop.domain.settings import Worker
    from agentloop.domain.work import Finding, GateSpec

A_TURN_SECONDS: Final = 30.0
PARTS: Final = 1_500
"""Files that the huge change touches."""
LONGEST: Final = 1_000
"""Turns after which nobody waits any more for a chattering worker to be noticed."""


def chatter_seconds(worker: Worker) -> float:
    """Return how long a worker goes on that runs one failing command for ever, beating all the while.

    Its answers differ in their times only. Raises BrokenPromiseError when it is not ended as stalled within
    the bounds' three steps: nudge, fresh start, end.
    """
    bounds = stall.Bounds(turns=worker.stall_turns, seconds=60 * worker.stall_minutes)
    pulse, step, turn = stall.Pulse(), "on", 0
    while step != "end" and turn < LONGEST:
        turn += 1
        says = stall.answer_print("shell", "make test", f"1 failed in 0.{turn} s")
        pulse = stall.turned(pulse, (says,), seconds=A_TURN_SECONDS)
        step, pulse = stall.next_step(pulse, bounds)
    most = 1 + len(stall.LADDER) * worker.stall_turns
    hold("chatter ends as stalled", step == "end" and turn <= most, f"{turn} turns, {most} at most")
    return turn * A_TURN_SECONDS


def huge_change(spec: GateSpec) -> tuple[Finding, ...]:
    """Return what the gate holds against a change of everything. Raises BrokenPromiseError: nothing."""
    changes = tuple(
        Change(
            raw_path=f"src/{'deep/' * 20}part{n}.py".encode(),
            old_mode="100644",
            new_mode="100644",
            old_id=f"{n:040x}",
            new_id=f"{PARTS + n:040x}",
            added=900,
            removed=400,
        )
        for n in range(PARTS)
    )
    found = policy.scan(policy.Diff(changes=changes), spec.task.contract, spec.target, spec.limits)
    sizes = [one for one in found if one.kind == "size"]
    hold("a huge change is refused", sizes, f"{PARTS} files, and only {[one.kind for one in found]}")
    return found
