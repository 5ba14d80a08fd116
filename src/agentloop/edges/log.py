"""What a cycle tells its operator: one line an event, through structlog.

On a terminal a short sentence; under systemd logfmt behind the journal's priority; elsewhere logfmt with its
time: the same three forms as the supervisor's lines (`edges/lines.py`, standard library only). structlog is
loaded with the first event, so that an idle cycle, which has one line to say, says it without.
"""

from __future__ import annotations

import os
from datetime import datetime
from typing import TYPE_CHECKING, Any

from agentloop.edges import lines

if TYPE_CHECKING:
    from collections.abc import MutableMapping

STDERR = 2
QUIET = "cycle.idle"
"""The one event that is told without structlog."""
_PRIORITIES = {"problem": lines.Level.WARNING, "refused": lines.Level.NOTICE}


class Log:
    """Tells events on standard error."""

    def __init__(self) -> None:
        self._form = lines.form_for(STDERR, os.environ)
        self._plain = lines.Lines(STDERR, self._form)
        self._logger: Any = None

    def tell(self, event: str, fields: dict[str, Any]) -> None:
        """Tell one event with its fields; those that are None are left out.

        Never raises for a lost reader.
        """
        told = {key: _plain(value) for key, value in fields.items() if value is not None}
        if event == QUIET:
            self._plain.say(event, sentence(event, told), level=lines.Level.INFO, **_fields(told))
            return
        if self._logger is None:
            self._logger = self._structured()
        self._logger.info(event, **told)

    def _structured(self) -> Any:  # noqa: ANN401 - structlog's loggers are lazy proxies without a type
        import structlog

        def write(_logger: object, _name: str, said: MutableMapping[str, Any]) -> str:
            event = str(said.pop("event"))
            level = _PRIORITIES.get(event, lines.Level.INFO)
            self._plain.say(event, sentence(event, said), level=level, **_fields(said))
            raise structlog.DropEvent

        return structlog.wrap_logger(
            structlog.ReturnLogger(),
            processors=[structlog.contextvars.merge_contextvars, structlog.processors.format_exc_info, write],
        )


def sentence(event: str, fields: MutableMapping[str, Any]) -> str:
    """Return an event as a person reads it."""
    about = next((fields[key] for key in ("task", "attempt", "pull", "issue") if key in fields), "")
    why = f": {fields['why']}" if fields.get("why") else ""
    match event:
        case "decided":
            return f"{fields.get('by')}: {fields.get('decision')} {about}".rstrip() + why
        case "refused":
            return f"refused: {fields.get('decision')} by {fields.get('by')}{why}"
        case "fact":
            outcome = f" ({fields['outcome']})" if "outcome" in fields else ""
            return f"{fields.get('fact')} {about}".rstrip() + outcome
        case "admin.answered":
            return f"the admin decided, with {fields.get('models')} in {fields.get('turns')} turns"
        case "cycle.ended":
            return f"cycle {fields.get('cycle')} {fields.get('outcome')}; next {_rest(fields)}"
        case "cycle.idle":
            return f"nothing new ({fields.get('fingerprint')}); next {_rest(fields)}"
        case _:
            return f"{event}{why}"


def _rest(fields: MutableMapping[str, Any]) -> str:
    return f"{fields.get('until') or 'when something happens'}: {fields.get('reason')}"


def _plain(value: object) -> str | int | float | bool:
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%dT%H:%M:%SZ}"
    return value if isinstance(value, str | int | float | bool) else str(value)


def _fields(told: MutableMapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in told.items() if key not in ("level", "event", "text")}
