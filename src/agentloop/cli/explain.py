"""`agentloop explain`: the story of an issue or a task, what it waits for, and what you can do.

Without a name: every candidate that was not started, and why. With a moment: as it stood then.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agentloop import lightstatus
from agentloop.cli import common
from agentloop.cli.common import CompactOption, HomeOption, JsonOption
from agentloop.cli.cycles import moment
from agentloop.cli.folding import print_folded, printable
from agentloop.domain.codec import decode
from agentloop.domain.facts import Entry, IssueSeen
from agentloop.domain.report import Live, running
from agentloop.domain.scene import Scene
from agentloop.domain.valueclass import dataclass
from agentloop.domain.wording import one_line
from agentloop.errors import NotFoundError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

    from agentloop.domain.candidates import Candidate
    from agentloop.domain.observed import Observed
    from agentloop.domain.story import Event, Story, TaskStory, Tried
    from agentloop.domain.world import World

EVENTS_SHOWN = 15

WhatArgument = Annotated[
    str,
    typer.Argument(
        metavar="[ISSUE|TASK]",
        help="As 7 (an issue) or 7.1 (a task); left out: everything that was not started.",
        show_default=False,
    ),
]
AtOption = Annotated[
    str,
    typer.Option(
        "--at", metavar="TIME", help="As it stood then: 2h ago, yesterday 22:00, 2026-11-20T22:00Z."
    ),
]
CycleOption = Annotated[
    int | None, typer.Option("--cycle", metavar="N", min=1, help="As it stood at the end of cycle N.")
]


def explain(
    what: WhatArgument = "",
    *,
    at: AtOption = "",
    cycle: CycleOption = None,
    all_: Annotated[
        bool, typer.Option("--all", "-a", help="The whole story, with the output of checks.")
    ] = False,
    as_json: JsonOption = False,
    compact: CompactOption = False,
    home: HomeOption = None,
) -> None:
    """Tell why something stands where it does, or was not started, now or at a moment in the past."""
    root = str(common.find_home(home))
    then = _then(root, at, cycle)
    if not what:
        with common.working("reading the journal"):
            found = _not_started(root, then)
        _show_candidates(found, then, as_json=as_json or compact, compact=compact)
        return
    with common.working("reading the journal"):
        told = _story(root, what) if then is None else _story_then(root, what, then)
    if as_json or compact:
        from agentloop.domain.report import plain

        more = f"the newest {len(told.events)} of {told.events_in_all} events" if _is_cut(told) else None
        common.print_json({**plain(told), "more": more}, compact=compact)
    else:
        _print(common.console(), told, whole=all_)


@dataclass(frozen=True, slots=True, kw_only=True)
class Then:
    """A moment in the past: what the journal held then. `loop` says what the loop did."""

    at: datetime
    entries: tuple[Entry, ...]
    loop: str


def _then(root: str, at: str, cycle: int | None) -> Then | None:
    """Return the moment that was asked for, None for now. Raises typer.BadParameter, NotFoundError."""
    if not at and cycle is None:
        return None
    if at and cycle is not None:
        msg = "give a moment or a cycle, not both"
        raise typer.BadParameter(msg)
    from agentloop import looking
    from agentloop.domain.past import by_cycle, by_moment, loop_then
    from agentloop.home import Home

    entries = tuple(looking.entries(Home(Path(root))))
    found = by_moment(entries, moment(at)) if cycle is None else by_cycle(entries, cycle)
    if not found:
        fix = "agentloop cycles shows what it holds"
        if cycle is not None:
            raise NotFoundError(f"the journal holds nothing of cycle {cycle}", fix=fix)
        raise NotFoundError(f"the journal holds nothing up to {moment(at):%Y-%m-%d %H:%M} UTC", fix=fix)
    when = found[-1].at if cycle is not None else moment(at)
    return Then(at=when, entries=found, loop=loop_then(found, when, entries[len(found) :]))


def _not_started(root: str, then: Then | None) -> tuple[Candidate, ...]:
    from agentloop import looking
    from agentloop.domain.candidates import candidates, candidates_then
    from agentloop.domain.observed import Observed
    from agentloop.domain.world import fold

    seen = looking.sight(root)
    if then is not None:
        observed = Observed(now=then.at)
        return candidates_then(Scene(world=fold(then.entries), observed=observed, settings=seen.settings))
    world = looking.world_of(seen.home)
    observed = looking.open_issues(seen)
    unheard = _take_all_unseen(world, observed)
    return (*candidates(Scene(world=world, observed=observed, settings=seen.settings)), *unheard)


def _take_all_unseen(world: World, observed: Observed) -> tuple[Candidate, ...]:
    """Have the world know the open issues no cycle has seen; return those that no cycle will work on."""
    from agentloop.domain.candidates import Candidate

    strangers = []
    for one in observed.issues:
        if one.id not in world.issues:
            _take_unseen(world, observed, one.id)
        if not one.trusted and one.id not in world.issues:
            why = (f"its author, {one_line(one.author, 60)}, is not one of those who may steer the loop",)
            stranger = Candidate(
                about=one.id, kind="issue", title=one_line(one.title, 200), priority=one.priority, why=why
            )
            strangers.append(stranger)
    return tuple(strangers)


def _story_then(root: str, what: str, then: Then) -> Story:
    from agentloop import looking
    from agentloop.domain.observed import Observed
    from agentloop.domain.story import follow, story_then

    seen = looking.sight(root)
    issue, *rest = what.split(".")
    task = ".".join([issue, *rest[:1]]) if rest else ""
    world, events = follow(then.entries, issue, task)
    if issue not in world.issues or (task and task not in world.tasks):
        later = looking.world_of(seen.home)
        known = task in later.tasks if task else issue in later.issues
        if not known:
            raise looking.unknown(seen.home, later, what)
        raise NotFoundError(
            f"{what} was not known yet at {then.at:%Y-%m-%d %H:%M:%S} UTC", fix=f"agentloop explain {what}"
        )
    scene = Scene(world=world, observed=Observed(now=then.at), settings=seen.settings)
    return story_then(scene, issue, events, task, loop=then.loop)


def _show_candidates(
    found: tuple[Candidate, ...], then: Then | None, *, as_json: bool, compact: bool
) -> None:
    if as_json:
        from agentloop.domain.report import plain

        at, loop = (common.moment_text(then.at), then.loop) if then else (None, None)
        data = {"candidates": plain(found), "at": at, "loop": loop, "total": len(found)}
        common.print_json(data, compact=compact)
    else:
        _print_candidates(common.console(), found, then)


def _print_candidates(to: Console, found: tuple[Candidate, ...], then: Then | None) -> None:
    from rich.text import Text

    if then is not None:
        print_folded(to, Text(_as_it_stood(then.at), style="bold"), hang=2)
        print_folded(to, Text(then.loop, style="dim"), indent=2)
    if not found:
        print_folded(to, Text(f"nothing {'waited' if then else 'waits'} to be started", style="dim"))
    for one in found:
        facts = f"{one.kind}, {one.priority} priority"
        head = Text.assemble((one.about, "bold"), f"  {one.title}  ", (facts, "dim"))
        print_folded(to, head, hang=2)
        for reason in one.why:
            print_folded(to, Text(reason, style="yellow"), indent=2, hang=4)
        if one.known:
            print_folded(to, Text(f"({one.known})", style="dim"), indent=2, hang=4)
    if found:
        print_folded(to, Text("one of them: agentloop explain ID", style="dim"), hang=2)


def _as_it_stood(at: datetime) -> str:
    return f"as it stood at {at.astimezone():%d %b %Y %H:%M:%S}"


def _is_cut(told: Story) -> bool:
    return len(told.events) < told.events_in_all


def _story(root: str, what: str) -> Story:
    from agentloop import looking
    from agentloop.domain.story import follow, story

    seen = looking.sight(root)
    # Tasks and attempts are named after their issue; an attempt's id stands for its task.
    issue, *rest = what.split(".")
    task = ".".join([issue, *rest[:1]]) if rest else ""
    world, events = follow(looking.entries(seen.home), issue, task)
    pulls = frozenset(view.pull for view in world.tasks_of(issue) if view.pull)
    observed = looking.recorded(seen, issue, pulls)
    if not rest and issue not in world.issues:
        _take_unseen(world, observed, issue)
    if issue not in world.issues or (task and task not in world.tasks):
        raise looking.unknown(seen.home, world, what)
    scene = Scene(world=world, observed=observed, settings=seen.settings)
    return story(scene, issue, events, task, live=_live(root, world, issue))


def _live(root: str, world: World, issue: str) -> Live:
    tasks = {view.task.id for view in world.tasks_of(issue)}
    runs = [{"role": one.role, "attempt": one.attempt} for one in running(world) if one.task in tasks]
    found: Live = decode(Live, lightstatus.live(root, runs))
    return found


def _take_unseen(world: World, observed: Observed, issue: str) -> None:
    """Have the world know an open issue that no cycle has seen; its evidence is "" until one does."""
    found = observed.issue(issue)
    if found is None or found.state != "open" or not found.trusted:
        return
    seen = IssueSeen(
        issue=found.id, title=found.title, target=found.target, priority=found.priority, evidence=""
    )
    world.apply(Entry(at=found.created_at, cycle=0, facts=(seen,)))


# --- for a person -------------------------------------------------------------------------------------------


def _print(to: Console, told: Story, *, whole: bool) -> None:
    from rich.text import Text

    from agentloop.domain.wording import dollars

    print_folded(to, Text.assemble((f"issue {told.issue}", "bold"), f"  {told.title}"), hang=2)
    if told.at is not None:
        print_folded(to, Text(_as_it_stood(told.at), style="bold yellow"), indent=2)
        print_folded(to, Text(told.unknown, style="dim"), indent=2)
    facts = [told.says, f"{told.priority} priority", *([f"target {told.target}"] if told.target else [])]
    since = common.ago(told.since) if told.at is None else f"since {told.since.astimezone():%d %b %H:%M}"
    facts += [since, f"{dollars(told.spent_micros)} spent on its attempts"]
    print_folded(to, Text(" · ".join(facts), style="dim"), indent=2)
    if told.question:
        print_folded(to, Text(told.question, style="bold magenta"), indent=2)
        for number, choice in enumerate(told.choices, 1):
            print_folded(to, Text(f"{number}: {choice}"), indent=4, hang=7)
    _print_loop(to, told)
    _list(to, "WAITED FOR" if told.at else "WAITS FOR", told.waits_for, "nothing: it is over")
    if told.at is None:
        _list(to, "YOU CAN", told.do, "nothing needs you", style="cyan")
    for task in told.tasks:
        _print_task(to, task, told.at, whole=whole)
    _print_events(to, told, whole=whole)


def _print_loop(to: Console, told: Story) -> None:
    """What the loop does comes first: as long as it does nothing, no other reason counts."""
    from rich.text import Text

    from agentloop.cli.statusscreen import loop_words
    from agentloop.edges.runfolder import without

    if told.loop is None:
        return
    said = loop_words(told.loop, told.pause)
    besides = " ".join([said.plain, *told.waits_for])
    print_folded(to, Text("THE LOOP", style="bold yellow"))
    print_folded(to, said, indent=2, hang=4)
    for problem in told.problems:
        if without(besides, problem) == besides:
            print_folded(to, Text(f"problem: {problem}", style="red"), indent=2, hang=4)


def _list(to: Console, title: str, lines: tuple[str, ...], otherwise: str, *, style: str = "") -> None:
    from rich.text import Text

    print_folded(to, Text(title, style="bold yellow"))
    for line in lines or (otherwise,):
        print_folded(to, Text(line, style=style if lines else "dim"), indent=2, hang=4)


def _print_task(to: Console, task: TaskStory, at: datetime | None, *, whole: bool) -> None:
    from rich.text import Text

    print_folded(to, Text.assemble((f"TASK {task.id}", "bold yellow"), (f"  {task.title}", "bold")), hang=2)
    for words in _task_lines(task, at):
        print_folded(to, words, indent=2, hang=4)
    for one in task.attempts:
        print_folded(to, _tried(one), indent=2, hang=4)
        for line in _evidence(one, whole=whole):
            print_folded(to, line, indent=4, hang=6)
    if not task.attempts:
        print_folded(to, Text("no attempt so far", style="dim"), indent=2)


def _task_lines(task: TaskStory, at: datetime | None) -> list[Text]:
    from rich.text import Text

    where = task.order or ("research" if task.kind == "research" else "")
    since = f"since {task.since.astimezone():%d %b %H:%M}" if at else common.ago(task.since)
    lines = [Text(" · ".join(part for part in (task.says, where, since) if part))]
    lines += [Text(f"not started: {reason}", style="yellow") for reason in task.held_back]
    rows = [
        ("goal", task.goal),
        *(("criterion", words) for words in task.criteria),
        *(("check", command) for command in task.checks),
        ("scope", ", ".join(task.scope)),
        ("needs", ", ".join(task.needs)),
        ("expected cost", task.expected),
        ("guidance", task.guidance),
        *(("held against it", words) for words in task.findings),
    ]
    return lines + [Text.assemble((f"{name}: ", "dim"), words) for name, words in rows if words]


def _tried(one: Tried) -> Text:
    from rich.text import Text

    from agentloop.domain.wording import count, dollars

    # Turns, models and money of an attempt are known when its end is taken in.
    expected = f" (expected {dollars(one.expected_micros)})" if one.expected_micros else ""
    cost = f"{dollars(one.spent_micros)}{expected}"
    facts = [count(one.turns, "turn"), cost, ", ".join(one.models) or "no model"]
    after = f"  {' · '.join(facts)}" if one.ended else ""
    bare = "" if one.sandboxed else "  without a sandbox"
    style = "green" if one.verdict == "green" else "red" if one.verdict == "red" else ""
    return Text.assemble(
        (f"attempt {one.attempt}", "bold"), (f" {one.says}", style), (after, "dim"), (bare, "yellow")
    )


def _evidence(one: Tried, *, whole: bool) -> list[Text]:
    from rich.text import Text

    lines = []
    if one.verdict:
        style = "green" if one.verdict == "green" else "red"
        lines.append(Text.assemble("gate ", (one.verdict, style), f" on {one.commit[:10]}"))
    for check in one.checks:
        mark, style = ("✓", "green") if check.passed else ("✗", "red")
        lines.append(Text.assemble((mark, style), f" {check.command}", (f"  {check.seconds:.1f} s", "dim")))
        if whole or not check.passed:
            lines += [Text(f"  {line}", style="dim") for line in printable(check.output).splitlines()]
    return [*lines, *(Text(f"✗ {words}", style="red") for words in one.findings)]


def _print_events(to: Console, told: Story, *, whole: bool) -> None:
    from rich.text import Text

    shown = told.events if whole else told.events[-EVENTS_SHOWN:]
    print_folded(to, Text("STORY", style="bold yellow"))
    for event in shown:
        _print_event(to, event)
    if len(shown) < told.events_in_all:
        words = f"{len(shown)} of {told.events_in_all} events; all: agentloop explain {told.issue} --all"
        print_folded(to, Text(words, style="dim"), indent=2)


def _print_event(to: Console, event: Event) -> None:
    from rich.text import Text

    at = f"{event.at.astimezone():%d %b %H:%M}"
    by = {"rules": "", "": ""}.get(event.by, event.by)
    style = "red" if event.refused else ""
    line = Text.assemble((f"{at}  ", "dim"), (f"{by}: " if by else "", "cyan"), (event.what, style))
    hang = 2 + len(at) + 2
    print_folded(to, line, indent=2, hang=hang)
    if event.why:
        print_folded(to, Text(event.why, style="dim"), indent=hang)
