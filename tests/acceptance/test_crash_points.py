"""A minute of the crash harness: stories in which every step is struck once, the same in every run.

All points, other faults: scripts/check-crash.
"""

from __future__ import annotations

import shutil
import time
from typing import TYPE_CHECKING

import pytest

from agentloop.testing.crash.arena import Arena
from agentloop.testing.crash.calls import point_named
from agentloop.testing.crash.play import STEPS
from agentloop.testing.crash.run import struck_story

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

STORIES = (
    (
        *("file/issue/link/1/kill", "plan/cycle/fsync/20/kill", "work/attempt/fsync/6/kill"),
        *("judge/gate/rename/2/kill", "publish/cycle/fsync/16/kill", "merge/pr/rename/2/kill"),
        "close/cycle/fsync/8/kill",
    ),
    (
        *("file/issue/fsync/5/EIO", "plan/cycle/rename/12/kill", "work/cycle/fsync/8/kill"),
        *("judge/cycle/rename/5/kill", "publish/cycle/rename/8/ENOSPC", "merge/git14+/rename/1/kill"),
        "close/cycle/rename/6/kill",
    ),
)
"""Killed just so that much is begun and nothing finished. Another story is begun only while there is time."""
SECONDS = 35.0


@pytest.fixture
def arena(tmp_path: Path) -> Iterator[Arena]:
    """Give a world with a scripted model, everything in it real."""
    if shutil.which("strace") is None:
        pytest.skip("strace is missing; install it (Debian, Ubuntu: apt-get install strace)")
    made = Arena(tmp_path / "a")
    made.make()
    made.save(STEPS[0].name)
    yield made
    made.stop()


@pytest.mark.crash
def test_stories_struck_in_every_step_lose_and_double_nothing(arena: Arena) -> None:
    """A slow machine plays the first story only."""
    began = time.monotonic()
    for number, names in enumerate(STORIES):
        if number and time.monotonic() - began > SECONDS:
            break
        told, fell = struck_story(arena, {point.step: point for point in map(point_named, names)})
        assert told.good, told
        assert fell >= len(names) // 2
