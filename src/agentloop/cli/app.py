"""The commands, joined: those of `catalogue`, each loaded when it is asked for."""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING, Annotated

import typer

from agentloop import __version__
from agentloop.cli import common
from agentloop.cli.catalogue import ABOUT, COMMANDS, EPILOG
from agentloop.cli.grouped import Grouped

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

COMPLETING = "_AGENTLOOP_COMPLETE"
"""The shell asks what there is."""


def joined(names: Iterable[str] = tuple(COMMANDS)) -> typer.Typer:
    """Return the command `agentloop` with the commands of these names."""
    app = typer.Typer(
        name="agentloop",
        cls=Grouped,
        help=ABOUT,
        epilog=EPILOG,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )
    app.callback()(_itself)
    for name in names:
        module, _, attribute = COMMANDS[name][0].partition(":")
        found = getattr(import_module(f"agentloop.cli.{module}"), attribute)
        if isinstance(found, typer.Typer):
            app.add_typer(found, name=name)
        else:
            app.command(name)(found)
    return app


def _itself(
    *,
    version: Annotated[bool, typer.Option("--version", help="Show the version and exit.")] = False,
) -> None:
    # Without it, a typer with a single command would be that command.
    if version:
        typer.echo(f"agentloop {__version__}")
        raise typer.Exit


def run(args: Sequence[str]) -> int:
    """Run a command line and return its exit code; errors say what is wrong and how to mend it."""
    named = args[:1] if args and args[0] in COMMANDS and COMPLETING not in os.environ else COMMANDS
    return common.run(joined(named), args)
