"""Kills and losses in the middle of the story: it ends as it would have, and nothing is done twice."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from agentloop.edges import runtime
from agentloop.edges.metered import shipped_prices
from agentloop.edges.processes import alive

if TYPE_CHECKING:
    from tests.acceptance.conftest import Loop

AGENTLOOP = (sys.executable, "-m", "agentloop")
KILLS = 5
LONGEST_LIFE_SECONDS = 1.6


def assert_everything_happened_once(loop: Loop) -> None:
    """One comment that is kept, with the plan and its pull request; one merge, one summary."""
    said = loop.ours()
    told = [
        sum(words in one for one in said) for words in ("**Plan**", "pull request 1 is merged", "**Done.**")
    ]
    merges = loop.git("log", "--merges", "--format=%s", "main").splitlines()
    assert (told, len(said)) == ([1, 1, 1], 2)
    assert [one["state"] for one in loop.pulls()] == ["merged"]
    assert len(merges) == 1
    assert loop.issue().state == "closed"


def kill(loop: Loop, supervisor: subprocess.Popen[bytes]) -> None:
    """Kill the supervisor and its cycle as the machine would: without a word."""
    status = runtime.read_status(loop.home.root)
    supervisor.kill()
    if status is not None and status.cycle is not None and alive(status.cycle):
        with suppress(ProcessLookupError):
            os.killpg(status.cycle.pid, signal.SIGKILL)
    supervisor.wait()


@pytest.mark.parametrize("seed", [1, 2])
def test_the_story_survives_kills_of_supervisor_and_cycle_at_any_moment(loop: Loop, seed: int) -> None:
    """Killed five times at seeded moments before the merge and after it, then left to run on."""
    chance = random.Random(seed)  # noqa: S311 - moments, not secrets
    model = loop.start_model("plan", "accept", "work")
    loop.file("add subtracts", "add(2, 3) is -1.")
    for _ in range(KILLS):
        with loop.supervised() as supervisor:
            time.sleep(chance.uniform(0.1, LONGEST_LIFE_SECONDS))
            kill(loop, supervisor)
    with loop.supervised() as supervisor:
        loop.until(lambda: "pull request 1 waits for your review" in "".join(loop.ours()))
        loop.cli("pr", "merge", "1")
        time.sleep(chance.uniform(0.1, 0.6))
        kill(loop, supervisor)
    with loop.supervised():
        loop.until(lambda: loop.issue().state == "closed")
    assert_everything_happened_once(loop)
    assert model.errors == []


def test_what_a_cycle_had_asked_for_when_it_was_killed_counts_at_its_ceiling(loop: Loop) -> None:
    """Two cycles that ask the admin; the second is killed in its call: its own ledger counts."""
    slow = '[[step]]\nname = "slow"\nwhen.system = "admin agent"\nwhen.has = "another"\n'
    slow += 'times = 1\nfault = "hang"'
    model = loop.start_model(f"{slow}\n", "plan", "accept", "work")
    loop.file("add subtracts", "add(2, 3) is -1.")
    loop.cycle()
    loop.file("another", "This one takes its time.")
    before = loop.world()
    cycle = subprocess.Popen((*AGENTLOOP, "cycle"), cwd=loop.home.root, env=loop.environment)
    loop.until(lambda: any(one.step == "slow" for one in model.served))
    cycle.kill()
    cycle.wait()
    loop.cycle(code=None)
    after = loop.world()
    settled = sum(after.spent_by_day.values()) - after.unresolved_micros
    served = model.served_micros(shipped_prices().models)
    assert settled <= served <= after.spent_micros()
    assert after.unresolved_micros > before.unresolved_micros
    assert loop.strayed() == []


@pytest.mark.parametrize("lost_after", [1, 2, 3])
def test_losing_the_runtime_folder_between_cycles_repeats_nothing(loop: Loop, lost_after: int) -> None:
    """The folder is deleted after the n-th cycle, with the attempt or gate that was under way."""
    model = loop.start_model("plan", "accept", "work")
    loop.file("add subtracts", "add(2, 3) is -1.")
    for _ in range(lost_after):
        loop.cycle()
        loop.wait_for_runs()
    loop.lose_runtime()
    loop.settle()
    loop.cli("pr", "merge", "1")
    loop.lose_runtime()
    loop.settle()
    assert_everything_happened_once(loop)
    assert model.errors == []
    assert loop.strayed() == []


def test_a_lock_that_a_killed_git_left_goes_in_a_cycle_that_has_nothing_to_do(loop: Loop) -> None:
    """Killed in the very last cycle: no other that acts may come for days, and a person wants to commit."""
    loop.cycle()
    locks = [loop.home.root / ".git" / name for name in ("index.lock", "HEAD.lock")]
    for lock in locks:
        lock.write_text("")
        os.utime(lock, (time.time() - 120, time.time() - 120))
    loop.cycle()
    last = runtime.read_sleep(loop.home.root)
    assert last is not None
    assert last.outcome == "idle"
    assert [lock for lock in locks if lock.exists()] == []
