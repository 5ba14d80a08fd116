"""`agentloop status`: what the loop does, and what it wants of you, on one screen."""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agentloop import lightstatus
from agentloop.cli import common
from agentloop.cli.common import CompactOption, HomeOption, JsonOption

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.text import Text

    from agentloop.domain.report import Live, Standing

LOOK_SECONDS = 0.5
"""How often `--watch` looks; it paints only what has changed."""


def status(
    *,
    watch: Annotated[
        bool, typer.Option("--watch", "-w", help="Stay, and repaint on change; q ends.")
    ] = False,
    as_json: JsonOption = False,
    compact: CompactOption = False,
    home: HomeOption = None,
) -> None:
    """Show what the loop does, what it wants of you, and what it costs."""
    root = str(common.find_home(home))
    if watch:
        _watch(root, as_json=as_json)
    elif as_json or compact:
        lightstatus.print_status(root, compact=compact)
    else:
        to = common.console()
        with common.working("reading the journal"):
            standing, live = look(root)
        for line in _lines(standing, live, to.width, to.height if to.is_terminal else None):
            to.print(line)


def look(root: str) -> tuple[Standing, Live]:
    """Return what there is to show of the home at `root`. Raises AgentloopError."""
    from agentloop.domain.codec import decode
    from agentloop.domain.report import Live, Standing

    standing = lightstatus.standing_of(root)
    return decode(Standing, standing), decode(Live, lightstatus.live(root, standing["running"]))


def _lines(standing: Standing, live: Live, width: int, height: int | None) -> list[Text]:
    from agentloop.cli.statusscreen import screen

    return screen(standing, live, width=width, height=height)


# --- watching -----------------------------------------------------------------------------------------------


def _watch(root: str, *, as_json: bool) -> None:
    if as_json:
        for said in _changes(root):
            sys.stdout.write(json.dumps({"schema": lightstatus.SCHEMA, **said}, ensure_ascii=False) + "\n")
            sys.stdout.flush()
    elif sys.stdout.isatty() and sys.stdin.isatty():
        _paint(root)
    else:
        _print_changes(root)


def _changes(root: str) -> Iterator[dict[str, Any]]:
    """Yield the status whenever it differs in more than the time."""
    last: dict[str, Any] = {}
    while True:
        said = lightstatus.status(root)
        if {**said, "at": ""} != last:
            last = {**said, "at": ""}
            yield said
        time.sleep(LOOK_SECONDS)


def _print_changes(root: str) -> None:
    to = common.console()
    for _ in _changes(root):
        for line in _lines(*look(root), to.width, None):
            to.print(line)
        to.print("─" * min(to.width, 40))
        sys.stdout.flush()


def _paint(root: str) -> None:
    from rich.live import Live as Screen
    from rich.text import Text

    from agentloop.cli.keys import keys

    to = common.console()
    shown: tuple[object, ...] = ()
    with keys() as pressed, Screen(console=to, screen=True, auto_refresh=False, transient=True) as painted:
        while True:
            size = to.size
            lines = _lines(*look(root), size.width, size.height - 1)[: size.height - 1]
            foot = Text("q ends · repainted on change", style="dim", no_wrap=True, overflow="ellipsis")
            fill = [Text("")] * (size.height - 1 - len(lines))
            page = Text("\n").join([*lines, *fill, foot])
            if (page.markup, size) != shown:
                painted.update(page, refresh=True)
                shown = (page.markup, size)
            if pressed(LOOK_SECONDS) in {"q", "Q", "\x1b"}:
                return
