"""Frozen values to JSON and back: one rule for the journal, the settings, specs and records.

A dataclass becomes an object of its fields. A member of a union carries its class's name in snake case under
`"is"`, so class names are part of the formats: renaming one needs a reader for the old name. Unknown keys are
ignored and missing ones take the field's default, so an older program can read what a newer one wrote; but
where a class has a `FORMAT`, a `v` above it is refused.
"""

from __future__ import annotations

import re
import types
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, date, datetime
from functools import cache
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, Union, get_args, get_origin, get_type_hints

from agentloop.domain.valueclass import shape

if TYPE_CHECKING:
    from collections.abc import Callable

Plain = Any
"""What json.dumps takes: dict, list, str, int, float, bool, None."""

_Decoder: TypeAlias = "Callable[[Plain, str], object]"


class CodecError(ValueError):
    """A value that does not have the shape its type asks for; the message holds the path to it."""


class NewerError(CodecError):
    """A newer program wrote it: what it says is not known here, and is not guessed at."""


def tag_of(cls: type) -> str:
    """Return the name under which `cls` is written in a union, e.g. `CycleEnded` -> `cycle_ended`."""
    return _snake_case(cls.__name__)


@cache
def _snake_case(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def encode(value: object) -> Plain:
    """Return `value` (dataclasses, tuples, dicts, datetimes and plain values) as plain JSON values.

    Every dataclass is written with its tag, which readers that know the type ignore.
    """
    if isinstance(value, date):
        return stamp(value) if isinstance(value, datetime) else value.isoformat()
    kind: Any = type(value)
    if (names := _names_of(kind)) is not None:
        return {"is": tag_of(kind), **{name: encode(getattr(value, name)) for name in names}}
    if isinstance(value, (tuple, list)):
        return [encode(item) for item in value]
    if isinstance(value, (set, frozenset)):
        return sorted(encode(item) for item in value)
    if isinstance(value, dict):
        return {str(key): encode(item) for key, item in value.items()}
    return value


def decode(kind: Any, data: Plain) -> Any:
    """Return `data` as a value of `kind` (a dataclass, a union of dataclasses, a tuple type, …).

    Raises CodecError, naming the path, when the data does not fit.
    """
    return _decoder(kind)(data, "")


def stamp(moment: datetime) -> str:
    """Return `moment` as ISO 8601 in UTC with microseconds and a trailing Z."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def moment(text: str) -> datetime:
    """Return the aware UTC datetime written in `text`. Raises ValueError when it names no time zone."""
    found = datetime.fromisoformat(text)
    if found.tzinfo is None:
        msg = f"{text!r} names no time zone"
        raise ValueError(msg)
    try:
        return found.astimezone(UTC)
    except OverflowError as error:
        msg = f"{text!r} is beyond the years that can be told"
        raise ValueError(msg) from error


@cache
def _names_of(kind: Any) -> tuple[str, ...] | None:
    found = shape(kind)
    return None if found is None else tuple(found)


@cache
def _decoder(kind: Any) -> _Decoder:
    origin = get_origin(kind)
    if (fields := shape(kind)) is not None:
        return _dataclass_decoder(kind, fields)
    if origin in (Union, types.UnionType):
        return _union_decoder(get_args(kind))
    if origin is tuple and get_args(kind)[-1] is not Ellipsis:
        return _fixed_decoder(get_args(kind))
    if origin in (tuple, frozenset):
        return _sequence_decoder(origin, get_args(kind)[0])
    if origin in (dict, Mapping):
        return _dict_decoder(*get_args(kind))
    if origin is Counter:
        return _dict_decoder(get_args(kind)[0], int, Counter)
    if origin is Literal:
        return _literal_decoder(get_args(kind))
    if hasattr(kind, "__value__"):
        return _decoder(kind.__value__)
    if hasattr(kind, "__supertype__"):
        return _decoder(kind.__supertype__)
    return _plain_decoder(kind)


def _plain_decoder(kind: Any) -> _Decoder:
    if kind is None:
        return lambda data, path: _expect((type(None),), data, path)
    if kind is datetime:
        return _decode_moment
    if kind is date:
        return lambda data, path: _moment_of(date.fromisoformat, data, path)
    if kind in (Any, object):
        return lambda data, _path: data
    if kind is float:
        return lambda data, path: float(_expect((int, float), data, path))
    return lambda data, path: _expect((kind,), data, path)


def _expect(kinds: tuple[type, ...], data: Plain, path: str) -> Any:
    # bool is an int to Python, never to a person who wrote the file.
    if not isinstance(data, kinds) or (isinstance(data, bool) and bool not in kinds):
        wanted = " or ".join(kind.__name__ for kind in kinds)
        msg = f"{path or 'value'}: expected {wanted}, found {type(data).__name__}"
        raise CodecError(msg)
    return data


def _decode_moment(data: Plain, path: str) -> object:
    return _moment_of(moment, data, path)


def _moment_of(read: Callable[[str], object], data: Plain, path: str) -> object:
    text = _expect((str,), data, path)
    try:
        return read(text)
    except ValueError as error:
        msg = f"{path or 'value'}: {error}"
        raise CodecError(msg) from error


def _dataclass_decoder(cls: type, shape_of_it: dict[str, bool]) -> _Decoder:
    hints = get_type_hints(cls)
    fields = [(name, hints[name]) for name in shape_of_it]
    required = {name for name, needed in shape_of_it.items() if needed}

    def decode_fields(data: Plain, path: str) -> object:
        given = _expect((dict,), data, path)
        _refuse_newer(cls, given, path)
        values = {
            name: _decoder(kind)(given[name], f"{path}.{name}" if path else name)
            for name, kind in fields
            if name in given
        }
        missing = required - values.keys()
        if missing:
            msg = f"{path or tag_of(cls)}: missing {', '.join(sorted(missing))}"
            raise CodecError(msg)
        return cls(**values)

    return decode_fields


def _refuse_newer(cls: type, given: dict[str, Plain], path: str) -> None:
    known, found = getattr(cls, "FORMAT", None), given.get("v", 0)
    if known is not None and isinstance(found, int) and found > known:
        msg = f"{path or tag_of(cls)}: format {found}, and {known} is the newest known here"
        raise NewerError(msg)


def _union_decoder(members: tuple[Any, ...]) -> _Decoder:
    members = _flattened(members)
    tagged = {tag_of(m): m for m in members if shape(m) is not None}
    plain = tuple(m for m in members if m not in tagged.values() and m is not type(None))
    optional = type(None) in members

    def decode_member(data: Plain, path: str) -> object:
        if data is None and optional:
            return None
        member = _tagged(data, tagged)
        if member is not None:
            return _decoder(member)(data, path)
        if isinstance(data, dict) and len(tagged) == 1 and "is" not in data:
            return _decoder(next(iter(tagged.values())))(data, path)
        return _first_that_fits(plain, data, path)

    return decode_member


def _tagged(data: Plain, tagged: dict[str, type]) -> type | None:
    tag = data.get("is") if isinstance(data, dict) else None
    return tagged.get(tag) if isinstance(tag, str) else None


def _flattened(members: tuple[Any, ...]) -> tuple[Any, ...]:
    flat: list[Any] = []
    for member in members:
        inner = getattr(member, "__value__", member)
        union = get_origin(inner) in (Union, types.UnionType)
        flat.extend(_flattened(get_args(inner)) if union else [inner])
    return tuple(flat)


def _first_that_fits(kinds: tuple[Any, ...], data: Plain, path: str) -> object:
    for kind in kinds:
        try:
            return _decoder(kind)(data, path)
        except CodecError:
            continue
    found = data.get("is", "object without a tag") if isinstance(data, dict) else type(data).__name__
    msg = f"{path or 'value'}: {found!r} is none of the kinds known here"
    raise CodecError(msg)


def _sequence_decoder(build: Any, item: Any) -> _Decoder:
    def decode_items(data: Plain, path: str) -> object:
        given = _expect((list, tuple), data, path)
        return build(_decoder(item)(value, f"{path}[{i}]") for i, value in enumerate(given))

    return decode_items


def _fixed_decoder(items: tuple[Any, ...]) -> _Decoder:
    def decode_items(data: Plain, path: str) -> object:
        given = _expect((list, tuple), data, path)
        if len(given) != len(items):
            msg = f"{path or 'value'}: expected {len(items)} items, found {len(given)}"
            raise CodecError(msg)
        pairs = zip(items, given, strict=True)
        return tuple(_decoder(item)(value, f"{path}[{i}]") for i, (item, value) in enumerate(pairs))

    return decode_items


def _dict_decoder(name: Any, item: Any, build: Callable[[dict[Any, Any]], object] = dict) -> _Decoder:
    def decode_items(data: Plain, path: str) -> object:
        given = _expect((dict,), data, path)
        pairs = ((key, _decoder(item)(value, f"{path}.{key}")) for key, value in given.items())
        return build({_decoder(name)(key, path) if name is date else key: value for key, value in pairs})

    return decode_items


def _literal_decoder(choices: tuple[Any, ...]) -> _Decoder:
    def decode_choice(data: Plain, path: str) -> object:
        if data not in choices:
            msg = f"{path or 'value'}: {data!r} is none of {', '.join(map(str, choices))}"
            raise CodecError(msg)
        return data

    return decode_choice
