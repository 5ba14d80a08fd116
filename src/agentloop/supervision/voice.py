"""What the supervisor says: log lines, `run/status.json`, and the status line that systemd shows.

All of it is an extra: a full disk or a closed terminal costs words, never the loop.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from agentloop.edges import runtime
from agentloop.edges.lines import Level, clock

if TYPE_CHECKING:
    from agentloop.edges.lines import Field, Lines
    from agentloop.edges.processes import Identity
    from agentloop.edges.sdnotify import Notifier
    from agentloop.home import Home
    from agentloop.supervision.rest import Rest


BAD_SETTINGS = "the settings are bad: agentloop config check"
_ENDED_BY = {"paused": "end it with: agentloop resume", "backoff": "at once with: agentloop wake"}


class Voice:
    """Where the supervisor's state is told. `notice` is a standing complaint, told everywhere."""

    def __init__(self, home: Home, notifier: Notifier, lines: Lines) -> None:
        self._home = home
        self._notifier = notifier
        self._lines = lines
        self._status: runtime.StatusRecord | None = None
        self.notice = ""

    def ready(self) -> None:
        """Tell systemd that settings are in force and the work goes on."""
        self._notifier.ready()

    def reloading(self) -> None:
        """Tell systemd that settings are being read again."""
        self._notifier.reloading()

    def stopping(self) -> None:
        """Tell systemd that the work is over."""
        self._notifier.stopping("stopped")

    def draining(self, seconds: float, cycle: Identity | None) -> None:
        """Say that the cycle in hand may finish, and have systemd wait for as long as that may take."""
        self._notifier.needs(seconds)
        self.tell("draining", "the cycle in hand may finish", cycle=cycle)

    def say(
        self,
        event: str,
        text: str,
        *,
        level: Level = Level.INFO,
        to_person: str | None = None,
        **fields: Field,
    ) -> None:
        """Write one log line; `to_person` is what a terminal shows of it, "" = nothing."""
        self._lines.say(event, text, level=level, to_person=to_person, **fields)

    def tell(
        self,
        state: runtime.State,
        reason: str,
        *,
        until: datetime | None = None,
        cycle: Identity | None = None,
    ) -> None:
        """Say what we do from now on."""
        now = datetime.now(UTC)
        self._status = runtime.StatusRecord(
            state=state, since=now, until=until, reason=reason, notice=self.notice, cycle=cycle
        )
        self.repeat()
        shown = f"{state}: {reason}" if until is None else f"{state} until {clock(until)}: {reason}"
        self._notifier.status(f"{shown} [{self.notice}]" if self.notice else shown)

    def repeat(self) -> None:
        """Write the status file again: the run folder may have been deleted."""
        if self._status is None:
            return
        try:
            runtime.write_status(self._home.root, self._status)
        except OSError as error:
            self.say("status.unwritten", f"run/status.json cannot be written: {error}", level=Level.WARNING)

    def tell_rest(self, rest: Rest, *, again: bool = False) -> None:
        """Say that we rest, until when, why, and what ends it.

        A person is not told `again`, nor once more what was told a moment ago.
        """
        self.tell(rest.state, rest.reason, until=rest.until)
        until = "woken" if rest.until is None else clock(rest.until)
        word = {"sleeping": "asleep", "backoff": "waiting"}.get(rest.state, rest.state)
        level = Level.WARNING if rest.state == "backoff" else Level.INFO
        hint = f"; {_ENDED_BY[rest.state]}" if rest.state == "paused" or rest.wake == "new" else ""
        reason = rest.reason if rest.brief is None else rest.brief
        bad = f"; {BAD_SETTINGS}" if self.notice else ""
        new = "nothing new; " if rest.idle else ""
        self.say(
            f"supervisor.{rest.state}",
            f"{word} until {until} ({rest.reason})",
            level=level,
            to_person="" if again else f"{new}{word} until {until} ({reason}){hint}{bad}",
            until=_stamp(rest.until),
            reason=rest.reason,
            notice=self.notice or None,
        )


def _stamp(moment: datetime | None) -> str | None:
    return None if moment is None else f"{moment:%Y-%m-%dT%H:%M:%SZ}"
