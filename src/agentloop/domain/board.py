"""The dashboard: one pinned issue that says where the whole loop stands, with two boxes to tick. Pure.

It is kept by us, is no work, and its words are listened to by nobody; its boxes are orders. A box that a
person ticked is known by our own version on which they did it, so it is obeyed once, and what was seen
ticked is what is written over. It is written when what it says differs from what it was made to say last;
figures alone (money, times, the relay's facts) are no difference.
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from agentloop.domain import decisions as d
from agentloop.domain import facts as f
from agentloop.domain.effects import BOARD_TITLE, KeepBoard
from agentloop.domain.holds import EVERYTHING, PAUSE_DAYS, hold_on, hold_words
from agentloop.domain.issue import target_of
from agentloop.domain.orders import Order, is_heeded
from agentloop.domain.relay import render
from agentloop.domain.relay.text import HUMAN
from agentloop.domain.report import stand
from agentloop.domain.secrets import redact
from agentloop.domain.showing import Showing
from agentloop.domain.signals import digest
from agentloop.domain.wording import count, dollars, one_line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agentloop.domain.observed import BoardSeen
    from agentloop.domain.relay import Relay
    from agentloop.domain.report import Need, Standing
    from agentloop.domain.scene import Scene
    from agentloop.domain.settings import Settings, Target

NONE: Final = "none"
"""The setting's word for no dashboard."""
PAUSE: Final = "Pause all"
RUN: Final = "Run now"
MADE_AT_MOST: Final = 2
"""Deleted, it is made again once: a person who deletes that too does not want it."""
ROWS: Final = 5
RELAY_CHARACTERS: Final = 20_000
_NUMBERED: Final = re.compile(r"#(?=[\w.]+-\d)")


def place(settings: Settings) -> Target | None:
    """Return the target in whose repository the dashboard is kept; None: there is none.

    One for the whole home: it says what the loop as such does, and a pin is seen in one place.
    """
    wanted = settings.github.board
    if wanted == NONE:
        return None
    there = (one for one in settings.targets if one.tracker == "github")
    return next((one for one in there if wanted in ("", one.name)), None)


# --- boxes --------------------------------------------------------------------------------------------------


def orders(scene: Scene) -> tuple[Order, ...]:
    """Return what was ticked or unticked on the dashboard and nobody has answered yet, by whom it was."""
    return tuple(
        order
        for seen in scene.observed.boards
        for order in _ticks(seen, scene)
        if not is_heeded(scene.world, EVERYTHING, order.id)
    )


def _ticks(seen: BoardSeen, scene: Scene) -> Iterator[Order]:
    if seen.state != "open":
        return
    verbs = {(PAUSE, True): "pause", (PAUSE, False): "resume", (RUN, True): "run"}
    for box in (PAUSE, RUN):
        on = box in seen.ticked
        if on != (box in seen.wrote) and (verb := verbs.get((box, on))):
            name = f"board:{seen.op}:{verb}"
            yield Order(id=name, verb=verb, words="", by=seen.by, about=EVERYTHING, at=scene.now, on="box")


def decided(order: Order, scene: Scene) -> tuple[d.PersonDecision, ...]:
    """Return the decisions that a tick comes to; none: what it wants is so already, or is but a look."""
    paused = hold_on(scene.world, scene.now, EVERYTHING) is not None
    why = "ticked on the dashboard"
    if order.verb == "pause" and not paused:
        until = scene.now + timedelta(days=PAUSE_DAYS)
        return (d.PauseWork(about=EVERYTHING, until=until, by=order.by, rationale=why, order=order.id),)
    if order.verb == "resume" and paused:
        return (d.ResumeWork(about=EVERYTHING, by=order.by, rationale=why, order=order.id),)
    return ()


def answered(order: Order, scene: Scene) -> f.Obeyed:
    """Return that a tick was answered: the box itself says the rest."""
    trusted = is_trusted(scene)
    return f.Obeyed(
        order=order.id,
        about=EVERYTHING,
        verb=order.verb,
        by=order.by,
        answer="done" if trusted else "refused",
    )


def is_trusted(scene: Scene) -> bool:
    """Whether the person who ticked is listened to."""
    return all(seen.trusted for seen in scene.observed.boards)


def wants_a_look(scene: Scene) -> bool:
    """Whether somebody who is listened to ticked `Run now`, and it was not answered."""
    return is_trusted(scene) and any(one.verb == "run" for one in orders(scene))


# --- what it says -------------------------------------------------------------------------------------------


def left(scene: Scene) -> bool:
    """Whether it has to be written though nothing else happened: a box differs, or it was deleted."""
    target = place(scene.settings)
    return target is not None and any(
        _differs(seen, _wanted(scene)) or _is_lost(seen, scene) for seen in scene.observed.boards
    )


def due(scene: Scene, relay: Relay) -> Showing | None:
    """Return what brings the dashboard up to date; None: it is, or nobody wants it."""
    target = place(scene.settings)
    seen = next(iter(scene.observed.boards), None)
    boards = scene.world.boards
    if target is None or (seen is not None and seen.state == "closed"):
        return None
    gone = seen is not None and seen.state == "gone"
    if gone and seen and not _is_lost(seen, scene):
        return None
    if boards and seen is None:
        return None  # it could not be read now
    wanted = _wanted(scene)
    body, says = page(scene, relay, pinned=not (boards and boards[-1].endswith(UNPINNED)))
    about, name = f"board {target.name}", digest("\n".join((*wanted, says)))
    if seen is None and scene.world.shown.get(about) == name:
        return None  # it was refused, and nothing changed since
    if seen is not None and not gone and scene.world.shown.get(about) == name and not _differs(seen, wanted):
        return None
    kept = KeepBoard(
        target=target.name,
        board="" if seen is None or gone else seen.id,
        title=BOARD_TITLE,
        body=body,
        ticked=wanted,
        was=seen.op if seen else "",
        seen=seen.ticked if seen else (),
        number=len(boards) + 1,
    )
    return Showing(about=about, digest=name, effect=kept)


UNPINNED: Final = " unpinned"
"""Ends the name of a dashboard that GitHub did not pin."""


def notice(scene: Scene) -> str:
    """Return what a person should know about the dashboard, "" when there is nothing."""
    closed = any(seen.state == "closed" for seen in scene.observed.boards)
    wanted = place(scene.settings) is not None
    says = (
        "the dashboard was closed, so it is not kept any more: reopen it, or set board = 'none' in [github]"
    )
    return says if closed and wanted else ""


def _is_lost(seen: BoardSeen, scene: Scene) -> bool:
    return seen.state == "gone" and len(scene.world.boards) < MADE_AT_MOST


def _differs(seen: BoardSeen, wanted: tuple[str, ...]) -> bool:
    return seen.state == "open" and (set(seen.ticked) != set(wanted) or not seen.op)


def _wanted(scene: Scene) -> tuple[str, ...]:
    """Return the boxes that are ticked when all is said: what the loop's state is."""
    return (PAUSE,) if hold_on(scene.world, scene.now, EVERYTHING) else ()


def page(scene: Scene, relay: Relay, *, pinned: bool = True) -> tuple[str, str]:
    """Return the dashboard's words, and those of them that make a difference when they change."""
    standing = stand(scene.world, scene.settings, scene.now)
    reviews = [one for one in standing.needs_you if one.kind in ("review", "yours")]
    parked = [one for one in standing.needs_you if one.kind == "parked"]
    others = [one for one in standing.needs_you if one not in (*reviews, *parked)]
    paused = hold_words(scene.world, scene.now, EVERYTHING)
    trouble = [*scene.observed.problems, *_failing(scene)]
    parts = [
        *_boxes(_wanted(scene)),
        *([f"\n**Paused:** {paused}"] if paused else []),
        *([] if standing.needs_you or trouble else ["\nNothing needs you."]),
        *_section("Needs you", [_need(one) for one in others]),
        *_section("Waiting for your review", [_need(one) for one in reviews]),
        *_section("Stopped: the loop cannot go on by itself", [_need(one) for one in parked]),
        *_section("Trouble", [redact(one_line(one, 300)) for one in trouble]),
        *_section("Working", [_row(f"task {one.task}", one.title) for one in standing.running]),
        *_section("Next", [_row(one.about, one.title, one.says) for one in standing.coming]),
        *_section(
            "Queued", [_row(f"task {one.task}", one.title, _why(one.reasons)) for one in standing.queue]
        ),
        *_beside(scene, pinned=pinned),
    ]
    says = "\n".join([*parts, _digestible(relay)])
    return "\n".join([*parts, "", _spend(standing), "", *_relay(relay)]), says


def _failing(scene: Scene) -> list[str]:
    """Say that the admin agent gives no answer: nothing new is planned or reviewed meanwhile."""
    trouble = scene.world.trouble
    return [] if trouble is None else [f"the admin agent gives no usable answer: {trouble.why}"]


def _boxes(ticked: tuple[str, ...]) -> list[str]:
    return [f"- [{'x' if box in ticked else ' '}] {box}" for box in (PAUSE, RUN)]


def _section(title: str, rows: list[str]) -> list[str]:
    if not rows:
        return []
    more = [f"- and {len(rows) - ROWS} more"] if len(rows) > ROWS else []
    return [f"\n### {title}", *(f"- {one}" for one in rows[:ROWS]), *more]


def _need(need: Need) -> str:
    choices = " / ".join(f"{number} {choice}" for number, choice in enumerate(need.choices, 1))
    said = one_line(f"{need.says}{f' ({choices})' if choices else ''}", 300)
    return (
        f"{_link(need.about)}: {need.title}: {said}"
        if need.kind != "review"
        else _row(need.about, need.title)
    )


def _why(reasons: tuple[str, ...]) -> str:
    return one_line(reasons[0], 200) if reasons else "it is next"


def _row(about: str, title: str, says: str = "") -> str:
    return f"{_link(about)} {title}{f': {says}' if says else ''}"


def _link(about: str) -> str:
    """Return what GitHub makes a link of: of a task its issue; elsewhere its name with what it is."""
    kind, _, name = about.rpartition(" ")
    issue = name.rpartition(".")[0] if kind == "task" else name
    return issue if target_of(issue) else about


def _beside(scene: Scene, *, pinned: bool) -> list[str]:
    """What is not worked on, and what everybody has to know."""
    strangers = sum(
        not one.trusted and one.state == "open" and bool(target_of(one.id)) for one in scene.observed.issues
    )
    lines = []
    if strangers:
        lines.append(f"Not listened to: {count(strangers, 'issue')} of people this loop does not work for.")
    if scene.settings.github.merge_guard == "trust":
        lines.append(
            'It is **not proved that the loop cannot merge**: the settings say `merge_guard = "trust"`.'
        )
    if not pinned:
        lines.append("Three issues are pinned here already, so this one is not: unpin one and pin this.")
    return [f"\n{line}" for line in lines]


def _spend(standing: Standing) -> str:
    money = standing.money
    spent, most = dollars(money.spent_today_micros), dollars(money.day_limit_micros)
    reserved = f", {dollars(money.reserved_micros)} set aside" if money.reserved_micros else ""
    merged = f"{count(standing.merged, 'pull request')} merged so far"
    return f"Spent on {money.day}: {spent} of {most}{reserved}; {merged}."


def _digestible(relay: Relay) -> str:
    return f"{relay.plan}\n{relay.human}"


def _relay(relay: Relay) -> list[str]:
    """Return the relay as a part that is folded; its numbers of pull requests become links there."""
    core, _, human = redact(render(relay)).partition(f"{HUMAN}\n")
    core = core[core.find("\n## ") + 1 :].replace("\n## ", "\n#### ").replace("## ", "#### ", 1)
    text = _NUMBERED.sub("", core).strip() + (
        f"\n\n#### From you\n\n{human.strip()}" if human.strip() else ""
    )
    text = text.replace("</details", "&lt;/details").replace("<details", "&lt;details")
    if len(text) > RELAY_CHARACTERS:
        text = f"{text[:RELAY_CHARACTERS]}\n\n[the rest is in memories/consensus.md]"
    summary = "<details><summary>The relay: what one cycle tells the next</summary>"
    return [summary, "", text, "", "</details>"]
