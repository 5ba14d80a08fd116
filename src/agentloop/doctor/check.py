"""One thing that was looked at, as data."""

from __future__ import annotations

from typing import Literal, TypeAlias

from agentloop.domain.valueclass import dataclass

State: TypeAlias = Literal["ok", "warn", "fail", "skip"]
"""fail: the loop cannot work; warn: it can, and something should be known; skip: could not be looked at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """What was looked at, how it stands, and what a person does about it ("" when there is nothing to do)."""

    name: str
    state: State
    what: str
    fix: str = ""


def ok(name: str, what: str) -> Check:
    """Return a check that found nothing to mend."""
    return Check(name=name, state="ok", what=what)


def warn(name: str, what: str, fix: str) -> Check:
    """Return a check that found something a person should know."""
    return Check(name=name, state="warn", what=what, fix=fix)


def fail(name: str, what: str, fix: str) -> Check:
    """Return a check that found what keeps the loop from its work."""
    return Check(name=name, state="fail", what=what, fix=fix)


def skip(name: str, what: str) -> Check:
    """Return a check that could not be made, and why."""
    return Check(name=name, state="skip", what=what)
