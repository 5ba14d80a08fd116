"""What a cycle tells its operator: one line an event, through structlog.

On a terminal a short sentence; under systemd logfmt behind the journal's priority; elsewhere logfmt with its
time: the same three forms as the supervisor's lines (`edges/lines.py`, standard library only). structlog is
loaded with the first event, so that an idle cycle, which has one line to say, says it without.
"""

from __future__ import annotations

import os
from datetime import datetime
from typing import TYPE_CHECKING, Any

from agentloop.domain.telling import ordinal
from agentloop.domain.wording import count
from agentloop.edges import lines

if TYPE_CHECKING:
    from collections.abc import Mapping, MutableMapping

STDERR = 2
QUIET = "cycle.idle"
"""The one event that is told without structlog."""
_LEVELS = {
    "problem": lines.Level.WARNING,
    "refused": lines.Level.NOTICE,
    "notice": lines.Level.NOTICE,
    "alert": lines.Level.NOTICE,
}
ROUTINE = frozenset({"Take", "AcceptMerge"})
"""Decisions of the rules that only follow what was told the moment before."""


class Log:
    """Tells events on standard error."""

    def __init__(self) -> None:
        self._form = lines.form_for(STDERR, os.environ)
        self._plain = lines.Lines(STDERR, self._form)
        self._is_supervised = lines.CYCLE_MARK in os.environ
        self._logger: Any = None

    def tell(self, event: str, fields: dict[str, Any]) -> None:
        """Tell one event with its fields; those that are None are left out.

        Never raises for a lost reader.
        """
        to_person = sentence(event, fields, supervised=self._is_supervised)
        told = {key: _plain(value) for key, value in fields.items() if value is not None}
        if event == QUIET:
            self._say(event, told, to_person)
            return
        if self._logger is None:
            self._logger = self._structured()
        self._logger.info(event, to_person=to_person, **told)

    def _structured(self) -> Any:  # noqa: ANN401 - structlog's loggers are lazy proxies without a type
        import structlog

        def write(_logger: object, _name: str, said: MutableMapping[str, Any]) -> str:
            self._say(str(said.pop("event")), said, str(said.pop("to_person")))
            raise structlog.DropEvent

        return structlog.wrap_logger(
            structlog.ReturnLogger(),
            processors=[structlog.contextvars.merge_contextvars, structlog.processors.format_exc_info, write],
        )

    def _say(self, event: str, told: Mapping[str, Any], to_person: str) -> None:
        level = lines.Level.WARNING if told.get("failed") else _LEVELS.get(event, lines.Level.INFO)
        if event == "fact" and not to_person:
            level = lines.Level.DEBUG
        is_rest = event in ("cycle.idle", "cycle.ended") and not told.get("failed")
        text = _in_short(event, told) if is_rest else to_person or _in_short(event, told)
        self._plain.say(event, text, level=level, to_person=to_person, **_fields(told))


def sentence(event: str, fields: Mapping[str, Any], *, supervised: bool = False) -> str:
    """Return an event as a person reads it on a terminal; "" = it is no news for them.

    A supervisor tells itself how its cycle's sleep goes: then (`supervised`) the cycle leaves that to it.
    """
    says = fields.get("says", "")
    match event:
        case "fact":
            return str(says)
        case "decided":
            is_routine = fields.get("by") == "admin" or fields.get("decision") in ROUTINE
            return "" if is_routine else f"{says}: {fields.get('why')}"
        case "refused":
            return (
                f"refused the admin's decision to {says}: {fields['why']}" if fields["by"] == "admin" else ""
            )
        case "admin.answered":
            by = f"{fields.get('models')}, {count(fields.get('turns', 0), 'turn')}, {fields.get('cost')}"
            return f"admin ({by}): {says or 'nothing to decide'}"
        case "notice" | "alert" | "home.pushed":
            return str(says)
        case "cycle.ended" if fields.get("failed"):
            return _failed(fields)
        case "cycle.ended":
            return "" if supervised else f"cycle {fields.get('cycle')} is done; next {_rest(fields)}"
        case "cycle.idle":
            return "" if supervised else f"nothing new; next {_rest(fields)}"
        case _:
            return f"{event}: {fields['why']}" if fields.get("why") else event


def _failed(fields: Mapping[str, Any]) -> str:
    again = fields.get("again")
    why = f"same as before ({ordinal(again)} time)" if again else fields["failed"]
    return f"cycle {fields.get('cycle')} failed: {why}"


def _rest(fields: Mapping[str, Any]) -> str:
    until = fields.get("until")
    when = lines.clock(until) if isinstance(until, datetime) else "when something happens"
    return f"{when} ({fields.get('reason')})"


def _in_short(event: str, told: Mapping[str, Any]) -> str:
    """What a log says of an event that is no news for a person."""
    about = next((told[key] for key in ("task", "attempt", "pull", "issue") if key in told), "")
    match event:
        case "fact":
            return f"{told.get('fact')} {about}".rstrip()
        case "decided" | "refused":
            return f"{told.get('by')}: {told.get('says')}: {told.get('why')}"
        case "cycle.idle":
            return f"nothing new ({told.get('fingerprint')}); next {told.get('until')}: {told.get('reason')}"
        case _:
            end = f"cycle {told.get('cycle')} {told.get('outcome')}"
            return f"{end}; next {told.get('until')}: {told.get('reason')}"


def _plain(value: object) -> str | int | float | bool:
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%dT%H:%M:%SZ}"
    return value if isinstance(value, str | int | float | bool) else str(value)


def _fields(told: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in told.items() if key not in ("level", "event", "text", "says")}
