"""`agentloop relay`, as a person and as a program use it."""

from __future__ import annotations

import fcntl
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from agentloop.cli.relay import app
from agentloop.domain.relay import FIRST, RelayDelta, apply, clean_facts, render
from agentloop.edges.relay import RelayFile
from agentloop.errors import BusyError
from agentloop.home import Home


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A home whose relay has two versions of ours: cycles 1 and 2."""
    home = Home(tmp_path)
    home.settings_file.write_text("")
    home.memories.mkdir()
    home.relay.write_text(render(FIRST))
    file = RelayFile(home)
    for cycle in (1, 2):
        base = file.read()
        new = apply(base.relay, RelayDelta(next_action=f"Step {cycle}."), cycle)
        file.write(replace(new, facts=clean_facts([("cycle", cycle), ("open issues", None)])), base)
    return home


def run(home: Home, *args: str) -> tuple[int, str]:
    """Exit code and output of `agentloop relay ARGS`."""
    result = CliRunner().invoke(app, [*args, "--home", str(home.root)], catch_exceptions=False)
    return result.exit_code, result.stdout


def answer(home: Home, *args: str) -> Any:  # noqa: ANN401 -- JSON
    """What a program gets."""
    return json.loads(run(home, *args, "--json")[1])


def test_show(home: Home) -> None:
    """The relay's text, and the same as JSON with nulls for what is unknown."""
    code, text = run(home, "show")
    assert (code, "## Next action\n\nStep 2.\n" in text) == (0, True)
    shown = answer(home, "show")
    assert (shown["version"], shown["facts"]) == (3, {"cycle": "2", "open issues": None})
    assert (shown["plan"]["next_action"], shown["settled"]) == ("Step 2.", True)


def test_lint(home: Home) -> None:
    """A sound relay ends with 0, another with 1 and the line."""
    assert run(home, "lint") == (0, "the relay is sound\n")
    home.relay.write_text(home.relay.read_text().replace("## Facts", "## Fiction"))
    code, text = run(home, "lint")
    assert (code, "no section “## Facts”" in text) == (1, True)
    assert answer(home, "lint")["problems"][0]["line"] > 1


def test_log_and_diff(home: Home) -> None:
    """Versions with cycle and next action; what changed between them."""
    said = [(row["version"], row["cycle"], row["next_action"]) for row in answer(home, "log")["versions"]]
    assert said == [(3, "2", "Step 2."), (2, "1", "Step 1.")]
    for args in (("diff",), ("diff", "2", "3")):
        text = run(home, *args)[1]
        assert [line for line in text.split("\n") if "Step" in line] == ["-Step 1.", "+Step 2."]


def test_rollback(home: Home) -> None:
    """The old plan is in force again; without a repository that is said."""
    said = answer(home, "rollback", "2")
    assert (said["version"], said["changed"]) == (4, True)
    assert "not a git repository" in said["not_committed"]
    assert RelayFile(home).read().relay.plan.next_action == "Step 1."


def test_rollback_waits_for_a_cycle(home: Home) -> None:
    """While a cycle runs it is refused: the cycle would write its own plan over it."""
    home.run.mkdir(parents=True)
    with home.lock.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(BusyError, match="a cycle is running"):
            run(home, "rollback", "2")
