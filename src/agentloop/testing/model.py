"""A scripted model: an HTTP server on loopback that speaks the Messages API from a script.

    python -m agentloop.testing.model SCRIPT [--port N] [--record FILE]

prints its URL and serves until it is ended; it ends with 1 when a request matched no step. In a test:

    with ScriptedModel(Path("story.toml")) as model:
        ...  # base_url=model.url, any key
    assert model.errors == []

The script's form is in `agentloop.testing.script`. Point the real client at it: what is proved is proved of
the real SDK, its streams and its errors.
"""

from __future__ import annotations

import argparse
import json
import secrets
import signal
import socket
import struct
import sys
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from agentloop.domain.model import NOTHING_USED, Usage
from agentloop.domain.money import cost_micros
from agentloop.testing.script import Script, ScriptError, Step, filled, load, parse
from agentloop.testing.wire import Asked, Json, PromptCache, asked, events, objection, tokens, usage_json

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from types import TracebackType
    from typing import Self

    from agentloop.domain.settings import Price

LARGEST_BODY = 32 * 1024 * 1024  # as the service's own limit
DRIP_SECONDS = 0.05

STATUSES = {
    "400": ("invalid_request_error", "scripted: malformed"),
    "401": ("authentication_error", "invalid x-api-key"),
    "403": ("permission_error", "scripted: this key may not use the model"),
    "404": ("not_found_error", "scripted: no such model"),
    "413": ("request_too_large", "the request exceeds the maximum size"),
    "429": ("rate_limit_error", "scripted: rate limited"),
    "500": ("api_error", "scripted: internal server error"),
    "529": ("overloaded_error", "Overloaded"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """One request that a step answered."""

    step: str
    request: Json
    model: str
    usage: Usage  # what the service would have on the bill for it, whatever the client got to see


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reply:
    """What goes back, decided; sending it is another matter."""

    step: Step
    message: Json
    captured: dict[str, str] = field(default_factory=dict)


class ScriptedModel:
    """The server. `script` is a file, the text of one, or one that was read. Raises ScriptError.

    `url` is there after `start`, or inside `with`. `requests`, `errors` and `served` grow while it serves;
    read them at any time.
    """

    def __init__(self, script: Script | Path | str, *, port: int = 0, record: Path | None = None) -> None:
        self.script = _script(script)
        self.requests: list[Json] = []  # every body of a call of the Messages API, in order
        self.errors: list[str] = []  # requests that no step matched, or that were malformed
        self.served: list[Served] = []
        self._port = port
        self._record = record
        self._cache = PromptCache()
        self._left = {id(step): step.times for step in self.script.steps}
        self._lock = threading.Lock()
        self._server: _Server | None = None
        self.ended = threading.Event()

    @property
    def url(self) -> str:
        """Where it listens, e.g. http://127.0.0.1:40123."""
        if self._server is None:
            raise ScriptError("the scripted model is not running", fix="use it in a `with`, or call start()")
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def served_usage(self) -> Usage:
        """Tokens of everything served."""
        return sum((each.usage for each in self.served), Usage())

    def served_micros(self, prices: Mapping[str, Price]) -> int:
        """What everything served costs by the price table; models without a price cost nothing."""
        return sum(
            cost_micros(each.usage, prices[each.model]) for each in self.served if each.model in prices
        )

    def start(self) -> Self:
        """Listen, and serve in threads of its own. Raises OSError when the port is taken."""
        if self._server is None:
            self._server = _Server(("127.0.0.1", self._port), _Exchange)
            self._server.model = self
            threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def stop(self) -> None:
        """Close the port and let go of every request that hangs."""
        self.ended.set()
        if self._server is not None:
            self._server.close_all()
            self._server = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def reply(self, body: Any) -> _Reply | str:  # noqa: ANN401 - whatever a client sent
        """Return what to answer, or what is wrong with the request; both are remembered."""
        wrong = objection(body)
        with self._lock:
            self.requests.append(body)
            found = wrong if wrong is not None else self._matched(asked(body))
            if isinstance(found, str):
                self.errors.append(found)
            self._write_down(body, found)
            return found

    def _matched(self, request: Asked) -> _Reply | str:
        nearest: tuple[tuple[str, ...], Step] | None = None
        for step in self.script.steps:
            if self._left[id(step)] == 0:
                continue
            captured, missing = step.captured(request)
            misses = step.when.misses(request) + missing
            if not misses:
                return self._taken(step, request, captured)
            if nearest is None or len(misses) < len(nearest[0]):
                nearest = misses, step
        if nearest is None:
            return f"no step of {self.script.name} is left"
        misses, step = nearest
        where = f"{step.name!r} ({self.script.name}:{step.line})"
        return f"no step matches this request; the nearest is {where}, but {'; '.join(misses)}"

    def _taken(self, step: Step, request: Asked, captured: dict[str, str]) -> _Reply | str:
        for call in step.call:
            if call.tool not in request.tools:
                offered = ", ".join(sorted(request.tools)) or "none"
                return f"the step {step.name!r} calls {call.tool!r}, but the request offers: {offered}"
        left = self._left[id(step)]
        self._left[id(step)] = None if left is None else left - 1
        usage = _override(self._cache.input_usage(request.body), step.usage)
        message = _message(step, request, captured, usage)
        spent = (
            _usage_of(message) if step.fault not in STATUSES and step.fault != "drop_early" else NOTHING_USED
        )
        self.served.append(Served(step=step.name, request=request.body, model=request.model, usage=spent))
        return _Reply(step=step, message=message, captured=captured)

    def _write_down(self, body: Json, found: _Reply | str) -> None:
        if self._record is not None:
            outcome = {"error": found} if isinstance(found, str) else {"step": found.step.name}
            with self._record.open("a", encoding="utf-8") as file:
                file.write(json.dumps({**outcome, "request": body}, ensure_ascii=False) + "\n")


def _script(script: Script | Path | str) -> Script:
    match script:
        case Script():
            return script
        case Path():
            return load(script)
        case str():
            return parse(script)


def _message(step: Step, request: Asked, captured: dict[str, str], usage: Usage) -> Json:
    content: list[Json] = []
    if step.thinking:
        signature = secrets.token_urlsafe(24)
        content.append(
            {"type": "thinking", "thinking": filled(step.thinking, captured), "signature": signature}
        )
    if step.say:
        content.append({"type": "text", "text": filled(step.say, captured)})
    for call in step.call:
        given = filled(call.input, captured)
        content.append(
            {"type": "tool_use", "id": f"toolu_{secrets.token_hex(8)}", "name": call.tool, "input": given}
        )
    wanted = tokens(len(json.dumps(content, ensure_ascii=False).encode()))
    output = step.usage.get("output_tokens", min(wanted, request.body["max_tokens"]))
    return {
        "id": f"msg_{secrets.token_hex(8)}",
        "type": "message",
        "role": "assistant",
        "model": request.model,
        "content": content,
        "stop_reason": _stop_reason(step),
        "stop_sequence": None,
        "usage": {**usage_json(usage), "output_tokens": output},
    }


def _stop_reason(step: Step) -> str:
    by_fault = {"refusal": "refusal", "truncate": "max_tokens"}
    return step.stop or by_fault.get(step.fault) or ("tool_use" if step.call else "end_turn")


def _override(usage: Usage, given: Mapping[str, int]) -> Usage:
    names = {
        "input_tokens": usage.input_tokens,
        "cache_creation_input_tokens": usage.cache_write_tokens,
        "cache_read_input_tokens": usage.cache_read_tokens,
    }
    said = {name: given.get(name, value) for name, value in names.items()}
    return Usage(
        input_tokens=said["input_tokens"],
        cache_write_tokens=said["cache_creation_input_tokens"],
        cache_read_tokens=said["cache_read_input_tokens"],
    )


def _usage_of(message: Json) -> Usage:
    said = message["usage"]
    return Usage(
        input_tokens=said["input_tokens"],
        output_tokens=said["output_tokens"],
        cache_write_tokens=said["cache_creation_input_tokens"],
        cache_read_tokens=said["cache_read_input_tokens"],
    )


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    model: ScriptedModel

    def __init__(self, address: tuple[str, int], exchange: type[BaseHTTPRequestHandler]) -> None:
        super().__init__(address, exchange)
        self._open: set[socket.socket] = set()

    def get_request(self) -> tuple[socket.socket, Any]:
        """Accept a connection, and know it: a kept one would outlive the server."""
        connection, address = super().get_request()
        self._open.add(connection)
        return connection, address

    def close_all(self) -> None:
        """Close the port and every connection."""
        self.shutdown()
        self.server_close()
        for connection in self._open:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - the base class's own
        # A client that hung up is its own business: many tests do it on purpose.
        if not isinstance(
            sys.exception() if hasattr(sys, "exception") else sys.exc_info()[1], ConnectionError
        ):
            super().handle_error(request, client_address)


class _Exchange(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    @property
    def model(self) -> ScriptedModel:
        return cast("_Server", self.server).model

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's own name
        """Say nothing: what happened is in the model's lists."""

    def do_GET(self) -> None:
        """List models: what a client asks to see whether the service is there."""
        if self._no_key():
            self._fail("401")
        elif self.path.split("?")[0].startswith("/v1/models"):
            listed = {"id": "scripted", "type": "model", "display_name": "Scripted", "created_at": _stamp(0)}
            self._send(
                200, {"data": [listed], "has_more": False, "first_id": "scripted", "last_id": "scripted"}
            )
        else:
            self._fail("404", f"no such page: {self.path}")

    def do_POST(self) -> None:
        """Answer a call of the Messages API."""
        body, trouble = self._body()
        if self._no_key():
            self._fail("401")
        elif self.path.split("?")[0] != "/v1/messages":
            self._fail("404", f"no such page: {self.path}")
        elif trouble:
            self._fail("400", trouble)
        else:
            reply = self.model.reply(body)
            if isinstance(reply, str):
                self._fail("400", reply)
            else:
                self._answer(reply, streaming=bool(body.get("stream")))

    def _body(self) -> tuple[Any, str]:
        length = int(self.headers.get("content-length") or 0)
        if length > LARGEST_BODY:
            self.close_connection = True
            return None, "the body is larger than 32 MB"
        data = self.rfile.read(length)
        try:
            return json.loads(data), ""
        except ValueError as error:
            return None, f"the body is not JSON: {error}"

    def _no_key(self) -> bool:
        return not (self.headers.get("x-api-key") or self.headers.get("authorization"))

    def _answer(self, reply: _Reply, *, streaming: bool) -> None:
        step = reply.step
        if step.delay_seconds:
            self.model.ended.wait(step.delay_seconds)
        if step.fault in STATUSES:
            self._fail(step.fault, retry_after=step.retry_after)
        elif step.fault == "drop_early":
            self._drop()
        elif step.fault == "hang":
            self.model.ended.wait()
            self._drop()
        elif streaming:
            self._stream(reply)
        elif step.fault in {"", "refusal", "truncate"}:
            self._send(200, reply.message)
        else:
            self._send_bytes(200, b'{"type": "message", "content": [{"type"', {})

    def _stream(self, reply: _Reply) -> None:
        self.send_response(200)
        self._headers({"content-type": "text/event-stream; charset=utf-8", "transfer-encoding": "chunked"})
        for name, data in self._played(reply):
            self._chunk(f"event: {name}\ndata: {data}\n\n".encode())
        if reply.step.fault == "drop":
            self._drop()
        else:
            self.wfile.write(b"0\r\n\r\n")

    def _played(self, reply: _Reply) -> Iterator[tuple[str, str]]:
        """Every event's name and data; a fault is a change to them."""
        details = {"type": "refusal", "category": None, "explanation": reply.message["stop_reason"]}
        whole = list(events(reply.message, details if reply.step.fault == "refusal" else None))
        encoded = [(name, json.dumps(data, ensure_ascii=False)) for name, data in whole]
        encoded.insert(1, ("ping", '{"type": "ping"}'))
        half = max(2, len(encoded) // 2)
        match reply.step.fault:
            case "stream_error":
                trouble = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
                yield from [*encoded[:half], ("error", json.dumps(trouble))]
            case "no_message_stop" | "drop":
                yield from encoded[: min(half, len(encoded) - 2)]
            case "garbage":
                yield from [*encoded[:half], ("content_block_delta", '{"type": "content_block_')]
            case "drip":
                yield encoded[0]
                while not self.model.ended.wait(DRIP_SECONDS):
                    yield encoded[1]
            case _:
                yield from encoded

    def _chunk(self, data: bytes) -> None:
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        self.wfile.flush()

    def _drop(self) -> None:
        # No lingering: the client sees a reset, as when a machine on the way goes down.
        self.close_connection = True
        with suppress(OSError):
            self.wfile.flush()
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.shutdown(socket.SHUT_RDWR)

    def _fail(self, status: str, why: str = "", retry_after: float | None = None) -> None:
        kind, words = STATUSES[status]
        headers = {} if retry_after is None else {"retry-after": f"{retry_after:g}"}
        if status == "429":
            headers["anthropic-ratelimit-requests-remaining"] = "0"
            headers["anthropic-ratelimit-requests-reset"] = _stamp(retry_after or 0)
        self._send(int(status), {"type": "error", "error": {"type": kind, "message": why or words}}, headers)

    def _send(self, status: int, body: Json, headers: dict[str, str] | None = None) -> None:
        self._send_bytes(status, json.dumps(body, ensure_ascii=False).encode(), headers or {})

    def _send_bytes(self, status: int, data: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        self._headers({"content-type": "application/json", "content-length": str(len(data)), **headers})
        self.wfile.write(data)

    def _headers(self, given: dict[str, str]) -> None:
        windows = {
            "anthropic-ratelimit-requests-limit": "1000",
            "anthropic-ratelimit-requests-remaining": "999",
            "anthropic-ratelimit-requests-reset": _stamp(0),
        }
        for name, value in {"request-id": f"req_{secrets.token_hex(8)}", **windows, **given}.items():
            self.send_header(name, value)
        self.end_headers()


def _stamp(seconds_from_now: float) -> str:
    moment = datetime.now(tz=UTC) + timedelta(seconds=seconds_from_now)
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")


def main(arguments: list[str] | None = None) -> int:
    """Serve a script until SIGTERM or SIGINT.

    Returns 1 when a request matched no step, 2 for a bad script.
    """
    parser = argparse.ArgumentParser(
        prog="python -m agentloop.testing.model", description="A scripted model."
    )
    parser.add_argument("script", type=Path, help="TOML file of steps")
    parser.add_argument("--port", type=int, default=0, help="0 = any that is free")
    parser.add_argument("--record", type=Path, help="append every request to this file, as JSON lines")
    given = parser.parse_args(arguments)
    try:
        model = ScriptedModel(given.script, port=given.port, record=given.record)
    except ScriptError as error:
        print(error, file=sys.stderr)  # noqa: T201 - a program of its own
        return 2
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: model.ended.set())
    model.start()
    print(model.url, flush=True)  # noqa: T201 - its one line of output
    model.ended.wait()
    model.stop()
    for error_text in model.errors:
        print(error_text, file=sys.stderr)  # noqa: T201 - what went wrong, for the one who started it
    return 1 if model.errors else 0


if __name__ == "__main__":
    sys.exit(main())
