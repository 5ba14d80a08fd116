"""What a task or an issue has cost: the values of a receipt, and its words. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from agentloop.domain.estimating import estimate_for
from agentloop.domain.shares import Share, by_model, in_all
from agentloop.domain.valueclass import dataclass
from agentloop.domain.wording import count, dollars

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agentloop.domain.settings import Settings
    from agentloop.domain.states import TaskView, Try
    from agentloop.domain.work import Task
    from agentloop.domain.world import World

OWN_COST: Final = 10
"""Per cent of the workers' spend that the admin agent's is promised to stay under."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What was spent: by workers, by the admin agent, model by model; what was expected; the gates' time."""

    worker: tuple[Share, ...]
    admin: tuple[Share, ...]
    attempts: int
    gates: int
    gate_seconds: float
    expected_micros: int
    """What the attempts were estimated to cost when they were started (medians)."""
    high_micros: int
    """Nine in ten times they cost less."""

    @property
    def all(self) -> Share:
        """Everything as one."""
        return in_all((*self.worker, *self.admin))


def of_task(world: World, view: TaskView) -> Receipt:
    """Return what the task's attempts have cost; the admin agent's part is the issue's."""
    return _receipt(world, view.tries, ())


def of_issue(world: World, issue: str) -> Receipt:
    """Return what the issue has cost: the attempts at its tasks, and its share of the admin agent."""
    tries = [one for view in world.tasks_of(issue) for one in view.tries]
    view = world.issues.get(issue)
    return _receipt(world, tries, view.admin if view else ())


def _receipt(world: World, tries: Iterable[Try], admin: Iterable[Share]) -> Receipt:
    several = tuple(tries)
    verdicts = [world.verdicts[one.attempt] for one in several if one.attempt in world.verdicts]
    return Receipt(
        worker=by_model(share for one in several for share in shares_of_try(one)),
        admin=by_model(admin),
        attempts=len(several),
        gates=len(verdicts),
        gate_seconds=sum(check.seconds for verdict in verdicts for check in verdict.checks),
        expected_micros=sum(one.estimate_micros for one in several),
        high_micros=sum(one.estimate_high_micros for one in several),
    )


def shares_of_try(one: Try) -> tuple[Share, ...]:
    """Return what an attempt took; of older journals, and when its ledger is gone, the money alone."""
    if one.shares or not one.spent_micros:
        return one.shares
    return (Share(model=one.models[0] if one.models else "", micros=one.spent_micros),)


def own_cost_words(own: int, work: int) -> str:
    """Return the loop's own model cost beside the workers', and what is promised; "" = nothing yet."""
    if not own and not work:
        return ""
    share = f"{100 * own / work:.0f} % of the workers' {dollars(work)}" if work else "no worker spent any"
    return f"admin agent {dollars(own)}: {share} (promised: at most {OWN_COST} %)"


def of_pull(world: World, view: TaskView, one: Try) -> str:
    """Return the receipt of a pull request, a paragraph, with the admin agent's part so far."""
    found = of_task(world, view)
    number = len(view.tries)
    issue = of_issue(world, view.task.issue)
    parts = [
        f"**Cost** {dollars(found.all.most_micros)} for this task in {count(number, 'attempt')}",
        f"{', '.join(one.models) or 'no model'}, {count(one.turns, 'turn')} in the last",
        spent_words(found),
        f"issue {view.task.issue} so far {dollars(issue.all.most_micros)}, {_admins(issue)}",
    ]
    return "; ".join(part for part in parts if part)


def of_closed(world: World, issue: str) -> str:
    """Return the receipt of an issue that is done, as Markdown."""
    found = of_issue(world, issue)
    number = found.attempts
    lines = [
        f"**Cost** {dollars(found.all.most_micros)} in {count(number, 'attempt')}",
        *(f"- {words}" for words in (spent_words(found), _admins(found)) if words),
    ]
    return "\n".join(lines)


def _admins(found: Receipt) -> str:
    own, work = in_all(found.admin).most_micros, in_all(found.worker).most_micros
    share = f" ({100 * own / work:.0f} % of the workers')" if work else ""
    return f"the admin agent's part {dollars(own)}{share}"


def expected_words(world: World, settings: Settings, tasks: tuple[Task, ...]) -> str:
    """Return what tasks that were just planned are expected to cost, a sentence."""
    found = [estimate_for(world, settings.limits, task) for task in tasks]
    if not found:
        return ""
    cost, high = sum(one.micros for one in found), sum(one.high_micros for one in found)
    known = min(one.based_on for one in found)
    source = (
        f"from {known} attempt{'s' * (known > 1)} of this kind"
        if known
        else "a guess: there is no attempt of this kind yet"
    )
    each = f"Expected to cost {dollars(cost)}, likely below {dollars(high)}, with one attempt a task"
    return f"{each} ({source})."


def spent_words(receipt: Receipt) -> str:
    """Return calls, tokens, models, expectation, checks and what is unresolved, as one line."""
    whole = receipt.all
    parts = [_calls(whole), *_models(receipt), *_expected(receipt)]
    if receipt.gates:
        parts.append(f"checks ran {receipt.gate_seconds:.0f} s")
    if whole.unresolved_micros:
        parts.append(f"{dollars(whole.unresolved_micros)} of it unresolved, at its ceiling")
    return "; ".join(part for part in parts if part)


def _calls(whole: Share) -> str:
    if not whole.calls:
        return ""
    cached = 100 * whole.cache_read_tokens // whole.input_all if whole.input_all else 0
    calls = count(whole.calls, "call")
    return f"{calls}, {whole.input_all:,} tokens in ({cached} % from the cache), {whole.output_tokens:,} out"


def _models(receipt: Receipt) -> list[str]:
    shares = by_model((*receipt.worker, *receipt.admin))
    named = [f"{one.model or 'a model not known'} {dollars(one.most_micros)}" for one in shares]
    return [", ".join(named)] if len(named) > 1 else []


def _expected(receipt: Receipt) -> list[str]:
    if not receipt.expected_micros:
        return []
    high = dollars(receipt.high_micros)
    return [f"expected {dollars(receipt.expected_micros)}, in nine of ten cases below {high}"]
