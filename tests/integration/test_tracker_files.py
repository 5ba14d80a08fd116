"""The built-in tracker on real files: edits by hand, many processes at once, hostile words, damage."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from agentloop.domain.effects import CloseIssue, Say
from agentloop.edges.tracker import FileTracker
from agentloop.errors import ConflictError, NotFoundError

MANY = 12


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the tracker lies."""
    return tmp_path / "tracker"


@pytest.fixture
def tracker(folder: Path) -> FileTracker:
    """An empty tracker."""
    return FileTracker(folder)


def words(folder: Path, code: str) -> tuple[str, ...]:
    """What starts a process of its own that works on the tracker `t`."""
    start = "from pathlib import Path; from agentloop.edges.tracker import FileTracker; import os, sys\n"
    start += f"from agentloop.domain.effects import *\nt = FileTracker(Path({str(folder)!r}))\n"
    return (sys.executable, "-c", start + code)


def python(folder: Path, code: str) -> subprocess.Popen[bytes]:
    """Start such a process."""
    return subprocess.Popen(words(folder, code))


def test_a_temp_file_of_a_killed_writer_goes_at_the_next_look(tracker: FileTracker, folder: Path) -> None:
    """Nobody has to file another issue before it is taken away."""
    issue = tracker.new("Talk", "", author="alice")
    left = folder / "issues/.agentloop-tmp-0123456789ab"
    left.write_text("half a wri")
    assert [one.id for one in tracker.observe(frozenset())] == [issue]
    assert not left.exists()


def test_eight_processes_file_and_comment_at_once_and_nothing_is_lost(
    tracker: FileTracker, folder: Path
) -> None:
    """Numbers are unique, every issue and every comment is there, whoever else was writing."""
    talk = tracker.new("Talk", "", author="alice")
    code = f"for n in range({MANY}):\n t.new(f'{{os.getpid()}}-{{n}}', 'body', author='a')\n"
    code += f" t.comment({talk!r}, f'{{os.getpid()}}-{{n}}', author='a')\n"
    code += f" t.act(f'{{os.getpid()}}-{{n}}', Say(issue={talk!r}, body=f'ours {{os.getpid()}}-{{n}}'))\n"
    processes = [python(folder, code) for _ in range(8)]
    assert [process.wait() for process in processes] == [0] * 8
    expected = {f"{process.pid}-{n}" for process in processes for n in range(MANY)}
    shown = {filed.issue.id: filed.issue for filed in tracker.filed()}
    assert {issue.title for issue in shown.values()} == expected | {"Talk"}
    assert sorted(map(int, shown)) == list(range(1, 8 * MANY + 2))
    comments = shown[talk].comments
    assert {each.body for each in comments if not each.ours} == expected
    assert {each.body.removeprefix("ours ") for each in comments if each.ours} == expected
    assert len({each.id for each in comments}) == len(comments) == 2 * len(expected)


def test_killed_while_writing_it_loses_nothing_that_was_acknowledged(
    tracker: FileTracker, folder: Path
) -> None:
    """SIGKILL at any moment: what was said to be written is there, and nothing is there twice."""
    issue = tracker.new("Talk", "", author="alice")
    code = f"for n in range(10**6):\n t.act(f'op-{{n}}', Say(issue={issue!r}, body=f'{{n}}'))\n"
    code += " print(n, flush=True)\n"
    for _ in range(5):
        script = code.replace("range(10**6)", f"range({len(tracker.get(issue).issue.comments)}, 10**6)")
        acknowledged = _run_and_kill(folder, script)
        bodies = [each.body for each in tracker.get(issue).issue.comments]
        assert bodies == [str(n) for n in range(len(bodies))]
        assert len(bodies) > acknowledged
        assert tracker.get(issue).problems == ()


def _run_and_kill(folder: Path, code: str) -> int:
    """Run for a moment, kill, and return the last number that was printed."""
    start = "from pathlib import Path; from agentloop.edges.tracker import FileTracker\n"
    start += f"from agentloop.domain.effects import *\nt = FileTracker(Path({str(folder)!r}))\n"
    process = subprocess.Popen([sys.executable, "-c", start + code], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    said, _ = process.communicate()
    lines = said.decode().split("\n")[:-1]
    return int(lines[-1]) if lines else -1


def test_killed_between_closing_and_moving_it_is_closed_and_moved_later(
    tracker: FileTracker, folder: Path
) -> None:
    """The front matter tells; the next look puts the file where closed ones are."""
    issue = tracker.new("It crashes", "", author="alice")
    path = folder / "issues" / "0001.md"
    path.write_text(path.read_text().replace("state: open", "state: closed"))
    assert tracker.observe(frozenset()) == ()
    assert (path.exists(), tracker.get(issue).issue.state) == (False, "closed")


def test_a_file_that_a_person_moved_is_closed(tracker: FileTracker, folder: Path) -> None:
    """Whatever its front matter still says."""
    issue = tracker.new("It crashes", "", author="alice")
    (folder / "issues" / "0001.md").rename(folder / "issues" / "closed" / "0001.md")
    assert tracker.observe(frozenset()) == ()
    assert tracker.get(issue).issue.state == "closed"
    tracker.reopen(issue)
    assert [each.state for each in tracker.observe(frozenset())] == ["open"]


def test_a_file_written_by_hand_becomes_an_issue(tracker: FileTracker, folder: Path) -> None:
    """Numbered, titled by its first heading, with all of its words."""
    tracker.new("One", "", author="alice")
    (folder / "issues" / "my idea.md").write_text("\n## An idea, *really*\n\nDo it.\n")
    _, issue = tracker.observe(frozenset())
    assert (issue.id, issue.title, issue.body) == ("2", "An idea, *really*", "## An idea, *really*\n\nDo it.")
    assert sorted(path.name for path in (folder / "issues").glob("*.md")) == ["0001.md", "0002.md"]
    assert tracker.observe(frozenset())[1] == issue


def test_an_editor_that_saves_again_does_not_file_it_twice(tracker: FileTracker, folder: Path) -> None:
    """The file comes back under its old name: the same issue, with the new words."""
    path = folder / "issues" / "idea.md"
    path.parent.mkdir(parents=True)
    path.write_text("# Idea\n\nDraft.\n")
    (first,) = tracker.observe(frozenset())
    path.write_text("# Idea\n\nDraft, and more.\n")
    (second,) = tracker.observe(frozenset())
    assert (second.id, second.body) == (first.id, "# Idea\n\nDraft, and more.")
    path.write_text("# Another idea\n")
    assert [issue.title for issue in tracker.observe(frozenset())] == ["Idea", "Another idea"]


def test_a_file_that_is_still_being_written_waits(tracker: FileTracker, folder: Path) -> None:
    """Half an issue is no issue."""
    path = folder / "issues" / "idea.md"
    path.parent.mkdir(parents=True)
    with path.open("w") as stream:
        stream.write("# Id")
        stream.flush()
        assert tracker.observe(frozenset()) == ()
        stream.write("ea\n")
    assert [issue.title for issue in tracker.observe(frozenset())] == ["Idea"]


def test_names_that_are_no_issues_are_left_alone(tracker: FileTracker, folder: Path, tmp_path: Path) -> None:
    """Editors' own files, links and folders are not ours to number."""
    (folder / "issues" / "folder.md").mkdir(parents=True)
    (tmp_path / "secret").write_text("secret")
    (folder / "issues" / "link.md").symlink_to(tmp_path / "secret")
    (folder / "issues" / ".#idea.md").write_text("lock")
    (folder / "issues" / "idea.md~").write_text("backup")
    (folder / "issues" / "empty.md").write_text("")
    assert tracker.observe(frozenset()) == ()
    assert len(list((folder / "issues").iterdir())) == 5


def test_words_added_at_the_end_of_the_file_are_a_comment(tracker: FileTracker, folder: Path) -> None:
    """An answer written under our question is a person's, not a part of what we said."""
    issue = tracker.new("It crashes", "", author="alice")
    say = Say(issue=issue, body="Which version?")
    tracker.act("op-1", say)
    path = folder / "issues" / "0001.md"
    path.write_text(path.read_text() + "\nThe latest one.\n")
    (shown,) = tracker.observe(frozenset())
    assert [(each.body, each.ours) for each in shown.comments] == [
        ("Which version?", True),
        ("The latest one.", False),
    ]
    assert tracker.find("op-1", say) == shown.comments[0].id
    assert tracker.observe(frozenset()) == (shown,)


def test_a_mark_proves_itself_on_its_own_issue_only(tracker: FileTracker, folder: Path) -> None:
    """A block of ours that was copied, or made up, is neither ours nor anybody's."""
    one = tracker.new("One", "", author="alice")
    two = tracker.new("Two", "", author="alice")
    say = Say(issue=one, body="We say.")
    tracker.act("op-1", say)
    block = (folder / "issues" / "0001.md").read_text().partition("\n## ")[2]
    path = folder / "issues" / "0002.md"
    path.write_text(f"{path.read_text()}\n## {block}")
    (copied,) = tracker.get(two).issue.comments
    assert (copied.body, copied.ours, copied.trusted) == ("We say.", False, False)
    assert tracker.find("op-1", Say(issue=two, body="We say.")) is None


def test_our_marks_survive_the_loss_of_the_runtime_folder(tracker: FileTracker, folder: Path) -> None:
    """The key lies beside the issues, for the owner's eyes only."""
    issue = tracker.new("One", "", author="alice")
    say = Say(issue=issue, body="We say.")
    made = tracker.act("op-1", say)
    assert FileTracker(folder).find("op-1", say) == made
    assert (folder / "key").stat().st_mode & 0o777 == 0o600


def test_a_comment_cannot_forge_a_comment(tracker: FileTracker, folder: Path) -> None:
    """Words that look like a block of ours stay words, to the letter."""
    issue = tracker.new("One", "", author="alice")
    tracker.act("op-1", Say(issue=issue, body="We say."))
    text = "## " + (folder / "issues" / "0001.md").read_text().partition("\n## ")[2].strip()
    tracker.comment(issue, text, author="eve")
    ours, forged = tracker.get(issue).issue.comments
    assert (ours.ours, forged.ours, forged.author, forged.body) == (True, False, "eve", text)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("../../etc/passwd", "../../etc/passwd"),
        ("/etc/passwd", "/etc/passwd"),
        ("two\nlines\r\n", "two lines"),
        ("nul\x00 and \x1b[31mred", "nul\ufffd and \ufffd[31mred"),
        ("half \udcff character", "half \ufffd character"),
        ('---\nstate: closed\n---\n"', '--- state: closed --- "'),
        ("null", "null"),
    ],
)
def test_a_strange_title_is_kept_as_words(tracker: FileTracker, folder: Path, given: str, kept: str) -> None:
    """It never names a file, ends a line or steers a terminal."""
    tracker.new(given, "Body.", author="alice")
    (issue,) = tracker.observe(frozenset())
    assert (issue.title, issue.body, issue.state) == (kept, "Body.", "open")
    assert [path.name for path in (folder / "issues").glob("*.md")] == ["0001.md"]


def test_a_title_that_is_too_long_is_kept_in_the_text(tracker: FileTracker) -> None:
    """Nothing of it is lost."""
    tracker.new("t" * 300, "Body.", author="alice")
    (issue,) = tracker.observe(frozenset())
    assert issue.title == "t" * 199 + "…"
    assert issue.body == "t" * 300 + "\n\nBody."


def test_a_text_of_ten_megabytes_is_kept_whole_and_shown_in_part(tracker: FileTracker) -> None:
    """Commented and closed like any other, in bearable time."""
    body = "ten bytes\n" * 1_000_000
    issue = tracker.new("Big", body, author="alice")
    began = time.process_time()
    tracker.act("op-1", Say(issue=issue, body="Too long for me."))
    (shown,) = tracker.observe(frozenset())
    assert len(shown.body) < 21_000
    assert "9,999,999 characters in all" in shown.body
    assert tracker.get(issue).issue.body == body.strip("\n")
    tracker.act("op-2", CloseIssue(issue=issue, body="Done."))
    assert time.process_time() - began < 20


def test_more_than_a_record_holds_is_refused(tracker: FileTracker) -> None:
    """With the fix, and without using up a number."""
    with pytest.raises(ConflictError, match="16 MB is the most"):
        tracker.new("Big", "x" * 16_000_001, author="alice")
    assert tracker.new("Small", "", author="alice") == "1"


def test_an_issue_needs_words(tracker: FileTracker) -> None:
    """A title may come from the text, but from nothing comes nothing."""
    assert (
        tracker.get(tracker.new("", "# From the text\nMore.", author="alice")).issue.title == "From the text"
    )
    with pytest.raises(ConflictError, match="needs a title"):
        tracker.new(" \n", "\t", author="alice")


def test_a_damaged_file_is_shown_with_its_problem_and_others_go_on(
    tracker: FileTracker, folder: Path
) -> None:
    """Nothing of it is lost, the loop gets it when it is mended, and it can still be commented on."""
    tracker.new("One", "Text.", author="alice")
    tracker.new("Two", "", author="alice")
    path = folder / "issues" / "0001.md"
    path.write_text("<<<<<<< HEAD\n" + path.read_text())
    one, two = tracker.observe(frozenset())
    assert two.title == "Two"
    assert "Text." in one.body
    path.write_text("---\ntitle: One\n>>>>>>> theirs\ncreated: yesterday\nstate: maybe\n---\nText.\n")
    assert [issue.id for issue in tracker.observe(frozenset({"1"}))] == ["2"]
    assert tracker.get("1").issue.title == "One"
    assert tracker.get("1").problems == (
        "line 3 of the front matter is no 'key: value': >>>>>>> theirs",
        "'created' is no time, e.g. 2026-11-20T10:00:00Z",
        "'state' is open or closed, not 'maybe'",
    )
    tracker.act("op-1", Say(issue="1", body="Please mend it."))
    assert ">>>>>>> theirs\n" in path.read_text()
    path.write_text("---\ntitle: One\n---\nText.\n")
    assert [issue.id for issue in tracker.observe(frozenset())] == ["1", "2"]


def test_bytes_that_are_no_text_survive(tracker: FileTracker, folder: Path) -> None:
    """They are shown as unreadable and stay in the file as they are; the loop gets it when it is text."""
    issue = tracker.new("One", "", author="alice")
    path = folder / "issues" / "0001.md"
    path.write_bytes(path.read_bytes() + b"\xff\xfe caf\xe9\n")
    tracker.comment(issue, "What is that?", author="bob")
    assert b"\xff\xfe caf\xe9\n" in path.read_bytes()
    found = tracker.get(issue)
    assert (found.issue.body, found.problems) == (
        "\ufffd\ufffd caf\ufffd",
        ("the file holds bytes that are no UTF-8 text",),
    )
    assert tracker.observe(frozenset()) == ()
    assert tracker.passed_over() == ()


@pytest.mark.parametrize(
    "data", [b"\x7fELF\0\0\xff", b"", b" \n", b"---\nbroken\n---\nText.\n", b"---\ntitle: x\n"]
)
def test_a_file_that_makes_no_sense_does_not_become_an_issue(
    tracker: FileTracker, folder: Path, data: bytes
) -> None:
    """It stays where it is and is named, until it is mended under its own name."""
    path = folder / "issues" / "mine.md"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    assert tracker.observe(frozenset()) == ()
    assert ([each.path for each in tracker.passed_over()], path.read_bytes()) == ([path], data)
    path.write_text("---\ntitle: Mended\n---\nText.\n")
    assert [issue.title for issue in tracker.observe(frozenset())] == ["Mended"]
    assert (tracker.passed_over(), path.exists()) == ((), False)


def test_what_is_left_out_of_a_look_is_said_until_it_is_mended(tracker: FileTracker, folder: Path) -> None:
    """A broken issue and a file that is none.

    Nobody waits for the loop to take them without a word why it does not.
    """
    tracker.new("One", "", author="alice")
    whole = (folder / "issues" / "0001.md").read_text()
    (folder / "issues" / "0001.md").write_text(whole.replace("state: open", "state: ajar"))
    (folder / "issues" / "photo.md").write_bytes(b"\x89PNG\r\n\x1a\n\0\xff")
    assert tracker.observe(frozenset()) == ()
    broken, strange = tracker.left_out()
    assert broken.startswith("issue 1 is left alone until it is mended: ")
    assert strange.startswith("photo.md is no issue: ")
    (folder / "issues" / "0001.md").write_text(whole)
    (folder / "issues" / "photo.md").unlink()
    assert [issue.title for issue in tracker.observe(frozenset())] == ["One"]
    assert tracker.left_out() == ()


def test_a_deleted_comment_does_not_give_its_id_away(tracker: FileTracker, folder: Path) -> None:
    """Who saw comment c1 must not take another one for it."""
    issue = tracker.new("One", "", author="alice")
    assert tracker.comment(issue, "First.", author="bob") == "c1"
    path = folder / "issues" / "0001.md"
    path.write_text(path.read_text().partition("\n## comment")[0])
    assert tracker.comment(issue, "Second.", author="bob") == "c2"


def test_a_deleted_issue_does_not_give_its_number_away(tracker: FileTracker, folder: Path) -> None:
    """The highest number ever is remembered."""
    tracker.new("One", "", author="alice")
    (folder / "issues" / "0001.md").unlink()
    assert tracker.new("Two", "", author="alice") == "2"
    with pytest.raises(NotFoundError):
        tracker.comment("1", "Where is it?", author="bob")


@pytest.mark.parametrize("number", ["0", "99", "", "-1", "1/../1", "one", "1" * 40, "\u0661"])
def test_an_odd_number_finds_nothing(tracker: FileTracker, number: str) -> None:
    """And never names another file."""
    tracker.new("One", "", author="alice")
    with pytest.raises(NotFoundError):
        tracker.get(number)


def test_a_look_at_the_tracker_writes_nothing(tracker: FileTracker, folder: Path) -> None:
    """An idle cycle leaves every file as it is."""
    issue = tracker.new("One", "", author="alice")
    tracker.act("op-1", Say(issue=issue, body="Looking."))
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    tracker.observe(frozenset({"9"}))
    tracker.find("op-1", Say(issue=issue, body="Looking."))
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


def test_what_is_no_file_does_not_hold_the_others_up(tracker: FileTracker, folder: Path) -> None:
    """A pipe or a folder under an issue's name is shown as a problem."""
    tracker.new("One", "", author="alice")
    os.mkfifo(folder / "issues" / "0002.md")
    (folder / "issues" / "0003.md").mkdir()
    problems = [filed.problems for filed in tracker.filed()]
    assert problems == [(), *[("the file cannot be read: it is no regular file",)] * 2]
    assert tracker.new("Four", "", author="alice") == "4"


def test_what_a_killed_writer_left_is_swept(tracker: FileTracker, folder: Path) -> None:
    """By the next one who writes."""
    tracker.new("One", "", author="alice")
    (folder / "issues" / ".agentloop-tmp-0123456789ab").write_text("half")
    tracker.new("Two", "", author="alice")
    assert list((folder / "issues").glob(".agentloop-tmp-*")) == []


def test_threads_of_one_process_take_turns_too(tracker: FileTracker) -> None:
    """The lock belongs to the open file, not to the process."""
    issue = tracker.new("One", "", author="alice")
    with ThreadPoolExecutor(8) as pool:
        made = set(pool.map(lambda n: tracker.comment(issue, f"{n}", author="bob"), range(40)))
    assert len(made) == len(tracker.get(issue).issue.comments) == 40


@pytest.mark.parametrize(("call", "place"), [("fsync", 5), ("unlink", 3)])
def test_an_issue_whose_filing_is_told_to_have_failed_is_not_there(
    folder: Path, call: str, place: int
) -> None:
    """The disk refuses a call again and again, the last ones too: who is told so files it again."""
    if shutil.which("strace") is None:
        pytest.skip("strace is missing; install it (Debian, Ubuntu: apt-get install strace)")
    tracker = FileTracker(folder)
    tracker.new("The first", "", author="alice")
    code = f"for n in range({MANY}):\n try: print(t.new(str(n), '', author='a'))\n except OSError: pass\n"
    strace = (
        "strace",
        "-qq",
        "-o",
        "/dev/null",
        "-e",
        f"trace={call}",
        "-e",
        f"inject={call}:error=EIO:when={place}+{place}",
    )
    told = subprocess.run((*strace, *words(folder, code)), check=True, capture_output=True, text=True).stdout
    assert [one.issue.id for one in tracker.filed("all")] == ["1", *told.split()]
