"""The admin agent: a briefing goes in, typed decisions come out. Stateless, and it touches nothing.

The talk is over with the answer that hands the relay on beside its decisions: nobody pays for one more call
in which the model only says that it has finished.

A tool call that does not fit, an answer that was cut off or an answer without a decision is shown back once
with what is wrong. What still does not fit then fails the cycle, and nothing of it is applied.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from agentloop.admin.tools import Look, Malformed, ReadDiff, ReadFile, ReadIssue, ReadLog, Said, parse, tools
from agentloop.domain.model import (
    Answered,
    Limited,
    Message,
    OutOfBudget,
    Refused,
    Rejected,
    Request,
    SystemBlock,
    Text,
    ToolResult,
    Truncated,
    Unavailable,
)
from agentloop.domain.proposal import NoAnswer, Proposal, Reply, Wait
from agentloop.domain.relay import RelayDelta
from agentloop.domain.valueclass import dataclass, field

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentloop.admin.briefing import Briefing
    from agentloop.domain.decisions import AdminDecision
    from agentloop.domain.model import Answer, Block, ToolUse
    from agentloop.ports import Clock, Model

READ_LIMIT = 24_000
"""Characters of one read that the model is shown."""
LIMIT_WAIT = timedelta(minutes=5)
"""How long to wait for a limit whose end the provider did not say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """How much one cycle's admin may take."""

    turns: int
    seconds: float
    max_output_tokens: int
    call_seconds: float


@dataclass
class _Talk:
    """One conversation, as it grows."""

    messages: list[Message]
    decisions: list[AdminDecision] = field(default_factory=list)
    delta: RelayDelta | None = None
    models: dict[str, None] = field(default_factory=dict)
    warned: bool = False


def decide(
    model: Model,
    *,
    name: str,
    prompt: str,
    briefing: Briefing,
    look: Callable[[Look], str],
    bounds: Bounds,
    clock: Clock,
) -> Reply:
    """Return what the model `name` decides on the briefing; `look` answers its bounded reads."""
    talk = _Talk(messages=[Message(role="user", blocks=(Text(text=briefing.text),))])
    ends = clock.now() + timedelta(seconds=bounds.seconds)
    for turn in range(1, bounds.turns + 1):
        left = (ends - clock.now()).total_seconds()
        if left <= 0:
            return NoAnswer(why=f"it took longer than models.admin_seconds = {bounds.seconds:.0f}")
        answer = model.ask(
            Request(
                model=name,
                system=(SystemBlock(text=prompt),),
                messages=tuple(talk.messages),
                tools=tools(),
                max_output_tokens=bounds.max_output_tokens,
                timeout_seconds=min(bounds.call_seconds, left),
                continues=turn < bounds.turns,
            )
        )
        ended = _hear(talk, answer, look, turn, clock.now())
        if ended is not None:
            return ended
    return NoAnswer(why=f"it was not done after models.admin_turns = {bounds.turns}")


def _hear(talk: _Talk, answer: Answer, look: Callable[[Look], str], turn: int, now: datetime) -> Reply | None:
    match answer:
        case Answered():
            return _answered(talk, answer, look, turn)
        case Truncated(why=why, blocks=blocks):
            cut = tuple(block for block in blocks if isinstance(block, Text))
            return _show_back(
                talk, cut, f"Your answer was cut off ({why}). Nothing was taken over. Be briefer."
            )
        case Limited():
            return _wait(answer, now)
        case OutOfBudget():
            return Wait(until=None, why=answer.says)
        case Refused(why=why):
            return NoAnswer(why=f"the model refused: {why}", fix="set models.admin_fallback to another model")
        case Unavailable(why=why):
            return NoAnswer(why=f"the model is out: {why}", service=True)
        case Rejected(why=why, fix=fix, ours=ours):
            return NoAnswer(why=why, fix=fix, service=not ours)


def _wait(limited: Limited, now: datetime) -> Wait:
    until = limited.until
    if until is None:
        seconds = limited.retry_after_seconds
        until = now + (LIMIT_WAIT if seconds is None else timedelta(seconds=seconds))
    return Wait(until=until, why=limited.why)


def _answered(talk: _Talk, answer: Answered, look: Callable[[Look], str], turn: int) -> Reply | None:
    fell_back = f" (fallback: {answer.fell_back_because})" if answer.fell_back_because else ""
    talk.models[f"{answer.answered_by or answer.model}{fell_back}"] = None
    calls = [(use, parse(use.name, use.input)) for use in answer.tool_uses]
    wrong = [said for _, said in calls if isinstance(said, Malformed)]
    if wrong and talk.warned:
        return NoAnswer(why=f"its tool calls do not fit, twice: {wrong[0].tool}: {wrong[0].why}")
    if not calls:
        return _finished(talk, answer, turn)
    talk.messages.append(Message(role="assistant", blocks=answer.blocks))
    if wrong:
        # Nothing of an answer with a mistake in it is taken over: half a set of decisions is another
        # decision.
        talk.warned = True
        results = tuple(_complaint(use, said) for use, said in calls)
    else:
        results = tuple(_result(talk, use, said, look) for use, said in calls)
        if talk.decisions and _hands_on(calls):
            return _finished(talk, answer, turn)
    talk.messages.append(Message(role="user", blocks=results))
    return None


def _hands_on(calls: list[tuple[ToolUse, Said | Look | Malformed]]) -> bool:
    """Whether an answer calls `relay`, the last word, and wants nothing read."""
    kinds = [type(said) for _, said in calls]
    return RelayDelta in kinds and not {ReadIssue, ReadDiff, ReadLog, ReadFile} & set(kinds)


def _finished(talk: _Talk, answer: Answered, turn: int) -> Reply | None:
    if talk.decisions or talk.delta is not None:
        return Proposal(
            decisions=tuple(talk.decisions), delta=talk.delta, models=tuple(talk.models), turns=turn
        )
    return _show_back(
        talk,
        answer.blocks,
        "You decided nothing. Decide by calling tools; call `sleep` when there is nothing to do.",
    )


def _show_back(talk: _Talk, blocks: tuple[Block, ...], says: str) -> NoAnswer | None:
    if talk.warned:
        return NoAnswer(why=f"its answer was not usable, twice: {says}")
    talk.warned = True
    said = blocks or (Text(text="(nothing)"),)
    talk.messages.append(Message(role="assistant", blocks=said))
    talk.messages.append(Message(role="user", blocks=(Text(text=says),)))
    return None


def _complaint(use: ToolUse, said: Said | Look | Malformed) -> ToolResult:
    if isinstance(said, Malformed):
        text = f"not understood: {said.why}"
    else:
        text = "not taken over, because another call beside it does not fit; call it again"
    return ToolResult(tool_use_id=use.id, text=text, is_error=True)


def _result(
    talk: _Talk, use: ToolUse, said: Said | Look | Malformed, look: Callable[[Look], str]
) -> ToolResult:
    match said:
        case ReadIssue() | ReadDiff() | ReadLog() | ReadFile():
            text = look(said)
            cut = text if len(text) <= READ_LIMIT else f"{text[:READ_LIMIT]}\n[… cut]"
            return ToolResult(tool_use_id=use.id, text=cut)
        case RelayDelta():
            talk.delta = said
            return ToolResult(tool_use_id=use.id, text="noted")
        case Malformed():
            return _complaint(use, said)
        case decision:
            talk.decisions.append(decision)
            return ToolResult(
                tool_use_id=use.id, text="noted; carried out when you have finished, if it is allowed"
            )
