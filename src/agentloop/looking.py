"""Reading a home for those who only look: its settings and all that its journal says.

Changes nothing but a snapshot.
"""

from __future__ import annotations

import contextlib
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from agentloop import compiled, lightstatus
from agentloop.domain import report
from agentloop.domain.issue import Pull, Review
from agentloop.domain.observed import Observed
from agentloop.domain.scene import Scene
from agentloop.domain.states import Queued
from agentloop.domain.tasklist import meant
from agentloop.domain.valueclass import dataclass
from agentloop.domain.world import World
from agentloop.edges import runfolder
from agentloop.edges.journal import Journal
from agentloop.errors import AgentloopError, NotFoundError
from agentloop.home import Home
from agentloop.settings import sources

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agentloop.domain.cycles import Look
    from agentloop.domain.facts import Entry
    from agentloop.domain.settings import Settings
    from agentloop.edges.records import Block


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """A home as somebody who looks sees it.

    `complaint` says why the settings in force are not those written now.
    """

    home: Home
    settings: Settings
    complaint: str
    now: datetime


def sight(root: str) -> Sight:
    """Return the home at `root` and its settings. Raises SettingsError, HomeError."""
    home = Home(Path(root))
    settings, complaint = compiled.in_force(home)
    return Sight(home=home, settings=settings, complaint=complaint, now=datetime.now(UTC))


def entries(home: Home) -> Iterator[Entry]:
    """Yield the journal's entries, oldest first. Raises JournalError."""
    return Journal(home).entries()


def looks(home: Home) -> tuple[Look, ...]:
    """Return the idle cycles that are kept, oldest first."""
    from agentloop.edges.tape import looks as kept

    return kept(home.looks)


def world_of(home: Home) -> World:
    """Return the fold over the journal. Raises JournalError."""
    return Journal(home).world()


def leave_snapshot(root: str) -> dict[str, Any]:
    """Return `report.Standing`, plain, from the whole journal, and leave it for the next who looks.

    Raises AgentloopError.
    """
    # Before anything is read: what somebody writes meanwhile makes the snapshot useless, never wrong.
    made_from = lightstatus.marks(root, _files(Home(Path(root))))
    seen = sight(root)
    return keep_snapshot(seen, world_of(seen.home), made_from)


def keep_snapshot(seen: Sight, world: World, made_from: list[Any] | None = None) -> dict[str, Any]:
    """Return `report.Standing`, plain, and leave it as the snapshot; a disk that says no costs only time.

    Without `made_from` (marks), the caller is the journal's writer: `world` was made from what is there now.
    """
    root = str(seen.home.root)
    files = _files(seen.home)
    gone = runfolder.GONE if runfolder.journal_gone(root) else ""
    warnings = tuple(one for one in (seen.complaint, gone) if one)
    standing: dict[str, Any] = report.plain(report.stand(world, seen.settings, seen.now, warnings))
    marks = lightstatus.marks(root, files) if made_from is None else made_from
    with contextlib.suppress(OSError):
        lightstatus.write_snapshot(
            root, standing, files=files, made_from=marks, until=_until(world, seen.now)
        )
    return standing


def _files(home: Home) -> list[str]:
    files = sources.files_of(home, os.environ)
    return [str(files.home), str(files.user)]


def _until(world: World, now: datetime) -> float:
    """When the first of the times that the report mentions is over: the day, a limit, a wait."""
    midnight = (now + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
    times = [view.state.not_before for view in world.live_tasks() if isinstance(view.state, Queued)]
    moments = [
        moment for moment in (midnight, world.limited_until, *times) if moment is not None and moment > now
    ]
    return min(moments).timestamp()


def scene(root: str) -> Scene:
    """Return the world, the settings and the time, as the rules get them. Raises AgentloopError."""
    seen = sight(root)
    return Scene(world=world_of(seen.home), observed=Observed(now=seen.now), settings=seen.settings)


def recorded(seen: Sight, issue: str, pulls: frozenset[str]) -> Observed:
    """Return what tracker and pull requests' records say of an issue now, which the journal may not know yet.

    Origins are not asked: that is a cycle's business. Raises OSError.
    """
    from agentloop.edges.tracker import FileTracker

    known = frozenset({issue} if issue.isdecimal() else ())
    issues = tuple(one for one in FileTracker(seen.home.tracker).observe(known) if one.id == issue)
    found = tuple(_pull(seen.home, pull) for pull in sorted(pulls))
    return Observed(now=seen.now, issues=issues, pulls=tuple(one for one in found if one is not None))


def open_issues(seen: Sight) -> Observed:
    """Return the open issues as the built-in tracker has them now. Raises OSError."""
    from agentloop.edges.tracker import FileTracker

    return Observed(now=seen.now, issues=FileTracker(seen.home.tracker).observe(frozenset()))


def _pull(home: Home, pull: str) -> Pull | None:
    from agentloop.edges.recordfolder import RecordFolder

    try:
        entry = RecordFolder(home.pulls, what="pull request", lock=home.tracker / ".lock").get(pull)
    except NotFoundError:
        return None
    word = entry.record.word
    state: Literal["open", "merged", "closed"] = "closed" if entry.closed else "open"
    return Pull(
        id=entry.id,
        number=int(entry.id),
        target=word("target"),
        branch=word("branch"),
        base=word("base"),
        title=word("title"),
        body="",
        state="merged" if entry.closed and word("state").lower() == "merged" else state,
        head=word("head"),
        reviews=tuple(_review(block) for block in entry.record.blocks if block.kind == "review"),
    )


def _review(block: Block) -> Review:
    asks = block.details[:1] == ("changes requested",)
    return Review(
        id=block.id,
        author=block.author,
        verdict="changes_requested" if asks else "commented",
        body=block.text,
        at=block.at,
        ours=bool(block.op),
    )


def unknown(home: Home, world: World, what: str) -> NotFoundError:
    """Return the error for an id that the journal does not know, with what may have been meant."""
    from agentloop.edges.tracker import FileTracker

    issue, *rest = what.split(".")
    if not rest and issue not in world.issues:
        with contextlib.suppress(AgentloopError):
            found = FileTracker(home.tracker).get(issue).issue
            was = (
                "was closed before any cycle saw it"
                if found.state == "closed"
                else "is one no cycle works on"
            )
            return NotFoundError(f"issue {issue} {was}: {found.title}", fix=f"agentloop issue show {issue}")
    near = meant(what, [*world.issues, *world.tasks])
    kind = "task" if rest else "issue"
    listing = "agentloop tasks --all" if rest else "agentloop issue list --state all"
    return NotFoundError(f"there is no {kind} {what}", fix=f"{near} All: {listing}" if near else listing)
