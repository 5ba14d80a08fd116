"""A cycle on ports in memory, run again from what crossed them: nothing else may decide what it does.

tape = MemoryTape()
ended = cycle.run(behind(parts, tape))
assert differences(parts, fold(entries_before), tape, ended) == ()
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, TypeVar

from agentloop.domain.codec import Plain, decode, encode
from agentloop.domain.proposal import Reply
from agentloop.domain.taping import Call, end_of, masked
from agentloop.domain.valueclass import dataclass, field, replace
from agentloop.edges.tape import Record, raised_by
from agentloop.errors import AgentloopError
from agentloop.replaying import Past, Player, run_again
from agentloop.taping import TapedJournal, read_spent, taped

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentloop.cycle import Ended, Parts, Spent
    from agentloop.domain.scene import Scene
    from agentloop.domain.signals import Matter
    from agentloop.domain.taping import Difference, Tape
    from agentloop.domain.world import World

T = TypeVar("T")


@dataclass
class MemoryTape:
    """Takes one cycle down, as JSON has it."""

    calls: list[Call] = field(default_factory=list)

    def call(self, port: str, gave: object, do: Callable[[], T], read: Callable[[Plain], Any]) -> T:
        """Return what `do` returns, and take it down; what it raises is taken down too."""
        del read
        given = _plain(gave)  # before it is done: what is given may be changed by it
        try:
            got = do()
        except (AgentloopError, OSError) as error:
            self.calls.append(Call(port=port, gave=given, raised=raised_by(error)))
            raise
        self.calls.append(Call(port=port, gave=given, got=_plain(got)))
        return got


def behind(parts: Parts, tape: Tape) -> Parts:
    """Return the parts with every port and the admin agent behind the tape."""

    def ask(
        scene: Scene, matters: tuple[Matter, ...], *, stall: str, relay: str, purse_micros: int
    ) -> tuple[Reply, Spent, tuple[str, ...]]:
        gave = {"matters": matters, "stall": stall, "relay": relay, "purse": purse_micros}
        return tape.call(
            "admin",
            gave,
            lambda: parts.ask_admin(scene, matters, stall=stall, relay=relay, purse_micros=purse_micros),
            lambda data: (decode(Reply, data[0]), read_spent(data[1]), tuple(data[2])),
        )

    return replace(taped(parts, tape), ask_admin=ask)


def differences(parts: Parts, before: World, tape: MemoryTape, ended: Ended | None) -> tuple[Difference, ...]:
    """Return where the cycle differs from its record when it runs again; `before` is the fold before it.

    `ended` None: it was killed; then it must be the same as far as the record goes.
    """
    end = None if ended is None else json.loads(json.dumps(masked(end_of(ended))))
    player = Player(Record(name="", header={}, calls=tuple(tape.calls), end=end))
    silent = replace(parts, tell=lambda _event, _fields: None)
    return run_again(replace(behind(silent, player), journal=TapedJournal(player, Past(before))), player)


def _plain(value: object) -> Plain:
    return json.loads(json.dumps(masked(encode(value))))
