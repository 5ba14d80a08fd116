"""The relay as Markdown, and back.

    <!-- agentloop relay v1 · version 12 · 3f2a9c0d1e2f3a4b -->     the stamp
    # Relay                                                         title and a line for the reader
    ## Next action … ## Facts                                       the core's sections
    ## From you                                                     the human's: every byte from here on

The human's section is the last one and has no end mark, so that any heading may stand in it and a line
appended to the file (`echo … >> memories/consensus.md`) is the human's.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from typing import Final, Literal

from agentloop.domain.relay.values import Facts, KeyDecision, Plan, Problem, Relay, clean_facts, clean_plan
from agentloop.domain.valueclass import dataclass, replace

Key = Literal["next", "phase", "active", "done", "questions", "decisions", "means", "facts"]
Line = tuple[int, str]

TITLE: Final = "# Relay"
INTRO: Final = "*Kept by agentloop. Write under “From you”, at the end: that part is yours, byte for byte.*"
HUMAN: Final = "## From you"
HEADINGS: Final[dict[Key, str]] = {
    "next": "## Next action",
    "phase": "## Current phase",
    "active": "## Active work",
    "done": "## Done this cycle",
    "questions": "## Open questions",
    "decisions": "## Key decisions",
    "means": "## What done means",
    "facts": "## Facts",
}
NOTHING: Final = "_nothing_"

_KEYS: Final[dict[str, Key]] = {heading.casefold(): key for key, heading in HEADINGS.items()}
_STAMP: Final = re.compile(r"\ufeff?<!-- agentloop relay v1 · version (\d{1,9}) · ([0-9a-f]{16}) -->\s*")
_WHY: Final = re.compile(r"  - why(?: \(cycle (\d{1,9})\))?:(?: (.*))?")
_OFF: Final = "  - off limits: "


@dataclass(frozen=True, slots=True)
class Stamp:
    """The first line of a relay: which version it is, and the hash of everything after that line."""

    version: int
    hash: str


@dataclass(frozen=True, slots=True)
class Parts:
    """A relay's text in two: the core's lines (with their ends), the human's text (None: no heading)."""

    core: tuple[str, ...]
    human: str | None


def lines_of(text: str) -> list[str]:
    r"""Return the lines of `text` with their ends; only "\n" ends a line, so joining gives every byte."""
    found = text.split("\n")
    return [line + "\n" for line in found[:-1]] + ([found[-1]] if found[-1] else [])


def hash_of(text: str) -> str:
    """Return the stamp's hash: SHA-256 over the UTF-8 bytes of what follows the stamp line, 16 hex digits."""
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:16]


def stamp_of(text: str) -> Stamp | None:
    """Return the stamp on the first line of `text`, or None when there is none."""
    match = _STAMP.fullmatch(text.partition("\n")[0])
    return None if match is None else Stamp(int(match[1]), match[2])


def stamp_in(text: str) -> Stamp | None:
    """Return the first stamp above the human's section: a person may have written above it."""
    stamps = (stamp_of(line) for line in (text.partition("\n")[0], *split(text).core))
    return next((stamp for stamp in stamps if stamp is not None), None)


def untouched(text: str) -> bool:
    """Return whether `text` is, to the byte, what its stamp says was written."""
    stamp = stamp_of(text)
    return stamp is not None and stamp.hash == hash_of(text.partition("\n")[2])


def split(text: str) -> Parts:
    """Cut `text` at the first "## From you" line (in any case, with any white space around it)."""
    offset = 0
    found = lines_of(text)
    for number, line in enumerate(found):
        offset += len(line)
        if line.strip().casefold() == HUMAN.casefold():
            return Parts(tuple(found[:number]), text[offset:])
    return Parts(tuple(found), None)


def section_of(line: str) -> Key | None:
    """Return which of the core's sections `line` is the heading of, or None."""
    return _KEYS.get(line.strip().casefold())


# ---- render


def render(relay: Relay) -> str:
    """Return the relay's text, stamped. `parse` gives the relay back, provided it is clean (see `clean`)."""
    body = "\n".join([TITLE, "", INTRO, "", *_core(relay), HUMAN, relay.human])
    return f"<!-- agentloop relay v1 · version {relay.version} · {hash_of(body)} -->\n{body}"


def clean(relay: Relay) -> Relay:
    """Return `relay` with facts and plan as they can be written; the human's text is never changed."""
    return replace(relay, facts=clean_facts(relay.facts), plan=clean_plan(relay.plan))


def _core(relay: Relay) -> Iterator[str]:
    plan = relay.plan
    bodies: dict[Key, list[str]] = {
        "next": [_escape(plan.next_action)] if plan.next_action else [],
        "phase": [_escape(plan.phase)] if plan.phase else [],
        "active": _items(plan.active),
        "done": _items(plan.done),
        "questions": _items(plan.questions),
        "decisions": [line for decision in plan.decisions for line in _decision(decision)],
        "means": _items(plan.done_means),
        "facts": [f"- {name}: {_value(value)}" for name, value in relay.facts],
    }
    for key, heading in HEADINGS.items():
        yield from (heading, "", *(bodies[key] or [NOTHING]), "")


def _items(texts: Iterable[str]) -> list[str]:
    return [f"- {text}" for text in texts]


def _decision(decision: KeyDecision) -> Iterator[str]:
    since = "" if decision.cycle is None else f" (cycle {decision.cycle})"
    yield f"- {decision.what}"
    yield f"  - why{since}: {decision.why}".rstrip()
    if decision.off_limits:
        yield _OFF + ", ".join(f"`{glob}`" for glob in decision.off_limits)


def _escape(text: str) -> str:
    # A paragraph that began like a heading, a placeholder or an escape would be read as one.
    return "\\" + text if text[:1] in ("#", "_", "\\") else text


def _value(value: str | None) -> str:
    if value is None:
        return "null"
    return "\\" + value if value in ("", "null") or value.startswith("\\") else value


# ---- parse


def parse(text: str) -> Relay | tuple[Problem, ...]:
    """Return the relay that `text` is, or every problem of its structure."""
    relay, problems = salvage(text)
    return problems or relay


def salvage(text: str) -> tuple[Relay, tuple[Problem, ...]]:
    """Return what can be understood of `text` (version 0 without a stamp), and every problem found."""
    stamp, parts = stamp_of(text), split(text)
    problems: list[Problem] = []
    if stamp is None:
        problems.append(
            Problem(
                line=1,
                what="no stamp on the first line",
                fix="leave it to the next cycle, which writes it anew",
            )
        )
    if parts.human is None:
        problems.append(
            Problem(
                line=len(parts.core) + 1,
                what=f"no line “{HUMAN}”",
                fix=f"add a line “{HUMAN}” at the end; write below it",
            )
        )
    sections = _sections(parts.core, problems)
    relay = Relay(
        version=0 if stamp is None else stamp.version,
        human=parts.human or "",
        facts=_facts(sections.get("facts", []), problems),
        plan=_plan(sections, problems),
    )
    return relay, tuple(sorted(problems, key=lambda problem: problem.line))


def _sections(core: tuple[str, ...], problems: list[Problem]) -> dict[Key, list[Line]]:
    sections: dict[Key, list[Line]] = {}
    into: list[Line] = []
    boilerplate = {TITLE, INTRO}
    for number, raw in enumerate(core, start=1):
        line = raw.rstrip()
        key = section_of(line)
        if key is not None and key not in sections:
            into = sections[key] = []
        elif key is not None or (line.startswith(("# ", "## ")) and line not in boilerplate):
            into = []
            problems.append(_foreign(number, "a heading that is not one of the relay's, or comes twice"))
        elif line and line not in boilerplate and not (number == 1 and _STAMP.fullmatch(line)):
            into.append((number, line))
            if not any(into is known for known in sections.values()):
                problems.append(_foreign(number, "text outside the relay's sections"))
    missing = [heading for key, heading in HEADINGS.items() if key not in sections]
    problems.extend(
        Problem(
            line=len(core) + 1,
            what=f"no section “{heading}”",
            fix="leave it to the next cycle, which writes it anew",
        )
        for heading in missing
    )
    return sections


def _foreign(number: int, what: str) -> Problem:
    return Problem(
        line=number, what=what, fix="write it under “From you”; the next cycle moves it there, word for word"
    )


def _plan(sections: dict[Key, list[Line]], problems: list[Problem]) -> Plan:
    def items(key: Key) -> tuple[str, ...]:
        return tuple(_bullets(sections.get(key, []), problems))

    return Plan(
        phase=_paragraph(sections.get("phase", []), problems),
        done=items("done"),
        decisions=_decisions(sections.get("decisions", []), problems),
        active=items("active"),
        next_action=_paragraph(sections.get("next", []), problems),
        questions=items("questions"),
        done_means=items("means"),
    )


def _paragraph(body: list[Line], problems: list[Problem]) -> str:
    problems.extend(_foreign(number, "a second line where there is room for one") for number, _ in body[1:])
    text = body[0][1] if body else NOTHING
    return "" if text == NOTHING else text.removeprefix("\\")


def _bullets(body: list[Line], problems: list[Problem]) -> Iterator[str]:
    for number, line in body:
        if line.startswith("- "):
            yield line[2:]
        elif line != NOTHING:
            problems.append(_foreign(number, "a line that is not an item of its list"))


def _facts(body: list[Line], problems: list[Problem]) -> Facts:
    def one(item: str) -> tuple[str, str | None]:
        name, _, value = item.partition(":")
        text = value.removeprefix(" ")
        return name, None if text == "null" else text.removeprefix("\\")

    return tuple(one(item) for item in _bullets(body, problems))


def _decisions(body: list[Line], problems: list[Problem]) -> tuple[KeyDecision, ...]:
    found: list[KeyDecision] = []
    for number, line in body:
        why = _WHY.fullmatch(line)
        if line.startswith("- "):
            found.append(KeyDecision(what=line[2:], why=""))
        elif found and why is not None:
            since = None if why[1] is None else int(why[1])
            found[-1] = replace(found[-1], why=why[2] or "", cycle=since)
        elif found and line.startswith(_OFF):
            found[-1] = replace(found[-1], off_limits=tuple(re.findall(r"`([^`]*)`", line)))
        elif line != NOTHING:
            problems.append(_foreign(number, "a line that is not part of a decision"))
    return tuple(found)
