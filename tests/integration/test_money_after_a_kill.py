"""Money when the one who spends is killed: what was served is never more than the ledger admits."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from agentloop.edges.ledger import Ledger
from agentloop.edges.metered import shipped_prices
from agentloop.testing.model import ScriptedModel

if TYPE_CHECKING:
    from pathlib import Path

SPENDER = """
import sys
from pathlib import Path
from agentloop.domain.model import Message, Request, Text
from agentloop.domain.money import Limit
from agentloop.edges.anthropic import AnthropicModel
from agentloop.edges.ledger import Ledger
from agentloop.edges.metered import MeteredModel, shipped_prices

name = "claude-sonnet-5-5"
model = MeteredModel(
    AnthropicModel(api_key="k", base_url=sys.argv[1]),
    model=name,
    ledger=Ledger(Path(sys.argv[2])),
    prices=shipped_prices().models,
    limits=(Limit(name="attempt", micros=10_000_000),),
)
words = (Message(role="user", blocks=(Text(text="go on"),)),)
print("ready", flush=True)
while True:
    model.ask(Request(model=name, messages=words, max_output_tokens=100))
"""


@pytest.mark.parametrize("after_seconds", [0.0, 0.02, 0.05, 0.11, 0.23])
def test_a_kill_at_any_moment_hides_no_spend(after_seconds: float, tmp_path: Path) -> None:
    """Settled <= served <= settled + unresolved, and at most the one call in hand is open."""
    ledger = Ledger(tmp_path / "ledger.jsonl")
    with ScriptedModel('[[step]]\nwhen.has = "go on"\nsay = "on and on"\ndelay_seconds = 0.01') as server:
        arguments = [sys.executable, "-c", SPENDER, server.url, str(ledger.path)]
        with subprocess.Popen(arguments, stdout=subprocess.PIPE, env={**os.environ}) as spender:
            assert spender.stdout is not None
            spender.stdout.readline()
            time.sleep(after_seconds)
            spender.kill()
        served = server.served_micros(shipped_prices().models)
    spend = ledger.spent()
    assert spend.settled_micros <= served <= spend.most_micros
    entries, garbage = ledger.read()
    assert len(entries) - 2 * len(server.requests) in {-2, -1, 0, 1}
    assert len(garbage) <= 1
