"""`agentloop replay N`: a cycle again, offline, from its record."""

from __future__ import annotations

import difflib
import json
import re
from typing import TYPE_CHECKING, Annotated

import typer

from agentloop import exits
from agentloop.cli import common
from agentloop.cli.common import CompactOption, HomeOption, JsonOption
from agentloop.cli.folding import print_folded, printable

if TYPE_CHECKING:
    from rich.console import Console

    from agentloop.domain.taping import Difference
    from agentloop.replaying import Replayed

LINES = 40
"""Lines of one difference that are shown; --json has all of them."""

NameArgument = Annotated[
    str, typer.Argument(metavar="N[+K]", help="A cycle, as 12; the third idle look after it: 12+3.")
]


def replay(
    name: NameArgument,
    *,
    as_json: JsonOption = False,
    compact: CompactOption = False,
    home: HomeOption = None,
) -> None:
    """Run a cycle again, without model, network or effect, and say whether it decides the same."""
    root = common.find_home(home)
    if not re.fullmatch(r"\d{1,9}(\+[1-9]\d{0,8})?", name):
        msg = f"{name!r} names no cycle: write 12, or 12+3 for the third idle look after it"
        raise typer.BadParameter(msg)
    from agentloop.home import Home
    from agentloop.replaying import replay as run_again

    with common.working("running it again"):
        found = run_again(Home(root), name)
    if as_json or compact:
        from agentloop.domain.report import plain

        common.print_json(plain(found), compact=compact)
    else:
        _print(common.console(), found)
    if not found.same:
        raise typer.Exit(exits.DIFFERS)


def _print(to: Console, found: Replayed) -> None:
    from rich.text import Text

    verdict, style = ("same", "bold green") if found.same else ("differs", "bold red")
    head = Text.assemble((f"cycle {found.name}", "bold"), "  ", (verdict, style))
    print_folded(to, head, hang=2)
    print_folded(to, Text(_counted(found), style="dim"), indent=2)
    if found.cut_off:
        words = "its record ends in the middle (the cycle was killed): it was held against it up to there"
        print_folded(to, Text(words, style="yellow"), indent=2)
    for note in found.notes:
        print_folded(to, Text(note, style="yellow"), indent=2, hang=4)
    for one in found.differences:
        _print_difference(to, one)


def _counted(found: Replayed) -> str:
    from agentloop.domain.wording import count

    acts = sum(times for port, times in found.counts.items() if port.endswith(".act"))
    parts = [
        found.outcome,
        count(found.calls, "call"),
        count(found.counts.get("model", 0), "model answer"),
        count(found.counts.get("journal.append", 0), "line") + " for the journal",
        count(acts, "effect"),
    ]
    return " · ".join(part for part in parts if part)


def _print_difference(to: Console, one: Difference) -> None:
    from rich.text import Text

    print_folded(to, Text(f"call {one.number}: {one.what}", style="bold yellow"), hang=2)
    lines = _diff(one)
    for line in lines[:LINES]:
        style = {"-": "red", "+": "green"}.get(line[:1], "dim")
        print_folded(to, Text(printable(line), style=style), indent=2, hang=4)
    if len(lines) > LINES:
        words = f"{len(lines) - LINES} more lines: agentloop replay --json"
        print_folded(to, Text(words, style="dim"), indent=2)


def _diff(one: Difference) -> list[str]:
    was, now = _lines(one.recorded), _lines(one.now)
    found = difflib.unified_diff(was, now, "recorded", "now", n=2, lineterm="")
    return [line for line in found if not line.startswith("@@")]


def _lines(text: str) -> list[str]:
    """Return JSON as lines; a text in it (a briefing, a prompt) as its own lines."""
    if not text:
        return []
    value = json.loads(text)
    return value.splitlines() if isinstance(value, str) else text.splitlines()
