"""A relay without secrets in what the core writes."""

from __future__ import annotations

from agentloop.domain.relay.text import clean
from agentloop.domain.relay.values import KeyDecision, Relay
from agentloop.domain.valueclass import replace


def without_secrets(relay: Relay) -> Relay:
    """Return `relay` cleaned, every secret in facts and plan redacted; the human's text stays as it is."""
    from agentloop.domain.secrets import redact

    relay = clean(relay)
    plan = relay.plan
    safe = replace(
        plan,
        phase=redact(plan.phase),
        done=_each(plan.done),
        decisions=tuple(_decision(one) for one in plan.decisions),
        active=_each(plan.active),
        next_action=redact(plan.next_action),
        questions=_each(plan.questions),
        done_means=_each(plan.done_means),
    )
    return clean(replace(relay, plan=safe, facts=tuple(_fact(*fact) for fact in relay.facts)))


def _fact(name: str, value: str | None) -> tuple[str, str | None]:
    from agentloop.domain.secrets import redact

    if value is None:
        return redact(name), None
    # Together, because it is often the name that says that the value is a secret.
    line = redact(f"{name}: {value}")
    return (
        (name, line.removeprefix(f"{name}: "))
        if line.startswith(f"{name}: ")
        else (redact(name), redact(value))
    )


def _each(texts: tuple[str, ...]) -> tuple[str, ...]:
    from agentloop.domain.secrets import redact

    return tuple(redact(text) for text in texts)


def _decision(decision: KeyDecision) -> KeyDecision:
    from agentloop.domain.secrets import redact

    return replace(
        decision, what=redact(decision.what), why=redact(decision.why), off_limits=_each(decision.off_limits)
    )
