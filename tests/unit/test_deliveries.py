"""What a webhook's delivery means, before any socket."""

from __future__ import annotations

import json
from urllib.parse import urlencode

from hypothesis import given
from hypothesis import strategies as st

from agentloop.domain.deliveries import (
    REMEMBERED,
    REMEMBERED_SECONDS,
    Remembered,
    is_signed,
    meaning,
    signature,
)

OURS = frozenset({"octocat/web"})
JSON = "application/json"


def body(repository: str = "octocat/web", action: str = "opened") -> bytes:
    """A delivery's body, as far as it is looked at."""
    return json.dumps({"action": action, "repository": {"full_name": repository}}).encode()


def test_a_signature_is_that_of_githubs_own_example() -> None:
    """docs.github.com, "Validating webhook deliveries": testing the webhook payload validation."""
    said = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    assert signature("It's a Secret to Everybody", b"Hello, World!") == said
    assert is_signed("It's a Secret to Everybody", b"Hello, World!", said)


@given(st.binary(max_size=200), st.text(max_size=80))
def test_nothing_else_is_taken_for_a_signature(data: bytes, said: str) -> None:
    """Whatever somebody writes there."""
    assert not is_signed("a secret of ours", data, said)


@given(st.sampled_from(["issues", "ping", "star", ""]), st.binary(max_size=300), st.text(max_size=40))
def test_a_signed_body_of_any_bytes_has_a_meaning(event: str, data: bytes, form: str) -> None:
    """Garbage is called so, and nothing raises."""
    assert meaning(event, data, form, OURS).kind in ("garbage", "nothing", "ping")


def test_what_wakes_the_loop() -> None:
    """An event that matters in a repository that is worked for, in JSON or a form, whatever its capitals."""
    form = urlencode({"payload": body("OctoCat/Web").decode()}).encode()
    told = [
        meaning("issues", body(), JSON, OURS),
        meaning("issues", form, "application/x-www-form-urlencoded", OURS),
        meaning("star", body(), JSON, OURS),
        meaning("issues", body("octocat/else"), JSON, OURS),
        meaning("ping", body(), JSON, OURS),
        meaning("issues", b'{"repository": 7}', JSON, OURS),
    ]
    assert [one.kind for one in told] == ["wake", "wake", "nothing", "nothing", "ping", "nothing"]
    assert told[0].says == "issues opened in octocat/web"


def test_what_is_remembered_is_bounded_in_number_and_time() -> None:
    """The oldest go first; after four days GitHub cannot send it again, and it may go too."""
    seen = Remembered()
    for at in range(REMEMBERED + 1):
        seen.add(f"body {at}", float(at))
    assert len(list(seen.all())) == REMEMBERED
    assert [seen.knows(f"body {at}", 10_001.0) for at in (0, 1)] == [False, True]
    assert not seen.knows("body 1", 1.0 + REMEMBERED_SECONDS)
