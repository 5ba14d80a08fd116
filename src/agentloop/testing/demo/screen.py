"""How the demo looks: headings, what is typed, what comes back; for a terminal of 80 columns."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from rich.box import ROUNDED, SIMPLE_HEAD
from rich.console import Console
from rich.markdown import Markdown
from rich.padding import Padding
from rich.panel import Panel
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import RenderableType

WIDTH: Final = 80
_DIFF: Final = {"+": "green", "-": "red", "@": "cyan"}


class Screen:
    """What a person watches. `pause_seconds` is the time between two things to read."""

    def __init__(self, *, pause_seconds: float) -> None:
        self._console = Console(highlight=False, emoji=False, soft_wrap=False)
        self._console.width = min(WIDTH, self._console.width) if self._console.is_terminal else WIDTH
        self._pause_seconds = pause_seconds
        self._chapter = 0

    def pause(self, shares: float = 1.0) -> None:
        """Leave time to read."""
        time.sleep(self._pause_seconds * shares)

    def blank(self) -> None:
        """Leave a line free."""
        self._console.print()

    def heading(self, words: str) -> None:
        """Begin the next chapter."""
        self._chapter += 1
        self._console.print()
        title = Text.assemble((f" {self._chapter} ", "bold reverse cyan"), (f"  {words}", "bold cyan"))
        self._console.print(title)
        self._console.print()

    def say(self, words: str, style: str = "") -> None:
        """Say something, folded at the width."""
        self._console.print(Padding(Text(words, style=style), (0, 0, 0, 2), expand=False))

    def step(self, sign: str, words: str, style: str = "") -> None:
        """Say one line with a sign in front; what is too long is folded behind the sign."""
        row = Table.grid(padding=(0, 1))
        row.add_column(width=2)
        row.add_column(overflow="fold")
        row.add_row(Text(sign, style=style or "dim"), Text(words, style=style))
        self._console.print(Padding(row, (0, 0, 0, 2), expand=False))

    def output(self, text: str, *, lines: int = 6) -> None:
        """Show the end of what a command printed, dimmed."""
        found = text.rstrip().splitlines()
        for line in found[-lines:]:
            shown = Text(f"     {line}", style="dim", no_wrap=True, overflow="ellipsis")
            self._console.print(shown)

    def typed(self, command: str) -> None:
        """Show a command as a person types it."""
        self._console.print(Text.assemble(("  $ ", "bold green"), (command, "bold")))

    def code(self, text: str, *, language: str = "python") -> None:
        """Show source."""
        theme = "ansi_dark" if self._console.is_terminal else "bw"
        self._box(Syntax(text.rstrip(), language, theme=theme, background_color="default", word_wrap=True))

    def markdown(self, text: str, *, title: str = "") -> None:
        """Show Markdown, as a tracker would."""
        self._box(Markdown(text, code_theme="ansi_dark"), title)

    def diff(self, text: str) -> None:
        """Show a diff in its colours."""
        shown = Text()
        for line in text.rstrip().splitlines():
            bold = line.startswith(("diff ", "+++", "---"))
            shown.append(f"{line}\n", "bold" if bold else _DIFF.get(line[:1], ""))
        shown.rstrip()
        self._box(shown)

    def table(self, *columns: str, rows: Iterable[tuple[str | Text, ...]]) -> None:
        """Show a table; its last column is of numbers."""
        made = Table(box=SIMPLE_HEAD, pad_edge=False, header_style="dim")
        for name in columns:
            made.add_column(name, justify="right" if name == columns[-1] else "left", overflow="fold")
        for row in rows:
            made.add_row(*row)
        self._console.print(Padding(made, (0, 0, 0, 2), expand=False))

    def trouble(self, what: str, fix: str, log: str) -> None:
        """Say what went wrong, and show the log's end."""
        self._console.print()
        self._console.print(Text(f"The demo went wrong: {what}", style="bold red"))
        if fix:
            self.say(f"fix: {fix}")
        if log:
            self.say("the log's last lines:", "dim")
            self.output(log, lines=20)

    def _box(self, inside: RenderableType, title: str = "") -> None:
        self._console.print(
            Padding(
                Panel(inside, box=ROUNDED, title=title or None, title_align="left", style=""),
                (0, 0, 0, 2),
                expand=False,
            )
        )
