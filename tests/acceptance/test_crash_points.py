"""Two minutes of the crash harness: a broad sample of its points, the same in every run.

All of them, other samples and other faults: scripts/check-crash.
"""

from __future__ import annotations

import shutil
import time
from typing import TYPE_CHECKING

import pytest

from agentloop.testing.crash.arena import Arena
from agentloop.testing.crash.calls import strided
from agentloop.testing.crash.run import all_points, recorded, strike

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SEED = 1
AT_LEAST, AT_MOST = 4, 16
SECONDS = 90.0


@pytest.fixture
def arena(tmp_path: Path) -> Iterator[Arena]:
    """Give a world with a scripted model, everything in it real."""
    if shutil.which("strace") is None:
        pytest.skip("strace is missing; install it (Debian, Ubuntu: apt-get install strace)")
    made = Arena(tmp_path / "a")
    made.make()
    yield made
    made.stop()


@pytest.mark.crash
def test_a_sample_of_kills_at_state_changing_calls_loses_and_doubles_nothing(arena: Arena) -> None:
    """Each point is a process of the story killed at a call; a slow machine tries fewer."""
    began = time.monotonic()
    points = strided(all_points(recorded(arena), ["kill"]), SEED)[:AT_MOST]
    assert len(points) == AT_MOST
    bad = []
    for number, point in enumerate(points):
        if number >= AT_LEAST and time.monotonic() - began > SECONDS:
            break
        tried = strike(arena, point)
        if not tried.told.good:
            bad.append(f"scripts/check-crash --only {point.name}: {tried.told}")
    assert bad == []
