"""What a person has paused, and until when. Pure.

Paused means: no attempt is started, the admin agent is not asked about it, and nothing new is published. What
runs goes on to its end, gates included; and what people do (merge, close, push, comment) is taken in as ever.
A pause has a reason, an author and an end: a forgotten one must not keep the loop off for ever.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from datetime import datetime

    from agentloop.domain.world import Hold, World

PAUSE_DAYS: Final = 7
"""How long a pause lasts that names no end."""
PAUSE_DAYS_MOST: Final = 30
"""No pause lasts longer."""
EVERYTHING: Final = ""


def hold_on(world: World, now: datetime, about: str) -> tuple[str, Hold] | None:
    """Return what pauses an issue or task now, None when nothing does.

    It is the pause that ends last, of it, its issue or everything, with the id of what was paused.
    """
    names = (EVERYTHING, about, about.rpartition(".")[0] or about)
    found = [(name, world.holds[name]) for name in names if name in world.holds]
    lasting = [one for one in found if now < one[1].until]
    return max(lasting, key=lambda one: one[1].until, default=None)


def hold_words(world: World, now: datetime, about: str) -> str:
    """Return why and until when `about` is paused, and how that ends; "" when it is not."""
    found = hold_on(world, now, about)
    if found is None:
        return ""
    name, hold = found
    what = "everything is paused" if name == EVERYTHING else "it is paused"
    why = f": {hold.reason}" if hold.reason else ""
    by = f" by {hold.by}" if hold.by else ""
    end = "untick it on the dashboard" if name == EVERYTHING else "`/agentloop resume` ends it"
    return f"{what}{by} until {hold.until:%Y-%m-%d %H:%M} UTC{why} ({end})"


def next_end(world: World, now: datetime) -> datetime | None:
    """Return when the next pause ends, None when nothing is paused."""
    return min((one.until for one in world.holds.values() if one.until > now), default=None)
