"""Parts of GitHub's answers that several readers take apart alike."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from agentloop.domain.heard import Speaker


def speaker(shape: Any) -> Speaker:  # noqa: ANN401 - JSON
    """Return who wrote an issue, a comment or a review."""
    user = shape["user"] or {"id": 0, "login": "ghost"}  # of an account that is gone, GitHub tells nothing
    return Speaker(id=user["id"], login=user["login"], association=shape["author_association"])


def moment(word: str) -> datetime:
    """Return a time as GitHub writes it, aware: some answers have parts of seconds, and some an offset."""
    return datetime.fromisoformat(word).astimezone(UTC)
