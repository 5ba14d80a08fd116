"""One tracker and one forge out of several: each effect goes to the place that its ids name.

A place that cannot be read keeps nobody else from being read; what was wrong is told once all were looked at.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from agentloop.domain.effects import (
    AskReview,
    DeleteBranch,
    EditPull,
    MakeReady,
    OpenPull,
    Push,
    ReplyInThread,
    SayOnPull,
)
from agentloop.domain.issue import target_of
from agentloop.domain.valueclass import dataclass
from agentloop.errors import AgentloopError, LimitedError, TargetError
from agentloop.ports import Marked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from agentloop.domain.effects import ForgeEffect, TrackerEffect
    from agentloop.domain.issue import Issue, Pull
    from agentloop.ports import Forge, Tracker

_Place = TypeVar("_Place")
_Shown = TypeVar("_Shown")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Unread:
    """What a look could not read: at a limit, which passes by itself, and for what a person mends."""

    limited: tuple[str, ...] = ()
    broken: tuple[str, ...] = ()


class JoinedTracker:
    """The built-in tracker (under ""), and one for each target that has its issues elsewhere."""

    def __init__(self, trackers: Mapping[str, Tracker]) -> None:
        self._trackers = trackers
        self._unread = _Unread()

    def observe(self, known: frozenset[str]) -> tuple[Issue, ...]:
        """Return what all of them show."""
        looks = {name: tracker.observe for name, tracker in self._trackers.items()}
        found, self._unread = _looked("issues", looks, known)
        return found

    def left_out(self) -> tuple[str, ...]:
        """Return what the last `observe` could not read, or did not take for what it looked for, and why."""
        return (*self._unread.limited, *_left_out(self._trackers))

    def unread(self) -> tuple[str, ...]:
        """Return what the last `observe` could not read though it should, why, and what mends it."""
        return self._unread.broken

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
        self._unread = _Unread()

    def observe(self, known: frozenset[str]) -> tuple[Pull, ...]:
        """Return what all of them show."""
        looks = {name: forge.observe for name, forge in self._forges.items()}
        found, self._unread = _looked("pull requests", looks, known)
        return found

    def left_out(self) -> tuple[str, ...]:
        """Return what the last `observe` could not read, or did not take for what it looked for, and why."""
        return (*self._unread.limited, *_left_out(self._forges))

    def unread(self) -> tuple[str, ...]:
        """Return what the last `observe` could not read though it should, why, and what mends it."""
        return self._unread.broken

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
            case Push() | OpenPull() | DeleteBranch():
                # A target with its pull requests in this home has no forge of its own.
                return self._forges.get(effect.target) or self._forges[""]
            case EditPull() | SayOnPull() | ReplyInThread() | MakeReady() | AskReview():
                return _named(self._forges, target_of(effect.pull))


def _looked(
    what: str, looks: Mapping[str, Callable[[frozenset[str]], tuple[_Shown, ...]]], known: frozenset[str]
) -> tuple[tuple[_Shown, ...], _Unread]:
    """Return what all places show, each asked for those of `known` that are its own; and what went wrong."""
    found: list[_Shown] = []
    limited: list[str] = []
    broken: list[str] = []
    for name, look in looks.items():
        try:
            found += look(frozenset(one for one in known if target_of(one) == name))
        except (AgentloopError, OSError) as error:
            why = "; ".join(str(error).splitlines())
            told = f"the {what} of {name or 'this home'} could not be read: {why}"
            (limited if isinstance(error, LimitedError) else broken).append(told)
    return tuple(found), _Unread(limited=tuple(limited), broken=tuple(broken))


def _left_out(places: Mapping[str, object]) -> Iterator[str]:
    for place in places.values():
        yield from getattr(place, "left_out", tuple)()


def _named(places: Mapping[str, _Place], name: str) -> _Place:
    if name not in places:
        raise TargetError(
            f"there is no target {name} with a tracker of its own any more",
            fix="name it in agentloop.toml again, or close its issues",
        )
    return places[name]
