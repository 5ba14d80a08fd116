"""Which of our words that stand twice are taken back."""

from __future__ import annotations

from datetime import UTC, datetime

from agentloop.domain import facts as f
from agentloop.domain.doubles import doubles
from agentloop.domain.effects import Say, Unsay
from agentloop.domain.issue import Comment, Issue
from agentloop.domain.observed import Observed
from agentloop.domain.world import World

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


def said(name: str, op: str, *, ours: bool = True) -> Comment:
    """A comment."""
    return Comment(id=name, author="x", body="Looking.", at=NOW, ours=ours, op=op)


def seen(*comments: Comment) -> Observed:
    """One issue with these comments."""
    issue = Issue(
        id="web-1",
        number=1,
        title="It crashes",
        body="",
        author="alice",
        state="open",
        target="web",
        created_at=NOW,
        comments=comments,
    )
    return Observed(now=NOW, issues=(issue,))


def test_the_later_of_two_is_taken_back() -> None:
    """Those of other operations, without one, and other people's stay."""
    told = seen(said("1", "a"), said("2", "b"), said("3", "a"), said("4", ""), said("5", ""))
    assert doubles(World(), told) == (Unsay(issue="web-1", comment="3", says="a"),)
    assert doubles(World(), seen(said("1", "a"), said("2", "a", ours=False))) == ()


def test_the_one_that_the_journal_knows_stays() -> None:
    """Its id is what later looks compare with."""
    world = World()
    intended = f.EffectIntended(op="a", effect=Say(issue="web-1", body="Looking."))
    world.apply(f.Entry(at=NOW, cycle=1, facts=(intended, f.EffectDone(op="a", result="3"))))
    told = seen(said("1", "a"), said("3", "a"))
    assert doubles(world, told) == (Unsay(issue="web-1", comment="1", says="a"),)


def test_of_two_kept_comments_the_first_stays() -> None:
    """It is the one that is edited, so that the two have different operations by now."""
    told = seen(said("1", "keep:web-1:b"), said("3", "keep:web-1:a"))
    assert doubles(World(), told) == (Unsay(issue="web-1", comment="3", says="keep:"),)
