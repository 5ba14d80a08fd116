"""The whole path on real parts: processes, git, HTTP on loopback. What a person sees is what is asserted."""

from __future__ import annotations

import shutil
from collections import Counter
from typing import TYPE_CHECKING

from agentloop.edges.journal import Journal
from agentloop.home import Home
from agentloop.replaying import replay

if TYPE_CHECKING:
    from tests.acceptance.conftest import Loop

IDLE_CYCLES = 10


def test_a_vague_issue_becomes_two_merged_pull_requests_and_is_closed(loop: Loop) -> None:
    """Question, answer, plan, a red gate, a review, two merges in order; then idleness leaves no trace.

    Each cycle and each idle look, run again from its record, decides and does the same.
    """
    model = loop.start_model("story", "accept")
    loop.file("make calc better", "It is not good.")

    loop.settle()
    assert ["What should be better about calc?" in one for one in loop.ours()] == [True]
    assert loop.nap().startswith("waits for you: an answer on issue 1")

    loop.cli("issue", "comment", "1", "1")
    loop.settle()
    assert "**Plan** · 0 of 2 tasks done" in loop.ours()[1]
    assert "1.1 Make add add: pull request 1 waits for your review" in loop.ours()[1]
    assert [(one["title"], one["state"]) for one in loop.pulls()] == [("Make add add", "open")]
    assert (loop.state("1.1"), loop.state("1.2")) == ("InReview", "Queued")
    assert "an existing test was changed" in loop.task_md("1.1.2")
    first = loop.pull()

    words = "Please call the parameters left and right."
    loop.cli("pr", "review", "1", "--request-changes", words)
    loop.settle()
    again = loop.pull()
    assert words in loop.task_md("1.1.3")
    assert (again["branch"], len(loop.pulls())) == (first["branch"], 1)
    assert loop.git("merge-base", first["head"], again["head"]) == first["head"]
    assert "return left + right" in loop.git("show", f"{again['head']}:calc.py")

    loop.cli("pr", "merge", "1")
    loop.settle()
    assert (loop.state("1.1"), loop.state("1.2")) == ("Merged", "InReview")
    assert "Closes #1" not in again["body"]
    assert "Closes #1" in loop.pull("2")["body"]

    loop.cli("pr", "merge", "2")
    loop.settle()
    assert loop.issue().state == "closed"
    assert loop.ours()[-1].startswith("**Done.** make calc better")
    assert (loop.repository / "README.md").read_text() == "add(2, 3) is 5\n"
    assert model.errors == []
    assert_nothing_was_said_twice(loop)
    assert_the_relay_has_a_commit_for_each_changed_cycle(loop)
    assert_idle_cycles_leave_no_trace(loop)
    assert_every_cycle_runs_again(loop)


def assert_every_cycle_runs_again(loop: Loop) -> None:
    """Nothing differs in any of them; also in a copy that lies elsewhere."""
    assert {int(path.parent.name) for path in loop.home.cycles.glob("*/tape.jsonl")} == {
        *range(1, loop.world().cycle + 1)
    }
    assert loop.strayed() == []
    copy = Home(loop.root / "copy")
    for kept in (loop.home.journal, loop.home.cycles):
        shutil.copytree(kept, copy.root / kept.relative_to(loop.home.root))
    shutil.copy(loop.home.settings_file, copy.settings_file)
    names = [str(number) for number in range(1, loop.world().cycle + 1)]
    assert [name for name in names if not replay(copy, name).same] == []


def assert_nothing_was_said_twice(loop: Loop) -> None:
    """No comment of the loop has the words of another, on the issue or on a pull request."""
    said = [*loop.ours(), *(one["body"] for n in ("1", "2") for one in loop.pull(n)["reviews"])]
    assert [text for text, times in Counter(said).items() if times > 1] == []


def assert_the_relay_has_a_commit_for_each_changed_cycle(loop: Loop) -> None:
    """Relay commits name each cycle at most once, and only cycles in which something was done."""
    named = [one.rpartition(" ")[2] for one in loop.commits() if one.startswith("Relay of cycle")]
    acted = {
        str(entry.cycle)
        for entry in Journal(loop.home).entries()
        for fact in entry.facts
        if getattr(fact, "outcome", "") == "acted"
    }
    assert [number for number, times in Counter(named).items() if times > 1] == []
    assert set(named) - acted == set()


def assert_idle_cycles_leave_no_trace(loop: Loop) -> None:
    """Ten more cycles: no model call, not a byte anywhere but in the runtime folder, no SDK loaded."""
    assert loop.model is not None
    requests, before = len(loop.model.requests), loop.bytes_outside()
    for _ in range(IDLE_CYCLES - 1):
        loop.cycle()
    loop.environment["PYTHONPROFILEIMPORTTIME"] = "1"
    loaded = loop.cycle()
    del loop.environment["PYTHONPROFILEIMPORTTIME"]
    vendors = {"anthropic", "git", "pydantic", "typer", "rich", "httpx2", "structlog", "tenacity"}
    lines = [line for line in loaded.splitlines() if line.startswith("import time")]
    names = {line.rpartition("|")[2].strip() for line in lines}
    assert len(loop.model.requests) == requests
    assert loop.bytes_outside() == before
    assert names & vendors == set()
    assert "cycle.idle" in loaded
