"""The labels that show on a thread where its issue stands: one at a time, and how each looks."""

from __future__ import annotations

from typing import Final

from agentloop.domain.valueclass import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """How a label looks where a repository does not have it yet: six hex digits, and a description."""

    colour: str
    description: str


QUEUED: Final = "agentloop: queued"
WORKING: Final = "agentloop: working"
WAITING: Final = "agentloop: waiting for you"
IN_REVIEW: Final = "agentloop: in review"
DONE: Final = "agentloop: done"

LOOKS: Final = {
    QUEUED: Look(colour="c5def5", description="Seen; the work has not begun"),
    WORKING: Look(colour="1d76db", description="Being worked on"),
    WAITING: Look(colour="d93f0b", description="Cannot go on without a person"),
    IN_REVIEW: Look(colour="fbca04", description="A pull request waits for a review"),
    DONE: Look(colour="0e8a16", description="Everything planned for it is merged"),
}
STATES: Final = frozenset(LOOKS)
"""The labels that are the loop's own: no person's label is ever touched."""
