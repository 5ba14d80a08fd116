"""The journal is lost, alone or with the runtime folder: marks tell what was done; nothing is repeated."""

from __future__ import annotations

import shutil
from collections import Counter
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.acceptance.conftest import Loop


def lose(loop: Loop, *, runtime: bool) -> None:
    """Delete the journal, with or without the runtime folder, and let it be found again.

    What may have been spent today counts as spent: a person who knows better raises the day's limit.
    """
    shutil.rmtree(loop.home.journal)
    if runtime:
        loop.lose_runtime()
    loop.settle()
    spent = loop.json("status")["money"]["today_micros"] / 1e6
    loop.set(day_usd=str(spent + 10))
    loop.settle()


@pytest.mark.parametrize(("lost_after", "runtime"), [(1, True), (2, False), (3, True)])
def test_losing_the_journal_repeats_nothing(loop: Loop, lost_after: int, *, runtime: bool) -> None:
    """Deleted after the n-th cycle, and again when the pull request is open, merged, and the issue closed."""
    model = loop.start_model("plan", "accept", "work")
    loop.set(hour_usd="0.0")
    loop.file("add subtracts", "add(2, 3) is -1.")
    for _ in range(lost_after):
        loop.cycle()
        loop.wait_for_runs()
    lose(loop, runtime=runtime)
    assert [one["state"] for one in loop.pulls()] == ["open"]
    lose(loop, runtime=runtime)
    assert loop.state("1.1") == "InReview"
    loop.cli("pr", "merge", "1")
    lose(loop, runtime=runtime)
    lose(loop, runtime=runtime)
    said = Counter(loop.ours())
    assert [text for text, times in said.items() if times > 1] == []
    told = [
        sum(words in one for one in said) for words in ("**Plan**", "pull request 1 is merged", "**Done.**")
    ]
    assert told == [1, 1, 1]
    assert [one["state"] for one in loop.pulls()] == ["merged"]
    assert len(loop.git("log", "--merges", "--format=%s", "main").splitlines()) == 1
    assert loop.issue().state == "closed"
    assert loop.git("branch", "--list", "agentloop/*") == ""
    assert model.errors == []
