"""What the admin may change in the relay, and how it is applied."""

from __future__ import annotations

from collections.abc import Iterator

from agentloop.domain.relay.values import (
    ACTION_CHARS,
    ITEM_CHARS,
    ITEMS,
    PHASE_CHARS,
    KeyDecision,
    Plan,
    Relay,
    clean_plan,
    one_line,
)
from agentloop.domain.valueclass import dataclass, field, replace

_ITEM = {"max_items": ITEMS, "max_chars": ITEM_CHARS}


@dataclass(frozen=True, slots=True, kw_only=True)
class NewDecision:
    """A key decision to add: what was decided, why, and what it puts off limits."""

    what: str = field(metadata={"doc": "What was decided, in one sentence.", "max_chars": ITEM_CHARS})
    why: str = field(metadata={"doc": "The reason, in one sentence.", "max_chars": ITEM_CHARS})
    off_limits: tuple[str, ...] = field(
        default=(),
        metadata={
            "doc": "Globs of paths that tasks must not touch from now on; usually empty.",
            "max_items": ITEMS,
            "max_chars": 120,
        },
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class RelayDelta:
    """Changes to the relay's plan. Leave out what stays as it is; an empty list empties its section."""

    phase: str | None = field(
        default=None, metadata={"doc": "The current phase, in a few words.", "max_chars": PHASE_CHARS}
    )
    done: tuple[str, ...] = field(
        default=(),
        metadata={"doc": "What was done in this cycle, one fact a line; replaces the last cycle's."} | _ITEM,
    )
    add_decisions: tuple[NewDecision, ...] = field(
        default=(), metadata={"doc": "Key decisions made in this cycle.", "max_items": ITEMS}
    )
    drop_decisions: tuple[str, ...] = field(
        default=(),
        metadata={"doc": "Decisions that no longer hold, by the exact text of what was decided."} | _ITEM,
    )
    active: tuple[str, ...] | None = field(
        default=None, metadata={"doc": "The work under way, all of it; replaces the list."} | _ITEM
    )
    next_action: str | None = field(
        default=None,
        metadata={"doc": "The one next action: a single thing to do.", "max_chars": ACTION_CHARS},
    )
    questions: tuple[str, ...] | None = field(
        default=None, metadata={"doc": "Questions open to the human, all of them; replaces the list."} | _ITEM
    )
    done_means: tuple[str, ...] | None = field(
        default=None, metadata={"doc": "What done means, as checkable statements; replaces the list."} | _ITEM
    )


def out_of_bounds(delta: RelayDelta, plan: Plan) -> tuple[str, ...]:
    """Return what is wrong with `delta` on top of `plan`, one sentence each; empty when nothing is."""
    return tuple(_complaints(delta, plan))


def apply(relay: Relay, delta: RelayDelta, cycle: int) -> Relay:
    """Return `relay` with `delta` applied; total: what is too long is cut, what is unknown is passed over.

    The human's text and the facts stay; so does the version, which the file's writer counts. `done` is
    always that of this cycle. An empty next action leaves the old one, because there is always exactly one.
    """
    plan = relay.plan
    new = (
        KeyDecision(what=one.what, why=one.why, off_limits=one.off_limits[:ITEMS], cycle=cycle)
        for one in delta.add_decisions[:ITEMS]
    )
    dropped = {one_line(what) for what in delta.drop_decisions}
    added = {one_line(one.what) for one in delta.add_decisions}
    kept = (one for one in plan.decisions if one.what not in dropped | added)
    changed = Plan(
        phase=_or(delta.phase, plan.phase),
        done=delta.done[:ITEMS],
        decisions=(*kept, *new),
        active=plan.active if delta.active is None else delta.active[:ITEMS],
        next_action=_or(delta.next_action, plan.next_action),
        questions=plan.questions if delta.questions is None else delta.questions[:ITEMS],
        done_means=plan.done_means if delta.done_means is None else delta.done_means[:ITEMS],
    )
    return replace(relay, plan=clean_plan(changed))


def _or(new: str | None, old: str) -> str:
    return old if new is None or not one_line(new) else new


def _complaints(delta: RelayDelta, plan: Plan) -> Iterator[str]:
    if delta.next_action is not None and not one_line(delta.next_action):
        yield "next_action is empty: name the one next action, or leave the field out"
    yield from _too_long("phase", (delta.phase or "",), PHASE_CHARS)
    yield from _too_long("next_action", (delta.next_action or "",), ACTION_CHARS)
    for name in ("done", "active", "questions", "done_means", "drop_decisions"):
        yield from _too_long(name, getattr(delta, name) or (), ITEM_CHARS)
    yield from _too_long("add_decisions.what", tuple(one.what for one in delta.add_decisions), ITEM_CHARS)
    yield from _too_long("add_decisions.why", tuple(one.why for one in delta.add_decisions), ITEM_CHARS)
    known = {one.what for one in plan.decisions}
    for what in delta.drop_decisions:
        if one_line(what) not in known:
            yield f"drop_decisions: there is no key decision “{one_line(what, 80)}”"


def _too_long(name: str, texts: tuple[str, ...], limit: int) -> Iterator[str]:
    if len(texts) > ITEMS:
        yield f"{name} has {len(texts)} items; at most {ITEMS} are kept"
    for text in texts:
        if len(text) > limit:
            yield f"{name} has a text of {len(text)} characters; at most {limit} are kept"
