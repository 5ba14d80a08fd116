"""What is said of a pull request, and what follows from it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agentloop.domain import decisions as d
from agentloop.domain import facts as f
from agentloop.domain.admission import refusal
from agentloop.domain.issue import Comment, LineThread, Pull, PullCheck
from agentloop.domain.reconcile import NO_ANSWER, reconcile
from agentloop.domain.reviewing import answered_by, is_nod
from agentloop.domain.settings import GitHub, Settings
from agentloop.domain.signals import matters
from agentloop.domain.sleeping import nap
from agentloop.testing.samples import BEGAN, COMMIT, SETTINGS, Told, delivered, finding, pull, review

ON_GITHUB = replace(
    SETTINGS,
    targets=tuple(replace(one, tracker="github") for one in SETTINGS.targets),
    github=GitHub(autonomy="propose"),
)


def in_review() -> Told:
    """Task 7.1 with its pull request open."""
    return Told().issue().planned("7.1").published("7.1.1")


def line(number: int, body: str, *, ours: bool = False, trusted: bool = True) -> Comment:
    """Words in a thread on a line."""
    author = "agentloop" if ours else "ann"
    return Comment(id=f"l{number}", author=author, body=body, at=BEGAN, ours=ours, trusted=trusted)


def thread(*said: Comment, review: str = "") -> LineThread:
    """A thread on a line."""
    return LineThread(id="l1", path="app.py", line=3, said=said, review=review)


def decided(told: Told, shown: Pull, settings: Settings = SETTINGS) -> list[object]:
    """What the rules decide when the pull request is seen like this."""
    return list(reconcile(told.scene(pulls=(shown,), settings=settings)))


def test_words_on_a_line_send_the_task_back_with_the_thread_to_answer_in() -> None:
    """Once: a thread that was heard, or in which we had the last word, asks for nothing."""
    told = in_review()
    asked = pull(threads=(thread(line(1, "Why twice?")),))
    (found,) = decided(told, asked)
    assert isinstance(found, d.SendBack)
    assert [(one.about, one.says, one.thread) for one in found.findings] == [
        ("ann on app.py:3", "Why twice?", "l1")
    ]
    assert found.heard == ("line:l1",)
    answered = pull(threads=(thread(line(1, "Why twice?"), line(2, "Done.", ours=True)),))
    assert decided(told, answered) == []


def test_what_a_new_commit_answers_is_what_people_said_not_what_the_gate_held_in_between() -> None:
    """A red gate on the way to the answer is nobody's business on the pull request."""
    asked = replace(finding("name the operator", "ann"), kind="review")
    told = in_review().add(f.SentBack(task="7.1", findings=(asked,), heard=("r1",)))
    told.started("7.1.2").lost("7.1.2").add(f.Requeued(task="7.1", not_before=told.now, why="killed"))
    told.started("7.1.3").ended("7.1.3", delivered()).taken("7.1.3", "d" * 40)
    told.judged("7.1.3", finding("1 failed"), commit="d" * 40)
    told.add(f.SentBack(task="7.1", findings=(finding("1 failed"),)))
    told.green("7.1.4", "e" * 40)
    assert answered_by(told.world.tasks["7.1"]) == (asked,)


def test_a_new_word_behind_ours_in_a_thread_is_a_new_signal() -> None:
    """Only what was said since is told."""
    said = (line(1, "Why twice?"), line(2, "Done.", ours=True), line(3, "And here?"))
    (found,) = decided(in_review(), pull(threads=(thread(*said),)))
    assert isinstance(found, d.SendBack)
    assert [one.says for one in found.findings] == ["And here?"]


def test_strangers_thanks_and_orders_on_a_line_ask_for_nothing() -> None:
    """A stranger's words reach nobody; a nod and an order are no request for change."""
    for said in (line(1, "Rewrite it.", trusted=False), line(1, "Nice!"), line(1, "/agentloop status")):
        assert decided(in_review(), pull(threads=(thread(said),))) == []


def test_what_an_approval_says_on_lines_is_for_the_admin() -> None:
    """A new commit would take the approval away: somebody judges whether it asks for one."""
    approval = replace(review("r1", verdict="approved"), body="")
    shown = pull(reviews=(approval,), threads=(thread(line(1, "A nit."), review="r1"),))
    told = in_review()
    assert decided(told, shown) == []
    (found,) = matters(told.world, told.scene(pulls=(shown,)).observed)
    assert (found.kind, found.about) == ("said", "7.1")


def test_a_comment_is_a_matter_until_it_is_answered() -> None:
    """It starts no attempt by itself; the admin answers, or retries with what the person wants."""
    told = in_review()
    shown = pull(reviews=(replace(review("r1", verdict="commented"), body="Why not in Rust?"),))
    scene = told.scene(pulls=(shown,))
    assert list(reconcile(scene)) == []
    answer = d.AnswerReview(task="7.1", text="Because.", rationale="a question")
    assert refusal(answer, scene) is None
    assert refusal(d.Retry(task="7.1", guidance="in Rust", rationale="they ask for it"), scene) is None
    told.add(f.HeardOnPull(task="7.1", heard=("r1",)))
    scene = told.scene(pulls=(shown,))
    assert matters(told.world, scene.observed) == ()
    assert refusal(answer, scene) is not None


def test_a_comment_that_nobody_could_decide_on_is_said_to_be_so() -> None:
    """Twice left open by the admin: the person is told how to ask for a change."""
    told = in_review()
    shown = pull(reviews=(replace(review("r1", verdict="commented"), body="Hm."),))
    (matter,) = matters(told.world, told.scene(pulls=(shown,)).observed)
    for _ in range(2):
        told.add(f.CycleEnded(outcome="acted", fingerprint="x", matters=(matter.id,)))
    (found,) = decided(told, shown)
    assert isinstance(found, d.AnswerReview)
    assert found.text == NO_ANSWER


def test_comments_beside_a_request_go_with_it() -> None:
    """One attempt for all that was said, not two."""
    said = (
        replace(review("r1", verdict="commented"), body="Also rename it."),
        replace(review("r2"), body="Use the parser."),
    )
    (found,) = decided(in_review(), pull(reviews=said))
    assert isinstance(found, d.SendBack)
    assert (sorted(found.heard), len(found.findings)) == (["r1", "r2"], 2)


def test_a_request_that_its_author_took_back_by_approving_asks_for_nothing() -> None:
    """The last verdict of a person is theirs."""
    approval = replace(review("r2", verdict="approved"), body="LGTM")
    assert decided(in_review(), pull(reviews=(review("r1"), approval))) == []


@pytest.mark.parametrize(
    "text", ["LGTM", "lgtm!", "Thanks, looks good to me.", "👍", ":+1:", "", "Thank you!"]
)
def test_a_nod_is_known(text: str) -> None:
    """It costs no question to the admin."""
    assert is_nod(text)


@pytest.mark.parametrize("text", ["LGTM but rename it", "thanks, and now the docs?", "ok?!? why", "no"])
def test_what_asks_for_something_is_no_nod(text: str) -> None:
    """A yes with a wish is a wish."""
    assert not is_nod(text)


def drafted(**changes: object) -> Pull:
    """The draft as it waits to be made ready."""
    return replace(pull(), draft=True, mergeable=True, head=COMMIT, **changes)  # type: ignore[arg-type]


def test_a_draft_is_proposed_when_nothing_stands_against_it() -> None:
    """Whoever filed the issue is asked, once; under `draft` it stays a draft."""
    told = in_review()
    (found,) = decided(told, drafted(), ON_GITHUB)
    assert isinstance(found, d.Propose)
    assert (found.pull, found.of) == (drafted().id, (told.issues["7"].author,))
    assert decided(told, drafted(), replace(ON_GITHUB, github=GitHub())) == []
    told.add(f.Proposed(task="7.1", pull=found.pull, asked=found.of))
    assert decided(told, drafted(), ON_GITHUB) == []


@pytest.mark.parametrize(
    "shown",
    [
        drafted(checks=(PullCheck(name="ci", state="pending", commit=COMMIT),)),
        replace(drafted(), mergeable=None),
    ],
)
def test_a_draft_waits_for_its_checks_and_for_what_the_forge_finds_out(shown: Pull) -> None:
    """Nothing is proposed on a guess."""
    assert decided(in_review(), shown, ON_GITHUB) == []


def test_whether_it_merges_is_asked_again_soon() -> None:
    """Nobody is told when the forge has found out, so the loop does not sleep for long."""
    told = in_review()
    scene = told.scene(pulls=(replace(drafted(), mergeable=None),), settings=ON_GITHUB)
    found = nap(scene, quiet_cycles=0, more=False)
    assert found.until is not None
    assert (found.kind, (found.until - scene.now).total_seconds()) == ("due", 10)


def test_a_conflict_that_is_being_found_out_is_waited_for_whatever_the_autonomy() -> None:
    """Only where a forge takes its time: the built-in one knows at once, or never."""
    told = in_review()
    shown = replace(pull(), mergeable=None, head=COMMIT)
    drafts = replace(ON_GITHUB, github=GitHub())
    kinds = [
        nap(told.scene(pulls=(shown,), settings=settings), quiet_cycles=0, more=False).kind
        for settings in (drafts, SETTINGS)
    ]
    assert kinds == ["due", "idle"]


def test_reviewers_of_the_settings_are_asked_unless_they_have_spoken() -> None:
    """Not who was asked already, nor who has reviewed it."""
    told = in_review()
    settings = replace(ON_GITHUB, github=GitHub(autonomy="propose", reviewers=("bob", "ann", "eve")))
    approval = replace(review("r1", verdict="approved"), body="", author="ann", commit=COMMIT)
    (found,) = decided(told, drafted(asked=("bob",), reviews=(approval,)), settings)
    assert isinstance(found, d.Propose)
    assert found.of == ("eve",)
