"""What a model and its service can do to us: nonsense, limits, outages. None of it stops the loop."""

from __future__ import annotations

import json
import os
import socket
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from agentloop import exits
from agentloop.edges import runtime

if TYPE_CHECKING:
    from tests.acceptance.conftest import Loop

CENT = 10_000
SLOW = frozenset(os.environ)
"""Read on import: the tests themselves see no variable of ours."""


def file_issue(loop: Loop) -> None:
    """File the issue that all scripts here know."""
    loop.file("add subtracts", "add(2, 3) is -1.")


def woken(loop: Loop) -> int:
    """Run a cycle that a person asks for: it does not wait before the admin is asked again."""
    loop.cli("wake")
    return loop.code("cycle")


def test_a_model_that_answers_rubbish_for_ever_gets_its_issue_parked(loop: Loop) -> None:
    """Three failed cycles of two calls each, then a comment that says so, and no further call."""
    model = loop.start_model('[[step]]\nname = "rubbish"\nwhen.system = "admin agent"\nsay = "Blah."\n')
    file_issue(loop)
    codes = [woken(loop) for _ in range(6)]
    assert codes == [exits.MODEL] * 3 + [exits.OK] * 3
    assert len(model.requests) == 6
    assert "came to no usable decision" in loop.ours()[-1]
    assert len(loop.ours()) == 1
    assert loop.world().spent_micros() < 50 * CENT
    assert loop.strayed() == []


@pytest.mark.parametrize("status", ["429", "529"])
def test_a_rate_limit_or_overload_is_a_timer_and_no_failure(loop: Loop, status: str) -> None:
    """The loop sleeps until the reset, says why, counts no failure, and asks nothing before, woken or not."""
    wait = timedelta(seconds=90)
    busy = (
        '[[step]]\nname = "busy"\nwhen.system = "admin agent"\nwhen.has = "is new: plan"\n'
        f'fault = "{status}"\nretry_after = {wait.seconds}\n'
    )
    model = loop.start_model(busy)
    file_issue(loop)
    began = datetime.now(UTC)
    loop.cycle()
    nap = runtime.read_sleep(loop.home.root)
    assert nap is not None
    assert nap.until is not None
    assert (nap.kind, "provider's limit" in nap.reason) == ("limited", True)
    assert timedelta() <= nap.until - began - wait < timedelta(seconds=80)
    asked = len(model.requests)
    loop.cli("wake")
    loop.cycle()
    assert len(model.requests) == asked
    assert loop.world().failures == {}
    assert loop.ours() == []
    assert loop.strayed() == []


@pytest.mark.skipif("AGENTLOOP_SLOW_TESTS" not in SLOW, reason="a minute of waiting: scripts/test-slow")
def test_after_a_rate_limit_the_loop_goes_on_by_itself(loop: Loop) -> None:
    """Nobody wakes it: at the reset it plans the issue."""
    busy = (
        '[[step]]\nname = "busy"\nwhen.system = "admin agent"\nwhen.has = "is new: plan"\n'
        'fault = "429"\nretry_after = 5\ntimes = 1\n'
    )
    loop.start_model(busy, "plan", "accept", "work")
    file_issue(loop)
    with loop.supervised():
        loop.until(lambda: "**Plan**" in "".join(loop.ours()), seconds=100)
    assert "outcome=failed" not in loop.log()


def test_a_refusal_is_taken_over_by_the_fallback_and_the_pull_request_shows_it(loop: Loop) -> None:
    """The receipt names the model that did the work, and why it was not the other."""
    declines = (
        '[[step]]\nname = "declines"\nwhen.system = "worker agent"\nwhen.model = "claude-sonnet-5-5"\n'
        'fault = "refusal"\n'
    )
    loop.start_model("plan", "accept", declines, "work")
    file_issue(loop)
    loop.settle()
    receipt = loop.pull()["body"].partition("**Cost**")[2]
    assert "claude-sonnet-5 (fallback: claude-sonnet-5-5 refused" in receipt


def test_an_answer_that_was_cut_off_is_shown_back_once(loop: Loop) -> None:
    """Nothing of it is taken over; the whole one that follows is."""
    cut = (
        '[[step]]\nname = "too long"\nwhen.system = "admin agent"\nwhen.has = "is new: plan"\n'
        'say = "Well,"\nfault = "truncate"\n'
    )
    asked = 'when.has = ["add subtracts", "is new: plan, ask or answer"]'
    then = 'when.has = "cut off"\nwhen.ever = ["add subtracts", "issue 1 is new"]'
    plan = loop.script("plan").replace(asked, then)
    model = loop.start_model(plan, cut, "accept", "work")
    file_issue(loop)
    loop.settle()
    assert [one["state"] for one in loop.pulls()] == ["open"]
    assert model.errors == []


def test_without_a_key_the_loop_says_what_to_set_and_goes_on_when_it_is_there(loop: Loop) -> None:
    """The cycle ends with its own code; the issue is not given up for it."""
    loop.start_model("plan", "accept", "work")
    file_issue(loop)
    del loop.environment["ANTHROPIC_API_KEY"]
    assert "ANTHROPIC_API_KEY" in loop.cycle(code=exits.MODEL)
    assert [woken(loop) for _ in range(4)] == [exits.MODEL] * 4
    assert "ANTHROPIC_API_KEY" in loop.nap()
    assert loop.ours() == []
    loop.environment["ANTHROPIC_API_KEY"] = "a-key-for-tests"
    loop.cli("wake")
    loop.settle()
    assert [one["state"] for one in loop.pulls()] == ["open"]


def test_a_service_out_of_reach_is_waited_for(loop: Loop) -> None:
    """Nothing is counted against the issue, and the cycle says whom it could not reach."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: refused at once
        loop.set(base_url=json.dumps(f"http://127.0.0.1:{taken.getsockname()[1]}"))
        file_issue(loop)
        said = loop.cycle(code=exits.MODEL)
    assert "the model is out" in said
    loop.start_model("plan", "accept", "work")
    loop.cli("wake")
    loop.settle()
    assert [one["state"] for one in loop.pulls()] == ["open"]
