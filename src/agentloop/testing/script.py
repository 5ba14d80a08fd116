r"""The script of a scripted model: what a request must contain, and what is then answered.

A TOML file of steps. The first step in the file whose conditions all hold answers; nothing counts turns.
Texts are looked for as they stand, case included.

    [[step]]
    name = "plan the issue"                       # shown when nothing matches
    when.system = "admin agent"                   # in the system prompt
    when.has = ["adds wrongly", "issue 1"]        # each in the last message, tool results included
    when.ever = "calc.py"                         # anywhere in the conversation
    when.lacks = "finding"                        # not in the last message
    when.never = "attempt 2"                      # nowhere in the conversation
    when.tool_result_of = "read_file"             # the last message brings a result of this tool
    when.model = "claude-opus-5-5"                # the model that is asked
    capture = { task = 'task (\d+\.\d+)' }          # one group; looked for from the newest message backwards
    say = "Task <<task>> first."                  # <<name>> stands for what was captured
    thinking = "…"                                # a thinking block before it
    [[step.call]]                                 # any number
    tool = "assign"
    input = { task = "<<task>>" }

    [[step]]
    name = "busy for a while"
    when.has = "issue 2"
    fault = "429"                                 # see FAULTS
    retry_after = 30
    times = 2                                     # then this step is over

Calls stand last in their step, as TOML has it. Further keys: `stop` (a stop reason), `usage` (the API's
counts; the default is made from sizes), `delay_seconds`.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

from agentloop.errors import AgentloopError

if TYPE_CHECKING:
    from pathlib import Path

    from agentloop.testing.wire import Asked

FAULTS = {
    "400": "the request is called malformed",
    "401": "the key is refused",
    "403": "the key may not use this model",
    "404": "the model is not known",
    "429": "rate limited; retry_after in seconds",
    "500": "the service fails",
    "529": "overloaded; retry_after in seconds, if given",
    "refusal": "the model declines",
    "truncate": "the answer stops at max_tokens",
    "stream_error": "an overloaded error in the middle of the answer",
    "no_message_stop": "the stream ends cleanly in the middle of the answer",
    "drop": "the connection breaks in the middle of the answer",
    "drop_early": "the connection breaks before the answer",
    "hang": "nothing comes",
    "drip": "pings come for ever, and no answer",
    "garbage": "what comes is no JSON",
}


class ScriptError(AgentloopError):
    """A script that cannot be played; names the file and the line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class When:
    """What a request must contain."""

    system: tuple[str, ...] = ()
    has: tuple[str, ...] = ()
    ever: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()
    never: tuple[str, ...] = ()
    tool_result_of: str = ""
    model: str = ""

    def misses(self, asked: Asked) -> tuple[str, ...]:
        """Return, in words, each condition that the request does not meet."""
        return (
            *(f"the system prompt lacks {text!r}" for text in self.system if text not in asked.system),
            *(f"the last message lacks {text!r}" for text in self.has if text not in asked.last),
            *(f"the conversation lacks {text!r}" for text in self.ever if text not in asked.conversation),
            *(f"the last message has {text!r}" for text in self.lacks if text in asked.last),
            *(f"the conversation has {text!r}" for text in self.never if text in asked.conversation),
            *(
                [f"the last message has no result of the tool {self.tool_result_of!r}"]
                if self.tool_result_of and self.tool_result_of not in asked.results_of
                else []
            ),
            *([f"the model is {asked.model!r}"] if self.model and self.model != asked.model else []),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCall:
    """A tool that the scripted model asks for."""

    tool: str
    input: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One answer, and when it is given."""

    name: str
    line: int
    when: When
    capture: dict[str, re.Pattern[str]] = field(default_factory=dict)
    say: str = ""
    thinking: str = ""
    call: tuple[ToolCall, ...] = ()
    stop: str = ""
    usage: dict[str, int] = field(default_factory=dict)
    delay_seconds: float = 0.0
    fault: str = ""
    retry_after: float | None = None
    times: int | None = None

    def captured(self, asked: Asked) -> tuple[dict[str, str], tuple[str, ...]]:
        """Return what was captured, by name, and in words what was not found."""
        found: dict[str, str] = {}
        for name, pattern in self.capture.items():
            matches = (pattern.search(text) for text in asked.newest_first)
            match = next((each for each in matches if each is not None), None)
            if match is not None:
                found[name] = match.group(1)
        missing = tuple(
            f"nothing to capture as {name!r} by {pattern.pattern!r}"
            for name, pattern in self.capture.items()
            if name not in found
        )
        return found, missing


def filled(value: Any, captured: dict[str, str]) -> Any:  # noqa: ANN401 - any TOML value
    """Return the value with every `<<name>>` in its texts replaced by what was captured."""
    match value:
        case str():
            return _PLACE.sub(lambda place: captured[place.group(1)], value)
        case dict():
            return {key: filled(item, captured) for key, item in value.items()}
        case list():
            return [filled(item, captured) for item in value]
        case _:
            return value


_PLACE = re.compile(r"<<(\w+)>>")
_HEADER = re.compile(r"^\s*\[\[\s*step\s*\]\]")
_TEXTS = ("system", "has", "ever", "lacks", "never")


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """All steps, in the order of the file."""

    name: str  # the file's, for messages
    steps: tuple[Step, ...]


def load(path: Path) -> Script:
    """Return the script in the file. Raises ScriptError, naming file and line."""
    try:
        return parse(path.read_text(encoding="utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise ScriptError(f"{path}: cannot be read: {error}") from error


def parse(text: str, name: str = "script") -> Script:
    """Return the script in the text. Raises ScriptError, naming `name` and the line."""
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ScriptError(f"{name}: {error}") from error
    places = _Places(name, text)
    if unknown := sorted(table.keys() - {"step"}):
        raise places.error(f"unknown key {unknown[0]!r}", 0, unknown[0])
    raw = table.get("step")
    if not isinstance(raw, list) or not raw:
        raise places.error("a script has at least one [[step]]", 0)
    return Script(name=name, steps=tuple(_step(each, number, places) for number, each in enumerate(raw)))


class _Places:
    """Where things stand in the file, which the TOML parser does not tell."""

    def __init__(self, name: str, text: str) -> None:
        self._name = name
        self._lines = text.splitlines()
        self._headers: list[int] = []
        quoted = ""
        for number, line in enumerate(self._lines):
            if not quoted and _HEADER.match(line):
                self._headers.append(number)
            quoted = _still_quoted(line, quoted)

    def line(self, step: int, key: str = "") -> int:
        """The line (from 1) of a key in a step, or of the step."""
        start = self._headers[step] if step < len(self._headers) else 0
        end = self._headers[step + 1] if step + 1 < len(self._headers) else len(self._lines)
        pattern = re.compile(rf"(^|[\s{{,.\[]){re.escape(key)}\s*[=.\]]")
        found = (n for n in range(start, end) if key and pattern.search(self._lines[n]))
        return next(found, start) + 1

    def error(self, what: str, step: int, key: str = "") -> ScriptError:
        return ScriptError(f"{self._name}:{self.line(step, key)}: {what}")


def _still_quoted(line: str, quoted: str) -> str:
    for mark in re.findall(r"\"\"\"|'''", line):
        quoted = "" if quoted == mark else quoted or mark
    return quoted


def _step(raw: Any, number: int, places: _Places) -> Step:  # noqa: ANN401 - a TOML value
    known = {each.name for each in fields(Step)} - {"line"}
    if not isinstance(raw, dict):
        raise places.error("a step is a table: [[step]]", number)
    if unknown := sorted(raw.keys() - known):
        raise places.error(
            f"unknown key {unknown[0]!r}; a step knows {', '.join(sorted(known))}", number, unknown[0]
        )
    _check_kinds(raw, number, places)
    step = Step(
        **{
            **raw,
            "name": raw.get("name") or f"step {number + 1}",
            "line": places.line(number),
            "when": _when(raw.get("when", {}), number, places),
            "capture": _patterns(raw.get("capture", {}), number, places),
            "call": tuple(_call(each, number, places) for each in raw.get("call", [])),
        }
    )
    _check_sense(step, number, places)
    return step


_KINDS: dict[str, type | tuple[type, ...]] = {
    "name": str,
    "when": dict,
    "capture": dict,
    "say": str,
    "thinking": str,
    "call": list,
    "stop": str,
    "usage": dict,
    "delay_seconds": (int, float),
    "fault": str,
    "retry_after": (int, float),
    "times": int,
}


def _check_kinds(raw: dict[str, Any], number: int, places: _Places) -> None:
    for key, value in raw.items():
        if not isinstance(value, _KINDS[key]):
            raise places.error(f"{key} cannot be {value!r}", number, key)


def _check_sense(step: Step, number: int, places: _Places) -> None:
    if step.when == When():
        raise places.error("a step needs a `when`: an empty request would pass", number, "when")
    if step.fault and step.fault not in FAULTS:
        raise places.error(f"unknown fault {step.fault!r}; one of {', '.join(FAULTS)}", number, "fault")
    if step.times is not None and not step.fault:
        raise places.error("`times` is for faults: what is answered depends on the request", number, "times")
    if not (step.say or step.call or step.fault):
        raise places.error("a step needs `say`, a `call` or a `fault`", number)
    texts = f"{step.say}{step.thinking}{[each.input for each in step.call]}"
    if unknown := sorted(set(_PLACE.findall(texts)) - step.capture.keys()):
        raise places.error(f"<<{unknown[0]}>> is not captured in this step", number, f"<<{unknown[0]}>>")


def _when(raw: dict[str, Any], number: int, places: _Places) -> When:
    known = {each.name for each in fields(When)}
    if unknown := sorted(raw.keys() - known):
        raise places.error(
            f"unknown condition {unknown[0]!r}; one of {', '.join(sorted(known))}", number, unknown[0]
        )
    given: dict[str, Any] = {}
    for key, value in raw.items():
        texts = [value] if isinstance(value, str) else value
        good = isinstance(texts, list) and texts and all(isinstance(text, str) and text for text in texts)
        if not good or (key not in _TEXTS and not isinstance(value, str)):
            raise places.error(f"when.{key} cannot be {value!r}", number, key)
        given[key] = tuple(texts) if key in _TEXTS else value
    return When(**given)


def _patterns(raw: dict[str, Any], number: int, places: _Places) -> dict[str, re.Pattern[str]]:
    patterns = {}
    for key, value in raw.items():
        try:
            pattern = re.compile(value)
        except (re.error, TypeError) as error:
            raise places.error(f"capture.{key} is no regular expression: {error}", number, key) from error
        if pattern.groups != 1:
            raise places.error(f"capture.{key} needs one group, it has {pattern.groups}", number, key)
        patterns[key] = pattern
    return patterns


def _call(raw: Any, number: int, places: _Places) -> ToolCall:  # noqa: ANN401 - a TOML value
    if not isinstance(raw, dict) or raw.keys() - {"tool", "input"} or not isinstance(raw.get("tool"), str):
        raise places.error(
            "a call has a tool (a name) and an input (a table); keys of the step stand before its calls",
            number,
            "call",
        )
    given = raw.get("input", {})
    if not isinstance(given, dict):
        raise places.error("a call's input is a table", number, "input")
    return ToolCall(tool=raw["tool"], input=given)
