"""`agentloop sim`: an ordinary week with this home's settings, played in the simulator."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from agentloop.cli import common
from agentloop.cli.common import HomeOption, JsonOption
from agentloop.cli.folding import print_folded

if TYPE_CHECKING:
    from rich.console import Console

    from agentloop.testing.sim.forecast import Forecast, HoldRange, Range


def sim(
    *,
    weeks: Annotated[float, typer.Option(min=0.1, max=52, help="Weeks to play.")] = 1.0,
    seed: Annotated[
        int, typer.Option(min=0, help="The first play's seed: the same seed, the same week.")
    ] = 1,
    plays: Annotated[int, typer.Option(min=1, max=1000, help="How often to play it.")] = 9,
    issues_per_day: Annotated[
        float, typer.Option(min=0, max=1000, help="Issues you file a working day.")
    ] = 3.0,
    failure_rate: Annotated[
        float, typer.Option(min=0, max=1, help="Attempts that pass no gate, of 1.")
    ] = 0.25,
    review_hours: Annotated[
        float, typer.Option(min=0.01, max=1000, help="Working hours to your review.")
    ] = 2.5,
    as_json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """Play an ordinary week with your settings: what it would do, and cost; no key."""
    from agentloop import looking
    from agentloop.testing.sim.forecast import forecast
    from agentloop.testing.sim.workload import Workload

    seen = looking.sight(str(common.find_home(home)))
    workload = Workload(
        issues_per_day=issues_per_day, failure_rate=failure_rate, review_hours=(review_hours, 1.0)
    )
    with common.working(f"playing {weeks:g} week{'s' * (weeks != 1)}, {plays} times"):
        found = forecast(seen.settings, workload, seed=seed, plays=plays, weeks=weeks)
    if as_json:
        from agentloop.domain.report import plain

        common.print_json({**plain(found), "seed": seed})
    else:
        _print(common.console(), found, seed)


def _print(to: Console, found: Forecast, seed: int) -> None:
    from rich.text import Text

    span = "An ordinary week" if found.weeks == 1 else f"{found.weeks:g} ordinary weeks"
    words = f"{span} with the settings of this home, played {found.plays} times from seed {seed} on."
    print_folded(to, Text(words, style="bold"))
    to.print()
    table = common.table("", "median", "worst", shrinking=("",))
    for column in table.columns[1:]:
        column.justify = "right"
    for each in found.ranges:
        table.add_row(each.name, _said(each, each.median), _said(each, each.worst))
    to.print(table)
    to.print()
    for line in _held(found):
        print_folded(to, Text(line), hang=2)
    to.print()
    print_folded(to, Text("Assumed, and not known of your work:", style="dim"))
    for line in found.assumed:
        print_folded(to, Text(f"- {line}", style="dim"), hang=2)


def _said(of: Range, amount: float) -> str:
    from agentloop.domain.wording import dollars

    match of.unit:
        case "micros":
            return dollars(round(amount))
        case "hours":
            return f"{amount:.1f} h"
        case _:
            return f"{amount:g}"


def _held(found: Forecast) -> list[str]:
    lines = [_of_limit(each, found.plays) for each in found.holds]
    if not lines:
        lines = ["No limit held any work back."]
    if found.longest_wait_for:
        lines.append(f"The longest wait was for: {found.longest_wait_for}")
    return lines


def _of_limit(hold: HoldRange, plays: int) -> str:
    often = f"in {hold.plays} of {plays}" if plays > 1 else "here"
    return f"{hold.name} held work back {often}: first on {hold.first} UTC, {hold.median_hours:.1f} h in all"
