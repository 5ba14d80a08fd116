"""One repository on one GitHub, with all that is needed to work with it; shared by its tracker and its forge."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from agentloop.domain.heard import Trust
from agentloop.domain.valueclass import dataclass
from agentloop.edges.github.client import Client
from agentloop.edges.github.shelf import Shelf
from agentloop.edges.github.writing import Writer
from agentloop.edges.recordfolder import Marks


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, kw_only=True)
class Site:
    """`target` is the name in the settings, `repository` the `owner/name` on GitHub."""

    target: str
    repository: str
    client: Client
    writer: Writer
    shelf: Shelf
    marks: Marks
    trust: Trust
    now: Callable[[], datetime] = _now

    def our_id(self) -> int:
        """Return the number of the account whose token this is; names can change hands, numbers cannot."""
        return int(self.client.one("/user")["id"])
