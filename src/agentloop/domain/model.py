"""What is asked of a language model in one call, and what can come back.

The values of the model port. They say nothing about a vendor: an edge turns them into an API's own form.
Answers are a union to be matched exhaustively, sorted by what the caller does next:

    Answered      use it
    Truncated     it stopped before its end: show that back, or ask for less
    Refused       another model may answer; the same one will not
    Limited       wait until the time given; nothing has failed
    Unavailable   try again later, or another model
    Rejected      never again unchanged: our request or the key is wrong
    OutOfBudget   not asked at all, or cut off in hand: it does not fit under a spend limit of ours
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Literal, TypeAlias

from agentloop.domain.settings import Price
from agentloop.domain.valueclass import dataclass, field
from agentloop.domain.wording import dollars

Role: TypeAlias = Literal["user", "assistant"]
Stop: TypeAlias = Literal["end_turn", "tool_use"]
LimitKind: TypeAlias = Literal["rate", "overload", "credit"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemBlock:
    """One part of the system prompt; stable parts come first and are kept in the vendor's prompt cache."""

    text: str
    stable: bool = True  # the same bytes in the next call


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """Words, from either side."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolUse:
    """The model asks for one tool to be run."""

    id: str  # the vendor's id; the result names it
    name: str
    input: Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolResult:
    """What a tool gave back."""

    tool_use_id: str
    text: str
    is_error: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Opaque:
    """A block we do not read (a model's thinking), passed back as it came."""

    json: str  # the vendor's block


Block: TypeAlias = Text | ToolUse | ToolResult | Opaque


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One turn of a conversation."""

    role: Role
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """A tool that the model may ask for."""

    name: str
    description: str
    schema: Mapping[str, object]  # JSON Schema of its input, an object


@dataclass(frozen=True, slots=True, kw_only=True)
class Ceiling:
    """The most that a call may cost, at this price."""

    micros: int
    price: Price


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One call of a model."""

    model: str
    messages: tuple[Message, ...]  # the first is the user's; roles alternate
    max_output_tokens: int
    system: tuple[SystemBlock, ...] = ()
    tools: tuple[Tool, ...] = ()
    timeout_seconds: float = 300.0  # for the whole call, from its first byte to its last
    ceiling: Ceiling | None = None  # what was set aside for it: a call that costs more is cut off
    continues: bool = False  # the next request will repeat these messages, so they are worth caching


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens of one call, as the vendor counts them for the bill. The four never overlap."""

    input_tokens: int = 0  # neither written to the cache nor read from it
    output_tokens: int = 0
    cache_write_tokens: int = 0
    cache_read_tokens: int = 0

    def __add__(self, other: Usage) -> Usage:
        """Both calls together."""
        return Usage(
            input_tokens=self.input_tokens + other.input_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            cache_write_tokens=self.cache_write_tokens + other.cache_write_tokens,
            cache_read_tokens=self.cache_read_tokens + other.cache_read_tokens,
        )


NOTHING_USED = Usage()


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """A whole answer."""

    blocks: tuple[Block, ...]
    stop: Stop
    usage: Usage
    model: str  # as the vendor names the one that answered
    request_id: str | None = None  # the vendor's, for their support
    answered_by: str = ""  # the model that was asked, as our settings name it
    fell_back_because: str | None = None  # why it was not the one asked for first

    @property
    def text(self) -> str:
        """All words of the answer, a blank line between blocks."""
        return "\n\n".join(block.text for block in self.blocks if isinstance(block, Text))

    @property
    def tool_uses(self) -> tuple[ToolUse, ...]:
        """The tools asked for, in order."""
        return tuple(block for block in self.blocks if isinstance(block, ToolUse))


@dataclass(frozen=True, slots=True, kw_only=True)
class Truncated:
    """An answer without its end. Tool uses that were cut off, or whose input cannot be read, are left out."""

    blocks: tuple[Block, ...]
    why: str
    usage: Usage | None  # None: the vendor did not say, it may be anything up to the ceiling


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """The model declined to answer."""

    why: str
    usage: Usage | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Limited:
    """A limit of the vendor is reached. A timer, not a failure."""

    kind: LimitKind  # rate: ours; overload: theirs; credit: somebody has to pay or to raise a limit
    why: str
    until: datetime | None  # None: not said
    retry_after_seconds: float | None
    usage: Usage | None = NOTHING_USED  # None when it came in the middle of an answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Unavailable:
    """No answer: the service failed, the connection broke, or the time was over."""

    why: str
    usage: Usage | None  # None: it may have been served
    again: bool = True  # whether a further try at once makes sense; not when the time is over


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected:
    """The service will not take this request, or this key; it is not sent again."""

    why: str
    fix: str
    usage: Usage | None = field(default=NOTHING_USED)
    ours: bool = False  # what was asked is at fault, not the key, the model's name or the address


_SETTINGS = {
    "call": ("call_usd", "call_tokens"),
    "cycle": ("cycle_usd", "attempt_tokens"),
    "attempt": ("attempt_usd", "attempt_tokens"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class OutOfBudget:
    """A spend limit would be passed: nothing was asked; or was passed in hand (`most_micros`): cut off."""

    limit: str  # the limit's name: "attempt", "cycle", "call"
    left_micros: int  # what may still be spent under it
    needed_micros: int  # the ceiling of what was to be done
    left_tokens: int = 0
    needed_tokens: int = 0  # 0: it was the money
    most_micros: int = 0  # of a call in hand that was cut off: what it may have cost; 0: nothing was asked

    @property
    def setting(self) -> str:
        """What a person raises: the setting's name, where the limit is that of a setting."""
        money, tokens = _SETTINGS.get(self.limit, ("", ""))
        name = tokens if self.needed_tokens else money
        return f"limits.{name}" if name else f"limit {self.limit}"

    @property
    def says(self) -> str:
        """What a person reads: the limit, what the next call may take, and what is left."""
        if self.most_micros:
            most = dollars(self.most_micros)
            return f"{self.setting}: cut off in hand, its cost passed what was set aside (at most {most})"
        if self.needed_tokens:
            needed, left = f"{self.needed_tokens:,} tokens", f"{self.left_tokens:,}"
        else:
            needed, left = (dollars(each) for each in (self.needed_micros, self.left_micros))
        return f"{self.setting}: the next call may cost {needed}, {left} left"


Answer: TypeAlias = Answered | Truncated | Refused | Limited | Unavailable | Rejected | OutOfBudget


def request_bytes(request: Request) -> int:
    """Size in bytes (UTF-8) of all that the model is shown: system prompt, tools, messages, as compact JSON.

    JSON only ever adds to the text (quotes, escapes), so the number is not less than the bytes of the text.
    """
    fixed = [
        [block.text for block in request.system],
        [[tool.name, tool.description, dict(tool.schema)] for tool in request.tools],
    ]
    return _json_bytes(fixed) + message_bytes(request.messages)


def message_bytes(messages: tuple[Message, ...]) -> int:
    """Size in bytes of the messages alone, counted as in `request_bytes`."""
    return _json_bytes([[message.role, [_shown(block) for block in message.blocks]] for message in messages])


def _json_bytes(value: object) -> int:
    encoded = json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)
    return len(encoded.encode("utf-8", errors="surrogatepass"))


def _shown(block: Block) -> list[object]:
    match block:
        case Text():
            return [block.text]
        case ToolUse():
            return [block.id, block.name, dict(block.input)]
        case ToolResult():
            return [block.tool_use_id, block.text, block.is_error]
        case Opaque():
            return [block.json]
