"""What a thread on GitHub shows of the loop, and how a person answers there without a word."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from agentloop.domain import labels
from agentloop.domain.decisions import Ask
from agentloop.domain.effects import Keep, Label, React, Say
from agentloop.domain.wording import plan_waits, question_comment
from agentloop.errors import TargetError
from agentloop.testing.github import Fault, Kind
from tests.contract.on_github import BOT, OnGitHub

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from agentloop.domain.issue import Comment
    from agentloop.testing.github.values import Comment as Written


@pytest.fixture
def ground(tmp_path: Path) -> Iterator[OnGitHub]:
    """A repository with one issue, by alice."""
    with ExitStack() as stack:
        made = OnGitHub(tmp_path, stack)
        made.hub.open_issue(made.repository, made.person("alice"), "It crashes", labels=("bug",))
        yield made


def ours(ground: OnGitHub) -> list[Written]:
    """The comments of our account on the issue."""
    return [one for one in ground.thread("web-1").comments if one.author.login == BOT]


def heard(ground: OnGitHub) -> list[Comment]:
    """What the loop hears of people on the issue."""
    (issue,) = ground.tracker.observe(frozenset())
    return [one for one in issue.comments if not one.ours]


def asked(ground: OnGitHub, op: str = "ask:1") -> Written:
    """A question of two choices."""
    ask = Ask(issue="web-1", question="Which?", choices=("this", "that"), rationale="all of it")
    made = ground.tracker.act(op, Say(issue="web-1", body=question_comment(ask), mention="alice"))
    return next(one for one in ours(ground) if str(one.id) == made)


def test_the_author_is_called_by_a_question_and_nobody_by_its_words(ground: OnGitHub) -> None:
    """The account that the tracker named is called; names that a model wrote are not, nor what is no name."""
    ground.tracker.act("op-1", Say(issue="web-1", body="Ask @bob.", mention="alice"))
    ground.tracker.act("op-2", Say(issue="web-1", body="Well?", mention="al ice @bob"))
    said = [one.body.partition("\n\n<!--")[0] for one in ours(ground)]
    assert said == ["@alice Ask @\u2060bob.", "Well?"]


def test_a_reaction_on_a_question_is_its_answer(ground: OnGitHub) -> None:
    """The second sign is the second choice; what it says stays the same when it is looked at again."""
    question = asked(ground)
    assert heard(ground) == []
    ground.hub.react(ground.person("alice"), question, "-1")
    (answer,) = heard(ground)
    assert (answer.author, answer.body, answer.trusted) == ("alice", "2", True)
    ground.hub.react(ground.person("alice"), question, "+1")
    assert heard(ground) == [answer]


def test_a_reaction_under_a_plan_that_waits_is_an_answer_too(ground: OnGitHub) -> None:
    """As it is said there; a plan of before that names no sign is asked about by nobody."""
    ground.tracker.act("plan:0", Say(issue="web-1", body="**Plan**"))
    body = plan_waits(["touches x"], "", pressed=True)
    made = ground.tracker.act("plan:1", Say(issue="web-1", body=body, mention="alice"))
    assert heard(ground) == []
    assert len([one for one in ground.site.seen() if "reactions" in one]) == 1
    plan = next(one for one in ours(ground) if str(one.id) == made)
    ground.hub.react(ground.person("alice"), plan, "-1")
    assert [one.body for one in heard(ground)] == ["2"]


def test_reactions_of_strangers_and_on_other_words_say_nothing(ground: OnGitHub) -> None:
    """Nor does one that came after an answer in words, nor a sign that stands for no choice."""
    question = asked(ground)
    ground.hub.react(ground.hub.account("mallory"), question, "+1")
    ground.hub.react(ground.person("alice"), question, "heart")
    other = ground.hub.comment(ground.repository, ground.person("bob"), ground.thread("web-1"), "Hm.")
    ground.hub.react(ground.person("alice"), other, "+1")
    ground.hub.react(ground.person("alice"), question, "+1")
    assert [one.body for one in heard(ground)] == ["Hm."]


def test_a_question_that_waits_costs_nothing_and_is_what_the_probe_looks_at(ground: OnGitHub) -> None:
    """Unchanged, it is asked about for nothing; a reaction makes it another; answered, nobody asks again."""
    question = asked(ground)
    for _ in range(3):  # the first looks ask since when to ask
        ground.tracker.observe(frozenset())
    before = len(ground.server.api.calls)
    ground.tracker.observe(frozenset())
    assert sum(one.cost for one in ground.server.api.calls[before:]) == 0

    (address,) = [one for one in ground.site.seen() if "reactions" in one]
    assert not ground.site.client.differs(address, ground.site.seen()[address])
    ground.hub.react(ground.person("alice"), question, "+1")
    assert ground.site.client.differs(address, ground.site.seen()[address])

    assert [one.body for one in heard(ground)] == ["1"]
    before = len(ground.server.api.calls)
    assert [one.body for one in heard(ground)] == ["1"]
    assert [one.path for one in ground.server.api.calls[before:] if "reactions" in one.path] == []


def test_the_kept_comment_is_edited_and_never_doubled_by_a_lost_answer(ground: OnGitHub) -> None:
    """Made, its answer lost; edited, its answer lost: each time it is found, and there is one of it."""
    for op, body in (("keep:1:a", "Queued."), ("keep:1:b", "Merged.")):
        for method in ("POST", "PATCH"):
            ground.server.api.faults.add(Fault(kind=Kind.AFTER, calls=f"{method} .*comments.*"))
        keep = Keep(issue="web-1", body=body)
        assert ground.tracker.find(op, keep) is None
        with pytest.raises(TargetError):
            ground.tracker.act(op, keep)
        assert ground.tracker.find(op, keep) == str(ours(ground)[0].id)
    assert [one.body.partition("\n\n<!--")[0] for one in ours(ground)] == ["Merged."]


def test_eyes_are_left_by_us_whoever_else_has_left_some(ground: OnGitHub) -> None:
    """On the issue and on a comment, where everybody sees them."""
    thread = ground.thread("web-1")
    said = ground.hub.comment(ground.repository, ground.person("alice"), thread, "Still there.")
    for on, effect in (
        (thread, React(issue="web-1")),
        (said, React(issue="web-1", comment=str(said.id))),
    ):
        ground.hub.react(ground.person("alice"), on, "eyes")
        assert ground.tracker.find("eyes:1", effect) is None
        made = ground.tracker.act("eyes:1", effect)
        assert ground.tracker.find("eyes:1", effect) == made
        assert [one.account.login for one in on.reactions] == ["alice", BOT]


def test_state_labels_have_their_colours_and_peoples_labels_stay(ground: OnGitHub) -> None:
    """Made with colour and description, made again when somebody deleted them; one at a time."""
    ground.tracker.act("label:1", Label(issue="web-1", add=(labels.QUEUED,)))
    made = ground.repository.labels[labels.QUEUED]
    look = labels.LOOKS[labels.QUEUED]
    assert (made.color, made.description) == (look.colour, look.description)
    ground.tracker.act("label:2", Label(issue="web-1", add=(labels.WORKING,), remove=(labels.QUEUED,)))
    assert ground.thread("web-1").labels == ["bug", labels.WORKING]

    ground.hub.delete_label(ground.repository, labels.WORKING)
    again = Label(issue="web-1", add=(labels.WORKING,))
    assert ground.tracker.find("label:3", again) is None
    ground.tracker.act("label:3", again)
    assert ground.repository.labels[labels.WORKING].color == labels.LOOKS[labels.WORKING].colour
    assert ground.thread("web-1").labels == ["bug", labels.WORKING]
