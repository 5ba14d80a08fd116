"""Markdown that somebody else wrote, for a terminal: all of its words, and nothing that acts."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, ClassVar, Final

from rich.markdown import Markdown, MarkdownElement, TableDataElement
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import JustifyMethod


_UNFOLDED: Final = re.compile(r"^<details><summary>(.*?)</summary>$", re.MULTILINE)
_FOLDS_END: Final = re.compile(r"^</details>$", re.MULTILINE)


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


def rendered(text: str, *, breaks: bool) -> Markdown:
    """Return what shows `text`: links with their address, HTML as text; `breaks` keeps the ends of lines.

    What is folded on a page is shown under its title.
    """
    shown = _Markdown(_UNFOLDED.sub(r"**\1**", _FOLDS_END.sub("", text)), hyperlinks=False)
    _as_words(shown.parsed, breaks=breaks)
    return shown


def _as_words(tokens: Sequence[Any], *, breaks: bool) -> None:
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
