"""Every effect with who asked for it, who decided it, and the rule that allowed it."""

from __future__ import annotations

from datetime import timedelta

from agentloop.domain import effects as e
from agentloop.domain import facts as f
from agentloop.domain.audit import Done, audit, concerns, where
from agentloop.domain.wording import asked_by, commit_message
from agentloop.domain.work import Finding
from agentloop.testing.samples import COMMIT, Told

SAY = e.Say(issue="7", body="**Plan**")
PUSH = e.Push(target="calc", branch="agentloop/7.1-say", commit=COMMIT)


def begun(op: str, effect: e.Effect, **changes: str) -> f.EffectIntended:
    """An intent as this version writes it."""
    known = {"by": "rules", "decision": "Publish", "asked": "ana", "rule": "autonomy draft (target calc)"}
    return f.EffectIntended(op=op, effect=effect, **{"concerns": "7", **known, **changes})


def found(told: Told, **asked: str) -> list[tuple[str, str, str, str]]:
    """Kind, outcome, who asked and who decided, oldest first."""
    return [(one.kind, one.outcome, one.asked, one.decided) for one in audit(told.entries, **asked)]  # type: ignore[arg-type]


def test_an_effect_is_told_with_its_end_who_asked_and_the_rule() -> None:
    """One line for intent and end together."""
    told = Told().issue().add(begun("o1", PUSH)).add(f.EffectDone(op="o1", result=COMMIT))
    (one,) = audit(told.entries)
    assert one == Done(
        at=told.entries[1].at,
        cycle=2,
        op="o1",
        kind="push",
        what=f"push {COMMIT[:10]} to agentloop/7.1-say in calc",
        where="calc: agentloop/7.1-say",
        issue="7",
        outcome="done",
        result=COMMIT,
        why="",
        asked="ana",
        by="rules",
        decision="Publish",
        rule="autonomy draft (target calc)",
    )
    assert one.decided == "rules, Publish"


def test_what_was_refused_and_what_nobody_knows_are_told_as_that() -> None:
    """Refused and tried again it is two."""
    told = Told().issue().add(begun("o1", PUSH)).add(f.EffectFailed(op="o1", why="the branch moved"))
    told.add(begun("o1", PUSH)).add(begun("o2", SAY, by="admin", decision="Plan"))
    assert found(told) == [
        ("push", "failed", "ana", "rules, Publish"),
        ("push", "open", "ana", "rules, Publish"),
        ("say", "open", "ana", "admin, Plan"),
    ]


def test_it_can_be_asked_for_one_issue_and_from_a_moment_on() -> None:
    """Both bounds hold together."""
    told = Told().issue().add(begun("o1", PUSH)).add(begun("o2", e.Say(issue="8", body="b"), concerns="8"))
    assert [one.op for one in audit(told.entries, issue="8")] == ["o2"]
    assert [one.op for one in audit(told.entries, since=told.now - timedelta(seconds=1))] == ["o2"]


def test_an_old_journal_says_what_was_done_and_nobodys_name() -> None:
    """Nothing is made up."""
    told = Told().issue().add(f.EffectIntended(op="o1", effect=SAY))
    assert found(told) == [("say", "open", "", "not recorded")]
    assert [one.issue for one in audit(told.entries)] == ["7"]


def test_every_effect_is_for_an_issue_or_for_none() -> None:
    """By the task of its branch, pull request or attempt."""
    world = Told().issue().planned("7.1").published("7.1.1").world
    for effect in (
        *(SAY, PUSH, e.SayOnPull(pull="1", body="b"), e.StartAttempt(attempt="7.1.1")),
        *(e.StartGate(attempt="7.1.1", commit=COMMIT), e.CloseIssue(issue="7", body="b")),
    ):
        assert (concerns(world, effect)[0], bool(where(effect))) == ("7", True)
    assert concerns(world, e.SayOnPull(pull="99", body="b")) == ("", None)


def test_a_commit_names_who_asked_and_the_rule_in_its_trailers() -> None:
    """Behind task and attempt: the author, reviewers whose words it answers, autonomy and approval."""
    told = Told().issue().planned("7.1").published("7.1.1")
    view = told.world.tasks["7.1"]
    told.add(f.SentBack(task="7.1", findings=(Finding(kind="review", about="cara", says="no"),)))
    told.started("7.1.2")
    view = told.world.tasks["7.1"]
    assert view.last is not None
    asked = asked_by(told.world.issues["7"], view, view.last)
    said = commit_message(view.task, view.last, "done", asked=asked, allowed="autonomy draft (target calc)")
    assert said.splitlines()[-5:] == [
        "Task: 7.1",
        "Attempt: 7.1.2",
        "Requested-by: issue 7",
        "Requested-by: cara (review of pull request 1)",
        "Allowed-by: autonomy draft (target calc)",
    ]
