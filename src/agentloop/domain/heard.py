"""Who is listened to on a public tracker, and how what they wrote is made legible.

Trust goes by the forge's own word on how an author stands to the repository, and by numeric ids: names in a
text, git authors and suffixes like `[bot]` prove nothing.
"""

from __future__ import annotations

import re
import unicodedata
from datetime import datetime
from typing import Final

from agentloop.domain.valueclass import dataclass

INSIDERS: Final = frozenset({"OWNER", "MEMBER", "COLLABORATOR"})
"""Associations of people who could change the repository anyway (GraphQL's CommentAuthorAssociation)."""

_COMMENT: Final = re.compile(r"<!--.*?(?:-->|\Z)", re.DOTALL)
_IMAGE: Final = re.compile(r"!\[([^\]]*)\]\(([^)\s]*)[^)]*\)")
_KEPT: Final = "\n\t"
_WITHOUT_KEPT: Final = dict.fromkeys(map(ord, _KEPT))
_JOINER: Final = "\u200d"
_SELECTORS: Final = ("\ufe0e", "\ufe0f")
_HOLDS: Final = re.compile("[\u200d\ufe0e\ufe0f]")
_SIGNS: Final = frozenset({"So", "Sk", "Sm", "Po", "Pd", "Nd"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Speaker:
    """Whoever wrote something: the account's number and name, and how it stands to the repository."""

    id: int
    login: str
    association: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """Who is listened to besides insiders: account numbers."""

    ids: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelled:
    """A label was put on: the event's id, by whom (a login, "" = nobody knows) and when."""

    id: str
    name: str
    by: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """When title or body of an issue were changed last (None: never), and how labels came on it, in order."""

    changed_at: datetime | None
    labelled: tuple[Labelled, ...]

    def last(self, label: str) -> Labelled | None:
        """Return how the label came to be there, None when that is not told."""
        return next((one for one in reversed(self.labelled) if one.name.lower() == label.lower()), None)

    def vouched_for(self, label: str) -> Labelled | None:
        """Return how the label came to be there when the words were not changed since.

        A change in the very second counts as later: times are whole seconds.
        """
        set_ = self.last(label)
        stands = set_ is not None and (self.changed_at is None or self.changed_at < set_.at)
        return set_ if stands else None


def is_trusted(speaker: Speaker, trust: Trust) -> bool:
    """Return whether the loop listens to what the speaker wrote."""
    return speaker.association in INSIDERS or speaker.id in trust.ids


def legible(text: str) -> str:
    """Return what a person who reads the page would see, and what they would not, named as such.

    HTML comments and characters without a shape are taken out and counted; an image becomes its address and
    alternative text. Lines end with a newline alone.
    """
    plain = text.replace("\r\n", "\n").replace("\r", "\n")
    plain, comments = _COMMENT.subn("", plain)
    plain = _IMAGE.sub(lambda one: f"[image {one[2]}, described as: {' '.join(one[1].split())}]", plain)
    plain = _in_emoji(plain)
    shown = plain
    if not (
        plain.isascii() and plain.translate(_WITHOUT_KEPT).isprintable()
    ):  # most text is, and it is quick
        shown = "".join(char for char in plain if char in _KEPT or not _is_shapeless(char))
    hidden = len(plain) - len(shown)
    notes = [f"{comments} hidden HTML comment{'s' * (comments > 1)}"] if comments else []
    notes += [f"{hidden} invisible character{'s' * (hidden > 1)}"] if hidden else []
    return f"{shown.rstrip()}\n\n[left out: {', '.join(notes)}]" if notes else shown


def _in_emoji(text: str) -> str:
    """Return `text` without what holds emoji together: of no use to a model, and nothing that was hidden.

    A selector right behind a sign, a joiner between two: Unicode Technical Standard 51, "ED-9a", "ED-16".
    """
    if not _HOLDS.search(text):
        return text
    kept = []
    for place, char in enumerate(text):
        before, behind = text[place - 1 : place], text[place + 1 : place + 2]
        selects = char in _SELECTORS and _is_sign(before)
        joins = char == _JOINER and (before in _SELECTORS or _is_sign(before)) and _is_sign(behind)
        if not (selects or joins):
            kept.append(char)
    return "".join(kept)


def _is_sign(char: str) -> bool:
    # U+2139 alone of all emoji is a letter; digits, `#` and `*` are signs on keycaps.
    return char == "\u2139" or (char != "" and unicodedata.category(char) in _SIGNS)


def _is_shapeless(char: str) -> bool:
    # Control and format characters (bidirectional marks, zero-width ones, tags), unassigned and private ones,
    # and selectors that stand where no sign is to be selected.
    return unicodedata.category(char) in ("Cc", "Cf", "Cn", "Co", "Cs") or "\ufe00" <= char <= "\ufe0f"
