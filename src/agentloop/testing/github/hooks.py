"""Webhook deliveries: what happened, as JSON, signed with the hook's secret, sent once and in order."""

from __future__ import annotations

import hashlib
import hmac
import json
import queue
import threading
import urllib.error
import urllib.request
import uuid
from dataclasses import dataclass, field
from typing import Any, Final

from agentloop.testing.github.behaviours import Behaviour
from agentloop.testing.github.hub import Event, Hub
from agentloop.testing.github.shapes import Shapes
from agentloop.testing.github.values import Hook

SECONDS: Final = 10
"""How long GitHub waits for an answer: webhooks/using-webhooks/handling-failed-webhook-deliveries."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One delivery: its id, what was sent, and what came back (0 = nothing)."""

    id: str
    url: str
    headers: dict[str, str]
    body: bytes
    status: int = 0


@dataclass(slots=True)
class Deliveries:
    """Sends what the hub tells to the hooks of its repositories, from a thread of its own."""

    hub: Hub
    shapes: Shapes
    done: list[Delivery] = field(default_factory=list)
    _waiting: queue.Queue[tuple[Hook, str, bytes] | None] = field(default_factory=queue.Queue)
    _thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to listen and to send."""
        self.hub.heard.append(self._hear)
        self._thread = threading.Thread(target=self._send_all, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Send what waits, and end."""
        self.hub.heard.remove(self._hear)
        self._waiting.put(None)
        if self._thread:
            self._thread.join()

    def _hear(self, event: Event) -> None:
        for hook in event.repository.hooks:
            if event.kind in hook.events or "*" in hook.events:
                body = json.dumps(self._payload(event)).encode()
                self._waiting.put((hook, event.kind, body))

    def _payload(self, event: Event) -> dict[str, Any]:
        told: dict[str, Any] = {
            "action": event.action,
            "repository": self.shapes.repository(event.repository),
            "sender": self.shapes.account(event.actor),
        }
        thread, extra = event.thread, dict(event.extra)
        if thread is None:
            return told | {"check_run": self.shapes.check(event.repository, extra["check_run"])}
        if event.kind.startswith("pull_request"):
            told["pull_request"] = self.shapes.pull(event.repository, thread)
        else:
            told["issue"] = self.shapes.issue(event.repository, thread)
        if "review" in extra:
            told["review"] = self.shapes.review(event.repository, thread, extra["review"])
        if "comment" in extra and event.kind == "pull_request_review_comment":
            told["comment"] = self.shapes.review_comment(event.repository, thread, extra["comment"])
        elif "comment" in extra:
            told["comment"] = self.shapes.comment(event.repository, thread, extra["comment"])
        return told

    def _send_all(self) -> None:
        while (waiting := self._waiting.get()) is not None:
            self.done.append(self.send(*waiting))

    def send(self, hook: Hook, kind: str, body: bytes, *, number: str = "") -> Delivery:
        """Send one delivery and return what came of it; with a `number` of its own it is one sent again."""
        number = number or str(uuid.uuid4())
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "GitHub-Hookshot/simulated",
            "X-GitHub-Event": kind,
            "X-GitHub-Delivery": number,
            "X-GitHub-Hook-ID": "1",
        }
        if hook.secret and self.hub.has(Behaviour.SIGNED_HOOKS):
            digest = hmac.new(hook.secret.encode(), body, hashlib.sha256).hexdigest()
            headers["X-Hub-Signature-256"] = f"sha256={digest}"
        request = urllib.request.Request(hook.url, data=body, headers=headers)  # noqa: S310 - a hook's own address
        try:
            with urllib.request.urlopen(request, timeout=SECONDS) as answer:  # noqa: S310 - likewise
                status = answer.status
        except urllib.error.HTTPError as error:
            status = error.code
        except OSError:
            status = 0
        return Delivery(id=number, url=hook.url, headers=headers, body=body, status=status)
