"""The built-in forge on real git: every kind of origin, merges by command and by hand, what is refused."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from agentloop.domain.effects import OpenPull, Push, SayOnPull
from agentloop.domain.issue import Pull
from agentloop.domain.settings import Settings, Target
from agentloop.edges.forge import FileForge
from agentloop.errors import BusyError, ConflictError, TargetError
from agentloop.home import Home
from agentloop.testing import gitrepo
from agentloop.testing.gitrepo import git

BRANCH = "agentloop/7.1-crash"
FILES = {"app.py": "one\ntwo\nthree\n", "README": "read me\n"}


class Place:
    """A home and one target, `web`."""

    def __init__(self, folder: Path, origin: Path, address: str) -> None:
        self.home = Home(folder / "home")
        self.origin = origin
        self.mirror = gitrepo.mirror(origin, self.home.mirror_of("web"))
        self.settings = Settings(targets=(Target(name="web", repository=address),))
        self.forge = FileForge(self.home, self.settings)

    def open(self, files: dict[str, str | None], *, branch: str = BRANCH, body: str = "Intent.") -> str:
        """Push a commit on the base and open a pull request for it; return its id."""
        commit = gitrepo.commit_in(self.mirror, gitrepo.head(self.origin, "main"), files, "work")
        self.forge.act(f"push {branch}", Push(target="web", branch=branch, commit=commit))
        opening = OpenPull(target="web", branch=branch, base="main", title="Fix it", body=body)
        return self.forge.act(f"open {branch}", opening)

    def seen(self, pull: str) -> Pull:
        """As the cycle sees it."""
        (found,) = (each for each in self.forge.observe(frozenset({pull})) if each.id == pull)
        return found

    def head(self, branch: str = "main") -> str:
        """Where a branch of the origin stands."""
        return gitrepo.head(self.origin, branch)


@pytest.fixture
def bare(tmp_path: Path) -> Place:
    """A bare origin."""
    origin = gitrepo.bare(tmp_path / "origin.git", FILES)
    return Place(tmp_path, origin, str(origin))


@pytest.fixture
def checked_out(tmp_path: Path) -> Place:
    """A person's repository, with `main` checked out."""
    origin = gitrepo.checkout(tmp_path / "origin", FILES)
    return Place(tmp_path, origin, str(origin))


@pytest.mark.parametrize("kind", ["path", "relative path", "file URL", "no mirror"])
def test_every_kind_of_address_works(tmp_path: Path, kind: str) -> None:
    """Push, open, observe and merge, whatever the settings call the repository."""
    origin = gitrepo.bare(tmp_path / "origin.git", FILES)
    address = {"relative path": "../origin.git", "file URL": f"file://{origin}"}.get(kind, str(origin))
    place = Place(tmp_path, origin, address)
    pull = place.open({"app.py": "one\n2\nthree\n"})
    if kind == "no mirror":
        shutil.rmtree(place.home.runtime)
    assert place.seen(pull).mergeable is True
    merged = place.forge.merge(pull, squash=False, author="alice")
    assert (place.head(), place.head(BRANCH)) == (merged.commit, "")
    assert git(origin, "show", "main:app.py") == "one\n2\nthree"
    assert place.seen(pull).state == "merged"


def test_a_merge_is_a_merge_commit_by_the_person(bare: Place) -> None:
    """It names the pull request and the issue, without a word that another tracker would act on."""
    base = bare.head()
    pull = bare.open({"app.py": "1\n"}, body="Intent.\n\nCloses #7\nfixes #12")
    head = bare.head(BRANCH)
    merged = bare.forge.merge(pull, squash=False, author="alice")
    assert git(bare.origin, "log", "-1", "--format=%P|%an|%B", merged.commit) == (
        f"{base} {head}|Test|Merge pull request 1: Fix it\n\n"
        f"Closes issue 7.\nCloses issue 12.\nBranch: {BRANCH}"
    )


@pytest.fixture
def nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody whom git does not know."""
    for role in ("AUTHOR", "COMMITTER"):
        for what in ("NAME", "EMAIL"):
            monkeypatch.delenv(f"GIT_{role}_{what}")


@pytest.mark.usefixtures("nobody")
@pytest.mark.parametrize("where", ["origin", "home", "everywhere"])
def test_a_merge_needs_a_person_whom_git_knows(checked_out: Place, where: str) -> None:
    """Nothing that git makes up goes into a history; the settings of origin, home or person say who it is."""
    before = checked_out.head()
    pull = checked_out.open({"app.py": "1\n"})
    with pytest.raises(ConflictError, match="nothing was merged") as caught:
        checked_out.forge.merge(pull, squash=False, author="alice")
    assert "git config --global user.email" in caught.value.fix
    assert (checked_out.head(), checked_out.seen(pull).state) == (before, "open")

    git(checked_out.home.root, "init", "--quiet")
    files = {
        "origin": checked_out.origin / ".git" / "config",
        "home": checked_out.home.root / ".git" / "config",
        "everywhere": Path(os.environ["HOME"]) / ".gitconfig",
    }
    with files[where].open("a") as stream:
        stream.write("[user]\n\tname = Ann\n\temail = ann@example.invalid\n")
    checked_out.forge.merge(pull, squash=False, author="alice")
    assert git(checked_out.origin, "log", "-1", "--format=%an <%ae>|%cn <%ce>") == "|".join(
        ["Ann <ann@example.invalid>"] * 2
    )


@pytest.mark.usefixtures("nobody")
def test_an_address_in_the_environment_is_one(bare: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """As git itself takes `EMAIL`, behind what its settings say."""
    git(bare.origin, "config", "user.name", "Ann")
    monkeypatch.setenv("EMAIL", "ann@example.invalid")
    merged = bare.forge.merge(bare.open({"app.py": "1\n"}), squash=True, author="alice")
    assert git(bare.origin, "log", "-1", "--format=%an <%ae>", merged.commit) == "Ann <ann@example.invalid>"


def test_a_squash_is_one_commit_and_is_seen_as_merged(bare: Place) -> None:
    """Though its head is nowhere in the base."""
    base = bare.head()
    pull = bare.open({"app.py": "1\n"})
    merged = bare.forge.merge(pull, squash=True, author="alice")
    assert git(bare.origin, "log", "-1", "--format=%P|%s", merged.commit) == f"{base}|Fix it (pull request 1)"
    assert (bare.seen(pull).state, bare.seen(pull).merge_commit) == ("merged", merged.commit)


def test_a_squash_that_was_killed_behind_the_push_is_seen_as_merged(bare: Place) -> None:
    """What was written before the push tells, so nobody does the work again."""
    pull = bare.open({"app.py": "1\n"})
    tree = git(bare.origin, "rev-parse", f"{BRANCH}^{{tree}}")
    landed = git(bare.origin, "commit-tree", tree, "-p", bare.head(), "-m", "squashed")
    record = bare.home.pulls / "0001.md"
    record.write_text(record.read_text().replace("state: open", f"state: open\nmerging: {landed}"))
    assert bare.seen(pull).state == "open"
    git(bare.origin, "update-ref", "refs/heads/main", landed)
    assert (bare.seen(pull).state, bare.seen(pull).merge_commit) == ("merged", landed)


@pytest.mark.parametrize("how", [["--no-ff"], ["--ff-only"]])
@pytest.mark.parametrize("deleted", [True, False])
def test_a_merge_with_plain_git_is_seen(checked_out: Place, how: list[str], *, deleted: bool) -> None:
    """With the commit it came in with, also when the branch went at once and history went on."""
    pull = checked_out.open({"app.py": "1\n"})
    git(checked_out.origin, "merge", "--quiet", "--no-edit", *how, BRANCH)
    merged = checked_out.head()
    git(checked_out.origin, "commit", "--quiet", "--allow-empty", "--message=later")
    if deleted:
        git(checked_out.origin, "branch", "--quiet", "-D", BRANCH)
    assert (checked_out.seen(pull).state, checked_out.seen(pull).merge_commit) == ("merged", merged)
    assert (checked_out.home.closed_pulls / "0001.md").exists()


def test_a_merge_that_was_seen_stays_one(checked_out: Place) -> None:
    """Also when somebody rewrites history behind it."""
    pull = checked_out.open({"app.py": "1\n"})
    base = checked_out.head()
    checked_out.forge.merge(pull, squash=False, author="alice")
    git(checked_out.origin, "reset", "--quiet", "--hard", base)
    assert checked_out.seen(pull).state == "merged"


def test_a_clean_checkout_is_updated_with_the_merge(checked_out: Place) -> None:
    """Branch, index and files together; what git does not track stays."""
    (checked_out.origin / "notes.txt").write_text("mine\n")
    pull = checked_out.open({"app.py": "1\n", "new/file.py": "new\n", "README": None})
    merged = checked_out.forge.merge(pull, squash=False, author="alice")
    assert merged.checkout == checked_out.origin
    assert git(checked_out.origin, "status", "--porcelain") == "?? notes.txt"
    assert git(checked_out.origin, "rev-parse", "HEAD", "main") == f"{merged.commit}\n{merged.commit}"
    assert (checked_out.origin / "app.py").read_text() == "1\n"
    assert (checked_out.origin / "new" / "file.py").read_text() == "new\n"
    assert not (checked_out.origin / "README").exists()


@pytest.mark.parametrize("dirt", ["edited", "staged", "deleted", "untracked", "ignored", "merging"])
def test_a_checkout_that_is_not_clean_is_left_as_it_is(checked_out: Place, dirt: str) -> None:
    """The merge is refused with the fix, and neither file nor branch has changed."""
    origin = checked_out.origin
    pull = checked_out.open({"app.py": "1\n", "new.py": "theirs\n"})
    _make_dirty(origin, dirt)
    before = _everything(origin)
    with pytest.raises(ConflictError, match="nothing was merged") as refused:
        checked_out.forge.merge(pull, squash=False, author="alice")
    assert refused.value.fix
    assert _everything(origin) == before
    assert checked_out.seen(pull).state == "open"


def _make_dirty(origin: Path, dirt: str) -> None:
    match dirt:
        case "edited":
            (origin / "README").write_text("mine\n")
        case "staged":
            (origin / "README").write_text("mine\n")
            git(origin, "add", "README")
        case "deleted":
            (origin / "README").unlink()
        case "untracked":
            (origin / "new.py").write_text("mine\n")
        case "ignored":
            (origin / ".git" / "info" / "exclude").write_text("new.py\n")
            (origin / "new.py").write_text("mine\n")
        case _:
            (origin / ".git" / "MERGE_HEAD").write_text(f"{gitrepo.head(origin, 'main')}\n")


def _everything(origin: Path) -> tuple[dict[str, bytes], str, str]:
    """Files, branches and index of a checkout."""
    paths = [path for path in origin.rglob("*") if path.is_file() and ".git" not in path.parts]
    refs = git(origin, "for-each-ref", "--format=%(refname) %(objectname)")
    return {str(path): path.read_bytes() for path in paths}, refs, git(origin, "ls-files", "--stage")


CHANGED: dict[str, str | None] = {"app.py": "1\n", "new/file.py": "new\n", "README": None}


def _cut_off(place: Place, *, left: str) -> tuple[str, str]:
    """Leave the checkout as a git that is killed on its way through a merge does; return pull and commit."""
    pull = place.open(CHANGED)
    origin, base = place.origin, place.head()
    git(origin, "fetch", "--quiet", ".", BRANCH)
    tree = git(origin, "rev-parse", f"{BRANCH}^{{tree}}")
    commit = git(origin, "commit-tree", tree, "-p", base, "-p", place.head(BRANCH), "-m", "merge")
    record = next(place.home.pulls.glob("*.md"))
    record.write_text(record.read_text().replace("state: open", f"state: open\nmerging: {commit}"))
    _leave(origin, left, commit)
    return pull, commit


def _leave(origin: Path, left: str, commit: str) -> None:
    metadata = origin / ".git"
    (metadata / "index.lock").touch()
    if left != "locked only":
        (origin / "app.py").unlink()
        (origin / "README").unlink()
    if left in {"begun", "files written", "index written", "branch moved"}:
        (origin / "app.py").touch()
    if left in {"files written", "index written", "branch moved"}:
        (origin / "app.py").write_text("1\n")
        (origin / "new").mkdir()
        (origin / "new" / "file.py").write_text("new\n")
    if left in {"index written", "branch moved"}:
        (metadata / "index.lock").unlink()
        git(origin, "read-tree", commit)
        (metadata / "HEAD.lock").touch()
        (metadata / "refs" / "heads" / "main.lock").touch()
    if left == "branch moved":
        (metadata / "refs" / "heads" / "main.lock").write_text(f"{commit}\n")
        (metadata / "refs" / "heads" / "main.lock").rename(metadata / "refs" / "heads" / "main")
    for lock in metadata.rglob("*.lock"):
        os.utime(lock, (0, 0))


LEFT = ("locked only", "file deleted", "begun", "files written", "index written")


@pytest.mark.parametrize("left", LEFT)
def test_a_merge_cut_off_in_the_checkout_is_made_when_asked_again(checked_out: Place, left: str) -> None:
    """What the killed git left is put back, its locks are gone, and the merge is made once."""
    pull, _ = _cut_off(checked_out, left=left)
    merged = checked_out.forge.merge(pull, squash=False, author="alice")
    origin = checked_out.origin
    assert (checked_out.head(), git(origin, "status", "--porcelain")) == (merged.commit, "")
    assert ((origin / "app.py").read_text(), (origin / "new" / "file.py").read_text()) == ("1\n", "new\n")
    assert not (origin / "README").exists()
    assert list((origin / ".git").rglob("*.lock")) == []


@pytest.mark.parametrize("left", LEFT)
def test_a_look_puts_a_checkout_back_and_merges_nothing(checked_out: Place, left: str) -> None:
    """The next cycle leaves the checkout as before the merge; merging is for a person."""
    before = _everything(checked_out.origin)
    pull, _ = _cut_off(checked_out, left=left)
    assert checked_out.seen(pull).state == "open"
    files, refs, index = _everything(checked_out.origin)
    assert (files, index) == (before[0], before[2])
    assert before[1] in refs
    assert git(checked_out.origin, "status", "--porcelain") == ""
    assert list((checked_out.origin / ".git").rglob("*.lock")) == []
    assert not (checked_out.origin / "new").exists()


def test_a_merge_cut_off_behind_the_branch_is_seen_as_merged_and_its_locks_go(checked_out: Place) -> None:
    """A file that is missing though the branch has moved is written as the merge has it."""
    pull, commit = _cut_off(checked_out, left="branch moved")
    (checked_out.origin / "app.py").unlink()
    found = checked_out.seen(pull)
    assert (found.state, found.merge_commit, checked_out.head()) == ("merged", commit, commit)
    assert (checked_out.origin / "app.py").read_text() == "1\n"
    assert git(checked_out.origin, "status", "--porcelain") == ""
    assert list((checked_out.origin / ".git").rglob("*.lock")) == []


@pytest.mark.parametrize("path", ["app.py", "README", "new/file.py"])
def test_what_a_person_wrote_after_a_merge_was_cut_off_is_refused_by_name(
    checked_out: Place, path: str
) -> None:
    """A change of theirs, or an untracked file in the way: nothing is touched, and moved away it goes on."""
    pull, _ = _cut_off(checked_out, left="file deleted")
    (checked_out.origin / path).parent.mkdir(exist_ok=True)
    (checked_out.origin / path).write_text("mine\n")
    before = _everything(checked_out.origin)
    with pytest.raises(ConflictError, match=f"{path} there was changed") as refused:
        checked_out.forge.merge(pull, squash=False, author="alice")
    assert "out of the way" in refused.value.fix
    assert checked_out.seen(pull).state == "open"
    assert any(path in words for words in checked_out.forge.get(pull).problems)
    assert _everything(checked_out.origin) == before
    (checked_out.origin / path).unlink()
    merged = checked_out.forge.merge(pull, squash=False, author="alice")
    assert (checked_out.head(), git(checked_out.origin, "status", "--porcelain")) == (merged.commit, "")


def test_what_a_person_staged_after_a_merge_was_cut_off_is_refused(checked_out: Place) -> None:
    """It may be nowhere else: the file itself is away."""
    pull, _ = _cut_off(checked_out, left="index written")
    blob = git(checked_out.origin, "hash-object", "-w", "--stdin", stdin="mine\n")
    git(checked_out.origin, "update-index", "--cacheinfo", f"100644,{blob},app.py")
    before = _everything(checked_out.origin)
    with pytest.raises(ConflictError, match=r"app\.py there was changed"):
        checked_out.forge.merge(pull, squash=False, author="alice")
    assert _everything(checked_out.origin) == before


def test_a_change_elsewhere_outlives_what_is_put_back(checked_out: Place) -> None:
    """Files that the merge does not touch are not looked at; the merge itself is then refused as ever."""
    pull, _ = _cut_off(checked_out, left="index written")
    (checked_out.origin / "mine.py").write_text("mine\n")
    git(checked_out.origin, "add", "mine.py")
    with pytest.raises(ConflictError, match=r"not committed \(mine\.py\)"):
        checked_out.forge.merge(pull, squash=False, author="alice")
    assert git(checked_out.origin, "status", "--porcelain") == "A  mine.py"


def test_a_lock_in_a_checkout_where_a_git_works_is_left(checked_out: Place) -> None:
    """A person's git that waits there may hold it."""
    pull, _ = _cut_off(checked_out, left="file deleted")
    words = ["git", "-C", str(checked_out.origin), "cat-file", "--batch"]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as working:
        with pytest.raises(BusyError, match="a git works in"):
            checked_out.forge.merge(pull, squash=False, author="alice")
        assert (checked_out.origin / ".git" / "index.lock").exists()
        working.communicate()
    assert checked_out.forge.merge(pull, squash=False, author="alice").checkout == checked_out.origin


def test_a_merge_that_was_refused_leaves_nothing_to_put_back(checked_out: Place) -> None:
    """An untracked file was in the way: what a person takes away afterwards stays away."""
    pull = checked_out.open({"app.py": "1\n", "new.py": "theirs\n"})
    (checked_out.origin / "new.py").write_text("mine\n")
    with pytest.raises(ConflictError, match="nothing was merged"):
        checked_out.forge.merge(pull, squash=False, author="alice")
    (checked_out.origin / "app.py").unlink()
    with pytest.raises(ConflictError, match="not committed"):
        checked_out.forge.merge(pull, squash=False, author="alice")
    assert not (checked_out.origin / "app.py").exists()


def test_a_linked_work_tree_is_updated_too(checked_out: Place, tmp_path: Path) -> None:
    """The base is checked out in another folder than the main one."""
    git(checked_out.origin, "checkout", "--quiet", "-b", "mine")
    linked = tmp_path / "linked"
    git(checked_out.origin, "worktree", "add", "--quiet", str(linked), "main")
    pull = checked_out.open({"app.py": "1\n"})
    (linked / "app.py").write_text("mine\n")
    with pytest.raises(ConflictError, match="linked"):
        checked_out.forge.merge(pull, squash=False, author="alice")
    git(linked, "checkout", "--quiet", "app.py")
    merged = checked_out.forge.merge(pull, squash=False, author="alice")
    assert (merged.checkout, (linked / "app.py").read_text()) == (linked, "1\n")
    assert git(linked, "status", "--porcelain") == ""
    assert (checked_out.origin / "app.py").read_text() == FILES["app.py"]


def test_a_base_that_nobody_has_checked_out_is_moved(checked_out: Place) -> None:
    """A person's dirty work on another branch is no reason to refuse, and is left alone."""
    git(checked_out.origin, "checkout", "--quiet", "-b", "mine")
    (checked_out.origin / "app.py").write_text("mine\n")
    pull = checked_out.open({"app.py": "1\n"})
    merged = checked_out.forge.merge(pull, squash=False, author="alice")
    assert (merged.checkout, checked_out.head()) == (None, merged.commit)
    assert (checked_out.origin / "app.py").read_text() == "mine\n"


def test_a_conflict_is_seen_and_refused_with_its_files(bare: Place) -> None:
    """The cycle sees that it cannot be merged; the person is told where and what to do."""
    one = bare.open({"app.py": "1\n"})
    two = bare.open({"app.py": "2\n"}, branch="agentloop/7.2-other")
    assert [pull.mergeable for pull in bare.forge.observe(frozenset())] == [True, True]
    bare.forge.merge(one, squash=False, author="alice")
    assert bare.seen(two).mergeable is False
    base = bare.head()
    with pytest.raises(
        ConflictError, match=r"in conflict with main in app\.py; nothing was merged"
    ) as refused:
        bare.forge.merge(two, squash=False, author="alice")
    assert "done again on the newer base by itself" in refused.value.fix
    assert (bare.head(), bare.seen(two).state) == (base, "open")


def test_a_branch_that_moved_since_is_not_taken_away(bare: Place) -> None:
    """Somebody pushed while the merge went on: their commit stays on its branch."""
    pull = bare.open({"app.py": "1\n"})
    hook = bare.origin / "hooks" / "pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(
        "#!/bin/sh\nread old new ref\n[ $ref = refs/heads/main ] || exit 0\n"
        f"unset GIT_QUARANTINE_PATH\ngit update-ref refs/heads/{BRANCH} $old\n"
    )
    hook.chmod(0o755)
    base = bare.head()
    merged = bare.forge.merge(pull, squash=False, author="alice")
    assert merged.left
    assert (bare.head(), bare.head(BRANCH)) == (merged.commit, base)


def test_an_origin_that_refuses_is_heard(bare: Place) -> None:
    """A protected branch: the server's words reach the person, and the pull request stays open."""
    pull = bare.open({"app.py": "1\n"})
    hook = bare.origin / "hooks" / "update"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho 'GH006: Protected branch' >&2\nexit 1\n")
    hook.chmod(0o755)
    with pytest.raises(ConflictError, match="GH006: Protected branch"):
        bare.forge.merge(pull, squash=False, author="alice")
    assert bare.seen(pull).state == "open"


def test_a_push_that_failed_for_the_machines_sake_is_no_refusal(bare: Place) -> None:
    """A disk, a lock: it is tried again, where a refusal would park the task."""
    pull = bare.open({"app.py": "1\n"})
    lock = bare.origin / "refs/heads/main.lock"
    lock.touch()
    with pytest.raises(TargetError):
        bare.forge.merge(pull, squash=False, author="alice")
    lock.unlink()
    bare.forge.merge(pull, squash=False, author="alice")
    assert bare.seen(pull).state == "merged"


def test_a_lock_that_a_killed_push_left_on_our_branch_goes(checked_out: Place) -> None:
    """Nobody else pushes there; while a git works in the origin, it is left to it."""
    lock = checked_out.origin / ".git" / "refs" / "heads" / f"{BRANCH}.lock"
    lock.parent.mkdir(parents=True, exist_ok=True)
    lock.touch()
    words = ["git", "-C", str(checked_out.origin), "cat-file", "--batch"]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as working:
        with pytest.raises(TargetError):
            checked_out.open({"app.py": "one\n"})
        working.communicate()
    checked_out.open({"app.py": "one\n"})
    assert (lock.exists(), checked_out.head(BRANCH) != "") == (False, True)


def test_our_branch_that_somebody_checked_out_is_not_pushed_over(checked_out: Place) -> None:
    """They look at it, or work on it: hands off, with the fix."""
    pull = checked_out.open({"app.py": "1\n"})
    head = checked_out.head(BRANCH)
    git(checked_out.origin, "checkout", "--quiet", BRANCH)
    commit = gitrepo.commit_in(checked_out.mirror, checked_out.head(), {"app.py": "2\n"}, "again")
    push = Push(target="web", branch=BRANCH, commit=commit, expected=head)
    with pytest.raises(ConflictError, match="is checked out in"):
        checked_out.forge.act("op-2", push)
    assert checked_out.seen(pull).head == head
    assert (checked_out.origin / "app.py").read_text() == "1\n"


def test_a_hook_of_the_origin_is_not_run_by_the_update_of_a_checkout(checked_out: Place) -> None:
    """The merge is ours; what a post-merge hook does was never asked for."""
    hook = checked_out.origin / ".git" / "hooks" / "post-merge"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\ntouch {checked_out.origin}/ran\n")
    hook.chmod(0o755)
    checked_out.forge.merge(checked_out.open({"app.py": "1\n"}), squash=False, author="alice")
    assert not (checked_out.origin / "ran").exists()


def test_the_filters_of_a_person_make_the_files_of_their_checkout(
    checked_out: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Large-file storage, say: their settings hold where their files are written."""
    monkeypatch.delenv("GIT_CONFIG_NOSYSTEM", raising=False)
    (Path(os.environ["HOME"]) / ".gitconfig").write_text(
        '[filter "shout"]\n\tsmudge = tr a-z A-Z\n\tclean = tr A-Z a-z\n\trequired = true\n'
    )
    pull = checked_out.open({".gitattributes": "*.txt filter=shout\n", "a.txt": "hello\n"})
    checked_out.forge.merge(pull, squash=False, author="alice")
    assert (checked_out.origin / "a.txt").read_text() == "HELLO\n"


def test_an_origin_out_of_reach_hides_nothing(bare: Place) -> None:
    """The pull request is shown as last known, with the problem; only what needs the origin fails."""
    pull = bare.open({"app.py": "1\n"})
    head = bare.head(BRANCH)
    bare.origin.rename(bare.origin.with_name("elsewhere.git"))
    seen = bare.seen(pull)
    assert (seen.state, seen.head, seen.mergeable) == ("open", head, None)
    assert "elsewhere" not in bare.forge.get(pull).problems[0]
    bare.forge.act("op-say", SayOnPull(pull=pull, body="Still here."))
    with pytest.raises(TargetError):
        bare.forge.find("push", Push(target="web", branch=BRANCH, commit=head))


def test_a_target_that_left_the_settings_is_named(bare: Place) -> None:
    """Its pull requests stay visible."""
    pull = bare.open({"app.py": "1\n"})
    forge = FileForge(bare.home, Settings())
    assert [each.id for each in forge.observe(frozenset())] == [pull]
    with pytest.raises(TargetError, match="no target 'web'"):
        forge.merge(pull, squash=False, author="alice")


@pytest.mark.parametrize(
    "address", ["ext::sh -c touch% /tmp/agentloop-owned", "--upload-pack=touch /tmp/owned"]
)
def test_an_address_that_would_run_a_program_is_refused(tmp_path: Path, address: str) -> None:
    """Some addresses make git start what they name; they are none of ours."""
    forge = FileForge(Home(tmp_path), Settings(targets=(Target(name="web", repository=address),)))
    with pytest.raises(TargetError):
        forge.find("op", Push(target="web", branch=BRANCH, commit="0" * 40))


def test_two_who_merge_at_once_take_turns(bare: Place) -> None:
    """The second is told so; nothing waits for ever."""
    pull = bare.open({"app.py": "1\n"})
    code = (
        "import fcntl, sys; f = open(sys.argv[1], 'w'); fcntl.flock(f, fcntl.LOCK_EX)\n"
        "print(flush=True); sys.stdin.read()"
    )
    bare.home.tracker.mkdir(exist_ok=True)
    holder = subprocess.Popen(
        [sys.executable, "-c", code, str(bare.home.tracker / ".merging")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        with pytest.raises(BusyError, match="another merge"):
            bare.forge.merge(pull, squash=False, author="alice")
        assert holder.stdin is not None
        holder.stdin.close()
    assert bare.forge.merge(pull, squash=False, author="alice").base == "main"


def test_the_diff_is_what_the_branch_changes(bare: Place) -> None:
    """Not what happened to its base meanwhile; and it can be asked for behind the merge."""
    pull = bare.open({"app.py": "one\n2\nthree\n"})
    other = bare.open({"README": "other\n"}, branch="agentloop/8.1-other")
    bare.forge.merge(other, squash=False, author="alice")
    before = bare.forge.diff(pull).decode()
    assert "-two\n+2\n" in before
    assert "README" not in before
    bare.forge.merge(pull, squash=False, author="alice")
    assert bare.forge.diff(pull).decode() == before


def pushed(place: Place, parent: str, files: dict[str, str | None]) -> str:
    """Have the loop push a new version of the branch, made on `parent`; return the commit."""
    commit = gitrepo.commit_in(place.mirror, parent, files, "more")
    push = Push(target="web", branch=BRANCH, commit=commit, expected=place.head(BRANCH))
    place.forge.act(f"push {commit}", push)
    return commit


def test_the_diff_since_a_review_is_what_is_new(bare: Place) -> None:
    """Counted from the commit that the last review looked at; without a review there is none."""
    pull = bare.open({"app.py": "1\n"})
    with pytest.raises(ConflictError, match="nobody has reviewed"):
        bare.forge.diff_since_review(pull)
    bare.forge.review(pull, "changes_requested", "Two.", author="alice")
    assert bare.forge.diff_since_review(pull) == b""
    pushed(bare, bare.head(BRANCH), {"app.py": "2\n"})
    assert b"-1\n+2\n" in bare.forge.diff_since_review(pull)
    bare.forge.review(pull, "commented", "Good.", author="alice")
    assert bare.forge.diff_since_review(pull) == b""


def test_the_diff_since_a_review_leaves_the_news_of_the_base_out(bare: Place) -> None:
    """A branch that was made anew on a newer base shows its own changes only."""
    pull = bare.open({"app.py": "1\n"})
    bare.forge.review(pull, "changes_requested", "Two.", author="alice")
    newer = gitrepo.commit_in(bare.mirror, bare.head(), {"README": "news\n"}, "news")
    git(bare.mirror, "push", "--quiet", str(bare.origin), f"{newer}:refs/heads/main")
    pushed(bare, newer, {"app.py": "2\n"})
    said = bare.forge.diff_since_review(pull)
    assert (b"-1\n+2\n" in said, b"news" in said) == (True, False)


def test_nothing_is_left_behind_and_nothing_is_added_to_the_origin_by_looking(
    bare: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Trying merges costs the origin not one object, and temp folders are gone."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    bare.open({"app.py": "1\n"})
    before = git(bare.origin, "count-objects", "-v")
    monkeypatch.setenv("TMPDIR", str(scratch))
    monkeypatch.setattr("tempfile.tempdir", None)
    bare.forge.observe(frozenset())
    assert git(bare.origin, "count-objects", "-v") == before
    assert list(scratch.iterdir()) == []


def test_a_second_look_works_nothing_out_again(bare: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """An idle cycle asks each origin once where its branches stand, and that is all."""
    bare.open({"app.py": "1\n"})
    first = bare.forge.observe(frozenset())
    log = bare.home.root / "git-calls"
    fake = bare.home.root / "bin" / "git"
    fake.parent.mkdir()
    fake.write_text(f'#!/bin/sh\necho "$@" >> {log}\nexec {shutil.which("git")} "$@"\n')
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{fake.parent}:{os.environ['PATH']}")
    assert bare.forge.observe(frozenset()) == first
    assert [
        line.split()[2] for line in log.read_text().splitlines() if "upload-pack" not in line.split()[:3]
    ] == ["ls-remote"]
