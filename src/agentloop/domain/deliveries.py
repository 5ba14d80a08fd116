"""What a webhook's delivery means: whether it is GitHub's, and new, and whether to look.

Sources: docs.github.com, "Validating webhook deliveries" (the signature), "Best practices for using webhooks"
(each delivery once; one sent again keeps its id), "Webhook events and payloads" (25 MB at most).
"""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import TYPE_CHECKING, Any, Final, Literal
from urllib.parse import parse_qs

from agentloop.domain.valueclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MOST_BYTES: Final = 25_000_000
"""GitHub delivers nothing larger."""
SECRET_CHARACTERS: Final = 16
"""A shorter secret could be guessed from one delivery that was overheard."""
REMEMBERED: Final = 10_000
REMEMBERED_SECONDS: Final = 4 * 86_400
"""GitHub sends again what is at most three days old."""
WAKING: Final = frozenset(
    {
        *("issues", "issue_comment", "pull_request", "pull_request_review", "pull_request_review_comment"),
        *("pull_request_review_thread", "check_run", "check_suite", "status", "push"),
    }
)
"""The events behind which the loop may find something to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Meaning:
    """What a signed delivery asks for, with words for the log.

    "wake": look now; "ping": GitHub tries the hook; "nothing": an event, or a repository, of no concern;
    "garbage": no delivery of GitHub's, though it is signed.
    """

    kind: Literal["wake", "ping", "nothing", "garbage"]
    says: str


def signature(secret: str, body: bytes) -> str:
    """Return what `X-Hub-Signature-256` says of a body: HMAC-SHA256 over its bytes, in hexadecimal."""
    return f"sha256={hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()}"


def is_signed(secret: str, body: bytes, said: str) -> bool:
    """Return whether `said` is the body's signature; how long that takes tells nothing of either."""
    return hmac.compare_digest(signature(secret, body).encode(), said.encode("utf-8", "replace"))


def meaning(event: str, body: bytes, form: str, repositories: frozenset[str]) -> Meaning:
    """Return what a signed delivery means to a loop that works for `repositories`.

    They are `owner/name` in small letters. `form` is its content type: GitHub sends JSON, or JSON in a form's
    field `payload`.
    """
    told = _payload(body, form)
    if told is None:
        return Meaning(kind="garbage", says="it is signed, but no JSON object of GitHub's")
    repository = _name(told)
    about = f"{event} {_word(told.get('action'))}".strip() + (f" in {repository}" if repository else "")
    if event == "ping":
        return Meaning(kind="ping", says=f"GitHub tries the hook{f' of {repository}' if repository else ''}")
    if event not in WAKING:
        return Meaning(kind="nothing", says=f"{about}: no such event is listened to")
    if repository.lower() not in repositories:
        return Meaning(kind="nothing", says=f"{about}: no target of this home")
    return Meaning(kind="wake", says=about)


def _payload(body: bytes, form: str) -> dict[str, Any] | None:
    try:
        text = body.decode()
        if form.partition(";")[0].strip().lower() == "application/x-www-form-urlencoded":
            text = parse_qs(text, max_num_fields=5).get("payload", [""])[0]
        told = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return told if isinstance(told, dict) else None


def _name(told: dict[str, Any]) -> str:
    repository = told.get("repository")
    return _word(repository.get("full_name")) if isinstance(repository, dict) else ""


def _word(value: object) -> str:
    return " ".join(value.split())[:140] if isinstance(value, str) else ""


class Remembered:
    """The signed bodies that were acted on: the same one again is a replay, whatever its headers say.

    The body is what the signature covers; the delivery's id stands in a header that anybody can change. Kept
    are the newest 10,000, for four days.
    """

    def __init__(self, known: Iterable[tuple[float, str]] = ()) -> None:
        """`known` are (seconds since the epoch, name) of those from before, oldest first."""
        self._at = {name: at for at, name in known}

    def knows(self, name: str, now: float) -> bool:
        """Return whether a body of that name was acted on before."""
        return now - self._at.get(name, -REMEMBERED_SECONDS) < REMEMBERED_SECONDS

    def add(self, name: str, now: float) -> None:
        """Remember a body, and forget what is too old or too much."""
        self._at.pop(name, None)
        self._at[name] = now
        while len(self._at) > REMEMBERED or now - next(iter(self._at.values())) >= REMEMBERED_SECONDS:
            del self._at[next(iter(self._at))]

    def all(self) -> Iterator[tuple[float, str]]:
        """Yield (seconds since the epoch, name) of all that is remembered, oldest first."""
        yield from ((at, name) for name, at in self._at.items())


def name_of(body: bytes) -> str:
    """Return the name that a body is remembered by."""
    return hashlib.sha256(body).hexdigest()
