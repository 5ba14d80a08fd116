"""The real cycle on a simulated GitHub: no change costs nothing, and after each fault all stands once.

A small count of what `scripts/check-github` plays a hundred times for several seeds.
"""

from __future__ import annotations

from agentloop.testing.storm.play import quiet, storm
from agentloop.testing.storm.weather import TROUBLES


def test_cycles_without_a_change_cost_nothing() -> None:
    """With a question open and a pull request with checks: no write, no unit of the limit, no model call."""
    calm = quiet(12)
    assert (calm.units, calm.writes, calm.asked, calm.entries) == (0, 0, 0, 0)
    assert calm.outcomes == ("idle",)
    assert calm.requests > 0


def test_after_each_kind_of_fault_everything_stands_there_once() -> None:
    """Within two cycles: one of each comment, branch and pull request, no effect without an end."""
    played = storm(seed=11, rounds=len(TROUBLES))
    assert played.broken == []
    assert set(played.struck) == set(TROUBLES)
