"""What a relay is made of, and how it is cleaned before it is written."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from typing import Final

from agentloop.domain.valueclass import dataclass, field

PHASE_CHARS: Final = 200
ACTION_CHARS: Final = 400
ITEM_CHARS: Final = 300
ITEMS: Final = 20

Facts = tuple[tuple[str, str | None], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyDecision:
    """A decision later cycles must not contradict; `cycle` is the one it was made in, None if unknown."""

    what: str
    why: str
    off_limits: tuple[str, ...] = ()
    cycle: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The admin's part of the relay. Every text is one line; tuples are oldest first."""

    phase: str = ""
    done: tuple[str, ...] = ()
    decisions: tuple[KeyDecision, ...] = ()
    active: tuple[str, ...] = ()
    next_action: str = ""
    questions: tuple[str, ...] = ()
    done_means: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Relay:
    """One version of the relay: the human's text, facts from code (None: unknown), the admin's plan."""

    version: int
    human: str = ""
    facts: Facts = ()
    plan: Plan = field(default_factory=Plan)


FIRST: Final = Relay(
    version=1,
    human="\n",
    plan=Plan(
        phase="Starting",
        next_action="Look at the open issues and plan the first one.",
        done_means=("The open issues are closed by merged pull requests.",),
    ),
)
"""The relay of a new home."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """What is wrong in a relay's text, on which line (1-based), and how to mend it."""

    line: int
    what: str
    fix: str


# Unicode calls these spaces or controls; in a one-line text each would be, or look like, a line break.
_INVISIBLE: Final = frozenset({"Cc", "Cf", "Zl", "Zp", "Cs"})


def _visible(char: str) -> str:
    return " " if unicodedata.category(char) in _INVISIBLE else char


def one_line(text: str, limit: int = ITEM_CHARS) -> str:
    """Return `text` as one visible line of at most `limit` characters.

    White space and control characters become single spaces, an HTML comment's opening is broken (it would
    hide the rest of the file from a reader), and what is cut off is shown by "…". Cleaning twice changes
    nothing.
    """
    # What is printable has none of them: most texts are, and need no look at each character.
    visible = text if text.isprintable() else "".join(map(_visible, text))
    line = " ".join(re.sub(r"<(?=!--)", "\u2039", visible).split())
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"


def _lines(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(line for text in texts if (line := one_line(text)))


def _clean_decision(decision: KeyDecision) -> KeyDecision:
    globs = (one_line(glob.replace("`", ""), 120) for glob in decision.off_limits)
    return KeyDecision(
        what=one_line(decision.what) or "(not said)",
        why=one_line(decision.why),
        off_limits=tuple(glob for glob in globs if glob),
        cycle=decision.cycle,
    )


def clean_plan(plan: Plan) -> Plan:
    """Return `plan` as it can be written: every text one bounded line, empty items gone."""
    return Plan(
        phase=one_line(plan.phase, PHASE_CHARS),
        done=_lines(plan.done),
        decisions=tuple(_clean_decision(decision) for decision in plan.decisions),
        active=_lines(plan.active),
        next_action=one_line(plan.next_action, ACTION_CHARS),
        questions=_lines(plan.questions),
        done_means=_lines(plan.done_means),
    )


def clean_facts(facts: Iterable[tuple[str, object]]) -> Facts:
    """Return facts as they can be written: names without colons, values one line each, None kept as None."""
    pairs = ((one_line(name.replace(":", " "), 60) or "(unnamed)", value) for name, value in facts)
    return tuple((name, None if value is None else one_line(str(value))) for name, value in pairs)
