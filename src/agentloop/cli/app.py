"""The commands, joined. Everything a person can type is listed here."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from agentloop.cli import common, config, home, issue, pr

if TYPE_CHECKING:
    from collections.abc import Sequence

app = typer.Typer(
    name="agentloop",
    help="Turns issues into pull requests, day and night. A person merges.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command()(home.init)
app.command()(home.doctor)
app.add_typer(config.app, name="config")
app.add_typer(issue.app, name="issue")
app.add_typer(pr.app, name="pr")


def run(args: Sequence[str]) -> int:
    """Run a command line and return its exit code; errors say what is wrong and how to mend it."""
    return common.run(app, args)
