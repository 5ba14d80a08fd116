"""What a cycle asked of the outside and what it got, as values: enough to run it again. Pure.

A record is what crossed the ports, in order: `Call`s. Secrets are masked, character by character, so that
whatever is cut to a length is cut at the same place when it is made again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from agentloop.domain.codec import Plain, encode, moment
from agentloop.domain.valueclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentloop.domain.sleeping import Nap

FORMAT = 1
SHORTEST_SECRET = 17
"""Characters; nothing shorter is looked at: the shortest shape of a key is longer."""

CARRIES = "carries"
"""The field of effects and their marks that holds facts, packed."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call of a port: what it was given, and what came back or was raised (class, what, fix, read)."""

    port: str
    gave: Plain = None
    got: Plain = None
    raised: tuple[str, ...] = ()


class Tape(Protocol):
    """What stands between a cycle and its ports: it takes down what crosses, or plays it back."""

    def call(self, port: str, gave: object, do: Callable[[], T], read: Callable[[Plain], Any]) -> T:
        """Return what `do` returns; played back, what it returned then, made from its plain form by `read`.

        `gave` is what the port is given; played back it is held against what it was given then.
        """


class Unrecorded:
    """Takes nothing down."""

    def call(self, port: str, gave: object, do: Callable[[], T], read: Callable[[Plain], Any]) -> T:
        """Return what `do` returns."""
        del self, port, gave, read
        return do()


UNRECORDED = Unrecorded()


def masked(value: Any, known: tuple[str, ...] = ()) -> Any:  # noqa: ANN401 - of the same shape
    """Return a plain value with every secret in its texts masked, of the same length; `known` ones too."""
    if isinstance(value, str):
        return _masked(value, known)
    if isinstance(value, list):
        return [masked(item, known) for item in value]
    if isinstance(value, dict):
        return {
            masked(name, known): masked(_opened(item) if name == CARRIES else item, known)
            for name, item in value.items()
        }
    return value


def _opened(packed: Plain) -> Plain:
    """Return what a mark carries as it reads: packed, a secret in it would not be seen."""
    from agentloop.domain.marks import unpack

    if not isinstance(packed, str) or not packed:
        return packed
    found = unpack(packed)
    return "(cannot be read)" if found is None else encode(found)


def _masked(text: str, known: tuple[str, ...]) -> str:
    for secret in known:
        text = text.replace(secret, "*" * len(secret))
    if len(text) < SHORTEST_SECRET or _is_moment(text):
        return text
    from agentloop.domain.secrets import mask  # its patterns take longer to compile than an idle cycle has

    return mask(text)


def _is_moment(text: str) -> bool:
    try:
        return bool(moment(text))
    except ValueError:
        return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Where a cycle that was run again differs from its record, at the `number`-th call (from 1).

    `what` names it; `recorded` and `now` are JSON, or "" where there is nothing to set against the other.
    """

    number: int
    what: str
    recorded: str = ""
    now: str = ""


OUTPUTS: dict[str, str] = {
    "journal.append": "what it wrote into the journal",
    "tell.refused": "what was refused",
    "briefing": "the briefing",
    "prompt": "the prompt",
    "model": "what the model was asked",
    "tracker.act": "an effect in the tracker",
    "forge.act": "an effect in the forge",
    "executor.act": "an effect of the executor",
    "baton.hand_on": "the relay",
}
"""Ports whose calls are what a cycle decides and does; of the others only the order counts."""


def words_of(call: Call | str) -> str:
    """Return what a call is, in words."""
    port = call if isinstance(call, str) else call.port
    return OUTPUTS.get(port, f"a call of {port}")


class HasEnded(Protocol):
    """How a cycle ended."""

    @property
    def cycle(self) -> int:
        """Its number."""

    @property
    def outcome(self) -> str:
        """acted, quiet, failed, limited or idle."""

    @property
    def fingerprint(self) -> str:
        """The name of what it saw."""

    @property
    def nap(self) -> Nap:
        """The sleep that follows."""

    @property
    def failed(self) -> str:
        """Why it counts as failed, or ""."""

    @property
    def problems(self) -> tuple[str, ...]:
        """What went wrong."""


def end_of(ended: HasEnded) -> Plain:
    """Return what is kept of how a cycle ended: outcome, fingerprint, sleep and problems."""
    return {
        "cycle": ended.cycle,
        "outcome": ended.outcome,
        "fingerprint": ended.fingerprint,
        "nap": encode(ended.nap),
        "failed": ended.failed,
        "problems": list(ended.problems),
    }
