"""The help of the whole command: its commands in groups, in the order in which one meets them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from typer.core import TyperGroup

from agentloop.cli.catalogue import COMMANDS, GROUPS

if TYPE_CHECKING:
    from typer._click import Context, HelpFormatter  # where typer keeps its click


class Grouped(TyperGroup):
    """Lists commands under the headings of GROUPS; a command that is in none comes last, under `Also`."""

    def list_commands(self, ctx: Context) -> list[str]:
        """Return the names in the order of GROUPS."""
        known = list(COMMANDS)
        names = super().list_commands(ctx)
        return sorted(names, key=lambda name: known.index(name) if name in known else len(known))

    def format_commands(self, ctx: Context, formatter: HelpFormatter) -> None:
        """Write the groups; those that are hidden stay so."""
        found = {name: self.get_command(ctx, name) for name in self.list_commands(ctx)}
        shown = {name: command for name, command in found.items() if command and not command.hidden}
        widest = max(map(len, shown), default=0)
        for title, names in {**GROUPS, "Also": tuple(name for name in shown if name not in COMMANDS)}.items():
            rows = [
                (f"{name:<{widest}}", shown[name].get_short_help_str(200)) for name in names if name in shown
            ]
            if rows:
                with formatter.section(title):
                    formatter.write_dl(rows)
