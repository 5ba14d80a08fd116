"""`agentloop explain`: the story of an issue or a task, what it waits for, and what you can do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from agentloop import lightstatus
from agentloop.cli import common
from agentloop.cli.common import CompactOption, HomeOption, JsonOption
from agentloop.cli.folding import print_folded, printable
from agentloop.domain.codec import decode
from agentloop.domain.facts import Entry, IssueSeen
from agentloop.domain.report import Live, running
from agentloop.domain.scene import Scene

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

    from agentloop.domain.observed import Observed
    from agentloop.domain.story import Event, Story, TaskStory, Tried
    from agentloop.domain.world import World

EVENTS_SHOWN = 15

WhatArgument = Annotated[
    str, typer.Argument(metavar="ISSUE|TASK", help="As 7 (an issue) or 7.1 (a task).", show_default=False)
]


def explain(
    what: WhatArgument,
    *,
    all_: Annotated[
        bool, typer.Option("--all", "-a", help="The whole story, with the output of checks.")
    ] = False,
    as_json: JsonOption = False,
    compact: CompactOption = False,
    home: HomeOption = None,
) -> None:
    """Tell why an issue or a task stands where it does, and what you can do about it."""
    root = str(common.find_home(home))
    with common.working("reading the journal"):
        told = _story(root, what)
    if as_json or compact:
        from agentloop.domain.report import plain

        more = f"the newest {len(told.events)} of {told.events_in_all} events" if _is_cut(told) else None
        common.print_json({**plain(told), "more": more}, compact=compact)
    else:
        _print(common.console(), told, whole=all_)


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
    facts = [told.says, f"{told.priority} priority", *([f"target {told.target}"] if told.target else [])]
    facts += [common.ago(told.since), f"{dollars(told.spent_micros)} spent on its attempts"]
    print_folded(to, Text(" · ".join(facts), style="dim"), indent=2)
    if told.question:
        print_folded(to, Text(told.question, style="bold magenta"), indent=2)
        for number, choice in enumerate(told.choices, 1):
            print_folded(to, Text(f"{number}: {choice}"), indent=4, hang=7)
    _print_loop(to, told)
    _list(to, "WAITS FOR", told.waits_for, "nothing: it is over")
    _list(to, "YOU CAN", told.do, "nothing needs you", style="cyan")
    for task in told.tasks:
        _print_task(to, task, whole=whole)
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


def _print_task(to: Console, task: TaskStory, *, whole: bool) -> None:
    from rich.text import Text

    print_folded(to, Text.assemble((f"TASK {task.id}", "bold yellow"), (f"  {task.title}", "bold")), hang=2)
    for words in _task_lines(task):
        print_folded(to, words, indent=2, hang=4)
    for one in task.attempts:
        print_folded(to, _tried(one), indent=2, hang=4)
        for line in _evidence(one, whole=whole):
            print_folded(to, line, indent=4, hang=6)
    if not task.attempts:
        print_folded(to, Text("no attempt so far", style="dim"), indent=2)


def _task_lines(task: TaskStory) -> list[Text]:
    from rich.text import Text

    where = task.order or ("research" if task.kind == "research" else "")
    lines = [Text(" · ".join(part for part in (task.says, where, common.ago(task.since)) if part))]
    lines += [Text(f"not started: {reason}", style="yellow") for reason in task.held_back]
    rows = [
        ("goal", task.goal),
        *(("criterion", words) for words in task.criteria),
        *(("check", command) for command in task.checks),
        ("scope", ", ".join(task.scope)),
        ("needs", ", ".join(task.needs)),
        ("guidance", task.guidance),
        *(("held against it", words) for words in task.findings),
    ]
    return lines + [Text.assemble((f"{name}: ", "dim"), words) for name, words in rows if words]


def _tried(one: Tried) -> Text:
    from rich.text import Text

    from agentloop.domain.telling import count
    from agentloop.domain.wording import dollars

    # Turns, models and money of an attempt are known when its end is taken in.
    facts = [count(one.turns, "turn"), dollars(one.spent_micros), ", ".join(one.models) or "no model"]
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
