"""One tracker and one forge out of several: each effect goes to the place that its ids name.

A place that cannot be read keeps nobody else from being read; what was wrong is told once all were looked at.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from agentloop.domain.effects import EditPull, OpenPull, Push, SayOnPull
from agentloop.domain.issue import target_of
from agentloop.errors import AgentloopError, TargetError
from agentloop.ports import Marked

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agentloop.domain.effects import ForgeEffect, TrackerEffect
    from agentloop.domain.issue import Issue, Pull
    from agentloop.ports import Forge, Tracker

_Place = TypeVar("_Place")


class JoinedTracker:
    """The built-in tracker (under ""), and one for each target that has its issues elsewhere."""

    def __init__(self, trackers: Mapping[str, Tracker]) -> None:
        self._trackers = trackers
        self._trouble: tuple[str, ...] = ()

    def observe(self, known: frozenset[str]) -> tuple[Issue, ...]:
        """Return what all of them show."""
        found: list[Issue] = []
        trouble: list[str] = []
        for name, tracker in self._trackers.items():
            mine = frozenset(issue for issue in known if target_of(issue) == name)
            try:
                found += tracker.observe(mine)
            except (AgentloopError, OSError) as error:
                trouble.append(f"the issues of {name or 'this home'} could not be read: {error}")
        self._trouble = tuple(trouble)
        return tuple(found)

    def left_out(self) -> tuple[str, ...]:
        """Return what the last `observe` could not read, or did not take for what it looked for, and why."""
        told = (one for place in self._trackers.values() for one in getattr(place, "left_out", tuple)())
        return (*self._trouble, *told)

    def find(self, op: str, effect: TrackerEffect) -> str | None:
        """Return what the issue's own tracker finds."""
        return self._of(effect.issue).find(op, effect)

    def act(self, op: str, effect: TrackerEffect) -> str:
        """Do it at the issue's own tracker."""
        return self._of(effect.issue).act(op, effect)

    def _of(self, issue: str) -> Tracker:
        return _named(self._trackers, target_of(issue))


class JoinedForge:
    """The built-in forge (under ""), and one for each target that has its pull requests elsewhere."""

    def __init__(self, forges: Mapping[str, Forge]) -> None:
        self._forges = forges
        self._trouble: tuple[str, ...] = ()

    def observe(self, known: frozenset[str]) -> tuple[Pull, ...]:
        """Return what all of them show."""
        found: list[Pull] = []
        trouble: list[str] = []
        for name, forge in self._forges.items():
            mine = frozenset(pull for pull in known if target_of(pull) == name)
            try:
                found += forge.observe(mine)
            except (AgentloopError, OSError) as error:
                trouble.append(f"the pull requests of {name or 'this home'} could not be read: {error}")
        self._trouble = tuple(trouble)
        return tuple(found)

    def left_out(self) -> tuple[str, ...]:
        """Return what the last `observe` could not read, or did not take for what it looked for, and why."""
        told = (one for place in self._forges.values() for one in getattr(place, "left_out", tuple)())
        return (*self._trouble, *told)

    def find(self, op: str, effect: ForgeEffect) -> str | None:
        """Return what the target's own forge finds."""
        return self._of(effect).find(op, effect)

    def act(self, op: str, effect: ForgeEffect) -> str:
        """Do it at the target's own forge."""
        return self._of(effect).act(op, effect)

    def marked(self) -> tuple[Marked, ...]:
        """Return the places other than this home that keep marks of ours."""
        return tuple(one for name, one in self._forges.items() if name and isinstance(one, Marked))

    def _of(self, effect: ForgeEffect) -> Forge:
        match effect:
            case Push() | OpenPull():
                # A target with its pull requests in this home has no forge of its own.
                return self._forges.get(effect.target) or self._forges[""]
            case EditPull() | SayOnPull():
                return _named(self._forges, target_of(effect.pull))


def _named(places: Mapping[str, _Place], name: str) -> _Place:
    if name not in places:
        raise TargetError(
            f"there is no target {name} with a tracker of its own any more",
            fix="name it in agentloop.toml again, or close its issues",
        )
    return places[name]
