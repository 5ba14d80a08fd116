"""The status as lines for a terminal: what needs a person first, fitted to its width and height.

Titles are cut where there is no room; reasons and commands are folded, never cut.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from rich.text import Text

from agentloop.cli.common import age
from agentloop.cli.folding import folded, side_by_side
from agentloop.domain.report import lease_end
from agentloop.domain.settings import KEPT
from agentloop.domain.valueclass import dataclass
from agentloop.domain.wording import PROVIDERS_LIMIT, count, dollars
from agentloop.edges.runfolder import GONE, without

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from agentloop.domain.report import Live, Loop, Need, Pause, Progress, Run, Standing, Waits

LABEL = len("MONEY  ")
LEFT = 10
"""Columns of the words at the left edge."""
SHOWN = 8
"""Entries of a section when there is room for all."""
STYLES = {
    "review": "bold green",
    "yours": "green",
    "question": "bold magenta",
    "approval": "bold magenta",
    "parked": "yellow",
    "money": "bold red",
    "progress": "bold red",
}
STATES = {
    "stopped": ("not running", "bold red"),
    "starting": ("starting", "cyan"),
    "cycling": ("in a cycle", "bold cyan"),
    "sleeping": ("asleep", "green"),
    "paused": ("paused", "bold yellow"),
    "draining": ("stopping", "yellow"),
    "backoff": ("waiting after a failure", "bold red"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A titled list whose blocks are left out from the end where there is no room."""

    title: Text
    blocks: tuple[tuple[Text, ...], ...]
    total: int
    shown: int

    @property
    def height(self) -> int:
        """Lines it takes, its title and the line that says what was left out included."""
        if not self.blocks:
            return 0
        return 1 + sum(len(block) for block in self.blocks[: self.shown]) + (self.shown < self.total)


def screen(standing: Standing, live: Live, *, width: int, height: int | None = None) -> list[Text]:
    """Return the status as lines of at most `width` columns, and `height` of them where that can be."""
    head = [*_loop(standing, live, width), *_troubles(standing, live, width)]
    foot = _money(standing, live, width)
    sections = [
        _needs(standing, live, width),
        _running(standing, live, width),
        _coming(standing, live, width),
        _queue(standing, width),
    ]
    there = [one for one in sections if one.blocks]
    if not there:
        head += folded(Text(_nothing(standing, live), style="dim"), width, hang=2)
    fitted = _fitted(there, None if height is None else height - len(head) - len(foot) - 1)
    lines = [*head, *(line for one in fitted for line in _drawn(one)), *foot]
    for line in lines:
        line.truncate(width, overflow="ellipsis")  # titles, and words longer than a line
        line.no_wrap = True
    return lines


def _nothing(standing: Standing, live: Live) -> str:
    if live.woken_by:
        return "nothing in hand yet: the next cycle looks at what asked for it"
    if GONE in standing.warnings:
        return "what there is to do is known when the next cycle has read the journal back"
    if standing.open_issues:
        return f"nothing to do: {count(standing.open_issues, 'issue')} open, none waits for the loop"
    return 'nothing to do; file an issue with: agentloop issue new "…"'


def _fitted(sections: Sequence[Section], room: int | None) -> list[Section]:
    """Take blocks off the longest section, one by one, until all fit; each keeps its first."""
    found = list(sections)
    while room is not None and sum(one.height for one in found) > room:
        longest = max(range(len(found)), key=lambda n: found[n].shown, default=None)
        if longest is None or found[longest].shown <= 1:
            return found
        one = found[longest]
        found[longest] = Section(title=one.title, blocks=one.blocks, total=one.total, shown=one.shown - 1)
    return found


def _drawn(section: Section) -> Iterable[Text]:
    yield section.title
    for block in section.blocks[: section.shown]:
        yield from block
    if section.shown < section.total:
        yield _row("", (f"and {section.total - section.shown} more: agentloop tasks", "dim"))


def _section(title: str, blocks: Sequence[tuple[Text, ...]], total: int, *, style: str = "bold") -> Section:
    heading = Text.assemble((title, style), (f"  {total}", "dim"))
    return Section(title=heading, blocks=tuple(blocks), total=total, shown=min(SHOWN, len(blocks)))


def _row(left: str, *parts: str | tuple[str, str], style: str = "") -> Text:
    return Text.assemble((f" {left:<{LEFT - 1}}", style), *parts)


def _words(width: int, *parts: str | tuple[str, str]) -> list[Text]:
    """The parts under a row, folded."""
    return folded(Text.assemble(*parts), width, indent=LEFT)


# --- the loop -----------------------------------------------------------------------------------------------


def _loop(standing: Standing, live: Live, width: int) -> list[Text]:
    said, style = STATES.get(live.loop.state, (live.loop.state, "bold"))
    lines = [Text.assemble(("agentloop", "bold"), (f"  {live.home}", "dim"))]
    lines += folded(Text.assemble((f"● {said}", style), *_until(live), _why(standing, live)), width, hang=2)
    lines += folded(Text(" · ".join(_facts(standing, live)), style="dim"), width, indent=2)
    return lines


def loop_words(loop: Loop, pause: Pause | None) -> Text:
    """Return on one line what the loop does, until when, and why; a failure stands there too."""
    said, style = STATES.get(loop.state, (loop.state, "bold"))
    now = datetime.now(UTC)
    until = f" until {clock(loop.until, now)}" if loop.until and loop.state != "stopped" else ""
    reason = f": {loop.reason}" if loop.reason else ""
    if loop.state == "stopped":
        reason = ": nothing new starts until you start it"
    besides = f"; {_paused(pause, now)}" if pause and loop.state != "paused" else ""
    return Text.assemble((said, style), until, reason, besides)


def _paused(pause: Pause, now: datetime) -> str:
    by = f" (by {pause.by})" if pause.by else ""
    return f"paused until {clock(datetime.fromisoformat(pause.until), now)}: {pause.reason}{by}"


def _until(live: Live) -> list[str]:
    if live.loop.state == "stopped" or live.loop.until is None:
        return []
    return [f" until {clock(live.loop.until, live.at)}", f" (in {span(live.loop.until - live.at)})"]


def _why(standing: Standing, live: Live) -> str:
    loop = live.loop
    if loop.state == "stopped":
        paused = f"; {_paused(live.pause, live.at)}" if live.pause else ""
        what = "new starts" if standing.running else "happens"
        return f": nothing {what} until you start it: agentloop run{paused}{_going_on(standing, live)}"
    reason = loop.reason.partition("; problem: ")[0]  # problems have lines of their own
    for problem in live.problems:
        reason = without(reason, problem)
    return f": {reason}" if reason else ""


def _going_on(standing: Standing, live: Live) -> str:
    """What goes on, and spends, though no supervisor runs; and until when."""
    attempts = [run for run in standing.running if run.role == "attempt"]
    if not attempts:
        return ""
    names = ", ".join(run.attempt for run in attempts[:3])
    who = f"attempt {names} goes" if len(attempts) == 1 else f"attempts {names} go"
    ends = [lease_end(run, live.loop, standing.grace_seconds) for run in attempts]
    known = [end for end in ends if end is not None]
    if live.loop.stopped_at is None:
        until = f"for {span(timedelta(seconds=standing.grace_seconds))} after the supervisor went away"
    else:
        until = f"until {clock(max(known), live.at)}" if known else "to its end"
    return f"; {who} on without it, and may spend, {until} at most"


def _facts(standing: Standing, live: Live) -> list[str]:
    loop = live.loop
    facts = []
    if loop.started_at:
        facts.append(f"running for {span(live.at - loop.started_at)} (pid {loop.pid})")
    if standing.cycle_at:
        facts.append(f"cycle {standing.cycle} wrote {_ago(standing.cycle_at, live.at)}")
    elif GONE not in standing.warnings:
        facts.append("no cycle has run yet")
    if loop.do and loop.state != "stopped":
        facts.append({"agentloop resume": "go on: "}.get(loop.do, "sooner: ") + loop.do)
    return facts


def _troubles(standing: Standing, live: Live, width: int) -> list[Text]:
    lines = [_mark("!", f"problem: {one}", "red") for one in (*_notice(standing, live), *live.problems)]
    lines += [_mark("·", one, "cyan") for one in live.notices]
    if standing.limit_until and not (live.loop.state == "sleeping" and PROVIDERS_LIMIT in live.loop.reason):
        until = clock(standing.limit_until, live.at)
        lines.append(_mark("!", f"{PROVIDERS_LIMIT} lasts until {until}: {standing.limit_why}", "yellow"))
    if live.woken_by and live.loop.state != "cycling":
        lines.append(_mark("↯", f"the next cycle was asked for: {', '.join(live.woken_by[:3])}", "cyan"))
    fallbacks = (*standing.fallbacks, *(one.fallback for one in live.progress if one.fallback))
    lines += [_mark("!", f"fallback model: {one}", "yellow") for one in fallbacks]
    lines += [_mark("!", one, "yellow") for one in standing.warnings]
    if standing.triage:
        lines.append(
            _mark(
                "!",
                f"beyond the loop: {standing.triage}; each with its reason: agentloop tasks --parked",
                "yellow",
            )
        )
    return [line for one in lines for line in folded(one, width, hang=2)]


def _notice(standing: Standing, live: Live) -> tuple[str, ...]:
    """The supervisor's standing complaint, unless the same stands among the warnings or problems."""
    notice = live.loop.notice
    is_told = notice.startswith(KEPT) and any(one.startswith(KEPT) for one in standing.warnings)
    return () if is_told or not notice or notice in live.problems else (notice,)


def _mark(mark: str, words: str, style: str) -> Text:
    return Text.assemble((f"{mark} {' '.join(words.split())}", style))


# --- sections -----------------------------------------------------------------------------------------------


def _needs(standing: Standing, live: Live, width: int) -> Section:
    blocks = [_need(one, live.at, width) for one in standing.needs_you]
    return _section("NEEDS YOU", blocks, standing.listed.needs_you, style="bold yellow")


def _need(need: Need, now: datetime, width: int) -> tuple[Text, ...]:
    since = (f"  {age(need.since, now)}", "dim") if need.since else ""
    first = _row(need.kind, (need.about, "bold"), since, f"  {need.title}", style=STYLES[need.kind])
    choices = "  ".join(f"{number}: {choice}" for number, choice in enumerate(need.choices, 1))
    rows = [first]
    if need.kind in ("question", "parked", "money", "progress"):
        rows += _words(width, need.says)
    if choices:
        rows += _words(width, choices)
    rows += side_by_side(need.do, width, indent=LEFT, style="cyan")
    return tuple(rows)


def _running(standing: Standing, live: Live, width: int) -> Section:
    progress = {(one.role, one.attempt): one for one in live.progress}
    blocks = [_run(one, progress.get((one.role, one.attempt)), live.at, width) for one in standing.running]
    return _section("AT WORK", blocks, standing.listed.running, style="bold green")


def _run(run: Run, progress: Progress | None, now: datetime, width: int) -> tuple[Text, ...]:
    facts = [span(now - run.since)]
    if run.role == "gate":
        facts.insert(0, "gate")
    elif run.deadline:
        facts.append(f"{span(run.deadline - now)} left" if run.deadline > now else "past its deadline")
    if progress is not None and run.role == "attempt":
        facts += [
            count(progress.turns, "turn"),
            f"{dollars(progress.spent_micros)} of {dollars(run.slice_micros)}",
        ]
    first = _row(run.attempt, run.title, style="bold")
    doing, style = _doing(progress, now)
    return (first, *_words(width, (" · ".join(facts), "dim"), (f" · {doing}" if doing else "", style)))


def _doing(progress: Progress | None, now: datetime) -> tuple[str, str]:
    if progress is None:
        return "", ""
    if progress.doing.startswith("ended"):
        return progress.doing, "dim"
    if progress.alive is False:
        return "its process is gone; the next cycle sees to it: agentloop wake", "red"
    if progress.alive is None:
        return "its process has not come up yet", "dim"
    silent = now - progress.beat_at if progress.beat_at else timedelta()
    late = f" (no sign of life for {span(silent)})" if silent > timedelta(seconds=60) else ""
    return f"{progress.doing or 'at it'}{late}", "red" if late else "dim"


def _coming(standing: Standing, live: Live, width: int) -> Section:
    blocks = [
        tuple(_words(width, (one.about, "bold"), f" {one.says}", (f"  {one.title}", "dim")))
        for one in standing.coming
    ]
    is_now = live.loop.state in ("cycling", "draining")
    return _section("THIS CYCLE" if is_now else "NEXT CYCLE", blocks, standing.listed.coming)


def _queue(standing: Standing, width: int) -> Section:
    return _section("QUEUE", [_waits(one, width) for one in standing.queue], standing.listed.queue)


def _waits(waits: Waits, width: int) -> tuple[Text, ...]:
    urgent = {"critical": "bold red", "high": "yellow"}.get(waits.priority, "")
    first, *rest = _words(width, "; ".join(waits.reasons) or "starts next", (f"  {waits.title}", "dim"))
    return (_row(waits.task, style=urgent or "bold") + first[LEFT:], *rest)


# --- money --------------------------------------------------------------------------------------------------


def _money(standing: Standing, live: Live, width: int) -> list[Text]:
    money = standing.money
    used = sum(one.spent_micros for one in live.progress)
    apart = max(0, money.reserved_micros - used)
    # The limits count what is set aside as well: how tight it is, is told by its colour.
    today, total = money.spent_today_micros + used, money.spent_micros + used
    parts = [
        ("MONEY  ", "bold"),
        ("spent today ", ""),
        (dollars(today), _tightness(today + apart, money.day_limit_micros)),
        (f" of {dollars(money.day_limit_micros)} · in all ", ""),
        (dollars(total), _tightness(total + apart, money.total_limit_micros)),
        (f" of {dollars(money.total_limit_micros)}", ""),
    ]
    if apart:
        parts.append((f" · {dollars(apart)} more set aside for work under way", "dim"))
    if money.unresolved_micros:
        parts.append((f" · {dollars(money.unresolved_micros)} of it unresolved", "dim"))
    said = [*standing.alerts, *(line for line in standing.runway if "queued" in line)]
    marked = [(one, "yellow" if one in standing.alerts else "dim") for one in said]
    return [
        *folded(Text.assemble(*parts), width, hang=LABEL),
        *(line for one in marked for line in _words(width, one)),
    ]


def _tightness(spent: int, limit: int) -> str:
    share = spent / limit if limit else 1.0
    return "bold red" if share >= 1 else "yellow" if share >= 0.8 else "bold"  # noqa: PLR2004 -- four fifths


# --- times --------------------------------------------------------------------------------------------------


def clock(moment: datetime, now: datetime) -> str:
    """Return a moment in local time, with its day when that is not today."""
    local = moment.astimezone()
    return f"{local:%H:%M}" if local.date() == now.astimezone().date() else f"{local:%a %d %b %H:%M}"


def span(length: timedelta) -> str:
    """Return a length of time in one or two units: `40s`, `12m`, `3h 5m`, `2d 4h`."""
    seconds = max(0, int(length.total_seconds()))
    if seconds < 60:  # noqa: PLR2004 -- a minute
        return f"{seconds}s"
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86400
    if days:
        return f"{days}d {hours % 24}h"
    return f"{hours}h {minutes % 60}m" if hours else f"{minutes}m"


def _ago(moment: datetime, now: datetime) -> str:
    return f"{span(now - moment)} ago"
