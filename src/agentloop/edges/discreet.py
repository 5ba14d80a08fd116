"""A model that says no secret: what it answers is clean before anybody reads, records or acts on it.

It may have been shown a key (somebody pasted it into an issue, a log held it) and repeat it in a decision;
from there it would go into the journal, a comment, a pull request, the relay and its commits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from agentloop.domain.model import (
    Answered,
    Limited,
    Opaque,
    OutOfBudget,
    Refused,
    Rejected,
    Text,
    ToolResult,
    ToolUse,
    Truncated,
    Unavailable,
)
from agentloop.domain.secrets import redact, redacted
from agentloop.domain.valueclass import dataclass, replace

if TYPE_CHECKING:
    from agentloop.domain.model import Answer, Block, Request
    from agentloop.ports import Model


@dataclass(frozen=True)
class DiscreetModel:
    """The model port, without a secret in its answers; those in `hide` go whatever shape they have."""

    model: Model
    hide: tuple[str, ...] = ()

    def ask(self, request: Request) -> Answer:
        """Return the answer. A block that only the vendor reads stays as it came."""
        answer = self.model.ask(request)
        match answer:
            case Answered() | Truncated():
                return replace(answer, blocks=tuple(self._clean(one) for one in answer.blocks))
            case Refused() | Limited() | Unavailable() | Rejected():
                return replace(answer, why=redact(answer.why, self.hide))
            case OutOfBudget():
                return answer
            case _:
                assert_never(answer)

    def _clean(self, block: Block) -> Block:
        match block:
            case Text(text=text):
                return Text(text=redact(text, self.hide))
            case ToolUse(input=given):
                return replace(block, input=redacted(dict(given), self.hide))
            case ToolResult() | Opaque():
                return block
            case _:
                assert_never(block)
