"""`agentloop audit`: every effect, who asked for it, who decided it, and the rule that allowed it."""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from agentloop.cli import common
from agentloop.cli.common import CompactOption, HomeOption, JsonOption, LimitOption
from agentloop.cli.cycles import SinceOption, moment
from agentloop.cli.folding import print_folded

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from agentloop.domain.audit import Done

WIDE = 130
"""Columns from which an effect is one line of a table; below it is a few lines."""
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
STYLES = {"failed": "bold red", "open": "yellow", "done": ""}


def audit(
    *,
    since: SinceOption = "",
    issue: Annotated[str, typer.Option("--issue", metavar="N", help="Only what was done for it.")] = "",
    limit: LimitOption = common.LIMIT,
    as_json: JsonOption = False,
    compact: CompactOption = False,
    home: HomeOption = None,
) -> None:
    """List what was done outside, who asked for it, who decided it and the rule that allowed it."""
    from agentloop import looking
    from agentloop.domain.audit import audit as told
    from agentloop.home import Home

    root = common.find_home(home)
    after = moment(since) if since else None
    with common.working("reading the journal"):
        seen = Home(root)
        found = told(looking.entries(seen), issue=issue, since=after)[::-1]
        if issue and not found:
            world = looking.world_of(seen)
            if issue not in world.issues:
                raise looking.unknown(seen, world, issue)
    given = (("since", f'"{since}"' if since else ""), ("issue", issue))
    asked = "agentloop audit" + "".join(f" --{name} {value}" for name, value in given if value)
    shown, more = common.bounded(found, limit, asked)
    if as_json or compact:
        from agentloop.domain.report import plain

        data = {"effects": plain(shown), "total": len(found), "more": more or None}
        common.print_json(data, compact=compact)
    else:
        _print(common.console(), shown, len(found), more)


def _print(to: Console, shown: Sequence[Done], total: int, more: str) -> None:
    from rich.text import Text

    if not shown:
        to.print("nothing has been done outside so far")
        return
    if to.width >= WIDE:
        _print_table(to, shown)
    else:
        for one in shown:
            _print_block(to, one)
    if more:
        print_folded(to, Text(f"{len(shown)} of {total}; all: {more}", style="dim"), hang=2)


def _print_table(to: Console, shown: Sequence[Done]) -> None:
    names = ("when", "what", "where", "became", "asked for by", "decided by", "allowed by")
    table = common.table(*names, shrinking=("became", "allowed by"))
    for one in shown:
        table.add_row(
            _when(one.at),
            common.cell(one.kind.replace("_", " ")),
            common.cell(one.where),
            common.cell(_became(one), STYLES[one.outcome]),
            common.cell(one.asked or "–"),
            common.cell(one.decided),
            common.cell(one.rule or "–", "dim"),
        )
    to.print(table)


def _print_block(to: Console, one: Done) -> None:
    from rich.text import Text

    head = Text.assemble((_when(one.at), "dim"), "  ", (common.harmless(one.what), "bold"))
    print_folded(to, head, hang=2)
    print_folded(to, Text(f"→ {common.harmless(_became(one))}", style=STYLES[one.outcome]), indent=2, hang=4)
    who = f"asked for by {one.asked or 'nobody by name'}; decided by {one.decided}"
    print_folded(to, Text(common.harmless(who)), indent=2, hang=4)
    if one.rule:
        print_folded(to, Text(f"allowed by {common.harmless(one.rule)}", style="dim"), indent=2, hang=4)


def _became(one: Done) -> str:
    match one.outcome:
        case "done":
            made = one.result[:12] if _COMMIT.fullmatch(one.result) else one.result
            return f"done: {made}" if made else "done"
        case "failed":
            return f"refused: {one.why}"
        case _:
            return "begun, and not known yet whether it took place"


def _when(at: datetime) -> str:
    local = at.astimezone()
    today = local.date() == datetime.now().astimezone().date()
    return f"{local:%H:%M:%S}" if today else f"{local:%d %b %H:%M}"
