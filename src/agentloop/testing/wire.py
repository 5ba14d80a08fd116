"""The Messages API as a server sees it: a request read and checked, an answer made and counted.

Checks what the real service checks and what a client gets wrong most easily; it does not check everything.
Texts of the errors follow the real ones loosely.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from agentloop.domain.model import Usage

BYTES_A_TOKEN = 4  # English prose, roughly: costs then look like real ones
MOST_CACHE_MARKS = 4
_TOOL_NAME = re.compile(r"[a-zA-Z0-9_-]{1,128}")

Json = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request's texts, as a script's conditions look at them."""

    body: Json
    model: str
    system: str
    last: str  # the last message: its words and the results of tools
    conversation: str  # every message, the calls of tools included
    newest_first: tuple[str, ...]  # messages from the last to the first, then the system prompt
    results_of: frozenset[str]  # tools whose results are in the last message
    tools: frozenset[str]


def asked(body: Json) -> Asked:
    """Return a request that `objection` found nothing wrong with as texts."""
    messages = [_text_of(message["content"]) for message in body["messages"]]
    system = _text_of(body.get("system", ""))
    last = body["messages"][-1]["content"]
    names = {
        block["id"]: block["name"]
        for message in body["messages"]
        for block in _blocks(message["content"])
        if block["type"] == "tool_use"
    }
    results = (block["tool_use_id"] for block in _blocks(last) if block["type"] == "tool_result")
    return Asked(
        body=body,
        model=body["model"],
        system=system,
        last=messages[-1],
        conversation="\n".join(messages),
        newest_first=(*reversed(messages), system),
        results_of=frozenset(names[each] for each in results if each in names),
        tools=frozenset(tool["name"] for tool in body.get("tools", [])),
    )


def _blocks(content: Any) -> list[Json]:  # noqa: ANN401 - JSON
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    return content if isinstance(content, list) else []


def _text_of(content: Any) -> str:  # noqa: ANN401 - JSON
    parts = []
    for block in _blocks(content):
        match block.get("type"):
            case "text":
                parts.append(block["text"])
            case "tool_use":
                parts.append(f"{block['name']} {json.dumps(block['input'], ensure_ascii=False)}")
            case "tool_result":
                parts.append(_text_of(block.get("content", "")))
            case _:
                pass
    return "\n".join(parts)


def objection(body: Any) -> str | None:  # noqa: ANN401 - whatever a client sent
    """Return what the service would hold against the request, or None."""
    if not isinstance(body, dict):
        return "the body is not a JSON object"
    if not isinstance(body.get("model"), str) or not body["model"]:
        return "model: field required"
    most = body.get("max_tokens")
    if not isinstance(most, int) or isinstance(most, bool) or most < 1:
        return "max_tokens: a whole number greater than 0 is required"
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        return "messages: at least one message is required"
    try:
        found = (*_against_tools(body.get("tools", [])), *_against_messages(messages), *_against_marks(body))
    except (KeyError, TypeError, AttributeError) as error:
        return f"a field is missing or of the wrong type: {error!r}"
    return next(iter(found), None)


def _against_tools(tools: list[Json]) -> Iterator[str]:
    names = [tool["name"] for tool in tools]
    for name in names:
        if not _TOOL_NAME.fullmatch(name):
            yield f"tools: the name {name!r} does not match {_TOOL_NAME.pattern}"
        if names.count(name) > 1:
            yield f"tools: the name {name!r} is there twice"
    for tool in tools:
        if tool["input_schema"].get("type") != "object":
            yield f"tools: the input_schema of {tool['name']!r} is not of type object"


def _against_messages(messages: list[Json]) -> Iterator[str]:
    if messages[0]["role"] != "user":
        yield "messages: the first message must use the user role"
    if messages[-1]["role"] != "user":
        yield "messages: the last message must use the user role (prefill is not supported)"
    for place, message in enumerate(messages):
        if message["role"] not in {"user", "assistant"}:
            yield f"messages.{place}: the role {message['role']!r} is not known"
        if place and message["role"] == messages[place - 1]["role"]:
            yield f"messages.{place}: roles must alternate"
        yield from _against_content(message, place)
        following = messages[place + 1] if place + 1 < len(messages) else {}
        yield from _against_pairs(message, following, messages[place - 1] if place else {}, place)


def _against_content(message: Json, place: int) -> Iterator[str]:
    blocks = _blocks(message["content"])
    if not blocks:
        yield f"messages.{place}: content must not be empty"
    for block in blocks:
        if block["type"] == "text" and not block["text"].strip():
            yield f"messages.{place}: text content blocks must be non-empty"
        if block["type"] == "tool_use" and not isinstance(block["input"], dict):
            yield f"messages.{place}: tool_use.input must be an object"


def _against_pairs(message: Json, following: Json, before: Json, place: int) -> Iterator[str]:
    uses = _ids(message, "tool_use", "id")
    answered = _ids(following, "tool_result", "tool_use_id")
    for use in uses:
        if use not in answered:
            yield f"messages.{place}: tool_use id {use} has no tool_result in the message after it"
    results = _ids(message, "tool_result", "tool_use_id")
    made = _ids(before, "tool_use", "id")
    for result in results:
        if result not in made or results.count(result) > 1:
            yield f"messages.{place}: tool_result {result} answers no tool_use of the message before it"


def _ids(message: Json, kind: str, name: str) -> list[str]:
    return [block[name] for block in _blocks(message.get("content", [])) if block["type"] == kind]


def _against_marks(body: Json) -> Iterator[str]:
    marks = sum(1 for part in _parts(body) if "cache_control" in part)
    if marks > MOST_CACHE_MARKS:
        yield f"at most {MOST_CACHE_MARKS} blocks with cache_control may be provided, found {marks}"


def _parts(body: Json) -> Iterator[Json]:
    """Everything the model is shown, in the order in which it is cached."""
    yield from body.get("tools", [])
    yield from _blocks(body.get("system", []))
    for message in body["messages"]:
        for block in _blocks(message["content"]):
            yield {**block, "role": message["role"]}


def tokens(size_bytes: int) -> int:
    """Return about how many tokens so many bytes are."""
    return -(-size_bytes // BYTES_A_TOKEN)


@dataclass(slots=True)
class PromptCache:
    """Which beginnings of requests have been seen with a cache mark at their end; nothing ever expires."""

    _seen: set[str] = field(default_factory=set)

    def input_usage(self, body: Json) -> Usage:
        """Return the request's input as the service would count it, and remember what it marks."""
        size = read = written = 0
        digest = hashlib.sha256(body["model"].encode())
        for part in _parts(body):
            plain = {key: value for key, value in part.items() if key != "cache_control"}
            encoded = json.dumps(plain, sort_keys=True, ensure_ascii=False).encode(errors="replace")
            digest.update(encoded)
            size += len(encoded)
            key = digest.hexdigest()
            if key in self._seen:
                read, written = size, max(size, written)
            elif "cache_control" in part:
                written = size
                self._seen.add(key)
        return Usage(
            input_tokens=tokens(size) - tokens(written),
            cache_write_tokens=tokens(written) - tokens(read),
            cache_read_tokens=tokens(read),
        )


def usage_json(usage: Usage) -> Json:
    """Return the usage in the API's form."""
    return {
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "cache_creation_input_tokens": usage.cache_write_tokens,
        "cache_read_input_tokens": usage.cache_read_tokens,
    }


def events(message: Json, stop_details: Json | None = None) -> Iterator[tuple[str, Json]]:
    """Return the message as the events of a stream, blocks in pieces.

    The pings and faults are the server's.
    """
    opening = {**message["usage"], "output_tokens": 1}
    start = {**message, "content": [], "stop_reason": None, "usage": opening}
    yield "message_start", {"type": "message_start", "message": start}
    for index, block in enumerate(message["content"]):
        yield from _block_events(index, block)
    delta = {"stop_reason": message["stop_reason"], "stop_sequence": None, "stop_details": stop_details}
    yield "message_delta", {"type": "message_delta", "delta": delta, "usage": message["usage"]}
    yield "message_stop", {"type": "message_stop"}


def _block_events(index: int, block: Json) -> Iterator[tuple[str, Json]]:
    empty, deltas = _deltas(block)
    yield "content_block_start", {"type": "content_block_start", "index": index, "content_block": empty}
    for delta in deltas:
        yield "content_block_delta", {"type": "content_block_delta", "index": index, "delta": delta}
    yield "content_block_stop", {"type": "content_block_stop", "index": index}


def _deltas(block: Json) -> tuple[Json, list[Json]]:
    match block["type"]:
        case "text":
            pieces = [{"type": "text_delta", "text": piece} for piece in _pieces(block["text"])]
            return {"type": "text", "text": ""}, pieces
        case "thinking":
            pieces = [{"type": "thinking_delta", "thinking": piece} for piece in _pieces(block["thinking"])]
            pieces.append({"type": "signature_delta", "signature": block["signature"]})
            return {"type": "thinking", "thinking": "", "signature": ""}, pieces
        case _:
            written = json.dumps(block["input"], ensure_ascii=False)
            pieces = [{"type": "input_json_delta", "partial_json": piece} for piece in _pieces(written)]
            return {**block, "input": {}}, pieces


def _pieces(text: str) -> list[str]:
    third = max(1, len(text) // 3)
    return [text[start : start + third] for start in range(0, len(text), third)]
