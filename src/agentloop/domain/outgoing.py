"""What leaves for a public place is made harmless first: one function, applied to the final text.

Words of a model may call people, close issues, fetch pictures, lead elsewhere or hold a secret, without
anybody having meant it. What is taken for code and left alone is code for GitHub too (CommonMark 0.31,
sections 4.5, 4.6, 6.1; GFM 4.10): where that is in doubt, it is text. Mentions and references are looked
for in what Markdown made of a text, so that `&#64;` and a backslash hide nothing.
"""

from __future__ import annotations

import base64
import binascii
import re
import unicodedata
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

from agentloop.domain.secrets import find_secrets, redact

if TYPE_CHECKING:
    from collections.abc import Iterator

LIMIT: Final = 60_000
"""Characters of one body; GitHub takes 65,536, and a mark comes behind."""

_JOINER: Final = "\u2060"
_MENTION: Final = re.compile(r"(?<![A-Za-z0-9])@(?=[A-Za-z0-9])")
_CLOSING: Final = re.compile(
    r"\b(close[sd]?|fix(?:e[sd])?|resolve[sd]?)([\s:*_~(\[\\]{1,12})"
    r"(?=(?:[\w.-]+/[\w.-]+)?\\?#\d|GH-\d|https?:)",
    re.IGNORECASE,
)
_HTML_IMAGE: Final = re.compile(r"<\s*(?:img|picture|source|video|audio|iframe)\b[^<>]*>", re.IGNORECASE)
_HTML_COMMENT: Final = re.compile(r"<!--|-->")
_TAG: Final = re.compile(r"<(?!/?(?:details|summary)>)(?=[A-Za-z/!?])")
"""Any but those that fold a part away."""
_REFERENCE: Final = re.compile(r"&(?!(?:amp|lt|gt|quot|nbsp);)(?=#?\w{1,40};)")
_LINK: Final = re.compile(r"\]\((?P<to>[^)\s]*)")
_ADDRESS: Final = re.compile(
    r"\b(?P<scheme>https?|ftp):(?=//)(?P<rest>//[^\s<>()\[\]]*)|\bwww(?=\.)", re.IGNORECASE
)
_SAFE_PATH: Final = re.compile(r"(?:#|/(?![/\\])|[\w.-]+(?:[/#?]|\Z))[^:\\]*")
_FENCE: Final = re.compile(r"(?P<fence>`{3,}(?=[^`]*\Z)|~{3,})")
_FOLD: Final = re.compile(r" {0,3}</?(?:details|summary)>")
_TICKS: Final = re.compile(r"`+")
_NEXT: Final = re.compile(r"\\.|`+")
_PARTING: Final = re.compile(r"\]\((?![^\s`()<>]*\))|\]\[(?![^`\[\]]*\])")
"""Where the rest of a paragraph may be a link's address or title, in which backticks are no code."""
_ENCODED: Final = re.compile(
    r"(?<![\w.%-])[\w.-]{0,200}(?:%[0-9A-Fa-f]{2}[\w.-]{0,200})+|[A-Za-z0-9+/_-]{24,4096}={0,2}"
)
_ENDS: Final = 500
_FOLDS: Final = 20
"""Folds that are closed behind a text that left them open."""


def fit_to_post(text: str, *, host: str = "", hide: tuple[str, ...] = (), limit: int = LIMIT) -> str:
    """Return `text` with nobody called, nothing closed and nothing fetched by it, and not too long.

    Links lead nowhere but to `host` ("" = nowhere). Secrets go, those in `hide` whatever their shape. Code is
    left as it is but for the marks of HTML comments: what stands in it calls and closes nothing.
    """
    plain = _HTML_COMMENT.sub(
        lambda found: found[0].replace("--", f"-{_JOINER}-"), _kept(text[: 3 * limit], hide)
    )
    harmless = _whole("".join(part if code else _harmless(part, host) for part, code in _parts(plain)))
    if len(harmless) <= limit and len(text) <= 3 * limit:
        return harmless
    return f"{_whole(harmless[: limit - _ENDS])}\n\n[cut here: {len(text):,} characters in all]"


def fit_for_a_line(text: str, *, hide: tuple[str, ...] = ()) -> str:
    """Return words for a title or a commit's message, where nothing is Markdown: none calls or closes."""
    return _HTML_COMMENT.sub(lambda found: found[0].replace("--", f"-{_JOINER}-"), _calm(_kept(text, hide)))


def without_secrets(text: str, hide: tuple[str, ...] = ()) -> str:
    """Return `text` without secrets, also those in base64, hexadecimal or percent signs."""

    def judged(found: re.Match[str]) -> str:
        said = _decoded(found[0])
        bad = any(find_secrets(one) or any(known in one for known in hide if known) for one in said)
        return "[secret removed: encoded]" if bad else found[0]

    return _ENCODED.sub(judged, redact(text, hide))


def _decoded(word: str) -> Iterator[str]:
    if "%" in word:
        yield unquote(word)
    yield from _of_bytes(word)


def _of_bytes(word: str) -> Iterator[str]:
    bare = word.rstrip("=").replace("-", "+").replace("_", "/")
    for start in range(4):  # it may stand behind other letters
        part = bare[start:]
        try:
            whole = part[: len(part) - (len(part) % 4 == 1)]
            yield base64.b64decode(whole + "=" * (-len(whole) % 4)).decode("latin-1")
        except binascii.Error:
            continue
    if not len(word) % 2:
        try:
            yield bytes.fromhex(word).decode("latin-1")
        except ValueError:
            return


def _kept(text: str, hide: tuple[str, ...]) -> str:
    """What has a shape, without secrets; the joiner stays where it keeps a tag from being one."""
    plain = text.replace("\r\n", "\n").replace("\r", "\n")
    if not plain.isascii() or not plain.replace("\n", "").replace("\t", "").isprintable():
        shaped = (char for char in plain if char in "\n\t\u200d\u2060" or not _is_shapeless(char))
        plain = re.sub(r"(?<!<)\u2060|(?<=[\x00-\x7f])\u200d", "", "".join(shaped))
    return without_secrets(plain, hide)


def _is_shapeless(char: str) -> bool:
    return unicodedata.category(char) in ("Cc", "Cf", "Cs")


def _calm(text: str) -> str:
    called = _CLOSING.sub(lambda found: f"{found[1]}{_JOINER}{found[2]}", text)
    return _MENTION.sub(f"@{_JOINER}", called)


def _harmless(text: str, host: str) -> str:
    calm = _HTML_IMAGE.sub("[image left out]", _calm(_REFERENCE.sub("&amp;", text)))
    calm = re.sub(r"!+(?=\[)", "", _TAG.sub("&lt;", calm)).replace("]:", f"]{_JOINER}:")
    calm = _LINK.sub(lambda found: found[0] if _leads_home(found["to"], host) else rf"]\({found['to']}", calm)
    return _ADDRESS.sub(lambda found: _address(found, host), calm)


def _leads_home(to: str, host: str) -> bool:
    return bool(_SAFE_PATH.fullmatch(to)) or _is_at(to, host)


def _is_at(address: str, host: str) -> bool:
    found = re.match(r"https?://(?P<host>[^/?#\\]*)(?:[/?#]|\Z)", address, re.IGNORECASE)
    return bool(host and found) and found["host"].lower() == host.lower()  # type: ignore[index]


def _address(found: re.Match[str], host: str) -> str:
    if found["scheme"] is None:
        return f"{found[0]}{_JOINER}"
    return found[0] if _is_at(found[0], host) else f"{found['scheme']}:{_JOINER}{found['rest']}"


def _whole(text: str) -> str:
    """With what was opened and not ended closed, so that nothing behind it is swallowed."""
    fence, folds = "", 0
    for line, opened in _lines(text):
        fence = opened
        folds += 0 if opened else line.count("<details>") - line.count("</details>")
    ends = [fence] if 0 < len(fence) <= _ENDS // 5 else []
    return "\n".join([text, *ends, *(["", *["</details>"] * min(folds, _FOLDS)] if folds > 0 else [])])


def _lines(text: str) -> Iterator[tuple[str, str]]:
    """Yield each line with the fence that it stands in; "" = none, and for the line that ends one.

    Only a fence at the beginning of its line is sure to be one, and none is one in a block of HTML, which
    ends at an empty line.
    """
    fence, folded = "", False
    for line in text.split("\n"):
        if fence:
            ends = re.fullmatch(rf" {{0,3}}{fence[0]}{{{len(fence)},}}[ \t]*", line)
            fence = "" if ends else fence
        else:
            folded = bool(_FOLD.match(line) or folded) and bool(line.strip())
            opens = None if folded else _FENCE.match(line)
            fence = opens["fence"] if opens else ""
        yield line, fence


def _parts(text: str) -> list[tuple[str, bool]]:
    """Return the text in pieces, each with whether it is code for certain."""
    pieces: list[tuple[str, bool]] = []
    paragraph: list[str] = []
    before = ""
    for line, fence in _lines(text):
        if fence or before:
            pieces += [*_paragraph(paragraph), (f"{line}\n", True)]
            paragraph = []
        elif line.strip():
            paragraph.append(line)
        else:
            pieces += [*_paragraph(paragraph), (f"{line}\n", False)]
            paragraph = []
        before = fence
    pieces += _paragraph(paragraph)
    last, code = pieces[-1]
    return [*pieces[:-1], (last[:-1], code)]


def _paragraph(lines: list[str]) -> Iterator[tuple[str, bool]]:
    """Yield the pieces of lines that stand together; text that stands together is one piece."""
    if not lines:
        return
    sure = not any(map(_FOLD.match, lines))
    text = ""
    for line in lines:
        spans, sure = _spans(line) if sure else ([], False)
        at = 0
        for start, end in spans:
            if text + line[at:start]:
                yield text + line[at:start], False
            yield line[start:end], True
            text, at = "", end
        text += f"{line[at:]}\n"
    yield text, False


def _spans(line: str) -> tuple[list[tuple[int, int]], bool]:
    """Return where code stands between backticks on a line, and whether the next line begins outside."""
    spans: list[tuple[int, int]] = []
    parting = _PARTING.search(line)
    upto = parting.start() if parting else len(line)
    at = 0
    while (found := _NEXT.search(line, at)) and found.start() < upto:
        at = found.end()
        if found[0][0] == "\\":
            continue
        ends = (one for one in _TICKS.finditer(line, at) if one[0] == found[0])
        end = next(ends, None)
        if end is None:
            return spans, False
        spans.append((found.start(), end.end()))
        at = end.end()
    # A table's cells are told apart before anything else is looked at.
    tabular = any("|" in line[start:end] for start, end in spans)
    # What opens behind a link may be a part of it.
    return [] if tabular else spans, parting is None or parting.start() < at
