"""Markdown that somebody else wrote, shown on a terminal: all of its words, and nothing that acts."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, ClassVar, Final

from rich.markdown import Markdown, MarkdownElement, TableDataElement
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from markdown_it.token import Token
    from rich.console import Console, JustifyMethod

_DIRECTIONS: Final = re.compile("[\u200e\u200f\u202a-\u202e\u2066-\u2069]")
"""Marks of writing direction: with them a line reads otherwise than it runs."""


class _Cell(TableDataElement):
    """A cell that folds what is too long for it, so that no words are lost."""

    def __init__(self, justify: JustifyMethod) -> None:
        super().__init__(justify)
        self.content = Text("", justify=justify, overflow="fold")


class _Markdown(Markdown):
    elements: ClassVar[dict[str, type[MarkdownElement]]] = {
        **Markdown.elements,
        "td_open": _Cell,
        "th_open": _Cell,
    }


def print_markdown(to: Console, text: str, *, raw: bool, breaks: bool = True) -> None:
    """Print `text` as it is (`raw`, and wherever no terminal reads), else rendered.

    Rendered, links show their address and HTML shows as text; `breaks` keeps the ends of lines.
    """
    from agentloop.edges.records import clean

    if raw or not to.is_terminal:
        to.print(Text(text), soft_wrap=True)
        return
    shown = _Markdown(_DIRECTIONS.sub("\ufffd", clean(text)), hyperlinks=False)
    _as_words(shown.parsed, breaks=breaks)
    to.print(shown)


def _as_words(tokens: Sequence[Token], *, breaks: bool) -> None:
    for token in tokens:
        if token.type == "html_block":
            token.type = "code_block"
        elif token.type == "html_inline":
            token.type = "text"
        elif token.type == "softbreak" and breaks:
            token.type = "hardbreak"
        elif token.type == "image":
            alt, source = token.content, token.attrs.get("src", "")
            token.type, token.tag, token.content = "text", "", f"![{alt}]({source})"
            token.children = None
        if token.children:
            # An address that stands for itself would be shown twice.
            token.children = [each for each in token.children if each.info != "auto"]
            _as_words(token.children, breaks=breaks)
