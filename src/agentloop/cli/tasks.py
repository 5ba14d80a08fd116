"""`agentloop tasks`: every task, where it stands, and why it was not started."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from agentloop.cli import common
from agentloop.cli.common import CompactOption, HomeOption, JsonOption, LimitOption
from agentloop.cli.folding import print_folded

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentloop.domain.tasklist import TaskRow

STYLES = {
    "working": "bold green",
    "judging": "green",
    "in_review": "bold yellow",
    "parked": "yellow",
    "red": "red",
    "merged": "magenta",
    "noted": "magenta",
    "cancelled": "dim",
}


def tasks(
    *,
    all_: Annotated[bool, typer.Option("--all", "-a", help="Also those that are over.")] = False,
    parked: Annotated[
        bool, typer.Option("--parked", help="Only those that the loop gave up: agentloop retry TASK.")
    ] = False,
    issue: Annotated[str, typer.Option("--issue", "-i", metavar="N", help="Only of this issue.")] = "",
    limit: LimitOption = common.LIMIT,
    as_json: JsonOption = False,
    compact: CompactOption = False,
    home: HomeOption = None,
) -> None:
    """List tasks: those in hand, then the queue in the order of work."""
    root = common.find_home(home)
    with common.working("reading the journal"):
        found = tuple(
            row for row in _rows(str(root), over=all_, issue=issue) if not parked or row.state == "parked"
        )
    asked = " ".join(
        [
            "agentloop tasks",
            *(["--all"] if all_ else []),
            *(["--parked"] if parked else []),
            *([f"--issue {issue}"] if issue else []),
        ]
    )
    shown, more = common.bounded(found, limit, asked)
    if as_json or compact:
        from agentloop.domain.report import plain

        data = {"tasks": plain(shown), "total": len(found), "more": more or None}
        common.print_json(data, compact=compact)
    else:
        _print(shown, len(found), more, over=all_)


def _rows(root: str, *, over: bool, issue: str) -> tuple[TaskRow, ...]:
    from agentloop import looking
    from agentloop.domain.tasklist import meant, rows
    from agentloop.errors import NotFoundError

    scene = looking.scene(root)
    if issue and issue not in scene.world.issues:
        near = meant(issue, scene.world.issues)
        raise NotFoundError(
            f"no cycle has seen an issue {issue}", fix=near or "agentloop issue list --state all"
        )
    return rows(scene, over=over, issue=issue)


def _print(shown: Sequence[TaskRow], total: int, more: str, *, over: bool) -> None:
    from rich.text import Text

    to = common.console()
    if not shown:
        to.print("no tasks" if over else "no tasks in hand; those that are over: agentloop tasks --all")
        return
    # Reasons are folded, never cut; a title gives way.
    table = common.table(
        "task", "title", "state", "what it waits for", shrinking=("title", "what it waits for")
    )
    table.columns[3].min_width = min(30, to.width // 3)
    for row in shown:
        style = STYLES.get(row.state, "")
        words = row.state.replace("_", " ")
        title = common.cell(row.title, "dim" if row.state in ("merged", "noted", "cancelled") else "")
        table.add_row(Text(row.id, style="bold"), title, Text(words, style=style), Text(row.says))
    to.print(table)
    if any(row.state == "parked" for row in shown):
        print_folded(to, Text("a parked one, once more: agentloop retry TASK", style="dim"), hang=2)
    if more:
        print_folded(to, Text(f"{len(shown)} of {total}; all: {more}", style="dim"), hang=2)
    print_folded(to, Text("one of them: agentloop explain TASK", style="dim"), hang=2)
