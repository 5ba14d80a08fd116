"""The admin agent through the real SDK over real HTTP, against the scripted model."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from agentloop.admin.agent import READ_LIMIT, Bounds, decide
from agentloop.admin.briefing import Briefing
from agentloop.admin.tools import Look, ReadDiff, ReadFile, ReadIssue, ReadLog
from agentloop.domain import decisions as d
from agentloop.domain.model import NOTHING_USED, Answered, Text, ToolResult, ToolUse
from agentloop.domain.money import Limit
from agentloop.domain.proposal import NoAnswer, Proposal, Reply, Wait
from agentloop.domain.relay import RelayDelta
from agentloop.edges.anthropic import AnthropicModel, retrying
from agentloop.edges.ledger import Ledger
from agentloop.edges.metered import MeteredModel, shipped_prices
from agentloop.testing.memory_parts import VirtualClock
from agentloop.testing.model import ScriptedModel

if TYPE_CHECKING:
    from pathlib import Path

    from agentloop.domain.model import Answer, Request

MODEL, FALLBACK = "claude-opus-5-5", "claude-opus-5"
BRIEFING = Briefing(text="# Briefing\n\nissue 7 is new: plan, ask or answer", matters=())

SLEEP = """
[[step.call]]
tool = "sleep"
input = { minutes = 10, rationale = "nothing to do" }
"""
END = """
[[step]]
name = "done"
when.has = "carried out when you have finished"
say = "Done."
"""
BAD = """
[[step]]
name = "made up"
when.has = "issue 7 is new"
[[step.call]]
tool = "cancel"
input = { task = "7.1", rationale = "x" }
[[step.call]]
tool = "sleep"
input = { minutes = "long", rationale = "x" }
"""


class TickingClock(VirtualClock):
    """A clock on which every look takes a while."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self._seconds = seconds

    def now(self) -> datetime:
        """Return the time, later each time."""
        self.pass_by(seconds=self._seconds)
        return super().now()


@dataclass
class Asked:
    """One question to the admin: how it ended, what was read, what the server saw."""

    reply: Reply
    looks: list[Look]
    requests: list[dict[str, object]]
    errors: list[str]
    ledger: Ledger
    models: list[str] = field(default_factory=list)


def ask(
    script: str,
    tmp_path: Path,
    *,
    turns: int = 6,
    seconds: float = 600,
    clock: VirtualClock | None = None,
    text: str = "what was read",
    micros: int = 5_000_000,
    fallback: str = FALLBACK,
) -> Asked:
    """Ask the admin, with every answer from the script."""
    looks: list[Look] = []

    def look(wanted: Look) -> str:
        looks.append(wanted)
        return text

    ledger = Ledger(tmp_path / "ledger.jsonl")
    with ScriptedModel(script) as server:
        model = MeteredModel(
            AnthropicModel(api_key="sk-ant-canary", base_url=server.url),
            model=MODEL,
            fallback=fallback,
            ledger=ledger,
            prices=shipped_prices().models,
            limits=(Limit(name="cycle", micros=micros),),
            retry=retrying(attempts=2, sleep=lambda _seconds: None),
        )
        reply = decide(
            model,
            name=MODEL,
            prompt="You are the admin agent.",
            briefing=BRIEFING,
            look=look,
            bounds=Bounds(turns=turns, seconds=seconds, max_output_tokens=1000, call_seconds=10),
            clock=clock or VirtualClock(),
        )
        asked = [str(one["model"]) for one in server.requests]
        return Asked(reply, looks, list(server.requests), list(server.errors), ledger, asked)


def step(rest: str, has: str = "issue 7 is new") -> str:
    """A script's first step."""
    return f'[[step]]\nname = "first"\nwhen.has = "{has}"\n{rest}\n'


def test_decisions_come_back_typed_in_their_order_with_the_relays_change(tmp_path: Path) -> None:
    """Several calls in one answer; handing the relay on beside them ends the talk, with no call more."""
    script = step(
        """
[[step.call]]
tool = "ask"
input = { issue = "7", question = "Which?", choices = ["a", "b"], rationale = "all of it" }
[[step.call]]
tool = "relay"
input = { next_action = "Wait for Ana." }
[[step.call]]
tool = "sleep"
input = { rationale = "waits" }
"""
    )
    asked = ask(script + END, tmp_path)
    assert asked.errors == []
    assert asked.reply == Proposal(
        decisions=(
            d.Ask(issue="7", question="Which?", choices=("a", "b"), rationale="all of it"),
            d.Sleep(rationale="waits"),
        ),
        delta=RelayDelta(next_action="Wait for Ana."),
        models=(MODEL,),
        turns=1,
    )
    assert len(asked.requests) == 1


def test_the_relay_alone_or_beside_something_to_read_does_not_end_the_talk() -> None:
    """Who has decided nothing yet, or still waits for an answer, is asked on."""
    relay = ToolUse(id="t1", name="relay", input={"next_action": "Wait."})
    read = ToolUse(id="t2", name="read_file", input={"path": "README.md"})
    sleep = ToolUse(id="t3", name="sleep", input={"rationale": "r"})
    turns = [(relay,), (relay, sleep, read), (relay,)]
    model = Says(*(Answered(blocks=one, stop="tool_use", usage=NOTHING_USED, model=MODEL) for one in turns))
    reply = decide(
        model,
        name=MODEL,
        prompt="",
        briefing=BRIEFING,
        look=lambda _look: "words",
        bounds=Bounds(turns=6, seconds=60, max_output_tokens=100, call_seconds=10),
        clock=VirtualClock(),
    )
    assert reply == Proposal(
        decisions=(d.Sleep(rationale="r"),),
        delta=RelayDelta(next_action="Wait."),
        models=(MODEL,),
        turns=3,
    )


def test_a_malformed_call_is_shown_back_once_and_nothing_of_that_answer_is_taken_over(tmp_path: Path) -> None:
    """The good call beside it neither: half a set of decisions is another decision."""
    right = step(SLEEP, "not understood: minutes")
    asked = ask(BAD + right + END, tmp_path)
    assert isinstance(asked.reply, Proposal)
    assert asked.reply.decisions == (d.Sleep(minutes=10, rationale="nothing to do"),)
    shown = str(asked.requests[1]["messages"])
    assert "not understood: minutes" in shown
    assert "not taken over, because another call beside it does not fit" in shown


def test_malformed_twice_is_a_failed_cycle_with_the_reason(tmp_path: Path) -> None:
    """And no third try."""
    again = step(
        '[[step.call]]\ntool = "sleep"\ninput = { minutes = "still long", rationale = "x" }', "minutes"
    )
    asked = ask(BAD + again, tmp_path)
    assert isinstance(asked.reply, NoAnswer)
    assert "do not fit, twice: sleep: minutes" in asked.reply.why
    assert (len(asked.requests), asked.reply.service) == (2, False)


class Says:
    """A model that says what it is given, one answer a call: for what no real service would let through."""

    def __init__(self, *answers: Answer) -> None:
        self._answers = list(answers)
        self.requests: list[Request] = []

    def ask(self, request: Request) -> Answer:
        """Return the next answer."""
        self.requests.append(request)
        return self._answers.pop(0)


def called(name: str, **given: object) -> Answered:
    """An answer that calls one tool."""
    use = ToolUse(id="t1", name=name, input=given)
    return Answered(blocks=(use,), stop="tool_use", usage=NOTHING_USED, model=MODEL)


def test_a_tool_that_does_not_exist_is_shown_back_with_those_that_do() -> None:
    """Merging is none of them."""
    done = Answered(blocks=(Text(text="done"),), stop="end_turn", usage=NOTHING_USED, model=MODEL)
    model = Says(called("merge", pull="1"), called("sleep", rationale="r"), done)
    reply = decide(
        model,
        name=MODEL,
        prompt="",
        briefing=BRIEFING,
        look=lambda _look: "",
        bounds=Bounds(turns=6, seconds=60, max_output_tokens=100, call_seconds=10),
        clock=VirtualClock(),
    )
    assert reply == Proposal(decisions=(d.Sleep(rationale="r"),), delta=None, models=(MODEL,), turns=3)
    (shown,) = model.requests[1].messages[-1].blocks
    assert isinstance(shown, ToolResult)
    assert shown.is_error
    assert "there is no tool 'merge'; there are: read_issue, read_diff" in shown.text


def test_an_answer_without_a_decision_is_shown_back_once(tmp_path: Path) -> None:
    """Words alone decide nothing."""
    words = step('say = "Looks fine to me."')
    asked = ask(words + step(SLEEP, "You decided nothing") + END, tmp_path)
    assert isinstance(asked.reply, Proposal)
    asked = ask(words + step('say = "As I said."', "You decided nothing"), tmp_path)
    assert isinstance(asked.reply, NoAnswer)
    assert "twice" in asked.reply.why


def test_a_truncated_answer_is_shown_back_once(tmp_path: Path) -> None:
    """With the advice to be briefer; the second time it has failed."""
    cut = step(f'say = "{"words " * 10}"\nfault = "truncate"\n{SLEEP}')
    asked = ask(cut + step(SLEEP, "Your answer was cut off") + END, tmp_path)
    assert isinstance(asked.reply, Proposal)
    again = step(f'say = "{"words " * 10}"\nfault = "truncate"', "Your answer was cut off")
    asked = ask(cut + again, tmp_path)
    assert isinstance(asked.reply, NoAnswer)


def test_a_refusal_goes_to_the_fallback_model_and_its_use_is_told(tmp_path: Path) -> None:
    """Who answered is part of the proposal."""
    script = step(f'when.model = "{FALLBACK}"\n{SLEEP}') + step('fault = "refusal"') + END
    asked = ask(script, tmp_path)
    assert isinstance(asked.reply, Proposal)
    assert asked.models[:2] == [MODEL, FALLBACK]
    assert any(FALLBACK in one and "refused" in one for one in asked.reply.models)


def test_a_refusal_by_both_models_is_a_failed_cycle_that_says_what_to_do(tmp_path: Path) -> None:
    """Nothing else may answer."""
    asked = ask(step('fault = "refusal"'), tmp_path)
    assert isinstance(asked.reply, NoAnswer)
    assert "refused" in asked.reply.why
    assert asked.reply.fix == "set models.admin_fallback to another model"


@pytest.mark.parametrize("fault", ["429", "529"])
def test_a_limit_and_an_overload_are_a_timer(tmp_path: Path, fault: str) -> None:
    """For as long as the provider said; no failure, and no other model is asked instead."""
    began = datetime.now(UTC)
    asked = ask(step(f'fault = "{fault}"\nretry_after = 90'), tmp_path)
    assert isinstance(asked.reply, Wait)
    assert asked.reply.until is not None
    assert timedelta(seconds=89) <= asked.reply.until - began <= timedelta(seconds=110)
    assert asked.models == [MODEL]


def test_an_overload_that_names_no_end_waits_a_while(tmp_path: Path) -> None:
    """Five minutes from now."""
    clock = VirtualClock()
    asked = ask(step('fault = "529"'), tmp_path, clock=clock)
    assert isinstance(asked.reply, Wait)
    assert asked.reply.until == clock.now() + timedelta(minutes=5)


@pytest.mark.parametrize("fault", ["500", "drop", "drop_early", "garbage"])
def test_an_outage_is_the_services_fault_and_not_the_issues(tmp_path: Path, fault: str) -> None:
    """After its tries and the fallback's."""
    asked = ask(step(f'say = "{"words " * 10}"\nfault = "{fault}"'), tmp_path)
    assert isinstance(asked.reply, NoAnswer)
    assert asked.reply.service
    assert asked.models == [MODEL, MODEL, FALLBACK, FALLBACK]


def test_a_key_that_is_refused_is_the_services_fault_and_names_the_fix(tmp_path: Path) -> None:
    """It is not tried again."""
    asked = ask(step('fault = "401"'), tmp_path)
    assert isinstance(asked.reply, NoAnswer)
    assert asked.reply.service
    assert asked.reply.fix
    assert len(asked.requests) == 1


READS = """
[[step.call]]
tool = "read_issue"
input = { issue = "7" }
[[step.call]]
tool = "read_diff"
input = { attempt = "7.1.1" }
[[step.call]]
tool = "read_log"
input = { attempt = "7.1.1" }
[[step.call]]
tool = "read_file"
input = { path = "README.md" }
"""


def test_reads_are_answered_and_bounded(tmp_path: Path) -> None:
    """Four of them in one answer; what is too long is cut and says so."""
    after = step(SLEEP, "[… cut]").replace("when.has", 'when.tool_result_of = "read_file"\nwhen.has')
    asked = ask(step(READS) + after + END, tmp_path, text="x" * 100_000)
    assert asked.looks == [
        ReadIssue(issue="7"),
        ReadDiff(attempt="7.1.1"),
        ReadLog(attempt="7.1.1"),
        ReadFile(path="README.md"),
    ]
    assert isinstance(asked.reply, Proposal)
    assert len(str(asked.requests[1]["messages"])) < 4 * READ_LIMIT + 5000


def test_an_admin_that_only_reads_ends_at_its_turns(tmp_path: Path) -> None:
    """A failed cycle, and nothing of what it had decided on the way is applied."""
    both = step(SLEEP + READS) + step(READS, "what was read")
    asked = ask(both, tmp_path, turns=4)
    assert asked.reply == NoAnswer(why="it was not done after models.admin_turns = 4")
    assert len(asked.requests) == 4


def test_an_admin_that_takes_too_long_ends_at_its_seconds(tmp_path: Path) -> None:
    """No further call is begun."""
    asked = ask(step(READS) + step(READS, "what was read"), tmp_path, seconds=30, clock=TickingClock(11))
    assert asked.reply == NoAnswer(why="it took longer than models.admin_seconds = 30")
    assert len(asked.requests) == 1


def test_a_call_that_does_not_fit_under_the_cycles_money_is_not_made(tmp_path: Path) -> None:
    """Not asked at all, nothing spent."""
    asked = ask(step(SLEEP), tmp_path, micros=100)
    assert isinstance(asked.reply, Wait)
    assert asked.reply.until is None
    assert "limits.cycle_usd:" in asked.reply.why
    assert (asked.requests, asked.ledger.entries()) == ([], ())


def test_every_call_is_paid_for(tmp_path: Path) -> None:
    """What is answered is settled, nothing stays open."""
    asked = ask(step(SLEEP) + END, tmp_path)
    spend = asked.ledger.spent()
    assert spend.settled_micros > 0
    assert spend.unresolved_micros == 0


def test_the_stable_part_of_the_prompt_comes_first_and_is_cached(tmp_path: Path) -> None:
    """System prompt and tools are the same bytes in every call; the briefing is in the message."""
    asked = ask(step(READS) + step(SLEEP, "what was read") + END, tmp_path)
    first, *others = asked.requests
    assert all((one["system"], one["tools"]) == (first["system"], first["tools"]) for one in others)
    assert "cache_control" in str(first["system"]) + str(first["tools"])
    assert "issue 7" not in str(first["system"])
