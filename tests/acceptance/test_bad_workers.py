"""What a worker agent can do wrong. None of it becomes a pull request, and the reason is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from tests.acceptance.conftest import Loop

EDIT = """
[[step]]
name = "worker: {name}"
when.system = "worker agent"
when.never = "{name}"
[[step.call]]
tool = "shell"
input = {{ command = '''{command}; echo "{name}"''' }}
"""
DONE = """
[[step]]
name = "worker: says it is done"
when.system = "worker agent"
[[step.call]]
tool = "done"
input = { summary = "All done.", not_done = "" }
"""


FOR_EVER = """
[[step]]
name = "worker: waits for ever"
when.system = "worker agent"
[[step.call]]
tool = "shell"
input = { command = "sleep 1000" }
"""


def work(loop: Loop, *worker: str) -> None:
    """Let a worker that follows these steps have a go at the issue, and let the admin give it up then."""
    loop.start_model("plan", *worker, "give_up", "accept")
    loop.file("add subtracts", "add(2, 3) is -1.")
    loop.settle()


def test_a_worker_cannot_write_outside_its_work_tree(loop: Loop, tmp_path: Path) -> None:
    """Neither next to it, nor into the target, nor into the home; it is told so, and comes to nothing."""
    folders = (tmp_path, loop.repository, loop.home.journal, loop.home.root)
    places = [folder / "stolen" for folder in folders]
    command = "; ".join(f"echo x >{place} || echo refused" for place in places)
    work(loop, EDIT.format(name="tried", command=command), DONE)
    assert [place for place in places if place.exists()] == []
    assert loop.home.attempt("1.1.1").events.read_text().count("refused") >= len(places)
    assert loop.pulls() == []
    assert "The worker came to nothing" in loop.ours()[-1]


def test_a_claim_without_a_change_is_not_done(loop: Loop) -> None:
    """The worker is told that nothing changed; it insists; the attempt ends as nothing done."""
    work(loop, DONE)
    one = loop.world().tasks["1.1"].tries[0]
    assert type(one.outcome).__name__ == "NothingDone"
    assert loop.pulls() == []


def test_a_worker_that_never_ends_is_ended_by_its_limits(loop: Loop) -> None:
    """Each command has its time and the attempt its turns; the task goes back to the admin."""
    loop.set(command_seconds="1", attempt_turns="3")
    work(loop, FOR_EVER)
    one = loop.world().tasks["1.1"].tries[0]
    assert (type(one.outcome).__name__, one.turns) == ("GaveUp", 3)
    assert loop.pulls() == []


def test_a_worker_that_bends_a_test_again_and_again_gets_its_task_parked(loop: Loop) -> None:
    """The gate runs the test as it was; the same findings twice are no progress, and the issue is told."""
    code, test = "sed -i 's/a - b/a + b/; s/a . 2/a * 3/' calc.py", "sed -i 's/8/12/' tests/test_calc.py"
    bend = EDIT.format(name="bent", command=f"{code}; {test}")
    work(loop, bend, DONE)
    assert (loop.state("1.1"), len(loop.world().tasks["1.1"].tries)) == ("Parked", 2)
    assert "tests/test_calc.py" in loop.ours()[-1]
    assert loop.pulls() == []
    assert "a - b" in (loop.repository / "calc.py").read_text()
