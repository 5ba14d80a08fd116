"""How far the loop goes by itself, which plans wait for a person, and which words let them go."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from agentloop.domain import decisions as d
from agentloop.domain import facts as f
from agentloop.domain import obeying
from agentloop.domain.admission import refusal
from agentloop.domain.approval import answers, plan_name, risks, rule_words
from agentloop.domain.autonomy import allowed, label_news
from agentloop.domain.changes import GONE, Change
from agentloop.domain.issue import Comment
from agentloop.domain.limits import budget_words, of_issue
from agentloop.domain.marks import of_issue as carried
from agentloop.domain.observed import Ground
from agentloop.domain.order import held_back
from agentloop.domain.orders import Order
from agentloop.domain.reconcile import reconcile
from agentloop.domain.report import stand
from agentloop.domain.settings import Approval, GitHub, Limits, Settings, Target
from agentloop.domain.signals import evidence_of
from agentloop.domain.work import Contract, Task
from agentloop.gate.policy import Diff, beyond_approval
from agentloop.testing.samples import BEGAN, SETTINGS, TARGET, Told, issue, task

if TYPE_CHECKING:
    from agentloop.domain.autonomy import Level
    from agentloop.domain.scene import Scene

LABELS = replace(
    TARGET, suggest_labels=("question",), draft_labels=("bug",), propose_labels=("docs",), autonomy="draft"
)
SUGGEST = Settings(targets=(replace(TARGET, autonomy="suggest"),))


def level(settings: Settings, *labels: str) -> tuple[str, str]:
    """The level of an issue with these labels, and the rule that gives it."""
    told = Told().issue(labels=labels)
    told.add(f.Labelled(issue="7", labels=labels))
    found = allowed(settings, told.world.issues["7"])
    return found.level, found.rule


@pytest.mark.parametrize(
    ("target", "github", "expected"),
    [
        (TARGET, "propose", ("draft", "as nothing else is said")),
        (replace(TARGET, tracker="github"), "propose", ("propose", "github.autonomy")),
        (replace(TARGET, tracker="github", autonomy="suggest"), "propose", ("suggest", "target calc")),
    ],
)
def test_a_target_has_its_own_autonomy_or_that_of_the_house(
    target: Target, github: Level, expected: tuple[str, str]
) -> None:
    """What stood under [github] goes on to hold for targets there that say nothing."""
    settings = Settings(targets=(target,), github=GitHub(autonomy=github))
    assert level(settings) == expected


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (("docs",), ("propose", "label docs")),
        (("docs", "bug"), ("draft", "label bug")),
        (("docs", "question", "bug"), ("suggest", "label question")),
        ((), ("draft", "target calc")),
    ],
)
def test_a_label_goes_before_the_target_and_the_most_careful_label_wins(
    labels: tuple[str, ...], expected: tuple[str, str]
) -> None:
    """A label may raise as well as lower; two of them never raise what one of them lowers."""
    assert level(Settings(targets=(LABELS,)), *labels) == expected


def test_only_labels_that_settings_name_are_noted() -> None:
    """Our own labels, and anybody's, come and go without a line in the journal."""
    settings = Settings(targets=(LABELS,))
    view = Told().issue().world.issues["7"]
    assert label_news(settings, view, issue(labels=("wontfix",))) is None
    assert label_news(settings, view, issue(labels=("wontfix", "docs"))) == ("docs",)
    assert label_news(settings, replace(view, labels=("docs",)), issue()) == ()


def test_an_issue_of_an_unknown_target_is_only_suggested() -> None:
    """Nobody said how far to go there: the least."""
    assert level(Settings()) == ("suggest", "its target is not in the settings")


# --- suggest ------------------------------------------------------------------------------------------------


def test_under_suggest_nothing_is_started_and_it_is_said_what_starts_it() -> None:
    """The reason stands where every other one stands."""
    scene = Told().issue().planned("7.1").scene(SUGGEST)
    assert reconcile(scene) == ()
    assert held_back(scene, scene.world.tasks["7.1"]) == (
        "only suggested (autonomy suggest, target calc): /agentloop start has it built, as drafts",
    )


def test_a_persons_start_raises_that_one_issue_to_draft() -> None:
    """Recorded with the person's name; the other issue stays as it is."""
    told = Told().issue().planned("7.1").issue("8").planned("8.1")
    permit = d.Permit(issue="7", by="bob", rationale="/agentloop start")
    assert refusal(permit, told.scene(SUGGEST)) is None
    told.add(f.Permitted(issue="7", by="bob"))
    scene = told.scene(SUGGEST)
    assert [one.task for one in reconcile(scene) if isinstance(one, d.Start)] == ["7.1"]
    assert rule_words(scene.world, SUGGEST, "7") == "autonomy draft (bob had it built)"
    assert refusal(permit, scene) == "issue 7 is built anyway: it is not under suggest"


def test_what_was_accepted_before_is_not_published_under_suggest() -> None:
    """Somebody lowered it while the attempt ran: no branch, no pull request, until a person says so."""
    scene = Told().issue().planned("7.1").accepted("7.1.1").scene(SUGGEST)
    assert reconcile(scene) == ()
    assert "only suggested" in str(refusal(d.Publish(task="7.1", rationale="r"), scene))


# --- which plans wait ---------------------------------------------------------------------------------------


def scoped(name: str, *scope: str, **changes: Any) -> Task:  # noqa: ANN401 - any field of a task
    """A task that may touch these paths."""
    made = task(name)
    contract = Contract(goal="g", criteria=("c",), scope=scope)
    return replace(made, contract=contract, **changes)


def risky(scene: Scene, *tasks: Task, paths: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Why a plan of these tasks waits, in a repository that has these paths."""
    ground = Ground(target=TARGET.name, paths=frozenset(paths))
    return risks(replace(scene, grounds={TARGET.name: ground}), tasks)


def test_a_small_plan_runs_at_once() -> None:
    """With the settings of a new home."""
    assert risky(Told().issue().scene(), scoped("7.1", "src/**"), paths=("src/a.py",)) == ()


@pytest.mark.parametrize(
    ("scope", "paths", "why"),
    [
        (("db/migrations/0002.sql",), (), ("touches **/migrations/**",)),
        (("db/**",), ("db/migrations/0001.sql",), ("touches **/migrations/**",)),
        (("db/**",), ("db/models.py",), ()),
        (("**/*.sh",), ("deploy/run.sh",), ("touches deploy/**",)),
        (("deploy/*.sh",), (), ("touches deploy/**",)),
        ((), ("deploy/run.sh",), ()),
    ],
)
def test_a_scope_that_names_or_covers_a_risky_path_waits(
    scope: tuple[str, ...], paths: tuple[str, ...], why: tuple[str, ...]
) -> None:
    """A new file by its name, one that is there by its path; no scope names nothing, the gate holds it."""
    assert risky(Told().issue().scene(), scoped("7.1", *scope), paths=paths) == why


def test_size_and_expected_cost_make_a_plan_wait() -> None:
    """Changes are counted, research is not; money is by our own estimate. 0 switches either off."""
    approval = Approval(tasks=2, cost_usd=1.4)
    settings = replace(SETTINGS, approval=approval)
    tasks = tuple(scoped(f"7.{n}") for n in (1, 2, 3))
    assert risky(Told().issue().scene(settings), *tasks) == (
        "3 changes, more than approval.tasks = 2",
        "expected $1.50 > $1.40 (approval.cost_usd)",
    )
    notes = replace(tasks[2], kind="research")
    assert risky(Told().issue().scene(settings), *tasks[:2], notes) == (
        "expected $1.50 > $1.40 (approval.cost_usd)",
    )
    off = replace(SETTINGS, approval=Approval(tasks=0, cost_usd=0))
    assert risky(Told().issue().scene(off), *tasks) == ()


def test_the_gate_holds_what_only_an_approved_plan_may_touch() -> None:
    """Whatever the plan's scope left open; an approved plan has no such paths."""
    change = Change(raw_path=b"deploy/run.sh", old_mode=GONE, new_mode="100644", old_id="0", new_id="1")
    diff = Diff(changes=(change, replace(change, raw_path=b"src/a.py")))
    (found,) = beyond_approval(diff, ("deploy/**",))
    assert (found.kind, found.about) == ("protected", "deploy/run.sh")
    assert beyond_approval(diff, ()) == ()


# --- the wait and its end -----------------------------------------------------------------------------------


def waiting() -> Told:
    """Issue 7 with a plan of two tasks that waits for approval."""
    told = Told().issue()
    tasks = (task("7.1"), task("7.2"))
    held = f.PlanHeld(issue="7", plan=plan_name(tasks), tasks=("7.1", "7.2"), why=("touches deploy/**",))
    return told.add(f.Planned(issue="7", tasks=tasks, evidence=told.world.issues["7"].evidence), held)


def test_a_plan_that_waits_is_a_reason_and_a_need_with_its_choices() -> None:
    """In explain, in the queue and among what needs a person."""
    told = waiting()
    scene = told.scene()
    why = "its plan waits for your approval: touches deploy/**"
    assert held_back(scene, scene.world.tasks["7.1"]) == (why,)
    assert reconcile(scene) == ()
    (need,) = stand(told.world, SETTINGS, told.now).needs_you
    assert (need.kind, need.says, need.choices) == ("approval", why, ("Build it as planned", "Drop it"))


def test_an_approved_plan_starts_and_another_plan_is_not_approved_with_it() -> None:
    """Its approval is for those very tasks, by their name."""
    told = waiting()
    told.add(f.PlanApproved(issue="7", plan=told.world.issues["7"].approvals[0].plan, by="bob"))
    assert [one.task for one in reconcile(told.scene()) if isinstance(one, d.Start)] == ["7.1"]
    assert rule_words(told.world, SETTINGS, "7", told.world.tasks["7.1"]) == (
        "autonomy draft (as nothing else is said), plan approved by bob"
    )
    other = task("7.3")
    told.add(
        f.Planned(issue="7", tasks=(other,), evidence="e"),
        f.PlanHeld(issue="7", plan=plan_name((other,)), tasks=("7.3",), why=("w",)),
    )
    assert held_back(told.scene(), told.world.tasks["7.3"]) == ("its plan waits for your approval: w",)
    assert not any("approval" in why for why in held_back(told.scene(), told.world.tasks["7.1"]))


def test_a_changed_plan_has_another_name() -> None:
    """One word in a criterion is enough."""
    one = task("7.1")
    contract = replace(one.contract, criteria=("another",))
    assert plan_name((one,)) != plan_name((replace(one, contract=contract),))


def said(told: Told, *bodies: str, minutes: float = 5, **changes: Any) -> Scene:  # noqa: ANN401 - any field of a comment
    """The issue with these comments, the last of them being new."""
    made = tuple(
        Comment(id=f"c{n}", author="bob", body=body, at=told.now + timedelta(minutes=minutes))
        for n, body in enumerate(bodies)
    )
    last = replace(made[-1], **changes)
    told.issue(comments=(*made[:-1], last))
    return told.scene()


@pytest.mark.parametrize("word", ["1", " 1. ", "👍", "+1", "Approve"])
def test_one_character_approves_the_plan(word: str) -> None:
    """By whom, and on which words, is told with it."""
    scene = said(waiting(), word)
    (found,) = answers(scene)
    assert found == d.ApprovePlan(
        issue="7",
        by="bob",
        rationale=word.strip().casefold(),
        evidence=evidence_of(scene.observed.issues[0]),
    )


def test_two_rejects_it() -> None:
    """The second of the choices."""
    (found,) = answers(said(waiting(), "2"))
    assert isinstance(found, d.RejectPlan)


@pytest.mark.parametrize(
    "comments",
    [("1, but leave deploy/ alone",), ("no",), ("please also rename it", "1"), ("1", "wait")],
)
def test_words_beside_the_character_are_words_for_the_admin(comments: tuple[str, ...]) -> None:
    """Whoever says more than yes wants something else, or had not finished."""
    assert answers(said(waiting(), *comments)) == ()


def test_a_character_written_before_the_plan_was_shown_approves_nothing() -> None:
    """It answered something else."""
    assert answers(said(waiting(), "1", minutes=-1)) == ()


@pytest.mark.parametrize("changes", [{"trusted": False}, {"ours": True}, {"edited": True}])
def test_only_trusted_people_approve(changes: dict[str, bool]) -> None:
    """Neither an outsider nor the loop itself, and not in words that were changed since."""
    assert answers(said(waiting(), "1", **changes)) == ()


def test_an_answer_to_a_question_is_no_approval() -> None:
    """While a question is open; and not when it has been answered and decided on either."""
    told = waiting()
    told.add(f.Asked(issue="7", question="?", choices=("a", "b"), evidence=told.world.issues["7"].evidence))
    scene = said(told, "1")
    assert answers(scene) == ()
    told.add(f.Answered(issue="7", evidence=told.world.issues["7"].evidence))
    assert answers(told.scene()) == ()


def test_under_suggest_the_same_character_has_it_built() -> None:
    """The plan is there to be read; saying yes to it is the permission."""
    told = Told().issue().planned("7.1")
    scene = replace(said(told, "1"), settings=SUGGEST)
    assert [type(one) for one in answers(scene)] == [d.ApprovePlan]


def test_nothing_waits_so_there_is_nothing_to_approve() -> None:
    """Said to whoever tries."""
    order = d.ApprovePlan(issue="7", by="bob", rationale="r")
    assert refusal(order, Told().issue().planned("7.1").scene()) == "no plan of issue 7 waits for a word"


# --- money --------------------------------------------------------------------------------------------------


def test_a_persons_budget_stands_in_the_place_of_the_houses() -> None:
    """With who said so, in the words that the thread shows."""
    told = Told().issue().planned("7.1").started("7.1.1")
    assert budget_words(told.world, Limits(), "7") == (
        "This issue may spend $30.00 (limits.issue_usd): $0.00 is spent, $2.00 is set aside for work under "
        "way, $28.00 is left."
    )
    told.add(f.Budgeted(issue="7", micros=5_000_000, by="bob"))
    (rest,) = of_issue(told.world, Limits(), "7")
    assert (rest.name, rest.most) == ("the budget of issue 7", 5_000_000)
    assert budget_words(told.world, Limits(), "7").startswith("This issue may spend $5.00 (bob said so)")


@pytest.mark.parametrize(
    ("micros", "why"),
    [
        (5_000_000, None),
        (0, "a budget is a cent at least; to stop the work: /agentloop pause, or stop"),
        (201_000_000, "a budget of more than limits.total_usd = 200 says nothing"),
    ],
)
def test_a_budget_is_never_above_what_the_house_may_spend(micros: int, why: str | None) -> None:
    """And never nothing: that is a pause."""
    order = d.SetBudget(issue="7", micros=micros, by="bob", rationale="r")
    assert refusal(order, Told().issue().scene()) == why


def test_what_people_allowed_is_carried_by_the_marks() -> None:
    """A lost journal must not make them say it twice."""
    told = waiting()
    told.add(f.PlanApproved(issue="7", plan=told.world.issues["7"].approvals[0].plan, by="bob"))
    told.add(f.Permitted(issue="7", by="bob"), f.Budgeted(issue="7", micros=5, by="bob"))
    kinds = [type(one).__name__ for one in carried(told.world, "7")]
    assert kinds == ["IssueSeen", "Permitted", "PlanApproved", "Budgeted"]


# --- the same by commands -----------------------------------------------------------------------------------


def order(verb: str, words: str = "") -> Order:
    """Bob's command on issue 7."""
    return Order(id="7:c9:1", verb=verb, words=words, by="bob", about="7", at=BEGAN, of="c9")


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        ("approve", d.ApprovePlan),
        ("1", d.ApprovePlan),
        ("reject too large", d.RejectPlan),
        ("no", d.RejectPlan),
    ],
)
def test_a_command_says_yes_or_no_to_the_plan(words: str, kind: type) -> None:
    """And is admitted as long as one waits."""
    scene = waiting().scene()
    (found,) = obeying.meaning(order("plan", words), scene).decisions
    assert (type(found), refusal(found, scene)) == (kind, None)


def test_other_words_behind_plan_are_words_of_the_issue() -> None:
    """They are read by the admin agent, and approve nothing; `approve` with a condition is no approval."""
    scene = waiting().scene()
    assert obeying.meaning(order("plan", "in one task, please"), scene) == obeying.Meant()
    assert "as it stands" in obeying.meaning(order("plan", "approve but smaller"), scene).refused
    plain = issue(comments=(Comment(id="c9", author="bob", body="in one task", at=BEGAN),))
    wish = issue(comments=(Comment(id="c9", author="bob", body="/agentloop plan in one task", at=BEGAN),))
    yes = issue(comments=(Comment(id="c9", author="bob", body="/agentloop plan approve", at=BEGAN),))
    assert (evidence_of(wish), evidence_of(yes)) == (evidence_of(plain), evidence_of(issue()))


def test_start_permits_what_is_only_suggested() -> None:
    """And puts it first in line, as ever."""
    scene = Told().issue().planned("7.1").scene(SUGGEST)
    kinds = [type(one).__name__ for one in obeying.meaning(order("start"), scene).decisions]
    assert kinds == ["Permit", "BeginWork"]


@pytest.mark.parametrize(
    ("words", "micros"), [("5", 5_000_000), ("$7.50", 7_500_000), ("much", None), ("-3", None), ("", None)]
)
def test_a_budget_is_said_in_dollars(words: str, micros: int | None) -> None:
    """Without any it is told; what is no amount is refused."""
    meant = obeying.meaning(order("budget", words), Told().issue().scene())
    assert [one.micros for one in meant.decisions if isinstance(one, d.SetBudget)] == (
        [] if micros is None else [micros]
    )
    assert bool(meant.refused) == (words in ("much", "-3"))


def test_what_a_command_is_answered_with() -> None:
    """What the plan waits for, with its choices; what the issue may spend."""
    scene = waiting().scene()
    assert obeying.answer_words(order("plan"), scene).startswith("**This plan waits for your word:** touches")
    assert obeying.answer_words(order("budget"), scene).startswith("This issue may spend $30.00")
