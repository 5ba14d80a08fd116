"""How our own words are told from everybody else's: our account wrote them, and they carry a keyed mark.

The mark is an HTML comment at the end of a body. It is made for the place where it stands: a copy elsewhere
proves nothing. An owner who lends us their own account is still heard: their words have no mark.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from agentloop.domain.valueclass import dataclass

if TYPE_CHECKING:
    from agentloop.edges.recordfolder import Marks

_MARK: Final = re.compile(
    r"<!-- agentloop op=(?P<op>[^\s>]{1,100}) mark=(?P<mark>[0-9a-f]{16,128})"
    r"(?: carries=(?P<carries>[\w-]*))? -->\s*\Z"
)

CARRIED_MOST: Final = 50_000
"""Characters that a mark may carry; a body on GitHub has 65,536 in all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """Words of ours: the operation that wrote them, and what their mark carries ("" = nothing)."""

    op: str
    words: str
    carries: str = ""


def sign(marks: Marks, place: str, op: str, words: str, carries: str = "") -> str:
    """Return `words` with the mark that proves them ours at `place` (`owner/name#number`)."""
    carries = carried(carries)
    mark = marks.of("github", place, op, carries)
    told = f" carries={carries}" if carries else ""
    return f"{words.rstrip()}\n\n<!-- agentloop op={_packed(op)} mark={mark}{told} -->"


def carried(carries: str) -> str:
    """Return what of it a mark takes along: nothing, when there would be no room left for words."""
    return carries if len(carries) <= CARRIED_MOST else ""


def signed(marks: Marks, place: str, body: str) -> Signed | None:
    """Return our words in `body`, None when no valid mark for `place` ends it. Look who wrote it, too."""
    found = _MARK.search(body)
    if not found:
        return None
    op, carries = _unpacked(found["op"]), found["carries"] or ""
    if not marks.holds(found["mark"], "github", place, op, carries):
        return None
    return Signed(op=op, words=body[: found.start()].rstrip(), carries=carries)


def claims(body: str) -> bool:
    """Return whether a body looks as if it were ours: a mark that does not hold makes it nobody's word."""
    return "<!-- agentloop op=" in body


# Operation ids are words of code, but a space or the end of an HTML comment must not be in one.


def _packed(op: str) -> str:
    return re.sub(r"[^\w:.#@-]", lambda found: f"%{ord(found[0]):x};", op)


def _unpacked(op: str) -> str:
    return re.sub(r"%([0-9a-f]+);", lambda found: chr(int(found[1], 16)), op)
