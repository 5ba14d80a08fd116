"""Joins the parts: which edge fills which port, for a home and its settings.

The only module that knows all of them.
What is heavy is imported where it is used: an idle cycle never loads an SDK.
"""

from __future__ import annotations

import os
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from agentloop import __version__, compiled, cycle, lightstatus, looking
from agentloop.asking import Admin, keys
from agentloop.cycle import Ended, Parts
from agentloop.domain.observed import Barred, Ground
from agentloop.domain.taping import UNRECORDED
from agentloop.domain.valueclass import replace
from agentloop.edges import disk, program, room, runfolder, runtime
from agentloop.edges.baton import FileBaton
from agentloop.edges.clock import SystemClock
from agentloop.edges.executor import LocalExecutor
from agentloop.edges.files import locked
from agentloop.edges.forge import FileForge
from agentloop.edges.homegit import repair_locks
from agentloop.edges.homeremote import HomeRemote, Reach
from agentloop.edges.journal import Journal
from agentloop.edges.log import Log
from agentloop.edges.notes import FileNotes
from agentloop.edges.pool import Pool
from agentloop.edges.relay import RelayFile
from agentloop.edges.repositories import GitRepositories
from agentloop.edges.requests import FileRequests
from agentloop.edges.tape import Made, Recorder
from agentloop.edges.tidying import tidy
from agentloop.edges.tracker import FileTracker
from agentloop.errors import AgentloopError, NotFoundError, TargetError
from agentloop.home import Home
from agentloop.ports import Board, Forge, NoBoard, Outside, Tracker
from agentloop.recovery import MendedJournal, Witnesses
from agentloop.taping import taped, taped_outside

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentloop.domain.settings import Settings, Target
    from agentloop.domain.taping import Tape
    from agentloop.edges.git import Login
    from agentloop.edges.github.site import Site
    from agentloop.edges.homeremote import Place


def outside(home: Home, settings: Settings, sites: dict[str, Site] | None = None) -> Outside:
    """Return the ports through which effects go; `sites` are the repositories on GitHub, when at hand."""
    executor = LocalExecutor(home.root)
    requests = FileRequests(home)
    sites = sites_of(home, settings) if sites is None else sites
    tracker, forge = _places(home, settings, sites)
    return Outside(
        tracker=tracker,
        forge=forge,
        executor=executor,
        repositories=GitRepositories(home.root, login_of=partial(_login_of, settings)),
        notes=FileNotes(home),
        sweep=lambda keep: _sweep(home, settings, executor, keep),
        attempt_folder=lambda attempt: str(home.attempt(attempt).root),
        gate_folder=lambda attempt: str(home.gate(attempt).root),
        bound=lambda over: disk.bound(home, settings.limits.disk_mb, over),
        disk_mb=lambda: disk.known_mb(home),
        disk_short=lambda: room.is_short(home.root, settings.limits.free_mb, 2),
        asked=requests.take_in,
        barred=lambda: _barred(sites or {}),
        heard=requests.forget,
        board=_board(settings, sites),
    )


def _board(settings: Settings, sites: dict[str, Site]) -> Board:
    if not sites:
        return NoBoard()
    from agentloop.domain.board import place
    from agentloop.edges.github.board import GitHubBoard

    found = place(settings)
    if found is None or found.name not in sites:
        return NoBoard()
    others = {name: site.repository for name, site in sites.items() if name != found.name}
    return GitHubBoard(sites[found.name], others)


def sites_of(home: Home, settings: Settings) -> dict[str, Site]:
    """Return the repositories on GitHub that are worked for, by target."""
    elsewhere = [target for target in settings.targets if target.tracker == "github"]
    if not elsewhere:
        return {}
    from agentloop.edges.github.connecting import site_of

    return {target.name: site_of(home, settings, target) for target in elsewhere}


def _places(home: Home, settings: Settings, sites: dict[str, Site]) -> tuple[Tracker, Forge]:
    """Return where issues and pull requests live: in the home, and wherever a target has its own."""
    tracker, forge = FileTracker(home.tracker, cache=home.issue_cache), FileForge(home, settings)
    if not sites:
        return tracker, forge
    from agentloop.edges.github.connecting import login_of
    from agentloop.edges.github.forge import GitHubForge
    from agentloop.edges.github.tracker import GitHubTracker
    from agentloop.edges.joined import JoinedForge, JoinedTracker
    from agentloop.edges.origin import origin_of

    trackers: dict[str, Tracker] = {"": tracker}
    forges: dict[str, Forge] = {"": forge}
    for target in settings.targets:
        site = sites.get(target.name)
        if site is None:
            continue
        origin = origin_of(target, home.root, home.mirror_of(target.name), login_of(settings, target))
        trackers[target.name], forges[target.name] = GitHubTracker(site), GitHubForge(site, origin)
    return JoinedTracker(trackers), JoinedForge(forges)


def _barred(sites: dict[str, Site]) -> tuple[Barred, ...]:
    found = []
    for name, site in sites.items():
        # What cannot be read now is told by the look at its pull requests.
        with suppress(AgentloopError):
            if why := site.why_barred():
                found.append(Barred(target=name, why=why))
    return tuple(found)


def _login_of(settings: Settings, target: Target) -> Login | None:
    if target.tracker != "github":
        return None
    from agentloop.edges.github.connecting import login_of

    return login_of(settings, target)


def _sweep(home: Home, settings: Settings, executor: LocalExecutor, keep: frozenset[str]) -> None:
    executor.sweep(keep)
    tidy(home)
    if Pool(home, settings).is_due():
        executor.keep_up()


def parts(
    home: Home,
    settings: Settings,
    tell: Callable[[str, dict[str, Any]], None],
    *,
    tape: Tape = UNRECORDED,
    ports: Outside | None = None,
    journal: Journal | None = None,
) -> Parts:
    """Return what a cycle on `home` is made of, every port (`ports`, else the home's own) behind `tape`."""
    ports, journal = ports or outside(home, settings), journal or Journal(home)
    last = runtime.read_sleep(home.root)
    admin = Admin(home, settings, taped_outside(ports, tape), tape=tape)
    made = Parts(
        version=__version__,
        settings=settings,
        clock=SystemClock(),
        journal=mended_journal(home, settings, ports, number=last.journal if last else 0, journal=journal),
        outside=ports,
        baton=FileBaton(home),
        ask_admin=admin,
        spent_in=admin.spent_in,
        ground=lambda target: ground(ports, settings, target),
        take_wake=lambda: runtime.take_wake(home.root),
        tell=tell,
        quiet_cycles=_quiet_cycles(last),
    )
    return taped(made, tape)


def mended_journal(
    home: Home, settings: Settings, ports: Outside, *, number: int, journal: Journal | None = None
) -> MendedJournal:
    """Return the journal of `home`, which mends itself; its last entry is known to have had `number`."""
    witnesses = Witnesses(
        tracker=FileTracker(home.tracker),
        forge=FileForge(home, settings),
        executor=ports.executor,
        repositories=ports.repositories,
        facts=lambda: RelayFile(home).read().relay.facts,
        number=number,
        elsewhere=getattr(ports.forge, "marked", tuple)(),
    )
    return MendedJournal(journal or Journal(home), home, settings, SystemClock(), witnesses)


def ground(ports: Outside, settings: Settings, target: Target) -> Ground:
    """Return what a plan for `target` stands on.

    A target that cannot be used is a `problem`, not an error.
    """
    try:
        branch, commit = ports.repositories.head(target)
        paths = frozenset(ports.repositories.paths(target, commit))
    except TargetError as error:
        return Ground(target=target.name, problem=f"{error.what}; {error.fix}")
    return Ground(
        target=target.name,
        branch=branch,
        commit=commit,
        paths=paths,
        programs=_programs(settings.worker.path or os.environ.get("PATH", "")),
    )


def _programs(path: str) -> frozenset[str]:
    names: set[str] = set()
    for folder in path.split(os.pathsep):
        try:
            names.update(path.name for path in Path(folder or ".").iterdir())
        except OSError:
            continue
    return frozenset(names)


def _quiet_cycles(last: runtime.SleepRecord | None) -> int:
    word, _, number = (last.kind if last else "").partition(":")
    return int(number) if word == "idle" and number.isdigit() else 0


def run_cycle(root: Path) -> str:
    """Run one cycle on the home at `root` under its lock, and tell the supervisor how long to sleep.

    Returns "" or why the cycle counts as failed. Raises BusyError when another cycle holds the home,
    SettingsError, JournalError.
    """
    home = Home(root)
    settings, complaint = compiled.in_force(home)
    runfolder.make_run(str(home.root))
    with locked(home.lock):
        # Before anything is looked at: what a person saves while the cycle runs differs from this, and wakes
        # the next.
        saw = _saw(home)
        _mend_commits(home)
        sites, log = sites_of(home, settings), Log()
        remote = HomeRemote(home, reach_of(home, settings, sites), log.tell)
        remote.take()
        ports, tape, journal = outside(home, settings, sites), _recorder(home, settings, saw), Journal(home)
        ended = cycle.run(parts(home, settings, log.tell, tape=tape, ports=ports, journal=journal))
        remote.give()
        tape.end(ended, datetime.now(UTC))
        left_out = (*_left_out(ports)[:3], *FileRequests(home).left_out()[:3])
        beside = (*left_out, *([tape.trouble] if tape.trouble else []))
        number = journal.last_number()
        _tell_probe(home, settings, sites, remote.place)
        ended = with_problems(ended, (*unread(ports), *filter(None, [remote.problem])))
        _tell_supervisor(home, ended, {**saw, **_own_relay(home)}, beside, number)
        if lightstatus.snapshot(str(root)) is None:
            seen = looking.Sight(home=home, settings=settings, complaint=complaint, now=datetime.now(UTC))
            looking.keep_snapshot(seen, ended.world)
        journal.keep(ended.world)
    return ended.failed


def reach_of(home: Home, settings: Settings, sites: dict[str, Site]) -> Reach:
    """Return how the home's remote is reached, and which addresses are never pushed to: those of targets."""
    return Reach(
        setting=settings.relay.remote,
        key=" ".join(f"{target.tracker}:{target.repository}" for target in settings.targets),
        login=lambda address: _login_at(settings, sites, address),
        ask=lambda place: _ref_at(settings, sites, place),
        refused=lambda address: _is_a_targets(home, settings, address),
    )


def _is_a_targets(home: Home, settings: Settings, address: str) -> str:
    from agentloop.settings.ownership import is_own, is_same_place
    from agentloop.settings.rules import is_url

    def whole(given: str) -> str:
        return given if is_url(given) else str((home.root / given).resolve())

    for target in settings.targets:
        if is_same_place(whole(target.repository), whole(address)) or is_own(home, target):
            return f"the home's remote is the repository of target {target.name}: nothing is pushed there"
    return ""


def _on_github(settings: Settings, sites: dict[str, Site], address: str) -> tuple[Target, Site] | None:
    """Return a target whose GitHub has the address, so that its token is meant for it."""
    parts = urlsplit(address)
    same = (
        (target, sites[target.name])
        for target in settings.targets
        if target.name in sites and urlsplit(target.repository)[:2] == parts[:2]
    )
    return next(same, None)


def _login_at(settings: Settings, sites: dict[str, Site], address: str) -> Login | None:
    found = _on_github(settings, sites, address)
    return _login_of(settings, found[0]) if found else None


def _ref_of(place: Place) -> str:
    repository = urlsplit(place.address).path.strip("/").removesuffix(".git")
    return f"/repos/{repository}/git/ref/{place.ref.removeprefix('refs/')}"


def _ref_at(settings: Settings, sites: dict[str, Site], place: Place) -> str | None:
    found = _on_github(settings, sites, place.address)
    if found is None:
        return None
    try:
        return str(found[1].client.one(_ref_of(place))["object"]["sha"])
    except NotFoundError:
        return ""


def _mend_commits(home: Home) -> None:
    # In every cycle, idle ones too: a lock that a killed git left keeps a person from committing as well.
    # What keeps the relay from being committed is told by the cycle that hands it on; the rest of this one
    # has nothing to do with it.
    with suppress(AgentloopError, OSError):
        repair_locks(home.root)
        RelayFile(home).make_up_commit()


def run_attempt(attempt: str, root: Path) -> int:
    """Be the harness of an attempt and return its exit code."""
    from agentloop.edges.attempt_model import connect
    from agentloop.worker import harness

    return harness.main(attempt, root, connect)


def run_salvage(attempt: str, root: Path) -> int:
    """Hand over what a killed attempt left in its tree and return the exit code."""
    from agentloop.worker import salvage

    return salvage.main(attempt, root)


def run_upkeep(_: str, root: Path) -> int:
    """Make work trees ahead and empty the trash; return the exit code."""
    from agentloop import upkeep

    home = Home(root.absolute())
    settings, _ = compiled.in_force(home)
    return upkeep.main(home, settings)


def run_gate(attempt: str, root: Path) -> int:
    """Be the gate on an attempt's result and return its exit code."""
    from agentloop.gate import run

    return run.main(attempt, root)


def _recorder(home: Home, settings: Settings, saw: dict[str, runtime.Stamp]) -> Recorder:
    last = runtime.read_sleep(home.root)
    made = Made(
        version=__version__,
        code=program.identity(home.code_file),
        quiet_cycles=_quiet_cycles(last),
        settings=settings,
        # Issues elsewhere change without a trace here: their looks are recorded whole.
        tracker_stands=last is not None
        and all(target.tracker == "built-in" for target in settings.targets)
        and _of_tracker(home, saw) == _of_tracker(home, last.saw),
    )
    return Recorder(home, made, known=keys(settings))


def _of_tracker(home: Home, saw: dict[str, runtime.Stamp]) -> dict[str, runtime.Stamp]:
    # Issues that a person closes leave this folder, and nothing more is asked about them.
    folder = str(home.issues.relative_to(home.root))
    return {path: stamp for path, stamp in saw.items() if path.startswith(f"{folder}/")}


def unread(ports: Outside) -> tuple[str, ...]:
    """Return what could not be read of several places, of which the others could."""
    places = (ports.tracker, ports.forge)
    return tuple(one for place in places for one in getattr(place, "unread", tuple)())


def with_problems(ended: Ended, more: tuple[str, ...]) -> Ended:
    """Return how it ended, with `more` problems, of which the first is said with the reason of the sleep."""
    said = ended.nap.reason if ended.problems or not more else f"{ended.nap.reason}; problem: {more[0]}"
    nap = replace(ended.nap, reason=said)
    return replace(ended, nap=nap, problems=(*ended.problems, *more))


def _left_out(ports: Outside) -> tuple[str, ...]:
    """Return what a look left out and why: files that are no issue, places that could not be read."""
    places = (ports.forge, ports.tracker)
    return tuple(one for place in places for one in getattr(place, "left_out", tuple)())


def _tell_probe(home: Home, settings: Settings, sites: dict[str, Site], remote: Place | None) -> None:
    """Say what the supervisor asks GitHub between this cycle and the next."""
    if not sites:
        return
    from agentloop.edges.github.connecting import api_of

    github = settings.github
    places = [
        {"api": api_of(github, target), "token_file": github.token_file, "seen": sites[target.name].seen()}
        for target in settings.targets
        if target.name in sites
    ]
    if remote and (found := _on_github(settings, sites, remote.address)):
        target, site = found
        address, etag = site.client.seen(_ref_of(remote))
        seen = {address: etag} if etag else {}
        places.append({"api": api_of(github, target), "token_file": github.token_file, "seen": seen})
    runfolder.write_object(str(home.probe_file), {"places": places})


def _tell_supervisor(
    home: Home, ended: Ended, saw: dict[str, runtime.Stamp], beside: tuple[str, ...], number: int
) -> None:
    last = runtime.read_sleep(home.root)
    quiet = _quiet_cycles(last) + 1 if ended.outcome in ("idle", "quiet") else 0
    record = runtime.SleepRecord(
        cycle=ended.cycle,
        until=ended.nap.until,
        reason=ended.nap.reason,
        kind=f"idle:{quiet}" if ended.nap.kind == "idle" else ended.nap.kind,
        saw=saw,
        problems=(*([ended.failed] if ended.failed else []), *ended.problems),
        notices=(*ended.notices, *beside),
        outcome=ended.outcome,
        journal=number,
    )
    runtime.write_sleep(home.root, record)


def _own_relay(home: Home) -> dict[str, runtime.Stamp]:
    """Return the relay's stamp when it holds just what we wrote.

    Then there is nothing of a person's to wake for.
    """
    stamp = runtime.stamp_of(home.relay)
    # Stamped first, compared then: an edit in between changes the stamp.
    return {str(home.relay.relative_to(home.root)): stamp} if stamp and RelayFile(home).read().settled else {}


def _saw(home: Home) -> dict[str, runtime.Stamp]:
    paths = [home.relay, *home.issues.glob("*.md"), *home.pulls.glob("*.md")]
    stamps = {str(path.relative_to(home.root)): runtime.stamp_of(path) for path in paths}
    return {path: stamp for path, stamp in stamps.items() if stamp is not None}
