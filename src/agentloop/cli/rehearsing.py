"""`agentloop cycle --dry-run`: shows what a cycle would do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from agentloop import exits
from agentloop.cli import common
from agentloop.errors import UnsafeError

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console

    from agentloop.rehearsal import Rehearsal


def rehearse(root: Path, *, ask: bool, as_json: bool, compact: bool) -> None:
    """Rehearse a cycle on the home at `root` and show it.

    Raises AgentloopError (UnsafeError when there is no key to ask the admin agent with), and typer.Exit when
    it failed.
    """
    from agentloop import compiled, rehearsal
    from agentloop.domain.wording import dollars
    from agentloop.home import Home

    home = Home(root)
    settings, complaint = compiled.in_force(home)
    if complaint:
        common.warn(complaint)
    with common.working("looking, and asking the admin agent" if ask else "looking") as say:
        found = rehearsal.rehearse(
            home,
            settings,
            ask=ask,
            before_asking=lambda micros: say(
                f"the admin agent is asked now, in earnest: that may cost {dollars(micros)} at most; "
                "with --no-model it is not asked"
            ),
        )
    if as_json:
        from agentloop.domain.report import plain

        common.print_json(plain(found), compact=compact)
    else:
        _print(common.console(), found)
    if found.missing and as_json:
        raise typer.Exit(exits.UNSAFE)
    if found.missing:
        raise UnsafeError(
            f"{found.missing}: its decisions are not shown",
            fix="set ANTHROPIC_API_KEY or models.key_file; or: agentloop cycle --dry-run --no-model",
        )
    if found.failed:
        raise typer.Exit(exits.MODEL)


def _print(to: Console, found: Rehearsal) -> None:
    from rich.text import Text

    from agentloop.domain.wording import dollars

    to.print(Text("REHEARSAL: nothing of this was done", style="bold yellow"))
    if found.asked:
        cost = dollars(found.spent_micros + found.unresolved_micros)
        to.print(
            Text(f"the admin agent was asked; that cost {cost}, which is spent and counts", style="yellow")
        )
    elif found.missing:
        to.print(Text(f"the admin agent would be asked; it was not: {found.missing}", style="yellow"))
    elif found.briefing:
        to.print(
            Text("the admin agent would be asked; it was not (--no-model), so its decisions are missing")
        )
    else:
        to.print(Text("the admin agent would not be asked now, so it would cost nothing"))
    if found.woken_by:
        to.print(
            Text(f"asked for by: {'; '.join(found.woken_by)} (the trigger is left where it is)", style="dim")
        )
    if found.briefing:
        _title(to, "BRIEFING")
        for line in found.briefing.splitlines():
            to.print(Text(f"  {line}", style="dim"), soft_wrap=True)
    _decisions(to, found)
    _list(to, "EFFECTS IT WOULD HAVE HAD", found.effects, "none")
    if found.problems or found.failed:
        _list(to, "PROBLEMS", (*([found.failed] if found.failed else []), *found.problems), "none")
    _title(to, "THEN")
    until = (
        f"until {common.moment_text(found.sleep_until)}" if found.sleep_until else "until something happens"
    )
    to.print(Text(f"  sleep {until}: {found.sleep_reason}"))


def _title(to: Console, words: str) -> None:
    from rich.text import Text

    to.print(Text(words, style="bold"))


def _list(to: Console, title: str, lines: tuple[str, ...], otherwise: str) -> None:
    from rich.padding import Padding
    from rich.text import Text

    _title(to, title)
    for line in lines or (otherwise,):
        to.print(Padding(Text(line, style="" if lines else "dim"), (0, 0, 0, 2), expand=False))


def _decisions(to: Console, found: Rehearsal) -> None:
    from rich.padding import Padding
    from rich.text import Text

    _title(to, "DECISIONS")
    for one in found.decisions:
        mark, style = ("✗", "red") if one.refused else ("✓", "green")
        line = Text.assemble((f"{mark} ", style), (f"{one.by}: ", "cyan"), one.decision)
        to.print(Padding(line, (0, 0, 0, 2), expand=False))
        why = f"refused: {one.refused}" if one.refused else one.why
        if why:
            to.print(Padding(Text(why, style=style if one.refused else "dim"), (0, 0, 0, 6), expand=False))
    if not found.decisions:
        to.print(Text("  none", style="dim"))
