"""`dataclass`, `field` and `replace` as in the standard library, made in a tenth of the time.

An idle cycle lives for a tenth of a second and knows 150 value classes, of which it uses a few: the standard
library's decorator (CPython 3.11: 0.65 ms a class) would be two thirds of it. Here nothing is compiled at
import: the constructor is made when it is first looked at; what compares, hashes and shows is not generated
at all. For type checkers, and for whoever asks `dataclasses.fields` or `is_dataclass`, these are dataclasses,
and tests hold them against the standard library's.
"""

from __future__ import annotations

import sys
from operator import attrgetter
from types import MemberDescriptorType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from dataclasses import Field, dataclass, field, replace

__all__ = ("dataclass", "field", "replace", "shape")

_DEFAULTS = frozenset({"default", "default_factory"})
_OPTIONS = _DEFAULTS | {"metadata", "repr"}


class _Given:
    """What `field` was given about a field."""

    __slots__ = ("options",)

    def __init__(self, options: dict[str, Any]) -> None:
        if unknown := options.keys() - _OPTIONS:
            msg = f"{', '.join(sorted(unknown))}: take the standard library's dataclass for that"
            raise TypeError(msg)
        self.options = options


class _Plan:
    """What a class is made of: its fields in order, each with what was given about it."""

    __slots__ = ("altered", "cls", "fields", "frozen", "kw_only", "values")

    def __init__(self, cls: type, *, frozen: bool, kw_only: bool) -> None:
        if any("__plan__" in base.__dict__ for base in cls.__mro__[1:]):
            msg = f"{cls.__name__}: a value class has no value class above it"
            raise TypeError(msg)
        self.cls = cls
        self.frozen = frozen
        self.kw_only = kw_only
        own = cls.__dict__
        self.fields: dict[str, dict[str, Any]] = {
            name: _options(own[name]) if name in own else {} for name in own.get("__annotations__", ())
        }
        # Of a single field not a tuple but its value, which compares and hashes as well.
        self.values: Callable[[object], Any] = attrgetter(*self.fields) if self.fields else type
        self.altered: Callable[..., Any] | None = None
        """Makes an altered copy; made when it is first wanted."""


def _options(default: Any) -> dict[str, Any]:  # noqa: ANN401 -- of the field's type
    return default.options if isinstance(default, _Given) else {"default": default}


def _dataclass(
    cls: type | None = None, *, frozen: bool = False, slots: bool = False, kw_only: bool = False
) -> Any:  # noqa: ANN401 -- the class, or what makes it
    if cls is None:
        return lambda each: _dataclass(each, frozen=frozen, slots=slots, kw_only=kw_only)
    plan = _Plan(cls, frozen=frozen, kw_only=kw_only)
    own = {name: value for name, value in cls.__dict__.items() if name not in ("__dict__", "__weakref__")}
    for name, given in plan.fields.items():
        own.pop(name, None)
        if "default" in given and not slots:
            own[name] = given["default"]
    if slots:
        own["__slots__"] = tuple(plan.fields)
    own |= {"__qualname__": cls.__qualname__, "__plan__": plan}
    own |= {"__match_args__": () if kw_only else tuple(plan.fields)}
    plan.cls = made = type(cls)(cls.__name__, cls.__bases__, {**_shared(frozen=frozen), **own})
    return made


def _shared(*, frozen: bool) -> dict[str, Any]:
    """What all value classes have; what a class defines itself goes before it."""
    found = {
        "__init__": _Constructor(),
        "__dataclass_fields__": _Fields(),
        "__eq__": _eq,
        "__hash__": _hash if frozen else None,
        "__repr__": _repr,
        "__getstate__": _getstate,
        "__setstate__": _setstate,
    }
    if frozen:
        found |= {"__setattr__": _refuse_set, "__delattr__": _refuse_delete}
    return found


def shape(cls: Any) -> dict[str, bool] | None:  # noqa: ANN401 -- anything
    """Return the fields of a dataclass in order, and whether each must be given; None when it is none."""
    if not isinstance(cls, type):
        return None
    plan: _Plan | None = cls.__dict__.get("__plan__")
    if plan is not None:
        return {name: not given.keys() & _DEFAULTS for name, given in plan.fields.items()}
    if "__dataclass_fields__" not in cls.__dict__:
        return None
    from dataclasses import MISSING, fields

    return {f.name: f.default is MISSING and f.default_factory is MISSING for f in fields(cls)}


class _Constructor:
    """Stands for `__init__` until somebody looks at it; then the function takes its place."""

    def __get__(self, value: object, owner: Any) -> Any:  # noqa: ANN401 -- as in descriptors
        plan: _Plan = owner.__plan__
        made = _constructor(plan)
        plan.cls.__init__ = made  # type: ignore[misc]
        return made if value is None else made.__get__(value, owner)


class _Fields:
    """Stands for `__dataclass_fields__` until somebody looks at it."""

    def __get__(self, _value: object, owner: Any) -> dict[str, Field[Any]]:  # noqa: ANN401 -- as above
        import dataclasses

        plan: _Plan = owner.__plan__
        # Made by the standard library from a class of the same fields, so that they are what it expects.
        body = {
            "__annotations__": plan.cls.__annotations__,
            "__module__": plan.cls.__module__,
            **{name: dataclasses.field(**given) for name, given in plan.fields.items() if given},
        }
        twin: Any = dataclasses.dataclass(
            frozen=plan.frozen, kw_only=plan.kw_only, init=False, eq=False, repr=False
        )(type(plan.cls.__name__, (), body))
        owner.__dataclass_params__ = twin.__dataclass_params__
        found: dict[str, Field[Any]] = twin.__dataclass_fields__
        owner.__dataclass_fields__ = found
        return found


def _constructor(plan: _Plan) -> Any:  # noqa: ANN401 -- a function
    """Return `__init__`; it and what makes altered copies are generated, as calls are what must be fast."""
    names: dict[str, Any] = {"_set": object.__setattr__}
    arguments = ["self", *(["*"] if plan.kw_only and plan.fields else [])]
    lines = []
    for name, given in plan.fields.items():
        value, default = name, ""
        if "default_factory" in given:
            names[f"_make_{name}"] = given["default_factory"]
            names["_none"] = _Given
            value, default = f"_make_{name}() if {name} is _none else {name}", "=_none"
        elif "default" in given:
            names[f"_is_{name}"] = given["default"]
            default = f"=_is_{name}"
        arguments.append(name + default)
        lines.append(_setting(plan, name, value, names))
    if hasattr(plan.cls, "__post_init__"):
        lines.append("self.__post_init__()")
    found = _made(plan, "__init__", ", ".join(arguments), lines or ["pass"], names)
    found.__qualname__ = f"{plan.cls.__qualname__}.__init__"
    found.__annotations__ = {**plan.cls.__annotations__, "return": None}
    return found


def _setting(plan: _Plan, name: str, value: str, names: dict[str, Any], of: str = "self") -> str:
    """Return the line that sets a field of `of`; what it calls is added to `names`."""
    if not plan.frozen:
        return f"{of}.{name} = {value}"
    slot = plan.cls.__dict__.get(name)
    if not isinstance(slot, MemberDescriptorType):
        return f"_set({of}, {name!r}, {value})"
    # The slot's own way in, a third faster than looking it up by its name.
    names[f"_set_{name}"] = slot.__set__
    return f"_set_{name}({of}, {value})"


def _made(plan: _Plan, what: str, arguments: str, lines: Sequence[str], names: dict[str, Any]) -> Any:  # noqa: ANN401
    """Return the function `what`; `names` are what its lines use besides its arguments."""
    body = "\n  ".join(lines)
    code = f"def make({', '.join(names)}):\n def {what}({arguments}):\n  {body}\n return {what}"
    made: dict[str, Any] = {}
    exec(code, sys.modules[plan.cls.__module__].__dict__, made)  # noqa: S102 -- our own field names
    return made["make"](**names)


def _field(**options: Any) -> Any:  # noqa: ANN401 -- of the field's type
    return _Given(options)


def _replace(value: Any, /, **changes: Any) -> Any:  # noqa: ANN401 -- of the same class
    cls = type(value)
    plan: _Plan | None = cls.__dict__.get("__plan__")
    if plan is None:
        return cls(**{**{name: getattr(value, name) for name in value.__dataclass_fields__}, **changes})
    if plan.altered is None:
        plan.altered = _copier(plan)
    return plan.altered(value, **changes)


def _copier(plan: _Plan) -> Any:  # noqa: ANN401 -- a function
    """Return what makes an altered copy: a fold over the journal makes more copies than values anew."""
    names: dict[str, Any] = {"_set": object.__setattr__, "_new": object.__new__, "_none": _Given}
    names["_cls"] = plan.cls
    arguments = ["self", "/", *(["*"] if plan.fields else []), *(f"{name}=_none" for name in plan.fields)]
    kept = {name: f"self.{name} if {name} is _none else {name}" for name in plan.fields}
    lines = ["made = _new(_cls)", *(_setting(plan, *one, names, of="made") for one in kept.items())]
    if hasattr(plan.cls, "__post_init__"):
        lines.append("made.__post_init__()")
    return _made(plan, "replace", ", ".join(arguments), [*lines, "return made"], names)


def _eq(self: Any, other: Any) -> Any:  # noqa: ANN401 -- NotImplemented, too
    if self.__class__ is not other.__class__:
        return NotImplemented
    values: Callable[[object], object] = self.__plan__.values
    return values(self) == values(other)


def _hash(self: Any) -> int:  # noqa: ANN401 -- any value class
    return hash(self.__plan__.values(self))


def _repr(self: Any) -> str:  # noqa: ANN401 -- any value class
    told = (
        f"{name}={getattr(self, name)!r}"
        for name, given in self.__plan__.fields.items()
        if given.get("repr", True)
    )
    return f"{type(self).__qualname__}({', '.join(told)})"


def _getstate(self: Any) -> dict[str, Any]:  # noqa: ANN401 -- any value class
    return {name: getattr(self, name) for name in self.__plan__.fields}


def _setstate(self: object, state: dict[str, Any]) -> None:
    for name, value in state.items():
        object.__setattr__(self, name, value)


def _refuse_set(_self: object, name: str, _value: object) -> None:
    from dataclasses import FrozenInstanceError

    msg = f"cannot assign to field {name!r}"
    raise FrozenInstanceError(msg)


def _refuse_delete(_self: object, name: str) -> None:
    from dataclasses import FrozenInstanceError

    msg = f"cannot delete field {name!r}"
    raise FrozenInstanceError(msg)


if not TYPE_CHECKING:
    dataclass, field, replace = _dataclass, _field, _replace
