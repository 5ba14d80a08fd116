"""What counts as new: evidence, the fingerprint, news, and the matters that only judgement can settle."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentloop.domain import decisions as d
from agentloop.domain import facts as f
from agentloop.domain.effects import StartAttempt, operation
from agentloop.domain.issue import Comment, PullCheck
from agentloop.domain.observed import AttemptEnded, GateEnded, Lost, Observed, Running
from agentloop.domain.resets import waits_until
from agentloop.domain.signals import (
    digest,
    evidence_for,
    evidence_of,
    fingerprint,
    job_news,
    matters,
    news,
    time_of,
    used_up,
    worn_out,
)
from agentloop.domain.states import Queued
from agentloop.domain.work import Blocked, End, GateBroken, LimitedBy, NothingDone, Outcome
from agentloop.domain.world import World
from agentloop.testing.samples import (
    BEGAN,
    SLICE,
    Told,
    delivered,
    finding,
    issue,
    pull,
    review,
    verdict,
)


def said(body: str, name: str = "c1", **changes: Any) -> Comment:  # noqa: ANN401 - any field
    """A trusted person's comment."""
    return replace(Comment(id=name, author="ana", body=body, at=BEGAN), **changes)


def test_the_words_of_trusted_people_are_evidence() -> None:
    """Title, body, each comment: any change of one is new; but a comment that is edited stays the same."""
    first = issue(comments=(said("yes"),))
    changed = [
        issue(),
        issue(comments=(said("yes"), said("yes", "c2"))),
        issue(title="other", comments=(said("yes"),)),
        issue(body="other", comments=(said("yes"),)),
    ]
    found = {evidence_of(one) for one in [first, *changed]}
    assert len(found) == 5
    assert evidence_of(issue(comments=(said("no"),))) == evidence_of(first)
    assert evidence_of(first) == evidence_of(issue(comments=(said("yes"),)))


def test_our_own_words_labels_times_and_outsiders_are_no_evidence() -> None:
    """They start nothing."""
    alike = [
        issue(labels=("high",)),
        issue(created_at=BEGAN + timedelta(days=1)),
        issue(comments=(said("**Plan**", ours=True),)),
        issue(comments=(said("do as I say", trusted=False),)),
    ]
    assert {evidence_of(one) for one in alike} == {evidence_of(issue())}


def test_words_cannot_be_moved_between_title_body_and_comments_unseen() -> None:
    """What is hashed is not just put together."""
    assert evidence_of(issue(title="a", body="bc")) != evidence_of(issue(title="ab", body="c"))


def test_the_same_failure_with_other_numbers_is_the_same_evidence() -> None:
    """Timings, counts and addresses; the order of findings too. Other words are another failure."""
    view = Told().issue().planned("7.1").world.tasks["7.1"]

    def of(*says: str) -> str:
        return evidence_for(view, Queued(findings=tuple(finding(one) for one in says)))

    assert of("1 failed in 0.31s at 0x7f3a", "x") == of("x", "2 failed in 17s at 0xbeef")
    assert len({of("KeyError"), of("IndexError"), of()}) == 3


def test_guidance_and_starting_from_scratch_are_new_evidence() -> None:
    """A retry on them is not the same try again."""
    view = Told().issue().planned("7.1").world.tasks["7.1"]
    found = [
        Queued(),
        Queued(guidance="g"),
        Queued(from_scratch=True),
        Queued(guidance="g", from_scratch=True),
    ]
    assert len({evidence_for(view, one) for one in found}) == 4
    waits = Queued(not_before=BEGAN, why="w")
    assert evidence_for(view, waits) == evidence_for(view, Queued())


@pytest.mark.parametrize(("outcome", "expected"), [(NothingDone(reason="r"), True), (None, False)])
def test_only_an_end_by_its_own_verdict_uses_evidence_up(outcome: Outcome | None, expected: bool) -> None:  # noqa: FBT001 - a row
    """A kill does not."""
    told = Told().issue().planned("7.1").started("7.1.1")
    told.lost("7.1.1") if outcome is None else told.ended("7.1.1", outcome)
    view = told.world.tasks["7.1"]
    assert used_up(view, evidence_for(view, Queued())) is expected


def look(**changes: Any) -> Observed:  # noqa: ANN401 - any field
    """One look at an issue and a pull request."""
    return replace(Observed(now=BEGAN, issues=(issue(),), pulls=(pull(),)), **changes)


WORLD = Told().issue().planned("7.1").published("7.1.1").world


def test_what_people_do_changes_the_fingerprint() -> None:
    """Each of these differs from the look before, and from the others."""
    changed = [
        look(),
        look(issues=(issue(), issue("8"))),
        look(issues=(issue(body="more"),)),
        look(issues=(issue(labels=("critical",)),)),
        look(issues=(issue(state="closed"),)),
        look(pulls=(pull(reviews=(review(),)),)),
        look(pulls=(pull(state="merged"),)),
        look(pulls=(pull(state="closed"),)),
        look(pulls=(pull(head="9" * 40),)),
        look(pulls=(pull(mergeable=False),)),
        look(pulls=(pull(checks=(PullCheck(name="ci", state="failed"),)),)),
        look(human="please hurry"),
    ]
    assert len({fingerprint(WORLD, one) for one in changed}) == len(changed)


def test_clocks_counters_and_our_own_words_leave_the_fingerprint_alone() -> None:
    """A look a day later, running attempts and their spending, our comments, the order of what was listed."""
    running = Running(attempt="7.1.1", role="attempt", beat_at=BEGAN, spent_micros=7, doing="sh")
    alike = [
        look(),
        look(now=BEGAN + timedelta(days=1)),
        look(seen=(running,)),
        look(problems=("the clock is behind",)),
        look(issues=(issue(comments=(said("**Plan**", ours=True),)),)),
        look(pulls=(pull(reviews=(review(ours=True),)),)),
        look(pulls=(pull(mergeable=None),)),
        look(pulls=(pull(title="a better title", body="another"),)),
    ]
    assert len({fingerprint(WORLD, one) for one in alike}) == 1


def test_what_outsiders_do_leaves_the_fingerprint_alone() -> None:
    """Their issues, and what they say on a pull request of ours, are no signal that anything moves."""
    alike = [
        look(),
        look(issues=(issue(), issue("8", trusted=False))),
        look(issues=(issue(), issue("8", trusted=False, state="closed"))),
        look(pulls=(pull(reviews=(review(trusted=False),)),)),
    ]
    assert len({fingerprint(WORLD, one) for one in alike}) == 1


def test_our_own_pull_request_push_and_closing_leave_the_fingerprint_alone() -> None:
    """The name before we published, pushed again or closed the issue is the name afterwards."""
    told = Told().issue().planned("7.1")
    before = fingerprint(told.published("7.1.1").world, look(pulls=()))
    assert fingerprint(told.world, look()) == before
    told.add(f.SentBack(task="7.1", findings=(finding(),), heard=("r1",))).published("7.1.2", commit="d" * 40)
    heard = pull(reviews=(review(),))
    assert fingerprint(told.world, look(pulls=(replace(heard, head="d" * 40),))) != before
    told.add(f.Merged(task="7.1", pull="1", commit="m")).add(f.IssueClosed(issue="7", by="loop"))
    closed = look(issues=(issue(state="closed"),), pulls=())
    assert fingerprint(told.world, closed) == fingerprint(told.world, look(issues=(), pulls=()))


def test_an_issue_is_news_when_it_is_new_or_changed_and_not_otherwise() -> None:
    """Seen once; a label is told too, because it moves the order of work."""
    world = World()
    (seen,) = news(world, look())
    assert isinstance(seen, f.IssueSeen)
    told = Told().issue()
    assert news(told.world, look()) == ()
    for changed in (issue(labels=("high",)), issue(title="x"), issue(body="x"), issue(target="calc")):
        assert [type(one) for one in news(told.world, look(issues=(changed,)))] == [f.IssueSeen]


def test_an_outsiders_issue_is_no_news() -> None:
    """It is not there, whatever it says."""
    assert news(World(), look(issues=(issue(trusted=False),))) == ()


def test_closing_and_reopening_are_news_once() -> None:
    """By a person; an issue that was never seen open is none."""
    told = Told().issue()
    closed = look(issues=(issue(state="closed"),))
    assert news(World(), closed) == ()
    assert news(told.world, closed) == (f.IssueClosed(issue="7", by="person"),)
    told.add(f.IssueClosed(issue="7", by="person"))
    assert news(told.world, closed) == ()
    assert news(told.world, look()) == (f.IssueReopened(issue="7"),)


def end(outcome: Outcome) -> End:
    """An end record."""
    return End(attempt="7.1.1", outcome=outcome, at=BEGAN, turns=4, sandboxed=True, models=("m", "n"))


def test_an_ended_attempt_is_settled_by_its_ledger() -> None:
    """Under the model that answered."""
    told = Told().issue().planned("7.1").started("7.1.1")
    ended = AttemptEnded(end=end(delivered()), settled_micros=5, unresolved_micros=2)
    assert job_news(told.world, ended) == [
        f.AttemptEnded(attempt="7.1.1", outcome=delivered(), turns=4, sandboxed=True, models=("m", "n")),
        f.Settled(purse="attempt:7.1.1", micros=5, unresolved_micros=2, model="m"),
    ]


def test_a_providers_limit_holds_for_the_whole_house() -> None:
    """Nobody else is started, or asked, to meet it again."""
    told = Told().issue().planned("7.1").started("7.1.1")
    until = BEGAN + timedelta(hours=5)
    limited = AttemptEnded(end=end(LimitedBy(until=until, detail="d")), settled_micros=0, unresolved_micros=0)
    again = waits_until(until, limited.end.at, seed="7.1.1")
    assert timedelta(seconds=5) <= again - until <= timedelta(seconds=30)
    assert f.LimitReached(until=again, detail="d") in job_news(told.world, limited)


@pytest.mark.parametrize(
    ("began", "spent", "expected"),
    [(True, 7, (7, 0)), (True, 0, (0, 0)), (True, None, (0, SLICE)), (False, None, (0, 0))],
)
def test_a_killed_attempt_counts_what_it_may_have_spent(
    began: bool,  # noqa: FBT001 - a row
    spent: int | None,
    expected: tuple[int, int],
) -> None:
    """By its ledger; all it was given when that is gone too, and nothing when it never came to be."""
    told = Told().issue().planned("7.1").started("7.1.1")
    op = operation("start", "7.1.1")
    told.add(f.EffectIntended(op=op, effect=StartAttempt(attempt="7.1.1")))
    if began:
        told.add(f.EffectDone(op=op, result="7.1.1"))
    lost, settled = job_news(told.world, Lost(attempt="7.1.1", role="attempt", spent_micros=spent))
    assert lost == f.AttemptLost(attempt="7.1.1")
    assert isinstance(settled, f.Settled)
    assert (settled.micros, settled.unresolved_micros) == expected


def test_a_gate_says_its_verdict_or_why_it_has_none() -> None:
    """Killed, or broken with its fix."""
    world = World()
    green = verdict("7.1.1")
    broken = GateBroken(attempt="7.1.1", reason="no sandbox", at=BEGAN, fix="apt install bubblewrap")
    assert job_news(world, GateEnded(attempt="7.1.1", verdict=green)) == [f.Judged(verdict=green)]
    assert job_news(world, GateEnded(attempt="7.1.1", verdict=broken)) == [
        f.GateLost(attempt="7.1.1", reason="no sandbox; apt install bubblewrap")
    ]
    assert job_news(world, Lost(attempt="7.1.1", role="gate")) == [
        f.GateLost(attempt="7.1.1", reason="its process was killed")
    ]


def kinds(told: Told, **changes: Any) -> list[str]:  # noqa: ANN401 - any field
    """What waits for judgement."""
    return [f"{one.kind} {one.about}" for one in matters(told.world, told.scene(**changes).observed)]


def test_new_words_green_results_attempts_without_one_and_a_persons_words_are_matters() -> None:
    """What rules can do is none."""
    told = Told().issue().planned("7.1", "7.2", "7.3").green("7.1.1")
    told.started("7.2.1").ended("7.2.1", Blocked(reason="r")).started("7.3.1").ended("7.3.1", delivered())
    told.issue("8")
    assert kinds(told, human="hurry") == ["human relay", "green 7.1.1", "returned 7.2.1", "issue 8"]


def test_a_critical_issue_comes_before_everything_and_others_in_the_order_of_urgency() -> None:
    """Among hundreds, the few that are shown are the ones that matter."""
    told = Told().issue("1").planned("1.1").green("1.1.1")
    for number, label in (("12", ""), ("9", ""), ("30", "low"), ("31", "critical"), ("32", "high")):
        told.issue(number, labels=(label,))
    assert kinds(told) == ["issue 31", "green 1.1.1", "issue 32", "issue 9", "issue 12", "issue 30"]


def test_a_matter_is_shown_twice_at_most_and_failed_on_three_times() -> None:
    """A person's words in the relay once: they ask for no answer."""
    told = Told().issue()
    (matter,) = matters(told.world, told.scene().observed)
    assert not worn_out(told.world, matter.id)
    told.world.considered[matter.id] = 2
    assert kinds(told) == []
    told.world.considered[matter.id] = 1
    told.world.failures[matter.id] = 3
    assert kinds(told) == []
    told.world.failures[matter.id] = 2
    assert kinds(told) == ["issue 7"]
    (human,) = [one for one in matters(told.world, told.scene(human="hi").observed) if one.kind == "human"]
    told.world.considered[human.id] = 1
    assert worn_out(told.world, human.id)


def test_new_words_make_a_new_matter_of_a_worn_out_issue() -> None:
    """A person can always be heard again."""
    told = Told().issue()
    told.world.considered[f"issue:7:{told.world.issues['7'].evidence}"] = 2
    assert kinds(told) == []
    assert kinds(told.issue(body="in other words")) == ["issue 7"]


def test_an_issue_that_nobody_can_see_now_is_no_matter() -> None:
    """The tracker is out of reach: there would be no words to show."""
    assert kinds(Told().issue(), issues=()) == []


def test_the_moment_a_hibernation_was_to_end_is_a_matter() -> None:
    """Once it has come; other conditions are news of their own."""
    told = Told()
    wakes = (d.Wake(on="time", which="2026-11-02T10:00:00Z"), d.Wake(on="issue"))
    told.add(f.Slept(until=None, kind="hibernating", reason="r", wake=wakes))
    assert kinds(told) == []
    told.now += timedelta(hours=1)
    assert kinds(told) == ["woken sleep"]


@pytest.mark.parametrize(
    "which", ["tomorrow", "", "2026-11-02", "2026-11-02T10:00:00", "99999-01-01T00:00:00Z"]
)
def test_a_moment_that_cannot_be_read_is_none(which: str) -> None:
    """Without a time zone it is none either."""
    assert time_of(d.Wake(on="time", which=which)) is None
    assert time_of(d.Wake(on="issue", which="2026-11-02T10:00:00Z")) is None


@given(st.text(max_size=30), st.text(max_size=30), st.lists(st.text(max_size=20), max_size=4))
def test_evidence_is_total_and_stable(title: str, body: str, comments: list[str]) -> None:
    """Any characters at all."""
    one = issue(
        title=title, body=body, comments=tuple(said(text, f"c{n}") for n, text in enumerate(comments))
    )
    assert evidence_of(one) == evidence_of(replace(one))
    assert len(evidence_of(one)) == 16


def test_five_thousand_issues_are_looked_through_at_once() -> None:
    """Not each against each."""
    told = Told()
    for number in range(5000):
        told.issue(str(number + 1))
    scene = told.scene()
    began = time.process_time()
    assert len(matters(scene.world, scene.observed)) == 5000
    assert time.process_time() - began < 5


def test_a_list_that_does_not_show_our_last_word_yet_reopens_nothing() -> None:
    """What we closed is open in a list that lags; once our word is there, it is a person who opened it."""
    world = Told().issue().add(f.IssueClosed(issue="7", by="loop", word="c9")).world
    stale = Observed(now=BEGAN, issues=(issue(),))
    assert news(world, stale) == ()
    opened = Observed(now=BEGAN, issues=(issue(comments=(said("**Done.**", "c9", ours=True),)),))
    assert f.IssueReopened(issue="7") in news(world, opened)


def test_an_issue_that_the_last_merge_closed_is_left_for_us_to_end() -> None:
    """Not when other work is left for it: then a person has closed it."""
    merged = pull(state="merged")
    for tasks, expected in ((("7.1",), ()), (("7.1", "7.2"), (f.IssueClosed(issue="7", by="person"),))):
        story = Told().issue().planned(*tasks).published("7.1.1")
        observed = Observed(now=BEGAN, issues=(issue(state="closed"),), pulls=(merged,))
        assert news(story.world, observed) == expected


def test_words_named_by_an_older_version_are_not_new() -> None:
    """Its journals named comments by what they say as well: nobody is asked about them again."""
    seen = issue(comments=(said("yes"),))
    before = digest(seen.title, seen.body, "c1", "yes")
    known = f.IssueSeen(issue="7", title=seen.title, target="", priority="normal", evidence=before)
    told = Told().issue(comments=(said("yes"),)).add(known)
    assert news(told.world, told.scene(issues=(seen,)).observed) == ()
