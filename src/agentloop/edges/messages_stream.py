"""The Messages API's own form, to and from our values. Pure: plain JSON values in, values out, no SDK.

Events of a stream: https://platform.claude.com/docs/en/build-with-claude/streaming. What a server sends is
read by hand and with suspicion: anything malformed makes the answer unusable and never raises.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, assert_never

from agentloop.domain.model import Opaque, Text, ToolResult, ToolUse, Usage
from agentloop.domain.valueclass import dataclass, field

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agentloop.domain.model import Block, Request, Tool

_WORDS = ("text", "partial_json", "thinking")
CACHED = {"type": "ephemeral"}  # the five-minute cache


def body(request: Request) -> dict[str, Any]:
    """Return the request as the arguments of the Messages API, `stream` and the deadline left out.

    Cache marks: the last stable part of the system prompt (tools come before it, so they are covered), or
    the last tool when there is none; and the last block of the last message when the conversation goes on
    from there.
    """
    system = [{"type": "text", "text": block.text} for block in request.system]
    stable = [place for place, block in enumerate(request.system) if block.stable]
    tools = [_tool(tool) for tool in request.tools]
    if stable:
        system[stable[-1]]["cache_control"] = CACHED  # type: ignore[assignment]
    elif tools:
        tools[-1]["cache_control"] = CACHED
    messages = [
        {"role": message.role, "content": [_block(block) for block in message.blocks]}
        for message in request.messages
    ]
    _mark_last(messages, on=request.continues)
    asked: dict[str, Any] = {
        "model": request.model,
        "max_tokens": request.max_output_tokens,
        "messages": messages,
    }
    whole = asked | ({"system": system} if system else {}) | ({"tools": tools} if tools else {})
    return dict(_encodable(whole))


def _encodable(value: Any) -> Any:  # noqa: ANN401 - JSON
    # Text out of file names and logs can hold lone surrogates, which no JSON body can carry.
    match value:
        case str():
            return value.encode("utf-8", errors="replace").decode()
        case dict():
            return {_encodable(key): _encodable(item) for key, item in value.items()}
        case list() | tuple():
            return [_encodable(item) for item in value]
        case _:
            return value


def _mark_last(messages: list[dict[str, Any]], *, on: bool) -> None:
    content = messages[-1]["content"] if messages else []
    if on and content and content[-1].get("type") in {"text", "tool_use", "tool_result"}:
        content[-1]["cache_control"] = CACHED


def _tool(tool: Tool) -> dict[str, Any]:
    return {"name": tool.name, "description": tool.description, "input_schema": dict(tool.schema)}


def _block(block: Block) -> dict[str, Any]:
    match block:
        case Text():
            return {"type": "text", "text": block.text}
        case ToolUse():
            return {"type": "tool_use", "id": block.id, "name": block.name, "input": dict(block.input)}
        case ToolResult():
            return {
                "type": "tool_result",
                "tool_use_id": block.tool_use_id,
                "content": block.text,
                "is_error": block.is_error,
            }
        case Opaque():
            return dict(json.loads(block.json))
        case _:
            assert_never(block)


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamError:
    """An error event in mid-stream, or an event that cannot be read (`kind` is then "malformed")."""

    kind: str
    message: str


@dataclass(slots=True)
class Gathered:
    """A stream as far as it has come. Fed with `feed`, read when it is over."""

    model: str = ""
    stop_reason: str | None = None
    why: str = ""  # what the server says about the stop
    stopped: bool = False  # message_stop was seen
    usage: Usage = field(default_factory=Usage)
    usage_is_final: bool = False  # the closing count was seen: output tokens are right
    streamed_bytes: int = 0  # of words, thoughts and tool inputs as they came
    broken: list[str] = field(default_factory=list)  # tool uses that cannot be read
    blocks: list[Block] = field(default_factory=list)
    _open: dict[int, dict[str, Any]] = field(default_factory=dict)

    def feed(self, data: str) -> StreamError | None:
        """Take the data of one event in.

        Return what is wrong with it, or None. Unknown events are passed over.
        """
        try:
            event = json.loads(data)
            return self._take(event)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            # All that indexing into what a stranger sent can raise.
            return StreamError(kind="malformed", message=f"an event that cannot be read: {data[:200]!r}")

    def _take(self, event: dict[str, Any]) -> StreamError | None:
        match event["type"]:
            case "message_start":
                self.model = str(event["message"]["model"])
                self._count(event["message"]["usage"])
            case "content_block_start":
                self._open[event["index"]] = {**event["content_block"], "pieces": []}
            case "content_block_delta":
                _extend(self._open[event["index"]], event["delta"])
                self.streamed_bytes += _size(event["delta"])
            case "content_block_stop":
                self._close(self._open.pop(event["index"]))
            case "message_delta":
                self.stop_reason = event["delta"].get("stop_reason")
                self.why = _stop_words(event["delta"].get("stop_details"))
                self._count(event["usage"])
                self.usage_is_final = True
            case "message_stop":
                self.stopped = True
            case "error":
                return StreamError(
                    kind=str(event["error"]["type"]), message=str(event["error"].get("message", ""))
                )
            case _:  # pings, and kinds that are still to be invented
                pass
        return None

    def _count(self, said: Mapping[str, Any]) -> None:
        # Counts are running totals: each overwrites, and one that is left out stands.
        def latest(name: str, before: int) -> int:
            value = said.get(name)
            return before if value is None else max(0, int(value))

        self.usage = Usage(
            input_tokens=latest("input_tokens", self.usage.input_tokens),
            output_tokens=latest("output_tokens", self.usage.output_tokens),
            cache_write_tokens=latest("cache_creation_input_tokens", self.usage.cache_write_tokens),
            cache_read_tokens=latest("cache_read_input_tokens", self.usage.cache_read_tokens),
        )

    def _close(self, block: dict[str, Any]) -> None:
        pieces = block.pop("pieces")
        match block["type"]:
            case "text":
                # The API refuses an empty text block when it is sent back.
                if block["text"]:
                    self.blocks.append(Text(text=str(block["text"])))
            case "tool_use":
                self._close_tool_use(block, "".join(pieces))
            case _:
                self.blocks.append(Opaque(json=json.dumps(block)))

    def _close_tool_use(self, block: dict[str, Any], written: str) -> None:
        try:
            given = json.loads(written) if written else block.get("input", {})
        except ValueError:
            given = None
        if isinstance(given, dict):
            self.blocks.append(ToolUse(id=str(block["id"]), name=str(block["name"]), input=given))
        else:
            self.broken.append(str(block["name"]))


def _extend(block: dict[str, Any], delta: Mapping[str, Any]) -> None:
    match delta["type"]:
        case "text_delta":
            block["text"] += delta["text"]
        case "input_json_delta":
            block["pieces"].append(delta["partial_json"])
        case "thinking_delta":
            block["thinking"] += delta["thinking"]
        case "signature_delta":
            block["signature"] = delta["signature"]
        case _:  # citations and kinds still to be invented: not needed to pass the block back
            pass


def _stop_words(details: object) -> str:
    if not isinstance(details, dict):
        return ""
    said = [str(details[name]) for name in ("category", "explanation") if details.get(name)]
    return ": ".join(said)


def _size(delta: Mapping[str, Any]) -> int:
    return sum(len(str(delta.get(name, "")).encode("utf-8", "replace")) for name in _WORDS)
