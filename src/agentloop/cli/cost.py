"""`agentloop cost`: where the money went, what is set aside, what is left."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from agentloop.cli import common
from agentloop.cli.common import CompactOption, HomeOption, JsonOption, LimitOption
from agentloop.cli.folding import print_folded

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from rich.console import Console
    from rich.table import Table

    from agentloop.domain.costs import CostRow, Costs, LimitLeft

WIDE = 72
"""Columns that the whole table takes, long keys included; below it, calls and tokens are left out."""

ByOption = Annotated[
    Literal["day", "hour", "model", "task", "issue", "specialist"],
    typer.Option("--by", help="day, hour, model, task, issue or specialist."),
]


def cost(  # noqa: PLR0913 - a parameter an option
    *,
    by: ByOption = "day",
    days: Annotated[int | None, typer.Option(min=1, max=36500, help="Only the last N days (UTC).")] = None,
    issue: Annotated[str, typer.Option("--issue", metavar="N", help="Only this issue.")] = "",
    task: Annotated[str, typer.Option("--task", metavar="N.M", help="Only this task.")] = "",
    day: Annotated[str, typer.Option("--day", metavar="YYYY-MM-DD", help="Only this day (UTC).")] = "",
    limit: LimitOption = common.LIMIT,
    as_json: JsonOption = False,
    compact: CompactOption = False,
    home: HomeOption = None,
) -> None:
    """Show what was spent, what is reserved for work under way, and what the limits leave."""
    from agentloop import looking
    from agentloop.domain.costs import About, charged, costs

    about = About(issue=issue, task=task, day=_day(day), days=days)
    root = common.find_home(home)
    with common.working("reading the journal"):
        seen = looking.sight(str(root))
        world, charges = charged(looking.entries(seen.home))
        if (issue and issue not in world.issues) or (task and task not in world.tasks):
            raise looking.unknown(seen.home, world, task or issue)
        account = costs(world, charges, seen.settings, seen.now, by=by, about=about)
    given = (("days", str(days or "")), ("issue", issue), ("task", task), ("day", day))
    asked = f"agentloop cost --by {by}" + "".join(f" --{name} {value}" for name, value in given if value)
    if as_json or compact:
        from agentloop.domain.report import plain

        rows, more = common.bounded(account.rows, limit, asked)
        since = f"{account.since:%Y-%m-%d}" if account.since else None
        data = plain(account) | {"rows": plain(rows), "since": since}
        common.print_json({**data, "total": len(account.rows), "more": more or None}, compact=compact)
    else:
        _print(common.console(), account, limit, asked)


def _day(text: str) -> date | None:
    from datetime import date

    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no day; write it as 2026-11-02") from None


def _print(to: Console, account: Costs, limit: int, asked: str) -> None:
    from rich.text import Text

    from agentloop.domain.wording import dollars

    rows, more = common.bounded(account.rows, limit, asked)
    if not rows:
        to.print(
            "nothing was spent" + (f" since {account.since:%Y-%m-%d}" if account.since else "") + " so far"
        )
    else:
        to.print(_table(account, rows, to.width))
    if more:
        print_folded(to, Text(f"{len(rows)} of {len(account.rows)}; all: {more}", style="dim"), hang=2)
    if account.unresolved_micros:
        words = "unresolved: a call was made and its price never heard of; it counts at its ceiling for good"
        print_folded(to, Text(words, style="dim"), hang=2)
    if unlisted := _unlisted_words(account):
        print_folded(to, Text(unlisted, style="dim"), hang=2)
    for one in account.fallbacks:
        print_folded(to, Text(f"fallback model: {one}", style="yellow"), hang=2)
    for reserved in account.reserved:
        print_folded(to, Text(f"set aside now: {dollars(reserved.micros)} for {reserved.purse}"), hang=2)
    if account.own_cost:
        print_folded(to, Text(account.own_cost, style="dim"), hang=2)
    for left in account.limits:
        print_folded(to, Text(_limit_words(left), style="" if left.left_micros else "bold red"), hang=2)
    for line in account.runway:
        print_folded(to, Text(line), hang=2)


def _table(account: Costs, rows: Sequence[CostRow], width: int) -> Table:
    from rich.text import Text

    from agentloop.domain.wording import dollars

    names = ("settled", "unresolved", "runs", "calls", "tokens in", "cached", "out")
    shown = len(names) if width >= WIDE else 3  # on a phone: the money, and what it is of
    table = common.table(account.by, *names[:shown], shrinking=(account.by,))
    for column in table.columns[1:]:
        column.justify = "right"
    for row in rows:
        unresolved = dollars(row.unresolved_micros) if row.unresolved_micros else "–"
        money = (dollars(row.settled_micros), unresolved, str(row.times) if row.times else "–")
        table.add_row(common.cell(row.key), *(*money, *_counts(row))[:shown])
    sums = (dollars(account.settled_micros), dollars(account.unresolved_micros))
    table.add_row(Text("in all", style="bold"), *(Text(words, style="bold") for words in sums))
    return table


def _counts(row: CostRow) -> tuple[str, str, str, str]:
    """Return calls, tokens in, share of the cache and tokens out; `–` for what nobody knows."""
    if row.calls is None:
        return ("–", "–", "–", "–")
    more = "+" if row.unlisted_micros else ""
    cached = f"{100 * (row.cached_tokens or 0) // row.input_tokens} %" if row.input_tokens else "–"
    return (
        f"{row.calls}{more}",
        f"{row.input_tokens or 0:,}{more}",
        cached,
        f"{row.output_tokens or 0:,}{more}",
    )


def _unlisted_words(account: Costs) -> str:
    from agentloop.domain.wording import dollars

    micros = sum(row.unlisted_micros for row in account.rows)
    if not micros:
        return ""
    return (
        f"{dollars(micros)} is of calls that nobody can count any more: their ledger or the journal was lost"
    )


def _limit_words(left: LimitLeft) -> str:
    from agentloop.domain.wording import dollars

    said = f"{left.left_micros:,} tokens" if left.tokens else dollars(left.left_micros)
    most = f"{left.micros:,}" if left.tokens else dollars(left.micros)
    until = f"; anew at {left.until.astimezone():%a %H:%M}" if left.until and left.used_micros else ""
    return f"{left.name}: {said} left of {most}{until}"
