"""Work trees made ahead: like new ones in every respect, claimed once, bounded, and never half of one."""

from __future__ import annotations

import os
import pickle
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from agentloop.domain.settings import Limits, Models, Settings, Target, Worker
from agentloop.domain.work import AttemptSpec, Contract, Task
from agentloop.edges.pool import Pool
from agentloop.edges.repositories import GitRepositories
from agentloop.edges.slots import Slots, Wanted, read_stand, write_stand
from agentloop.home import Home
from agentloop.worker.workplace import Workplace

KIND = "bubblewrap" if shutil.which("bwrap") else "none"
UPKEEP = """
import pickle, sys
from agentloop import upkeep
home, settings = pickle.loads(sys.stdin.buffer.read())
print("go", flush=True)
sys.exit(upkeep.main(home, settings))
"""
CLAIM = """
import pickle, sys
from agentloop.edges.slots import Slots
home, wanted, to = pickle.loads(sys.stdin.buffer.read())
print("ready", flush=True)
sys.exit(0 if Slots(home).claim("t", wanted, to) else 7)
"""


def git(folder: Path, *words: str, given: str = "") -> str:
    """What git says in `folder` to what it is given."""
    done = subprocess.run(["git", *words], cwd=folder, check=True, capture_output=True, input=given.encode())
    return done.stdout.decode().strip()


@dataclass
class Yard:
    """A target, and a home with a pool of work trees for it."""

    root: Path
    worker: Worker
    setup: str = ""

    @property
    def home(self) -> Home:
        """The home."""
        return Home(self.root / "home")

    @property
    def source(self) -> Path:
        """The target's repository."""
        return self.root / "source"

    @property
    def target(self) -> Target:
        """The target."""
        return Target(name="t", repository="../source", setup=self.setup)

    @property
    def settings(self) -> Settings:
        """The settings in force."""
        return Settings(targets=(self.target,), worker=self.worker)

    @property
    def pool(self) -> Pool:
        """The pool, as a cycle sees it."""
        return Pool(self.home, self.settings)

    @property
    def slots(self) -> tuple[Path, ...]:
        """The slots that are ready."""
        return Slots(self.home).ready("t")

    def commit(self, files: dict[str, str | None]) -> str:
        """Commit files (None: removed) and return the commit, once the mirror has it."""
        for path, text in files.items():
            (self.source / path).parent.mkdir(parents=True, exist_ok=True)
            if text is None:
                (self.source / path).unlink()
            else:
                (self.source / path).write_text(text)
        git(self.source, "add", "-A")
        git(self.source, "commit", "-qm", "more")
        return self.head()

    def head(self) -> str:
        """What a cycle sees of the target."""
        return GitRepositories(self.home.root).head(self.target)[1]

    def upkeep(self) -> int:
        """Let the upkeep do what is due, in a process of its own, and return its exit code."""
        process = self.begin_upkeep()
        assert process.stdout
        process.stdout.close()
        return process.wait()

    def begin_upkeep(self) -> subprocess.Popen[bytes]:
        """Start the upkeep; on return it is about to begin."""
        process = subprocess.Popen(
            [sys.executable, "-c", UPKEEP], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert process.stdin
        assert process.stdout
        process.stdin.write(pickle.dumps((self.home, self.settings)))
        process.stdin.close()
        process.stdout.readline()
        return process

    def spec(self, attempt: str, base: str) -> AttemptSpec:
        """An attempt's spec."""
        contract = Contract(goal="g", criteria=())
        return AttemptSpec(
            id=attempt,
            task=Task(id="7.1", issue="7", title="x", kind="change", contract=contract, target="t"),
            base=base,
            folder=str(self.home.attempt(attempt).root),
            mirror=str(self.home.mirror_of("t")),
            deadline=datetime.now(tz=UTC),
            slice_micros=1,
            limits=Limits(),
            models=Models(),
            worker=self.worker,
            target=self.target,
            prices={},
            brief="what to do\n",
        )

    def begin(self, attempt: str, base: str) -> tuple[Workplace, str]:
        """Begin an attempt as cycle and harness do; return where it works, and how its tree came."""
        spec = self.spec(attempt, base)
        GitRepositories(self.home.root).prepare(spec, message="start")
        place = Workplace(spec)
        return place, place.set_up()

    def begin_without_slots(self, attempt: str, base: str) -> Workplace:
        """Begin an attempt for which there is no slot."""
        self.home.slots.rename(self.root / f"hidden-{attempt}")
        place, came = self.begin(attempt, base)
        (self.root / f"hidden-{attempt}").rename(self.home.slots)
        assert came == "new"
        return place


@pytest.fixture
def yard(tmp_path: Path) -> Yard:
    """A target with links, modes and attributes that would run programs, and no slots yet."""
    made = Yard(root=tmp_path, worker=Worker(sandbox=KIND, ready_trees=2))  # type: ignore[arg-type]
    made.source.mkdir()
    made.home.root.mkdir()
    git(made.source, "init", "-qb", "main")
    (made.source / "link").symlink_to("../../../etc/passwd")
    (made.source / "run.sh").write_text("#!/bin/sh\n")
    (made.source / "run.sh").chmod(0o755)
    files: dict[str, str | None] = {
        "a.txt": "one\n",
        "dir/b.txt": "two\n",
        "dir/deep/c.txt": "three\n",
        ".gitattributes": "*.txt filter=evil diff=evil\n",
        ".gitmodules": f'[submodule "m"]\n\tpath = m\n\turl = ./m\n\tupdate = !touch {tmp_path}/ran\n',
        ".gitconfig": f'[filter "evil"]\n\tsmudge = touch {tmp_path}/ran\n',
    }
    made.commit(files)
    return made


def looks(place: Workplace) -> dict[str, object]:
    """Everything that tells one place from another: names, modes, links, bytes; what git sees, twice."""
    folder = place.tree.parent
    found: dict[str, object] = {}
    for path in sorted((*place.tree.rglob("*"), *(folder / "git").rglob("*"))):
        mode = path.lstat().st_mode
        kept = path.is_file() and not path.is_symlink() and path.name != "index"
        bytes_ = path.read_bytes() if kept else b""
        found[str(path.relative_to(folder))] = (mode, bytes_, path.readlink() if path.is_symlink() else "")
    words = (
        "git status --porcelain --branch --ignored; git rev-parse HEAD; git write-tree; git ls-files -s -v"
    )
    found["git"] = place.shell(words).text
    found["result"] = place.result(message="m")
    return found


def test_a_slot_is_what_a_new_tree_is(yard: Yard) -> None:
    """Same files, modes, links, git directory, branch, status; no filter of a hostile tree runs."""
    base = yard.head()
    assert yard.upkeep() == 0
    assert [read_stand(slot) is not None for slot in yard.slots] == [True, True]
    ready, came = yard.begin("7.1.1", base)
    assert came == "ready"
    assert looks(ready) == looks(yard.begin_without_slots("7.1.2", base))
    assert not (yard.root / "ran").exists()


def test_a_slot_at_another_commit_is_brought_to_the_base_without_a_trace(yard: Yard) -> None:
    """Changed, removed and new files, a folder for a file, line ends by attribute: as in a new tree."""
    before = yard.head()
    yard.upkeep()
    git(yard.source, "mv", "dir/deep/c.txt", "moved.txt")
    (yard.source / "run.sh").chmod(0o644)
    changes: dict[str, str | None] = {"a.txt": None, "a.txt/now": "a folder\n", "new": "new\n"}
    (yard.source / "a.txt").unlink()
    del changes["a.txt"]
    base = yard.commit({**changes, ".gitattributes": "*.txt text eol=crlf\n"})
    moved, came = yard.begin("7.1.1", base)
    assert came == "moved"
    assert (moved.tree / "dir/b.txt").read_bytes() == b"two\r\n"
    assert looks(moved) == looks(yard.begin_without_slots("7.1.2", base))
    back, came = yard.begin("7.1.3", before)
    assert came == "ready"
    assert looks(back) == looks(yard.begin_without_slots("7.1.4", before))


def test_a_task_file_of_the_repositorys_own_is_covered_in_a_slot_too(yard: Yard) -> None:
    """The brief stands in its place, and neither git nor the result takes that for a change."""
    base = yard.commit({"TASK.md": "theirs\n"})
    yard.upkeep()
    place, came = yard.begin("7.1.1", base)
    assert came == "ready"
    assert (place.tree / "TASK.md").read_text() == "what to do\n"
    assert place.shell("git status --porcelain").text == ""
    assert place.result(message="m").tip == ""


def test_two_attempts_never_see_each_others_writes(yard: Yard) -> None:
    """No file is shared between two slots, not even by a hard link."""
    base = yard.head()
    yard.upkeep()
    one, _ = yard.begin("7.1.1", base)
    other, _ = yard.begin("7.1.2", base)
    inodes = [
        {path.lstat().st_ino for path in place.tree.parent.rglob("*") if not path.is_dir()}
        for place in (one, other)
    ]
    assert not inodes[0] & inodes[1]
    one.shell("echo mine > a.txt; echo mine > new.txt")
    assert other.shell("cat a.txt; ls new.txt; git status --porcelain").text.startswith("one\nls: ")


def test_what_a_worker_changes_in_a_slot_is_seen_whatever_it_does_to_the_clock(yard: Yard) -> None:
    """Same size, same modification time: the result has the change, because git's index is young enough."""
    base = yard.head()
    yard.upkeep()
    place, _ = yard.begin("7.1.1", base)
    place.shell("touch -r a.txt keep; echo two > a.txt; touch -r keep a.txt; rm keep")
    assert place.result(message="m").tip != ""


def test_a_kill_between_claiming_a_slot_and_putting_it_on_its_branch_is_made_up_for(yard: Yard) -> None:
    """The next try finds the place on no branch and finishes it; nothing else is claimed."""
    base = yard.head()
    yard.upkeep()
    yard.home.attempts.mkdir()
    wanted = Wanted(commit=base, mirror=str(yard.home.mirror_of("t")), sandbox=KIND)
    assert Slots(yard.home).claim("t", wanted, yard.home.attempt("7.1.1").root)
    place, came = yard.begin("7.1.1", base)
    assert came == "ready"
    assert place.shell("git status --porcelain --branch").text == "## agentloop/7.1\n"
    assert len(yard.slots) == 1


def test_of_those_who_race_for_slots_each_slot_goes_to_one(yard: Yard) -> None:
    """Eight processes reach for two slots: two get one, whole; six go without, and nothing else happens."""
    base = yard.head()
    yard.upkeep()
    wanted = Wanted(commit=base, mirror=str(yard.home.mirror_of("t")), sandbox=KIND)
    racers = [
        subprocess.Popen([sys.executable, "-c", CLAIM], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        for _ in range(8)
    ]
    for number, racer in enumerate(racers):
        assert racer.stdin
        racer.stdin.write(pickle.dumps((yard.home, wanted, yard.root / f"won-{number}")))
        racer.stdin.close()
    for racer in racers:
        assert racer.stdout
        racer.stdout.read()
        racer.stdout.close()
    codes = [racer.wait() for racer in racers]
    assert sorted(codes) == [0, 0, 7, 7, 7, 7, 7, 7]
    won = [yard.root / f"won-{number}" for number, code in enumerate(codes) if code == 0]
    assert [(path / "tree/a.txt").read_text() for path in won] == ["one\n", "one\n"]
    assert yard.slots == ()


def test_what_no_longer_fits_is_replaced(yard: Yard) -> None:
    """Half made, of an earlier boot, of another mirror, of a target that is gone: thrown away, for good."""
    yard.head()
    yard.upkeep()
    of_old, of_another = yard.slots
    stand = read_stand(of_old)
    assert stand is not None
    write_stand(of_old, replace(stand, boot="an earlier one"))
    write_stand(of_another, replace(stand, mirror="/elsewhere"))
    half = Slots(yard.home).begin("t")
    (half / "tree").mkdir()
    (yard.home.slots / "gone").mkdir()
    assert yard.pool.is_due()
    assert yard.upkeep() == 0
    assert not {of_old, of_another} & set(yard.slots)
    assert len(yard.slots) == 2
    assert sorted(path.name for path in yard.home.slots.rglob(".new-*")) == []
    assert [path.name for path in yard.home.slots.iterdir()] == ["t"]
    assert list(yard.home.trash.iterdir()) == []
    assert not yard.pool.is_due()


def test_slots_follow_the_tip(yard: Yard) -> None:
    """After the target moved, what is ready is at its new commit, and there are not more than before."""
    yard.head()
    yard.upkeep()
    base = yard.commit({"new": "new\n"})
    assert yard.pool.is_due()
    yard.upkeep()
    assert [slot.name.partition("-")[0] for slot in yard.slots] == [base, base]
    _, came = yard.begin("7.1.1", base)
    assert came == "ready"


@pytest.mark.parametrize("step", range(4))
def test_killed_while_making_slots_nothing_half_made_is_used(yard: Yard, step: int) -> None:
    """SIGKILL at any moment: what is ready is whole, and the next upkeep makes up for it."""
    base = yard.head()
    process = yard.begin_upkeep()
    time.sleep(step * 0.15)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert process.stdout
    process.stdout.close()
    for number, _ in enumerate(yard.slots, 1):
        place, came = yard.begin(f"7.1.{number}", base)
        assert came == "ready"
        assert place.shell("git status --porcelain").text == ""
    assert yard.upkeep() == 0
    assert len(yard.slots) == 2


def test_the_pool_keeps_within_its_bounds_and_says_why(yard: Yard) -> None:
    """No room for one: none is made, the reason is kept, and nobody tries again until something changes."""
    yard.worker = replace(yard.worker, ready_mb=0)
    yard.head()
    assert yard.pool.is_due()
    assert yard.upkeep() == 0
    assert yard.slots == ()
    assert "worker.ready_mb" in Slots(yard.home).unmade("t")[1]
    assert not yard.pool.is_due()
    _, came = yard.begin("7.1.1", yard.head())
    assert came == "new"
    yard.worker = replace(yard.worker, ready_mb=100)
    assert yard.pool.is_due()


def test_many_small_packs_of_a_mirror_become_few_and_no_object_is_lost(yard: Yard) -> None:
    """Those that no branch names included: an attempt that borrows them may be at work."""
    yard.head()
    mirror = yard.home.mirror_of("t")
    lost = git(mirror, "hash-object", "-w", "--stdin-paths", given="config\n")
    names = [git(mirror, "hash-object", "-w", "--stdin", given=str(number)) for number in range(45)]
    for name in names:
        git(mirror, "pack-objects", "-q", "objects/pack/pack", given=f"{name}\n")
    git(mirror, "-c", "extensions.preciousObjects=false", "prune-packed")
    assert yard.upkeep() == 0
    assert len(list(mirror.glob("objects/pack/*.pack"))) < 10
    for name in (lost, *names):
        git(mirror, "cat-file", "-e", name)
    assert git(mirror, "config", "extensions.preciousObjects") == "true"
    git(mirror, "fsck", "--connectivity-only", "--no-dangling")


def test_what_a_killed_upkeep_had_begun_is_taken_away_though_nothing_is_lacking(yard: Yard) -> None:
    """A power cut in the middle leaves a work tree that nobody finishes: that alone is reason enough."""
    yard.head()
    yard.upkeep()
    (Slots(yard.home).begin("t") / "tree").mkdir()
    assert yard.pool.is_due()
    assert yard.upkeep() == 0
    assert not yard.pool.is_due()


def test_switched_off_there_are_none(yard: Yard) -> None:
    """`ready_trees = 0` takes away what there was."""
    yard.head()
    yard.upkeep()
    yard.worker = replace(yard.worker, ready_trees=0)
    assert yard.upkeep() == 0
    assert yard.slots == ()
    assert not yard.pool.is_due()


def test_what_a_set_up_command_needs_is_made_in_the_attempts_own_place(yard: Yard) -> None:
    """Slots hold no set-up: the command runs once the tree is the attempt's, at its own path."""
    yard.setup = "pwd > where; echo '/where' >> .git-ignored"
    base = yard.head()
    yard.upkeep()
    place, came = yard.begin("7.1.1", base)
    assert came == "ready"
    assert (place.tree / "where").read_text().strip() == str(place.tree)
    assert place.result(message="m").tip == ""


def test_a_folder_that_a_worker_closed_is_discarded_at_once_and_deleted_later(yard: Yard) -> None:
    """Whatever modes a worker left: out of sight by a rename, gone after the next upkeep."""
    closed = yard.home.attempt("7.1.1").tree
    (closed / "within").mkdir(parents=True)
    (closed / "within").chmod(0)
    closed.chmod(0)
    Slots(yard.home).discard(closed)
    assert not closed.exists()
    assert yard.pool.is_due()
    assert yard.upkeep() == 0
    assert list(yard.home.trash.iterdir()) == []
    assert os.listdir(yard.home.attempt("7.1.1").root) == []  # noqa: PTH208 -- names, and no more
