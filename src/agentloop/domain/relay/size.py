"""How large a relay is for a model, and what goes to the archive when it is too large."""

from __future__ import annotations

from typing import Final

from agentloop.domain.relay.text import render
from agentloop.domain.relay.values import KeyDecision, Plan, Relay
from agentloop.domain.valueclass import replace

CAP_TOKENS: Final = 2_000


def tokens(text: str) -> int:
    """Return a conservative estimate of the tokens of `text`: 2 for every 5 bytes of UTF-8, rounded up.

    Anthropic publishes no tokenizer; its glossary says "about 3.5 English characters" a token, and newer
    models need up to 1.35 times as many tokens for the same text: 3.5 / 1.35 = 2.6 characters, rounded down
    to 2.5. Counting bytes instead of characters leaves 1.2 tokens for a CJK character and 1.6 for an emoji.
    """
    return -(-len(text.encode("utf-8", "surrogateescape")) * 2 // 5)


def core_tokens(relay: Relay) -> int:
    """Return the estimate for what the core writes: everything but the human's own text."""
    return tokens(render(replace(relay, human="")))


def fit(relay: Relay, cap: int = CAP_TOKENS) -> tuple[Relay, str]:
    """Return `relay` with its core at most `cap` tokens, and what had to go, as Markdown for the archive.

    The oldest go first: what was done, then decisions that put nothing off limits, then other decisions,
    questions, active work, what done means, and facts from the end. The next action and the phase always
    stay; being bounded in length (`clean`), they fit in any cap from 1,300 on.
    """
    gone: list[str] = []
    while core_tokens(relay) > cap:
        shorter = _drop_one(relay)
        if shorter is None:
            break
        relay, line = shorter
        gone.append(line)
    return relay, "".join(f"{line}\n" for line in gone)


def left_behind(before: Plan, after: Plan) -> str:
    """Return what `before` said was done, decided or asked and `after` no longer says, as Markdown."""
    gone = [
        *(f"- done: {text}" for text in before.done if text not in after.done),
        *(_told(decision) for decision in before.decisions if decision not in after.decisions),
        *(f"- question: {text}" for text in before.questions if text not in after.questions),
    ]
    return "".join(f"{line}\n" for line in gone)


def _drop_one(relay: Relay) -> tuple[Relay, str] | None:
    plan = relay.plan
    if plan.done:
        return replace(relay, plan=replace(plan, done=plan.done[1:])), f"- done: {plan.done[0]}"
    if plan.decisions:
        oldest = next((one for one in plan.decisions if not one.off_limits), plan.decisions[0])
        at = plan.decisions.index(oldest)
        rest = plan.decisions[:at] + plan.decisions[at + 1 :]
        return replace(relay, plan=replace(plan, decisions=rest)), _told(oldest)
    if plan.questions:
        return replace(
            relay, plan=replace(plan, questions=plan.questions[1:])
        ), f"- question: {plan.questions[0]}"
    return _drop_rest(relay)


def _drop_rest(relay: Relay) -> tuple[Relay, str] | None:
    plan = relay.plan
    if plan.active:
        return replace(relay, plan=replace(plan, active=plan.active[1:])), f"- active: {plan.active[0]}"
    if plan.done_means:
        return replace(
            relay, plan=replace(plan, done_means=plan.done_means[1:])
        ), f"- done means: {plan.done_means[0]}"
    if relay.facts:
        name, value = relay.facts[-1]
        return replace(relay, facts=relay.facts[:-1]), f"- fact: {name}: {'null' if value is None else value}"
    return None


def _told(decision: KeyDecision) -> str:
    since = "" if decision.cycle is None else f" (cycle {decision.cycle})"
    off = f"; off limits: {', '.join(decision.off_limits)}" if decision.off_limits else ""
    return f"- decision{since}: {decision.what}; why: {decision.why}{off}"
