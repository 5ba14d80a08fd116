"""`agentloop sim`: a forecast from a home's own settings, on screen and for programs."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from agentloop.__main__ import main
from agentloop.domain.settings import Limits, Price, Settings, Target
from agentloop.testing.gitrepo import checkout
from agentloop.testing.sim.forecast import forecast, week
from agentloop.testing.sim.workload import Workload

if TYPE_CHECKING:
    from pathlib import Path

SETTINGS = Settings(targets=(Target(name="calc", repository="/nowhere", verify=("make test",)),))
PRICE = Price(input=2_000_000, output=10_000_000, cache_write=2_500_000, cache_read=200_000)
PRICED = replace(SETTINGS, prices={"claude-sonnet-5-5": PRICE, "claude-opus-5-5": PRICE})


def test_the_same_seed_tells_the_same_week() -> None:
    """And another seed another one."""
    one = week(SETTINGS, Workload(), seed=1, weeks=0.5)
    assert week(SETTINGS, Workload(), seed=1, weeks=0.5) == one
    assert week(SETTINGS, Workload(), seed=2, weeks=0.5) != one


def test_a_tighter_limit_is_named_and_costs_less() -> None:
    """With two dollars a day less is done, and the limit says where the rest stands."""
    free = week(PRICED, Workload(), seed=3, weeks=0.6)
    tight = replace(PRICED, limits=Limits(day_usd=2.0, attempt_usd=1.0, cycle_usd=0.5))
    held = week(tight, Workload(), seed=3, weeks=0.6)
    assert held.dearest_day_micros <= 2_000_000 < free.dearest_day_micros
    assert (held.issues_filed, held.pulls_opened < free.pulls_opened) == (free.issues_filed, True)
    assert "limits.day_usd" in [one.name for one in held.holds]


def test_an_empty_week_costs_nothing() -> None:
    """Without an issue no model is asked, and every cycle after the first is idle."""
    found = week(SETTINGS, Workload(issues_per_day=0), seed=1, weeks=1)
    assert (found.spent_micros, found.admin_calls, found.cycles_working) == (0, 0, 0)
    assert found.cycles_idle > 300


def test_ranges_have_a_middle_and_what_a_person_likes_least() -> None:
    """The worst of what is done is the least, the worst of what is spent the most."""
    found = forecast(PRICED, Workload(), seed=1, plays=3, weeks=0.5)
    by_name = {one.name: one for one in found.ranges}
    assert by_name["issues done"].worst <= by_name["issues done"].median
    assert by_name["spent"].worst >= by_name["spent"].median > 0


@pytest.mark.parametrize("columns", [80, 40])
def test_the_screen_says_what_was_assumed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    """No line is wider than the terminal, on a phone either; figures, limits and assumptions are there."""
    home = _home(tmp_path, capsys)
    monkeypatch.setenv("COLUMNS", str(columns))
    assert main(["sim", "--home", str(home), "--plays", "1", "--weeks", "0.3"]) == 0
    told = capsys.readouterr().out
    assert max(map(len, told.splitlines())) <= columns
    for words in ("median", "worst", "issues done", "spent", "Assumed, and not known"):
        assert words in told.replace("\n", " ")


def test_a_program_gets_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With every range, the limits that held, and the seed."""
    home = _home(tmp_path, capsys)
    assert main(["sim", "--home", str(home), "--plays", "1", "--weeks", "0.2", "--seed", "4", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["seed"], told["plays"], told["weeks"]) == (4, 1, 0.2)
    assert {"spent", "issues done"} <= {one["name"] for one in told["ranges"]}


def _home(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    target = checkout(tmp_path / "calc", {"README.md": "# calc\n"})
    assert main(["init", str(tmp_path / "home"), "--target", str(target), "--yes"]) == 0
    capsys.readouterr()
    return tmp_path / "home"
