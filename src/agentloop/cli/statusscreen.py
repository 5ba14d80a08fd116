"""The status as lines for a terminal: what needs a person first, fitted to its width and height."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from rich.text import Text

from agentloop.cli.common import age
from agentloop.domain.telling import count
from agentloop.domain.wording import dollars

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from agentloop.domain.report import Live, Need, Progress, Run, Standing, Waits

LEFT = 10
"""Columns of the words at the left edge."""
SHOWN = 8
"""Entries of a section when there is room for all."""
REASON_LINES = 2

STYLES = {
    "review": "bold green",
    "yours": "green",
    "question": "bold magenta",
    "parked": "yellow",
    "money": "bold red",
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
    sections = [_needs(standing, live), _running(standing, live), _coming(standing), _queue(standing)]
    there = [one for one in sections if one.blocks]
    if not there:
        head.append(Text(_nothing(standing, live), style="dim"))
    fitted = _fitted(there, None if height is None else height - len(head) - len(foot) - 1)
    lines = [*head, *(line for one in fitted for line in _drawn(one)), *foot]
    for line in lines:
        line.truncate(width, overflow="ellipsis")
        line.no_wrap = True
    return lines


def _nothing(standing: Standing, live: Live) -> str:
    if live.woken_by:
        return "nothing in hand yet: the next cycle looks at what asked for it"
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


# --- the loop -----------------------------------------------------------------------------------------------


def _loop(standing: Standing, live: Live, width: int) -> list[Text]:
    said, style = STATES.get(live.loop.state, (live.loop.state, "bold"))
    lines = [Text.assemble(("agentloop", "bold"), (f"  {live.home}", "dim"))]
    lines += _wrapped(Text.assemble((f"● {said}", style), *_until(live), _why(live)), width)
    lines.append(Text("  " + " · ".join(_facts(standing, live)), style="dim"))
    return lines


def _until(live: Live) -> list[str]:
    if live.loop.state == "stopped" or live.loop.until is None:
        return []
    return [f" until {clock(live.loop.until, live.at)}", f" (in {span(live.loop.until - live.at)})"]


def _why(live: Live) -> str:
    loop = live.loop
    if loop.state == "stopped":
        paused = f"; paused until {live.pause.until} ({live.pause.reason})" if live.pause else ""
        return f": nothing happens until you start it: agentloop run{paused}"
    reason = loop.reason.split("; problem: ")[0]  # problems have lines of their own
    return f": {reason}" if reason else ""


def _facts(standing: Standing, live: Live) -> list[str]:
    loop = live.loop
    facts = []
    if loop.started_at:
        facts.append(f"running for {span(live.at - loop.started_at)} (pid {loop.pid})")
    if standing.cycle_at:
        facts.append(f"cycle {standing.cycle} wrote {_ago(standing.cycle_at, live.at)}")
    else:
        facts.append("no cycle has run yet")
    if loop.do and loop.state != "stopped":
        facts.append({"agentloop resume": "go on: "}.get(loop.do, "sooner: ") + loop.do)
    return facts


def _troubles(standing: Standing, live: Live, width: int) -> list[Text]:
    lines = [_mark("!", f"problem: {one}", "red") for one in (*_notice(live), *live.problems)]
    if standing.limit_until:
        until = clock(standing.limit_until, live.at)
        lines.append(_mark("!", f"the provider's limit lasts until {until}: {standing.limit_why}", "yellow"))
    if live.woken_by and live.loop.state != "cycling":
        lines.append(_mark("↯", f"the next cycle was asked for: {', '.join(live.woken_by[:3])}", "cyan"))
    fallbacks = (*standing.fallbacks, *(one.fallback for one in live.progress if one.fallback))
    lines += [_mark("!", f"fallback model: {one}", "yellow") for one in fallbacks]
    lines += [_mark("!", one, "yellow") for one in standing.warnings]
    return [line for one in lines for line in _wrapped(one, width)]


def _notice(live: Live) -> tuple[str, ...]:
    return (live.loop.notice,) if live.loop.notice and live.loop.notice not in live.problems else ()


def _mark(mark: str, words: str, style: str) -> Text:
    return Text.assemble((f"{mark} {words.splitlines()[0] if words else ''}", style))


def _wrapped(line: Text, width: int) -> list[Text]:
    """The line on two lines at most: longer reasons are told in full by `explain` and `doctor`."""
    from rich.console import Console

    to = Console(width=width, file=None)
    parts = list(line.wrap(to, max(10, width - 2)))
    if len(parts) > REASON_LINES:
        parts = [*parts[: REASON_LINES - 1], Text.assemble(parts[REASON_LINES - 1].copy(), "…")]
    indented = [Text("  ") + part for part in parts[1:]]
    for part in (*parts[:1], *indented):
        part.rstrip()
    return [*parts[:1], *indented]


# --- sections -----------------------------------------------------------------------------------------------


def _needs(standing: Standing, live: Live) -> Section:
    blocks = [_need(one, live.at) for one in standing.needs_you]
    return _section("NEEDS YOU", blocks, standing.listed.needs_you, style="bold yellow")


def _need(need: Need, now: datetime) -> tuple[Text, ...]:
    since = (f"  {age(need.since, now)}", "dim") if need.since else ""
    first = _row(need.kind, (need.about, "bold"), since, f"  {need.title}", style=STYLES[need.kind])
    choices = "  ".join(f"{number}: {choice}" for number, choice in enumerate(need.choices, 1))
    rows = [first]
    if need.kind in ("question", "parked", "money"):
        rows.append(_row("", need.says))
    if choices:
        rows.append(_row("", choices))
    rows.append(_row("", ("  ·  ".join(need.do), "cyan")))
    return tuple(rows)


def _running(standing: Standing, live: Live) -> Section:
    progress = {(one.role, one.attempt): one for one in live.progress}
    blocks = [_run(one, progress.get((one.role, one.attempt)), live.at) for one in standing.running]
    return _section("AT WORK", blocks, standing.listed.running, style="bold green")


def _run(run: Run, progress: Progress | None, now: datetime) -> tuple[Text, ...]:
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
    return (first, _row("", (" · ".join(facts), "dim"), (f" · {doing}" if doing else "", style)))


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


def _coming(standing: Standing) -> Section:
    blocks = [
        (_row("", (one.about, "bold"), f" {one.says}", (f"  {one.title}", "dim")),) for one in standing.coming
    ]
    return _section("NEXT CYCLE", blocks, standing.listed.coming)


def _queue(standing: Standing) -> Section:
    return _section("QUEUE", [_waits(one) for one in standing.queue], standing.listed.queue)


def _waits(waits: Waits) -> tuple[Text, ...]:
    urgent = {"critical": "bold red", "high": "yellow"}.get(waits.priority, "")
    why = "; ".join(waits.reasons) or "starts next"
    return (_row(waits.task, why, (f"  {waits.title}", "dim"), style=urgent or "bold"),)


# --- money --------------------------------------------------------------------------------------------------


def _money(standing: Standing, live: Live, width: int) -> list[Text]:
    money = standing.money
    # What runs now counts by its whole slice until it is settled, as the limits count it.
    today = money.spent_today_micros + money.reserved_micros
    total = money.spent_micros + money.reserved_micros
    parts = [
        ("MONEY  ", "bold"),
        ("today ", ""),
        (dollars(today), _tightness(today, money.day_limit_micros)),
        (f" of {dollars(money.day_limit_micros)} · in all ", ""),
        (dollars(total), _tightness(total, money.total_limit_micros)),
        (f" of {dollars(money.total_limit_micros)}", ""),
    ]
    if money.reserved_micros:
        spent = sum(one.spent_micros for one in live.progress)
        parts.append((f" · {dollars(money.reserved_micros)} of it reserved, {dollars(spent)} used", "dim"))
    elif money.unresolved_micros:
        parts.append((f" · {dollars(money.unresolved_micros)} of it unresolved", "dim"))
    return _wrapped(Text.assemble(*parts), width)


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
