"""`agentloop rebuild`: everything in the runtime folder that can be derived, made anew.

What cannot be derived stays: results and ledgers of attempts, versions of the relay. A mirror holds results
that are not published yet and lends its objects to attempts, so it is checked and filled, never deleted.
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from agentloop import looking
from agentloop.domain.wording import count
from agentloop.edges import runfolder, runtime
from agentloop.edges.clock import SystemClock
from agentloop.edges.files import locked
from agentloop.edges.repositories import GitRepositories
from agentloop.edges.tidying import tidy
from agentloop.errors import TargetError
from agentloop.settings.compiling import compile_settings
from agentloop.wiring import mended_journal, outside

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agentloop.domain.settings import Settings
    from agentloop.home import Home


def rebuild(home: Home) -> Iterator[str]:
    """Make anew what can be derived, and yield what was done, a sentence each, as it is done.

    Raises BusyError while a cycle holds the home, SettingsError, JournalError, OSError.
    """
    runfolder.make_run(str(home.root))
    with locked(home.lock):
        yield from _swept(home)
        settings = compile_settings(home)
        yield f"settings compiled: {count(len(settings.targets), 'target')}"
        yield from _forgotten(home)
        repositories = GitRepositories(home.root)
        for target in settings.targets:
            try:
                yield f"target {target.name}: {repositories.renew(target)}"
            except TargetError as error:
                yield f"target {target.name} left as it is: {error.what}"
        yield from _told_again(home, settings)


def _swept(home: Home) -> Iterator[str]:
    swept = tidy(home)
    if swept:
        yield f"{len(swept)} leftovers of killed processes taken away"


def _forgotten(home: Home) -> Iterator[str]:
    """Indexes and caches: what uses them next makes them anew."""
    caches = (
        home.baselines,
        home.fold_index,
        home.issue_cache,
        home.run / "standing.json",
        *home.mirrors.glob("*.merges.json"),
    )
    for path in caches:
        if path.is_dir():
            shutil.rmtree(path)
        elif path.exists():
            path.unlink()
        else:
            continue
        yield f"deleted {path.relative_to(home.root)}"


def _told_again(home: Home, settings: Settings) -> Iterator[str]:
    last = runtime.read_sleep(home.root)
    ports = outside(home, settings)
    journal = mended_journal(home, settings, ports, number=last.journal if last else 0)
    world = journal.world()
    looking.keep_snapshot(
        looking.Sight(home=home, settings=settings, complaint="", now=SystemClock().now()), world
    )
    yield f"journal read: cycle {world.cycle}, {len(world.tasks)} tasks; the snapshot for `status` is new"
    for loss in world.losses:
        where = f"; what was there is in {loss.aside}" if loss.aside else ""
        yield f"the journal lost something: {loss.what}{where}"
    if world.found:
        yield f"recovered from marks outside: {len(world.found)}"
