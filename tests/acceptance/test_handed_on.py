"""Work that a killed attempt had begun is gone on with: nothing of it is lost, nothing done or paid twice."""

from __future__ import annotations

import json
import os
import signal
from typing import TYPE_CHECKING

from agentloop.domain import facts as f
from agentloop.domain.work import Delivered, Stopped
from agentloop.edges.journal import Journal
from agentloop.edges.metered import shipped_prices

if TYPE_CHECKING:
    from tests.acceptance.conftest import Loop

FIRST = """
[[step]]
name = "worker: mends add"
when.system = "worker agent"
when.never = ["Earlier attempts", "touch .git/index.lock"]
[[step.call]]
tool = "shell"
input = { command = "sed -i 's/a - b/a + b/' calc.py; echo mended; touch .git/index.lock" }

[[step]]
name = "worker: is killed in this"
when.system = "worker agent"
when.has = "mended"
when.never = "Earlier attempts"
[[step.call]]
tool = "shell"
input = { command = "touch begun; sleep 1000" }
"""
SECOND = """
[[step]]
name = "worker: goes on with what is there"
when.system = "worker agent"
when.ever = "Earlier attempts"
when.lacks = "it adds already"
[[step.call]]
tool = "shell"
input = { command = "grep -q 'a + b' calc.py && echo it adds already; echo Sums. > notes.md; rm begun" }

[[step]]
name = "worker: is done"
when.system = "worker agent"
when.has = "it adds already"
[[step.call]]
tool = "done"
input = { summary = "add adds, and a note says so.", not_done = "" }
"""


def test_a_killed_attempts_work_is_in_the_pull_request_with_the_next_ones(loop: Loop) -> None:
    """Both halves are one commit on the base, judged whole; both attempts are on the bill, once."""
    plan = loop.script("plan").replace('["calc.py"]', '["calc.py", "notes.md", "begun"]')
    model = loop.start_model(plan, FIRST, SECOND, "accept")
    loop.file("add subtracts", "add(2, 3) is -1.")
    base = loop.git("rev-parse", "main")
    first = loop.home.attempt("1.1.1")
    loop.cycle()
    begun = first.root / "tree/begun"
    loop.until(begun.exists)
    os.kill(json.loads(first.claim.read_bytes())["pid"], signal.SIGKILL)
    loop.settle()

    world = loop.world()
    killed, went_on = world.tasks["1.1"].tries
    assert isinstance(killed.outcome, Stopped)
    assert isinstance(went_on.outcome, Delivered)
    assert killed.outcome.why == "killed"
    # It came in as every result does, and the next one began there; both are measured from the base.
    assert (went_on.base, went_on.origin) == (killed.work, base)
    facts = [fact for entry in Journal(loop.home).entries() for fact in entry.facts]
    assert [one.counts for one in facts if isinstance(one, f.Requeued)] == [True]
    assert [one.attempt for one in facts if isinstance(one, f.WorkTaken)] == ["1.1.1"]
    assert [one.attempt for one in facts if isinstance(one, f.ResultTaken)] == ["1.1.2"]

    (pull,) = loop.pulls()
    branch = pull["branch"]
    assert loop.git("rev-list", f"main..{branch}").split() == [went_on.commit]
    assert loop.git("diff", "--name-only", "main", branch).split() == ["calc.py", "notes.md"]
    assert "a + b" in loop.git("show", f"{branch}:calc.py")

    prices = shipped_prices().models
    served = model.served_micros(prices)
    spent = {purse: micros for purse, micros in world.spent_by_purse.items() if purse.startswith("attempt:")}
    assert sorted(spent) == ["attempt:1.1.1", "attempt:1.1.2"]
    assert (world.spent_micros(), world.unresolved_micros) == (served, 0)
    assert (killed.spent_micros, went_on.spent_micros) == tuple(spent[purse] for purse in sorted(spent))
    calls = [sum(share.calls for share in one.shares) for one in (killed, went_on)]
    assert calls == [2, 2]

    loop.cli("pr", "merge", pull["id"])
    loop.settle()
    assert loop.issue().state == "closed"
    assert [
        sum(words in one for one in loop.ours())
        for words in ("**Plan**", "pull request 1 is merged", "**Done.**")
    ] == [
        1,
        1,
        1,
    ]
