"""What trusted people tell the loop in so many words: a line `/agentloop pause 3d`, or a label set once.

A line counts where whoever reads the page sees it as the writer's own words, from its beginning on: not in a
code block, a quotation or a hidden HTML comment. Words of outsiders, words of ours, and a comment that was
changed after it was written give no orders. Each is obeyed once (`Heeded`), and answered where it was given.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from agentloop.domain.effects import operation
from agentloop.domain.valueclass import dataclass, replace

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from agentloop.domain.issue import Comment, Issue, Pull, Review
    from agentloop.domain.observed import Observed
    from agentloop.domain.world import World

Place: TypeAlias = Literal["comment", "review", "line", "label", "box"]
"""Where it was given: a comment on a thread, a review, a thread on lines, a label, a box that was ticked."""

BY_LABEL: Final = ("start", "pause", "resume", "retry", "stop")
LABEL: Final = "agentloop:"
"""A label `agentloop:pause` is an order too, taken off when it was read.

GitHub lets only people with triage rights and above set labels (docs, "Repository roles for an organization":
"Apply/dismiss labels"); issue templates set theirs in the name of whoever files the issue, so a label counts
with the person who set it.
"""
CHANGED: Final = "changed "
"""What stands before the name of commands that were refused because their comment had been changed."""
FOR_SHORT: Final = 500
"""Characters of an order's words that are kept."""

APPROVE: Final = frozenset({"approve", "approved", "yes", "1"})
REJECT: Final = frozenset({"reject", "rejected", "no", "2"})
"""What may stand first behind `/agentloop plan`; other words there are words for the admin agent."""

_LINE: Final = re.compile(r" {0,3}/agentloop(?:[ \t]+(?P<verb>\S+)(?P<words>.*))?[ \t]*", re.IGNORECASE)
_HIDDEN: Final = re.compile(r"<!--.*?(?:-->|\Z)", re.DOTALL)
_TAG: Final = re.compile(r"<[A-Za-z][^<>]*>")
_FENCE: Final = re.compile(r"[ \t]*(?:(?:[-*+]|\d{1,9}[.)])[ \t]+)*(?P<fence>`{3,}(?=[^`]*$)|~{3,})")
"""Behind the marks of lists, too: they may hold code."""
_QUOTE: Final = re.compile(r" {0,3}>")
_BLOCK: Final = re.compile(r" {0,3}<(?P<tag>pre|code|blockquote|script|style|textarea)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One order. `about` is the issue or pull request (`pull`) that it was given on ("" = everything).

    `of` is the comment, review, thread on lines or label that holds it, `first` names all commands there as
    they stand: what was obeyed once is known by both. `changed`: the comment was edited since it was written.
    """

    id: str
    verb: str
    words: str
    by: str
    about: str
    at: datetime
    on: Place = "comment"
    pull: bool = False
    of: str = ""
    first: str = ""
    changed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Heeded:
    """An order that was answered, and the name of the commands in its comment as they stood then."""

    order: str
    first: str = ""


def commands_in(text: str) -> tuple[tuple[str, str], ...]:
    """Return the commands of a text, in order: (verb in lower case, "" when there is none; its words)."""
    found = (_LINE.fullmatch(line) for line, own in _lines(text) if own)
    return tuple(
        ((one["verb"] or "").lower(), " ".join((one["words"] or "").split())[:FOR_SHORT])
        for one in found
        if one is not None
    )


def beside_commands(text: str) -> str:
    """Return a text without its command lines: "" when it holds nothing else.

    Of `/agentloop plan do it in one` the wish stays: it is for the admin agent to read.
    """
    if "/agentloop" not in text.lower():
        return text
    return "\n".join(
        said for line, own in _lines(text) if (said := _beside(line, own=own)) is not None
    ).strip()


def _beside(line: str, *, own: bool) -> str | None:
    """Return what of a line is words and no order: what a plan should be instead is said to the admin."""
    order = _LINE.fullmatch(line) if own else None
    if order is None:
        return line
    words = (order["words"] or "").strip()
    first = words.partition(" ")[0].rstrip(":,.").lower()
    is_wish = (order["verb"] or "").lower() == "plan" and first not in APPROVE | REJECT
    return words if is_wish and words else None


def orders_on_issue(world: World, issue: Issue, now: datetime) -> tuple[Order, ...]:
    """Return what trusted people ordered on an issue, its labels last, heeded or not."""
    said = [order for one in issue.comments for order in _said(issue.id, one, "comment")]
    return (*said, *_by_label(world, issue, now))


def _by_label(world: World, issue: Issue, now: datetime) -> Iterator[Order]:
    wanted = [name for name in issue.labels if name.startswith(LABEL) and name[len(LABEL) :] in BY_LABEL]
    for name in wanted:
        verb = name[len(LABEL) :]
        if issue.set_labels is None:
            name_of = _first_free(world, issue.id, name)
            yield Order(id=name_of, verb=verb, words="", by="", about=issue.id, at=now, on="label", of=name)
        for one in issue.set_labels or ():
            if one.name == name:
                order = f"{issue.id}:{name}:{one.id}"
                at = one.at
                yield Order(
                    id=order, verb=verb, words="", by=one.by, about=issue.id, at=at, on="label", of=name
                )


def _first_free(world: World, issue: str, label: str) -> str:
    """Return the name of a label's order where nobody tells when it was set.

    The next number, once the label was taken off again.
    """
    number = 1
    while is_heeded(world, issue, order := f"{issue}:{label}:{number}"):
        taken_off = world.effects.get(unlabelling(order))
        if taken_off is None or taken_off.result is None:
            return order
        number += 1
    return order


def unlabelling(order: str) -> str:
    """Return the operation that takes a label off which was read as an order."""
    return operation("unlabel", order)


def orders_on_pull(pull: Pull) -> tuple[Order, ...]:
    """Return what trusted people ordered in the reviews and comments of a pull request of ours."""
    found = [
        order
        # What was said on its thread outside of a review is of no commit.
        for one in pull.reviews
        for order in _said(pull.id, one, "review" if one.commit else "comment", pull=True)
    ]
    lines = [(thread.id, one) for thread in pull.threads for one in thread.said]
    found += [
        replace(order, of=thread) for thread, one in lines for order in _said(pull.id, one, "line", pull=True)
    ]
    return tuple(found)


def _said(about: str, said: Comment | Review, on: Place, *, pull: bool = False) -> Iterator[Order]:
    if said.ours or not said.trusted or "/agentloop" not in said.body.lower():
        return
    commands = commands_in(said.body)
    words = "\0".join(part for command in commands for part in command)
    first = hashlib.sha256(words.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    for number, (verb, rest) in enumerate(commands, 1):
        yield Order(
            id=f"{about}:{said.id}:{number}",
            verb=verb,
            words=rest,
            by=said.author,
            about=about,
            at=said.at,
            on=on,
            pull=pull,
            of=said.id,
            first=first,
            changed=said.edited,
        )


def given(world: World, observed: Observed) -> tuple[Order, ...]:
    """Return the orders that nobody has answered yet, oldest first.

    Those from before the journal was lost count as obeyed: nobody knows whether they were, and a person who
    still wants it says so again.
    """
    lost = max((one.at for one in world.losses), default=None)
    issues, pulls = observed.issues, observed.pulls
    found = [
        order
        for one in issues
        if one.state == "open" and _may_hold(one)
        for order in orders_on_issue(world, one, observed.now)
    ]
    found += [order for one in pulls if one.state == "open" for order in orders_on_pull(one)]
    new = {
        # Of a comment that was changed, one is enough to say so.
        one.id.rpartition(":")[0] if is_changed(world, one) else one.id: one
        for one in reversed(found)
        if not (is_heeded(world, one.about, one.id) or _is_told(world, one) or (lost and one.at <= lost))
    }
    return tuple(sorted(new.values(), key=lambda one: (one.at, one.id)))


def _may_hold(issue: Issue) -> bool:
    labelled = any(name.startswith(LABEL) for name in issue.labels)
    return labelled or any("/agentloop" in one.body.lower() for one in issue.comments)


def is_heeded(world: World, about: str, order: str) -> bool:
    """Whether the order was answered."""
    return any(one.order == order for one in _heeded(world, about))


def _heeded(world: World, about: str) -> tuple[Heeded, ...]:
    view = world.issues.get(about)
    return world.heeded if view is None else (*view.heeded, *world.heeded)


def _told_in(world: World, order: Order) -> list[str]:
    """Return the names of the commands in its comment as they stood when any of them was answered."""
    place = f"{order.id.rpartition(':')[0]}:"
    return [one.first for one in _heeded(world, order.about) if one.order.startswith(place)]


def _is_told(world: World, order: Order) -> bool:
    """Whether a person was told already that the comment is not obeyed because it was changed."""
    return order.on != "label" and any(one.startswith(CHANGED) for one in _told_in(world, order))


def is_changed(world: World, order: Order) -> bool:
    """Whether its comment was changed after it was written, or after commands in it were answered."""
    return order.on != "label" and (
        order.changed or any(one != order.first for one in _told_in(world, order))
    )


def nearest(verb: str, verbs: Iterable[str]) -> str:
    """Return the verbs that may have been meant, as the end of a sentence; "" when nothing is near."""
    import difflib  # an idle cycle has no use for it

    near = difflib.get_close_matches(verb, list(verbs), n=2, cutoff=0.6)
    return f"; did you mean {' or '.join(f'`{one}`' for one in near)}?" if near else ""


def _lines(text: str) -> Iterator[tuple[str, bool]]:
    """Yield each line, and whether it is the writer's own plain text as Markdown shows it."""
    shown = _HIDDEN.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))
    # What stands in a tag over several lines (the alternative text of a picture) is shown to nobody.
    shown = _TAG.sub(lambda found: "" if "\n" in found[0] else found[0], shown)
    fence = block = ""
    quoted = False
    for line in shown.split("\n"):
        begins = _FENCE.match(line)
        if fence:
            # A code block ends with as many of its own characters, alone on their line (CommonMark 4.5).
            fence = "" if line.strip().startswith(fence) and not line.strip().strip(fence[0]) else fence
            yield line, False
        elif block:
            block = "" if f"</{block}>" in line.lower() else block
            yield line, False
        elif _QUOTE.match(line):
            quoted = True
            yield line, False
        elif not line.strip():
            quoted = False
            yield line, True
        elif begins is not None:
            fence, quoted = begins["fence"], False
            yield line, False
        elif (opens := _BLOCK.match(line)) is not None:
            tag = opens["tag"].lower()
            block = "" if f"</{tag}>" in line.lower() else tag
            yield line, False
        else:
            yield line, not quoted  # a line right below a quotation is shown as part of it (CommonMark 5.1)
