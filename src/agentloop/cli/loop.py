"""The commands of the loop itself.

`agentloop.__main__` runs them before typer is there; this is what `--help` tells.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from agentloop import light
from agentloop.cli import common
from agentloop.cli.common import CompactOption, HomeOption, JsonOption

if TYPE_CHECKING:
    from collections.abc import Callable


def run(
    *,
    once: Annotated[bool, typer.Option("--once", help="One cycle, then end.")] = False,
    max_cycles: Annotated[
        int | None, typer.Option("--max-cycles", min=1, help="End after so many cycles.")
    ] = None,
    home: HomeOption = None,
) -> None:
    """Work until told to stop: cycle, sleep, wake early. This is what runs day and night."""
    root = str(common.find_home(home))
    _end(lambda: light.supervise(root, once=once, max_cycles=max_cycles))


def wake(
    *,
    reason: Annotated[str, typer.Option("--reason", help="Shown in the log.")] = "",
    as_json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """Have the loop look around now instead of sleeping on."""
    root = str(common.find_home(home))
    _end(lambda: light.wake(root, reason, as_json=as_json))


def pause(
    *,
    length: Annotated[
        str, typer.Option("--for", metavar="TIME", help="90s, 15m, 2h or 3d: a pause has an end.")
    ],
    reason: Annotated[str, typer.Option("--reason", help="Why; shown to everybody who looks.")],
    as_json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """Let no cycle start for a while; what runs goes on."""
    root = str(common.find_home(home))
    _end(lambda: light.pause(root, length, reason, as_json=as_json))


def resume(*, as_json: JsonOption = False, home: HomeOption = None) -> None:
    """End the pause."""
    root = str(common.find_home(home))
    _end(lambda: light.resume(root, as_json=as_json))


def stop(
    *,
    now: Annotated[bool, typer.Option("--now", help="Do not wait for the cycle in hand.")] = False,
    as_json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """Stop the supervisor; it finishes the cycle in hand first."""
    root = str(common.find_home(home))
    _end(lambda: light.stop(root, now=now, as_json=as_json))


def cycle(
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="show N", help="Show cycle N instead of running one.", show_default=False),
    ] = None,
    *,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            help="Show briefing, decisions and effects; have no effect. Asks the model: that costs.",
        ),
    ] = False,
    no_model: Annotated[
        bool, typer.Option("--no-model", help="With --dry-run: do not ask the admin agent; costs nothing.")
    ] = False,
    as_json: JsonOption = False,
    compact: CompactOption = False,
    home: HomeOption = None,
) -> None:
    """Run one cycle by hand, as the supervisor would; or show what one did."""
    root = common.find_home(home)
    if words:
        from agentloop.cli.cycles import show

        show(root, words, as_json=as_json or compact, compact=compact)
        return
    if not dry_run:
        _end(lambda: light.cycle(str(root), as_json=as_json or compact))
        return
    from agentloop.cli.rehearsing import rehearse

    rehearse(root, ask=not no_model, as_json=as_json or compact, compact=compact)


def webhook(*, home: HomeOption = None) -> None:
    """Take GitHub's deliveries, so that news wakes the loop within seconds.

    Listens on [webhook] listen, path /webhook. Optional: without it news is seen within a minute.
    """
    root = str(common.find_home(home))
    _end(lambda: light.listen(root))


def _end(act: Callable[[], int]) -> None:
    code = act()
    if code:
        raise typer.Exit(code)
