"""What all commands share: ages as people say them, lists that are cut, JSON."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from agentloop.cli import common

NOW = datetime(2026, 11, 20, 10, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (-5, "now"),
        (59, "now"),
        (60, "1m"),
        (3599, "59m"),
        (3600, "1h"),
        (86399, "23h"),
        (86400, "1d"),
        (14 * 86400 - 1, "13d"),
        (14 * 86400, "2w"),
        (365 * 86400 - 1, "52w"),
        (800 * 86400, "2y"),
    ],
)
def test_an_age_is_said_in_one_unit(seconds: int, said: str) -> None:
    """The largest that fits; a clock that went back makes nothing older than now."""
    assert common.age(NOW - timedelta(seconds=seconds), NOW) == said


def test_a_list_is_cut_and_says_how_to_see_all() -> None:
    """And says nothing when it is whole."""
    assert common.bounded("abc", 2, "agentloop x") == ("ab", "agentloop x --limit 3")
    assert common.bounded("abc", 3, "agentloop x") == ("abc", "")


def test_compact_json_is_one_line_without_what_is_empty(capsys: pytest.CaptureFixture[str]) -> None:
    """False and 0 are said: they are facts."""
    common.print_json({"a": None, "b": False, "c": 0, "d": [{"e": "", "f": "é"}]}, compact=True)
    assert capsys.readouterr().out == '{"schema":1,"b":false,"c":0,"d":[{"f":"é"}]}\n'
    common.print_json({"a": None})
    assert json.loads(capsys.readouterr().out) == {"schema": 1, "a": None}


def test_a_pipe_gets_no_character_that_turns_words_around(capsys: pytest.CaptureFixture[str]) -> None:
    """It often ends on a screen; `--json` gives every character."""
    common.print_markdown(common.console(), "safe \u202eevil", raw=True)
    common.print_json({"body": "safe \u202eevil"}, compact=True)
    shown, said = capsys.readouterr().out.splitlines()
    assert (shown, json.loads(said)["body"]) == ("safe \ufffdevil", "safe \u202eevil")
