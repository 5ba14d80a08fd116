"""An attempt's events as lines for people: when, what, and the first line of what came back. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from agentloop.domain.valueclass import dataclass, replace
from agentloop.domain.wording import count, one_line

Kind = Literal["head", "model", "tool", "ok", "bad", "end"]

TEXT = 400
"""Characters of one line; screens cut further."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLine:
    """One line: `moment` is ISO 8601 as the log has it, `who` names a model or a tool."""

    moment: str
    kind: Kind
    who: str
    text: str
    tokens: int = 0
    rest: tuple[str, ...] = ()
    """Every line of what was said, when `text` does not hold all of it."""


def log_line(event: Mapping[str, Any]) -> LogLine:
    """Return the line for one object of `events.jsonl`; what is not known is shown as it is."""
    moment = str(event.get("at", ""))
    match event.get("event"):
        case "attempt.started":
            return _line(moment, "head", "attempt", f"{event.get('attempt')}: {event.get('task')}")
        case "model.answered":
            because = f" (stood in: {event['because']})" if event.get("because") else ""
            text = _first_line(event.get("text", "")) + because
            line = _line(moment, "model", str(event.get("model", "")), text, _whole(event.get("tokens")))
            return replace(line, rest=_rest(event.get("text", "")))
        case "tool.asked":
            return _line(moment, "tool", str(event.get("tool", "")), _asked(event.get("input")))
        case "tool.answered":
            said = event.get("text", "")
            line = _line(moment, "ok" if event.get("ok") else "bad", "", _first_line(said))
            return replace(line, rest=_rest(said))
        case "tool.ended":
            return _line(moment, "end", str(event.get("tool", "")), f"ends the attempt: {event.get('ends')}")
        case "attempt.ends":
            return _line(moment, "end", "attempt", f"ends: {event.get('outcome')}")
        case other:
            rest = {key: value for key, value in event.items() if key not in ("at", "event")}
            return _line(
                moment, "head", str(other), ", ".join(f"{key} {value}" for key, value in rest.items())
            )


def _line(moment: str, kind: Kind, who: str, text: str, tokens: int = 0) -> LogLine:
    return LogLine(moment=moment, kind=kind, who=one_line(who, 60), text=one_line(text, TEXT), tokens=tokens)


def _asked(given: object) -> str:
    """What a tool was asked: a command, or what is done to a path; the text of an edit is in the diff."""
    if not isinstance(given, dict):
        return str(given)
    command, path = given.get("command"), given.get("path")
    if path:
        return f"{command or ''} {path}".strip()
    if command:
        return str(command)
    return ", ".join(f"{key}: {value}" for key, value in given.items())


def _first_line(text: object) -> str:
    lines = [line for line in str(text).splitlines() if line.strip()]
    more = f"  (+{count(len(lines) - 1, 'line')})" if len(lines) > 1 else ""
    return (one_line(lines[0], TEXT - 20) + more) if lines else "(nothing)"


def _rest(text: object) -> tuple[str, ...]:
    """All of it, when the first line is not all of it."""
    lines = str(text).rstrip().splitlines()
    return tuple(lines) if len(lines) > 1 or any(len(line) > TEXT for line in lines) else ()


def _whole(number: object) -> int:
    return number if isinstance(number, int) else 0
