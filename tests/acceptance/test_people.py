"""What a person does in the middle of it all: takes over, closes, switches parts off."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.acceptance.conftest import Loop


def open_pull_request(loop: Loop) -> None:
    """Bring the issue "add subtracts" to its pull request."""
    loop.start_model("plan", "accept", "work")
    loop.file("add subtracts", "add(2, 3) is -1.")
    loop.settle()
    assert [one["state"] for one in loop.pulls()] == ["open"]


def test_a_research_task_ends_in_a_note_that_the_building_task_is_given(loop: Loop) -> None:
    """The note is a file in the home, committed with the relay, and stands in the builder's TASK.md."""
    model = loop.start_model("research", "accept", "work")
    loop.file("which operator does add need", "add(2, 3) is -1.")
    loop.settle()
    note = loop.home.note_of("1.1").read_text()
    assert note.startswith("The operator is plus")
    assert "The operator is plus" in loop.task_md("1.2.1")
    assert "memories/notes/1.1.md" in loop.git("ls-files", cwd=loop.home.root)
    assert [one["title"] for one in loop.pulls()] == ["Make add add"]
    assert model.errors == []


def test_a_person_who_pushes_to_our_branch_has_it_from_then_on(loop: Loop) -> None:
    """It is said once; a later review starts no attempt; the merge still closes the issue."""
    open_pull_request(loop)
    branch = loop.pull()["branch"]
    loop.git("checkout", "-q", branch)
    with (loop.repository / "calc.py").open("a") as file:
        file.write("\n\ndef half(a):\n    return a / 2\n")
    loop.git("commit", "-q", "-am", "Add half")
    loop.git("checkout", "-q", "main")
    loop.settle()
    loop.cli("pr", "review", "1", "--request-changes", "Mine now.")
    loop.settle()
    said = [one["body"] for one in loop.pull()["reviews"] if "is yours now" in one["body"]]
    assert (len(said), len(loop.world().tasks["1.1"].tries)) == (1, 1)
    loop.cli("pr", "merge", "1")
    loop.settle()
    assert loop.issue().state == "closed"


def test_a_pull_request_closed_unmerged_is_not_opened_again(loop: Loop) -> None:
    """Its task is dropped, and the issue is told why nothing more happens."""
    open_pull_request(loop)
    loop.cli("pr", "close", "1", "--comment", "We shall do without.")
    loop.settle()
    assert loop.state("1.1") == "Cancelled"
    assert [one["state"] for one in loop.pulls()] == ["closed"]
    assert "closed pull request 1 without merging" in "\n".join(loop.ours())
    assert loop.issue().state == "open"


def test_without_a_sandbox_the_pull_request_says_so(loop: Loop) -> None:
    """The setting is honoured, and its price is named where the change is judged."""
    loop.set(sandbox='"none"')
    open_pull_request(loop)
    assert "**No sandbox" in loop.pull()["body"]


def test_with_workers_switched_off_the_loop_only_plans(loop: Loop) -> None:
    """The plan is there, no attempt is, and the reason is told."""
    loop.set(workers="false")
    loop.start_model("plan", "accept", "work")
    loop.file("add subtracts", "add(2, 3) is -1.")
    loop.settle()
    assert ["**Plan**" in one for one in loop.ours()] == [True]
    assert (loop.state("1.1"), loop.world().tasks["1.1"].tries) == ("Queued", ())
    assert "layers.workers = false" in loop.cli("explain", "1")


def test_with_the_gate_switched_off_only_the_contract_is_checked(loop: Loop) -> None:
    """The pull request still has its evidence, and says what was not looked at."""
    loop.set(gate="false")
    open_pull_request(loop)
    body = loop.pull()["body"]
    assert "**No gate" in body
    assert "assert add(2, 3) == 5" in body
