"""Carrying a decision out: facts into the journal, effects into the world, each exactly once.

An effect goes: intent in the journal (durable) → look whether it is there already → act once → its end in the
journal. Operation ids are made from what an effect is for, so a decision that was cut off in its middle is
simply carried out again: what was done is found, what was not is done.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from itertools import count
from typing import TYPE_CHECKING, Literal, TypeAlias, assert_never

from agentloop.domain import approval, autonomy, marks, receipt, wording
from agentloop.domain import decisions as d
from agentloop.domain import effects as e
from agentloop.domain import facts as f
from agentloop.domain import states as s
from agentloop.domain.estimating import estimate_for
from agentloop.domain.issue import target_of
from agentloop.domain.orders import unlabelling
from agentloop.domain.planning import branch_of, covers_issue, tasks_of
from agentloop.domain.progress import unfinished
from agentloop.domain.reviewing import answered_by, objections, stays_draft, words_on_pull
from agentloop.domain.showing import author_of
from agentloop.domain.signals import evidence_for, job_news
from agentloop.domain.valueclass import replace
from agentloop.domain.work import RETRY, Delivered, End, Finding
from agentloop.domain.world import Closed
from agentloop.errors import ConflictError, GoneError, NotFoundError, TargetError
from agentloop.ports import Rejected
from agentloop.specs import attempt_spec, gate_spec, the_target, the_try

if TYPE_CHECKING:
    from datetime import datetime

    from agentloop.domain.alerts import Alert
    from agentloop.domain.orders import Order
    from agentloop.domain.scene import Scene
    from agentloop.domain.settings import Settings
    from agentloop.domain.showing import Showing
    from agentloop.domain.states import TaskView, Try
    from agentloop.domain.work import Outcome, Task
    from agentloop.domain.world import World
    from agentloop.ports import Journal, Outside

_OfPull: TypeAlias = d.AcceptMerge | d.LetGo | d.Propose | d.AnswerReview
_OfTask: TypeAlias = (
    d.Review | d.Retry | d.TryAgain | d.Cancel | d.Drop | d.Park | d.SendBack | d.Requeue | _OfPull
)

FINDING_CHARACTERS = 4000


class Actor:
    """One cycle's hands. `carry_out` does an admitted decision.

    `finish_intents` ends what a killed cycle began.
    """

    def __init__(
        self, *, outside: Outside, journal: Journal, world: World, settings: Settings, cycle: int
    ) -> None:
        self.world = world
        self.cycle = cycle
        self._out = outside
        self._journal = journal
        self._settings = settings
        self._deciding: f.Decided | None = None
        self._asking = ""
        """Who gave the order that is answered now."""
        self.written = 0
        """Entries that this cycle has added to the journal."""

    def record(self, now: datetime, *facts: f.Fact) -> None:
        """Write facts that are true together into the journal, and fold them in. Raises JournalError."""
        if facts:
            told = tuple(self._attributed(one) if isinstance(one, f.EffectIntended) else one for one in facts)
            entry = f.Entry(at=now, cycle=self.cycle, facts=told)
            self._journal.append(entry)
            self.world.apply(entry)
            self.written += 1

    def _attributed(self, intended: f.EffectIntended) -> f.EffectIntended:
        """Return it with who decided it, who asked for it, and the rule that allowed it."""
        from agentloop.domain import audit  # an idle cycle has no use for it

        on = self._deciding
        issue, task = audit.concerns(self.world, intended.effect)
        view = self.world.issues.get(issue)
        person = str(getattr(on.decision, "by", "")) if on is not None and on.by == "person" else self._asking
        return replace(
            intended,
            by=on.by if on is not None else "rules",
            decision=type(on.decision).__name__ if on is not None else "",
            asked=person or (view.author if view is not None else ""),
            rule=approval.rule_words(self.world, self._settings, issue, task),
            concerns=issue,
        )

    def perform(self, now: datetime, op: str, effect: e.Effect) -> str:
        """Do the effect exactly once and return the id of what it made.

        Raises ConflictError when the world refuses it for good (that is recorded), and whatever else a port
        raises when it is not known whether it took place: the intent stays open, and a later cycle looks
        again.
        """
        known = self.world.effects.get(op)
        if known is not None and known.result is not None:
            return known.result
        if known is None or known.failed:
            self.record(now, f.EffectIntended(op=op, effect=effect))
        try:
            found = self._find(op, effect)
            result = self._act(op, effect) if found is None else found
        except ConflictError as error:
            self.record(now, f.EffectFailed(op=op, why=error.what))
            raise
        self.record(now, f.EffectDone(op=op, result=result))
        return result

    def show(self, now: datetime, one: Showing) -> None:
        """Bring a part of a thread up to date, and note what it shows. Raises what a port raises.

        Note and intent are one line: what is cut off is finished by the next cycle, and what is refused for
        good, or is gone, is not tried again until something changes.
        """
        shown = f.Shown(about=one.about, digest=one.digest, last=one.last)
        op = self._next_version(one)
        effect = one.effect
        if isinstance(effect, e.Keep | e.Say):
            effect = replace(effect, carries=self._told_by(now, effect))
        self.record(now, f.EffectIntended(op=op, effect=effect), shown)
        try:
            self.perform(now, op, effect)
        except NotFoundError as error:
            self.record(now, f.EffectFailed(op=op, why=error.what))
            raise

    def _told_by(self, now: datetime, effect: e.Keep | e.Say) -> str:
        if isinstance(effect, e.Keep):
            return marks.pack(marks.of_kept(self.world, effect.issue, now, self.cycle))
        return self._carry(now, *marks.of_stopped(self.world, effect.issue))

    def _next_version(self, one: Showing) -> str:
        """Return the operation that shows it; shown before, and something else since, it is another one."""
        verb, _, issue = one.about.partition(" ")
        for number in count(1):
            again = (str(number),) if number > 1 else ()
            op = e.operation(verb, issue, one.digest, *again)
            known = self.world.effects.get(op)
            if known is None or (known.result is None and not known.failed):
                return op
        raise AssertionError("unreachable")

    def finish_intents(self, now: datetime) -> None:
        """Look for every effect that a killed cycle intended; do those that are not there.

        What begins something new (`begins`) is left for `finish_beginnings`.
        """
        self._finish(now, [op for op in self.world.open_ops if not begins(self.world.effects[op].effect)])

    def finish_beginnings(self, now: datetime) -> None:
        """Do the same for what begins something new, now that it is known what people did meanwhile."""
        self._finish(now, [op for op in self.world.open_ops if begins(self.world.effects[op].effect)])

    def _finish(self, now: datetime, ops: list[str]) -> None:
        for op in ops:
            if self._given_up(self.world.effects[op].effect):
                self.record(now, f.EffectFailed(op=op, why="its task has gone on without it"))
                continue
            try:
                self.perform(now, op, self.world.effects[op].effect)
            except NotFoundError as error:
                self.record(now, f.EffectFailed(op=op, why=error.what))
            except ConflictError:
                continue  # recorded; the rules see the state it left

    def _given_up(self, effect: e.Effect) -> bool:
        # An attempt that could not be started is counted as lost and another follows: it must not start then.
        match effect:
            case e.StartAttempt(attempt=attempt):
                view = the_try(self.world, attempt)[0]
                state = view.state
                goes_on = isinstance(state, s.Working) and state.attempt == attempt
                return not goes_on or self._is_closed(view)
            case e.StartGate(attempt=attempt):
                view = the_try(self.world, attempt)[0]
                state = view.state
                goes_on = isinstance(state, s.Judging) and state.started and state.attempt == attempt
                return not goes_on or self._is_closed(view)
            case e.Keep(issue=issue):
                # Newer words for the same comment were intended since.
                later = [self.world.effects[each].effect for each in self.world.open_ops]
                return [each for each in later if isinstance(each, e.Keep) and each.issue == issue][
                    -1
                ] != effect
            case e.Push(branch=branch) | e.OpenPull(branch=branch):
                mine = (one for one in self.world.live_tasks() if one.last and one.last.branch == branch)
                return any(self._is_closed(one) for one in mine)
            case _:
                return False

    def _is_closed(self, view: TaskView) -> bool:
        return isinstance(self.world.issues[view.task.issue].state, Closed)

    def carry_out(self, scene: Scene, decision: d.Decision, by: Literal["admin", "rules", "person"]) -> None:
        """Do an admitted decision. Raises what a port raises; then the rules will propose it again."""
        decided = f.Decided(by=by, decision=decision)
        self._deciding = decided
        try:
            self._carry_out(scene, decided, decision)
        finally:
            self._deciding = None

    def _carry_out(self, scene: Scene, decided: f.Decided, decision: d.Decision) -> None:
        match decision:
            case d.Plan() | d.Ask() | d.Answer() | d.ParkIssue() | d.Conclude():
                self._do_to_issue(scene, decided, decision)
            case d.PauseWork() | d.ResumeWork() | d.BeginWork() | d.StopWork():
                self._do_as_wished(scene.now, decided, decision)
            case d.ApprovePlan() | d.RejectPlan() | d.Permit() | d.SetBudget():
                self._allow(scene, decided, decision)
            case d.Assign() | d.Start():
                guidance = decision.guidance if isinstance(decision, d.Assign) else ""
                self._start(scene, decided, decision.task, guidance)
            case d.Take() | d.Keep():
                take = self._take if isinstance(decision, d.Take) else self._keep
                take(scene.now, decided, decision.attempt)
            case d.Judge(attempt=attempt, commit=commit):
                self._judge(scene.now, decided, attempt, commit)
            case d.Halt(attempt=attempt, rationale=why):
                self._halt(scene.now, decided, attempt, why)
            case d.Publish():
                self._publish(scene, decided, decision)
            case d.Sleep() | d.Hibernate():
                self.record(scene.now, decided)
            case _:
                self._do_to_task(scene, decided, decision)

    def _do_to_issue(
        self,
        scene: Scene,
        decided: f.Decided,
        decision: d.Plan | d.Ask | d.Answer | d.ParkIssue | d.Conclude,
    ) -> None:
        match decision:
            case d.Plan():
                self._plan(scene, decided, decision)
            case d.Ask():
                self._ask(scene, decided, decision)
            case d.Answer():
                self._answer(scene.now, decided, decision)
            case d.ParkIssue(issue=issue, rationale=why):
                self._park_issue(scene, decided, issue, why)
            case d.Conclude(issue=issue):
                self._conclude(scene.now, decided, issue)
            case _:
                assert_never(decision)

    def _do_as_wished(
        self,
        now: datetime,
        decided: f.Decided,
        wish: d.PauseWork | d.ResumeWork | d.BeginWork | d.StopWork,
    ) -> None:
        match wish:
            case d.PauseWork(about=about, until=until, by=by, rationale=why):
                self.record(now, decided, f.Paused(about=about, until=until, by=by, reason=why))
            case d.ResumeWork(about=about, by=by):
                self.record(now, decided, f.Resumed(about=about, by=by))
            case d.BeginWork(about=about, by=by):
                self.record(now, decided, f.Urged(about=about, by=by))
            case d.StopWork(about=about, rationale=why) if about in self.world.tasks:
                self._drop(now, decided, about, why)
            case d.StopWork(about=about, rationale=why):
                self._stop_issue(now, decided, about, why)
            case _:
                assert_never(wish)

    def _do_to_task(self, scene: Scene, decided: f.Decided, decision: _OfTask) -> None:
        now = scene.now
        match decision:
            case d.TryAgain():
                self._try_again(scene, decided, decision)
            case d.Review(attempt=attempt, accept=accept, says=says):
                self.record(now, decided, f.Reviewed(attempt=attempt, accepted=accept, says=says))
            case d.Retry():
                self._retry(scene, decided, decision)
            case d.Cancel(task=task, rationale=why) | d.Drop(task=task, rationale=why):
                self._drop(now, decided, task, why)
            case d.Park(task=task, rationale=why):
                self.record(now, decided, f.Parked(task=task, reason=why))
            case d.SendBack():
                self.record(now, decided, _sent_back(decision))
            case d.Requeue():
                self.record(now, decided, _requeued(decision))
            case _:
                self._do_to_pull(scene, decided, decision)

    def _do_to_pull(self, scene: Scene, decided: f.Decided, decision: _OfPull) -> None:
        match decision:
            case d.AcceptMerge(task=task, pull=pull, commit=commit):
                self._merged(scene.now, decided, task, pull, commit)
            case d.LetGo():
                self._let_go(scene.now, decided, decision)
            case d.Propose():
                self._propose(scene.now, decided, decision)
            case d.AnswerReview():
                self._answer_words(scene, decided, decision)
            case _:
                assert_never(decision)

    # Issues.

    def _allow(
        self,
        scene: Scene,
        decided: f.Decided,
        order: d.ApprovePlan | d.RejectPlan | d.Permit | d.SetBudget,
    ) -> None:
        view = self.world.issues[order.issue]
        suggested = autonomy.only_suggested(self._settings, view)
        permitted = [f.Permitted(issue=view.id, by=order.by)] if suggested else []
        match order:
            case d.ApprovePlan(by=by, evidence=evidence):
                held = (one for one in view.approvals if not one.by)
                said = [f.PlanApproved(issue=view.id, plan=one.plan, by=by) for one in held]
                heard = [f.Heard(issue=view.id, evidence=evidence)] if evidence else []
                self.record(scene.now, decided, *said, *permitted, *heard)
            case d.RejectPlan():
                self._reject(scene, decided, order)
            case d.Permit():
                self.record(scene.now, decided, *permitted)
            case d.SetBudget(micros=micros, by=by):
                self.record(scene.now, decided, f.Budgeted(issue=view.id, micros=micros, by=by))
            case _:
                assert_never(order)

    def _reject(self, scene: Scene, decided: f.Decided, order: d.RejectPlan) -> None:
        view = self.world.issues[order.issue]
        tasks = [one.task.id for one in approval.asked_plan(scene, view)]
        why = wording.rejected_words(order.by, order.rationale)
        dropped = [f.Cancelled(task=task, reason=why) for task in tasks]
        others = [one for one in self.world.tasks_of(view.id) if one.task.id not in tasks]
        if any(not s.over(one.state) for one in others):
            heard = [f.Heard(issue=view.id, evidence=view.evidence)] if order.evidence else []
            self.record(scene.now, decided, *dropped, *heard)  # the rest of the issue's work goes on
            return
        self.record(scene.now, decided, *dropped)
        self._park_issue(scene, decided, view.id, why)

    def _plan(self, scene: Scene, decided: f.Decided, plan: d.Plan) -> None:
        now, view = scene.now, self.world.issues[plan.issue]
        # Nobody is asked about a plan any more when another one takes its place.
        self.record(
            now,
            *(
                f.Cancelled(task=one.task.id, reason="another plan takes its place")
                for one in approval.asked_plan(scene, view)
                if not one.tries
            ),
        )
        target = the_target(self._settings, view.target)
        first = view.planned_tasks + 1
        tasks = tasks_of(plan, first, target.name)
        why = wording.one_line(plan.rationale, 600)
        planned = f.Planned(issue=plan.issue, tasks=tasks, evidence=view.evidence, why=why)
        held = self._held(scene, plan.issue, tasks)
        asks = wording.plan_waits(
            [one_why for one in held for one_why in one.why],
            autonomy.only_suggested(self._settings, view),
            pressed=bool(target_of(plan.issue)),
        )
        # The plan is shown in the kept comment: what a kill left out there, the next cycle shows.
        if not asks:
            self.record(now, decided, planned)
            return
        op = self._operation("plan", plan.issue)
        say = self._call(scene, plan.issue, asks, planned, *held)
        self.record(now, decided, planned, *held, f.EffectIntended(op=op, effect=say))
        self.perform(now, op, say)

    def _held(self, scene: Scene, issue: str, tasks: tuple[Task, ...]) -> tuple[f.PlanHeld, ...]:
        why = approval.risks(scene, tasks)
        if not why:
            return ()
        names = tuple(one.id for one in tasks)
        return (f.PlanHeld(issue=issue, plan=approval.plan_name(tasks), tasks=names, why=why),)

    def _ask(self, scene: Scene, decided: f.Decided, ask: d.Ask) -> None:
        now = scene.now
        evidence = self.world.issues[ask.issue].evidence
        op = self._operation("ask", ask.issue)
        asked = f.Asked(issue=ask.issue, question=ask.question, choices=ask.choices, evidence=evidence)
        say = self._call(scene, ask.issue, wording.question_comment(ask), asked)
        self.record(now, decided, asked, f.EffectIntended(op=op, effect=say))
        self.perform(now, op, say)

    def _answer(self, now: datetime, decided: f.Decided, answer: d.Answer) -> None:
        evidence = self.world.issues[answer.issue].evidence
        op = self._operation("answer", answer.issue)
        answered = f.Answered(issue=answer.issue, evidence=evidence)
        say = self._say(now, answer.issue, answer.text.strip(), answered)
        self.record(now, decided, answered, f.EffectIntended(op=op, effect=say))
        self.perform(now, op, say)

    def _park_issue(self, scene: Scene, decided: f.Decided, issue: str, why: str) -> None:
        now = scene.now
        evidence = self.world.issues[issue].evidence
        op = self._operation("park-issue", issue)
        parked = f.IssueParked(issue=issue, reason=why, evidence=evidence)
        say = self._call(scene, issue, wording.parked_comment(f"issue {issue}", why), parked)
        self.record(now, decided, parked, f.EffectIntended(op=op, effect=say))
        self.perform(now, op, say)

    def _conclude(self, now: datetime, decided: f.Decided, issue: str) -> None:
        view = self.world.issues[issue]
        tasks = self.world.tasks_of(issue)
        body = wording.closing_comment(view, tasks, receipt.of_closed(self.world, issue))
        op = self._operation("close", issue)
        closed = f.IssueClosed(issue=issue, by="loop")
        told = self._carry(now, *marks.of_issue(self.world, issue, closed))
        word = self.perform(now, op, e.CloseIssue(issue=issue, body=body, carries=told))
        self.record(now, decided, replace(closed, word=word))

    def _stop_issue(self, now: datetime, decided: f.Decided, issue: str, why: str) -> None:
        live = [view for view in self.world.tasks_of(issue) if not s.over(view.state)]
        ended = [fact for view in live for fact in self._stop(now, view.task.id, why)]
        dropped = [f.Cancelled(task=view.task.id, reason=why) for view in live]
        parked = f.IssueParked(issue=issue, reason=why, evidence=self.world.issues[issue].evidence)
        pulls = tuple(view.pull for view in live if isinstance(view.state, s.InReview))
        op = self._operation("stop-issue", issue)
        say = self._say(now, issue, wording.stopped_comment(why, len(live), pulls), parked, *dropped)
        self.record(now, *ended, decided, *dropped, parked, f.EffectIntended(op=op, effect=say))
        self.perform(now, op, say)

    def heed(self, now: datetime, order: Order, obeyed: f.Obeyed) -> None:
        """Record that an order was answered, and answer it where it was given; a label is taken off."""
        effects: list[tuple[str, e.Effect]] = []
        if order.on == "label":
            effects.append((unlabelling(order.id), e.Label(issue=order.about, remove=(order.of,))))
        if answer := self._answering(now, order, obeyed):
            effects.append((e.operation("answer-order", order.id), answer))
        self._asking = order.by
        try:
            self.record(now, obeyed, *(f.EffectIntended(op=op, effect=effect) for op, effect in effects))
            for op, effect in effects:
                self.perform(now, op, effect)
        finally:
            self._asking = ""

    def _answering(self, now: datetime, order: Order, obeyed: f.Obeyed) -> e.Effect | None:
        if not obeyed.says and order.on == "comment":
            return e.React(issue=order.about, comment=order.of, content="+1")
        if not obeyed.says and order.on in ("label", "box"):
            return None  # it is off again: that says enough
        body = obeyed.says or f"Done: `/agentloop {order.verb}`."
        if order.on == "line":
            return e.ReplyInThread(pull=order.about, thread=order.of, body=body)
        if order.pull:
            return e.SayOnPull(pull=order.about, body=body)
        known = order.about in self.world.issues
        return self._say(now, order.about, body) if known else e.Say(issue=order.about, body=body)

    def _say(self, now: datetime, issue: str, body: str, *own: f.Fact) -> e.Say:
        told = self._carry(now, *marks.of_issue(self.world, issue, *own))
        return e.Say(issue=issue, body=body, carries=told)

    def _call(self, scene: Scene, issue: str, body: str, *own: f.Fact) -> e.Say:
        """Return what is said where a person is needed: the issue's author is told."""
        return replace(self._say(scene.now, issue, body, *own), mention=author_of(scene, issue))

    def _carry(self, now: datetime, *facts: f.Fact) -> str:
        spent = self.world.spent_micros()
        return marks.pack(marks.Carried(at=now, cycle=self.cycle, facts=facts, spent_micros=spent))

    def _operation(self, verb: str, issue: str) -> str:
        # What was done on the same words before a person opened it again is another operation.
        view = self.world.issues[issue]
        counted = (("reopened", view.reopened), ("begun", view.begun))
        again = (f"{what} {times}" for what, times in counted if times)
        return e.operation(verb, issue, view.evidence, *again)

    # Tasks.

    def _retry(self, scene: Scene, decided: f.Decided, retry: d.Retry) -> None:
        view = self.world.tasks[retry.task]
        # What people said on its pull request is what it goes back for, and is answered there.
        words = words_on_pull(view, scene.observed.pull(view.pull))
        held = () if retry.from_scratch else _held(view.state)
        self.record(
            scene.now,
            decided,
            f.SentBack(
                task=retry.task,
                findings=_bounded((*held, *(one.finding for one in words))),
                guidance=retry.guidance.strip(),
                from_scratch=retry.from_scratch,
                heard=tuple(one.id for one in words),
            ),
        )

    def _try_again(self, scene: Scene, decided: f.Decided, again: d.TryAgain) -> None:
        view = self.world.tasks[again.task]
        pull = scene.observed.pull(view.pull) if view.pull else None
        # What was said on its pull request while it was parked is part of what it goes back with.
        heard, said = objections(view, pull) if pull is not None and pull.state == "open" else ((), ())
        guidance = view.state.was.guidance if isinstance(view.state, s.Parked) else ""
        sent = f.SentBack(
            task=again.task,
            findings=_bounded(said or (() if again.from_scratch else _held(view.state))),
            guidance=again.rationale or guidance,
            from_scratch=again.from_scratch,
            heard=(f"{RETRY}{again.request}", *heard),
        )
        self.record(scene.now, decided, sent)

    def _drop(self, now: datetime, decided: f.Decided, task: str, why: str) -> None:
        ended = self._stop(now, task, why)
        self.record(now, *ended, decided, f.Cancelled(task=task, reason=why))

    def _stop(self, now: datetime, task: str, why: str) -> tuple[f.Fact, ...]:
        """End what runs for the task; return what became of it, with its money as its ledger has it."""
        state = self.world.tasks[task].state
        match state:
            case s.Working(attempt=attempt):
                op = e.operation("stop", attempt)
            case s.Judging(attempt=attempt, started=True, round=number):
                op = e.operation("stop-gate", attempt, str(number))
            case _:
                return ()
        self.perform(now, op, e.StopAttempt(attempt=attempt, why=why))
        if isinstance(state, s.Judging):
            return ()
        return self._look_again(f"attempt:{attempt}") or self._all_of_it(attempt)

    def _look_again(self, name: str) -> tuple[f.Fact, ...]:
        seen = self._out.executor.observe(frozenset({name}))
        return tuple(fact for one in seen for fact in job_news(self.world, one))

    def _all_of_it(self, attempt: str) -> tuple[f.Fact, ...]:
        # It could not be ended and nobody will look at it again: all that it may spend counts.
        purse = f"attempt:{attempt}"
        left = self.world.purses.get(purse)
        return () if left is None else (f.Settled(purse=purse, micros=0, unresolved_micros=left),)

    def _merged(self, now: datetime, decided: f.Decided, task: str, pull: str, commit: str) -> None:
        view = self.world.tasks[task]
        ended = self._stop(now, task, "its pull request was merged")
        merged = f.Merged(task=task, pull=pull, commit=commit)
        delete = _left_behind(view)
        if delete is None:
            self.record(now, *ended, decided, merged)
            return
        op = e.operation("delete", task, delete.expected)
        self.record(now, *ended, decided, merged, f.EffectIntended(op=op, effect=delete))
        # Somebody's commit on it, or a pull request into it: then it stays.
        with suppress(ConflictError):
            self.perform(now, op, delete)

    def _propose(self, now: datetime, decided: f.Decided, propose: d.Propose) -> None:
        task, pull = propose.task, propose.pull
        self.perform(now, e.operation("ready", task, pull), e.MakeReady(pull=pull))
        asked: list[str] = []
        refused: list[str] = []
        for login in propose.of:
            try:
                ask = e.AskReview(pull=pull, of=(login,))
                self.perform(now, e.operation("ask-review", task, pull, login), ask)
                asked.append(login)
            except ConflictError as error:
                refused.append(f"{login} ({error.what})")
        if refused and not asked:
            say = e.SayOnPull(pull=pull, body=wording.nobody_asked_comment(refused))
            self.perform(now, e.operation("nobody-asked", task, pull), say)
        self.record(now, decided, f.Proposed(task=task, pull=pull, asked=tuple(asked)))

    def _answer_words(self, scene: Scene, decided: f.Decided, answer: d.AnswerReview) -> None:
        view = self.world.tasks[answer.task]
        words = words_on_pull(view, scene.observed.pull(view.pull))
        if answer.text.strip():
            for one in words:
                self._reply(scene.now, view, one.thread, one.id, answer.text.strip())
            if rest := [one for one in words if not one.thread]:
                op = e.operation("answer-words", view.task.id, *(one.id for one in rest))
                say = e.SayOnPull(pull=view.pull, body=answer.text.strip())
                self.perform(scene.now, op, say)
        self.record(
            scene.now, decided, f.HeardOnPull(task=view.task.id, heard=tuple(one.id for one in words))
        )

    def _reply(self, now: datetime, view: TaskView, thread: str, about: str, body: str) -> None:
        if not thread:
            return
        op = e.operation("reply", view.task.id, thread, about)
        # Somebody deleted the thread, or locked it: then nobody waits for an answer there.
        with suppress(ConflictError):
            self.perform(now, op, e.ReplyInThread(pull=view.pull, thread=thread, body=body))

    def _let_go(self, now: datetime, decided: f.Decided, let_go: d.LetGo) -> None:
        op = e.operation("hands-off", let_go.pull)
        hands_off = f.HandsOff(task=let_go.task, pull=let_go.pull, head=let_go.head)
        body = wording.hands_off_comment(let_go.pull, let_go.head)
        say = e.SayOnPull(pull=let_go.pull, body=body, carries=self._carry(now, hands_off))
        self.record(now, decided, hands_off, f.EffectIntended(op=op, effect=say))
        self.perform(now, op, say)

    # Attempts and gates.

    def _start(self, scene: Scene, decided: f.Decided, task: str, guidance: str) -> None:
        view = self.world.tasks[task]
        state = view.state
        if not isinstance(state, s.Queued):
            return
        if guidance.strip():
            self.record(
                scene.now,
                f.SentBack(
                    task=task,
                    findings=state.findings,
                    guidance=guidance.strip(),
                    from_scratch=state.from_scratch,
                ),
            )
            view = self.world.tasks[task]
            state = replace(state, guidance=guidance.strip())
        try:
            started = self._attempt_of(scene, view, state)
        except TargetError as error:
            # Its target cannot be used now: it waits, so that what stands behind it in the queue may start.
            wait = timedelta(seconds=self._settings.worker.backoff_seconds * 2**view.requeues)
            self.record(scene.now, f.Requeued(task=task, not_before=scene.now + wait, why=error.what))
            raise
        op = e.operation("start", started.attempt)
        effect = e.StartAttempt(attempt=started.attempt, place=self._out.executor.place())
        reserved = f.Reserved(
            purse=f"attempt:{started.attempt}",
            micros=started.slice_micros,
            tokens=scene.slice_for(view).tokens,
        )
        self.record(scene.now, decided, started, reserved, f.EffectIntended(op=op, effect=effect))
        self.perform(scene.now, op, effect)

    def _attempt_of(self, scene: Scene, view: TaskView, state: s.Queued) -> f.AttemptStarted:
        target = the_target(self._settings, view.task.target)
        branch, head = self._out.repositories.head(target)
        conflict = any(one.kind == "conflict" for one in state.findings)
        goes_on = bool(view.head) and not state.from_scratch
        # On top of a pull request's branch, or, after a conflict, on the newer base with both as parents.
        base = view.head if goes_on and not conflict else head
        parents = (base,) if not goes_on or not conflict else (view.head, head)
        limits = self._settings.limits
        expected = estimate_for(self.world, limits, view.task)
        started = f.AttemptStarted(
            attempt=view.next_attempt,
            task=view.task.id,
            base=base,
            parents=parents if not (view.head and state.from_scratch) else (view.head, head),
            branch=branch_of(view.task),
            base_branch=branch,
            trunk=_trunk(view, base, head),
            evidence=evidence_for(view, state),
            slice_micros=scene.slice_for(view).micros,
            deadline=scene.now + timedelta(minutes=limits.attempt_minutes),
            estimate_micros=expected.micros,
            estimate_high_micros=expected.high_micros,
            estimate_from=expected.based_on,
        )
        kept = unfinished(view, state)
        if kept is None or not kept.work or self._is_lost(view, kept.work):
            return started
        return replace(
            started, base=kept.work, parents=kept.parents, trunk=kept.trunk, origin=kept.origin or kept.base
        )

    def _halt(self, now: datetime, decided: f.Decided, attempt: str, why: str) -> None:
        state = the_try(self.world, attempt)[0].state
        number = state.round if isinstance(state, s.Judging) else 0
        name = f"gate:{e.gate_run(attempt, number)}" if number else f"attempt:{attempt}"
        op = e.operation("halt", name)
        self.perform(now, op, e.StopAttempt(attempt=attempt, why=why))
        self.record(now, *self._look_again(name), decided)

    def _take(self, now: datetime, decided: f.Decided, attempt: str) -> None:
        view, one = the_try(self.world, attempt)
        outcome = one.outcome
        if not isinstance(outcome, Delivered):
            return
        if view.task.kind == "research":
            path = self._out.notes.keep(view.task.id, outcome.note)
            self.record(now, decided, f.NoteTaken(attempt=attempt, task=view.task.id, path=path))
            return
        allowed = approval.rule_words(self.world, self._settings, view.task.issue, view)
        asked = wording.asked_by(self.world.issues[view.task.issue], view, one)
        message = wording.commit_message(view.task, one, outcome.summary, asked=asked, allowed=allowed)
        spec = attempt_spec(self._out, self._settings, self.world, one.attempt)
        taken = self._out.repositories.take(
            spec, _end_of(one, outcome, now), message=message, parents=one.parents
        )
        if isinstance(taken, Rejected):
            self.record(now, decided, f.ResultRejected(attempt=attempt, findings=_bounded(taken.findings)))
        else:
            self.record(now, decided, f.ResultTaken(attempt=attempt, commit=taken.commit, tree=taken.tree))

    def _keep(self, now: datetime, decided: f.Decided, attempt: str) -> None:
        view, one = the_try(self.world, attempt)
        if one.outcome is None:
            return
        spec = attempt_spec(self._out, self._settings, self.world, attempt)
        message = f"{wording.one_line(view.task.title, 100)}\n\nUnfinished work of attempt {attempt}.\n"
        end = _end_of(one, one.outcome, now)
        taken = self._out.repositories.take(spec, end, message=message, parents=one.parents)
        if isinstance(taken, Rejected):
            self.record(now, decided, f.WorkRefused(attempt=attempt, findings=_bounded(taken.findings)))
        else:
            self.record(now, decided, f.WorkTaken(attempt=attempt, commit=taken.commit, tree=taken.tree))

    def _judge(self, now: datetime, decided: f.Decided, attempt: str, commit: str) -> None:
        view, _ = the_try(self.world, attempt)
        if self._is_lost(view, commit):
            self.record(now, decided, f.ResultLost(attempt=attempt))
            return
        number = view.state.round if isinstance(view.state, s.Judging) else 1
        op = e.operation("gate", attempt, str(number))
        effect = e.StartGate(attempt=attempt, commit=commit, round=number)
        started = f.GateStarted(attempt=attempt, commit=commit, round=number)
        self.record(now, decided, started, f.EffectIntended(op=op, effect=effect))
        self.perform(now, op, effect)

    def _is_lost(self, view: TaskView, commit: str) -> bool:
        target = the_target(self._settings, view.task.target)
        try:
            self._out.repositories.paths(target, commit)
        except GoneError:  # a target out of reach is another matter
            return True
        return False

    # Publishing.

    def _publish(self, scene: Scene, decided: f.Decided, publish: d.Publish) -> None:
        now, view = scene.now, self.world.tasks[publish.task]
        state, one = view.state, view.last
        if not isinstance(state, s.Accepted) or one is None:
            return
        if self._is_lost(view, state.commit):
            self.record(now, decided, f.ResultLost(attempt=state.attempt))
            return
        target = the_target(self._settings, view.task.target)
        push = e.Push(target=target.name, branch=one.branch, commit=state.commit, expected=view.head)
        title = wording.one_line(publish.title or view.task.title, 100)
        try:
            self.perform(now, e.operation("push", view.task.id, state.commit), push)
            pull = self._show_pull(scene, view, one, state, title)
        except ConflictError as error:
            # The forge will say so again: a person has to look.
            why = f"its result cannot be published: {error.what}"
            self.record(now, decided, f.Parked(task=view.task.id, reason=why))
            return
        published = f.Published(
            task=view.task.id, attempt=one.attempt, pull=pull, branch=one.branch, commit=state.commit
        )
        self.record(now, decided, published)

    def _show_pull(self, scene: Scene, view: TaskView, one: Try, state: s.Accepted, title: str) -> str:
        now, body = scene.now, self._pull_body(scene, view, one, state)
        told = self._carry(now, *marks.of_pull(self.world, view, says=state.says))
        if view.pull:
            edit = e.EditPull(pull=view.pull, title=title, body=body, carries=told)
            self.perform(now, e.operation("edit-pull", view.task.id, state.commit), edit)
            self._answer_review(now, view, one, state)
            return view.pull
        opened = e.OpenPull(
            target=view.task.target,
            branch=one.branch,
            base=one.base_branch,
            title=title,
            body=body,
            carries=told,
        )
        return self.perform(now, e.operation("pull", view.task.id), opened)

    def _answer_review(self, now: datetime, view: TaskView, one: Try, state: s.Accepted) -> None:
        """Reply in each thread that the new commit answers, and say the rest in one comment."""
        summary = one.outcome.summary if isinstance(one.outcome, Delivered) else ""
        answers = answered_by(view)
        for held in answers:
            self._reply(now, view, held.thread, state.commit, wording.thread_reply(state.commit, summary))
        rest = tuple(held for held in answers if not held.thread)
        if not rest:
            return
        body = wording.answering_comment(rest, view.pull, state.commit, summary)
        say = e.SayOnPull(pull=view.pull, body=body)
        self.perform(now, e.operation("answer-review", view.task.id, state.commit), say)

    def _pull_body(self, scene: Scene, view: TaskView, one: Try, state: s.Accepted) -> str:
        outcome = one.outcome
        return wording.pull_body(
            view,
            one,
            outcome if isinstance(outcome, Delivered) else Delivered(tip=state.commit, summary=""),
            self.world.verdicts[one.attempt],
            closes=view.task.issue if covers_issue(self.world, view) else "",
            says=state.says,
            receipt=receipt.of_pull(self.world, view, one),
            standing=(
                *(() if self._settings.layers.gate else (wording.NO_GATE,)),
                *((wording.DRAFT,) if stays_draft(scene, view) else ()),
            ),
        )

    # Money.

    def alert(self, scene: Scene, alert: Alert) -> None:
        """Tell a person once about a limit; on the issue whose work waits for it, if one does."""
        now, told = scene.now, f.Alerted(key=alert.key, says=alert.says)
        if not alert.issue:
            self.record(now, told)
            return
        op = e.operation("alert", alert.issue, alert.key)
        body, mention = wording.alert_comment(alert.says), author_of(scene, alert.issue)
        say = e.Say(issue=alert.issue, body=body, mention=mention)
        self.record(now, told, f.EffectIntended(op=op, effect=say))
        self.perform(now, op, say)

    def take_back(self, now: datetime, unsay: e.Unsay) -> None:
        """Take back words of ours that stand twice."""
        self.perform(now, e.operation("unsay", unsay.issue, unsay.comment), unsay)

    # One effect.

    def _find(self, op: str, effect: e.Effect) -> str | None:
        match effect:
            case e.Say() | e.CloseIssue() | e.Label() | e.Keep() | e.React() | e.Unsay():
                return self._out.tracker.find(op, effect)
            case e.KeepBoard():
                return self._out.board.find(op, effect)
            case e.StartAttempt() | e.StartGate() | e.StopAttempt():
                return self._out.executor.find(op, effect)
            case _:
                return self._out.forge.find(op, effect)

    def _act(self, op: str, effect: e.Effect) -> str:
        match effect:
            case e.Say() | e.CloseIssue() | e.Label() | e.Keep() | e.React() | e.Unsay():
                return self._out.tracker.act(op, effect)
            case e.KeepBoard():
                return self._out.board.act(op, effect)
            case e.StartAttempt(attempt=attempt):
                view, one = the_try(self.world, attempt)
                spec = attempt_spec(self._out, self._settings, self.world, one.attempt)
                self._out.repositories.prepare(spec, message=view.task.title)
                return self._out.executor.act(op, effect, spec)
            case e.StartGate():
                return self._out.executor.act(
                    op, effect, gate_spec(self._out, self._settings, self.world, effect)
                )
            case e.StopAttempt():
                return self._out.executor.act(op, effect, None)
            case _:
                return self._out.forge.act(op, effect)


def begins(effect: e.Effect) -> bool:
    """Whether the effect begins something that nobody wants any more when its issue was closed meanwhile."""
    return isinstance(effect, e.StartAttempt | e.StartGate | e.Push | e.OpenPull)


def _end_of(one: Try, outcome: Outcome, now: datetime) -> End:
    return End(
        attempt=one.attempt,
        outcome=outcome,
        at=one.ended or now,
        turns=one.turns,
        sandboxed=one.sandboxed,
        models=one.models,
    )


def _trunk(view: TaskView, base: str, head: str) -> str:
    # On top of our own branch, the change still starts where that branch left the base branch.
    return next((each.trunk for each in view.tries if each.commit == base), head)


def _left_behind(view: TaskView) -> e.DeleteBranch | None:
    """Return what takes a merged task's branch away; None when it is not ours any more."""
    theirs = isinstance(view.state, s.InReview) and view.state.theirs
    if theirs or view.last is None or not view.head:
        return None
    return e.DeleteBranch(target=view.task.target, branch=view.last.branch, expected=view.head)


def _held(state: s.TaskState) -> tuple[Finding, ...]:
    match state:
        case s.Red(findings=findings) | s.Parked(was=s.Queued(findings=findings)):
            return findings
        case _:
            return ()


def _sent_back(decision: d.SendBack) -> f.SentBack:
    return f.SentBack(
        task=decision.task,
        findings=_bounded(decision.findings),
        heard=decision.heard,
        from_scratch=decision.from_scratch,
    )


def _requeued(decision: d.Requeue) -> f.Requeued:
    return f.Requeued(
        task=decision.task,
        not_before=decision.not_before,
        why=decision.rationale,
        counts=decision.counts,
    )


def _bounded(findings: tuple[Finding, ...]) -> tuple[Finding, ...]:
    return tuple(replace(one, says=one.says[-FINDING_CHARACTERS:]) for one in findings[:20])
