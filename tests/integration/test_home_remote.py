"""The home and its remote: what the loop writes arrives there, and what a person wrote there is taken."""

from __future__ import annotations

import subprocess
import sys
from datetime import date
from typing import TYPE_CHECKING, Any

import pytest

from agentloop import wiring
from agentloop.domain.relay import FIRST, RelayDelta, apply, render
from agentloop.domain.valueclass import replace
from agentloop.edges.homeremote import HomeRemote, Reach
from agentloop.edges.relay import RelayFile
from agentloop.home import Home
from tests.contract.on_github import OnGitHub

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DAY = date(2026, 11, 20)
RELAY = "memories/consensus.md"


def git(folder: Path, *args: str) -> str:
    """What git prints, run by a person."""
    done = subprocess.run(["git", *args], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


class Kept:
    """A home with the remote `origin`, a person's clone of it elsewhere, and a clock."""

    def __init__(self, folder: Path, reach: Reach | None = None) -> None:
        self.home = Home(folder / "home")
        self.origin, self.phone = folder / "origin.git", folder / "phone"
        self.reach = reach or Reach()
        self.told: list[str] = []
        self.at = 1000.0
        self.home.relay.parent.mkdir(parents=True)
        self.home.relay.write_text(render(FIRST))
        self.home.settings_file.write_text("# settings\n")
        self.home.gitignore.write_text("/.agentloop/\n")
        git(self.home.root, "init", "--quiet", "-b", "main")
        git(self.home.root, "add", ".")
        git(self.home.root, "commit", "--quiet", "-m", "Begin")
        git(folder, "init", "--quiet", "--bare", "-b", "main", str(self.origin))
        git(self.home.root, "remote", "add", "origin", str(self.origin))

    def cycle(self, action: str = "") -> HomeRemote:
        """A cycle: it takes the relay, writes it when there is an `action`, and commits it."""
        remote = HomeRemote(self.home, self.reach, self._tell, lambda: self.at)
        remote.take()
        file = RelayFile(self.home)
        found = file.read()
        if action:
            file.write(apply(found.relay, RelayDelta(next_action=action), 1), found, day=DAY)
            file.commit(f"Cycle: {action}")
        remote.give()
        return remote

    def _tell(self, event: str, fields: dict[str, Any]) -> None:
        self.told.append(f"{event}: {fields['says']}")

    def edit(self, path: str = RELAY, *, old: str = "", new: str) -> None:
        """A person changes a file on the remote, from elsewhere."""
        if not self.phone.exists():
            git(self.origin.parent, "clone", "--quiet", str(self.origin), str(self.phone))
        git(self.phone, "pull", "--quiet")
        file = self.phone / path
        text = file.read_text()
        assert old in text
        file.write_text(text.replace(old, new, 1) if old else text + new)
        git(self.phone, "commit", "--quiet", "--all", "-m", f"Edit {path}")
        git(self.phone, "push", "--quiet")

    def there(self, path: str = RELAY) -> str:
        """What the remote has."""
        return git(self.origin, "show", f"main:{path}")


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Kept]:
    """A home that was pushed once."""
    made = Kept(tmp_path)
    assert made.cycle("Begin it.").problem == ""
    yield made
    assert git(made.home.root, "fsck", "--strict") == ""
    assert git(made.home.root, "status", "--porcelain") == ""


def test_what_a_cycle_committed_is_on_the_remote(kept: Kept) -> None:
    """Commit by commit, said once each; an idle cycle pushes nothing."""
    kept.cycle("Fix it.")
    assert "Fix it." in kept.there()
    assert (
        git(kept.home.root, "rev-parse", "main", "origin/main").split()
        == [git(kept.origin, "rev-parse", "main")] * 2
    )
    said = list(kept.told)
    kept.cycle()
    assert kept.told == said
    assert [one.startswith("home.pushed: the home is at origin/main: ") for one in said] == [True, True]


def test_an_edit_on_a_phone_is_taken_into_the_relay(kept: Kept) -> None:
    """Word for word, in the person's section; the next push has both, without force."""
    kept.edit(old="## From you\n", new="## From you\n\nStop everything until Monday.\n")
    kept.cycle("Wait.")
    assert "Stop everything until Monday." in RelayFile(kept.home).read().relay.human
    assert all(words in kept.there() for words in ("Stop everything until Monday.", "Wait."))
    assert git(kept.phone, "pull") != ""
    assert (kept.phone / RELAY).read_text() == kept.home.relay.read_text()


def test_an_edit_is_not_lost_by_a_cycle_that_has_nothing_to_write(kept: Kept) -> None:
    """Nor taken twice."""
    kept.edit(old="## From you\n", new="## From you\n\nHello.\n")
    for _ in range(3):
        assert kept.cycle().problem == ""
    assert kept.there().count("Hello.") == kept.home.relay.read_text().count("Hello.") == 1


def test_an_edit_meets_ours_in_the_same_place(kept: Kept) -> None:
    """The person changed the plan's line, and so did a cycle that could not push: both are kept."""
    git(kept.home.root, "remote", "set-url", "origin", str(kept.origin.parent / "away.git"))
    assert "is not pushed to" in kept.cycle("Our next.").problem
    git(kept.home.root, "remote", "set-url", "origin", str(kept.origin))
    kept.edit(old="Begin it.", new="Their next.")
    kept.at += 10_000
    assert kept.cycle("Our last.").problem == ""
    assert all(words in kept.there() for words in ("Our last.", "Their next."))
    assert "Their next." in RelayFile(kept.home).read().relay.human


def test_settings_are_not_taken_from_the_remote(kept: Kept) -> None:
    """Only the relay is; nothing is overwritten on either side, and it is said how to go on."""
    kept.edit("agentloop.toml", new='[worker]\nsandbox = "none"\n')
    kept.edit(old="## From you\n", new="## From you\n\nHello.\n")
    problem = kept.cycle("Go on.").problem
    assert "agentloop.toml changed there, and only the relay is taken by itself" in problem
    assert kept.home.settings_file.read_text() == "# settings\n"
    assert "Hello." in RelayFile(kept.home).read().relay.human
    assert 'sandbox = "none"' in kept.there("agentloop.toml")
    assert kept.cycle().problem == problem
    assert [one for one in kept.told if "agentloop.toml" in one] == [f"problem: {problem}"]

    git(kept.home.root, "pull", "--quiet", "--no-rebase", "--no-edit", "-Xours", "origin", "main")
    assert kept.cycle().problem == ""
    assert git(kept.origin, "rev-parse", "main") == git(kept.home.root, "rev-parse", "main")


def test_no_secret_leaves_though_a_person_committed_it(kept: Kept) -> None:
    """The relay's commits are clean; all that was never pushed is looked through."""
    (kept.home.root / "notes.txt").write_text(f"ghp_{'a1B2' * 9}\n")
    git(kept.home.root, "add", ".")
    git(kept.home.root, "commit", "--quiet", "-m", "Note")
    (kept.home.root / "notes.txt").write_text("nothing\n")
    git(kept.home.root, "commit", "--quiet", "--all", "-m", "Take it out")
    before = git(kept.origin, "rev-parse", "main")
    problem = kept.cycle("Go on.").problem
    assert "puts a secret (github token) into notes.txt" in problem
    assert git(kept.origin, "rev-parse", "main") == before


def test_what_cannot_be_pushed_is_said_and_tried_again_later(kept: Kept) -> None:
    """The loop goes on; when it can be reached again nothing of it is left."""
    away = kept.origin.with_name("away.git")
    kept.origin.rename(away)
    assert "origin/main is not pushed to" in kept.cycle("Go on.").problem
    assert kept.cycle().problem != ""
    away.rename(kept.origin)
    kept.at += 10_000
    assert kept.cycle().problem == ""
    assert "Go on." in kept.there()


def test_an_idle_cycle_starts_no_process(kept: Kept, tmp_path: Path) -> None:
    """Whether there is anything to push or to take is seen from files."""
    program = (
        "import sys; from pathlib import Path; from agentloop.home import Home\n"
        "from agentloop.edges.homeremote import HomeRemote, Reach\n"
        "remote = HomeRemote(Home(Path(sys.argv[1])), Reach(), print)\nremote.take(); remote.give()\n"
        "print(remote.problem or 'fine')"
    )
    log = tmp_path / "strace"
    words = ("strace", "-f", "-e", "trace=execve", "-o", str(log), sys.executable, "-c", program)
    done = subprocess.run([*words, str(kept.home.root)], check=True, capture_output=True, text=True)
    assert done.stdout == "fine\n"
    assert log.read_text().count("execve(") == 1


def test_there_is_no_push_where_it_is_not_wanted(tmp_path: Path) -> None:
    """Switched off, to a target's own repository, or without a remote."""
    for name, reach in (
        ("off", Reach(setting="none")),
        ("own", Reach(refused=lambda address: f"{address} is a target's")),
        ("no", Reach()),
    ):
        (tmp_path / name).mkdir()
        made = Kept(tmp_path / name, reach)
        if name == "no":
            git(made.home.root, "remote", "remove", "origin")
        assert made.cycle("Begin it.").problem == ""
        assert git(made.origin, "for-each-ref") == ""


def test_a_home_on_github_is_pushed_with_the_token_and_its_branch_is_watched(
    tmp_path: Path, github: OnGitHub
) -> None:
    """The token opens it; asking whether anything is new costs nothing of the limit, and sees an edit."""
    remote = github.hub.repository("octocat/home", {"README.md": "kept here\n"})
    remote.roles["loop-bot"] = "write"
    sites = {"web": github.site}
    kept = Kept(tmp_path / "kept", wiring.reach_of(github.home, github.settings, sites))
    git(kept.home.root, "remote", "set-url", "origin", f"{github.server.site}/octocat/home")
    git(kept.home.root, "pull", "--quiet", "--no-rebase", "--allow-unrelated-histories", "origin", "main")
    assert kept.cycle("Begin it.").problem == ""
    assert "Begin it." in git(remote.folder, "show", f"main:{RELAY}")

    before = len(github.server.api.calls)
    kept.cycle()
    idle = github.server.api.calls[before:]
    assert [(one.method, one.status, one.cost) for one in idle] == [("GET", 304, 0)]
    place = replace(github.settings.targets[0], repository=f"{github.server.site}/octocat/home")
    own = replace(github.settings, targets=(place,))
    assert "target web" in wiring.reach_of(kept.home, own, sites).refused(place.repository)
    address, etag = github.site.client.seen("/repos/octocat/home/git/ref/heads/main")
    assert not github.site.client.differs(address, etag)
    kept.origin = remote.folder
    kept.edit(old="## From you\n", new="## From you\n\nHello.\n")
    assert github.site.client.differs(address, etag)


@pytest.fixture
def github(tmp_path: Path) -> Iterator[OnGitHub]:
    """A simulated one, with a token that may write."""
    from contextlib import ExitStack

    with ExitStack() as stack:
        yield OnGitHub(tmp_path / "github", stack)
