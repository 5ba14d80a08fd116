"""The relay's file on a real disk: whoever saves whenever, in whatever way, loses nothing."""

from __future__ import annotations

import resource
import subprocess
import sys
import textwrap
import time
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from agentloop.domain.relay import FIRST, NewDecision, RelayDelta, apply, clean_facts, parse, render
from agentloop.edges.relay import RelayFile, Written
from agentloop.errors import HomeError, NotFoundError
from agentloop.home import Home

DAY = date(2026, 11, 20)

HAMMER = """
    import os, random, sys, time
    path, stop, seed = sys.argv[1], sys.argv[2], int(sys.argv[3])
    random.seed(seed)
    said = []

    def in_place(text):
        with open(path, "r+b" if os.path.exists(path) else "wb") as stream:
            stream.truncate(0)
            stream.flush()
            time.sleep(random.choice([0, 0.002]))  # empty now, as it is for a moment in real editors
            half = len(text) // 2
            stream.write(text[:half]); stream.flush()
            stream.write(text[half:])

    def rename_over(text):
        with open(path + ".new", "wb") as stream:
            stream.write(text)
        os.replace(path + ".new", path)

    def backup_dance(text):
        try:
            os.replace(path, path + "~")
        except FileNotFoundError:
            pass
        with open(path, "wb") as stream:
            stream.write(text)

    while len(said) < 20 or not os.path.exists(stop):
        try:
            with open(path, "rb") as stream:
                lines = stream.read().split(b"\\n")
        except FileNotFoundError:
            continue
        line = b"words %d-%d" % (seed, len(said))
        lines.insert(random.choice([0, random.randrange(len(lines) + 1)]), line)  # often above the stamp
        random.choice([in_place, rename_over, backup_dance])(b"\\n".join(lines))
        said.append(line.decode())
        time.sleep(random.random() / 50)
    print("\\n".join(said))
"""


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A home with a relay and without a repository."""
    home = Home(tmp_path)
    home.relay.parent.mkdir()
    home.relay.write_text(render(FIRST))
    return home


def say(relay: RelayFile, action: str, **delta: object) -> Written:
    """One cycle's write: the next action, and what else is in the delta."""
    base = relay.read()
    changes = RelayDelta(next_action=action, **delta)  # type: ignore[arg-type]
    return relay.write(apply(base.relay, changes, 1), base, day=DAY)


def test_what_is_written_is_read(home: Home) -> None:
    """A write is one new version; the same again is none."""
    relay = RelayFile(home)
    first = say(relay, "Fix it.")
    assert (first.relay.version, first.changed, first.moved, first.displaced) == (2, True, (), 0)
    again = relay.read()
    assert (again.relay, again.settled, again.text) == (first.relay, True, render(first.relay))
    assert relay.write(again.relay, again, day=DAY) == Written(relay=first.relay, changed=False)
    assert list(home.memories.iterdir()) == [home.relay]


def test_a_save_during_the_model_call_is_merged(home: Home) -> None:
    """Read, then the human saves, then we write: the human's words stay, ours are in place."""
    relay = RelayFile(home)
    base = relay.read()
    text = home.relay.read_text().replace("## From you\n", "## From you\nUse tabs.\n")
    home.relay.write_text(text.replace("Look at the open issues", "Drop everything, look at the open issues"))
    written = relay.write(apply(base.relay, RelayDelta(next_action="Fix it."), 1), base, day=DAY)
    assert (written.displaced, len(written.moved)) == (1, 1)
    assert written.relay.human == (
        "Use tabs.\n\n> Moved here from “Next action” of version 1:\n\n"
        "Drop everything, look at the open issues and plan the first one.\n"
    )
    assert home.relay.read_text() == render(written.relay)
    assert written.relay.plan.next_action == "Fix it."


def test_an_edit_between_cycles_is_seen_before_the_model_is_asked(home: Home) -> None:
    """A snapshot's relay has the human's words already, and says that a write is due."""
    relay = RelayFile(home)
    say(relay, "Fix it.")
    home.relay.write_text(home.relay.read_text().replace("Fix it.", "Rather document it."))
    found = relay.read()
    assert (found.settled, found.relay.plan.next_action) == (False, "Fix it.")
    assert "Rather document it." in found.relay.human
    assert relay.write(found.relay, found, day=DAY).moved == found.moved
    assert relay.read().settled


def test_a_stale_buffer_saved_later_is_merged(home: Home) -> None:
    """An editor that was opened three versions ago saves: its words are added, ours stay."""
    relay = RelayFile(home)
    stale = home.relay.read_text() + "from an old buffer\n"
    for number in range(3):
        say(relay, f"Step {number}.")
    home.relay.write_text(stale)
    written = say(relay, "Step 3.")
    assert (written.moved, written.relay.human) == ((), "\nfrom an old buffer\n")


@pytest.mark.parametrize("stamp", ["above it", "without it", "unknown"])
def test_a_version_that_stood_for_a_moment_is_no_word_taken_out(home: Home, stamp: str) -> None:
    """A save is displaced; before it is merged, an editor opens the version in place, and saves it later.

    What it saves has not got the first save's words, which it never saw. When its stamp is no longer on the
    first line, or names nothing that is kept, nothing says so: the words stay all the same.
    """
    relay = RelayFile(home)
    base = relay.read()
    home.relay.write_text(home.relay.read_text() + "the first save\n")
    written = relay.write(apply(base.relay, RelayDelta(next_action="Fix it."), 1), base, day=DAY)
    assert (written.displaced, written.relay.version) == (1, 3)
    opened = relay.version(2).text
    assert "the first save" not in opened
    if stamp == "above it":
        home.relay.write_text("the second save\n" + opened)
    else:
        line = "" if stamp == "without it" else "<!-- agentloop relay v1 · version 2 · 0123456789abcdef -->\n"
        home.relay.write_text(line + opened.partition("\n")[2] + "the second save\n")
    human = say(relay, "Test it.").relay.human
    assert ("the first save\n" in human, "the second save\n" in human) == (True, True)
    assert "Taken out" not in human
    assert relay.read().settled


def test_lines_taken_out_below_new_words_at_the_top_stay_out(home: Home) -> None:
    """The stamp is found below the words above it: what the person deleted is deleted."""
    relay = RelayFile(home)
    home.relay.write_text(home.relay.read_text() + "old words\n")
    say(relay, "Fix it.")
    home.relay.write_text("new words\n" + home.relay.read_text().replace("old words\n", ""))
    human = say(relay, "Test it.").relay.human
    assert ("old words" in human, human.count("new words")) == (False, 1)
    assert "> Moved here from “the top” of version 2:\n" in human


def test_a_program_that_keeps_the_file_open_loses_nothing(home: Home) -> None:
    """`cat >> consensus.md`, open for a hundred cycles: its file is kept until it has written and closed."""
    relay = RelayFile(home)
    with home.relay.open("a") as stream:
        for number in range(100):
            say(relay, f"Step {number}.")
        stream.write("typed a hundred cycles later\n")
    assert "typed a hundred cycles later\n" in say(relay, "Ship it.").relay.human
    assert relay.read().settled


@pytest.mark.parametrize("content", [None, b"", b"\0\0\0\xff\xfe", b"complete nonsense\r\n## Facts\r\n"])
def test_nonsense_is_survived(home: Home, content: bytes | None) -> None:
    """Deleted, emptied, binary: plan and human's section come back, and the odd bytes are kept."""
    relay = RelayFile(home)
    home.relay.write_text(home.relay.read_text() + "My words.\n")
    before = say(relay, "Fix it.").relay
    home.relay.unlink()
    if content is not None:
        home.relay.write_bytes(content)
    found = relay.read()
    assert (found.relay.plan, found.settled) == (before.plan, False)
    written = relay.write(found.relay, found, day=DAY)
    assert written.relay.human.startswith(before.human)
    kept = home.relay.read_bytes()
    assert all(word in kept for word in (content or b"").replace(b"## Facts\r\n", b"").split())
    assert parse(kept.decode("utf-8", "surrogateescape")) == written.relay


def test_a_writer_that_is_slow_to_write_is_waited_for_or_merged_later(home: Home) -> None:
    """An editor had the file open when it was displaced and writes later: the next write has it."""
    relay = RelayFile(home)
    say(relay, "Fix it.")
    stream = home.relay.open("r+")
    text = stream.read()
    say(relay, "Test it.")
    stream.seek(0)
    stream.write(text + "written into the displaced file\n")
    stream.close()
    assert "written into the displaced file" in relay.read().relay.human
    assert "written into the displaced file\n" in say(relay, "Ship it.").relay.human
    assert relay.read().settled


def test_people_save_while_cycles_write(home: Home, tmp_path: Path) -> None:
    """Hammering editors, in place, by rename and by vim's backup: every line of theirs is kept.

    Two editors may overwrite each other, which is between them: so they take turns. Each goes on for two
    seconds, and until it has saved twenty times and been written over ten times, however busy the machine is.
    """
    relay = RelayFile(home)
    script = tmp_path / "hammer.py"
    script.write_text(textwrap.dedent(HAMMER))
    said: list[str] = []
    for seed in (1, 2):
        stop = tmp_path / f"stop-{seed}"
        command = [sys.executable, str(script), str(home.relay), str(stop), str(seed)]
        end, writes = time.monotonic() + 2, 0
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as editor:
            try:
                while editor.poll() is None:
                    say(relay, f"Step {writes}.")
                    writes += 1
                    if writes >= 10 and time.monotonic() > end:
                        stop.touch()
            finally:
                stop.touch()
            assert editor.stdout is not None
            said += editor.stdout.read().split("\n")[:-1]
    say(relay, "Nearly there.")
    human = say(relay, "Last.").relay.human
    kept = set(human.split("\n"))
    assert len(said) >= 40
    assert [line for line in said if line not in kept] == []
    assert relay.read().settled


def test_a_crash_between_exchange_and_look_loses_nothing(home: Home) -> None:
    """The displaced file lies beside the relay, where it was exchanged to: the next write merges it."""
    relay = RelayFile(home)
    say(relay, "Fix it.")
    edited = home.relay.read_text() + "saved at the last moment\n"
    say(relay, "Test it.")
    (home.memories / ".consensus.md.3.tmp").write_text(edited)
    assert "saved at the last moment" in relay.read().relay.human
    assert "saved at the last moment\n" in say(relay, "Ship it.").relay.human
    assert list(home.memories.glob(".consensus*")) == []


def test_a_crash_while_an_editor_saves_in_place_loses_nothing(home: Home) -> None:
    """The displaced file was empty when we looked, because its editor had not filled it yet."""
    relay = RelayFile(home)
    say(relay, "Fix it.")
    text = home.relay.read_text()
    say(relay, "Test it.")
    with (home.memories / ".consensus.md.3.tmp").open("w") as editor:
        say(relay, "Ship it.")
        editor.write(text + "saved at last\n")
    assert "saved at last\n" in say(relay, "Rest.").relay.human


def test_a_crash_before_the_exchange_leaves_no_words_of_ours_behind(home: Home) -> None:
    """A new version that was torn while it was prepared is thrown away."""
    relay = RelayFile(home)
    written = say(relay, "Fix it.")
    whole = render(written.relay)
    (home.memories / ".consensus.md.2.tmp").write_text(whole[: len(whole) // 2])
    assert say(relay, "Test it.").relay.human == written.relay.human
    assert list(home.memories.glob(".consensus*")) == []


def test_the_runtime_folder_may_be_lost(home: Home) -> None:
    """Without kept versions the plan comes from the file, and the number goes on."""
    relay = RelayFile(home)
    before = say(relay, "Fix it.").relay
    subprocess.run(["rm", "-r", str(home.runtime)], check=True)
    assert relay.read().relay == before
    assert say(relay, "Test it.").relay.version == 3


def test_a_link_is_refused_with_the_fix(home: Home, tmp_path: Path) -> None:
    """An exchange would replace the link and leave its target behind."""
    home.relay.rename(tmp_path / "elsewhere.md")
    home.relay.symlink_to(tmp_path / "elsewhere.md")
    with pytest.raises(HomeError, match="symbolic link") as raised:
        RelayFile(home).read()
    assert "cp --remove-destination" in raised.value.fix


def test_mode_is_kept(home: Home) -> None:
    """A file that only its owner may read stays so."""
    home.relay.chmod(0o600)
    say(RelayFile(home), "Fix it.")
    assert home.relay.stat().st_mode & 0o777 == 0o600


def test_overflow_and_what_was_done_go_to_the_archive(home: Home) -> None:
    """One file a day, appended to; what is in the relay is within the cap."""
    relay = RelayFile(home)
    many = tuple(f"thing {number} " + "x" * 250 for number in range(20))
    assert say(relay, "Go on.", done=many).archived == home.memories / "archive/2026/11-20.md"
    say(relay, "Go on.", done=("last",))
    archive = (home.memories / "archive/2026/11-20.md").read_text()
    assert [text for text in many if f"- done: {text}\n" not in archive] == []


def test_secrets_of_ours_are_redacted_and_the_humans_stay(home: Home) -> None:
    """What the core writes holds no secret; the human's bytes are the human's."""
    token = "ghp_" + "aB3dE5fG7hJ9kL1mN3pQ5rS7tU9vW1xY3zA5"
    relay = RelayFile(home)
    home.relay.write_text(home.relay.read_text() + f"mine: {token}\n")
    decision = NewDecision(what=f"Use {token}", why="it works")
    base = relay.read()
    new = replace(
        apply(base.relay, RelayDelta(next_action=f"Call with {token}", add_decisions=(decision,)), 1),
        facts=clean_facts([("token", token), ("open issues", None)]),
    )
    relay.write(new, base, day=DAY)
    core, human = home.relay.read_text().split("## From you\n")
    assert (token in core, human) == (False, f"\nmine: {token}\n")
    assert "- open issues: null\n" in core


def test_rollback_brings_back_a_plan_and_nothing_else(home: Home) -> None:
    """An older plan as a new version; the human's section as it is now."""
    relay = RelayFile(home)
    say(relay, "Good plan.")
    say(relay, "Bad plan.")
    home.relay.write_text(home.relay.read_text() + "later words\n")
    written = relay.rollback(2, day=DAY)
    assert (written.relay.version, written.relay.plan.next_action) == (4, "Good plan.")
    assert written.relay.human == "\nlater words\n"
    assert [one.relay.version for one in relay.versions()] == [4, 3, 2]
    with pytest.raises(NotFoundError):
        relay.rollback(99)


def test_only_fifty_versions_are_kept(home: Home) -> None:
    """The runtime folder does not grow with the cycles."""
    relay = RelayFile(home)
    for number in range(60):
        say(relay, f"Step {number}.")
    assert len(list((home.runtime / "relay").glob("*.md"))) == 50
    assert len(list((home.runtime / "relay/late").iterdir())) <= 64


def test_a_full_disk_leaves_the_old_relay(home: Home) -> None:
    """When a write fails it says so, the old file is in place, and the next write works."""
    relay = RelayFile(home)
    before = say(relay, "Fix it.").relay
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200, hard))
    try:
        with pytest.raises(OSError, match="too large"):
            say(relay, "Test it.")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert home.relay.read_text() == render(before)
    assert say(relay, "Test it.").relay.plan.next_action == "Test it."
    assert list(home.memories.glob(".*")) == []
