"""As much of the anthropic SDK as `edges.anthropic` uses, over the same transport, under the same name."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import httpx2

if TYPE_CHECKING:
    from collections.abc import Iterator

VERSION = "2023-06-01"
DefaultHttpxClient = httpx2.Client
Timeout = httpx2.Timeout


class AnthropicError(Exception):
    """What every error here is."""


class APIConnectionError(AnthropicError):
    """No answer's headers came; the transport's error is its cause."""


class APIStatusError(AnthropicError):
    """An answer with a status of 400 or more."""

    def __init__(self, response: httpx2.Response) -> None:
        super().__init__(f"status {response.status_code}")
        self.response = response
        self.status_code = response.status_code
        self.message = str(self)
        try:
            said = response.json()["error"]
        except (ValueError, KeyError, TypeError):
            said = {}
        self.api_message: str = said.get("message", "")
        self.type: str | None = said.get("type")
        self.error_code: str | None = (said.get("details") or {}).get("error_code")


@dataclass(frozen=True, slots=True)
class Event:
    """One event of a stream; only its data is looked at."""

    data: str


@dataclass(frozen=True, slots=True)
class Stream:
    """An answer that is being read."""

    response: httpx2.Response

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.response.close()

    @staticmethod
    def raw_events(response: httpx2.Response) -> Iterator[Event]:
        """Yield the events as they come."""
        data: list[str] = []
        for line in response.iter_lines():
            if line.startswith("data:"):
                data.append(line.removeprefix("data:").removeprefix(" "))
            elif not line and data:
                yield Event("\n".join(data))
                data = []


@dataclass(frozen=True, slots=True)
class Messages:
    """`client.messages`."""

    http: httpx2.Client
    url: str
    key: str

    def create(self, *, stream: bool, timeout: httpx2.Timeout, **body: Any) -> Stream:  # noqa: ANN401 -- JSON
        """Return the answer, its headers read. Raises APIConnectionError, APIStatusError."""
        headers = {"x-api-key": self.key, "anthropic-version": VERSION}
        asked = self.http.build_request(
            "POST", self.url, json={**body, "stream": stream}, headers=headers, timeout=timeout
        )
        with _as_the_sdk_says():
            response = self.http.send(asked, stream=True)
        if response.is_error:
            response.read()
            raise APIStatusError(response)
        return Stream(response)


class Anthropic:
    """The client."""

    def __init__(self, *, api_key: str, base_url: str, http_client: httpx2.Client, **_: object) -> None:
        url = f"{base_url.rstrip('/')}/v1/messages"
        self.messages = Messages(http=http_client, url=url, key=api_key)


@contextmanager
def _as_the_sdk_says() -> Iterator[None]:
    try:
        yield
    except httpx2.HTTPError as error:
        raise APIConnectionError(str(error)) from error
