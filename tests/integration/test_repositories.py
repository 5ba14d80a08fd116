"""Repositories on real git: mirrors, work trees, and the way back in for honest and hostile results."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import time
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from agentloop.domain.settings import Limits, Models, Target, Worker
from agentloop.domain.work import AttemptSpec, Contract, Delivered, End, Stopped, Task
from agentloop.edges.git import Git, GitError
from agentloop.edges.repositories import GitRepositories
from agentloop.errors import TargetError
from agentloop.ports import Rejected, Taken
from agentloop.worker.workplace import Workplace

BASE = {
    "a.txt": "one\n",
    "dir/b.txt": "two\n",
    "tests/test_a.py": "def test_a():\n    pass\n",
    "Name.txt": "a name\n",
}
AT = datetime(2026, 11, 20, 10, 0, tzinfo=UTC)


def git(folder: Path, *args: str, data: bytes = b"", env: dict[str, str] | None = None) -> str:
    """What git says in `folder`, with no settings but its own."""
    done = subprocess.run(
        ["git", *args], cwd=folder, input=data, check=True, capture_output=True, env=os.environ | (env or {})
    )
    return done.stdout.decode().strip()


@dataclass
class Land:
    """A person's checkout as the target, a home, and a worker who holds all the strings."""

    root: Path
    base: str = ""

    @property
    def source(self) -> Path:
        """The person's checkout."""
        return self.root / "source"

    @property
    def target(self) -> Target:
        """The target, named relative to the home."""
        return Target(name="t", repository="../source")

    @property
    def repositories(self) -> GitRepositories:
        """Fresh, as in a cycle that remembers nothing."""
        return GitRepositories(self.root / "home")

    @property
    def folder(self) -> Path:
        """The attempt's folder."""
        return self.root / "home/.agentloop/attempts/7.1.1"

    @property
    def spec(self) -> AttemptSpec:
        """The attempt's spec."""
        contract = Contract(goal="g", criteria=())
        return AttemptSpec(
            id="7.1.1",
            task=Task(id="7.1", issue="7", title="x", kind="change", contract=contract, target="t"),
            base=self.base,
            folder=str(self.folder),
            mirror=str(self.repositories.folder(self.target)),
            deadline=AT,
            slice_micros=1,
            limits=Limits(pack_mb=1),
            models=Models(),
            worker=Worker(sandbox="none"),
            target=self.target,
            prices={},
            brief="what to do\n",
        )

    @property
    def tree(self) -> Path:
        """The attempt's work tree."""
        return self.folder / "tree"

    def prepare(self) -> None:
        """Ready the attempt's work tree, as the cycle and then the attempt itself do."""
        self.repositories.head(self.target)
        self.repositories.prepare(self.spec, message="start")
        self.check_out()

    def check_out(self) -> None:
        """What an attempt begins with: its own part of a ready work tree."""
        if not (self.tree / "TASK.md").exists():
            Workplace(self.spec).set_up()

    def work(self, *words: str, data: bytes = b"") -> str:
        """Git in the work tree, as the worker runs it."""
        return git(self.tree, *words, data=data)

    def blob(self, data: bytes) -> str:
        """A blob of the worker's."""
        return self.work("hash-object", "-w", "--stdin", data=data)

    def raw_tree(self, *entries: tuple[str, bytes, str]) -> str:
        """A tree object with exactly these entries, whatever git thinks of them."""
        data = b"".join(
            mode.encode() + b" " + name + b"\0" + bytes.fromhex(oid) for mode, name, oid in entries
        )
        return self.work("hash-object", "-t", "tree", "-w", "--literally", "--stdin", data=data)

    def listed(self) -> list[tuple[str, bytes, str]]:
        """The entries at the top of the base's tree."""
        lines = self.work("ls-tree", self.base).splitlines()
        return [
            (line.split()[0].lstrip("0"), line.split("\t")[1].encode(), line.split()[2]) for line in lines
        ]

    def with_entry(self, mode: str, name: bytes, oid: str) -> str:
        """A commit of the base's tree and one more entry, in git's order."""
        entries = [entry for entry in self.listed() if entry[1] != name] + [(mode, name, oid)]
        entries.sort(key=lambda entry: entry[1] + (b"/" if entry[0] == "40000" else b""))
        return self.commit(self.raw_tree(*entries))

    def commit(self, tree: str) -> str:
        """A commit of the worker's."""
        return self.work("commit-tree", tree, "-p", self.base, "-m", "work")

    def deliver(self, *, left_out: str = "", thin: bool = True) -> None:
        """Leave the pack as the harness would; objects named in `left_out` are missing from it."""
        loose = (self.folder / "git/objects").glob("??/*")
        wanted = "\n".join({path.parent.name + path.name for path in loose} - set(left_out.split()))
        words = ["pack-objects", "--stdout", "-q", *(["--thin"] if thin else [])]
        if not wanted:
            return
        done = subprocess.run(
            ["git", *words], cwd=self.tree, input=wanted.encode() + b"\n", check=True, capture_output=True
        )
        (self.folder / "result.pack").write_bytes(done.stdout)

    def end(self, tip: str) -> End:
        """The attempt's end record."""
        outcome = Delivered(tip=tip, summary="done")
        return End(attempt="7.1.1", outcome=outcome, at=AT, turns=1, sandboxed=True)

    def take(self, tip: str) -> Taken | Rejected:
        """Take the result over."""
        return self.repositories.take(self.spec, self.end(tip), message="Do it\n", parents=(self.base,))

    def honest(self) -> str:
        """A worker's plain commit, delivered."""
        (self.tree / "a.txt").write_text("one\nmore\n")
        (self.tree / "new.txt").write_text("new\n")
        self.work("add", "-A")
        self.work("commit", "-qm", "work")
        tip = self.work("rev-parse", "HEAD")
        self.deliver()
        return tip


@pytest.fixture
def land(tmp_path: Path) -> Land:
    """A target with one commit that holds a link and a submodule, and an attempt made ready on it."""
    made = Land(root=tmp_path)
    made.source.mkdir()
    (tmp_path / "home").mkdir()
    git(made.source, "init", "-qb", "main")
    for path, text in BASE.items():
        (made.source / path).parent.mkdir(exist_ok=True)
        (made.source / path).write_text(text)
    (made.source / "link").symlink_to("a.txt")
    git(made.source, "add", "-A")
    git(made.source, "update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},module")
    git(made.source, "commit", "-qm", "base")
    made.base = git(made.source, "rev-parse", "HEAD")
    made.prepare()
    return made


# ---- mirrors


def test_head_is_the_default_branch_and_follows_it(land: Land) -> None:
    """What a person commits is what the next work starts from; a branch can be named instead."""
    assert land.repositories.head(land.target) == ("main", land.base)
    git(land.source, "checkout", "-qb", "topic/x")
    git(land.source, "commit", "-q", "--allow-empty", "-m", "more")
    tip = git(land.source, "rev-parse", "HEAD")
    assert land.repositories.head(land.target) == ("topic/x", tip)
    assert land.repositories.head(replace(land.target, branch="main")) == ("main", land.base)


def test_an_unmoved_repository_costs_no_fetch_and_no_gitpython(land: Land) -> None:
    """An idle look loads nothing heavy."""
    code = (
        "import sys; from pathlib import Path; from agentloop.domain.settings import Target;"
        "from agentloop.edges.repositories import GitRepositories;"
        "head = GitRepositories(Path(sys.argv[1])).head(Target(name='t', repository='../source'));"
        "print(head[0], 'git' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(land.root / "home")], check=True, capture_output=True, text=True
    )
    assert done.stdout == "main False\n"


def test_a_branch_that_became_a_folder_of_branches_is_followed(land: Land) -> None:
    """`a` deleted and `a/b` made over there must not stop the mirror."""
    git(land.source, "branch", "a")
    land.repositories.head(land.target)
    git(land.source, "branch", "-D", "a")
    git(land.source, "branch", "a/b")
    git(land.source, "commit", "-q", "--allow-empty", "-m", "more")
    assert land.repositories.head(land.target)[1] == git(land.source, "rev-parse", "HEAD")


def test_nothing_is_lost_when_a_branch_is_rewritten(land: Land) -> None:
    """A base stays pinned and readable after a forced push and whatever a person collects."""
    git(land.source, "commit", "-q", "--amend", "-m", "rewritten")
    git(land.source, "reflog", "expire", "--expire=now", "--all")
    git(land.source, "gc", "-q", "--prune=now")
    land.repositories.head(land.target)
    assert land.repositories.read(land.target, land.base, "a.txt", 100) == "one\n"
    assert land.work("status", "--porcelain") == ""


@pytest.mark.parametrize(
    ("repository", "branch", "words"),
    [
        ("nowhere", "", "nothing at"),
        ("..", "", "no git repository"),
        ("../source", "none", "no branch none"),
        ("../empty", "", "no commits"),
        ("ext::sh -c id", "", "not allowed"),
        ("http://127.0.0.1:1/x", "", "not allowed"),
        ("https://user:canary@127.0.0.1:1/x", "", "unable to access"),
        ("--upload-pack=touch /tmp/x", "", "nothing at"),
    ],
)
def test_a_target_that_cannot_be_used_is_told_with_its_fix(
    land: Land, repository: str, branch: str, words: str
) -> None:
    """Each way for a target to be wrong has its sentence and its fix, and shows no password."""
    (land.root / "empty").mkdir()
    git(land.root / "empty", "init", "-q")
    with pytest.raises(TargetError) as caught:
        land.repositories.head(Target(name="u", repository=repository, branch=branch))
    assert words in caught.value.what
    assert caught.value.fix
    assert "canary" not in str(caught.value)


def test_a_detached_head_asks_for_a_branch(land: Land) -> None:
    """Where HEAD names no branch, the settings must."""
    git(land.source, "checkout", "-q", "--detach")
    with pytest.raises(TargetError) as caught:
        land.repositories.head(land.target)
    assert "one of: main" in caught.value.fix


def test_a_shallow_repository_is_told_to_be_completed(land: Land) -> None:
    """History that is cut off cannot be mirrored, and it says how to mend it."""
    git(land.source, "commit", "-q", "--allow-empty", "-m", "two")
    git(land.root, "clone", "-q", "--depth=1", f"file://{land.source}", "shallow")
    with pytest.raises(TargetError) as caught:
        land.repositories.head(Target(name="s", repository="../shallow"))
    assert "--unshallow" in caught.value.fix


def test_a_lock_that_a_killed_git_left_is_taken_away(land: Land) -> None:
    """Under our own lock, a lock file in the mirror belongs to nobody."""
    mirror = land.repositories.folder(land.target)
    (mirror / "packed-refs.lock").touch()
    (mirror / "refs/heads/main.lock").touch()
    git(land.source, "commit", "-q", "--allow-empty", "-m", "more")
    assert land.repositories.head(land.target)[1] == git(land.source, "rev-parse", "HEAD")


@pytest.mark.parametrize("damage", ["HEAD", "config", "refs", "objects", "all"])
def test_a_damaged_mirror_is_made_anew(land: Land, damage: str) -> None:
    """Whatever part of it is gone, the next look ends with a whole one."""
    mirror = land.repositories.folder(land.target)
    mirror.joinpath("" if damage == "all" else damage).rename(land.root / "gone")
    assert land.repositories.head(land.target) == ("main", land.base)
    assert land.repositories.paths(land.target, land.base)


def test_a_mirror_that_lost_objects_gets_them_back(land: Land) -> None:
    """Objects that are gone are fetched again when they are asked for."""
    mirror = land.repositories.folder(land.target)
    for path in [*mirror.glob("objects/pack/*"), *mirror.glob("objects/??/*")]:
        path.unlink()
    assert land.repositories.head(land.target)[1] == land.base
    assert land.repositories.paths(land.target, land.base)


def test_a_mirror_with_mangled_objects_is_set_aside(land: Land) -> None:
    """What git cannot read it cannot replace: a new mirror is made, and the old one kept for a look."""
    mirror = land.repositories.folder(land.target)
    for path in [*mirror.glob("objects/pack/*"), *mirror.glob("objects/??/*")]:
        path.chmod(0o644)
        path.write_bytes(b"mangled")
    git(land.source, "commit", "-q", "--allow-empty", "-m", "more")
    assert land.repositories.head(land.target)[1] == git(land.source, "rev-parse", "HEAD")
    assert land.repositories.paths(land.target, land.base)
    assert len(list(mirror.parent.glob("t.git.broken-*"))) == 1


def test_a_clone_as_the_target_has_the_branch_it_is_on(land: Land) -> None:
    """What a clone remembers of its own origin is not taken for its HEAD."""
    git(land.root, "clone", "-q", str(land.source), "clone")
    git(land.root / "clone", "checkout", "-qb", "mine")
    assert land.repositories.head(Target(name="c", repository="../clone")) == ("mine", land.base)


def test_settings_and_hooks_of_the_machine_never_run(land: Land, tmp_path: Path) -> None:
    """A user's git settings, templates and environment reach none of our gits, and no key reaches git."""
    mark = tmp_path / "ran"
    home = Path(os.environ["HOME"])
    hook = home / "hooks/reference-transaction"
    hook.parent.mkdir()
    hook.write_text(f"#!/bin/sh\ntouch {mark}\n")
    hook.chmod(0o755)
    (home / ".gitconfig").write_text(
        f"[core]\nhooksPath={hook.parent}\nfsmonitor={hook}\n[diff]\nexternal={hook}\n[commit]\ngpgSign=true\n"
    )
    git(land.source, "commit", "-q", "--no-gpg-sign", "--allow-empty", "-m", "x")
    mark.unlink(missing_ok=True)
    land.repositories.head(land.target)
    tip = land.honest()
    mark.unlink(missing_ok=True)
    taken = land.take(tip)
    assert isinstance(taken, Taken)
    land.repositories.diff(land.target, land.base, taken.commit, 1000)
    assert not mark.exists()


# ---- work trees


def test_a_work_tree_is_ready_and_shares_nothing_but_objects(land: Land) -> None:
    """At its base, on a branch of ours, with TASK.md that git does not see; no remote, no hook."""
    assert (land.tree / "TASK.md").read_text() == "what to do\n"
    assert land.work("status", "--porcelain", "--branch") == "## agentloop/7.1"
    assert land.work("rev-parse", "HEAD") == land.base
    assert land.work("remote") == ""
    assert (land.tree / "link").readlink() == Path("a.txt")
    assert not (land.folder / "git/hooks").exists()
    assert git(land.repositories.folder(land.target), "rev-parse", "refs/agentloop/bases/7.1.1") == land.base


def test_preparing_again_changes_nothing(land: Land) -> None:
    """Done already is done: what the worker has done since stays."""
    (land.tree / "a.txt").write_text("worked\n")
    land.prepare()
    assert (land.tree / "a.txt").read_text() == "worked\n"


def test_a_task_file_of_the_repositorys_own_stays_as_it_was(land: Land) -> None:
    """A tracked TASK.md, even a link to elsewhere, is covered by ours and part of no diff."""
    victim = land.root / "victim"
    victim.write_text("untouched\n")
    (land.source / "TASK.md").symlink_to(victim)
    git(land.source, "add", "-A")
    git(land.source, "commit", "-qm", "a task of their own")
    land.base = git(land.source, "rev-parse", "HEAD")
    land.folder.rename(land.root / "earlier")
    land.prepare()
    assert (land.tree / "TASK.md").read_text() == "what to do\n"
    assert victim.read_text() == "untouched\n"
    assert land.work("status", "--porcelain") == ""
    taken = land.take(land.honest())
    assert isinstance(taken, Taken)
    assert (
        git(land.repositories.folder(land.target), "diff", "--name-only", land.base, taken.commit)
        == "a.txt\nnew.txt"
    )


def test_runtime_folder_deleted_everything_is_made_again(land: Land) -> None:
    """Mirror and work tree come back from the repository."""
    (land.root / "home/.agentloop").rename(land.root / "gone")
    land.repositories.prepare(land.spec, message="again")
    land.check_out()
    assert land.work("rev-parse", "HEAD") == land.base


KILLED = """
import sys, pickle
from pathlib import Path
from agentloop.edges.repositories import GitRepositories
what, root, spec, end = pickle.loads(sys.stdin.buffer.read())
repositories = GitRepositories(Path(root))
print("go", flush=True)
if what == "prepare":
    repositories.head(spec.target)
    repositories.prepare(spec, message="start")
else:
    repositories.take(spec, end, message="Do it\\n", parents=(spec.base,))
"""


def killed(land: Land, what: str, tip: str, after_seconds: float) -> None:
    """Start `what` in a process of its own and kill it a little later."""
    import pickle

    process = subprocess.Popen([sys.executable, "-c", KILLED], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin
    assert process.stdout
    process.stdin.write(pickle.dumps((what, str(land.root / "home"), land.spec, land.end(tip or land.base))))
    process.stdin.close()
    process.stdout.readline()
    time.sleep(after_seconds)
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()


@pytest.mark.parametrize("step", range(10))
def test_killed_while_preparing_the_next_try_ends_alike(land: Land, step: int) -> None:
    """SIGKILL at any moment of mirror and work tree: the next try gives what an undisturbed one gives."""
    (land.root / "home/.agentloop").rename(land.root / "gone")
    killed(land, "prepare", "", step * 0.012)
    land.prepare()
    assert land.work("status", "--porcelain", "--branch") == "## agentloop/7.1"
    names = ["git", "ready.json", "snapshot", "tmp", "tree"]
    assert sorted(path.name for path in land.folder.iterdir()) == names
    git(land.repositories.folder(land.target), "fsck", "--strict")


@pytest.mark.parametrize("step", range(10))
def test_killed_while_taking_over_the_next_try_gives_the_same_commit(land: Land, step: int) -> None:
    """SIGKILL at any moment of the take-over: the next gives the one commit, and no quarantine is left."""
    tip = land.honest()
    killed(land, "take", tip, step * 0.02)
    taken = land.take(tip)
    assert taken == land.take(tip)
    assert isinstance(taken, Taken)
    mirror = land.repositories.folder(land.target)
    git(mirror, "fsck", "--strict")
    assert git(mirror, "show", "-s", "--format=%an <%ae> %at %P", taken.commit) == (
        f"agentloop <agentloop@localhost> {int(AT.timestamp())} {land.base}"
    )
    assert not list(mirror.parent.glob(".quarantine*"))


# ---- taking over


def test_an_honest_result_becomes_one_commit_of_ours(land: Land) -> None:
    """The worker's tree, our author, our message, the end's time, the parents we named."""
    tip = land.honest()
    taken = land.take(tip)
    assert isinstance(taken, Taken)
    mirror = land.repositories.folder(land.target)
    assert git(mirror, "rev-parse", f"{taken.commit}^{{tree}}") == land.work("rev-parse", f"{tip}^{{tree}}")
    assert git(mirror, "log", "-1", "--format=%B", taken.commit) == "Do it"
    assert git(mirror, "rev-parse", "refs/agentloop/results/7.1.1") == taken.commit
    with pytest.raises(subprocess.CalledProcessError):
        git(mirror, "cat-file", "-e", tip)


def test_git_never_runs_where_the_worker_could_write(land: Land) -> None:
    """A booby-trapped work tree and git directory are not even looked at."""
    tip = land.honest()
    mark = land.root / "ran"
    trap = land.root / "trap"
    trap.write_text(f"#!/bin/sh\ntouch {mark}\n")
    trap.chmod(0o755)
    lines = (
        f"[core]\nfsmonitor={trap}\nhooksPath={land.root}\nsshCommand={trap}\n[alias]\nrev-parse=!{trap}\n"
    )
    (land.folder / "git/config").write_text(lines)
    (land.folder / "git/objects/info/alternates").write_text("/etc\n")
    assert isinstance(land.take(tip), Taken)
    assert not mark.exists()


def test_a_stopped_attempt_with_a_commit_is_taken_over_too(land: Land) -> None:
    """What there is counts, however the attempt ended; without a commit there is nothing."""
    tip = land.honest()
    end = replace(land.end(tip), outcome=Stopped(why="deadline", tip=tip))
    assert isinstance(land.repositories.take(land.spec, end, message="m", parents=(land.base,)), Taken)
    other = replace(land.spec, id="7.1.2")
    none = replace(land.end(tip), outcome=Stopped(why="deadline"))
    refused = land.repositories.take(other, none, message="m", parents=(land.base,))
    assert isinstance(refused, Rejected)
    assert refused.findings[0].kind == "empty"


def test_work_that_was_handed_on_is_part_of_what_is_judged(land: Land) -> None:
    """Measured from where it began: finished work passes although the last one added nothing to it."""
    kept = land.take(land.honest())
    assert isinstance(kept, Taken)
    again = replace(
        land.spec, id="7.1.2", base=kept.commit, origin=land.base, folder=str(land.folder.parent / "7.1.2")
    )
    land.repositories.prepare(again, message="go on")
    Workplace(again).set_up()
    tree = land.folder.parent / "7.1.2/tree"
    assert (tree / "new.txt").read_text() == "new\n"
    tip = git(tree, "commit-tree", f"{kept.commit}^{{tree}}", "-p", kept.commit, "-m", "work")
    (land.folder.parent / "7.1.2/result.pack").write_bytes(_packed(tree, f"{tip}\n^{kept.commit}\n"))
    end = replace(land.end(tip), attempt="7.1.2")
    taken = land.repositories.take(again, end, message="Do it\n", parents=(land.base,))
    assert isinstance(taken, Taken)
    mirror = land.repositories.folder(land.target)
    assert git(mirror, "rev-parse", f"{taken.commit}^") == land.base
    assert taken.tree == kept.tree


def _packed(tree: Path, revisions: str) -> bytes:
    words = ["git", "pack-objects", "--revs", "--thin", "--stdout", "-q"]
    done = subprocess.run(words, cwd=tree, input=revisions.encode(), check=True, capture_output=True)
    return done.stdout


def nothing(_land: Land) -> str:
    """A result equal to its base."""
    return _land.commit(_land.work("rev-parse", f"{_land.base}^{{tree}}"))


def only_the_brief(land: Land) -> str:
    """TASK.md forced in, and nothing else."""
    return land.with_entry("100644", b"TASK.md", land.blob(b"x"))


@pytest.mark.parametrize("make", [nothing, only_the_brief])
def test_a_result_without_a_change_is_empty(land: Land, make: Callable[[Land], str]) -> None:
    """Success without a deliverable is none."""
    tip = make(land)
    land.deliver()
    taken = land.take(tip)
    assert isinstance(taken, Rejected)
    assert [finding.kind for finding in taken.findings] == ["empty"]


def entry(mode: str, name: bytes, data: bytes = b"x\n") -> Callable[[Land], str]:
    """A result with one more entry at its top."""

    def make(land: Land) -> str:
        return land.with_entry(mode, name, land.blob(data))

    return make


def folder_entry(name: bytes, inner: bytes = b"config") -> Callable[[Land], str]:
    """A result with one more folder."""

    def make(land: Land) -> str:
        return land.with_entry("40000", name, land.raw_tree(("100644", inner, land.blob(b"x\n"))))

    return make


def nested(depth: int) -> Callable[[Land], str]:
    """Folders within folders."""

    def make(land: Land) -> str:
        oid = land.raw_tree(("100644", b"f", land.blob(b"x\n")))
        for _ in range(depth):
            oid = land.raw_tree(("40000", b"d", oid))
        return land.with_entry("40000", b"deep", oid)

    return make


def tree_bomb(land: Land) -> str:
    """Ten to the ninth files from ten trees."""
    oid = land.raw_tree(*(("100644", b"f%d" % n, land.blob(b"x\n")) for n in range(10)))
    for _ in range(8):
        oid = land.raw_tree(*(("40000", b"d%d" % n, oid) for n in range(10)))
    return land.with_entry("40000", b"bomb", oid)


def gitlink(land: Land) -> str:
    """A new submodule."""
    return land.with_entry("160000", b"sub", "2" * 40)


def changed_gitlink(land: Land) -> str:
    """The base's submodule at another commit."""
    return land.with_entry("160000", b"module", "2" * 40)


def duplicate(land: Land) -> str:
    """One name twice."""
    return land.commit(land.raw_tree(("100644", b"a", land.blob(b"1")), ("100644", b"a", land.blob(b"2"))))


def unsorted(land: Land) -> str:
    """Names in an order that hides one of them."""
    return land.commit(land.raw_tree(("100644", b"b", land.blob(b"1")), ("100644", b"a", land.blob(b"2"))))


def no_commit(land: Land) -> str:
    """A tree as the tip."""
    return land.raw_tree(("100644", b"a", land.blob(b"1")))


def no_such_commit(_land: Land) -> str:
    """A tip that is in no pack."""
    return "3" * 40


def an_option(_land: Land) -> str:
    """A tip that git would take for an option."""
    return "--output=/tmp/pwned"


def unicode_twin(land: Land) -> str:
    """Two spellings of one name."""
    one = land.blob(b"x\n")
    names = sorted([unicodedata.normalize("NFC", "é").encode(), unicodedata.normalize("NFD", "é").encode()])
    inner = land.raw_tree(*(("100644", name, one) for name in names))
    return land.with_entry("40000", b"twins", inner)


def folder_of_files_size(land: Land) -> str:
    """Files that weigh nothing packed and much unpacked."""
    data = land.blob(b"\0" * 25_000_000)
    return land.with_entry("100644", b"big", data)


HOSTILE: dict[str, tuple[Callable[[Land], str], str]] = {
    "a new link": (entry("120000", b"out", b"/etc/passwd"), "mode"),
    "a changed link": (entry("120000", b"link", b"/etc/passwd"), "mode"),
    "a file that became a link": (entry("120000", b"a.txt", b"/etc/passwd"), "mode"),
    "a new submodule": (gitlink, "mode"),
    "a moved submodule": (changed_gitlink, "mode"),
    "a mode of long ago": (entry("100664", b"old"), "mode"),
    "a setuid mode": (entry("104755", b"suid"), "mode"),
    ".git": (folder_entry(b".git"), "hostile"),
    ".GIT": (folder_entry(b".GIT"), "hostile"),
    "git~1": (folder_entry(b"git~1"), "hostile"),
    "GIT~1 as a file": (entry("100644", b"GIT~1"), "hostile"),
    ".git with a character that HFS ignores": (folder_entry(".g\u200cit".encode()), "hostile"),
    ".git with a space": (folder_entry(b".git "), "hostile"),
    ".git with a dot": (folder_entry(b".git."), "hostile"),
    ".git as a stream": (folder_entry(b".git::$INDEX_ALLOCATION"), "hostile"),
    "..": (folder_entry(b".."), "hostile"),
    ".": (folder_entry(b"."), "hostile"),
    "an empty name": (entry("100644", b""), "hostile"),
    "a name with a slash": (entry("100644", b"x/../../y"), "hostile"),
    "an absolute name": (entry("100644", b"/etc/cron.d/x"), "hostile"),
    "a name with a backslash": (entry("100644", b"x\\..\\y"), "hostile"),
    "a name with a newline": (entry("100644", b"x\ny"), "hostile"),
    "a name with an escape": (entry("100644", b"x\x1b[2J"), "hostile"),
    "a name that is no UTF-8": (entry("100644", b"\xff\xfe"), "hostile"),
    "a name that turns text": (entry("100644", "x\u202egpj.py".encode()), "hostile"),
    "a name that is too long": (entry("100644", b"x" * 300), "hostile"),
    "a name that ends in a dot": (entry("100644", b"x."), "hostile"),
    "a name that differs in case": (entry("100644", b"NAME.TXT"), "hostile"),
    "two spellings of one name": (unicode_twin, "hostile"),
    "one name twice": (duplicate, "hostile"),
    "names out of order": (unsorted, "hostile"),
    "folders without end": (nested(100), "hostile"),
    "a .gitmodules that runs a command": (
        entry("100644", b".gitmodules", b'[submodule "x"]\n\tpath = x\n\turl = -u./payload\n'),
        "hostile",
    ),
    "a .gitmodules that is a link": (entry("120000", b".gitmodules", b"a.txt"), "hostile"),
    "a tree as the tip": (no_commit, "hostile"),
    "a tip that is not there": (no_such_commit, "hostile"),
    "an option as the tip": (an_option, "empty"),
    "a bomb of folders": (tree_bomb, "size"),
    "a bomb of one file": (folder_of_files_size, "size"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_tree_does_not_come_in(land: Land, name: str) -> None:
    """Whatever it is, it is refused under its name, and the mirror is as it was."""
    make, kind = HOSTILE[name]
    tip = make(land)
    land.deliver(thin=False)
    mirror = land.repositories.folder(land.target)
    before = git(mirror, "count-objects", "-v")
    taken = land.take(tip)
    assert isinstance(taken, Rejected)
    assert kind in {finding.kind for finding in taken.findings}, taken
    assert git(mirror, "count-objects", "-v") == before
    assert git(mirror, "for-each-ref", "refs/agentloop/results") == ""
    assert not list(mirror.parent.glob(".quarantine*"))


def linked(path: Path) -> None:
    """The pack is a link to something else."""
    path.rename(path.with_name("other"))
    path.symlink_to(path.with_name("other"))


def piped(path: Path) -> None:
    """The pack is a pipe that nobody writes to."""
    path.unlink()
    os.mkfifo(path)


def a_folder(path: Path) -> None:
    """The pack is a folder."""
    path.unlink()
    path.mkdir()


def rubbish(path: Path) -> None:
    """The pack is none."""
    path.write_bytes(b"#!/bin/sh\n")


def cut_off(path: Path) -> None:
    """The pack ends too early."""
    path.write_bytes(path.read_bytes()[:-30])


def one_bit(path: Path) -> None:
    """One bit of the pack is another."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def missing(path: Path) -> None:
    """There is no pack."""
    path.unlink()


def huge(path: Path) -> None:
    """The pack is larger than allowed."""
    os.truncate(path, 1_000_001)


@pytest.mark.parametrize("spoil", [linked, piped, a_folder, rubbish, cut_off, one_bit, missing, huge])
def test_a_spoilt_pack_does_not_come_in(land: Land, spoil: Callable[[Path], None]) -> None:
    """Nothing that stands where the pack should is followed, waited for or believed."""
    tip = land.honest()
    spoil(land.folder / "result.pack")
    taken = land.take(tip)
    assert isinstance(taken, Rejected)
    assert taken.findings[0].kind == ("size" if spoil is huge else "hostile")


@pytest.mark.parametrize("what", ["blob", "tree"])
def test_a_pack_with_a_hole_does_not_come_in(land: Land, what: str) -> None:
    """A tree of which a part is missing is no result."""
    blob = land.blob(b"the missing one\n")
    inner = land.raw_tree(("100644", b"f", blob))
    tip = land.with_entry("40000", b"sub", inner)
    land.deliver(left_out=blob if what == "blob" else f"{blob} {inner}", thin=False)
    taken = land.take(tip)
    assert isinstance(taken, Rejected)
    assert taken.findings[0].kind == "hostile"


def shell(script: str) -> Callable[[Land], str]:
    """A result made by a script in the work tree."""

    def make(land: Land) -> str:
        subprocess.run(["/bin/sh", "-ec", script], cwd=land.tree, check=True)
        land.work("add", "-A")
        land.work("commit", "-qm", "work")
        return land.work("rev-parse", "HEAD")

    return make


BENIGN: dict[str, Callable[[Land], str]] = {
    "a changed file": shell("echo x >> a.txt"),
    "a new file in a new folder": shell("mkdir -p q/r; echo x > q/r/s"),
    "an executable": shell("chmod +x a.txt"),
    "a deleted file": shell("rm a.txt"),
    "a deleted link and submodule": shell("rm link; git rm -q --cached module; rm -rf module"),
    "a link that became a file": shell("rm link; echo x > link"),
    "a file that became a folder": shell("rm a.txt; mkdir a.txt; echo x > a.txt/x"),
    "a renamed file": shell("git mv a.txt c.txt"),
    "a name in another case, the old one gone": shell("git mv Name.txt NAME.txt"),
    "names in many scripts": shell("echo x > 'grüße 日本 👩‍💻.md'"),
    "an empty file": shell(": > empty"),
    "binary data": shell("head -c 100000 /dev/urandom > data.bin"),
    "a .gitignore": shell("echo '*.log' > .gitignore"),
    "names that only look like git's": shell(
        "mkdir git my.git; echo x > git/config; echo x > my.git/HEAD; echo x > digit~1"
    ),
    "a merge of two lines of work": shell(
        "git checkout -qb side; echo s > s; git add s; git commit -qm s; git checkout -q -; echo m > m;"
        "git add m; git commit -qm m; git merge -q side; echo e > e"
    ),
}


@pytest.mark.parametrize("name", BENIGN)
@pytest.mark.parametrize("thin", [True, False])
def test_a_benign_twin_comes_in_whole(land: Land, name: str, *, thin: bool) -> None:
    """What looks like a hostile tree and is none comes in bit by bit."""
    tip = BENIGN[name](land)
    land.deliver(thin=thin)
    taken = land.take(tip)
    assert isinstance(taken, Taken), taken
    mirror = land.repositories.folder(land.target)
    assert git(mirror, "rev-parse", f"{taken.commit}^{{tree}}") == land.work("rev-parse", f"{tip}^{{tree}}")
    git(mirror, "fsck", "--strict")


def test_the_brief_is_never_part_of_a_result(land: Land) -> None:
    """TASK.md forced into a commit is left out of ours."""
    (land.tree / "a.txt").write_text("changed\n")
    land.work("add", "-f", "TASK.md", "a.txt")
    land.work("commit", "-qm", "work")
    tip = land.work("rev-parse", "HEAD")
    land.deliver()
    taken = land.take(tip)
    assert isinstance(taken, Taken)
    assert "TASK.md" not in land.repositories.paths(land.target, taken.commit)


# ---- reading


def test_diff_read_and_paths_tell_what_is_in_the_mirror(land: Land) -> None:
    """Text as it is, cut where it is too long, None where there is no file."""
    taken = land.take(land.honest())
    assert isinstance(taken, Taken)
    ours = land.repositories
    diff = ours.diff(land.target, land.base, taken.commit, 10_000)
    assert "+more\n" in diff
    assert "+++ b/new.txt\n" in diff
    assert ours.diff(land.target, land.base, taken.commit, 40).endswith("\n[cut after 40 bytes]\n")
    assert ours.read(land.target, taken.commit, "a.txt", 100) == "one\nmore\n"
    assert ours.read(land.target, taken.commit, "./dir/b.txt", 100) == "two\n"
    assert ours.read(land.target, taken.commit, "a.txt", 3) == "one\n[cut after 3 bytes]\n"
    for path in ("new.txt", "dir", "dir/", "../a.txt", "*", "", ".", "/a.txt"):
        assert ours.read(land.target, land.base, path, 9) is None
    assert set(ours.paths(land.target, taken.commit)) == {*BASE, "link", "module", "new.txt"}


@pytest.mark.parametrize("commit", ["", "HEAD", "--all", "4" * 40])
def test_an_unknown_commit_is_a_targets_trouble(land: Land, commit: str) -> None:
    """Names, options and ids of nothing are refused before git sees them as such."""
    with pytest.raises(TargetError):
        land.repositories.paths(land.target, commit)


# ---- git itself


def test_git_is_stopped_at_its_time_limit(tmp_path: Path) -> None:
    """A git that hangs is an error that names its limit, and is not waited for."""
    began = time.monotonic()
    with pytest.raises(GitError) as caught:
        Git(tmp_path).run("-c", "alias.hang=!exec sleep 30", "hang", timeout_seconds=0.3)
    assert time.monotonic() - began < 25
    assert (caught.value.status, "longer than 0.3 s" in caught.value.what) == (None, True)


def test_git_gets_none_of_our_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither keys nor settings reach git, through GitPython or without."""
    monkeypatch.setenv("ANTHROPIC_API_KEY", "canary")
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    shown = ""
    for ask in (Git(tmp_path).text, Git(tmp_path).look):
        shown += ask("-c", "alias.dump=!env", "dump")
    assert "canary" not in shown
    assert "GIT_DIR=/nowhere" not in shown


def test_git_takes_the_folder_it_was_given_or_none(tmp_path: Path) -> None:
    """A folder that is not there is an error, and a repository around a folder is not taken for its own."""
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    (tmp_path / "inner").mkdir()
    for folder in (tmp_path / "nowhere", tmp_path / "inner"):
        with pytest.raises(GitError):
            Git(folder).run("rev-parse", "--git-dir")


def test_more_output_than_wanted_stops_git(tmp_path: Path) -> None:
    """An endless answer is read up to one byte more than was asked for."""
    assert Git(tmp_path).run("-c", "alias.yes=!exec yes", "yes", limit_bytes=5) == b"y\ny\ny\n"


def test_a_repository_of_another_user_can_be_mirrored(land: Land) -> None:
    """Which folders are trusted is the settings' decision, not the owner's."""
    if os.geteuid() != 0:
        pytest.skip("only root can give files away")
    for path in [land.source, *land.source.rglob("*")]:
        os.chown(path, 12345, 12345, follow_symlinks=False)
    git_dir = land.source / ".git"
    assert stat.S_ISDIR(git_dir.stat().st_mode)
    env = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": "*"}
    git(land.source, "commit", "-q", "--allow-empty", "-m", "more", env=env)
    assert land.repositories.head(land.target)[1] == git(land.source, "rev-parse", "HEAD", env=env)
