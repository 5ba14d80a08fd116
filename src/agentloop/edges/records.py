"""The text format of the built-in tracker and forge: front matter, a body, and blocks appended one by one.

    ---
    title: Crash on empty input
    state: open
    labels: ["bug", "critical"]
    ---

    The body, Markdown.

    ## comment c1 · alice · 2026-11-20T10:00:00Z

    What she says.

    <!-- end of c1 -->

A block of the loop's own carries the operation it was written for and a keyed mark in its last line; nobody
without the key can make one. A line of somebody's words that looks like a block's first or last line gets a
backslash in front when it is written, and loses it when it is read (Markdown shows neither), so words never
become a block. Files are edited by people too: a line that makes no sense is a problem to be shown, and stays
where it is; words between two blocks are strays, which the folder turns into comments of their own.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, TypeAlias
from urllib.parse import quote, unquote

from agentloop.domain.valueclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping

Value: TypeAlias = str | tuple[str, ...]

_KINDS: Final = "comment|review|check"
_FIRST_LINE: Final = re.compile(
    rf"^## (?P<kind>{_KINDS}) (?P<id>[a-z][0-9]{{1,9}}) · (?P<author>[^·\n]+?) ·"
    r" (?P<at>[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z)(?: · (?P<details>[^\n]*?))?[ \t]*$",
    re.MULTILINE,
)
_LAST_LINE: Final = re.compile(
    r"^<!-- end of (?P<id>[a-z][0-9]{1,9})(?: op=(?P<op>\S+) mark=(?P<mark>[0-9a-f]+)"
    r"(?: carries=(?P<carries>[A-Za-z0-9_-]+))?)? -->[ \t]*$",
    re.MULTILINE,
)
_LOOKALIKE: Final = re.compile(rf"^(?=\\*(?:## (?:{_KINDS}) |<!-- end of ))", re.MULTILINE)
_GUARDED: Final = re.compile(rf"^\\(?=\\*(?:## (?:{_KINDS}) |<!-- end of ))", re.MULTILINE)
_UNPRINTABLE: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]+")
_PLAIN: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_./@+-]*(?: [A-Za-z0-9_./@+-]+)*|[0-9TZ:-]+")
_YAML_WORDS: Final = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n"})
_KEY_LINE: Final = re.compile(r"(?P<key>[A-Za-z_][A-Za-z0-9_-]*)[ \t]*:(?:[ \t]+(?P<value>.*))?")
_ITEM_LINE: Final = re.compile(r"[ \t]*-[ \t]+(?P<value>.*)")
_FENCE: Final = "---"


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One comment, review or check. `details` follow its time; `op` and `mark` are the loop's."""

    kind: str
    id: str
    author: str
    at: datetime
    text: str
    details: tuple[str, ...] = ()
    op: str = ""
    mark: str = ""
    carries: str = ""
    """What the mark says the journal knew, packed (see `domain.marks`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stray:
    """Words somebody wrote between or behind blocks: where they are in the text, and what they say."""

    start: int
    end: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A file's text, read. `problems` say in plain words which lines make no sense."""

    fields: Mapping[str, Value]
    body: str
    blocks: tuple[Block, ...] = ()
    strays: tuple[Stray, ...] = ()
    problems: tuple[str, ...] = ()

    def word(self, key: str) -> str:
        """Return the field `key` as one text; "" when it is missing."""
        value = self.fields.get(key, "")
        return value if isinstance(value, str) else ", ".join(value)

    def words(self, key: str) -> tuple[str, ...]:
        """Return the field `key` as a list: one text counts as a list of its comma-separated parts."""
        value = self.fields.get(key, ())
        return value if isinstance(value, tuple) else tuple(filter(None, map(str.strip, value.split(","))))

    def moment(self, key: str) -> datetime | None:
        """Return the field `key` as a time in UTC, or None when it is missing or no time."""
        return parse_moment(self.word(key))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    """One field, or one line that is none (key ""), with the lines it was read from."""

    key: str
    value: Value
    lines: tuple[str, ...]
    problem: str = ""


def clean(text: str) -> str:
    """Return `text` as it is stored: only line feeds end lines; what cannot be printed shows as U+FFFD."""
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    return _UNPRINTABLE.sub(_replaced, text)


def _replaced(run: re.Match[str]) -> str:
    # A run at a time: a file may hold megabytes of NULs, and is looked at in every cycle.
    return "\ufffd" * len(run[0])


def words_of(text: str) -> str:
    """Return what a body or a comment says once it was stored and read again."""
    return clean(text).strip("\n")


def one_line(text: str, limit: int) -> str:
    """Return `text` on one line, at most `limit` characters long, cut with an ellipsis."""
    line = " ".join(clean(text).split())
    return line if len(line) <= limit else f"{line[: limit - 1].rstrip()}…"


def author_name(name: str) -> str:
    """Return a name that fits into a block's first line: one line, no middle dot, never empty."""
    return one_line(name.replace("·", " "), 60) or "somebody"


def new_text(fields: Mapping[str, Value], body: str) -> str:
    """Return the text of a new record."""
    return with_fields("", fields) + f"\n{_stored(body)}\n"


def with_fields(text: str, fields: Mapping[str, Value]) -> str:
    """Return `text` with `fields` set in its front matter; every other line stays as it is.

    A front matter is put in front where there is none.
    """
    entries, rest = _front_matter(text)
    if entries is None:
        entries, rest = (), text.removeprefix("\ufeff")
        rest = f"\n{rest}" if rest else ""
    lines: list[str] = []
    left = dict(fields)
    for entry in entries:
        if entry.key in left:
            lines.append(_field_line(entry.key, left.pop(entry.key)))
        elif entry.key not in fields:
            lines.extend(entry.lines)
    lines.extend(_field_line(key, value) for key, value in left.items())
    return "\n".join([_FENCE, *lines, _FENCE, ""]) + rest


def with_body(text: str, body: str) -> str:
    """Return `text` with another body."""
    entries, rest = _front_matter(text)
    head = text[: len(text) - len(rest)] if entries is not None else ""
    first = _FIRST_LINE.search(rest)
    blocks = f"\n{rest[first.start() :]}" if first else ""
    return f"{head}\n{_stored(body)}\n{blocks}"


def with_block(text: str, block: Block) -> str:
    """Return `text` with `block` behind all others."""
    return f"{text.rstrip(chr(10))}\n\n{_block_text(block)}"


def with_block_again(text: str, block: Block) -> str:
    """Return `text` with the block of that id in the place it has, as `block` says it now."""
    first = next((one for one in _FIRST_LINE.finditer(text) if one["id"] == block.id), None)
    lasts = _LAST_LINE.finditer(text, first.end()) if first else ()
    last = next((one for one in lasts if one["id"] == block.id), None)
    if first is None or last is None:
        return text
    return f"{text[: first.start()]}{_block_text(block).rstrip(chr(10))}{text[last.end() :]}"


def with_strays_owned(text: str, blocks: Mapping[Stray, Block]) -> str:
    """Return `text` with each stray in the place it has, but as a block of its own."""
    for stray, block in sorted(blocks.items(), key=lambda pair: -pair[0].start):
        behind = text[stray.end :].lstrip("\n")
        text = with_block(text[: stray.start], block) + (f"\n{behind}" if behind else "")
    return text


def parse(text: str) -> Record:
    """Return what is in `text`. It never fails: what cannot be read is text, or a problem."""
    text = text.replace("\r\n", "\n")
    entries, rest = _front_matter(text)
    problems: list[str] = []
    if entries is None:
        if text.removeprefix("\ufeff").startswith(f"{_FENCE}\n"):
            problems.append("the front matter has no closing '---' line, so all of it is read as text")
        entries = ()
    problems.extend(entry.problem for entry in entries if entry.problem)
    blocks, strays, body = _blocks(rest, len(text) - len(rest))
    return Record(
        fields={entry.key: _cleaned(entry.value) for entry in entries if entry.key},
        body=body,
        blocks=blocks,
        strays=strays,
        problems=tuple(problems),
    )


def parse_moment(text: str) -> datetime | None:
    """Return an ISO 8601 time in UTC (one without a zone is taken as UTC), or None when it is none."""
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        return None
    try:
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except OverflowError:
        return None


def moment_text(moment: datetime) -> str:
    """Return a time as it is written: ISO 8601 in UTC with a Z, whole seconds."""
    return f"{moment.astimezone(UTC).replace(tzinfo=None):%Y-%m-%dT%H:%M:%S}Z".rjust(20, "0")


def mark_for(key: bytes, *parts: str) -> str:
    """Return the mark that only a holder of `key` can make for `parts`: half of an HMAC-SHA-256, in hex."""
    said = json.dumps(parts).encode()
    return hmac.new(key, said, hashlib.sha256).hexdigest()[:32]


def _stored(text: str) -> str:
    return _LOOKALIKE.sub(r"\\", words_of(text))


def _shown(text: str) -> str:
    said = words_of(text)
    return _GUARDED.sub("", said) if "\\" in said else said


def _cleaned(value: Value) -> Value:
    return clean(value) if isinstance(value, str) else tuple(clean(item) for item in value)


def _block_text(block: Block) -> str:
    details = [one_line(detail.replace("·", " "), 200) for detail in block.details]
    words = [
        f"{block.kind} {block.id}",
        author_name(block.author),
        moment_text(block.at),
        *filter(None, details),
    ]
    op = f" op={quote(block.op, safe=':#./')} mark={block.mark}" if block.op else ""
    op += f" carries={block.carries}" if op and block.carries else ""
    said = _stored(block.text)
    return f"## {' · '.join(words)}\n\n{said}{chr(10) * 2 if said else ''}<!-- end of {block.id}{op} -->\n"


def _blocks(text: str, offset: int) -> tuple[tuple[Block, ...], tuple[Stray, ...], str]:
    """Return blocks, strays (places counted from `offset`) and body of what follows the front matter."""
    # Looked for first, as it is much cheaper: a pasted log has megabytes and no such line.
    firsts = list(_FIRST_LINE.finditer(text)) if " · " in text else []
    body = _shown(text[: firsts[0].start()] if firsts else text)
    blocks: list[Block] = []
    strays: list[Stray] = []
    for i, first in enumerate(firsts):
        until = firsts[i + 1].start() if i + 1 < len(firsts) else len(text)
        lasts = _LAST_LINE.finditer(text, first.end(), until)
        last = next((found for found in lasts if found["id"] == first["id"]), None)
        block = _block(first, last, text[first.end() : last.start() if last else until])
        if block is not None:
            blocks.append(block)
        if last is not None and text[last.end() : until].strip():
            said = text[last.end() : until]
            strays.append(Stray(start=offset + last.end(), end=offset + until, text=_shown(said)))
    return tuple(blocks), tuple(strays), body


def _block(first: re.Match[str], last: re.Match[str] | None, said: str) -> Block | None:
    at = parse_moment(first["at"])
    return Block(
        kind=first["kind"],
        id=first["id"],
        author=clean(first["author"].strip()),
        at=at or datetime(1970, 1, 1, tzinfo=UTC),  # a day that no calendar has
        text=_shown(said),
        details=tuple(clean(first["details"]).split(" · ")) if first["details"] else (),
        op=unquote(last["op"] or "") if last else "",
        mark=(last["mark"] or "") if last else "",
        carries=(last["carries"] or "") if last else "",
    )


def _front_matter(text: str) -> tuple[tuple[_Entry, ...] | None, str]:
    """Return the front matter's entries and the text behind it; None and all of it when there is none."""
    start = len(_FENCE) + 1 + text.startswith("\ufeff")
    if not text.removeprefix("\ufeff").startswith(f"{_FENCE}\n"):
        return None, text
    close = re.compile(rf"^{_FENCE}[ \t]*(?:\n|\Z)", re.MULTILINE).search(text, start)
    if close is None:
        return None, text
    lines = text[start : close.start()].split("\n")[:-1]
    return tuple(_entries(lines)), text[close.end() :]


def _entries(lines: list[str]) -> list[_Entry]:
    entries: list[_Entry] = []
    for number, line in enumerate(lines, start=2):
        item = _ITEM_LINE.fullmatch(line)
        if item and entries and _takes_items(entries[-1]):
            entries[-1] = _with_item(entries[-1], item["value"], line)
        else:
            entries.append(_entry(line, number))
    return entries


def _takes_items(entry: _Entry) -> bool:
    return bool(entry.key) and (entry.value == "" or len(entry.lines) > 1)


def _with_item(entry: _Entry, item: str, line: str) -> _Entry:
    before = entry.value if isinstance(entry.value, tuple) else ()
    value, _ = _scalar(item)
    return _Entry(key=entry.key, value=(*before, value), lines=(*entry.lines, line))


def _entry(line: str, number: int) -> _Entry:
    if not line.strip() or line.lstrip().startswith("#"):
        return _Entry(key="", value="", lines=(line,))
    found = _KEY_LINE.fullmatch(line)
    if found is None:
        said = one_line(line, 60)
        problem = f"line {number} of the front matter is no 'key: value': {said}"
        return _Entry(key="", value="", lines=(line,), problem=problem)
    raw = (found["value"] or "").strip()
    value, sound = _list(raw) if raw.startswith("[") else _scalar(raw)
    problem = "" if sound else f"line {number} of the front matter cannot be read: {one_line(line, 60)}"
    return _Entry(key=found["key"].lower(), value=value, lines=(line,), problem=problem)


def _scalar(raw: str) -> tuple[str, bool]:
    raw = raw.strip()
    if raw.startswith('"'):
        value = _json(raw)
        return (value, True) if isinstance(value, str) else (raw.strip('"'), False)
    if raw.startswith("'") and raw.endswith("'") and len(raw) > 1:
        return raw[1:-1].replace("''", "'"), True
    return raw, True


def _list(raw: str) -> tuple[Value, bool]:
    value = _json(raw)
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return tuple(value), True
    if not raw.endswith("]"):
        return (), False
    items = [_scalar(item)[0] for item in raw[1:-1].split(",")]
    return tuple(item for item in items if item), True


def _json(raw: str) -> object:
    try:
        value: object = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    return value


def _field_line(key: str, value: Value) -> str:
    if isinstance(value, tuple):
        return f"{key}: [{', '.join(_quoted(clean(item)) for item in value)}]"
    said = clean(value)
    plain = _PLAIN.fullmatch(said) and said.lower() not in _YAML_WORDS
    return f"{key}: {said if plain else _quoted(said)}"


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
