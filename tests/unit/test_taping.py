"""Every port of a cycle is behind the tape: what is left out would not be reached at all."""

from __future__ import annotations

import inspect
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from agentloop import taping
from agentloop.cycle import Ended, Parts
from agentloop.domain.issue import Issue
from agentloop.domain.model import Answered, Opaque, Refused, Request, Text, ToolUse, Usage
from agentloop.domain.secrets import mask
from agentloop.domain.settings import Settings
from agentloop.domain.sleeping import Nap
from agentloop.domain.taping import masked
from agentloop.domain.world import World
from agentloop.edges.discreet import DiscreetModel
from agentloop.edges.program import identity
from agentloop.edges.tape import Made, Recorder, record
from agentloop.home import Home
from agentloop.ports import Outside

if TYPE_CHECKING:
    from pathlib import Path

    from agentloop.domain.model import Answer

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
KEY = "sk-ant-api03-" + "Zk4tQm7x" * 6


def test_every_part_and_every_port_is_named_where_the_tape_is_put_in() -> None:
    """A port that is added to a cycle, and not there, would do nothing in every cycle: this says so."""
    for made, kind in ((taping.taped, Parts), (taping.taped_outside, Outside)):
        said = inspect.getsource(made)
        assert [name for name in kind.__annotations__ if f"{name}=" not in said] == []


def test_a_masked_text_is_as_long_as_it_was_and_masked_once() -> None:
    """What is cut to a length is cut at the same place; known keys go whatever their shape."""
    text = f"it is {KEY}\nand odd-key"
    hidden = masked(text, ("odd-key",))
    assert hidden == f"it is {'*' * len(KEY)}\nand *******"
    assert mask(hidden) == hidden
    assert masked({"body": [text]}, ("odd-key",)) == {"body": [hidden]}


def test_an_answer_is_clean_but_for_what_only_the_vendor_reads() -> None:
    """Words and what tools are given, names in it too; a block of the vendor's goes back as it came."""
    blocks = (
        Text(text=f"It is {KEY}."),
        ToolUse(id="t1", name="ask", input={"question": f"odd-key or {KEY}?", "choices": ["odd-key", "no"]}),
        Opaque(json=f'"{KEY}"'),
    )
    said = Answered(blocks=blocks, stop="tool_use", usage=Usage(), model="m")
    found = DiscreetModel(Says(said), ("odd-key",)).ask(ASKED)
    assert found == replace(
        said,
        blocks=(
            Text(text="It is [secret removed: anthropic key]."),
            ToolUse(
                id="t1",
                name="ask",
                input={
                    "question": "[key removed] or [secret removed: anthropic key]?",
                    "choices": ["[key removed]", "no"],
                },
            ),
            blocks[2],
        ),
    )
    refused = Refused(why=f"not with {KEY}", usage=None)
    assert DiscreetModel(Says(refused)).ask(ASKED) == replace(
        refused, why="not with [secret removed: anthropic key]"
    )


@dataclass(frozen=True)
class Says:
    """A model that has one answer."""

    answer: Answer

    def ask(self, _request: Request) -> Answer:
        """Return it."""
        return self.answer


ASKED = Request(model="m", messages=(), max_output_tokens=1)


def test_code_is_named_by_what_a_cycle_may_run(tmp_path: Path) -> None:
    """A changed source is another program, a touched one is not; commands and doubles are none of it."""
    root, kept = tmp_path / "program", tmp_path / "code.json"
    (root / "cli").mkdir(parents=True)
    (root / "cycle.py").write_text("one = 1\n")
    name = identity(kept, root)
    assert identity(kept, root) == name
    (root / "cli" / "tell.py").write_text("print()\n")
    (root / "cycle.py").touch()
    assert identity(kept, root) == name
    (root / "cycle.py").write_text("one = 2\n")
    assert identity(kept, root) != name
    kept.write_text("torn")
    assert identity(kept, root) == identity(tmp_path / "no" / "folder", root)


def test_what_the_tracker_answers_again_is_neither_kept_nor_touched_again(tmp_path: Path) -> None:
    """An idle look points at the list of the look before it, as long as files and fingerprint stand."""
    home = Home(tmp_path)
    home.run.mkdir(parents=True)
    issues = tuple(_issue(number) for number in range(1, 101))
    _look(home, issues, stands=False)
    before = {path: path.stat().st_mtime_ns for path in home.cycles.glob("pool/*")}
    _look(home, issues, stands=True)
    after = {path: path.stat().st_mtime_ns for path in home.cycles.glob("pool/*")}
    assert sum(before[path] == after[path] for path in after) == len(issues)
    assert [call.got for call in record(home, "3+2").calls] == [
        call.got for call in record(home, "3+1").calls
    ]
    _look(home, issues[1:], stands=True, fingerprint="another")
    assert len(record(home, "3+3").calls[0].got) == len(issues) - 1


def _issue(number: int) -> Issue:
    return Issue(
        id=str(number),
        number=number,
        title="It crashes",
        body="",
        author="ann",
        state="open",
        target="repo",
        created_at=NOW,
    )


def _look(home: Home, issues: tuple[Issue, ...], *, stands: bool, fingerprint: str = "as it was") -> None:
    made = Made(version="1", code="", quiet_cycles=0, settings=Settings(), tracker_stands=stands)
    recorder = Recorder(home, made)
    recorder.call("tracker.observe", frozenset(), lambda: issues, tuple)
    nap = Nap(until=NOW, kind="idle", reason="nothing to do")
    ended = Ended(cycle=3, nap=nap, outcome="idle", fingerprint=fingerprint, world=World())
    recorder.end(ended, NOW)
    assert recorder.trouble == ""
