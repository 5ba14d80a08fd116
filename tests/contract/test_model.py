"""The model port, through the real SDK and real HTTP, against the scripted model."""

from __future__ import annotations

import logging
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from agentloop.domain.model import (
    NOTHING_USED,
    Answered,
    Limited,
    Message,
    Opaque,
    OutOfBudget,
    Refused,
    Rejected,
    Request,
    SystemBlock,
    Text,
    Tool,
    ToolResult,
    ToolUse,
    Truncated,
    Unavailable,
)
from agentloop.domain.money import Limit, Spend
from agentloop.edges.anthropic import AnthropicModel, retrying
from agentloop.edges.ledger import Ledger
from agentloop.edges.metered import MeteredModel, shipped_prices
from agentloop.errors import SettingsError, UnsafeError
from agentloop.testing.model import ScriptedModel

if TYPE_CHECKING:
    from pathlib import Path

    from agentloop.domain.model import Answer, Block

KEY = "sk-ant-canary-0123456789"
MODEL = "claude-sonnet-5-5"
FALLBACK = "claude-sonnet-5"
PRICES = shipped_prices().models
ADD = Tool(
    name="add", description="adds", schema={"type": "object", "properties": {"a": {"type": "integer"}}}
)


def request(*blocks: Block, model: str = MODEL, timeout_seconds: float = 10.0, most: int = 500) -> Request:
    """A request with one message and one tool."""
    return Request(
        model=model,
        system=(SystemBlock(text="You are the admin agent."),),
        messages=(Message(role="user", blocks=blocks or (Text(text="add 1 and 2"),)),),
        tools=(ADD,),
        max_output_tokens=most,
        timeout_seconds=timeout_seconds,
    )


def script(answer: str) -> str:
    """A script of one step, for every request that has the word `add`."""
    return f'[[step]]\nname = "only"\nwhen.has = "add"\n{answer}\n'


def ask(answer: str, asked: Request | None = None) -> Answer:
    """The answer of the real client to a scripted one."""
    with ScriptedModel(script(answer)) as server:
        return AnthropicModel(api_key=KEY, base_url=server.url).ask(asked or request())


def fault(name: str) -> Answer:
    """The answer to a fault."""
    return ask(f'say = "{"never whole " * 5}"\nfault = "{name}"\nretry_after = 30')


def test_words_and_tools_come_back_as_values() -> None:
    """Text, a thinking block and two tool uses survive the stream in pieces, unchanged and in order."""
    found = ask(
        'thinking = "hm"\nsay = "Grüße, <<n>>"\ncapture = { n = "add (1)" }\n'
        '[[step.call]]\ntool = "add"\ninput = { a = 1, deep = { list = [1, "<<n>>"] } }\n'
        '[[step.call]]\ntool = "add"'
    )
    assert isinstance(found, Answered)
    thinking, text, first, second = found.blocks
    assert isinstance(thinking, Opaque)
    assert '"thinking": "hm"' in thinking.json
    assert text == Text(text="Grüße, 1")
    assert isinstance(first, ToolUse)
    assert (first.name, first.input) == ("add", {"a": 1, "deep": {"list": [1, "1"]}})
    assert isinstance(second, ToolUse)
    assert second.input == {}
    assert (found.stop, found.model, found.answered_by) == ("tool_use", MODEL, MODEL)
    assert found.request_id is not None


def test_a_conversation_with_tools_goes_on() -> None:
    """A tool's result is matched to its use, thinking is passed back, and the server accepts the whole."""
    text = script('thinking = "hm"\nwhen.lacks = "sum"\n[[step.call]]\ntool = "add"\ninput = { a = 1 }')
    text += '[[step]]\nwhen.tool_result_of = "add"\nwhen.has = "the sum is 3"\nsay = "3"\n'
    with ScriptedModel(text) as server:
        model = AnthropicModel(api_key=KEY, base_url=server.url)
        first = model.ask(request())
        assert isinstance(first, Answered)
        result = ToolResult(tool_use_id=first.tool_uses[0].id, text="the sum is 3")
        turns = (
            *request().messages,
            Message(role="assistant", blocks=first.blocks),
            Message(role="user", blocks=(result,)),
        )
        second = model.ask(Request(model=MODEL, messages=turns, tools=(ADD,), max_output_tokens=50))
        assert isinstance(second, Answered)
        assert second.text == "3"
        assert server.errors == []
        assert server.requests[1]["messages"][1]["content"][0]["type"] == "thinking"


def test_a_rate_limit_is_a_timer() -> None:
    """429 with retry-after is Limited until then, at once, and nothing was used."""
    before = datetime.now(tz=UTC)
    found = fault("429")
    assert isinstance(found, Limited)
    assert (found.kind, found.usage) == ("rate", NOTHING_USED)
    assert found.until is not None
    assert timedelta(seconds=28) < found.until - before < timedelta(seconds=35)
    assert datetime.now(tz=UTC) - before < timedelta(seconds=5)


def test_overload_is_a_timer() -> None:
    """529 is Limited, and says that it is theirs."""
    found = fault("529")
    assert isinstance(found, Limited)
    assert (found.kind, found.retry_after_seconds) == ("overload", 30.0)


def test_overload_in_the_middle_of_an_answer() -> None:
    """An error event goes by its type, not by the status (200); what it cost is not known."""
    found = fault("stream_error")
    assert isinstance(found, Limited)
    assert (found.kind, found.usage) == ("overload", None)


@pytest.mark.parametrize("name", ["no_message_stop", "truncate"])
def test_an_answer_without_its_end_is_truncated(name: str) -> None:
    """A clean end of the stream without message_stop is no answer, and neither is one cut at max_tokens."""
    assert isinstance(fault(name), Truncated)


def test_a_stream_without_its_end_cost_an_unknown_amount() -> None:
    """Without the closing count the usage is unknown; with it, known."""
    cut, whole = fault("no_message_stop"), fault("truncate")
    assert isinstance(cut, Truncated)
    assert isinstance(whole, Truncated)
    assert cut.usage is None
    assert whole.usage is not None
    assert "500 tokens" in whole.why


def test_a_refusal_is_no_answer() -> None:
    """Stop reason refusal is Refused, with its usage, for the bill."""
    found = fault("refusal")
    assert isinstance(found, Refused)
    assert found.usage is not None
    assert found.usage.input_tokens > 0


@pytest.mark.parametrize("name", ["500", "drop", "drop_early", "garbage"])
def test_an_outage_is_unavailable_at_an_unknown_cost(name: str) -> None:
    """It may have been served, so its usage is unknown, never nothing."""
    found = fault(name)
    assert isinstance(found, Unavailable)
    assert (found.usage, found.again) == (None, True)


@pytest.mark.parametrize(
    ("name", "fix"), [("400", "report"), ("401", "key"), ("403", "key"), ("404", "name")]
)
def test_what_is_wrong_on_our_side_is_rejected_with_its_fix(name: str, fix: str) -> None:
    """Such a request is never sent again; the fix says what a person can do."""
    found = fault(name)
    assert isinstance(found, Rejected)
    assert fix in found.fix


@pytest.mark.parametrize("name", ["hang", "drip"])
def test_silence_and_endless_pings_end_on_time(name: str) -> None:
    """The time limit is for the whole call: a server that keeps the line warm does not get more."""
    began = time.monotonic()
    found = ask(f'fault = "{name}"', request(timeout_seconds=0.5))
    assert isinstance(found, Unavailable)
    assert (found.usage, found.again) == (None, False)
    assert time.monotonic() - began < 30


def test_a_server_that_is_not_there_cost_nothing() -> None:
    """A refused connection is sure not to have been served."""
    with ScriptedModel(script('say = "x"')) as server:
        url = server.url
    found = AnthropicModel(api_key=KEY, base_url=url).ask(request())
    assert isinstance(found, Unavailable)
    assert found.usage == NOTHING_USED


def test_the_key_is_nowhere_but_in_the_header(caplog: pytest.LogCaptureFixture) -> None:
    """Not in a value, a log at its most talkative, or a representation, even when the server says it back."""
    caplog.set_level(logging.DEBUG)
    faults = ["401", "500", "drop", "hang", "garbage"]
    found = [ask(f'say = "x"\nfault = "{name}"', request(timeout_seconds=1)) for name in faults]
    with ScriptedModel(f'[[step]]\nwhen.has = "{KEY}"\nsay = "x"') as server:
        model = AnthropicModel(api_key=KEY, base_url=server.url)
        echoed = model.ask(request())
        assert KEY in server.errors[0]
    assert isinstance(echoed, Rejected)
    assert "[key]" in echoed.why
    assert KEY not in f"{found}{echoed}{model!r}{caplog.text}"


@pytest.mark.parametrize("key", ["", "two words", f"{KEY}\n", "schlüssel"])
def test_a_key_that_cannot_be_one_is_refused_without_being_shown(key: str) -> None:
    """A line end in a key would otherwise surface in the transport's error, with the key."""
    with pytest.raises(SettingsError) as caught:
        AnthropicModel(api_key=key)
    assert KEY not in str(caught.value)


def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """The key goes to the host of base_url and to no other, unless that is asked for."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert isinstance(ask('say = "direct"'), Answered)


def test_what_no_json_can_carry_is_replaced() -> None:
    """A lone surrogate out of a file name does not break the request."""
    assert isinstance(ask('say = "ok"', request(Text(text="add \udce4"))), Answered)


def test_the_stable_part_is_cached() -> None:
    """The second call reads from the cache what the first one wrote, tools included."""
    with ScriptedModel(script('say = "x"')) as server:
        model = AnthropicModel(api_key=KEY, base_url=server.url)
        first, second = model.ask(request()), model.ask(request(Text(text="add more")))
    assert isinstance(first, Answered)
    assert isinstance(second, Answered)
    assert first.usage.cache_write_tokens > 0
    assert second.usage.cache_write_tokens == 0
    assert second.usage.cache_read_tokens == first.usage.cache_write_tokens


def test_reachable_says_what_is_wrong() -> None:
    """Nothing when all is well; a value when nobody listens."""
    with ScriptedModel(script('say = "x"')) as server:
        model = AnthropicModel(api_key=KEY, base_url=server.url)
        assert model.reachable() is None
    assert isinstance(model.reachable(timeout_seconds=2), Unavailable)


# With money.


def metered(
    server: ScriptedModel, folder: Path, *, limit: int = 1_000_000, fallback: str = "", attempts: int = 1
) -> tuple[MeteredModel, Ledger]:
    """The same client, paid for from a ledger."""
    ledger = Ledger(folder / "ledger.jsonl")
    model = MeteredModel(
        AnthropicModel(api_key=KEY, base_url=server.url),
        model=MODEL,
        fallback=fallback,
        ledger=ledger,
        prices=PRICES,
        limits=(Limit(name="attempt", micros=limit),),
        retry=retrying(attempts=attempts, sleep=lambda _: None),
    )
    return model, ledger


FAULTS_AND_NONE = [
    "", "429", "500", "529", "refusal", "truncate", "stream_error", "no_message_stop", "drop", "drop_early",
    "hang", "drip", "garbage", "400",
]  # fmt: skip


@pytest.mark.parametrize("name", FAULTS_AND_NONE)
def test_settled_is_at_most_served_is_at_most_settled_and_unresolved(name: str, tmp_path: Path) -> None:
    """The promise about money holds whatever the server does."""
    answer = f'say = "{"word " * 40}"\n' + (f'fault = "{name}"' if name else "")
    with ScriptedModel(script(answer)) as server:
        model, ledger = metered(server, tmp_path)
        model.ask(request(timeout_seconds=0.7))
        served = server.served_micros(PRICES)
    spend = ledger.spent()
    assert spend.settled_micros <= served <= spend.most_micros


def test_a_call_that_costs_more_than_was_set_aside_is_cut_off_in_hand(tmp_path: Path) -> None:
    """A server that counts more than there can be is not read on; all it may have served stays counted."""
    step = 'say = "x"\nusage = { input_tokens = 90_000_000 }'
    with ScriptedModel(script(step)) as server:
        model, ledger = metered(server, tmp_path, limit=10**10)
        answer = model.ask(request())
        served = server.served_micros(PRICES)
    assert isinstance(answer, OutOfBudget)
    assert "cut off in hand" in answer.says
    spend = ledger.spent()
    assert spend.settled_micros <= served <= spend.most_micros


def test_the_ledger_says_what_was_served_when_all_goes_well(tmp_path: Path) -> None:
    """Settled is exactly what the server counted, and nothing is left open."""
    with ScriptedModel(script('say = "x"')) as server:
        model, ledger = metered(server, tmp_path)
        for _ in range(3):
            assert isinstance(model.ask(request()), Answered)
        served = server.served_micros(PRICES)
    assert ledger.spent() == Spend(settled_micros=served, tokens=ledger.spent().tokens)


def test_a_call_that_does_not_fit_is_not_made(tmp_path: Path) -> None:
    """Nothing reaches the server, nothing is written, and the value says what is left and needed."""
    with ScriptedModel(script('say = "x"')) as server:
        model, ledger = metered(server, tmp_path, limit=100)
        found = model.ask(request())
        assert server.requests == []
    assert isinstance(found, OutOfBudget)
    assert (found.limit, found.left_micros) == ("attempt", 100)
    assert found.needed_micros > 100
    assert ledger.entries() == ()


def test_an_outage_is_asked_again_and_each_try_is_accounted(tmp_path: Path) -> None:
    """Two failures that may have been served stay open at their ceilings; the third try is settled."""
    text = script('fault = "500"\ntimes = 2') + script('say = "x"')
    with ScriptedModel(text) as server:
        model, ledger = metered(server, tmp_path, attempts=3)
        assert isinstance(model.ask(request()), Answered)
        assert len(server.requests) == 3
    spend = ledger.spent()
    assert spend.settled_micros == server.served_micros(PRICES)
    assert len(ledger.entries()) == 4
    assert spend.unresolved_micros > 0


def test_an_outage_stays_an_outage_when_a_further_try_does_not_fit(tmp_path: Path) -> None:
    """Failed tries hold their ceilings; running into the limit by that is not called a spent budget."""
    with ScriptedModel(script('fault = "500"')) as server:
        model, ledger = metered(server, tmp_path, limit=15_000, fallback=FALLBACK, attempts=3)
        found = model.ask(request())
        assert len(server.requests) == 1
    assert isinstance(found, Unavailable)
    assert ledger.spent().most_micros <= 15_000


@pytest.mark.parametrize("name", ["refusal", "500"])
def test_the_fallback_answers_and_says_so(name: str, tmp_path: Path) -> None:
    """After a refusal or an outage the role's other model is asked, once, and its use is shown."""
    text = script(f'when.model = "{MODEL}"\nfault = "{name}"') + script(
        f'when.model = "{FALLBACK}"\nsay = "x"'
    )
    with ScriptedModel(text) as server:
        model, ledger = metered(server, tmp_path, fallback=FALLBACK)
        found = model.ask(request())
    assert isinstance(found, Answered)
    assert found.answered_by == FALLBACK
    assert found.fell_back_because is not None
    assert MODEL in found.fell_back_because
    assert ledger.spent().settled_micros <= server.served_micros(PRICES)


def test_a_rate_limit_does_not_fall_back(tmp_path: Path) -> None:
    """A timer is no reason to use another model, and it is not asked again."""
    with ScriptedModel(script('fault = "429"\nretry_after = 5')) as server:
        model, _ = metered(server, tmp_path, fallback=FALLBACK, attempts=3)
        assert isinstance(model.ask(request()), Limited)
        assert len(server.requests) == 1


@pytest.mark.parametrize(("model", "fallback"), [("claude-fable-5-2", ""), (MODEL, "gpt-9")])
def test_an_unknown_model_refuses_to_start(model: str, fallback: str, tmp_path: Path) -> None:
    """Before anything is asked, and with a fix that names models."""
    with pytest.raises(UnsafeError, match="no price") as caught:
        MeteredModel(
            AnthropicModel(api_key=KEY),
            model=model,
            fallback=fallback,
            ledger=Ledger(tmp_path / "ledger.jsonl"),
            prices=PRICES,
            limits=(),
        )
    assert MODEL in caught.value.fix
