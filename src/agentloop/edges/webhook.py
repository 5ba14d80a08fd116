"""GitHub's deliveries over HTTP, on loopback by default: those that are signed and new wake the loop.

Whoever asks learns a status and nothing else. Everything is bounded: so many connections (the oldest makes
room for a newer one), so long for each in all, so many bytes, so many log lines about what was refused.
TLS is the business of the proxy or tunnel in front.
"""

from __future__ import annotations

import socket
import threading
import time
from contextlib import nullcontext, suppress
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING, Any, Final

from agentloop.domain import deliveries
from agentloop.domain.valueclass import dataclass
from agentloop.edges import runfolder
from agentloop.edges.lines import Level
from agentloop.errors import AgentloopError, BusyError

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentloop.edges.lines import Lines

PATH: Final = "/webhook"
CONNECTIONS: Final = 32
"""At once: GitHub needs one for some milliseconds."""
SECONDS: Final = 10.0
"""For one request, from its first byte to the answer: as long as GitHub waits for one."""
BETWEEN_SECONDS: Final = 5.0
"""Without a byte."""
MODERATE_BYTES: Final = 1_000_000
"""Larger bodies are taken in one at a time: those that wake the loop are smaller."""
ENDING_SECONDS: Final = 2.0
REFUSALS_A_MINUTE: Final = 20
_WAKE_BYTES: Final = 65_536
_SEEN_BYTES: Final = 2 * 76 * deliveries.REMEMBERED
_LOOK_SECONDS: Final = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What deliveries are judged by, asked anew with each, so that a change needs no restart."""

    secret: Callable[[], str]
    repositories: Callable[[], frozenset[str]]
    """The repositories that count, as `owner/name` in small letters."""


class Webhook:
    """The listener at `address` (host, port; port 0 = any that is free)."""

    def __init__(
        self,
        home: Path,
        address: tuple[str, int],
        ground: Ground,
        lines: Lines,
        *,
        seconds: float = SECONDS,
    ) -> None:
        """A request may take `seconds`. Raises BusyError when the address is taken."""
        self._listening = _Listening(address, _Desk(home, ground, lines), seconds)
        self._thread = threading.Thread(target=self._listening.serve_forever, args=(_LOOK_SECONDS,))

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return int(self._listening.server_address[1])

    def start(self) -> None:
        """Take deliveries from now on, in threads of its own."""
        self._thread.start()

    def stop(self) -> None:
        """Take no more; those under way may end, within two seconds."""
        self._listening.shutdown()
        self._thread.join()
        self._listening.server_close()
        self._wait(ENDING_SECONDS)
        self._listening.cut_all()
        self._wait(ENDING_SECONDS)

    def _wait(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while self._listening.is_busy() and time.monotonic() < deadline:
            time.sleep(0.01)


class _Desk:
    """Judges deliveries, and remembers those that were acted on, also behind a restart."""

    def __init__(self, home: Path, ground: Ground, lines: Lines) -> None:
        self.ground = ground
        self._home = str(home)
        self._lines = lines
        self._seen_file = home / runfolder.RUN / "deliveries"
        self._lock = threading.Lock()
        self._seen = deliveries.Remembered(_remembered(self._seen_file))
        self._minute, self._refused = 0, 0

    def take(self, event: str, number: str, form: str, body: bytes) -> int:
        """Act on a signed delivery once, and return the status that answers it."""
        meant = deliveries.meaning(event, body, form, self.ground.repositories())
        with self._lock:
            outcome, says = meant.kind, meant.says
            if meant.kind == "wake" and self._seen.knows(name := deliveries.name_of(body), time.time()):
                outcome, says = "nothing", f"{meant.says}: seen before, not acted on again"
            elif meant.kind == "wake":
                self._wake(meant.says)
                self._note(name)
                says = f"the loop is woken: {meant.says}"
            bad = meant.kind == "garbage"
            level = Level.WARNING if bad else Level.INFO
            self._lines.say("webhook.delivery", says, level=level, outcome=outcome, delivery=_short(number))
        return 400 if bad else 200

    def refuse(self, why: str, status: int, number: str) -> None:
        """Say why a request was refused; so many a minute, and then how many there were."""
        with self._lock:
            minute = int(time.monotonic() // 60)
            before, self._refused = self._refused, 1 if minute != self._minute else self._refused + 1
            if minute != self._minute and before > REFUSALS_A_MINUTE:
                self._warn(f"{before - REFUSALS_A_MINUTE} more requests were refused within a minute")
            self._minute = minute
            if self._refused <= REFUSALS_A_MINUTE:
                self._warn(f"refused: {why}", status=status, delivery=_short(number) or None)

    def _warn(self, says: str, *, status: int | None = None, delivery: str | None = None) -> None:
        self._lines.say("webhook.refused", says, level=Level.WARNING, status=status, delivery=delivery)

    def _wake(self, why: str) -> None:
        with suppress(OSError):
            if (Path(self._home) / runfolder.WAKE).stat().st_size > _WAKE_BYTES:
                return  # nobody has taken it for long: it is triggered, and says enough
        runfolder.append_wake(self._home, f"webhook: {why}")

    def _note(self, name: str) -> None:
        self._seen.add(name, time.time())
        # Lost, it costs an idle cycle if somebody replays what they overheard.
        with suppress(OSError):
            if self._seen_file.exists() and self._seen_file.stat().st_size > _SEEN_BYTES:
                self._seen_file.write_text("".join(map(_line, self._seen.all())), "utf-8")
                return
            with self._seen_file.open("a", encoding="utf-8") as stream:
                stream.write(_line((time.time(), name)))


def _line(one: tuple[float, str]) -> str:
    return f"{one[0]:.0f} {one[1]}\n"


def _remembered(path: Path) -> list[tuple[float, str]]:
    try:
        words = [line.split() for line in path.read_text("utf-8").splitlines()]
        return [(float(at), name) for at, name in words]
    except (OSError, ValueError):
        return []


def _short(number: str) -> str:
    return runfolder.one_line(number, 40)


class _Handler(BaseHTTPRequestHandler):
    """One request, one answer, and the connection is closed."""

    server: _Listening
    timeout = BETWEEN_SECONDS

    def do_POST(self) -> None:
        """Take a delivery."""
        if self.path != PATH:
            return self._refuse(404, f"there is nothing at {runfolder.one_line(self.path, 60)}")
        length = self.headers.get("Content-Length", "")
        if not (length.isascii() and length.isdigit()):
            return self._refuse(411, "it does not say how long it is")
        if int(length[:12]) > deliveries.MOST_BYTES:
            return self._refuse(413, f"it has {length[:12]} bytes: more than GitHub delivers")
        said = self.headers.get("X-Hub-Signature-256", "")
        if not said:
            old = (
                "only by SHA-1"
                if self.headers.get("X-Hub-Signature")
                else "not signed: has the hook a secret?"
            )
            return self._refuse(401, f"it is {old}", unread=int(length))
        large = self.server.large if int(length) > MODERATE_BYTES else nullcontext()
        with large:
            return self._judge(said, self.rfile.read(int(length)), int(length))

    def _judge(self, said: str, body: bytes, length: int) -> None:
        if len(body) < length:
            return self._refuse(400, f"it ended after {len(body)} of {length} bytes")
        try:
            secret = self.server.desk.ground.secret()
            if not deliveries.is_signed(secret, body, said):
                return self._refuse(401, "its signature is not that of our secret")
            event, form = self.headers.get("X-GitHub-Event", ""), self.headers.get("Content-Type", "")
            status = self.server.desk.take(_short(event), self._number(), form, body)
        except (AgentloopError, OSError) as error:
            return self._refuse(503, f"it cannot be judged now: {error}")
        return self._answer(status)

    def _number(self) -> str:
        return self.headers.get("X-GitHub-Delivery", "")

    def _refuse(self, status: int, why: str, *, unread: int = 0) -> None:
        if unread:  # closed with bytes unread, the sender would see a broken connection and no answer
            self.rfile.read(min(unread, MODERATE_BYTES))
        self.server.desk.refuse(why, status, self._number())
        self._answer(status)

    def _answer(self, status: int) -> None:
        self.send_response_only(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Answer what http.server itself refuses: another method, a garbled request, headers without end."""
        del explain
        if not hasattr(self, "headers"):
            self.headers = self.MessageClass()
        self.request_version = getattr(self, "request_version", "") or "HTTP/1.0"
        code = 405 if code == 501 else code  # noqa: PLR2004 - http.server's word for an unknown method
        why = "another method than POST" if code == 405 else f"no HTTP request ({message or code})"  # noqa: PLR2004 - likewise
        self.server.desk.refuse(why, code, self._number())
        self._answer(code)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name in http.server
        """Say nothing: there is one line for each request already."""
        del format, args


class _Listening(ThreadingMixIn, HTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = CONNECTIONS
    allow_reuse_address = True

    def __init__(self, address: tuple[str, int], desk: _Desk, seconds: float) -> None:
        self.desk = desk
        self._seconds = seconds
        self.large = threading.Lock()
        self._open: dict[socket.socket, float] = {}
        self._lock = threading.Lock()
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        try:
            super().__init__(address, _Handler)
        except OSError as error:
            raise BusyError(
                f"{address[0]}:{address[1]} cannot be listened on: {error.strerror}",
                fix="end what listens there, or choose another port: listen in [webhook]",
            ) from error

    def server_bind(self) -> None:
        """Bind, without asking the network what this machine is called."""
        super(HTTPServer, self).server_bind()
        self.server_name, self.server_port = "localhost", int(self.server_address[1])

    def is_busy(self) -> bool:
        """Return whether a request is under way."""
        with self._lock:
            return bool(self._open)

    def process_request(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - as in socketserver
        """Begin with a connection; where there are too many, the oldest one is cut: GitHub's are short."""
        with self._lock:
            if len(self._open) >= CONNECTIONS:
                _cut(next(iter(self._open)))
                self._open.pop(next(iter(self._open)))
            self._open[request] = time.monotonic() + self._seconds
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:  # noqa: ANN401 - as in socketserver
        """End with a connection."""
        with self._lock:
            self._open.pop(request, None)
        super().shutdown_request(request)

    def service_actions(self) -> None:
        """Cut what takes too long, however busily it trickles."""
        with self._lock:
            for request, until in self._open.items():
                if time.monotonic() > until:
                    _cut(request)

    def cut_all(self) -> None:
        """Cut what is under way."""
        with self._lock:
            for request in self._open:
                _cut(request)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - as in socketserver
        """Say in one line that a connection broke off, and nothing to who sent it."""
        import sys

        del request, client_address
        self.desk.refuse(f"the connection broke off ({type(sys.exception()).__name__})", 0, "")


def _cut(request: socket.socket) -> None:
    with suppress(OSError):
        request.shutdown(socket.SHUT_RDWR)


def address_of(listen: str) -> tuple[str, int]:
    """Return host and port of `host:port` (`[::1]:8787` for an IPv6 address), as the settings check it."""
    host, _, port = listen.rpartition(":")
    return host.strip("[]"), int(port)


def is_listening(listen: str, seconds: float = 1.0) -> bool:
    """Return whether something takes connections there."""
    try:
        with socket.create_connection(address_of(listen), timeout=seconds):
            return True
    except OSError:
        return False
