"""The commands, joined. Everything a person can type is listed here."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from agentloop.cli import (
    common,
    config,
    cost,
    cycles,
    explain,
    home,
    issue,
    logs,
    loop,
    pr,
    relay,
    retry,
    status,
    tasks,
)
from agentloop.cli.grouped import Grouped

if TYPE_CHECKING:
    from collections.abc import Sequence

app = typer.Typer(
    name="agentloop",
    cls=Grouped,
    help="Turns issues into pull requests, day and night. A person merges.",
    epilog="Every command also takes --home DIR and --set KEY=VALUE, before or behind its name.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command()(home.init)
app.command()(home.doctor)
app.add_typer(config.app, name="config")
app.add_typer(issue.app, name="issue")
app.add_typer(pr.app, name="pr")
app.add_typer(relay.app, name="relay")
app.command()(retry.retry)
app.command()(status.status)
app.command()(tasks.tasks)
app.command()(logs.logs)
app.command()(explain.explain)
app.command()(cycles.cycles)
app.command()(cost.cost)
# Dispatched before typer is loaded (see `agentloop.__main__`); they are here for help and completion.
app.command()(loop.run)
app.command()(loop.wake)
app.command()(loop.pause)
app.command()(loop.resume)
app.command()(loop.stop)
app.command()(loop.cycle)


def run(args: Sequence[str]) -> int:
    """Run a command line and return its exit code; errors say what is wrong and how to mend it."""
    return common.run(app, args)
