"""`agentloop cost`: where the money went, what is set aside, what is left."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from agentloop.cli import common
from agentloop.cli.common import CompactOption, HomeOption, JsonOption, LimitOption
from agentloop.cli.folding import print_folded

if TYPE_CHECKING:
    from rich.console import Console

    from agentloop.domain.costs import Costs

ByOption = Annotated[
    Literal["day", "model", "task", "issue"], typer.Option("--by", help="day, model, task or issue.")
]


def cost(
    *,
    by: ByOption = "day",
    days: Annotated[int | None, typer.Option(min=1, max=36500, help="Only the last N days (UTC).")] = None,
    limit: LimitOption = common.LIMIT,
    as_json: JsonOption = False,
    compact: CompactOption = False,
    home: HomeOption = None,
) -> None:
    """Show what was spent, what is reserved for work under way, and what the limits leave."""
    from agentloop import looking
    from agentloop.domain.costs import charged, costs

    root = common.find_home(home)
    with common.working("reading the journal"):
        seen = looking.sight(str(root))
        world, charges = charged(looking.entries(seen.home))
        account = costs(world, charges, seen.settings, seen.now, by=by, days=days)
    asked = f"agentloop cost --by {by}" + (f" --days {days}" if days else "")
    if as_json or compact:
        from agentloop.domain.report import plain

        rows, more = common.bounded(account.rows, limit, asked)
        since = f"{account.since:%Y-%m-%d}" if account.since else None
        data = plain(account) | {"rows": plain(rows), "since": since}
        common.print_json({**data, "total": len(account.rows), "more": more or None}, compact=compact)
    else:
        _print(common.console(), account, limit, asked)


def _print(to: Console, account: Costs, limit: int, asked: str) -> None:
    from rich.text import Text

    from agentloop.domain.wording import dollars

    rows, more = common.bounded(account.rows, limit, asked)
    if not rows:
        to.print(
            "nothing was spent" + (f" since {account.since:%Y-%m-%d}" if account.since else "") + " so far"
        )
    else:
        table = common.table(account.by, "settled", "unresolved", "calls on it", shrinking=(account.by,))
        for column in table.columns[1:]:
            column.justify = "right"
        for row in rows:
            unresolved = dollars(row.unresolved_micros) if row.unresolved_micros else "–"
            table.add_row(common.cell(row.key), dollars(row.settled_micros), unresolved, str(row.times))
        table.columns[3].header = "runs"
        sums = (dollars(account.settled_micros), dollars(account.unresolved_micros))
        table.add_row(Text("in all", style="bold"), *(Text(words, style="bold") for words in sums), "")
        to.print(table)
    if more:
        print_folded(to, Text(f"{len(rows)} of {len(account.rows)}; all: {more}", style="dim"), hang=2)
    if account.unresolved_micros:
        words = "unresolved: a call was made and its price never heard of; it counts at its ceiling for good"
        print_folded(to, Text(words, style="dim"), hang=2)
    for one in account.fallbacks:
        print_folded(to, Text(f"fallback model: {one}", style="yellow"), hang=2)
    for reserved in account.reserved:
        print_folded(to, Text(f"set aside now: {dollars(reserved.micros)} for {reserved.purse}"), hang=2)
    for left in account.limits:
        style = "bold red" if left.left_micros == 0 else ""
        words = f"{left.name}: {dollars(left.left_micros)} left of {dollars(left.micros)}"
        print_folded(to, Text(words, style=style), hang=2)
