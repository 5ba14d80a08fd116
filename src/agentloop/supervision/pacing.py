"""When the next cycle may start: pure rules over how the last ones ended. Times are monotonic seconds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias, assert_never

from agentloop import exits
from agentloop.domain.valueclass import dataclass, replace

if TYPE_CHECKING:
    from agentloop.domain.settings import Supervision

CYCLES_A_MINUTE: Final = 20
"""However often cycles ask for the next one at once, no more than this: a hot loop is a bill."""
MINUTE: Final = 60.0
BUSY_SECONDS: Final = 2.0
BUSY_MAX_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True)
class Fine:
    """The cycle came to its end by itself: what it says about its sleep is believed.

    That goes for one whose admin agent gave no usable answer too: it has chosen when to ask again, and the
    work that needs no model goes on meanwhile.
    """


@dataclass(frozen=True, slots=True)
class Busy:
    """Another cycle holds the home; nothing is wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """The cycle did not do its work; `why` is for a person."""

    why: str


Outcome: TypeAlias = Fine | Busy | Failed


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """What the next start depends on: failures and refusals in a row, and the times of the latest starts."""

    failures: int = 0
    busy: int = 0
    starts: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """No cycle for `seconds`; `breaker` says that it is open; `brief` is `why` for who has just read it."""

    seconds: float
    why: str
    breaker: bool = False
    brief: str = ""


def outcome_of(code: int | None, *, overran: bool = False) -> Outcome:
    """Return what an ended cycle's exit code means; negative is a signal, None an end nobody saw."""
    if overran:
        return Failed(why="it outlived its deadline and was ended")
    if code is None:
        return Failed(why="it could not be waited for")
    if code < 0:
        return Failed(why=f"signal {-code} ended it")
    if code in (exits.OK, exits.MODEL):
        return Fine()
    if code == exits.BUSY:
        return Busy()
    return Failed(why=f"exit {code}: {exits.MEANING.get(code, 'an unexpected end')}")


def started(pace: Pace, now: float) -> Pace:
    """Return the pace after a start at `now`."""
    return replace(pace, starts=(*pace.starts, now)[-CYCLES_A_MINUTE:])


def ended(pace: Pace, outcome: Outcome) -> Pace:
    """Return the pace after a cycle ended like that."""
    match outcome:
        case Fine():
            return replace(pace, failures=0, busy=0)
        case Busy():
            return replace(pace, busy=pace.busy + 1)
        case Failed():
            return replace(pace, failures=pace.failures + 1, busy=0)
        case _:
            assert_never(outcome)


def hold(pace: Pace, now: float) -> Wait | None:
    """Return the wait that keeps starts below CYCLES_A_MINUTE, or None."""
    if len(pace.starts) < CYCLES_A_MINUTE or pace.starts[0] + MINUTE <= now:
        return None
    why = f"{CYCLES_A_MINUTE} cycles within a minute: held back, because a hot loop costs money"
    return Wait(seconds=pace.starts[0] + MINUTE - now, why=why)


def wait_after(pace: Pace, outcome: Outcome, rules: Supervision) -> Wait | None:
    """Return the wait that `outcome` asks for (`pace` already counts it); None: the cycle's own word holds.

    Exponential: backoff_seconds * 2^(failures - 1), up to backoff_max_seconds; from breaker_after failures
    in a row on, breaker_seconds before each single try.
    """
    match outcome:
        case Fine():
            return None
        case Busy():
            seconds = min(BUSY_SECONDS * 2 ** min(pace.busy - 1, 16), BUSY_MAX_SECONDS)
            return Wait(seconds=seconds, why="another cycle holds the home")
        case Failed(why=why):
            return _after_failure(pace.failures, why, rules)
        case _:
            assert_never(outcome)


def _after_failure(failures: int, why: str, rules: Supervision) -> Wait:
    if failures >= rules.breaker_after:
        brief = f"breaker open: {failures} cycles in a row failed"
        return Wait(seconds=rules.breaker_seconds, why=f"{brief}, the last: {why}", breaker=True, brief=brief)
    seconds = min(rules.backoff_seconds * 2 ** (failures - 1), rules.backoff_max_seconds)
    brief = f"the cycle failed ({failures} in a row)"
    return Wait(seconds=seconds, why=f"{brief}: {why}", brief=brief)
