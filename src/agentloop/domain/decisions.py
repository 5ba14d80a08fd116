"""What can be decided: the admin's tools, and the decisions that rules make without a model.

The schemas that the admin's model sees are made from these classes: a field's `doc` is what it reads.
Nothing here does anything; `admission` says whether a decision is allowed now, and `acting` carries it out.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal, TypeAlias

from agentloop.domain.valueclass import dataclass, field
from agentloop.domain.work import Check, Finding


def told(doc: str, **default: Any) -> Any:
    """Return a dataclass field with the sentence that explains it to the model."""
    return field(metadata={"doc": doc}, **default)


# the admin's


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedTask:
    """One unit of work: 50 to 200 changed lines, checkable by itself."""

    title: str = told("imperative, under 70 characters: becomes the pull request's title")
    goal: str = told("what is different when it is done, in two or three sentences a stranger understands")
    criteria: tuple[str, ...] = told("acceptance criteria, each one observable")
    checks: tuple[Check, ...] = told(
        "shell commands, run in the root of a clean checkout, that pass only when the criteria hold",
        default=(),
    )
    kind: Literal["change", "research"] = told(
        "'change' ends in a diff; 'research' ends in a note that later tasks are given", default="change"
    )
    scope: tuple[str, ...] = told(
        "globs of the paths it may touch, as narrow as can be: tasks whose paths meet wait for one another; "
        "empty = anywhere unprotected",
        default=(),
    )
    may_change_tests: tuple[str, ...] = told(
        "globs of existing tests it may alter, only when the behaviour they pin is to change", default=()
    )
    needs: tuple[int, ...] = told(
        "numbers (from 1, in this plan) of tasks that must be merged first", default=()
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Cut an issue into tasks. Task n of issue 7 is then called 7.n.

    Tasks that need nothing start by themselves.
    """

    issue: str = told("id of the issue")
    tasks: tuple[PlannedTask, ...] = told("in the order to be read; as few as do the job")
    rationale: str = told("why this way, in a sentence or two")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """Ask the person one question when an issue is too vague to plan. Never guess what they want."""

    issue: str = told("id of the issue")
    question: str = told("one question, answerable on a phone")
    choices: tuple[str, ...] = told("two or three likely answers")
    rationale: str = told("what hangs on the answer")


@dataclass(frozen=True, slots=True, kw_only=True)
class Assign:
    """Start a queued task now, with guidance for its worker. Without it, tasks start in the order of work."""

    task: str = told("id of the task")
    guidance: str = told("what the worker should know beyond the contract", default="")
    rationale: str = told("why now")


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """Judge a finished attempt whose gate is green.

    Does the diff do what the contract asks, and nothing else?
    """

    attempt: str = told("id of the attempt")
    accept: bool = told("true: it may be published; false: it goes back with what you say")
    says: str = told("for a person reading the pull request, or for the next worker: precise, with paths")
    rationale: str = told("what you looked at")


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """Give a task to a new worker with new guidance."""

    task: str = told("id of the task")
    guidance: str = told("what to do differently; the same guidance again is refused")
    from_scratch: bool = told("true: forget the work so far", default=False)
    rationale: str = told("why this will go better")


@dataclass(frozen=True, slots=True, kw_only=True)
class Publish:
    """Open (or update) the pull request of a task whose result you accepted, with a better title.

    Accepted results are published by themselves too.
    """

    task: str = told("id of the task")
    title: str = told("title of the pull request; empty = the task's", default="")
    rationale: str = told("why now")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Answer a person's words on an issue when nothing is to be built for them."""

    issue: str = told("id of the issue")
    text: str = told("the answer, short, in Markdown")
    rationale: str = told("why nothing needs building")


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerReview:
    """Answer what a person said on a task's pull request when nothing is to be changed for it.

    When something is: `retry` the task, with what they want as guidance.
    """

    task: str = told("id of the task")
    text: str = told("the answer, short, in Markdown; empty when their words need none", default="")
    rationale: str = told("why nothing is to be changed")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancel:
    """Give up a task: it is not needed, or cannot be done."""

    task: str = told("id of the task")
    rationale: str = told("why, for the person who filed the issue")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wake:
    """Something that ends a hibernation: that kind of thing happening to that one (empty = any)."""

    on: Literal["issue", "comment", "pull_request", "attempt", "time"] = told("what kind of thing")
    which: str = told("id of the issue, pull request or task; for 'time' an ISO 8601 moment", default="")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sleep:
    """Nothing to do for now."""

    minutes: int = told("how long at most; the loop may wake earlier", default=30)
    rationale: str = told("why nothing is to be done")


@dataclass(frozen=True, slots=True, kw_only=True)
class Hibernate:
    """Sleep until one of these happens: use it when everything waits for a person."""

    until: tuple[Wake, ...] = told("what wakes the loop")
    rationale: str = told("what is being waited for")


AdminDecision: TypeAlias = (
    Plan | Ask | Assign | Review | Retry | Publish | Answer | AnswerReview | Cancel | Sleep | Hibernate
)

# the rules'


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """Start the next queued task in the order of work."""

    task: str
    rationale: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Take:
    """Take an ended attempt's result over."""

    attempt: str
    rationale: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Keep:
    """Take over what a stopped attempt had done, for the next one to start from."""

    attempt: str
    rationale: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Judge:
    """Set the gate on a result."""

    attempt: str
    commit: str
    rationale: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Halt:
    """End an attempt, or its gate, that runs on beyond its deadline, or beyond what a limit allows.

    `limit` names that limit: then it is nobody's failure.
    """

    attempt: str
    rationale: str
    limit: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SendBack:
    """Give the task to a worker again, with findings."""

    task: str
    findings: tuple[Finding, ...]
    rationale: str
    heard: tuple[str, ...] = ()
    from_scratch: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Requeue:
    """Try again later: the attempt ended from outside."""

    task: str
    not_before: datetime
    rationale: str
    counts: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Park:
    """Stop working on a task and say why on its issue."""

    task: str
    rationale: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ParkIssue:
    """Stop working on an issue and say why on it."""

    issue: str
    rationale: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptMerge:
    """A person merged the task's pull request."""

    task: str
    pull: str
    commit: str
    rationale: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LetGo:
    """A person pushed to our branch: hands off, said once."""

    task: str
    pull: str
    head: str
    rationale: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Propose:
    """Nothing stands against merging a pull request: make the draft ready, and ask `of` for a review."""

    task: str
    pull: str
    of: tuple[str, ...]
    rationale: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Drop:
    """The task will not be done.

    Its pull request or issue was closed by a person, or what it needs was dropped.
    """

    task: str
    rationale: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Conclude:
    """Everything planned for the issue is merged or noted: close it with a summary."""

    issue: str
    rationale: str


# a person's


@dataclass(frozen=True, slots=True, kw_only=True)
class TryAgain:
    """A person sends a parked task back to a worker (`agentloop retry`).

    `request` names it, so that it counts once; `rationale` is what the person said: the worker's guidance.
    """

    task: str
    request: str
    by: str
    rationale: str
    from_scratch: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PauseWork:
    """A person pauses an issue, a task or ("") everything until then: no start, no question, no publishing.

    What runs goes on to its end. `order` names what asked for it, so that it counts once; so below.
    """

    about: str
    until: datetime
    by: str
    rationale: str
    order: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResumeWork:
    """A person ends a pause."""

    about: str
    by: str
    rationale: str
    order: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BeginWork:
    """A person wants an issue or a task begun before all others."""

    about: str
    by: str
    rationale: str
    order: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StopWork:
    """A person gives up all tasks of an issue, which stays open and parked; or one task."""

    about: str
    by: str
    rationale: str
    order: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovePlan:
    """A person approves the plan that waits on an issue; under `suggest` that has it built, as drafts.

    `evidence` names the issue's words when saying so was all that was new in them: they need no answer then.
    """

    issue: str
    by: str
    rationale: str
    order: str = ""
    evidence: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RejectPlan:
    """A person will not have the plan that waits on an issue: its tasks are dropped. `evidence` as above."""

    issue: str
    by: str
    rationale: str
    order: str = ""
    evidence: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Permit:
    """A person has an issue that is under `suggest` built, as drafts (`/agentloop start`)."""

    issue: str
    by: str
    rationale: str
    order: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SetBudget:
    """A person says what an issue may spend, in micro-dollars (`/agentloop budget 5`)."""

    issue: str
    micros: int
    by: str
    rationale: str
    order: str = ""


RuleDecision: TypeAlias = (
    Start
    | Take
    | Keep
    | Judge
    | Halt
    | SendBack
    | Requeue
    | Park
    | ParkIssue
    | AcceptMerge
    | LetGo
    | Propose
    | Drop
    | Conclude
)

PersonDecision: TypeAlias = (
    TryAgain | PauseWork | ResumeWork | BeginWork | StopWork | ApprovePlan | RejectPlan | Permit | SetBudget
)

Decision: TypeAlias = AdminDecision | RuleDecision | PersonDecision
