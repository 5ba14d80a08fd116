"""Frozen values to JSON and back: what every file of ours stands on."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentloop.domain.codec import CodecError, decode, encode, moment, stamp, tag_of
from agentloop.domain.settings import Price, Settings, Target
from agentloop.domain.work import AttemptSpec, Check, Contract, End, Finding, GateSpec, Outcome, Task, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable

TEXT = st.text(max_size=20)
MOMENT = st.datetimes(min_value=datetime(1970, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - bounds are naive


def of(kind: Any) -> st.SearchStrategy[Any]:  # noqa: ANN401 - any type of ours
    """Values of a type, every field drawn."""
    return st.from_type(kind)


st.register_type_strategy(datetime, MOMENT)
st.register_type_strategy(float, st.floats(allow_nan=False, allow_infinity=False))


@given(of(Task) | of(Finding) | of(Contract) | of(End) | of(Verdict) | of(Target))
def test_a_value_survives_its_written_form(value: object) -> None:
    """Encoded, dumped, loaded and decoded it is equal, whatever is in its fields."""
    assert decode(type(value), json.loads(json.dumps(encode(value)))) == value


@given(st.builds(Settings, prices=st.dictionaries(TEXT, of(Price), max_size=3)))
def test_settings_survive_their_written_form(value: Settings) -> None:
    """With their prices, by name."""
    assert decode(Settings, json.loads(json.dumps(encode(value)))) == value


@pytest.mark.parametrize("kind", [AttemptSpec, GateSpec])
def test_specs_survive_their_written_form(kind: type) -> None:
    """They travel between processes."""

    @given(of(kind))
    def survives(value: object) -> None:
        assert decode(kind, json.loads(json.dumps(encode(value)))) == value

    run: Callable[[], None] = survives
    run()


@given(of(Outcome))
def test_a_member_of_a_union_comes_back_as_that_member(outcome: Outcome) -> None:
    """By its tag."""
    written = json.loads(json.dumps(encode(outcome)))
    assert written["is"] == tag_of(type(outcome))
    assert decode(Outcome, written) == outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaf:
    """A small value."""

    name: str
    at: datetime
    weight: float = 1.0
    kind: Literal["a", "b"] = "a"


@dataclass(frozen=True, slots=True, kw_only=True)
class Other:
    """Another member."""

    number: int


Either: TypeAlias = Leaf | Other


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """A value of every shape."""

    leaves: tuple[Leaf, ...] = ()
    one: Either | None = None
    maybe: str | None = None
    by_name: dict[str, Leaf] = field(default_factory=dict)
    names: frozenset[str] = frozenset()
    yes: bool = False


LEAF = {"name": "x", "at": "2026-11-02T09:00:00Z"}


def test_unknown_keys_are_ignored_and_missing_ones_take_their_defaults() -> None:
    """An older program reads what a newer one wrote, and the other way round."""
    found = decode(Tree, {"leaves": [{**LEAF, "colour": "red"}], "is": "tree", "from_the_future": [1, 2]})
    assert found == Tree(leaves=(Leaf(name="x", at=datetime(2026, 11, 2, 9, tzinfo=UTC)),))


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ([], "value: expected dict, found list"),
        ({"leaves": {}}, "leaves: expected list or tuple, found dict"),
        ({"leaves": [LEAF, {"at": "2026-11-02T09:00:00Z"}]}, "leaves[1]: missing name"),
        ({"leaves": [{**LEAF, "name": 7}]}, "leaves[0].name: expected str, found int"),
        ({"leaves": [{**LEAF, "weight": "heavy"}]}, "leaves[0].weight: expected int or float, found str"),
        ({"leaves": [{**LEAF, "weight": True}]}, "leaves[0].weight: expected int or float, found bool"),
        ({"leaves": [{**LEAF, "kind": "c"}]}, "leaves[0].kind: 'c' is none of a, b"),
        ({"leaves": [{**LEAF, "kind": ["a"]}]}, "leaves[0].kind: ['a'] is none of a, b"),
        ({"leaves": [{**LEAF, "at": "yesterday"}]}, "leaves[0].at: Invalid isoformat string: 'yesterday'"),
        (
            {"leaves": [{**LEAF, "at": "2026-11-02T09:00"}]},
            "leaves[0].at: '2026-11-02T09:00' names no time zone",
        ),
        ({"leaves": [{**LEAF, "at": 5}]}, "leaves[0].at: expected str, found int"),
        ({"one": {"is": "nobody"}}, "one: 'nobody' is none of the kinds known here"),
        ({"one": {"is": ["leaf"]}}, "one: ['leaf'] is none of the kinds known here"),
        ({"one": {"number": 1}}, "one: 'object without a tag' is none of the kinds known here"),
        ({"one": {"is": "other", "number": "1"}}, "one.number: expected int, found str"),
        ({"maybe": 3}, "maybe: 'int' is none of the kinds known here"),
        ({"by_name": {"k": {}}}, "by_name.k: missing at, name"),
        ({"names": ["a", 1]}, "names[1]: expected str, found int"),
        ({"yes": 1}, "yes: expected bool, found int"),
    ],
)
def test_an_error_names_the_path_to_what_is_wrong(data: object, says: str) -> None:
    """And what was expected there."""
    with pytest.raises(CodecError) as caught:
        decode(Tree, data)
    assert str(caught.value) == says


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["is", "leaves", "one", "maybe", "by_name", "name", "at", "x"]), inner
        )
    ),
    max_leaves=10,
)


@given(PLAIN)
def test_any_json_at_all_is_a_value_or_a_codec_error(data: object) -> None:
    """Nothing else is raised: whoever reads a file has one thing to catch."""
    try:
        found = decode(Tree, data)
    except CodecError:
        return
    assert isinstance(found, Tree)


def test_a_moment_is_written_in_utc_and_read_from_any_zone() -> None:
    """With microseconds and a Z."""
    there = datetime(2026, 11, 2, 10, 0, 0, 5, tzinfo=timezone(timedelta(hours=1)))
    assert stamp(there) == "2026-11-02T09:00:00.000005Z"
    assert moment("2026-11-02T10:00:00+01:00") == moment("2026-11-02T09:00:00Z")
    assert moment("2026-11-02T10:00:00+01:00").tzinfo is UTC


@pytest.mark.parametrize("text", ["9999-12-31T23:59:59-23:00", "0001-01-01T00:00:00+01:00", "now", ""])
def test_a_moment_that_cannot_be_told_is_a_value_error(text: str) -> None:
    """Beyond the years there are, too."""
    with pytest.raises(ValueError, match=r".+"):
        moment(text)


@pytest.mark.parametrize(
    ("kind", "tag"), [(Check, "check"), (AttemptSpec, "attempt_spec"), (End, "end"), (GateSpec, "gate_spec")]
)
def test_a_tag_is_the_classes_name_in_snake_case(kind: type, tag: str) -> None:
    """Class names are part of the formats."""
    assert tag_of(kind) == tag
