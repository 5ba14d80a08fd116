"""What people and accidents put in: each gets a clear word, nothing is lost, and the loop goes on."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from agentloop import exits
from agentloop.edges import runtime

if TYPE_CHECKING:
    from tests.acceptance.conftest import Loop

MEGABYTES = 10


def is_asleep(loop: Loop) -> bool:
    """Whether the supervisor rests."""
    status = runtime.read_status(loop.home.root)
    return status is not None and status.state == "sleeping"


def test_a_second_supervisor_on_one_home_says_who_has_it(loop: Loop) -> None:
    """It ends at once with its own code; the first goes on."""
    with loop.supervised() as first:
        loop.until(lambda: is_asleep(loop))
        said = loop.cli("run", code=exits.BUSY)
        assert f"pid {first.pid}" in said
        assert first.poll() is None


def test_settings_made_wrong_during_the_run_leave_the_last_good_ones_in_force(loop: Loop) -> None:
    """The complaint is shown, and an issue is still brought to its pull request."""
    loop.start_model("plan", "accept", "work")
    with loop.supervised():
        loop.until(lambda: is_asleep(loop))
        good = loop.home.settings_file.read_text()
        loop.home.settings_file.write_text(good.replace("[limits]", "[limits]\nday_used = 3"))
        loop.until(lambda: (status := runtime.read_status(loop.home.root)) and "day_used" in status.notice)
        loop.file("add subtracts", "add(2, 3) is -1.")
        loop.until(lambda: [one["state"] for one in loop.pulls()] == ["open"])
        loop.home.settings_file.write_text(good)
        loop.until(lambda: (status := runtime.read_status(loop.home.root)) and not status.notice)


def test_a_relay_edited_into_nonsense_is_mended_and_not_a_word_of_it_is_lost(loop: Loop) -> None:
    """The sections are back; what the person wrote stands in theirs."""
    loop.start_model("plan", "accept", "work", TOLD)
    with loop.supervised():
        loop.until(lambda: is_asleep(loop))
        loop.home.relay.write_text("%%% not a relay at all %%%\n")
        loop.file("add subtracts", "add(2, 3) is -1.")
        loop.until(lambda: [one["state"] for one in loop.pulls()] == ["open"])
        loop.until(lambda: is_asleep(loop))
    text = loop.home.relay.read_text()
    assert "%%% not a relay at all %%%" in text.partition("## From you")[2]
    loop.cli("relay", "lint")
    assert loop.strayed() == []


TOLD = """
[[step]]
name = "admin: a person wrote in the relay"
when.system = "admin agent"
when.has = "a person wrote to you in the relay"
[[step.call]]
tool = "sleep"
input = { minutes = 30, rationale = "It says nothing to act on." }
"""


def test_hostile_issues_neither_stop_the_loop_nor_leave_their_folder(loop: Loop) -> None:
    """Ten megabytes, NUL bytes, a path as title: the honest issue beside them gets its pull request."""
    loop.start_model("plan", ANSWER, "accept", "work")
    loop.cli("issue", "new", "long", "--stdin", said="x" * (MEGABYTES << 20), code=None)
    loop.cli("issue", "new", "nul", "--stdin", said=b"a\0b\x1b[31m\xff", code=None)
    loop.cli("issue", "new", "../../../etc/passwd", "--body", "a path", code=None)
    (loop.home.issues / "0077.md").write_bytes(b"\0" * (MEGABYTES << 20))
    (loop.home.issues / "no-number.md").write_text("not an issue")
    loop.file("add subtracts", "add(2, 3) is -1.")
    loop.settle()
    assert [one["title"] for one in loop.pulls()] == ["Make add add"]
    assert list(loop.root.glob("**/passwd*")) == []


ANSWER = """
[[step]]
name = "admin: nothing to build"
when.system = "admin agent"
when.has = "is new: plan, ask or answer"
capture = { issue = 'issue (\\d+) is new' }
[[step.call]]
tool = "answer"
input = { issue = "<<issue>>", text = "Thank you.", rationale = "It asks for nothing." }
"""


def test_a_target_that_cannot_be_used_parks_its_issue_and_the_other_goes_on(bare: Loop) -> None:
    """One target loses its git directory, one has no commits: each issue is told what to do about it."""
    bare.make_repository()
    empty, gone = bare.root / "empty", bare.root / "gone"
    for folder in (empty, gone):
        folder.mkdir()
        bare.git("init", "-q", "-b", "main", cwd=folder)
        bare.git("commit", "-q", "--allow-empty", "-m", "Begin", cwd=folder)
    bare.make_home(bare.repository, empty, gone)
    shutil.rmtree(gone / ".git")
    shutil.rmtree(empty / ".git")
    bare.git("init", "-q", "-b", "main", cwd=empty)
    step, call = bare.script("plan").split("[[step.call]]", 1)
    step = step.replace("capture", "# capture")
    plans = [("[[step.call]]" + call).replace("<<issue>>", number) for number in ("1", "2", "3")]
    bare.start_model("\n".join([step, *plans]), "accept", "work")
    for target in ("gone", "empty", "calc"):
        words = ("add subtracts", "--body", "add(2, 3) is -1.", "--target", target)
        bare.json("issue", "new", *words)
    bare.settle()
    bare.settle()  # what was refused is shown to the admin once more
    assert [(one["target"], one["state"]) for one in bare.pulls()] == [("calc", "open")]
    for number, target in (("1", "gone"), ("2", "empty")):
        assert f"target '{target}' cannot be worked on" in bare.ours(number)[-1]
