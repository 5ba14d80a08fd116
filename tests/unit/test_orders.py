"""Orders as they stand in a text: what is one, what is not, and what was changed since."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given as given_by
from hypothesis import strategies as st

from agentloop.domain import decisions as d
from agentloop.domain import facts as f
from agentloop.domain import obeying
from agentloop.domain.holds import hold_words
from agentloop.domain.issue import Comment, SetLabel
from agentloop.domain.orders import Order, beside_commands, commands_in, given, is_changed
from agentloop.domain.signals import evidence_of
from agentloop.domain.waiting import waiting
from agentloop.testing.samples import BEGAN, Told, issue


def said(body: str, name: str = "c1", **changes: object) -> Comment:
    """Ana's comment."""
    known: dict[str, object] = {"author": "ana", "at": BEGAN, **changes}
    return Comment(id=name, body=body, **known)  # type: ignore[arg-type]


def order(verb: str, words: str = "", about: str = "7", **changes: object) -> Order:
    """Ana's order on issue 7."""
    known: dict[str, object] = {"id": f"{about}:c1:1", "by": "ana", "at": BEGAN, **changes}
    return Order(verb=verb, words=words, about=about, **known)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/agentloop stop", [("stop", "")]),
        ("  /AgentLoop  Retry  use the  other file ", [("retry", "use the other file")]),
        ("Please wait.\n\n/agentloop pause 3d\r\nThanks!", [("pause", "3d")]),
        ("/agentloop start\n/agentloop status", [("start", ""), ("status", "")]),
        ("/agentloop", [("", "")]),
        ("/agentloop pasue", [("pasue", "")]),
        ("> /agentloop stop\n\n/agentloop start", [("start", "")]),
        ("> somebody said\n/agentloop stop", []),
        ("```\n/agentloop stop\n```\n/agentloop start", [("start", "")]),
        ("~~~~ text\n~~~\n/agentloop stop\n~~~~\n", []),
        ("````\n```\n/agentloop stop\n````", []),
        ("```\n/agentloop stop", []),
        ("`` ` ``\n/agentloop stop", [("stop", "")]),
        ("    /agentloop stop", []),
        ("\t/agentloop stop", []),
        ("<!-- \n/agentloop stop\n-->\nfine", []),
        ("<!-- /agentloop stop", []),
        ("- ```\n  /agentloop stop\n  ```", []),
        ("1. Like this:\n   ```\n   /agentloop stop\n   ```\n\n/agentloop start", [("start", "")]),
        ('<img src="x" alt="\n/agentloop stop\n">', []),
        ("<pre>\n/agentloop stop\n</pre>", []),
        ("<pre>x</pre>\n/agentloop stop", [("stop", "")]),
        ("- /agentloop stop", []),
        ("please /agentloop stop", []),
        ("/agentloops stop", []),
        ("`/agentloop stop`", []),
    ],
)
def test_an_order_is_a_line_of_ones_own(text: str, expected: list[tuple[str, str]]) -> None:
    """What is quoted, shown as code, hidden, or in the middle of a line orders nothing."""
    assert list(commands_in(text)) == expected


@given_by(st.text(alphabet=st.sampled_from("/agentloop stop\n >`~<!-pre"), max_size=80))
def test_any_text_can_be_read(text: str) -> None:
    """Nothing in a text makes reading it fail; without command lines nothing is taken out of it."""
    assert commands_in(text) or beside_commands(text) in (text, text.strip()) or "<" in text


def test_a_comment_that_only_orders_is_no_new_word_on_the_issue() -> None:
    """What stands beside an order is."""
    bare, ordered = issue(), issue(comments=(said("/agentloop pause"),))
    more = issue(comments=(said("Use the other file.\n/agentloop pause"),))
    without = issue(comments=(said("Use the other file."),))
    assert evidence_of(ordered) == evidence_of(bare)
    assert evidence_of(more) == evidence_of(without) != evidence_of(bare)


def orders_of(told: Told, *comments: Comment, **changes: Any) -> list[tuple[str, str, bool]]:  # noqa: ANN401 - of an issue
    """What a look finds that is not answered yet: id, verb, whether it was changed."""
    scene = told.scene(issues=(issue(comments=comments, **changes),))
    found = given(scene.world, scene.observed)
    return [(one.id, one.verb, is_changed(scene.world, one)) for one in found]


def test_only_trusted_people_order_and_nobody_twice() -> None:
    """Outsiders' lines and ours give no orders; what was answered is not read again."""
    told = Told().issue()
    comments = (
        said("/agentloop stop", "c1", trusted=False),
        said("/agentloop stop", "c2", ours=True),
        said("/agentloop start\n/agentloop status", "c3"),
    )
    assert orders_of(told, *comments) == [("7:c3:1", "start", False), ("7:c3:2", "status", False)]
    first = given(told.world, told.scene(issues=(issue(comments=comments),)).observed)[0].first
    told.add(f.Obeyed(order="7:c3:1", about="7", verb="start", by="ana", first=first))
    assert orders_of(told, *comments) == [("7:c3:2", "status", False)]


def test_an_order_that_was_changed_is_told_once_and_not_obeyed() -> None:
    """By the tracker's word, or because the commands are not those that were answered."""
    told = Told().issue()
    assert orders_of(told, said("/agentloop stop\n/agentloop start", edited=True)) == [
        ("7:c1:1", "stop", True)
    ]
    told.add(f.Obeyed(order="7:c2:1", about="7", verb="pause", by="ana", first="as it was"))
    now = said("/agentloop pause\n/agentloop stop", "c2")
    assert orders_of(told, now) == [("7:c2:2", "stop", True)]
    told.add(f.Obeyed(order="7:c2:2", about="7", verb="stop", by="ana", first="changed it", answer="changed"))
    assert orders_of(told, now, said("/agentloop pause\n/agentloop x\n/agentloop y", "c2")) == []


def test_orders_from_before_the_journal_was_lost_are_not_obeyed_again() -> None:
    """Nobody knows whether they were; what is said afterwards is."""
    told = Told().issue().add(f.JournalLost(what="all of it"))
    lost = told.world.losses[-1].at
    old, new = said("/agentloop stop", at=lost), said("/agentloop stop", "c2", at=lost + timedelta(seconds=1))
    assert orders_of(told, old, new) == [("7:c2:1", "stop", False)]


def test_a_label_is_an_order_by_whoever_set_it() -> None:
    """Where the tracker tells who set it, it is that event; where it does not, its place in a row."""
    told = Told().issue()
    by = SetLabel(id="e5", name="agentloop:pause", by="ana", at=BEGAN)
    labels = ("bug", "agentloop:pause", "agentloop:nonsense", "agentloop:start")
    assert orders_of(told, labels=labels, set_labels=(by,)) == [("7:agentloop:pause:e5", "pause", False)]
    found = orders_of(told, labels=("agentloop:pause",))
    assert found == [("7:agentloop:pause:1", "pause", False)]
    told.add(f.Obeyed(order="7:agentloop:pause:1", about="7", verb="pause", by=""))
    assert orders_of(told, labels=("agentloop:pause",)) == []


@pytest.mark.parametrize(
    ("words", "hours", "reason"),
    [
        ("", 7 * 24, ""),
        ("3d", 72, ""),
        ("3d: until the release", 72, "until the release"),
        ("12 hours", 12, ""),
        ("until Anna is back", 7 * 24, "until Anna is back"),
        ("3dogs", 7 * 24, "3dogs"),
    ],
)
def test_a_pause_has_an_end_and_a_reason(words: str, hours: int, reason: str) -> None:
    """Seven days, unless it says how long."""
    scene = Told().issue().scene(issues=(issue(),), now=BEGAN)
    (found,) = obeying.meaning(order("pause", words), scene).decisions
    assert isinstance(found, d.PauseWork)
    assert (found.about, found.until - BEGAN, found.rationale) == ("7", timedelta(hours=hours), reason)


@pytest.mark.parametrize(
    ("told", "asked", "why"),
    [
        (order("pause", "40d"), "pause", "30 days at most"),
        (order("pause", "0h"), "pause", "30 days at most"),
        (order("pause", "1h", at=BEGAN - timedelta(hours=2)), "pause", "over already"),
        (order("resume"), "resume", "it is not paused"),
        (order("retry"), "retry", "nothing of it is parked"),
        (order("pasue"), "pasue", "did you mean `pause`?"),
        (order(""), "", "say what is to be done"),
        (order("stop", about="9"), "stop", "not written by somebody I work for"),
        (order("start", about=""), "start", "say it on an issue"),
    ],
)
def test_what_cannot_be_done_is_refused_with_why(told: Order, asked: str, why: str) -> None:
    """In words that help."""
    scene = Told().issue().scene(issues=(issue(),), now=BEGAN)
    meant = obeying.meaning(told, scene)
    assert meant.decisions == ()
    assert why in meant.refused
    assert f"`/agentloop {asked}`" in obeying.answered(told, meant.refused, scene).says


def test_a_paused_task_is_not_started_and_says_so() -> None:
    """Nor is anything about its issue asked; and it ends by itself."""
    until = BEGAN + timedelta(days=3)
    told = Told().issue().planned("7.1").add(f.Paused(about="7", until=until, by="ana", reason="the release"))
    words = hold_words(told.world, BEGAN, "7.1")
    assert words == (
        "it is paused by ana until 2026-11-05 09:00 UTC: the release (`/agentloop resume` ends it)"
    )
    assert hold_words(told.world, until, "7.1") == ""
    assert words in obeying.explain_words(
        obeying.Subject(issue="7"), told.scene(issues=(issue(),), now=BEGAN)
    )


def test_what_an_issue_waits_for_names_its_pause() -> None:
    """On every screen that tells it, while its tasks are at work too."""
    until = BEGAN + timedelta(days=3)
    told = Told().issue().planned("7.1").started("7.1.1").add(f.Paused(about="7", until=until, by="ana"))
    scene = told.scene(issues=(issue(),), now=BEGAN)
    found = waiting(scene, told.world.issues["7"], told.world.tasks_of("7")).reasons
    assert found[0] == "it is paused by ana until 2026-11-05 09:00 UTC (`/agentloop resume` ends it)"
