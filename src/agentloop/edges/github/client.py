"""Reads from GitHub's REST API: conditional, so that what did not change costs nothing of the hourly limit.

Nothing here waits or tries again: a limit is an error that says until when, and the next cycle comes by
itself. Sources: docs.github.com, "Best practices for using the REST API" and "Rate limits for the REST API".
"""

from __future__ import annotations

import http.client
import json
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Protocol, TypeAlias
from urllib.parse import urlencode, urlsplit

from agentloop.domain.valueclass import dataclass
from agentloop.errors import DeletedError, ForbiddenError, LimitedError, NotFoundError, TargetError

Json: TypeAlias = Any

SECONDS: Final = 20
"""How long one answer may take."""
MOST_BYTES: Final = 30_000_000
A_PAGE: Final = 100
VERSION: Final = "2022-11-28"
SECONDARY_WAIT: Final = timedelta(minutes=1)
"""What to wait after a secondary limit that names no time: "Rate limits", "at least one minute"."""
_AN_ISSUE: Final = re.compile(r"/issues/\d+$")
_NEXT: Final = re.compile(r'<([^>]+)>;\s*rel="next"')
_OK, _UNCHANGED, _MOVED = 200, 304, frozenset({301, 302, 307, 308})
_UNAUTHORIZED, _FORBIDDEN, _MISSING, _GONE, _TOO_MANY = 401, 403, 404, 410, 429


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """An answer that was read before: its ETag, its text and where its next page is."""

    etag: str
    body: str
    following: str = ""


class Memory(Protocol):
    """Where answers are kept between looks; losing it costs only requests."""

    def kept(self, address: str) -> Kept | None:
        """Return the answer that was kept for it."""

    def keep(self, address: str, answer: Kept) -> None:
        """Keep an answer."""

    def drop(self, address: str) -> None:
        """Forget an answer."""

    def limited(self, what: str) -> datetime | None:
        """Return until when `what` ("reads", "writes") may not be asked for, as far as was heard."""

    def limit(self, what: str, until: datetime) -> None:
        """Keep it: the next process is not to ask either."""


class Forgetful:
    """A memory that keeps nothing, for who asks only whether something changed."""

    def kept(self, address: str) -> Kept | None:
        """Return None."""
        del address
        return None

    def keep(self, address: str, answer: Kept) -> None:
        """Keep nothing."""

    def drop(self, address: str) -> None:
        """Have nothing to forget."""

    def limited(self, what: str) -> datetime | None:
        """Return None."""
        del what
        return None

    def limit(self, what: str, until: datetime) -> None:
        """Keep nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    status: int
    headers: Mapping[str, str]
    body: str


class Client:
    """Reads with one token, over one connection that is kept open.

    `base_url` is the API's: https://api.github.com, or that of a GitHub Enterprise.
    """

    def __init__(
        self,
        base_url: str,
        token: Callable[[], str],
        memory: Memory,
        *,
        reserve: int = 0,
        seconds: float = SECONDS,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """`reserve` requests of the hour are left for others with the token; an answer takes `seconds`."""
        parts = urlsplit(base_url)
        self._secure = parts.scheme == "https"
        self._host = parts.netloc
        self._root = parts.path.rstrip("/")
        self._token = token
        self._memory = memory
        self._reserve = reserve
        self._seconds = seconds
        self._now = now
        self._connection: http.client.HTTPConnection | None = None
        self._limited_until: datetime | None = None
        self.asked = 0
        """How many requests went out."""

    def one(self, path: str, **query: str | int) -> Json:
        """Return one thing. Raises NotFoundError, LimitedError, TargetError."""
        return self._read(self._address(path, query))[0]

    def differs(self, address: str, etag: str) -> bool:
        """Return whether the answer at `address` (path and query) is another than the one with that ETag."""
        return self._ask(address, etag).status != _UNCHANGED

    def seen(self, path: str, **query: str | int) -> tuple[str, str]:
        """Return the address of what `one` would read, and the ETag of what it last read there."""
        address = self._address(path, query)
        kept = self._memory.kept(address)
        return address, kept.etag if kept else ""

    def recall(self, path: str) -> Json | None:
        """Return the first page of a list as it was last read, without asking; None when it was not."""
        kept = self._memory.kept(self._address(path, {"per_page": A_PAGE}))
        return json.loads(kept.body) if kept else None

    def each(
        self, path: str, query: Mapping[str, str] | None = None, *, key: str = "", most: int = 10_000
    ) -> Iterator[Json]:
        """Yield what a list holds, page after page; `key` names the list where the answer is an object."""
        address = self._address(path, {"per_page": A_PAGE, **(query or {})})
        yielded = 0
        while address and yielded < most:
            body, address = self._read(address)
            for one in body[key] if key else body:
                yield one
                yielded += 1

    def forget(self, path: str, query: Mapping[str, str]) -> None:
        """Let go of the pages that `each` kept of a list, which will not be asked for in this way again."""
        address = self._address(path, {"per_page": A_PAGE, **query})
        while address and (kept := self._memory.kept(address)):
            self._memory.drop(address)
            address = kept.following

    def text_elsewhere(self, path: str, *, keep: int) -> str:
        """Return the last `keep` bytes of a text that GitHub keeps on another host (a job's log).

        Raises as `one`, and TargetError when that host does not give it. It costs a request each time.
        """
        from agentloop.edges.github.elsewhere import end_of_text

        answer = self._sent(self._address(path, {}), "")
        if answer.status not in _MOVED:
            raise self._refusal(path, answer)
        where = answer.headers.get("location", "")
        return end_of_text(where, keep=keep, secure=self._secure, seconds=self._seconds)

    def ask(self, document: str, variables: Mapping[str, Json]) -> Json:
        """Return what a GraphQL query selects; things that are gone are None in it.

        Raises LimitedError, TargetError. It is a read: nothing here sends a mutation.
        """
        # At github.com /graphql, on an Enterprise /api/graphql, beside /api/v3.
        address = f"{self._root.removesuffix('/v3')}/graphql"
        data = json.dumps({"query": document, "variables": dict(variables)}).encode()
        answer = self._ask(address, "", data)
        try:
            told = json.loads(answer.body)
        except ValueError as error:
            raise TargetError(
                "GitHub's GraphQL answer makes no sense", fix="the next cycle asks again"
            ) from error
        if not isinstance(told.get("data"), dict):
            said = "; ".join(str(one.get("message", "")) for one in told.get("errors") or ())
            gone = [one.get("type") == "NOT_FOUND" for one in told.get("errors") or ()]
            if gone and all(gone):
                return {"node": None}
            raise TargetError(
                f"GitHub's GraphQL refuses a question: {' '.join(said.split())[:200] or 'without a word'}",
                fix="give the token the permissions that docs/github.md lists; the next cycle asks again",
            )
        return told["data"]

    def close(self) -> None:
        """Let the connection go."""
        if self._connection:
            self._connection.close()
            self._connection = None

    def _address(self, path: str, query: Mapping[str, str | int]) -> str:
        words = urlencode(sorted(query.items()))
        return f"{self._root}{path}{'?' if words else ''}{words}"

    def _read(self, address: str) -> tuple[Json, str]:
        """Return an answer's body, and where its next page is."""
        kept = self._memory.kept(address)
        answer = self._ask(address, kept.etag if kept else "")
        if answer.status == _UNCHANGED and kept:
            return json.loads(kept.body), kept.following
        try:
            body = json.loads(answer.body)
        except ValueError as error:
            raise TargetError(
                f"GitHub's answer to {address} makes no sense", fix="the next cycle asks again"
            ) from error
        found = _NEXT.search(answer.headers.get("link", ""))
        following = self._within(found[1]) if found else ""
        if etag := answer.headers.get("etag"):
            self._memory.keep(address, Kept(etag=etag, body=answer.body, following=following))
        return body, following

    def _within(self, address: str) -> str:
        parts = urlsplit(address)
        if parts.netloc != self._host:
            raise TargetError(f"GitHub at {self._host} sends us on to {parts.netloc}: not followed")
        return f"{parts.path}?{parts.query}"

    def _ask(self, address: str, etag: str, data: bytes | None = None) -> _Answer:
        answer = self._sent(address, etag, data)
        if answer.status in (_OK, _UNCHANGED):
            return answer
        raise self._refusal(address, answer)

    def _sent(self, address: str, etag: str, data: bytes | None = None) -> _Answer:
        until = self._limited_until or self._memory.limited("reads")
        if until and self._now() < until:
            raise _limited(until)
        self.asked += 1
        headers = {
            "Accept": "application/vnd.github+json",
            "Authorization": f"Bearer {self._token()}",
            "User-Agent": "agentloop",
            "X-GitHub-Api-Version": VERSION,
            **({"If-None-Match": etag} if etag else {}),
        }
        answer = self._through(address, headers, data)
        self._mind_limits(answer)
        return answer

    def _through(self, address: str, headers: Mapping[str, str], data: bytes | None) -> _Answer:
        # A connection that was kept may have been closed meanwhile: a read is asked again once, on a new one.
        for again in (False, True):
            fresh = self._connection is None
            connection = self._connection or self._connect()
            self._connection = connection
            try:
                connection.request("POST" if data else "GET", address, data, dict(headers))
                got = connection.getresponse()
                body = got.read(MOST_BYTES + 1)
                if len(body) > MOST_BYTES:
                    raise TargetError(f"GitHub's answer to {address} is beyond {MOST_BYTES:,} bytes")
                told = {name.lower(): value for name, value in got.getheaders()}
                return _Answer(status=got.status, headers=told, body=body.decode("utf-8", "replace"))
            except (http.client.HTTPException, OSError) as error:
                self.close()
                if again or fresh:
                    raise TargetError(
                        f"GitHub at {self._host} cannot be reached: {str(error) or type(error).__name__}",
                        fix="look at the network; the next cycle asks again",
                    ) from error
        raise AssertionError("unreachable")

    def _connect(self) -> http.client.HTTPConnection:
        kind = http.client.HTTPSConnection if self._secure else http.client.HTTPConnection
        return kind(self._host, timeout=self._seconds)

    def _mind_limits(self, answer: _Answer) -> None:
        until = wait_until(
            answer.status, answer.headers, self._now(), body=answer.body, reserve=self._reserve
        )
        self._limited_until = until
        if until:
            self._memory.limit("reads", until)
        if until and answer.status not in (_OK, _UNCHANGED):
            raise _limited(until)

    def _refusal(self, address: str, answer: _Answer) -> NotFoundError | TargetError:
        path = address.partition("?")[0].removeprefix(self._root)
        moved_to = _without(answer.headers.get("location", ""), self._token())
        return refusal(path, answer.status, _message(answer.body, self._token()), moved_to)


def wait_until(
    status: int, headers: Mapping[str, str], now: datetime, *, body: str = "", reserve: int = 0
) -> datetime | None:
    """Return until when nothing more may be asked, None when it may.

    `retry-after` goes first; then the reset, when nothing (or only the `reserve`) is left of the hour; a
    secondary limit without either takes a minute.
    """
    refused = status in (_FORBIDDEN, _TOO_MANY)
    if refused and (after := headers.get("retry-after", "")).isdecimal():
        return now + timedelta(seconds=int(after))
    left, reset = headers.get("x-ratelimit-remaining", ""), headers.get("x-ratelimit-reset", "")
    if left.isdecimal() and reset.isdecimal() and int(left) <= (0 if refused else reserve):
        at = datetime.fromtimestamp(int(reset), UTC)
        return at + timedelta(seconds=1) if refused or reserve else None
    if refused and "rate limit" in body.lower():
        return now + SECONDARY_WAIT
    return None


def refusal(path: str, status: int, message: str, moved_to: str = "") -> NotFoundError | TargetError:
    """Return what a refused request means to a person, with what mends it."""
    if status == _UNAUTHORIZED:
        return TargetError(
            f"GitHub refuses the token ({message})",
            fix="it has expired or was revoked: make a new one and put it where github.token_file says",
        )
    if status == _GONE or (status in _MOVED and _AN_ISSUE.search(path)):
        return DeletedError(
            f"{path} is on GitHub no longer ({message})",
            fix="nothing: it was deleted or went elsewhere, so it counts as closed",
        )
    if status == _MISSING:
        return NotFoundError(
            f"GitHub knows no {path}, or the token may not see it ({message})",
            fix="look whether it was deleted or renamed, and whether the token covers the repository",
        )
    if status in _MOVED:
        return TargetError(
            f"GitHub says that {path} has moved{f' to {moved_to}' if moved_to else ''}",
            fix="give the repository's new address as `repository` of the target in agentloop.toml",
        )
    if status == _FORBIDDEN:
        return ForbiddenError(
            f"GitHub does not allow the token {path} ({message})",
            fix="give it the permissions that docs/github.md lists, or unarchive the repository",
        )
    return TargetError(f"GitHub answers {status} to {path} ({message})", fix="the next cycle asks again")


def _limited(until: datetime) -> LimitedError:
    return LimitedError(
        f"GitHub's limit is reached until {until:%H:%M:%S} UTC", until=until, fix="nothing: the loop waits"
    )


def _message(body: str, token: str) -> str:
    try:
        said = json.loads(body).get("message", "")
    except (ValueError, AttributeError):
        said = ""
    return " ".join(_without(str(said), token).split())[:200] or "without a word"


def _without(said: str, token: str) -> str:
    """Return it without the token: a proxy that is in the way may say what it was sent."""
    from agentloop.domain.secrets import redact  # a look that goes well has no use for it

    return redact(said, (token,)) if said else ""
