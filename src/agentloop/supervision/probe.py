"""Is there anything new on GitHub? One small conditional question at a time, between cycles.

What to ask is in `run/probe.json`, written by the cycle: the addresses that it looked at, with the ETag of
each as it was then. So what happened after that look, while the cycle still worked, is noticed too. A change
of the cycle's own doing is one as well: it costs one idle cycle, and nothing is overlooked.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from agentloop.domain.valueclass import dataclass
from agentloop.edges import runfolder
from agentloop.errors import AgentloopError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from agentloop.edges.github.client import Client
    from agentloop.home import Home

FIRST_SECONDS: Final = 15.0
LONGEST_SECONDS: Final = 50.0
"""A new issue is to be seen within a minute, by a look at most this far away."""
GROWTH: Final = 1.3
FAILED_SECONDS: Final = 300.0
"""How long to leave GitHub alone after it could not be asked: the cycle tells a person why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One GitHub: its API, where the token is, and the ETag that the cycle saw at each address."""

    api: str
    token_file: str
    seen: dict[str, str]


class Probe:
    """Asks for as long as the loop sleeps. It raises nothing: what cannot be asked is the cycle's to tell."""

    def __init__(self, home: Home, *, now: Callable[[], float] = time.monotonic) -> None:
        """`now` is the monotonic clock, in seconds."""
        self._now = now
        self._file = str(home.probe_file)
        self._clients: dict[tuple[str, str], Client] = {}
        self._places: tuple[Place, ...] = ()
        self._seconds = FIRST_SECONDS
        self._next = 0.0

    def begin(self) -> None:
        """Take over what the cycle that just ended has seen."""
        self._places = tuple(_places(self._file))
        self._seconds = FIRST_SECONDS
        self._next = self._now() + self._seconds

    def next_at(self) -> float | None:
        """Return when to ask again, on the monotonic clock; None when there is nothing to ask."""
        return self._next if self._places else None

    def news(self) -> str:
        """Return what changed, "" when nothing did or it is not time yet."""
        if not self._places or self._now() < self._next:
            return ""
        self._seconds = min(LONGEST_SECONDS, self._seconds * GROWTH)
        self._next = self._now() + self._seconds
        for place in self._places:
            try:
                if repository := self._changed(place):
                    return f"GitHub: {repository} has news"
            except (AgentloopError, OSError):
                self._next = self._now() + FAILED_SECONDS
        return ""

    def _changed(self, place: Place) -> str:
        key = (place.api, place.token_file)
        if key not in self._clients:
            self._clients[key] = _client(*key)
        client = self._clients[key]
        changed = (path for path, etag in place.seen.items() if client.differs(path, etag))
        return _repository(next(changed, ""))


def _repository(address: str) -> str:
    return "/".join(address.partition("/repos/")[2].split("/")[:2])


def _client(api: str, token_file: str) -> Client:
    # Loaded when there is a GitHub to ask: encryption alone is a few megabytes.
    from agentloop.edges.github.client import Client, Forgetful
    from agentloop.edges.github.token import token_in

    return Client(api, lambda: token_in(token_file), Forgetful(), seconds=5)


def _places(path: str) -> Iterator[Place]:
    found = runfolder.read_object(path) or {}
    for one in found.get("places", []):
        try:
            seen = {str(address): str(etag) for address, etag in one["seen"].items()}
            yield Place(api=str(one["api"]), token_file=str(one["token_file"]), seen=seen)
        except (TypeError, KeyError, AttributeError):
            continue
