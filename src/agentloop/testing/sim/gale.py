"""Faults between any two calls of a port: killed, out of reach, the answer lost, the list behind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from agentloop.errors import JournalError, NotFoundError, TargetError
from agentloop.testing.memory_parts import KilledError

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentloop.testing.sim.house import Times
    from agentloop.testing.sim.weather import Kind, Weather

WRITES: Final = frozenset({"act", "prepare", "take", "keep", "hand_on", "append"})
LAGS: Final[dict[tuple[str, str], Kind]] = {
    ("tracker", "observe"): "lag",
    ("forge", "observe"): "lag",
    ("tracker", "find"): "late look",
    ("forge", "find"): "late look",
    ("repositories", "head"): "late look",
}
"""What may show an older state, and the fault by which it does."""


class Gale:
    """The weather at the ports. `moment` is called where a person may do something just now.

    `passed` counts calls, `killed_at` names the point of the last kill.
    """

    def __init__(self, weather: Weather, times: Times, moment: Callable[[], None]) -> None:
        self._weather = weather
        self._times = times
        self._moment = moment
        self._frozen: dict[tuple[str, Kind], tuple[float, Any]] = {}
        self.passed = 0
        self.killed_at = ""

    def around(self, name: str, inner: object) -> Any:  # noqa: ANN401 - whatever port `inner` is
        """Return the port behind the weather."""
        return Windy(name, inner, self)

    def through(self, port: tuple[str, object, str], call: Callable[..., Any], words: Any, named: Any) -> Any:  # noqa: ANN401 - any call
        """Let one call pass, or not. Raises KilledError, OSError, TargetError, JournalError."""
        name, inner, verb = port
        self.passed += 1
        weather = self._weather
        if weather.strikes("bad moment"):
            self._moment()
        crash = weather.strikes("crash") and weather.stream("crash").pick(("before", "after"))
        if crash == "before":
            self._kill(f"before {name}.{verb}")
        if weather.strikes("outage"):
            raise _unreachable(name)
        lag = LAGS.get((name, verb))
        result = self._behind((name, lag), inner, verb, words) if lag else call(*words, **named)
        if crash == "after":
            self._kill(f"after {name}.{verb}")
        if verb in WRITES and weather.strikes("lost answer"):
            self.killed_at = f"after {name}.{verb}"
            raise _lost(name)
        return result

    def _kill(self, point: str) -> None:
        self.killed_at = point
        raise KilledError(point)

    def _behind(self, key: tuple[str, Kind], inner: Any, verb: str, words: Any) -> Any:  # noqa: ANN401 - a port that lags
        lag = key[1]
        if self._weather.strikes(lag):
            span = self._weather.stream(lag).between(30, 1800)
            self._frozen[key] = self._times.mono + span, inner.frozen()
        until, frozen = self._frozen.get(key, (0.0, None))
        if frozen is None or lag not in self._weather.kinds or self._times.mono >= until:
            self._frozen.pop(key, None)
            return getattr(inner, verb)(*words)
        try:
            return getattr(frozen, verb)(*words)
        except NotFoundError:
            return None  # it does not show yet what the effect is on


class Windy:
    """A port whose every call passes the gale."""

    def __init__(self, name: str, inner: object, gale: Gale) -> None:
        self._port = name, inner
        self._gale = gale

    def __getattr__(self, verb: str) -> Any:  # noqa: ANN401 - whatever the port has
        name, inner = self._port
        found = getattr(inner, verb)
        if not callable(found):
            return found
        gale = self._gale

        def call(*words: Any, **named: Any) -> Any:  # noqa: ANN401 - as above
            return gale.through((name, inner, verb), found, words, named)

        self.__dict__[verb] = call
        return call


def _unreachable(name: str) -> Exception:
    return _error(name, "cannot be reached")


def _lost(name: str) -> Exception:
    return _error(name, "did not answer: the connection was reset")


def _error(name: str, says: str) -> Exception:
    match name:
        case "journal":
            return JournalError(f"the journal {says}")
        case "repositories":
            return TargetError(f"the repository {says}")
        case _:
            return OSError(f"the {name} {says}")
