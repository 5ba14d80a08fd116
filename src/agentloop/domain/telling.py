"""Words for what the domain holds: where things stand, what was decided, what effects do, how attempts end.

The same words go to the admin's briefing, to people's screens and into programs' JSON, so that nobody has to
learn two languages.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from agentloop.domain import decisions as d
from agentloop.domain import effects as e
from agentloop.domain import facts as f
from agentloop.domain import states as s
from agentloop.domain import world as w
from agentloop.domain.order import held_back, place
from agentloop.domain.wording import count, dollars, one_line, tail
from agentloop.domain.work import (
    Blocked,
    Broken,
    Delivered,
    Finding,
    GaveUp,
    LimitedBy,
    NothingDone,
    Stalled,
    Stopped,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from agentloop.domain.scene import Scene
    from agentloop.domain.states import TaskView
    from agentloop.domain.work import Outcome, Verdict
    from agentloop.domain.world import IssueView


def task_state(scene: Scene, view: TaskView) -> str:
    """Return where a task stands, in words, and what it waits for."""
    if isinstance(view.state, s.Queued):
        reasons = held_back(scene, view)
        return f"queued, {place(scene, view)}" + (f"; not started: {'; '.join(reasons)}" if reasons else "")
    return standing(view.state)


def standing(state: s.TaskState) -> str:  # noqa: C901, PLR0912 -- one line a state
    """Return where a task in `state` stands, in words, as far as the state alone tells."""
    match state:
        case s.Queued():
            return "queued"
        case s.Working(attempt=attempt):
            return f"attempt {attempt} is working"
        case s.Returned(attempt=attempt, outcome=outcome):
            return f"attempt {attempt} {outcome_words(outcome)}"
        case s.Judging(attempt=attempt, started=started):
            return f"the gate is on attempt {attempt}" if started else f"attempt {attempt} waits for the gate"
        case s.Red(attempt=attempt, findings=findings):
            return f"attempt {attempt} is held back by {count(len(findings), 'finding')}: {_first(findings)}"
        case s.Green(attempt=attempt):
            return f"attempt {attempt} is green, waiting for review by the admin"
        case s.Accepted(attempt=attempt):
            return f"attempt {attempt} is accepted, to be published"
        case s.InReview(pull=pull, theirs=theirs):
            return f"pull request {pull} waits for a person" + (" and is theirs now" if theirs else "")
        case s.Parked(reason=reason):
            return f"parked: {one_line(reason)}"
        case s.Merged(pull=pull):
            return f"merged by pull request {pull}"
        case s.Noted(path=path):
            return f"noted in {path}"
        case s.Cancelled(reason=reason):
            return f"dropped: {one_line(reason)}"
        case _:
            assert_never(state)


def _first(findings: tuple[Finding, ...]) -> str:
    return one_line(tail(findings[0].says, 2), 160) if findings else ""


def issue_state(view: IssueView) -> str:
    """Return where an issue stands, in words."""
    match view.state:
        case w.Fresh():
            return "new"
        case w.Waiting(question=question):
            return f"waits for an answer to: {one_line(question, 120)}"
        case w.InWork():
            return f"planned, {count(view.planned_tasks, 'task')}"
        case w.Settled():
            return "answered"
        case w.Stuck(reason=reason):
            return f"parked: {one_line(reason, 120)}"
        case w.Closed(by=by):
            return f"closed by the {by}"
        case _:
            assert_never(view.state)


def outcome_words(outcome: Outcome | None) -> str:
    """Return how an attempt ended, as the end of a sentence that starts with the attempt."""
    match outcome:
        case None:
            return "was killed"
        case Delivered(summary=summary):
            return f"delivered: {one_line(summary, 160)}"
        case Blocked(reason=reason):
            return f"is blocked: {one_line(reason, 200)}"
        case NothingDone(reason=reason):
            return f"did nothing: {one_line(reason, 200)}"
        case GaveUp(reason=reason):
            return f"gave up: {one_line(reason, 200)}"
        case Stalled(reason=reason):
            return f"stalled: {one_line(reason, 200)}"
        case Stopped(why=why, detail=detail):
            return f"was stopped ({why})" + (f": {one_line(detail, 160)}" if detail else "")
        case LimitedBy(until=until, detail=detail):
            return f"hit the provider's limit until {until:%H:%M} UTC: {one_line(detail, 120)}"
        case Broken(reason=reason, fix=fix):
            return f"broke: {one_line(reason, 200)}" + (f"; {one_line(fix, 120)}" if fix else "")
        case _:
            assert_never(outcome)


def news_words(world: w.World, facts: Sequence[f.Fact]) -> tuple[str, ...]:
    """Return what each of `facts`, which became true together, says to a person; "" = it is no news for them.

    `world` is the one from before them.
    """
    spent = {one.purse: one.micros + one.unresolved_micros for one in facts if isinstance(one, f.Settled)}
    ended = [one.outcome for one in facts if isinstance(one, f.AttemptEnded)]
    told = any(isinstance(one, LimitedBy) for one in ended)  # with the attempt that met it
    return tuple(
        ""
        if told and isinstance(one, f.LimitReached)
        else _news_of_issue(world, one) or _news_of_job(one, spent)
        for one in facts
    )


def _news_of_issue(world: w.World, fact: f.Fact) -> str:
    match fact:
        case f.IssueSeen(issue=issue, title=title):
            known = world.issues.get(issue)
            what = "seen" if known is None else "changed"
            return f"issue {issue} {what}: {one_line(title, 120)}"
        case f.IssueClosed(issue=issue, by=by):
            return f"issue {issue} was closed by {'the loop' if by == 'loop' else 'a person'}"
        case f.IssueReopened(issue=issue):
            return f"issue {issue} was opened again"
        case f.LimitReached(until=until, detail=detail):
            return f"the provider's limit is reached until {until:%H:%M} UTC: {one_line(detail, 160)}"
        case _:
            return ""


def _news_of_job(fact: f.Fact, spent: Mapping[str, int]) -> str:
    match fact:
        case f.AttemptEnded(attempt=attempt, outcome=outcome, turns=turns):
            cost = dollars(spent.get(f"attempt:{attempt}", 0))
            return f"attempt {attempt} {outcome_words(outcome)} ({count(turns, 'turn')}, {cost})"
        case f.AttemptLost(attempt=attempt):
            return f"attempt {attempt} was killed ({dollars(spent.get(f'attempt:{attempt}', 0))})"
        case f.GateLost(attempt=attempt, reason=reason):
            return f"gate on {attempt} broke: {one_line(reason)}"
        case f.Judged(verdict=verdict):
            return f"gate on {verdict.attempt}: {verdict_words(verdict)}"
        case _:
            return ""


def verdict_words(verdict: Verdict) -> str:
    """Return a verdict on one line: its colour, and how many checks passed or what is held against it."""
    if verdict.green:
        return f"green, {count(len(verdict.checks), 'check')}"
    told = [finding_words(one, 120) for one in verdict.findings[:2]]
    told += [f"and {more} more"] if (more := len(verdict.findings) - len(told)) > 0 else []
    return "red: " + ("; ".join(told) or "a check failed")


def finding_words(finding: Finding, limit: int = 300) -> str:
    """Return a finding on one line: its kind, what it is about, and the end of what it says."""
    return f"{finding.kind} {one_line(finding.about, 100)}: {one_line(tail(finding.says, 3), limit)}"


def decision_words(decision: d.Decision) -> str:  # noqa: C901, PLR0912 -- one line a decision
    """Return what a decision does, in the imperative."""
    match decision:
        case d.Plan(issue=issue, tasks=tasks):
            return f"plan issue {issue} as {count(len(tasks), 'task')}: " + "; ".join(
                one_line(each.title, 80) for each in tasks
            )
        case d.Ask(issue=issue, question=question):
            return f"ask on issue {issue}: {one_line(question, 160)}"
        case d.Assign(task=task):
            return f"start task {task} with guidance"
        case d.Review(attempt=attempt, accept=accept, says=says):
            return f"{'accept' if accept else 'send back'} attempt {attempt}: {one_line(says, 160)}"
        case d.Retry(task=task, guidance=guidance, from_scratch=scratch):
            return f"retry task {task}{' from scratch' if scratch else ''}: {one_line(guidance, 160)}"
        case d.Publish(task=task):
            return f"publish task {task}"
        case d.Answer(issue=issue, text=text):
            return f"answer on issue {issue}: {one_line(text, 160)}"
        case d.Cancel(task=task):
            return f"give task {task} up"
        case d.Sleep(minutes=minutes):
            return f"sleep at most {minutes} minutes"
        case d.Hibernate(until=until):
            return "hibernate until: " + ", ".join(f"{wake.on} {wake.which}".strip() for wake in until)
        case d.Start(task=task):
            return f"start task {task}"
        case d.Take(attempt=attempt):
            return f"take the result of attempt {attempt} over"
        case d.Keep(attempt=attempt):
            return f"keep what attempt {attempt} had done, for the next one"
        case d.Judge(attempt=attempt):
            return f"set the gate on attempt {attempt}"
        case d.Halt(attempt=attempt):
            return f"end attempt {attempt}, which is beyond its deadline"
        case d.SendBack(task=task, findings=findings):
            return f"send task {task} back with {count(len(findings), 'finding')}"
        case d.Requeue(task=task, not_before=moment):
            return f"try task {task} again from {moment:%H:%M} UTC on"
        case d.Park(task=task):
            return f"park task {task}"
        case d.ParkIssue(issue=issue):
            return f"park issue {issue}"
        case d.AcceptMerge(task=task, pull=pull):
            return f"count task {task} as merged by pull request {pull}"
        case d.LetGo(pull=pull):
            return f"keep hands off pull request {pull}"
        case d.Propose(pull=pull, of=of):
            asked = f" and ask {', '.join(of)} for a review" if of else ""
            return f"make pull request {pull} ready{asked}"
        case d.AnswerReview(task=task, text=text):
            return f"answer on the pull request of task {task}: {one_line(text, 160) or 'nothing'}"
        case d.Drop(task=task):
            return f"drop task {task}"
        case d.Conclude(issue=issue):
            return f"close issue {issue} with a summary"
        case _:
            return _order_words(decision)


def _order_words(decision: d.PersonDecision) -> str:
    match decision:
        case d.TryAgain(task=task, from_scratch=scratch):
            return f"send task {task} back to a worker{', from scratch' if scratch else ''}"
        case d.PauseWork(about=about, until=until):
            return f"pause {about or 'everything'} until {until:%Y-%m-%d %H:%M} UTC"
        case d.ResumeWork(about=about):
            return f"end the pause of {about or 'everything'}"
        case d.BeginWork(about=about):
            return f"begin {about} before all others"
        case d.StopWork(about=about):
            return f"give up {about}"
        case d.ApprovePlan(issue=issue, by=by):
            return f"have the plan of issue {issue} built: {by} approved it"
        case d.RejectPlan(issue=issue, by=by):
            return f"drop the plan of issue {issue}: {by} will not have it"
        case d.Permit(issue=issue, by=by):
            return f"have issue {issue} built, as drafts: {by} said so"
        case d.SetBudget(issue=issue, micros=micros, by=by):
            return f"let issue {issue} spend {dollars(micros)}: {by} said so"
        case _:
            assert_never(decision)


def effect_words(effect: e.Effect) -> str:  # noqa: C901, PLR0912 -- one line an effect
    """Return what an effect does outside, in the imperative."""
    match effect:
        case e.Say(issue=issue, body=body):
            return f"comment on issue {issue}: {one_line(body, 160)}"
        case e.CloseIssue(issue=issue):
            return f"close issue {issue} with a comment"
        case e.Keep(issue=issue):
            return f"bring the kept comment of issue {issue} up to date"
        case e.KeepBoard(target=target, board=board):
            return f"bring the dashboard {board} up to date" if board else f"make a dashboard in {target}"
        case e.React(issue=issue, comment=comment, content=content):
            what = "seen" if content == "eyes" else "done"
            return f"show that {f'comment {comment} of ' * bool(comment)}issue {issue} was {what}"
        case e.Label(issue=issue, add=add, remove=remove):
            return f"label issue {issue}: +{', '.join(add) or 'nothing'} -{', '.join(remove) or 'nothing'}"
        case e.Unsay(issue=issue, comment=comment):
            return f"take back comment {comment} on {issue}, which says what another of ours says"
        case e.Push(target=target, branch=branch, commit=commit):
            return f"push {commit[:10]} to {branch} in {target}"
        case e.OpenPull(target=target, branch=branch, base=base, title=title):
            return f"open a pull request in {target}, {branch} into {base}: {one_line(title, 100)}"
        case e.EditPull(pull=pull):
            return f"rewrite the description of pull request {pull}"
        case e.SayOnPull(pull=pull, body=body):
            return f"comment on pull request {pull}: {one_line(body, 120)}"
        case e.ReplyInThread(pull=pull, body=body):
            return f"reply on a line of pull request {pull}: {one_line(body, 120)}"
        case e.MakeReady(pull=pull):
            return f"make pull request {pull} ready for review"
        case e.AskReview(pull=pull, of=of):
            return f"ask {', '.join(of)} to review pull request {pull}"
        case e.DeleteBranch(target=target, branch=branch):
            return f"delete {branch} in {target}"
        case e.StartAttempt(attempt=attempt):
            return f"start attempt {attempt}"
        case e.StartGate(attempt=attempt):
            return f"start the gate on attempt {attempt}"
        case e.StopAttempt(attempt=attempt):
            return f"stop attempt {attempt}"
        case _:
            assert_never(effect)


def decision_about(decision: d.Decision, issue: str) -> str | None:
    """Return the task (or "") that `decision` is about when it concerns `issue`, else None."""
    match decision:
        case d.Plan() | d.Ask() | d.Answer() | d.ParkIssue() | d.Conclude():
            return "" if decision.issue == issue else None
        case d.PauseWork() | d.ResumeWork() | d.BeginWork() | d.StopWork():
            return "" if decision.about == issue else _task_in(issue, decision.about)
        case d.ApprovePlan() | d.RejectPlan() | d.Permit() | d.SetBudget():
            return "" if decision.issue == issue else None
        case d.Review() | d.Take() | d.Keep() | d.Judge() | d.Halt():
            return _task_in(issue, decision.attempt.rpartition(".")[0])
        case d.Sleep() | d.Hibernate():
            return None
        case _:
            return _task_in(issue, decision.task if hasattr(decision, "task") else "")


def _task_in(issue: str, task: str) -> str | None:
    return task if task.rpartition(".")[0] == issue else None


def moved_words(edits: int) -> str:
    """Return what a person is told when edits of theirs were moved within the relay."""
    were = "your edit is" if edits == 1 else f"{edits} edits of yours are"
    return f"{were}, word for word, in your section of the relay now: the other sections are the loop's"


def ordinal(number: int) -> str:
    """Return `1st`, `2nd`, `3rd`, `11th`."""
    teens = 10 <= number % 100 <= 20  # noqa: PLR2004 -- 11th, 12th and 13th
    return f"{number}{'th' if teens else {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th')}"
