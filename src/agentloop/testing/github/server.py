"""The simulated GitHub on loopback: REST and GraphQL over real HTTP, git over smart HTTP, pages for people.

The API answers below `/api/v3` and at the root alike (GitHub Enterprise and github.com), `/graphql` likewise.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final, TypeAlias
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

from agentloop.testing.github import desk, githttp, graphql, pages
from agentloop.testing.github.admission import Meter, let_in, permit, too_fast
from agentloop.testing.github.behaviours import Behaviour
from agentloop.testing.github.faults import WRITES, Fault, Faults, Kind
from agentloop.testing.github.hooks import Deliveries
from agentloop.testing.github.hub import Hub
from agentloop.testing.github.refusals import Refused
from agentloop.testing.github.rest import ELSEWHERE, ROUTES, Call, Lazy, Reply, text_elsewhere
from agentloop.testing.github.shapes import Shapes
from agentloop.testing.github.values import Repository, Token

Json: TypeAlias = Any
MOST_A_PAGE: Final = 100
A_PAGE: Final = 30
_ENTERPRISE: Final = "/api/v3"
_GITS: Final = ("/info/refs", "/git-upload-pack", "/git-receive-pack")
_UNICORN: Final = b"<html>Unicorn!</html>"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request as it came in."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes
    raw_query: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What goes back."""

    status: int
    headers: dict[str, str]
    body: bytes


Watch: TypeAlias = Callable[[Asked, Answer], None]
"""Is shown each call with its answer, before a fault has its say about what goes back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Logged:
    """One call, as tests count them. `cost` is what it took of the hourly limit."""

    method: str
    path: str
    status: int
    cost: int
    bytes: int


@dataclass(slots=True)
class Api:
    """Answers calls on a hub. `calls` is all that was asked, in order; `unknown` what it does not model."""

    hub: Hub
    shapes: Shapes
    meter: Meter = field(default_factory=Meter)
    faults: Faults = field(default_factory=Faults)
    watch: Watch | None = None
    calls: list[Logged] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    _old: dict[str, bytes] = field(default_factory=dict)
    _lists: dict[str, bytes] = field(default_factory=dict)

    def answer(self, asked: Asked) -> Answer:
        """Answer one call; a fault that strikes it has its say."""
        fault = self.faults.take(asked.method, asked.path)
        if fault and fault.then:
            fault.then()
        early = self._before(fault)
        answer = early or self._carried_out(asked, lagging=bool(fault and fault.kind is Kind.LAG))
        if self.watch and not early:
            self.watch(asked, answer)
        cost = 0 if early or answer.status == 304 else 1  # noqa: PLR2004 - HTTP's own number
        logged = Logged(
            method=asked.method, path=asked.path, status=answer.status, cost=cost, bytes=len(answer.body)
        )
        self.calls.append(logged)
        return self._after(fault, answer)

    def _before(self, fault: Fault | None) -> Answer | None:
        if fault is None:
            return None
        match fault.kind:
            case Kind.BEFORE:
                return Answer(status=fault.status, headers={}, body=_UNICORN)
            case Kind.SECONDARY:
                return _refusal(too_fast(int(fault.seconds)))
            case Kind.EXHAUSTED:
                reset = str(int(self.hub.now().timestamp() + fault.seconds))
                headers = {"x-ratelimit-remaining": "0", "x-ratelimit-reset": reset}
                return _refusal(Refused(403, "API rate limit exceeded", headers=headers))
            case Kind.UNAUTHORIZED:
                return _refusal(Refused(401, "Bad credentials"))
            case _:
                pass
        return None

    def _after(self, fault: Fault | None, answer: Answer) -> Answer:
        if fault is None:
            return answer
        match fault.kind:
            case Kind.AFTER:
                return Answer(status=fault.status, headers={}, body=_UNICORN)
            case Kind.CUT:
                return Answer(status=0, headers={}, body=b"")
            case Kind.GARBAGE:
                return Answer(status=200, headers=answer.headers, body=b'{"half": ')
            case _:
                return answer

    def _carried_out(self, asked: Asked, *, lagging: bool) -> Answer:
        try:
            token = let_in(self.hub, asked.headers.get("authorization", ""))
            self.meter.charge(self.hub, token.word)
            answer = self._known(asked, token, lagging=lagging)
            headers = self.meter.headers(self.hub, token.word) | answer.headers
            return Answer(status=answer.status, headers=headers, body=answer.body)
        except Refused as refused:
            return _refusal(refused)

    def _known(self, asked: Asked, token: Token, *, lagging: bool) -> Answer:
        if asked.path in ("/graphql", "/api/graphql"):
            return self._graph(asked, token)
        if asked.path == "/user":
            return self._conditional(asked, token, _json(200, self.shapes.whole_account(token.account)))
        if asked.path == "/rate_limit":
            return self._limits(token)
        for route in ROUTES:
            names = route.match(asked.method, asked.path)
            if names is not None:
                repository = self._repository(names)
                permit(self.hub, token, repository, route.need)
                if asked.method in WRITES.split("|"):
                    self.meter.wrote(self.hub, token.word)
                call = self._call(asked, token, repository, names)
                return self._told(asked, token, route.answer(call), lagging=lagging)
        self.unknown.append(f"{asked.method} {asked.path}")
        raise Refused(404, "Not Found: this simulated GitHub does not model the call")

    def _repository(self, names: dict[str, str]) -> Repository:
        word = f"{names['owner']}/{names['repo']}"
        moved = self.hub.renamed.get(word)
        if moved and self.hub.has(Behaviour.RENAMED):
            raise Refused(301, "Moved Permanently", headers={"Location": word})
        found = self.hub.repositories.get(moved or word)
        if found is None:
            raise Refused(404, "Not Found")
        return found

    def _call(self, asked: Asked, token: Token, repository: Repository, names: dict[str, str]) -> Call:
        try:
            body = json.loads(asked.body) if asked.body else {}
        except ValueError:
            raise Refused(400, "Problems parsing JSON") from None
        if isinstance(body, list):  # labels may be sent as a bare list
            body = {"labels": body}
        return Call(
            hub=self.hub,
            shapes=self.shapes,
            token=token,
            repository=repository,
            names={key: unquote(value) for key, value in names.items()},
            query=asked.query,
            body=body,
        )

    def _graph(self, asked: Asked, token: Token) -> Answer:
        body = json.loads(asked.body)
        variables = body.get("variables") or {}
        return _json(200, graphql.answer(self.hub, token.account, body.get("query", ""), variables))

    def _limits(self, token: Token) -> Answer:
        self.meter.refund(token.word)  # asking costs nothing
        told = self.meter.headers(self.hub, token.word)
        core = {name: int(told[f"x-ratelimit-{name}"]) for name in ("limit", "remaining", "used", "reset")}
        return _json(200, {"resources": {"core": core, "search": core, "graphql": core}, "rate": core})

    def _told(self, asked: Asked, token: Token, reply: Reply, *, lagging: bool) -> Answer:
        if reply.status == 204:  # noqa: PLR2004 - HTTP's own number
            return Answer(status=204, headers={}, body=b"")
        if reply.headers:
            return Answer(status=reply.status, headers=dict(reply.headers), body=b"")
        body, links = self._page(asked, reply)
        text = body if isinstance(body, str) else json.dumps(body)
        if asked.method != "GET":
            return Answer(status=reply.status, headers=_JSON, body=text.encode())
        content = self._lagged(asked, text.encode(), lagging=lagging)
        return self._conditional(
            asked, token, Answer(status=reply.status, headers=_JSON | links, body=content)
        )

    def _lagged(self, asked: Asked, content: bytes, *, lagging: bool) -> bytes:
        key = f"{asked.path}?{asked.raw_query}"
        if lagging:
            return self._old.get(key, b"[]" if content.startswith(b"[") else content)
        if self._lists.get(key) != content:
            self._old[key] = self._lists.get(key, content)
            self._lists[key] = content
        return content

    def _conditional(self, asked: Asked, token: Token, answer: Answer) -> Answer:
        if not self.hub.has(Behaviour.CONDITIONAL):
            return answer
        whose = token.word.encode() if self.hub.has(Behaviour.ETAG_OF_TOKEN) else b""
        links = answer.headers.get("Link", "").encode()
        digest = hashlib.sha256(b"\0".join((whose, links, answer.body))).hexdigest()
        tag = f'W/"{digest}"'
        headers = answer.headers | {"ETag": tag, "Cache-Control": "private, max-age=60, s-maxage=60"}
        if asked.headers.get("if-none-match") == tag:
            self.meter.refund(token.word)
            return Answer(status=304, headers=headers, body=b"")
        return Answer(status=answer.status, headers=headers, body=answer.body)

    def _page(self, asked: Asked, reply: Reply) -> tuple[Json, dict[str, str]]:
        if not reply.pages or not self.hub.has(Behaviour.PAGES):
            return list(reply.body) if isinstance(reply.body, Lazy) else reply.body, {}
        whole: Sequence[Json] = reply.body[reply.key] if reply.key else reply.body
        size = min(MOST_A_PAGE, max(1, int(asked.query.get("per_page", A_PAGE))))
        page = max(1, int(asked.query.get("page", 1)))
        last = max(1, -(-len(whole) // size))
        cut = whole[(page - 1) * size : page * size]
        body = {**reply.body, reply.key: cut} if reply.key else cut
        places = {"prev": page - 1, "next": page + 1, "last": last, "first": 1}
        wanted = {
            name: number
            for name, number in places.items()
            if 1 <= number <= last and (name in ("prev", "next") or number != page)
        }
        links = ", ".join(f'<{self._at(asked, number)}>; rel="{name}"' for name, number in wanted.items())
        return body, {"Link": links} if links else {}

    def _at(self, asked: Asked, page: int) -> str:
        return f"{self.shapes.root}{asked.path}?{urlencode({**asked.query, 'page': str(page)})}"


_FORM: Final = "application/x-www-form-urlencoded"
_HTML: Final = {"Content-Type": "text/html; charset=utf-8"}
_JSON: Final = {"Content-Type": "application/json; charset=utf-8"}


def _json(status: int, body: Json) -> Answer:
    return Answer(status=status, headers=_JSON, body=json.dumps(body).encode())


def _refusal(refused: Refused) -> Answer:
    body = json.dumps(refused.body()).encode()
    return Answer(status=refused.status, headers=_JSON | refused.headers, body=body)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # head and body are two writes: the second would wait for the first's ACK
    server: _Listening

    def _serve(self) -> None:
        parts = urlsplit(self.path)
        body = self._body()
        if parts.path.endswith(_GITS):
            return self._git(parts.path, parts.query, body)
        if parts.path.startswith(ELSEWHERE):
            told = {key.lower(): value for key, value in self.headers.items()}
            status, text = text_elsewhere(self.server.api.hub, parts.path, told)
            return self._send(status, {"Content-Type": "text/plain"}, text.encode())
        path = parts.path.removeprefix(_ENTERPRISE)
        if not self.headers.get("Authorization") and not path.startswith("/repos/"):
            if self.command == "GET":
                return self._send(200, _HTML, pages.page(self.server.api.hub, path))
            if self.headers.get("Content-Type") == _FORM and self._is_from_here():
                return self._do(path, dict(parse_qsl(body.decode("utf-8", "replace"))))
        answer = self.server.api.answer(
            Asked(
                method=self.command,
                path=path,
                query=dict(parse_qsl(parts.query)),
                headers={key.lower(): value for key, value in self.headers.items()},
                body=body,
                raw_query=parts.query,
            )
        )
        if not answer.status:
            self.close_connection = True
            return None
        headers = dict(answer.headers)
        if new := self.server.api.hub.renamed.get(old := headers.get("Location", "")):
            headers["Location"] = self.path.replace(old, new)
        return self._send(answer.status, headers, answer.body)

    do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = _serve  # noqa: N815 - the names that http.server looks for

    def _is_from_here(self) -> bool:
        # Else any page that a person has open could order things here.
        return self.headers.get("Origin") in (None, f"http://{self.headers.get('Host')}")

    def _do(self, path: str, form: dict[str, str]) -> None:
        try:
            following = desk.carry_out(self.server.api.hub, path, form)
        except Refused as refused:
            return self._send(refused.status, _HTML, pages.refused(refused, path))
        return self._send(303, {"Location": following}, b"")

    def _git(self, path: str, query: str, body: bytes) -> None:
        api = self.server.api
        fault = api.faults.take(self.command, path)
        try:
            reply = githttp.serve(api.hub, self.command, path, query, dict(self.headers.items()), body)
        except Refused as refused:
            return self._send(refused.status, refused.headers, refused.message.encode())
        if fault and fault.kind in (Kind.AFTER, Kind.CUT):
            self.close_connection = True
            return None
        return self._send(reply.status, dict(reply.headers), reply.body)

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        whole = b""
        while size := int(self.rfile.readline().strip() or b"0", 16):
            whole += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return whole

    def _send(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key, value)
        if status not in (204, 304):
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if status not in (204, 304):
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name in http.server
        del format, args  # tests read `Api.calls` instead


class _Listening(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64
    api: Api


@dataclass(slots=True, kw_only=True)
class Server:
    """A simulated GitHub that listens: `url` is its API (Enterprise's kind), `site` where its pages are."""

    api: Api
    site: str
    deliveries: Deliveries

    @property
    def url(self) -> str:
        """The API's base address."""
        return f"{self.site}{_ENTERPRISE}"

    @property
    def hub(self) -> Hub:
        """What it holds."""
        return self.api.hub


@contextmanager
def serving(
    hub: Hub, *, port: int = 0, meter: Meter | None = None, watch: Watch | None = None
) -> Iterator[Server]:
    """Let `hub` be a server on loopback until the block ends."""
    listening = _Listening(("127.0.0.1", port), _Handler)
    site = f"http://127.0.0.1:{listening.server_port}"
    shapes = Shapes(hub, f"{site}{_ENTERPRISE}", site)
    listening.api = Api(hub, shapes, meter=meter or Meter(), watch=watch)
    deliveries = Deliveries(hub, shapes)
    deliveries.start()
    thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield Server(api=listening.api, site=site, deliveries=deliveries)
    finally:
        deliveries.stop()
        listening.shutdown()
        listening.server_close()
        thread.join()
