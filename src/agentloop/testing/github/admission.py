"""Who is let in, and how often: tokens, permissions, the hourly limit and the one on quick writes."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from agentloop.testing.github.behaviours import Behaviour
from agentloop.testing.github.hub import Hub
from agentloop.testing.github.refusals import Refused
from agentloop.testing.github.values import Repository, Role, Token

HOURLY: Final = 5000
"""Requests an hour for a person's token: rest/using-the-rest-api/rate-limits."""
WRITES_A_MINUTE: Final = 80
"""Writes that make content, in a minute: the same page, "about secondary rate limits"."""
_LEAST: Final[dict[str, Role]] = {
    # What an account must be to use a permission that its token has.
    "contents:write": "write",
    "pull_requests:write": "read",
    "issues:write": "read",
    "administration:read": "admin",
}


@dataclass(slots=True)
class Meter:
    """How much of the limits each token has used up."""

    limit: int = HOURLY
    writes_a_minute: int = WRITES_A_MINUTE
    used: dict[str, int] = field(default_factory=dict)
    reset: dict[str, datetime] = field(default_factory=dict)
    _writes: dict[str, deque[datetime]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def headers(self, hub: Hub, word: str) -> dict[str, str]:
        """Return what every answer says about the hourly limit."""
        now = hub.now()
        with self._lock:
            if self.reset.get(word, now) <= now:
                self.reset[word], self.used[word] = now + timedelta(hours=1), 0
            used = self.used[word]
            return {
                "x-ratelimit-limit": str(self.limit),
                "x-ratelimit-remaining": str(max(0, self.limit - used)),
                "x-ratelimit-used": str(used),
                "x-ratelimit-reset": str(int(self.reset[word].timestamp())),
                "x-ratelimit-resource": "core",
            }

    def charge(self, hub: Hub, word: str) -> None:
        """Count one request. Raises Refused when none is left."""
        headers = self.headers(hub, word)
        with self._lock:
            if self.used[word] >= self.limit and hub.has(Behaviour.PRIMARY_LIMIT):
                raise Refused(403, f"API rate limit exceeded for user ID {word[:4]}.", headers=headers)
            self.used[word] += 1

    def refund(self, word: str) -> None:
        """Take one request back: an unchanged answer costs nothing."""
        with self._lock:
            self.used[word] -= 1

    def wrote(self, hub: Hub, word: str) -> None:
        """Count one write. Raises Refused when they come too fast."""
        now = hub.now()
        with self._lock:
            writes = self._writes.setdefault(word, deque())
            while writes and writes[0] <= now - timedelta(minutes=1):
                writes.popleft()
            if len(writes) >= self.writes_a_minute and hub.has(Behaviour.SECONDARY_LIMIT):
                raise too_fast()
            writes.append(now)


def too_fast(seconds: int = 60) -> Refused:
    """Return how writes that come too fast are refused."""
    words = "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."
    return Refused(403, words, headers={"retry-after": str(seconds)})


def let_in(hub: Hub, authorization: str) -> Token:
    """Return the token that a request shows. Raises Refused 401."""
    scheme, _, word = authorization.partition(" ")
    token = hub.tokens.get(word.strip()) if scheme.lower() in ("bearer", "token") else None
    if token is None:
        raise Refused(401, "Requires authentication" if not authorization else "Bad credentials")
    valid(hub, token)
    return token


def valid(hub: Hub, token: Token) -> None:
    """Raise Refused 401 when the token is revoked or has expired."""
    over = token.revoked or (token.expires_at is not None and token.expires_at <= hub.now())
    if over and hub.has(Behaviour.BAD_CREDENTIALS):
        raise Refused(401, "Bad credentials")


def permit(hub: Hub, token: Token, repository: Repository, need: str) -> None:
    """Let the token do what `need` names ("issues:write"). Raises Refused: 404 hidden, 403 not allowed."""
    seen = hub.role(repository, token.account) is not None
    within = token.repositories is None or repository.path in token.repositories
    if not seen or (not within and repository.private):
        raise Refused(404 if hub.has(Behaviour.HIDDEN) else 403, "Not Found")
    kind, _, level = need.partition(":")
    granted = "write" if token.permissions is None else token.permissions.get(kind, "")
    if not within or (kind != "metadata" and not _covers(granted, level, public=not repository.private)):
        raise Refused(403, "Resource not accessible by personal access token")
    least = _LEAST.get(need, "read")
    if not hub.can(repository, token.account, least):
        raise Refused(403, "Must have write access to the repository.")


def _covers(granted: str, wanted: str, *, public: bool) -> bool:
    return granted in ("write", "admin") or (wanted == "read" and (granted == "read" or public))
