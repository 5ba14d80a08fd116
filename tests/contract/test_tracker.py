"""What every tracker holds to: the built-in one, the double, and those that come.

A new implementation is one more entry in TRACKERS: a function that returns it, with what people do in it as
methods of the names used here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol

import pytest

from agentloop.domain.effects import CloseIssue, Keep, Label, React, Say
from agentloop.domain.issue import BODY_LIMIT, COMMENT_LIMIT, Issue
from agentloop.edges.tracker import FileTracker
from agentloop.errors import NotFoundError
from agentloop.ports import Tracker
from agentloop.testing.doubles import MemoryTracker
from tests.contract.on_github import GitHubIssues


class Inhabited(Tracker, Protocol):
    """A tracker, and what people do in it."""

    def new(
        self, title: str, body: str, *, author: str, labels: tuple[str, ...] = (), target: str = ""
    ) -> str:
        """File an issue; its id."""

    def comment(self, issue: str, text: str, *, author: str) -> str:
        """Say something; the comment's id."""

    def close(self, issue: str, *, reason: str, author: str) -> None:
        """Close it."""

    def reopen(self, issue: str) -> None:
        """Open it again."""


def ticking() -> Callable[[], datetime]:
    """A clock that goes on by a minute each time it is asked."""
    moments = (datetime(2026, 11, 20, 10, tzinfo=UTC) + timedelta(minutes=n) for n in range(10_000))
    return lambda: next(moments)


TRACKERS: dict[str, Callable[[Path, ExitStack], Inhabited]] = {
    "built-in": lambda folder, _: FileTracker(folder / "tracker", now=ticking()),
    "double": lambda *_: MemoryTracker(now=ticking()),
    "github": lambda folder, stack: GitHubIssues(folder, stack, now=ticking()),
}


@pytest.fixture(params=TRACKERS)
def tracker(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Inhabited]:
    """An empty tracker of each kind."""
    with ExitStack() as stack:
        yield TRACKERS[request.param](tmp_path, stack)


def only(tracker: Tracker, known: frozenset[str] = frozenset()) -> Issue:
    """The one issue there is to see."""
    (issue,) = tracker.observe(known)
    return issue


def test_an_empty_tracker_shows_nothing(tracker: Inhabited) -> None:
    """Before the first issue there is nothing to see, and nothing fails."""
    assert tracker.observe(frozenset({"1"})) == ()


def test_a_filed_issue_is_shown_as_it_was_said(tracker: Inhabited) -> None:
    """Title, text, author, labels, target and time arrive as given."""
    issue = tracker.new("It crashes", "On empty input.", author="alice", labels=("bug", "high"), target="web")
    shown = only(tracker)
    assert shown == Issue(
        id=issue,
        number=1,
        title="It crashes",
        body="On empty input.",
        author="alice",
        state="open",
        target="web",
        created_at=datetime(2026, 11, 20, 10, tzinfo=UTC),
        labels=("bug", "high"),
    )
    assert shown.priority == "high"


def test_issues_come_in_the_order_of_their_numbers(tracker: Inhabited) -> None:
    """Ten comes behind nine, not behind one."""
    for n in range(11):
        tracker.new(f"issue {n}", "", author="alice")
    assert [issue.number for issue in tracker.observe(frozenset())] == list(range(1, 12))


def test_what_people_and_the_loop_say_is_told_apart(tracker: Inhabited) -> None:
    """Comments come in order; only the loop's are `ours`."""
    issue = tracker.new("It crashes", "", author="alice")
    said = tracker.comment(issue, "Still there.", author="bob")
    ours = tracker.act("op-1", Say(issue=issue, body="Looking."))
    comments = only(tracker).comments
    assert [(each.id, each.body, each.ours) for each in comments] == [
        (said, "Still there.", False),
        (ours, "Looking.", True),
    ]
    assert comments[0].author == "bob"
    assert all(each.trusted for each in comments)


def test_an_effect_is_found_again_by_its_operation(tracker: Inhabited) -> None:
    """A cycle that knows nothing of the first try finds it; another operation finds nothing."""
    issue = tracker.new("It crashes", "", author="alice")
    say = Say(issue=issue, body="Looking.")
    assert tracker.find("op-1", say) is None
    made = tracker.act("op-1", say)
    assert tracker.find("op-1", say) == made
    assert tracker.find("op-2", say) is None


def test_acting_twice_does_it_once(tracker: Inhabited) -> None:
    """Even when nobody looked in between."""
    issue = tracker.new("It crashes", "", author="alice")
    first = tracker.act("op-1", Say(issue=issue, body="Looking."))
    assert tracker.act("op-1", Say(issue=issue, body="Looking.")) == first
    assert len(only(tracker).comments) == 1


def test_the_same_operation_on_two_issues_is_two(tracker: Inhabited) -> None:
    """What was said on one issue is not found on another."""
    one = tracker.new("One", "", author="alice")
    two = tracker.new("Two", "", author="alice")
    tracker.act("op-1", Say(issue=one, body="Looking."))
    assert tracker.find("op-1", Say(issue=two, body="Looking.")) is None


def test_closing_says_why_and_takes_the_issue_out_of_sight(tracker: Inhabited) -> None:
    """A closed issue is shown only to who knows it."""
    issue = tracker.new("It crashes", "", author="alice")
    close = CloseIssue(issue=issue, body="Merged.")
    made = tracker.act("op-1", close)
    assert tracker.observe(frozenset()) == ()
    shown = only(tracker, frozenset({issue}))
    assert (shown.state, shown.comments[-1].body, shown.comments[-1].ours) == ("closed", "Merged.", True)
    assert tracker.find("op-1", close) == made


def test_what_a_person_reopened_is_not_closed_again(tracker: Inhabited) -> None:
    """The first closing took place: it is found, so it is not repeated against a person's will."""
    issue = tracker.new("It crashes", "", author="alice")
    close = CloseIssue(issue=issue, body="Merged.")
    made = tracker.act("op-1", close)
    tracker.reopen(issue)
    assert tracker.find("op-1", close) == made
    assert tracker.act("op-1", close) == made
    assert only(tracker).state == "open"


def test_what_a_person_closes_is_closed(tracker: Inhabited) -> None:
    """With their reason as the last word."""
    issue = tracker.new("It crashes", "", author="alice")
    tracker.close(issue, reason="Never mind.", author="alice")
    shown = only(tracker, frozenset({issue}))
    assert (shown.state, shown.comments[-1].body, shown.comments[-1].ours) == ("closed", "Never mind.", False)


def test_the_loop_may_speak_on_a_closed_issue(tracker: Inhabited) -> None:
    """Late words are possible, and do not open it."""
    issue = tracker.new("It crashes", "", author="alice")
    tracker.close(issue, reason="", author="alice")
    tracker.act("op-1", Say(issue=issue, body="For the record."))
    assert only(tracker, frozenset({issue})).state == "closed"


def test_labels_are_put_on_and_taken_off(tracker: Inhabited) -> None:
    """Others stay, and doing it again changes nothing."""
    issue = tracker.new("It crashes", "", author="alice", labels=("bug", "waiting"))
    label = Label(issue=issue, add=("planned",), remove=("waiting",))
    assert tracker.find("op-1", label) is None
    tracker.act("op-1", label)
    tracker.act("op-1", label)
    assert only(tracker).labels == ("bug", "planned")
    assert tracker.find("op-1", label) is not None


def test_numbers_are_not_used_again(tracker: Inhabited) -> None:
    """A closed issue keeps its number to itself."""
    first = tracker.new("One", "", author="alice")
    tracker.close(first, reason="", author="alice")
    assert tracker.new("Two", "", author="alice") != first


def test_an_issue_that_is_not_there_is_said_so(tracker: Inhabited) -> None:
    """Nothing is made up for it, and looking for its effects finds none."""
    with pytest.raises(NotFoundError):
        tracker.act("op-1", Say(issue="77", body="Hello?"))
    assert tracker.find("op-1", Say(issue="77", body="Hello?")) is None


def test_long_words_are_cut_and_say_so(tracker: Inhabited) -> None:
    """The loop sees a bounded part of what people wrote, and that it is a part."""
    issue = tracker.new("It crashes", "b" * (BODY_LIMIT + 1), author="alice")
    tracker.comment(issue, "c" * (COMMENT_LIMIT + 1), author="alice")
    shown = only(tracker)
    assert shown.body.startswith("b" * BODY_LIMIT + "\n\n[cut here: 20,001 characters in all")
    assert shown.comments[0].body.startswith("c" * COMMENT_LIMIT + "\n\n[cut here: 8,001 characters in all")


def test_the_kept_comment_is_made_once_and_then_edited_in_place(tracker: Inhabited) -> None:
    """Its words change, its place and its id do not; each version is found by its operation alone."""
    issue = tracker.new("It crashes", "", author="alice")
    first, second = Keep(issue=issue, body="Planned."), Keep(issue=issue, body="Merged.\n\nAll of it.")
    assert tracker.find("keep:1:a", first) is None
    made = tracker.act("keep:1:a", first)
    tracker.act("op-1", Say(issue=issue, body="A question."))
    assert tracker.find("keep:1:a", first) == made
    assert tracker.find("keep:1:b", second) is None

    assert tracker.act("keep:1:b", second) == made
    assert tracker.act("keep:1:b", second) == made
    assert tracker.find("keep:1:b", second) == made
    assert tracker.find("keep:1:a", first) is None
    shown = only(tracker).comments
    assert [(one.id, one.body, one.ours) for one in shown] == [
        (made, "Merged.\n\nAll of it.", True),
        (shown[1].id, "A question.", True),
    ]


def test_the_kept_comment_may_say_again_what_it_said_before(tracker: Inhabited) -> None:
    """From one state to the next and back: another operation, and the first words stand there again."""
    issue = tracker.new("It crashes", "", author="alice")
    for op, body in (("keep:1:a", "Queued."), ("keep:1:b", "Working."), ("keep:1:a:2", "Queued.")):
        assert tracker.find(op, Keep(issue=issue, body=body)) is None
        tracker.act(op, Keep(issue=issue, body=body))
    assert [one.body for one in only(tracker).comments] == ["Queued."]


def test_eyes_are_left_once_on_an_issue_and_once_on_a_comment(tracker: Inhabited) -> None:
    """What was left is found; words and comments stay as they are."""
    issue = tracker.new("It crashes", "", author="alice")
    said = tracker.comment(issue, "Still there.", author="bob")
    before = only(tracker)
    for op, effect in (("eyes:1", React(issue=issue)), ("eyes:1:c", React(issue=issue, comment=said))):
        made = tracker.act(op, effect)
        assert tracker.find(op, effect) == made
        assert tracker.act(op, effect) == made
    assert only(tracker) == before
