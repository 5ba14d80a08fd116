"""A home of today's format, numbered and sealed, as it was written at /srv/agentloop: it is still read.

The story of the older sample (see `test_golden`), and one issue more that waits for an answer. Its key and
marks belong together: without the journal, the marks tell again what was done.
"""

from __future__ import annotations

import hashlib
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from agentloop import compiled
from agentloop.domain.observed import Observed
from agentloop.domain.report import stand
from agentloop.domain.scene import Scene
from agentloop.domain.settings import Settings
from agentloop.domain.states import Merged
from agentloop.domain.story import follow, story
from agentloop.domain.world import Closed, Waiting, World
from agentloop.edges import runtime
from agentloop.edges.executor import LocalExecutor
from agentloop.edges.forge import FileForge
from agentloop.edges.journal import Journal
from agentloop.edges.relay import RelayFile
from agentloop.edges.repositories import GitRepositories
from agentloop.edges.tracker import FileTracker
from agentloop.home import Home
from agentloop.recovery import MendedJournal, Witnesses
from agentloop.testing.memory_parts import VirtualClock

SAMPLE = Path(__file__).parent.parent / "golden/numbered"
DIGEST = "e435f6f58c24610f2779278fc70fb519e336f1de115a768d45153bb3e6fabbaa"
NOW = datetime(2026, 11, 20, 18, 0, tzinfo=UTC)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A copy of it: what is looked at may leave caches."""
    shutil.copytree(SAMPLE, tmp_path / "home")
    return Home(tmp_path / "home")


def settings(home: Home) -> Settings:
    """Those that were in force."""
    found = compiled.read(home)
    assert found is not None
    return found.settings


def done(world: World) -> dict[str, str]:
    """The merged tasks, and their pull requests."""
    return {task: view.state.pull for task, view in world.tasks.items() if isinstance(view.state, Merged)}


def test_the_sample_is_as_it_was_made() -> None:
    """Whoever changes it to make a test pass has broken somebody's home."""
    digest = hashlib.sha256()
    for path in sorted(SAMPLE.rglob("*")):
        if path.is_file():
            digest.update(f"{path.relative_to(SAMPLE)}\0".encode() + path.read_bytes())
    assert digest.hexdigest() == DIGEST


def test_every_line_counts_and_is_whole(home: Home) -> None:
    """The fold: two merges, one issue closed, one that waits for an answer, money to the micro-dollar."""
    world = Journal(home).world()
    assert Journal(home).last_number() == 121
    assert (done(world), world.spent_micros(), world.losses) == ({"1.1": "1", "1.2": "2"}, 84_874, ())
    assert [type(world.issues[one].state) for one in ("1", "2")] == [Closed, Waiting]
    sleep = runtime.read_sleep(home.root)
    assert sleep is not None
    assert (sleep.journal, sleep.reason) == (121, "waits for you: an answer on issue 2")


def test_status_and_explain_tell_its_story(home: Home) -> None:
    """What is asked of the person, and how the first issue came to its end."""
    world = Journal(home).world()
    standing = stand(world, settings(home), NOW)
    assert [(need.kind, need.about) for need in standing.needs_you] == [("question", "issue 2")]
    assert (standing.merged, standing.open_issues) == (2, 1)
    told_of, events = follow(Journal(home).entries(), "1")
    scene = Scene(world=told_of, observed=Observed(now=NOW), settings=settings(home))
    found = story(scene, "1", events)
    assert found.issue == "1"
    assert len(events) > 20


def test_the_relay_reads_as_written(home: Home) -> None:
    """Nothing in it is taken for a person's edit."""
    assert dict(RelayFile(home).read().relay.facts)["cycle"] == "14"


def test_without_its_journal_the_marks_tell_again_what_was_done(home: Home) -> None:
    """Both merges, both issues; what may have been spent unseen counts."""
    shutil.rmtree(home.journal)
    given = settings(home)
    witnesses = Witnesses(
        tracker=FileTracker(home.tracker),
        forge=FileForge(home, given),
        executor=LocalExecutor(home.root),
        repositories=GitRepositories(home.root),
        facts=lambda: RelayFile(home).read().relay.facts,
        number=121,
    )
    world = MendedJournal(Journal(home), home, given, VirtualClock(), witnesses).world()
    assert (done(world), world.mended) == ({"1.1": "1", "1.2": "2"}, True)
    assert [type(world.issues[one].state) for one in ("1", "2")] == [Closed, Waiting]
    assert world.spent_micros() >= 84_874
