"""What threads should show, by values: the kept comment's words, what stopped, labels, eyes."""

from __future__ import annotations

from datetime import timedelta

import pytest

from agentloop.domain import facts as f
from agentloop.domain import labels, showing
from agentloop.domain.effects import Keep, Label, Say
from agentloop.domain.issue import Comment
from agentloop.domain.kept import WIDTH, kept
from agentloop.domain.valueclass import replace
from agentloop.testing.samples import BEGAN, COMMIT, Told, issue, task

ISSUE = "web-7"


def planned(*names: str) -> Told:
    """An issue on GitHub that was cut into tasks."""
    told = Told().issue(ISSUE)
    return told.planned(*(names or (f"{ISSUE}.1",)))


def words(told: Told) -> str:
    """The kept comment."""
    found = kept(told.scene(), told.world.issues[ISSUE])
    assert found is not None
    return found.body


def shown(told: Told) -> Told:
    """As it is after everything that was due was shown."""
    for one in showing.due(told.scene()):
        told.add(f.Shown(about=one.about, digest=one.digest, last=one.last))
    return told


def effects(told: Told) -> list[object]:
    """What is to be shown."""
    return [one.effect for one in showing.due(told.scene())]


def test_nothing_is_kept_on_an_issue_without_a_plan() -> None:
    """A question is a comment of its own, and eyes say that it was seen."""
    told = Told().issue(ISSUE)
    assert [type(one) for one in effects(told)] == [Label]


def test_what_is_shown_already_is_not_due() -> None:
    """And what changed is: the comment with its new words, the label in its place."""
    told = shown(planned())
    told.issues[ISSUE] = replace(told.issues[ISSUE], labels=("bug", labels.QUEUED))
    assert showing.due(told.scene()) == ()
    told.published(f"{ISSUE}.1.1", number="web-9")
    keep, label = effects(told)
    assert isinstance(keep, Keep)
    assert "pull request web-9 waits for your review" in keep.body
    assert label == Label(issue=ISSUE, add=(labels.IN_REVIEW,), remove=(labels.QUEUED,))


def test_figures_alone_change_nothing() -> None:
    """What was spent is told with the next change: an edit for each cent would be noise."""
    told = shown(planned())
    before = words(told)
    told.add(f.Settled(purse="admin:1", micros=90_000, issues=(ISSUE,)))
    told.issues[ISSUE] = replace(told.issues[ISSUE], labels=(labels.QUEUED,))
    assert words(told) == before
    assert showing.due(told.scene()) == ()


def test_an_issue_that_is_over_shows_its_end_once() -> None:
    """Then it is not looked at again, whatever its labels are; opened again, it is."""
    told = shown(planned().published(f"{ISSUE}.1.1", number="web-9"))
    told.add(f.Merged(task=f"{ISSUE}.1", pull="web-9", commit=COMMIT))
    told.add(f.IssueClosed(issue=ISSUE, by="loop"))
    keep, label = effects(told)
    assert isinstance(keep, Keep)
    assert keep.body.startswith("**Plan** · 1 of 1 task done · closed")
    assert label == Label(issue=ISSUE, add=(labels.DONE,))
    shown(told)
    assert (effects(told), told.world.shown) == ([], {})
    told.add(f.IssueReopened(issue=ISSUE))
    assert [type(one) for one in effects(told)] == [Keep, Label]


def test_what_stops_together_is_said_in_one_comment_and_once() -> None:
    """With the author called; a task that stops later is said by itself, one that goes on is not."""
    told = shown(planned(f"{ISSUE}.1", f"{ISSUE}.2", f"{ISSUE}.3"))
    told.add(f.Parked(task=f"{ISSUE}.1", reason="no way")).add(f.Parked(task=f"{ISSUE}.2", reason="none"))
    (said,) = [one for one in effects(told) if isinstance(one, Say)]
    assert said.mention == "ana"
    assert said.body.startswith(f"**Stopped:** tasks {ISSUE}.1, {ISSUE}.2.")
    assert f"- {ISSUE}.1: no way\n- {ISSUE}.2: none" in said.body
    shown(told)
    assert [one for one in effects(told) if isinstance(one, Say)] == []
    told.add(f.SentBack(task=f"{ISSUE}.1")).add(f.Parked(task=f"{ISSUE}.3", reason="nor here"))
    (said,) = [one for one in effects(told) if isinstance(one, Say)]
    assert said.body.startswith(f"**Stopped:** task {ISSUE}.3.\n\nWhy: nor here")


def test_nobody_is_called_in_the_built_in_tracker_and_no_label_put_on() -> None:
    """Its commands tell the state; names there are of this machine."""
    told = Told().issue("7").planned("7.1").add(f.Parked(task="7.1", reason="no"))
    keep, said = effects(told)
    assert (type(keep), isinstance(said, Say) and said.mention) == (Keep, "")


def test_eyes_are_for_words_that_count_and_for_each_once() -> None:
    """A trusted person's, on GitHub, when they are news: the issue, its newest comment, then each new one."""
    said = tuple(
        Comment(id=str(n), author="ana", body="hm", at=BEGAN + timedelta(minutes=n), trusted=n != 3)
        for n in range(1, 5)
    )
    told = Told().issue(ISSUE, comments=said[:2])
    news = [told.entries[-1].facts[0]]
    first = showing.glances(told.scene(), news)
    assert [one.effect.comment for one in first] == ["", "2"]
    for one in first:
        told.add(f.EffectIntended(op=one.op, effect=one.effect), f.EffectDone(op=one.op, result="r"))
    assert showing.glances(told.scene(), news) == ()
    told.issue(ISSUE, comments=said)
    assert [one.effect.comment for one in showing.glances(told.scene(), news)] == ["4"]
    assert showing.glances(told.scene(), []) == ()
    assert showing.glances(Told().issue("7").scene(), [*news]) == ()


@pytest.mark.parametrize("tasks", [1, 3, 12])
def test_the_kept_comment_fits_a_phone(tasks: int) -> None:
    """At most 25 lines that are not folded, whatever a plan holds, and no table."""
    names = [f"{ISSUE}.{n}" for n in range(1, tasks + 1)]
    long = tuple(
        replace(
            one,
            title="word " * 40,
            contract=replace(
                one.contract, goal="goal " * 200, criteria=tuple("crit " * 50 for _ in range(9))
            ),
        )
        for one in map(task, names)
    )
    told = Told().issue(ISSUE)
    told.planned(*long)
    body = words(told)
    lines = filter(None, body.partition("<details>")[0].splitlines())
    assert sum(-(-len(line) // WIDTH) for line in lines) <= 25
    assert "|" not in body
    assert body.endswith("</details>")


def test_a_label_that_a_person_took_off_is_put_on_again() -> None:
    """Though nothing else happened; while that is under way nobody tries twice."""
    told = shown(Told().issue(ISSUE))
    assert showing.left(told.scene())
    label = Label(issue=ISSUE, add=(labels.QUEUED,))
    told.add(f.EffectIntended(op="label:x", effect=label))
    assert not showing.left(told.scene())
    told.add(f.EffectDone(op="label:x", result=ISSUE))
    assert effects(told) == [label]
    told.issues[ISSUE] = issue(ISSUE, labels=(labels.QUEUED,))
    assert not showing.left(told.scene())
