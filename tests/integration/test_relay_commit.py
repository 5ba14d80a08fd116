"""Commits in the home: made beside a person's own work there, never through it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import replace
from datetime import date
from pathlib import Path
from shutil import which

import pytest

from agentloop.domain.relay import FIRST, RelayDelta, apply, render
from agentloop.edges.gitobjects import ObjectFolder
from agentloop.edges.homegit import Committed, NothingToCommit, PutOff
from agentloop.edges.relay import RelayFile
from agentloop.home import Home

DAY = date(2026, 11, 20)
IGNORED = "/.agentloop/\n"


def git(home: Home, *args: str) -> str:
    """What git prints, run by the person in their home."""
    done = subprocess.run(["git", *args], cwd=home.root, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A home in a repository with one commit of the person's."""
    home = Home(tmp_path)
    home.relay.parent.mkdir()
    home.relay.write_text(render(FIRST))
    home.gitignore.write_text(IGNORED)
    git(home, "init", "--quiet", "-b", "main")
    git(home, "add", ".")
    git(home, "commit", "--quiet", "-m", "Begin")
    return home


def say(relay: RelayFile, action: str) -> None:
    """One cycle's write."""
    base = relay.read()
    relay.write(apply(base.relay, RelayDelta(next_action=action), 1), base, day=DAY)


def committed(home: Home, action: str, *paths: Path) -> str:
    """One cycle's write and commit; the commit's id."""
    relay = RelayFile(home)
    say(relay, action)
    outcome = relay.commit(f"Cycle: {action}", paths)
    assert isinstance(outcome, Committed), outcome
    return outcome.commit


def test_a_commit_is_one_and_clean(home: Home) -> None:
    """One commit by agentloop, with message and content; the person's status shows nothing."""
    commit = committed(home, "Fix it.")
    assert git(home, "rev-parse", "HEAD") == commit
    assert (
        git(home, "log", "-1", "--format=%an <%ae>|%cn|%B")
        == "agentloop <agentloop@localhost>|agentloop|Cycle: Fix it."
    )
    assert git(home, "show", "HEAD:memories/consensus.md") == home.relay.read_text().strip()
    assert git(home, "status", "--porcelain") == ""
    assert git(home, "fsck", "--strict") == ""


def test_nothing_new_is_no_commit(home: Home) -> None:
    """The same relay again makes no commit."""
    commit = committed(home, "Fix it.")
    assert RelayFile(home).commit("again") == NothingToCommit()
    assert git(home, "rev-parse", "HEAD") == commit


def test_a_persons_own_work_is_not_disturbed(home: Home) -> None:
    """Staged, unstaged and untracked files of theirs are as before, and their next commit is theirs alone."""
    for name in ("staged", "both", "untracked"):
        (home.root / name).write_text("1\n")
    git(home, "add", "staged", "both")
    (home.root / "both").write_text("2\n")
    before = git(home, "status", "--porcelain")
    committed(home, "Fix it.")
    assert git(home, "status", "--porcelain") == before
    git(home, "commit", "--quiet", "-m", "Mine")
    assert git(home, "show", "--format=", "--name-only") == "both\nstaged"


def test_what_a_person_staged_of_the_relay_stays_staged(home: Home) -> None:
    """Their index entry is theirs when it is not the one we committed before."""
    home.relay.write_text(home.relay.read_text() + "staged words\n")
    git(home, "add", "memories/consensus.md")
    staged = git(home, "rev-parse", ":memories/consensus.md")
    committed(home, "Fix it.")
    assert git(home, "rev-parse", ":memories/consensus.md") == staged
    assert "staged words" in git(home, "show", "HEAD:memories/consensus.md")


def test_archive_and_notes_go_along(home: Home) -> None:
    """Paths that are given are in the commit, new folders too; status stays clean."""
    note = home.note_of("7.1")
    archive = home.archive_of(DAY)
    for path in (note, archive):
        path.parent.mkdir(parents=True)
        path.write_text("words\n")
    committed(home, "Fix it.", note, archive, home.note_of("no such"))
    names = git(home, "show", "--format=", "--name-only").split()
    assert names == ["memories/archive/2026/11-20.md", "memories/consensus.md", "memories/notes/7.1.md"]
    assert git(home, "status", "--porcelain") == ""


def test_the_first_commit_of_a_repository(tmp_path: Path) -> None:
    """A branch that is yet to be born is born with our commit; what the person staged stays staged."""
    home = Home(tmp_path)
    git(home, "init", "--quiet", "-b", "trunk")
    (tmp_path / "mine").write_text("1\n")
    git(home, "add", "mine")
    committed(home, "Fix it.")
    assert git(home, "log", "--format=%s", "trunk") == "Cycle: Fix it."
    assert git(home, "status", "--porcelain", "-uno") == "A  mine"


@pytest.mark.parametrize(
    "marker", ["MERGE_HEAD", "rebase-merge", "CHERRY_PICK_HEAD", "REVERT_HEAD", "BISECT_LOG"]
)
def test_commits_wait_for_a_merge_and_its_kin(home: Home, marker: str) -> None:
    """Put off with the reason, and taken up afterwards."""
    (home.root / ".git" / marker).write_text("")
    relay = RelayFile(home)
    say(relay, "Fix it.")
    outcome = relay.commit("now")
    assert isinstance(outcome, PutOff)
    assert "under way" in outcome.reason
    (home.root / ".git" / marker).unlink()
    assert isinstance(relay.commit("now"), Committed)


def test_commits_wait_while_head_is_detached(home: Home) -> None:
    """A commit there would be lost when the person goes back to their branch."""
    git(home, "checkout", "--quiet", "--detach")
    say(RelayFile(home), "Fix it.")
    outcome = RelayFile(home).commit("now")
    assert isinstance(outcome, PutOff)
    assert "detached" in outcome.reason


def test_a_damaged_repository_puts_the_commit_off(home: Home) -> None:
    """What git says is the reason; the relay itself is written."""
    say(RelayFile(home), "Fix it.")
    (home.root / ".git/refs/heads/main").write_text("rubbish\n")
    outcome = RelayFile(home).commit("now")
    assert isinstance(outcome, PutOff)
    assert outcome.reason.startswith("git ")


def test_a_lost_tree_puts_the_commit_off_and_is_not_taken_for_empty(home: Home) -> None:
    """With the tree of a folder gone, a commit of one of its files would drop all the others."""
    (home.memories / "mine.md").write_text("mine\n")
    git(home, "add", ".")
    git(home, "commit", "--quiet", "-m", "Mine")
    before, tree = git(home, "rev-parse", "HEAD"), git(home, "rev-parse", "HEAD:memories")
    (home.root / f".git/objects/{tree[:2]}/{tree[2:]}").unlink()
    relay = RelayFile(home)
    say(relay, "Fix it.")
    assert isinstance(relay.commit("Cycle", ()), PutOff)
    assert git(home, "rev-parse", "HEAD") == before


def test_an_object_that_a_power_cut_left_torn_is_written_again(home: Home) -> None:
    """A file of the object's name that is cut off does not stand for it."""
    relay = RelayFile(home)
    say(relay, "Fix it.")
    blob = git(home, "hash-object", "memories/consensus.md")
    torn = home.root / f".git/objects/{blob[:2]}/{blob[2:]}"
    torn.parent.mkdir(exist_ok=True)
    torn.write_bytes(b"")
    assert isinstance(relay.commit("Cycle", ()), Committed)
    assert git(home, "fsck", "--strict") == ""


def test_folders_beside_and_below_are_kept_in_gits_order(home: Home) -> None:
    """Names that sort otherwise as a folder than as a file, the person's modes and links stay."""
    for name in ("archive-x", "archive.md", "archive0/x", "archive/2025/old.md"):
        path = home.memories / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    (home.memories / "run.sh").write_text("#!/bin/sh\n")
    (home.memories / "run.sh").chmod(0o755)
    (home.memories / "link").symlink_to("archive.md")
    git(home, "add", ".")
    git(home, "commit", "--quiet", "-m", "Mine")
    before = set(git(home, "ls-tree", "-r", "HEAD").splitlines())
    archived = home.archive_of(DAY)
    archived.parent.mkdir(parents=True, exist_ok=True)
    archived.write_text("what went\n")
    committed(home, "Fix it.", archived)
    after = set(git(home, "ls-tree", "-r", "HEAD").splitlines())
    changed = {line.split("\t")[1] for line in before ^ after}
    assert changed == {"memories/consensus.md", archived.relative_to(home.root).as_posix()}
    assert git(home, "fsck", "--strict") == ""
    assert git(home, "status", "--porcelain") == ""


def test_a_repository_with_sha256(tmp_path: Path) -> None:
    """Object ids are made with the repository's own hash."""
    home = Home(tmp_path)
    git(home, "init", "--quiet", "--object-format=sha256", "-b", "main")
    committed(home, "Fix it.")
    committed(home, "Test it.")
    assert RelayFile(home).commit("again") == NothingToCommit()
    assert git(home, "status", "--porcelain", "-uno") == ""


def test_a_home_without_repository_says_so(tmp_path: Path) -> None:
    """No crash; and a repository further up is not taken for the home's."""
    subprocess.run(["git", "init", "--quiet", str(tmp_path)], check=True)
    home = Home(tmp_path / "home")
    say(RelayFile(home), "Fix it.")
    outcome = RelayFile(home).commit("now")
    assert isinstance(outcome, PutOff)
    assert outcome.fix.startswith("git -C")


def test_hooks_and_signing_do_not_run(home: Home) -> None:
    """A hook that always fails and a signing program that is not there change nothing."""
    for name in ("pre-commit", "reference-transaction", "post-commit"):
        hook = home.root / ".git/hooks" / name
        hook.parent.mkdir(exist_ok=True)
        hook.write_text("#!/bin/sh\ntouch ran\nexit 1\n")
        hook.chmod(0o755)
    git(home, "config", "commit.gpgSign", "true")
    git(home, "config", "gpg.program", "/no/such/program")
    committed(home, "Fix it.")
    assert list(home.root.rglob("ran")) == []


def test_a_secret_in_the_humans_section_is_not_committed(home: Home) -> None:
    """The file is left out with its line, other files go in; when the secret is gone the relay goes in."""
    clean = home.relay.read_text()
    home.relay.write_text(clean + "ghp_" + "aB3dE5fG7hJ9kL1mN3pQ5rS7tU9vW1xY3zA5\n")
    note = home.note_of("7.1")
    note.parent.mkdir()
    note.write_text("words\n")
    relay = RelayFile(home)
    say(relay, "Fix it.")
    outcome = relay.commit("now", [note])
    assert isinstance(outcome, Committed)
    assert outcome.left_out == (("memories/consensus.md", "holds a secret (github token) on line 40"),)
    assert git(home, "show", "--format=", "--name-only") == "memories/notes/7.1.md"
    home.relay.write_text(home.relay.read_text().replace("ghp_", ""))
    committed(home, "Fix it.")
    assert "ghp_" not in git(home, "log", "-p")


def test_a_locked_index_is_caught_up_later(home: Home) -> None:
    """While their git holds the index we commit all the same; the next commit sets the index right."""
    lock = home.root / ".git/index.lock"
    lock.write_text("")
    committed(home, "Fix it.")
    lock.unlink()
    assert git(home, "status", "--porcelain") == "MM memories/consensus.md"
    assert RelayFile(home).commit("now") == NothingToCommit()
    assert git(home, "status", "--porcelain") == ""


def test_a_lock_of_a_killed_git_is_taken_away(home: Home) -> None:
    """Old and nobody's: taken away. Young: somebody may be at work."""
    lock = home.root / ".git/refs/heads/main.lock"
    lock.write_text("")
    relay = RelayFile(home)
    say(relay, "Fix it.")
    outcome = relay.commit("now")
    assert isinstance(outcome, PutOff)
    assert "main.lock" in outcome.reason
    old = time.time() - 120
    os.utime(lock, (old, old))
    assert isinstance(relay.commit("now"), Committed)


def test_a_commit_that_was_cut_off_is_made_up_for_once(home: Home) -> None:
    """The relay was written, then the cycle was killed: the next one commits it."""
    relay = RelayFile(home)
    say(relay, "Fix it.")
    assert isinstance(RelayFile(home).make_up_commit(), Committed)
    assert git(home, "status", "--porcelain") == ""
    assert RelayFile(home).make_up_commit() is None


def test_no_object_has_its_name_before_it_is_durable(tmp_path: Path) -> None:
    """A power cut leaves a renamed file empty that was not synced: git would take it for the object."""
    objects = ObjectFolder(tmp_path, "sha1")
    name = objects.write("blob", b"a relay")
    place = tmp_path / name[:2] / name[2:]
    before = place.exists()
    objects.place()
    assert (before, place.exists(), len(list(tmp_path.rglob("tmp_obj_*")))) == (False, True, 0)


def test_a_version_that_was_killed_on_its_way_into_place_is_put_there_before_it_is_committed(
    home: Home,
) -> None:
    """Kept, its file prepared, not exchanged yet: then an idle cycle had committed what stood nowhere."""
    relay = RelayFile(home)
    say(relay, "Plan it.")
    relay.commit("before")
    before = home.relay.read_bytes()
    say(relay, "Fix it.")
    written = home.relay.read_bytes()
    # As it was just before the exchange: the version is kept, the new file lies beside, torn.
    home.relay.write_bytes(before)
    number = RelayFile(home).versions()[0].relay.version
    home.relay.with_name(f".{home.relay.name}.{number}.tmp").write_bytes(written[:100])
    assert isinstance(RelayFile(home).make_up_commit(), Committed)
    assert "Fix it." in home.relay.read_text()
    assert git(home, "show", "HEAD:memories/consensus.md") == home.relay.read_text().strip()
    assert git(home, "status", "--porcelain") == ""
    assert RelayFile(home).make_up_commit() is None


def test_an_index_that_a_killed_cycle_left_behind_is_set_right_by_the_next_commit(
    home: Home, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Killed between commit and index: else a careless commit of the person's would undo ours."""
    relay = RelayFile(home)
    say(relay, "Fix it.")
    shim = tmp_path_factory.mktemp("bin") / "git"
    shim.write_text(
        f'#!/bin/sh\ncase "$*" in *update-index*) kill -9 $PPID; exit 1;; esac\nexec {which("git")} "$@"\n'
    )
    shim.chmod(0o755)
    code = "import sys; from pathlib import Path; from agentloop.edges.relay import RelayFile\n"
    code += "from agentloop.home import Home; RelayFile(Home(Path(sys.argv[1]))).commit('cut off')"
    path = {**os.environ, "PATH": f"{shim.parent}:{os.environ['PATH']}"}
    killed = subprocess.run([sys.executable, "-c", code, str(home.root)], env=path, check=False)
    assert killed.returncode == -9
    assert git(home, "status", "--porcelain") != ""
    RelayFile(home).make_up_commit()
    assert git(home, "status", "--porcelain") == ""


def test_commits_and_a_persons_commits_interleave(home: Home) -> None:
    """Whoever commits when: all commits are in one line of history."""
    for number in range(5):
        committed(home, f"Step {number}.")
        (home.root / "mine").write_text(f"{number}\n")
        git(home, "add", "mine")
        git(home, "commit", "--quiet", "-m", f"mine {number}")
    assert git(home, "rev-list", "--count", "HEAD") == "11"
    assert git(home, "status", "--porcelain") == ""


def test_a_linked_work_tree_is_a_home_too(home: Home, tmp_path_factory: pytest.TempPathFactory) -> None:
    """`.git` is a file there; the commit goes to its branch."""
    other = Home(tmp_path_factory.mktemp("tree") / "home")
    git(home, "worktree", "add", "--quiet", "-b", "side", str(other.root))
    commit = committed(other, "Fix it.")
    assert (git(other, "rev-parse", "side"), git(other, "status", "--porcelain")) == (commit, "")


def test_history_stands_in_for_a_lost_runtime_folder(home: Home) -> None:
    """A stale buffer saved after the runtime folder was lost is compared with the version in git."""
    committed(home, "Step 1.")
    stale = home.relay.read_text().replace("Step 1.", "Not that!")
    committed(home, "Step 2.")
    subprocess.run(["rm", "-r", str(home.runtime)], check=True)
    home.relay.write_text(stale)
    found = RelayFile(home).read()
    assert (found.relay.plan.next_action, len(found.moved)) == ("Step 2.", 1)
    assert "Not that!" in found.relay.human
    assert RelayFile(home).write(found.relay, found, day=DAY).relay.version == 4


def test_a_rollback_is_committed_like_anything_else(home: Home) -> None:
    """Forward, never by rewriting history."""
    committed(home, "Good.")
    committed(home, "Bad.")
    relay = RelayFile(home)
    relay.rollback(2, day=DAY)
    assert isinstance(relay.commit("back"), Committed)
    assert git(home, "rev-list", "--count", "HEAD") == "4"
    assert replace(relay.read().relay, version=2).plan.next_action == "Good."
