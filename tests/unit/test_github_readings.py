"""Issues of GitHub as text, and back: a look at what did not change stands on it."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from agentloop.domain.issue import Comment, Issue, SetLabel
from agentloop.edges.github import readings

TEXT = st.text(max_size=20)
MOMENT = st.datetimes(min_value=datetime(1970, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - bounds are naive
SAID = st.builds(Comment, at=MOMENT, ours=st.booleans(), trusted=st.booleans(), edited=st.booleans(), op=TEXT)
ISSUES = st.builds(
    Issue,
    created_at=MOMENT,
    labels=st.lists(TEXT, max_size=3).map(tuple),
    comments=st.lists(SAID, max_size=3).map(tuple),
    trusted=st.booleans(),
    words=TEXT,
    set_labels=st.none() | st.lists(st.builds(SetLabel, at=MOMENT), max_size=2).map(tuple),
)


@given(st.dictionaries(st.integers(1, 99), st.none() | ISSUES, max_size=4))
def test_what_was_read_survives_its_written_form(read: dict[int, Issue | None]) -> None:
    """Every field, surrogates and all; a thread that is no issue stays none."""
    assert readings.read({number: readings.text(one) for number, one in read.items()}) == read


def test_every_field_has_its_place() -> None:
    """A field that is added to an issue, a comment or a set label needs a place in the text as well."""
    fields = [" ".join(kind.__dataclass_fields__) for kind in (Issue, Comment, SetLabel)]
    assert fields == [
        "id number title body author state target created_at labels comments trusted words set_labels",
        "id author body at ours trusted edited op",
        "id name by at",
    ]


def test_a_damaged_text_is_read_anew() -> None:
    """A cache: what makes no sense in it is as good as not there."""
    assert readings.read({1: "null", 2: "["}) == {}
    assert readings.read({1: "", 2: "[1]"}) == {}


def test_it_holds_for_one_target_and_one_trust() -> None:
    """Another name, other people to listen to: another key."""
    keys = {readings.key("web", [1]), readings.key("web", [2]), readings.key("api", [1])}
    assert len(keys) == 3
