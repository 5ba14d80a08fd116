"""What the supervisor says: log lines, `run/status.json`, and the status line that systemd shows.

All of it is an extra: a full disk or a closed terminal costs words, never the loop.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from agentloop.edges import runtime
from agentloop.edges.lines import Level

if TYPE_CHECKING:
    from agentloop.edges.lines import Field, Lines
    from agentloop.edges.processes import Identity
    from agentloop.edges.sdnotify import Notifier
    from agentloop.home import Home
    from agentloop.supervision.rest import Rest


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

    def say(self, event: str, text: str, *, level: Level = Level.INFO, **fields: Field) -> None:
        """Write one log line."""
        self._lines.say(event, text, level=level, **fields)

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
        shown = f"{state}: {reason}" if until is None else f"{state} until {_clock(until)}: {reason}"
        self._notifier.status(f"{shown} [{self.notice}]" if self.notice else shown)

    def repeat(self) -> None:
        """Write the status file again: the run folder may have been deleted."""
        if self._status is None:
            return
        try:
            runtime.write_status(self._home.root, self._status)
        except OSError as error:
            self.say("status.unwritten", f"run/status.json cannot be written: {error}", level=Level.WARNING)

    def tell_rest(self, rest: Rest) -> None:
        """Say that we rest, until when, why, and what ends it."""
        self.tell(rest.state, rest.reason, until=rest.until)
        until = "woken" if rest.until is None else _clock(rest.until)
        end = {
            "sleeping": "wake me with: agentloop wake",
            "paused": "end it with: agentloop resume",
            "backoff": "try at once with: agentloop wake",
        }
        hint = f" — {end[rest.state]}" if rest.state == "paused" or rest.wake != "no" else ""
        word = {"sleeping": "asleep", "backoff": "waiting"}.get(rest.state, rest.state)
        notice = f" [{self.notice}]" if self.notice else ""
        level = Level.WARNING if rest.state == "backoff" else Level.INFO
        text = f"{word} until {until} ({rest.reason}){notice}{hint}"
        self.say(f"supervisor.{rest.state}", text, level=level, until=_stamp(rest.until), reason=rest.reason)


def _clock(moment: datetime) -> str:
    local = moment.astimezone()
    today = local.date() == datetime.now(UTC).astimezone().date()
    return f"{local:%H:%M:%S}" if today else f"{local:%Y-%m-%d %H:%M}"


def _stamp(moment: datetime | None) -> str | None:
    return None if moment is None else f"{moment:%Y-%m-%dT%H:%M:%SZ}"
