"""`agentloop cycles` and `agentloop cycle show N`: what each one saw, decided and did, and why it slept."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from agentloop.cli import common
from agentloop.cli.common import CompactOption, HomeOption, JsonOption, LimitOption
from agentloop.cli.folding import print_folded
from agentloop.errors import NotFoundError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from rich.console import Console

    from agentloop.domain.cycles import Cycle, Done, Idle, Judged

WIDE = 120
"""Columns from which a cycle is one line of a table; below it is a few lines."""
STYLES = {"failed": "bold red", "limited": "yellow", "": "yellow"}

SinceOption = Annotated[
    str, typer.Option("--since", metavar="TIME", help="As 2h ago, yesterday, monday 9:30, 2026-11-20.")
]


def cycles(
    *,
    since: SinceOption = "",
    limit: LimitOption = common.LIMIT,
    as_json: JsonOption = False,
    compact: CompactOption = False,
    home: HomeOption = None,
) -> None:
    """List cycles, the newest first: why each began, what it did and cost, and why the loop slept."""
    root = common.find_home(home)
    after = moment(since) if since else None
    with common.working("reading the journal"):
        found = [one for one in _told(root) if after is None or (one.ended or one.at) >= after][::-1]
    asked = "agentloop cycles" + (f' --since "{since}"' if since else "")
    shown, more = common.bounded(found, limit, asked)
    if as_json or compact:
        from agentloop.domain.report import plain

        rows = [{**plain(one), "seconds": round(one.seconds, 3)} for one in shown]
        common.print_json({"cycles": rows, "total": len(found), "more": more or None}, compact=compact)
    else:
        _print_list(common.console(), shown, len(found), more)


def show(root: Path, words: Sequence[str], *, as_json: bool, compact: bool) -> None:
    """Show the cycle that `words` (`show N`) name. Raises typer.BadParameter, NotFoundError."""
    if len(words) != 2 or words[0] != "show" or not words[1].isdecimal():  # noqa: PLR2004 - show N
        msg = f"{' '.join(words)!r}: to show a cycle, write: agentloop cycle show N"
        raise typer.BadParameter(msg)
    with common.working("reading the journal"):
        one = the_cycle(_told(root), int(words[1]))
    if as_json:
        from agentloop.domain.report import plain

        common.print_json({**plain(one), "seconds": round(one.seconds, 3)}, compact=compact)
    else:
        _print_one(common.console(), one)


def the_cycle(told: Sequence[Cycle], number: int) -> Cycle:
    """Return the cycle with this number. Raises NotFoundError, naming those there are."""
    found = next((one for one in told if one.number == number), None)
    if found is None:
        there = f"cycles {told[0].number} to {told[-1].number} are" if told else "no cycle is"
        raise NotFoundError(
            f"the journal knows no cycle {number}: {there} in it",
            fix="all of them: agentloop cycles -n 100000",
        )
    return found


def moment(text: str) -> datetime:
    """Return the moment in the past that a person wrote. Raises typer.BadParameter, naming the forms."""
    from agentloop.domain.moments import past_moment

    try:
        return past_moment(text, datetime.now().astimezone())
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


def _told(root: Path) -> tuple[Cycle, ...]:
    from agentloop import looking
    from agentloop.domain.cycles import cycles as told
    from agentloop.home import Home

    home = Home(root)
    return told(looking.entries(home), looking.looks(home))


# --- the list -----------------------------------------------------------------------------------------------


def _print_list(to: Console, shown: Sequence[Cycle], total: int, more: str) -> None:
    from rich.text import Text

    if not shown:
        to.print("no cycle has had anything to do so far")
        return
    if to.width >= WIDE:
        _print_table(to, shown)
    else:
        for one in shown:
            _print_block(to, one)
    if more:
        print_folded(to, Text(f"{len(shown)} of {total}; all: {more}", style="dim"), hang=2)
    print_folded(to, Text("one of them: agentloop cycle show N", style="dim"), hang=2)


def _print_table(to: Console, shown: Sequence[Cycle]) -> None:
    from rich.text import Text

    from agentloop.domain.cycles import what_it_did, why_it_began

    table = common.table(
        "#", "when", "why", "did", "cost", "took", "slept", shrinking=("why", "did", "slept")
    )
    for one in shown:
        style = STYLES.get(one.outcome, "")
        table.add_row(
            Text(str(one.number), style="bold"),
            _when(one.at),
            common.cell(why_it_began(one)),
            common.cell(what_it_did(one), style),
            _money(one),
            _took(one),
            common.cell("; ".join([_slept(one), *map(_idle_words, one.idle[-1:])]), "dim"),
        )
    to.print(table)


def _print_block(to: Console, one: Cycle) -> None:
    from rich.text import Text

    from agentloop.domain.cycles import what_it_did, why_it_began

    facts = " · ".join(part for part in (_money(one), _took(one)) if part)
    number = f"{one.number:>4}"
    head = Text.assemble((number, "bold"), (f"  {_when(one.at)}  ", "dim"), (facts, "cyan"))
    print_folded(to, head, hang=len(number) + 2)
    indent = len(number) + 2
    style = STYLES.get(one.outcome, "")
    print_folded(to, Text(why_it_began(one)), indent=indent)
    print_folded(
        to, Text.assemble(("→ ", "green"), (what_it_did(one), style)), indent=indent, hang=indent + 2
    )
    if one.slept_because:
        print_folded(to, Text(_slept(one), style="dim"), indent=indent, hang=indent + 2)
    for run in one.idle[-2:]:
        print_folded(to, Text(_idle_words(run), style="dim"), indent=indent, hang=indent + 2)


def _when(at: datetime) -> str:
    local = at.astimezone()
    today = local.date() == datetime.now().astimezone().date()
    return f"{local:%H:%M:%S}" if today else f"{local:%d %b %H:%M}"


def _clock(at: datetime, since: datetime) -> str:
    """Return a time of day, with its day when that is another than that of `since`."""
    local, start = at.astimezone(), since.astimezone()
    return f"{local:%H:%M}" if local.date() == start.date() else f"{local:%d %b %H:%M}"


def _money(one: Cycle) -> str:
    from agentloop.domain.wording import dollars

    spent = one.spent_micros + one.unresolved_micros
    return dollars(spent) if spent or one.asked else ""


def _took(one: Cycle) -> str:
    seconds = one.seconds
    if one.ended is None or not one.outcome:
        return ""
    if seconds < 1:
        return f"{1000 * seconds:.0f} ms"
    return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"  # noqa: PLR2004 - two digits say enough


def _slept(one: Cycle) -> str:
    if not one.slept_because:
        return ""
    if one.slept_kind == "more":
        return f"went on at once: {one.slept_because}"
    until = f"until {_clock(one.slept_until, one.at)}" if one.slept_until else "until something happens"
    return f"slept {until}: {one.slept_because}"


def _idle_words(run: Idle) -> str:
    if run.times == 1:
        return f"idle at {_clock(run.first, run.first)}: {run.reason}"
    span = f"{_clock(run.first, run.first)} to {_clock(run.last, run.first)}"
    return f"{run.times} idle cycles, {span}: {run.reason}"


# --- one cycle ----------------------------------------------------------------------------------------------


def _print_one(to: Console, one: Cycle) -> None:
    from rich.text import Text

    from agentloop.domain.cycles import no_end_words, why_it_began

    ended = one.outcome or no_end_words(one)
    head = Text.assemble((f"cycle {one.number}", "bold"), f"  {ended}")
    head.stylize(STYLES.get(one.outcome, ""), len(f"cycle {one.number}"))
    print_folded(to, head, hang=2)
    at = f"{one.at.astimezone():%d %b %Y %H:%M:%S}"
    asked = f"{_money(one)} for the admin agent" if one.asked else "no model asked"
    facts = [at, f"took {_took(one)}" if _took(one) else "", "" if one.lost and not one.asked else asked]
    print_folded(to, Text(" · ".join(filter(None, facts)), style="dim"), indent=2)
    if one.failed:
        print_folded(to, Text(one.failed, style="red"), indent=2, hang=4)
    _lines(to, "BEGAN BECAUSE", [why_it_began(one)])
    _lines(to, "SAW", one.seen, "nothing new outside")
    _judged(to, "DECIDED", one.decided)
    _judged(to, "REFUSED", one.refused)
    _done(to, one.done)
    _lines(to, "NOT STARTED, SAID ANEW", one.held_back)
    if one.relay:
        _lines(to, "RELAY, NEXT ACTION", [one.relay])
    _lines(
        to, "THEN", [words for words in (_slept(one), *map(_idle_words, one.idle)) if words], "no sleep said"
    )
    print_folded(to, Text(f"again, offline: agentloop replay {one.number}", style="dim"), hang=2)


def _lines(to: Console, title: str, lines: Sequence[str], otherwise: str = "") -> None:
    from rich.text import Text

    if not lines and not otherwise:
        return
    print_folded(to, Text(title, style="bold yellow"))
    for line in lines or (otherwise,):
        print_folded(to, Text(line, style="" if lines else "dim"), indent=2, hang=4)


def _judged(to: Console, title: str, found: Sequence[Judged]) -> None:
    from rich.text import Text

    if not found and title == "REFUSED":
        return
    print_folded(to, Text(title, style="bold yellow"))
    for one in found:
        mark, style = ("✗", "red") if one.refused else ("✓", "green")
        line = Text.assemble((f"{mark} ", style), (f"{one.by}: ", "cyan"), one.what)
        print_folded(to, line, indent=2, hang=4)
        if one.why:
            print_folded(to, Text(one.why, style="dim"), indent=4)
        if one.refused:
            print_folded(to, Text(f"refused: {one.refused}", style="red"), indent=4)
    if not found:
        print_folded(to, Text("nothing", style="dim"), indent=2)


def _done(to: Console, found: Sequence[Done]) -> None:
    from rich.text import Text

    print_folded(to, Text("DID", style="bold yellow"))
    for one in found:
        mark, style = ("✗", "red") if one.failed else ("✓", "green") if one.result else ("…", "yellow")
        line = Text.assemble((f"{mark} ", style), one.what)
        print_folded(to, line, indent=2, hang=4)
        if one.failed:
            print_folded(to, Text(one.failed, style="red"), indent=4)
        elif not one.result:
            words = "begun, its end is not known here: a later cycle looks"
            print_folded(to, Text(words, style="yellow"), indent=4)
    if not found:
        print_folded(to, Text("nothing outside", style="dim"), indent=2)
