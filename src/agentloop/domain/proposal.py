"""How asking the admin can end."""

from __future__ import annotations

from datetime import datetime
from typing import TypeAlias

from agentloop.domain.decisions import AdminDecision
from agentloop.domain.relay import RelayDelta
from agentloop.domain.valueclass import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """What the admin decided, in its order. `models` are those that answered, a fallback with its reason."""

    decisions: tuple[AdminDecision, ...]
    delta: RelayDelta | None
    models: tuple[str, ...]
    turns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NoAnswer:
    """No usable answer: the cycle failed. `fix` says what a person can do, if anything.

    `service` is set when the model or the key is at fault: that says nothing about the matters it was shown.
    """

    why: str
    fix: str = ""
    service: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """The provider's limit, or (`until` None) a limit of ours: a timer, not a failure."""

    until: datetime | None
    why: str


Reply: TypeAlias = Proposal | NoAnswer | Wait
