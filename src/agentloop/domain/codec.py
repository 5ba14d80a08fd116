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
    from collections.abc import Callable, Sequence

Plain = Any
"""What json.dumps takes: dict, list, str, int, float, bool, None."""
_AS_IT_IS = frozenset({str, int, bool, float, type(None)})

_Decoder: TypeAlias = "Callable[[Plain], Any]"


class CodecError(ValueError):
    """A value that does not have the shape its type asks for; the message holds the path to it."""

    def __init__(self, what: str, *, path: str = "", root: str = "value") -> None:
        """`root` stands for the path of the outermost value."""
        super().__init__(f"{path.removeprefix('.') or root}: {what}")
        self._parts = what, path, root

    def inside(self, step: str) -> CodecError:
        """Return the same error as seen from around the value, which is at `step` (`.name`, `[0]`) there."""
        what, path, root = self._parts
        return type(self)(what, path=f"{step}{path}", root=root)


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
    kind: Any = type(value)
    if kind in _AS_IT_IS:
        return value
    if (names := _names_of(kind)) is not None:
        found = {"is": tag_of(kind)}
        for name in names:
            item = getattr(value, name)
            found[name] = item if type(item) in _AS_IT_IS else encode(item)
        return found
    if isinstance(value, date):
        return stamp(value) if isinstance(value, datetime) else value.isoformat()
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
    return _decoder(kind)(data)


def stamp(moment: datetime) -> str:
    """Return `moment` as ISO 8601 in UTC with microseconds and a trailing Z."""
    return f"{moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec='microseconds')}Z"


def moment(text: str) -> datetime:
    """Return the aware UTC datetime written in `text`. Raises ValueError when it names no time zone."""
    found = datetime.fromisoformat(text)
    if found.tzinfo is None:
        msg = f"{text!r} names no time zone"
        raise ValueError(msg)
    try:
        return found if found.tzinfo is UTC else found.astimezone(UTC)
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
        return lambda data: _expect((type(None),), data)
    if kind is datetime:
        return lambda data: _moment_of(moment, data)
    if kind is date:
        return lambda data: _moment_of(date.fromisoformat, data)
    if kind in (Any, object):
        return lambda data: data
    if kind is float:
        return lambda data: float(_expect((int, float), data))
    return lambda data: data if type(data) is kind else _expect((kind,), data)


def _expect(kinds: tuple[type, ...], data: Plain) -> Any:
    # bool is an int to Python, never to a person who wrote the file.
    if not isinstance(data, kinds) or (isinstance(data, bool) and bool not in kinds):
        wanted = " or ".join(kind.__name__ for kind in kinds)
        msg = f"expected {wanted}, found {type(data).__name__}"
        raise CodecError(msg)
    return data


def _moment_of(read: Callable[[str], object], data: Plain) -> object:
    text = _expect((str,), data)
    try:
        return read(text)
    except ValueError as error:
        raise CodecError(str(error)) from error


def _dataclass_decoder(cls: type, shape_of_it: dict[str, bool]) -> _Decoder:
    hints = get_type_hints(cls)
    required = {name for name, needed in shape_of_it.items() if needed}
    newest = getattr(cls, "FORMAT", None)
    readers: list[tuple[str, Any, _Decoder]] = []

    def decode_fields(data: Plain) -> object:
        given = data if type(data) is dict else _expect((dict,), data)
        if newest is not None:
            _refuse_newer(cls, newest, given)
        if not readers:  # found when they are needed: a class may hold itself
            readers.extend((name, hints[name], _decoder(hints[name])) for name in shape_of_it)
        values: dict[str, object] = {}
        name = ""
        try:
            for name, plain, read in readers:
                if name in given:
                    value = given[name]
                    # Most are words and numbers, and as they are to be: a call fewer for each.
                    values[name] = value if type(value) is plain and plain in _AS_IT_IS else read(value)
        except CodecError as error:
            raise error.inside(f".{name}") from error.__cause__
        if len(values) < len(readers) and (missing := required - values.keys()):
            msg = f"missing {', '.join(sorted(missing))}"
            raise CodecError(msg, root=tag_of(cls))
        return cls(**values)

    return decode_fields


def _refuse_newer(cls: type, newest: int, given: dict[str, Plain]) -> None:
    found = given.get("v", 0)
    if isinstance(found, int) and found > newest:
        msg = f"format {found}, and {newest} is the newest known here"
        raise NewerError(msg, root=tag_of(cls))


def _union_decoder(members: tuple[Any, ...]) -> _Decoder:
    members = _flattened(members)
    tagged = {tag_of(m): m for m in members if shape(m) is not None}
    plain = tuple(m for m in members if m not in tagged.values() and m is not type(None))
    optional = type(None) in members
    readers: dict[str, _Decoder] = {}

    def decode_member(data: Plain) -> object:
        if data is None and optional:
            return None
        tag = _tag_in(data, tagged)
        if tag is None:
            return _first_that_fits(plain, data)
        if tag not in readers:
            readers[tag] = _decoder(tagged[tag])
        return readers[tag](data)

    return decode_member


def _tag_in(data: Plain, tagged: dict[str, type]) -> str | None:
    if not isinstance(data, dict):
        return None
    if "is" not in data and len(tagged) == 1:
        return next(iter(tagged))
    tag = data.get("is")
    return tag if isinstance(tag, str) and tag in tagged else None


def _flattened(members: tuple[Any, ...]) -> tuple[Any, ...]:
    flat: list[Any] = []
    for member in members:
        inner = getattr(member, "__value__", member)
        union = get_origin(inner) in (Union, types.UnionType)
        flat.extend(_flattened(get_args(inner)) if union else [inner])
    return tuple(flat)


def _first_that_fits(kinds: tuple[Any, ...], data: Plain) -> object:
    for kind in kinds:
        try:
            return _decoder(kind)(data)
        except CodecError:
            continue
    found = data.get("is", "object without a tag") if isinstance(data, dict) else type(data).__name__
    msg = f"{found!r} is none of the kinds known here"
    raise CodecError(msg)


def _sequence_decoder(build: Any, item: Any) -> _Decoder:
    readers: list[_Decoder] = []

    def decode_items(data: Plain) -> object:
        given = _expect((list, tuple), data)
        if not readers:
            readers.append(_decoder(item))
        return build(_read_each(given, readers * len(given)))

    return decode_items


def _fixed_decoder(items: tuple[Any, ...]) -> _Decoder:
    def decode_items(data: Plain) -> object:
        given = _expect((list, tuple), data)
        if len(given) != len(items):
            msg = f"expected {len(items)} items, found {len(given)}"
            raise CodecError(msg)
        return tuple(_read_each(given, [_decoder(item) for item in items]))

    return decode_items


def _read_each(given: Sequence[Plain], readers: Sequence[_Decoder]) -> list[Any]:
    found: list[Any] = []
    for read, value in zip(readers, given, strict=True):
        try:
            found.append(read(value))
        except CodecError as error:
            raise error.inside(f"[{len(found)}]") from error.__cause__
    return found


def _dict_decoder(name: Any, item: Any, build: Callable[[dict[Any, Any]], object] = dict) -> _Decoder:
    def decode_items(data: Plain) -> object:
        given = _expect((dict,), data)
        read_name = _decoder(name) if name is date else str
        read = _decoder(item)
        found = {}
        for key, value in given.items():
            try:
                found[read_name(key)] = read(value)
            except CodecError as error:
                raise error.inside(f".{key}") from error.__cause__
        return build(found)

    return decode_items


def _literal_decoder(choices: tuple[Any, ...]) -> _Decoder:
    def decode_choice(data: Plain) -> object:
        if data not in choices:
            msg = f"{data!r} is none of {', '.join(map(str, choices))}"
            raise CodecError(msg)
        return data

    return decode_choice
