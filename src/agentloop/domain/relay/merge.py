"""Three versions of the relay made into one, so that no word of a human's is lost.

`base` is what the human's file started from, `theirs` what the human made of it, `ours` what the core wants
to write. What the core writes comes from `ours`, the human's section from `theirs`; words that the human
put anywhere else are moved to the end of the human's section, under a quoted line that says from where.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

from agentloop.domain.relay.text import (
    HEADINGS,
    Parts,
    Stamp,
    lines_of,
    render,
    section_of,
    split,
    stamp_in,
    stamp_of,
)
from agentloop.domain.relay.values import Relay
from agentloop.domain.valueclass import dataclass, replace

# Above this, comparing in order costs seconds; lines are compared as a bag, which keeps every new one.
_COMPARED_LINES: Final = 4_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Merged:
    """The relay to write, and the blocks that were moved into the human's section, as they stand there."""

    relay: Relay
    moved: tuple[str, ...]


def merge(base_text: str | None, ours: Relay, theirs_text: str | None, *, guessed: bool = False) -> Merged:
    """Return `ours` with everything in it that a human did to `base_text`; total, and idempotent in `ours`.

    - The human's section is that of `theirs_text`, to the byte; lines which `ours` has there, and neither
      base nor theirs, follow it. So the human wins, and both are kept.
    - A file without the line "## From you" (emptied, deleted, torn, turned into something else) says
      nothing about the section it has not got: the section stays as `ours` has it.
    - New lines in the core's part are moved. Items taken out of a list that still stands are noted as taken
      out.
    - Without a base, every line that `ours` would not have written is taken for the human's.
    - `guessed`: the human may have started from something other than `base_text`. Then what is not in their
      file was not taken out: they may never have seen it.
    """
    if theirs_text is None:
        return Merged(relay=ours, moved=())
    base = split(base_text if base_text is not None else render(replace(ours, human="")))
    theirs = split(theirs_text)
    stamp = stamp_in(theirs_text)
    edits = _edits(base, theirs, stamp, guessed=guessed)
    moved = tuple(block for block in edits if block not in (theirs.human or ""))
    rest = ours.human
    for block in reversed(
        moved
    ):  # the last one first: then what stands before each is as when it was put there
        rest = _without(rest, block)
    seen = "" if guessed or base.human is None else base.human
    human = rest if theirs.human is None else merge_human(seen, rest, theirs.human)
    for block in moved:
        human += _gap(human) + block
    return Merged(relay=replace(ours, human=human), moved=moved)


def merge_human(base: str, ours: str, theirs: str) -> str:
    """Return `theirs` to the byte, followed by the lines of `ours` that neither `base` nor `theirs` has."""
    if theirs == base and ours.startswith(theirs):
        return ours
    extra = _extra(lines_of(ours), {_key(line) for text in (base, theirs) for line in lines_of(text)})
    return theirs + _gap(theirs) + extra if extra else theirs


def _extra(ours: list[str], known: set[str]) -> str:
    kept: list[str] = []
    blanks: list[str] = []
    follows = False
    for line in ours:
        if not _key(line):
            blanks.append(line)
            continue
        new = _key(line) not in known
        if new:
            # Blank lines between two kept lines are part of what they say.
            kept += [*(blanks if follows else ()), line]
        follows, blanks = new, []
    return "".join(kept)


def _key(line: str) -> str:
    # Line ends and trailing blanks are an editor's doing, not an edit.
    return line.rstrip(" \t\r\n").removeprefix("\ufeff")


def _without(text: str, block: str) -> str:
    """`text` without `block` and the blank line `_gap` put before it: moving twice adds nothing."""
    at = text.find(block)
    if at < 0 or (at > 0 and text[at - 1] != "\n"):
        return text
    before = text[:at]
    shorter = before[:-1]
    put = before == "\n" or (before.endswith("\n\n") and shorter + _gap(shorter) == before)
    return (shorter if put else before) + text[at + len(block) :]


def _gap(text: str) -> str:
    if not text or text.endswith("\n\n"):
        return ""
    return "\n" if text.endswith("\n") else "\n\n"


# ---- what was done in the core's part


def _edits(base: Parts, theirs: Parts, stamp: Stamp | None, *, guessed: bool) -> Iterator[str]:
    # Without its heading the human's section cannot be told from the rest: its own lines are no edits.
    own = set() if theirs.human is not None else {_key(line) for line in lines_of(base.human or "")}
    old, new = _told(base.core), _told(theirs.core)
    compared = _compare([key for _, key in old], [key for _, key in new])
    added = {new[at][0] for at in compared.added if new[at][1] not in own}
    for block in _blocks(theirs.core, added):
        text = "".join(theirs.core[at] for at in block)
        yield (
            _marker("Moved here from", theirs.core, block[0], stamp)
            + text
            + ("" if text.endswith("\n") else "\n")
        )
    known = stamp is not None and not guessed
    if theirs.human is not None and known and 2 * len(compared.gone) <= len(old):
        gone = {old[at][0] for at in compared.gone if old[at][1].lstrip().startswith("- ")}
        yield from _taken_out(base.core, gone, stamp)


def _told(core: Sequence[str]) -> list[tuple[int, str]]:
    # A stamp is nobody's words, wherever it stands; blank lines say nothing.
    return [(at, _key(line)) for at, line in enumerate(core) if _key(line) and stamp_of(line) is None]


@dataclass(frozen=True, slots=True)
class _Compared:
    """Positions: of lines new in the new text, and of lines of the old with nothing in their place."""

    added: tuple[int, ...]
    gone: tuple[int, ...]


def _compare(old: list[str], new: list[str]) -> _Compared:
    if old == new:
        return _Compared((), ())
    from difflib import SequenceMatcher  # an idle cycle has no use for it

    if len(new) > _COMPARED_LINES:
        return _Compared(tuple(_not_in_bag(old, new)), ())
    steps = SequenceMatcher(None, old, new, autojunk=False).get_opcodes()
    added = (at for tag, _, _, low, high in steps if tag in ("insert", "replace") for at in range(low, high))
    gone = (at for tag, low, high, _, _ in steps if tag == "delete" for at in range(low, high))
    return _Compared(tuple(added), tuple(gone))


def _not_in_bag(old: list[str], new: list[str]) -> Iterator[int]:
    left = Counter(old)
    for at, line in enumerate(new):
        if left[line] > 0:
            left[line] -= 1
        else:
            yield at


def _blocks(core: Sequence[str], chosen: set[int]) -> Iterator[tuple[int, ...]]:
    # Runs of chosen lines, the blank lines between them included.
    run: list[int] = []
    pending: list[int] = []
    for at, line in enumerate(core):
        if at in chosen:
            run += [*pending, at] if run else [at]
            pending = []
        elif not _key(line):
            pending.append(at)
        else:
            if run:
                yield tuple(run)
            run, pending = [], []
    if run:
        yield tuple(run)


def _taken_out(core: Sequence[str], gone: set[int], stamp: Stamp | None) -> Iterator[str]:
    for block in _blocks(core, gone):
        if _section_above(core, block[0]) != HEADINGS["facts"].removeprefix("## "):
            quoted = "".join(f"> {_key(core[at])}\n" for at in block)
            yield _marker("Taken out of", core, block[0], stamp) + quoted


def _marker(what: str, core: Sequence[str], at: int, stamp: Stamp | None) -> str:
    version = "" if stamp is None else f" of version {stamp.version}"
    return f"> {what} “{_section_above(core, at)}”{version}:\n\n"


def _section_above(core: Sequence[str], at: int) -> str:
    keys = (section_of(line) for line in reversed(core[:at]))
    found = next((key for key in keys if key is not None), None)
    return "the top" if found is None else HEADINGS[found].removeprefix("## ")
