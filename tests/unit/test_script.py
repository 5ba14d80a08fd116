"""The scripted model: what its script may say, how steps are found, and what requests it turns away."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest

from agentloop.testing.model import ScriptedModel
from agentloop.testing.script import ScriptError, load, parse
from agentloop.testing.wire import objection

if TYPE_CHECKING:
    from pathlib import Path

STORY = """
[[step]]
name = "plan"
when.system = "admin"
when.has = ["adds wrongly", "issue 1"]
capture = { task = 'task (\\d+)' }
say = "task <<task>>"

[[step]]
name = "after the result"
when.tool_result_of = "read"
when.lacks = "error"
say = "done"
"""


def call(url: str, body: object, key: str = "k", path: str = "/v1/messages") -> tuple[int, dict[str, Any]]:
    """Status and body of what the server at `url` answers."""
    data, headers = json.dumps(body).encode(), {"x-api-key": key}
    asked = urllib.request.Request(f"{url}{path}", data=data, headers=headers)  # noqa: S310 - loopback
    try:
        with urllib.request.urlopen(asked, timeout=60) as answer:  # noqa: S310 - loopback
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def body(text: str = "issue 1: it adds wrongly, task 7", **more: object) -> dict[str, Any]:
    """A request that the story plans on."""
    plain = {
        "model": "m",
        "max_tokens": 9,
        "system": "admin",
        "messages": [{"role": "user", "content": text}],
    }
    return {**plain, **more}


def test_a_step_is_found_by_what_the_request_contains() -> None:
    """In any order and as often as asked: the same request gets the same answer."""
    with ScriptedModel(STORY) as model:
        for _ in range(2):
            status, answer = call(model.url, body())
            assert (status, answer["content"]) == (200, [{"type": "text", "text": "task 7"}])
            assert answer["usage"]["output_tokens"] == 9


def test_a_request_that_nothing_matches_names_the_nearest_step_and_what_it_missed() -> None:
    """An empty briefing cannot pass: it is an error, and remembered."""
    with ScriptedModel(STORY) as model:
        status, answer = call(model.url, body("issue 1, task 7"))
        assert (status, answer["error"]["type"]) == (400, "invalid_request_error")
        assert "'plan' (script:2)" in answer["error"]["message"]
        assert "the last message lacks 'adds wrongly'" in answer["error"]["message"]
        assert model.errors == [answer["error"]["message"]]


def test_a_result_is_matched_by_its_tool() -> None:
    """The name of the tool comes from the call that the result answers."""
    use = {"type": "tool_use", "id": "t1", "name": "read", "input": {}}
    result = {"type": "tool_result", "tool_use_id": "t1", "content": [{"type": "text", "text": "fine"}]}
    turns = [
        {"role": "user", "content": "go"},
        {"role": "assistant", "content": [use]},
        {"role": "user", "content": [result]},
    ]
    with ScriptedModel(STORY) as model:
        assert call(model.url, body(messages=turns))[1]["content"][0]["text"] == "done"


def test_a_fault_passes_away() -> None:
    """After its times the next step that matches answers."""
    text = '[[step]]\nwhen.has = "issue"\nfault = "529"\ntimes = 2\n' + STORY
    with ScriptedModel(text) as model:
        assert [call(model.url, body())[0] for _ in range(4)] == [529, 529, 200, 200]


def test_a_tool_that_is_not_offered_cannot_be_called() -> None:
    """A script that asks for a tool the request lacks is a mistake on one of the two sides."""
    with ScriptedModel('[[step]]\nwhen.has = "issue"\n[[step.call]]\ntool = "merge"') as model:
        status, answer = call(model.url, body())
    assert (status, "'merge'" in answer["error"]["message"]) == (400, True)


@pytest.mark.parametrize(
    ("text", "where"),
    [
        (
            '[[step]]\nwhen.has = "x"\nsay = "a"\n\n[[step]]\nwhen.has = "x"\nsays = "y"\n',
            "s.toml:7: unknown key 'says'",
        ),
        ('[[step]]\nwhen = { haz = "x" }\nsay = "y"', "s.toml:2: unknown condition 'haz'"),
        ('[[step]]\nsay = "y"', "s.toml:1: a step needs a `when`"),
        ('[[step]]\nwhen.has = "x"', "s.toml:1: a step needs `say`"),
        ('[[step]]\nwhen.has = "x"\nfault = "flood"', "s.toml:3: unknown fault 'flood'"),
        ('[[step]]\nwhen.has = "x"\nsay = "y"\ntimes = 2', "s.toml:4: `times` is for faults"),
        ('[[step]]\nwhen.has = "x"\nsay = """\n[[step]]\n"""\nstp = 1', "s.toml:6: unknown key 'stp'"),
        ('[[step]]\nwhen.has = "x"\nsay = "<<y>>"', "<<y>> is not captured"),
        ('[[step]]\nwhen.has = "x"\nsay = "y"\ncapture = { a = \'(\' }', "s.toml:4: capture.a is no regular"),
        ('[[step]]\nwhen.has = "x"\nsay = "y"\ncapture = { a = \'b\' }', "needs one group"),
        ('[[step]]\nwhen.has = [""]\nsay = "y"', "when.has cannot be"),
        ('[[step]]\nwhen.has = "x"\nsay = 3', "s.toml:3: say cannot be 3"),
        ('[[step]]\nwhen.has = "x"\n[[step.call]]\nname = "t"', "a call has a tool"),
        ("", "at least one [[step]]"),
        ("steps = 1", "unknown key 'steps'"),
        ("= 1", "s.toml: "),
    ],
)
def test_a_mistake_in_a_script_is_named_with_its_line(text: str, where: str) -> None:
    """Nothing is guessed: what is not known is an error that says where."""
    with pytest.raises(ScriptError) as caught:
        parse(text, "s.toml")
    assert where in str(caught.value)


def test_a_script_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    """A missing file names itself."""
    with pytest.raises(ScriptError, match=r"none\.toml"):
        load(tmp_path / "none.toml")


def turn(role: str, *blocks: dict[str, Any]) -> dict[str, Any]:
    """One message."""
    return {"role": role, "content": list(blocks)}


USE = {"type": "tool_use", "id": "t1", "name": "read", "input": {}}
RESULT = {"type": "tool_result", "tool_use_id": "t1", "content": "x"}
WORDS = {"type": "text", "text": "x"}


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ([], "not a JSON object"),
        ({"model": "m"}, "max_tokens"),
        (body(max_tokens=0), "max_tokens"),
        (body(model=""), "model"),
        (body(messages=[]), "at least one message"),
        (body(messages=[turn("assistant", WORDS), turn("user", WORDS)]), "first message"),
        (body(messages=[turn("user", WORDS), turn("assistant", WORDS)]), "last message"),
        (body(messages=[turn("user", WORDS), turn("user", WORDS)]), "alternate"),
        (body(messages=[turn("user", {"type": "text", "text": " "})]), "non-empty"),
        (body(messages=[turn("user")]), "must not be empty"),
        (body(messages=[turn("user", WORDS), turn("assistant", USE), turn("user", WORDS)]), "no tool_result"),
        (body(messages=[turn("user", RESULT)]), "answers no tool_use"),
        (body(messages=[turn("user", {"text": "x"})]), "missing"),
        (body(messages=["x"]), "wrong type"),
        (body(tools=[{"name": "a b", "input_schema": {"type": "object"}}]), "does not match"),
        (body(tools=[{"name": "a", "input_schema": {"type": "array"}}]), "type object"),
        (body(system=[{**WORDS, "cache_control": {}} for _ in range(5)]), "at most 4"),
    ],
)
def test_a_malformed_request_is_turned_away(wrong: Any, why: str) -> None:  # noqa: ANN401 - whatever is sent
    """As the service does: so a client that breaks the protocol is found out."""
    found = objection(wrong)
    assert found is not None
    assert why in found


def test_a_good_request_is_not_turned_away() -> None:
    """Calls and results in pairs, roles in turns."""
    turns = [turn("user", WORDS), turn("assistant", WORDS, USE), turn("user", RESULT, WORDS)]
    assert objection(body(messages=turns)) is None


def test_without_a_key_nothing_is_answered() -> None:
    """The service asks for a key first of all."""
    with ScriptedModel(STORY) as model:
        assert call(model.url, body(), key="")[0] == 401
        assert call(model.url, {}, path="/v2/other")[0] == 404
        assert model.requests == []


def test_the_program_prints_its_url_records_requests_and_tells_of_errors(tmp_path: Path) -> None:
    """As `scripts/demo` and people use it: a process, ended by a signal, with a telling exit code."""
    script, record = tmp_path / "story.toml", tmp_path / "record.jsonl"
    script.write_text(STORY)
    arguments = [sys.executable, "-m", "agentloop.testing.model", str(script), "--record", str(record)]
    program = subprocess.Popen(
        arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ}
    )
    assert program.stdout is not None
    url = program.stdout.readline().strip()
    assert call(url, body())[0] == 200
    assert call(url, body("nothing"))[0] == 400
    program.send_signal(signal.SIGTERM)
    _, errors = program.communicate(timeout=60)
    assert (program.returncode, "no step matches" in errors) == (1, True)
    assert [json.loads(line).get("step") for line in record.read_text().splitlines()] == ["plan", None]
