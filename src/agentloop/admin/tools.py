"""The admin's tools.

Their schemas, made from the decisions' own classes, and the parsing of what comes back.
"""

from __future__ import annotations

import dataclasses
import inspect
from functools import cache
from typing import TYPE_CHECKING, Any, TypeAlias, get_args, get_type_hints

from pydantic import TypeAdapter, ValidationError

from agentloop.domain import decisions as d
from agentloop.domain.codec import tag_of
from agentloop.domain.model import Tool
from agentloop.domain.relay import RelayDelta
from agentloop.domain.valueclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Said: TypeAlias = "d.AdminDecision | RelayDelta"

DECISIONS: tuple[type, ...] = (
    d.Plan, d.Ask, d.Assign, d.Review, d.Retry, d.Publish, d.Answer, d.AnswerReview, d.Cancel,
    d.Sleep, d.Hibernate,
)  # fmt: skip
_BY_NAME: dict[str, type] = {**{tag_of(cls): cls for cls in DECISIONS}, "relay": RelayDelta}


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadIssue:
    """Read an issue and its comments."""

    issue: str = d.told("id of the issue")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadDiff:
    """Read what an attempt changed, as a unified diff."""

    attempt: str = d.told("id of the attempt")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadLog:
    """Read the end of an attempt's log, and what its gate said."""

    attempt: str = d.told("id of the attempt")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadFile:
    """Read a file of a target as it stands on its base branch; a folder's path lists it."""

    path: str = d.told("path from the repository's root; '.' lists the root")
    target: str = d.told("name of the target; empty = the only one, or the first", default="")


Look: TypeAlias = ReadIssue | ReadDiff | ReadLog | ReadFile
_LOOKS: dict[str, type] = {tag_of(cls): cls for cls in (ReadIssue, ReadDiff, ReadLog, ReadFile)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Malformed:
    """A tool call that does not fit; `why` is shown to the model."""

    tool: str
    why: str


@cache
def tools() -> tuple[Tool, ...]:
    """Return every tool the admin has, always in the same order: the prompt's stable part stays stable."""
    return tuple(
        Tool(name=name, description=inspect.cleandoc(cls.__doc__ or ""), schema=_schema(cls))
        for name, cls in {**_LOOKS, **_BY_NAME}.items()
    )


def parse(name: str, given: Mapping[str, object]) -> Said | Look | Malformed:
    """Return what a tool call says, as a frozen value, or what is wrong with it."""
    cls = _BY_NAME.get(name) or _LOOKS.get(name)
    if cls is None:
        return Malformed(
            tool=name, why=f"there is no tool {name!r}; there are: {', '.join([*_LOOKS, *_BY_NAME])}"
        )
    strange = [*_unknown(cls, given, "")]
    if strange:
        return Malformed(tool=name, why=f"unknown fields: {', '.join(strange)}")
    try:
        return _adapter(cls).validate_python(dict(given))  # type: ignore[no-any-return]
    except ValidationError as error:
        says = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()[:5])
        return Malformed(tool=name, why=says)


@cache
def _adapter(cls: type) -> TypeAdapter[Any]:
    return TypeAdapter(cls)


def _schema(cls: type) -> dict[str, Any]:
    schema = _adapter(cls).json_schema()
    definitions = schema.get("$defs", {})
    _explain(schema, cls)
    for inner in _inner_classes(cls):
        if inner.__name__ in definitions:
            _explain(definitions[inner.__name__], inner)
    return schema


def _explain(schema: dict[str, Any], cls: type) -> None:
    schema["additionalProperties"] = False
    schema.pop("title", None)
    schema.pop("description", None)
    for field in dataclasses.fields(cls):
        told = schema["properties"][field.name]
        told.pop("title", None)
        if "doc" in field.metadata:
            told["description"] = field.metadata["doc"]


def _inner_classes(cls: type) -> Iterator[type]:
    for hint in get_type_hints(cls).values():
        for inner in _classes_in(hint):
            yield inner
            yield from _inner_classes(inner)


def _classes_in(hint: object) -> Iterator[type]:
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        yield hint
    for argument in get_args(hint):
        yield from _classes_in(argument)


def _unknown(cls: type, given: object, path: str) -> Iterator[str]:
    """Yield the keys that no field takes: a model that makes up a field meant something by it."""
    if not isinstance(given, dict):
        return
    hints = get_type_hints(cls)
    for key, value in given.items():
        if key not in hints:
            yield f"{path}{key}"
            continue
        for inner in _classes_in(hints[key]):
            for item in value if isinstance(value, list) else [value]:
                yield from _unknown(inner, item, f"{path}{key}.")
