"""What threads on GitHub were read as, as text: most did not change, and need not be taken apart again."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from agentloop import __version__
from agentloop.domain.issue import Comment, Issue, SetLabel

if TYPE_CHECKING:
    from collections.abc import Mapping

FORMAT: Final = 2
"""Counts up with every change in how a thread is read: what was read before is then read anew."""


def key(target: str, heard: object) -> str:
    """Return the name under which readings hold: of the code, the target, and whom it listens to."""
    told = repr((FORMAT, __version__, target, heard))
    return hashlib.sha256(told.encode()).hexdigest()[:16]


# By hand and by place, not by `codec`: thousands of them are read at each look.


def text(issue: Issue | None) -> str:
    """Return an issue as text; None: it is none."""
    if issue is None:
        return "null"
    words = [issue.id, issue.number, issue.title, issue.body, issue.author, issue.state, issue.target]
    said = [_said(one) for one in issue.comments]
    labelled = issue.set_labels
    orders = (
        None if labelled is None else [[one.id, one.name, one.by, one.at.isoformat()] for one in labelled]
    )
    created = issue.created_at.isoformat()
    row = [*words, created, issue.labels, issue.trusted, issue.words, said, orders]
    return json.dumps(row, separators=(",", ":"))


def _said(one: Comment) -> list[Any]:
    at = one.at.isoformat()
    return [one.id, one.author, one.body, at, one.ours, one.trusted, one.edited, one.op]


def read(texts: Mapping[int, str]) -> dict[int, Issue | None]:
    """Return the issues that those texts are (None: no issue), "" and damaged ones left out."""
    known = {number: each for number, each in texts.items() if each}
    try:
        rows = json.loads(f"[{','.join(known.values())}]")  # in one: a call for each is half of the time
        return {number: _issue(row) for number, row in zip(known, rows, strict=True)}
    except (ValueError, TypeError):
        return {}


def _issue(row: list[Any] | None) -> Issue | None:
    if row is None:
        return None
    name, number, title, body, author, state, target, created, labels, trusted, words, said, orders = row
    return Issue(
        id=name,
        number=number,
        title=title,
        body=body,
        author=author,
        state=state,
        target=target,
        created_at=datetime.fromisoformat(created),
        labels=tuple(labels),
        comments=tuple(_comment(*each) for each in said),
        trusted=trusted,
        words=words,
        set_labels=None if orders is None else tuple(_order(*each) for each in orders),
    )


def _comment(
    name: str,
    author: str,
    body: str,
    at: str,
    ours: bool,  # noqa: FBT001 -- a row
    trusted: bool,  # noqa: FBT001 -- a row
    edited: bool,  # noqa: FBT001 -- a row
    op: str,
) -> Comment:
    moment = datetime.fromisoformat(at)
    return Comment(
        id=name, author=author, body=body, at=moment, ours=ours, trusted=trusted, edited=edited, op=op
    )


def _order(event: str, name: str, by: str, at: str) -> SetLabel:
    return SetLabel(id=event, name=name, by=by, at=datetime.fromisoformat(at))
