"""How long a limit of the service lasts, by the headers of its answer."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import format_datetime

import pytest

from agentloop.edges.anthropic import LONGEST_WAIT, wait_seconds

NOW = datetime(2026, 11, 20, 10, 0, 0, tzinfo=UTC)
WINDOW = "anthropic-ratelimit-tokens"


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, None),
        ({"retry-after": "12"}, 12.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after-ms": "1500", "retry-after": "9"}, 1.5),
        ({"retry-after": "Fri, 20 Nov 2026 10:01:00 GMT"}, 60.0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-5"}, 0.0),
        ({"retry-after": "1e12"}, LONGEST_WAIT.total_seconds()),
        ({f"{WINDOW}-remaining": "0", f"{WINDOW}-reset": "2026-11-20T10:00:30Z"}, 30.0),
        ({f"{WINDOW}-remaining": "7", f"{WINDOW}-reset": "2026-11-20T10:00:30Z"}, None),
        (
            {
                "retry-after": "5",
                "anthropic-ratelimit-unified-5h-status": "rejected",
                "anthropic-ratelimit-unified-5h-reset": "2026-11-20T11:00:00Z",
                "anthropic-ratelimit-unified-7d-status": "rejected",
                "anthropic-ratelimit-unified-7d-reset": "2026-11-22T10:00:00Z",
                "anthropic-ratelimit-requests-remaining": "40",
                "anthropic-ratelimit-requests-reset": "2026-11-25T10:00:00Z",
            },
            2 * 86_400.0,
        ),
        ({"retry-after": "5", f"{WINDOW}-remaining": "0", f"{WINDOW}-reset": "2026-11-20T10:00:30Z"}, 30.0),
        ({f"{WINDOW}-remaining": "0", f"{WINDOW}-reset": str(int(NOW.timestamp()) + 90)}, 90.0),
        ({f"{WINDOW}-remaining": "0", f"{WINDOW}-reset": "rubbish"}, None),
        ({f"{WINDOW}-remaining": "0", f"{WINDOW}-reset": "2026-11-20T09:00:00Z"}, 0.0),
    ],
)
def test_the_furthest_reset_counts(headers: dict[str, str], expected: float | None) -> None:
    """The longest of retry-after and the windows that are used up, bounded, and None when nothing is said."""
    assert wait_seconds(headers, NOW) == expected


def test_a_clock_that_is_wrong_does_not_matter() -> None:
    """Resets are the server's times: they are measured from its date, whatever ours says."""
    headers = {
        "date": format_datetime(NOW, usegmt=True),
        f"{WINDOW}-remaining": "0",
        f"{WINDOW}-reset": "2026-11-20T10:00:30Z",
    }
    assert wait_seconds(headers, NOW.replace(year=2031)) == 30.0
