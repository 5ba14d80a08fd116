"""Our quick dataclasses, held against the standard library's."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import pickle
from types import ModuleType
from typing import Any

import pytest

from agentloop.domain import valueclass

OURS: Any = valueclass


def _made(library: ModuleType) -> tuple[Any, ...]:
    @library.dataclass(frozen=True, slots=True, kw_only=True)
    class Frozen:
        """One."""

        name: str
        secret: str = library.field(repr=False)
        count: int = 0
        seen: dict[str, int] = library.field(default_factory=dict, metadata={"doc": "what was seen"})

        @property
        def twice(self) -> int:
            """Twice the count."""
            return 2 * self.count

    @library.dataclass(frozen=True, slots=True)
    class Positional:
        only: tuple[int, ...]

    @library.dataclass
    class Mutable:
        names: list[str] = library.field(default_factory=list)
        count: int = 3

    @library.dataclass(frozen=True, slots=True, kw_only=True)
    class Empty:
        pass

    return Frozen, Positional, Mutable, Empty


@dataclasses.dataclass(frozen=True)
class Told:
    """What can be seen of values from outside."""

    said: tuple[Any, ...]


def _told(library: ModuleType) -> Told:
    frozen, positional, mutable, empty = _made(library)
    one = frozen(name="a", secret="b")
    other = library.replace(one, count=2, seen={"x": 1})
    place = positional((1, 2))
    return Told(
        said=(
            repr(one),
            repr(other),
            other.twice,
            one == frozen(name="a", secret="b"),
            one == other,
            one != place,
            hash(place) == hash(positional((1, 2))),
            repr(place),
            repr(mutable()),
            mutable().names is mutable().names,
            mutable.__hash__,
            repr(empty()),
            empty() == empty(),
            hash(empty()) == hash(empty()),
            [cls.__match_args__ for cls in (frozen, positional, mutable, empty)],
            [str(inspect.signature(cls)).replace(library.__name__, "") for cls in (positional, empty)],
            [list(inspect.signature(cls).parameters) for cls in (frozen, mutable)],
            [[(f.name, f.type, f.kw_only) for f in dataclasses.fields(cls)] for cls in (frozen, mutable)],
            [dict(f.metadata) for f in dataclasses.fields(frozen)],
            dataclasses.is_dataclass(frozen),
            dataclasses.asdict(other),
            repr(dataclasses.replace(one, count=5)),
            frozen.__slots__,
            [cls.__doc__ for cls in (frozen,)],
            copy.deepcopy(other) == other,
            mutable.count,
        )
    )


def test_values_behave_as_the_standard_librarys() -> None:
    """What they show, compare, hash, take and tell of themselves is the same."""
    assert _told(dataclasses) == _told(OURS)


@valueclass.dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """A class that can be found by name."""

    name: str
    count: int = 1


def test_a_frozen_value_refuses_changes_and_is_copied_whole() -> None:
    """Nothing can be set, deleted or added; copies and pickles are equal."""
    one = Known(name="a")
    with pytest.raises(dataclasses.FrozenInstanceError):
        one.name = "b"  # type: ignore[misc]
    with pytest.raises(dataclasses.FrozenInstanceError):
        del one.name
    assert one == copy.copy(one)
    assert one == pickle.loads(pickle.dumps(one))  # noqa: S301 -- our own


@pytest.mark.parametrize("given", [{}, {"name": "a", "other": 1}])
def test_a_wrong_call_is_refused(given: dict[str, Any]) -> None:
    """As any function refuses it."""
    with pytest.raises(TypeError):
        Known(**given)


def test_what_is_not_supported_is_refused_when_the_class_is_made() -> None:
    """A subclass, or an option of `field` that we have not, would be wrong silently."""
    with pytest.raises(TypeError, match="no value class above it"):
        OURS.dataclass(type("Below", (Known,), {"__annotations__": {"more": "int"}}))
    with pytest.raises(TypeError, match="compare"):
        OURS.field(compare=False)


def test_a_constructor_that_checks_is_called() -> None:
    """`__post_init__` comes last."""

    @valueclass.dataclass(frozen=True, slots=True, kw_only=True)
    class Checked:
        count: int

        def __post_init__(self) -> None:
            if self.count < 0:
                msg = "below zero"
                raise ValueError(msg)

    with pytest.raises(ValueError, match="below zero"):
        Checked(count=-1)
