"""`agentloop webhook`: what GitHub signs wakes the loop once, and nothing else does anything."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import pytest

from agentloop.domain.deliveries import MOST_BYTES, signature
from agentloop.edges import runfolder, webhook
from agentloop.edges.lines import Lines
from agentloop.edges.webhook import Ground, Webhook
from agentloop.testing.github.values import Hook
from tests.contract.on_github import OnGitHub

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SECRET = "0123456789abcdef0123456789abcdef"
ISSUE = b'{"action": "opened", "repository": {"full_name": "octocat/web"}}'


class Listening:
    """A webhook on loopback, with its log and its home."""

    def __init__(self, home: Path, seconds: float = webhook.SECONDS) -> None:
        self.home = home
        runfolder.make_run(str(home))
        self._log = home / "log"
        self._fd = os.open(self._log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        ground = Ground(secret=lambda: SECRET, repositories=lambda: frozenset({"octocat/web"}))
        self.hook = Webhook(home, ("127.0.0.1", 0), ground, Lines(self._fd, "file"), seconds=seconds)
        self.hook.start()

    def close(self) -> None:
        """End it."""
        self.hook.stop()
        os.close(self._fd)

    def log(self) -> list[str]:
        """What it said."""
        return self._log.read_text().splitlines()

    def wakes(self) -> tuple[str, ...]:
        """Take the wake trigger away, as a cycle does."""
        return runfolder.take_wake(str(self.home))

    def post(self, body: bytes, method: str = "POST", path: str = "/webhook", **headers: str) -> int:
        """Send a delivery of "issues", and return the status of the answer, which never says more."""
        connection = http.client.HTTPConnection("127.0.0.1", self.hook.port, timeout=60)
        named = {"X-GitHub-Event": "issues", "X-GitHub-Delivery": "d1", "Content-Type": "application/json"}
        named |= {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body, named)
        answer = connection.getresponse()
        assert (answer.read(), sorted(answer.headers.keys())) == (b"", ["Content-Length"])
        connection.close()
        return answer.status

    def signed(self, body: bytes, **headers: str) -> int:
        """The same, signed."""
        return self.post(body, **{"X_Hub_Signature_256": signature(SECRET, body), **headers})


@pytest.fixture
def listening(tmp_path: Path) -> Iterator[Listening]:
    """A webhook that takes deliveries for octocat/web."""
    made = Listening(tmp_path)
    yield made
    made.close()


def test_what_is_signed_wakes_the_loop_and_the_same_body_again_does_not(listening: Listening) -> None:
    """The delivery's id is not signed, so a replay may have a new one; and a restart remembers."""
    assert listening.signed(ISSUE) == 200
    assert listening.wakes() == ("webhook: issues opened in octocat/web",)
    assert [listening.signed(ISSUE), listening.signed(ISSUE, X_GitHub_Delivery="d2")] == [200, 200]
    again = Listening(listening.home)
    assert again.signed(ISSUE) == 200
    again.close()
    assert listening.wakes() == ()
    assert "seen before, not acted on again" in listening.log()[-1]


def test_what_github_did_not_sign_does_nothing(listening: Listening) -> None:
    """None, another's, SHA-1 only, one of other bytes; a wrong path, a wrong method, too large, garbage."""
    own = {"X_Hub_Signature_256": signature(SECRET, ISSUE)}
    statuses = [
        listening.post(ISSUE),
        listening.post(ISSUE, X_Hub_Signature_256=signature("another secret", ISSUE)),
        listening.post(ISSUE, X_Hub_Signature="sha1=0123456789"),
        listening.post(ISSUE + b" ", **own),
        listening.post(ISSUE, X_Hub_Signature_256="sha256=\xe9"),
        listening.post(ISSUE, path="/", **own),
        listening.post(b"", method="GET"),
        listening.post(b"", **own, Content_Length=str(MOST_BYTES + 1)),
        listening.post(b"", **own, Content_Length="-1"),
        listening.signed(b"\xff\x00"),
    ]
    assert statuses == [401, 401, 401, 401, 401, 404, 405, 413, 411, 400]
    assert listening.wakes() == ()
    assert len(listening.log()) == len(statuses)
    assert all("webhook." in line for line in listening.log())
    assert listening.signed(ISSUE) == 200


def test_no_http_at_all_is_refused_with_one_line(listening: Listening) -> None:
    """Whatever bytes come, and none at all."""
    for sent in (b"\x16\x03\x01\x02\x00\r\n\r\n", b"", b"GET " + b"x" * 70_000 + b"\r\n\r\n"):
        with socket.create_connection(("127.0.0.1", listening.hook.port), timeout=60) as plain:
            plain.sendall(sent)
            plain.shutdown(socket.SHUT_WR)
            plain.recv(1000)
    assert listening.signed(ISSUE) == 200


def test_who_holds_connections_open_keeps_nobody_out(tmp_path: Path) -> None:
    """More connections than there is room for, each trickling: a delivery comes through, and they are cut."""
    listening = Listening(tmp_path, seconds=1.0)
    slow = [
        socket.create_connection(("127.0.0.1", listening.hook.port), timeout=60)
        for _ in range(webhook.CONNECTIONS + 8)
    ]
    for one in slow:
        one.sendall(b"POST /webhook HTTP/1.1\r\nX-Slow: ")
    assert listening.signed(ISSUE) == 200
    assert [one.recv(10) for one in slow] == [b""] * len(slow)
    for one in slow:
        one.close()
    listening.close()


def test_a_flood_is_told_in_few_lines(listening: Listening) -> None:
    """What is refused costs so many lines a minute; a delivery that is signed is told all the same."""
    for _ in range(100):
        listening.post(b"x")
    assert len(listening.log()) <= 2 * webhook.REFUSALS_A_MINUTE + 2
    assert listening.signed(ISSUE) == 200
    assert "issues opened in octocat/web" in listening.log()[-1]


@contextmanager
def command(home: Path, *args: str) -> Iterator[subprocess.Popen[str]]:
    """An agentloop of its own."""
    words = (sys.executable, "-m", "agentloop", *args, "--home", str(home))
    process = subprocess.Popen(words, stderr=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        if process.stderr:
            process.stderr.close()


def test_an_issue_on_github_wakes_a_home_within_seconds_and_sigterm_ends_the_webhook(tmp_path: Path) -> None:
    """The command itself, with deliveries of the simulated GitHub."""
    with ExitStack() as stack:
        ground = OnGitHub(tmp_path, stack)
        secret, home = tmp_path / "secret", ground.home.root
        secret.write_text(SECRET)
        secret.chmod(0o600)
        home.mkdir(exist_ok=True)
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        ground.home.settings_file.write_text(
            f'[[target]]\nname = "web"\nrepository = "{ground.server.site}/octocat/web"\ntracker = "github"\n'
            f'[webhook]\nlisten = "127.0.0.1:{port}"\nsecret_file = "{secret}"\n'
        )
        process = stack.enter_context(command(home, "webhook"))
        assert process.stderr is not None
        assert f"http://127.0.0.1:{port}/webhook for octocat/web" in process.stderr.readline()

        hook = Hook(url=f"http://127.0.0.1:{port}/webhook", secret=SECRET, events=frozenset({"issues"}))
        ground.repository.hooks.append(hook)
        began = time.monotonic()
        ground.hub.open_issue(ground.repository, ground.person("alice"), "It crashes")
        while not ground.home.wake_file.exists():
            assert time.monotonic() - began < 60
            time.sleep(0.005)

        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
        assert threading.active_count() < 20
