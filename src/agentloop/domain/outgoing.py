"""What leaves for a public place is made harmless first: one function, applied to the final text.

Words of a model may call people, close issues or fetch pictures without anybody having meant it.
"""

from __future__ import annotations

import re
from typing import Final

LIMIT: Final = 60_000
"""Characters of one body; GitHub takes 65,536, and a mark comes behind."""

_MENTION: Final = re.compile(r"(?<![\w`/@])@(?=[A-Za-z0-9])")
_CLOSING: Final = re.compile(
    r"\b(close[sd]?|fix(?:e[sd])?|resolve[sd]?)(:?\s+)(?=(?:[\w.-]+/[\w.-]+)?#\d|https?://)", re.IGNORECASE
)
_IMAGE: Final = re.compile(r"!\[([^\]]*)\]\(([^)]*)\)")
_HTML_IMAGE: Final = re.compile(r"<\s*(?:img|picture|source|video|audio|iframe)\b[^>]*>", re.IGNORECASE)
_HTML_COMMENT: Final = re.compile(r"<!--|-->")
_WORD_JOINER: Final = "\u2060"


def fit_to_post(text: str) -> str:
    """Return `text` with nobody called, nothing closed and no picture fetched by it, and not too long.

    Code is left as it is but for the marks of HTML comments: what stands in it calls and closes nothing.
    """
    harmless = "".join(part if code else _harmless(part) for part, code in _parts(text))
    harmless = _HTML_COMMENT.sub(lambda found: found[0].replace("--", f"-{_WORD_JOINER}-"), harmless)
    if len(harmless) <= LIMIT:
        return harmless
    return f"{harmless[:LIMIT]}\n\n[cut here: {len(harmless):,} characters in all]"


def _harmless(text: str) -> str:
    calm = _MENTION.sub(f"@{_WORD_JOINER}", text)
    calm = _CLOSING.sub(lambda found: f"{found[1]}{_WORD_JOINER}{found[2]}", calm)
    calm = _IMAGE.sub(r"[\1](\2)", calm)
    return _HTML_IMAGE.sub("[image left out]", calm)


def _parts(text: str) -> list[tuple[str, bool]]:
    """Return the text in pieces, each with whether it is code (fenced, or between backticks)."""
    pieces = re.split(r"(^```.*?^```[^\n]*$|`[^`\n]+`)", text, flags=re.DOTALL | re.MULTILINE)
    return [(piece, index % 2 == 1) for index, piece in enumerate(pieces)]
