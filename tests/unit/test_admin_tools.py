"""The admin's tools: schemas that explain themselves, and parsing that lets nothing made up pass."""

from __future__ import annotations

from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentloop.admin.tools import Malformed, ReadDiff, ReadFile, ReadIssue, parse, tools
from agentloop.domain import decisions as d
from agentloop.domain.codec import tag_of
from agentloop.domain.relay import NewDecision, RelayDelta
from agentloop.domain.work import Check

PLAN: dict[str, Any] = {
    "issue": "7",
    "tasks": [
        {
            "title": "Say so",
            "goal": "It says so.",
            "criteria": ["a sentence"],
            "checks": [{"name": "t", "command": "pytest"}],
            "needs": [],
        }
    ],
    "rationale": "one place",
}


def test_every_decision_of_the_admins_is_a_tool_and_none_of_the_rules_is() -> None:
    """Nothing that a model says can merge, start without admission, or close an issue."""
    names = {one.name for one in tools()}
    decided = {tag_of(kind) for kind in get_args(d.AdminDecision)}
    assert names == decided | {"relay", "read_issue", "read_diff", "read_log", "read_file"}
    assert not names & {tag_of(kind) for kind in get_args(d.RuleDecision)}


def test_tools_always_come_in_the_same_order() -> None:
    """The prompt's stable part is cached."""
    assert tools() == tools()
    assert tools()[0].name == "read_issue"


def fields(schema: Any, path: str) -> list[tuple[str, Any]]:  # noqa: ANN401 - JSON
    """Every object's fields in a schema, with their path."""
    objects = {path: schema, **{f"{path}.{name}": one for name, one in schema.get("$defs", {}).items()}}
    return [
        (f"{where}.{name}", field)
        for where, one in objects.items()
        for name, field in one["properties"].items()
    ]


@pytest.mark.parametrize("tool", tools(), ids=lambda tool: tool.name)
def test_every_tool_explains_itself_and_refuses_what_it_does_not_know(tool: Any) -> None:  # noqa: ANN401 - a Tool
    """Each field has a sentence; every decision has a rationale; no further fields."""
    schema = dict(tool.schema)
    assert tool.description
    assert schema["type"] == "object"
    assert [name for name, field in fields(schema, tool.name) if "description" not in field] in (
        [],
        [f"{tool.name}.Check.name", f"{tool.name}.Check.command"],
    )
    assert all(one["additionalProperties"] is False for one in (schema, *schema.get("$defs", {}).values()))
    if tool.name not in ("relay", "read_issue", "read_diff", "read_log", "read_file"):
        assert "rationale" in schema["required"]


def test_a_call_that_fits_is_a_frozen_value() -> None:
    """Nested, with defaults filled in."""
    assert parse("plan", PLAN) == d.Plan(
        issue="7",
        tasks=(
            d.PlannedTask(
                title="Say so",
                goal="It says so.",
                criteria=("a sentence",),
                checks=(Check(name="t", command="pytest"),),
            ),
        ),
        rationale="one place",
    )
    assert parse("read_issue", {"issue": "7"}) == ReadIssue(issue="7")
    assert parse("read_diff", {"attempt": "7.1.1"}) == ReadDiff(attempt="7.1.1")
    assert parse("read_file", {"path": "."}) == ReadFile(path=".")
    delta = {"next_action": "wait", "add_decisions": [{"what": "a", "why": "b"}]}
    assert parse("relay", delta) == RelayDelta(
        next_action="wait", add_decisions=(NewDecision(what="a", why="b"),)
    )


@pytest.mark.parametrize(
    ("name", "given", "says"),
    [
        ("merge", {}, "there is no tool 'merge'"),
        ("start", {"task": "7.1", "rationale": "r"}, "there is no tool 'start'"),
        ("plan", {}, "issue: "),
        ("plan", {**PLAN, "force": True}, "unknown fields: force"),
        (
            "plan",
            {**PLAN, "tasks": [{**PLAN["tasks"][0], "sandbox": "none"}]},
            "unknown fields: tasks.sandbox",
        ),
        ("plan", {**PLAN, "tasks": "all of it"}, "tasks: "),
        ("plan", {**PLAN, "tasks": ["do it"]}, "tasks.0: "),
        ("plan", {**PLAN, "tasks": [{**PLAN["tasks"][0], "kind": "deploy"}]}, "tasks.0.kind: "),
        ("plan", {**PLAN, "tasks": [{**PLAN["tasks"][0], "needs": ["first"]}]}, "tasks.0.needs.0: "),
        ("plan", {**PLAN, "rationale": None}, "rationale: "),
        ("review", {"attempt": "7.1.1", "says": "good", "rationale": "r"}, "accept: "),
        ("sleep", {"minutes": "long", "rationale": "r"}, "minutes: "),
        ("hibernate", {"until": [{"on": "weather"}], "rationale": "r"}, "until.0.on: "),
        ("read_file", {"path": 7}, "path: "),
    ],
)
def test_a_call_that_does_not_fit_says_what_is_wrong(name: str, given: dict[str, Any], says: str) -> None:
    """It names the field, so that the model can mend it."""
    found = parse(name, given)
    assert isinstance(found, Malformed)
    assert (found.tool, says in found.why) == (name, True)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
KEYS = st.sampled_from(["issue", "tasks", "rationale", "task", "attempt", "accept", "until", "minutes", "x"])


@given(st.sampled_from([one.name for one in tools()]), st.dictionaries(KEYS, JSON, max_size=5))
def test_any_call_at_all_is_a_value_or_says_what_is_wrong(name: str, given: dict[str, Any]) -> None:
    """A model that answers rubbish breaks nothing."""
    found = parse(name, given)
    assert not isinstance(found, Malformed) or (found.tool == name and found.why)
