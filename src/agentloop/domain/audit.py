"""Every effect of ours, with who asked for it, who decided it and the rule that allowed it. Pure.

A fold over the journal: the intent of an effect names all of that as it was then, its end says what became of
it. Entries of older versions do not say who asked: then nobody is named.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, Literal

from agentloop.domain import facts as f
from agentloop.domain.codec import tag_of
from agentloop.domain.telling import effect_words
from agentloop.domain.valueclass import dataclass, replace

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from agentloop.domain.effects import Effect
    from agentloop.domain.states import TaskView
    from agentloop.domain.world import World


_BRANCH: Final = re.compile(r"agentloop/(.+?\.\d+)-")
"""How branches of ours are called (`planning.branch_of`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """One effect. `outcome` is `open` while nobody knows whether it took place; `why` is why it failed.

    `op` names the operation, `kind` what was done (`say`, `push`), `where` the issue, pull request, branch or
    attempt, `what` the same in a sentence, `result` the id of what was made. `by` = "" in old journals.
    """

    at: datetime
    cycle: int
    op: str
    kind: str
    what: str
    where: str
    issue: str
    outcome: Literal["done", "failed", "open"]
    result: str
    why: str
    asked: str
    by: str
    decision: str
    rule: str

    @property
    def decided(self) -> str:
        """Who decided it, and what that decision was, in words."""
        if not self.by:
            return "not recorded"
        return f"{self.by}, {self.decision}" if self.decision else self.by


def audit(entries: Iterable[f.Entry], *, issue: str = "", since: datetime | None = None) -> tuple[Done, ...]:
    """Return the effects that were intended since then, for that issue ("" = any), oldest first."""
    found: dict[str, list[Done]] = {}
    for entry in entries:
        for fact in entry.facts:
            match fact:
                case f.EffectIntended(op=op):
                    found.setdefault(op, []).append(_begun(entry, fact))
                case f.EffectDone(op=op, result=result) if op in found:
                    found[op][-1] = replace(found[op][-1], outcome="done", result=result)
                case f.EffectFailed(op=op, why=why) if op in found:
                    found[op][-1] = replace(found[op][-1], outcome="failed", why=why)
                case _:
                    continue
    every = (one for several in found.values() for one in several)
    wanted = [one for one in every if issue in ("", one.issue) and (since is None or one.at >= since)]
    return tuple(sorted(wanted, key=lambda one: (one.at, one.cycle)))


def _begun(entry: f.Entry, fact: f.EffectIntended) -> Done:
    return Done(
        at=entry.at,
        cycle=entry.cycle,
        op=fact.op,
        kind=tag_of(type(fact.effect)),
        what=effect_words(fact.effect),
        where=where(fact.effect),
        issue=fact.concerns or _issue_named(fact.effect),
        outcome="open",
        result="",
        why="",
        asked=fact.asked,
        by=fact.by,
        decision=fact.decision,
        rule=fact.rule,
    )


def where(effect: Effect) -> str:
    """Return where an effect takes place: `issue 7`, `pull request web-3`, `web: agentloop/…`."""
    for name, word in (("pull", "pull request "), ("attempt", "attempt "), ("issue", "issue ")):
        if found := getattr(effect, name, ""):
            return f"{word}{found}"
    return f"{getattr(effect, 'target', '')}: {getattr(effect, 'branch', '')}".strip(": ")


def concerns(world: World, effect: Effect) -> tuple[str, TaskView | None]:
    """Return the issue that an effect is for ("" = none), and the task, where it is for one."""
    view = _task_of(world, effect)
    return (view.task.issue, view) if view is not None else (_issue_named(effect), None)


def _task_of(world: World, effect: Effect) -> TaskView | None:
    if attempt := getattr(effect, "attempt", ""):
        return world.tasks.get(attempt.rpartition(".")[0])
    if pull := getattr(effect, "pull", ""):
        return world.task_of_pull(pull)
    named = _BRANCH.match(getattr(effect, "branch", ""))
    return world.tasks.get(named[1]) if named else None


def _issue_named(effect: Effect) -> str:
    if issue := getattr(effect, "issue", ""):
        return str(issue)
    return str(getattr(effect, "attempt", "")).rpartition(".")[0].rpartition(".")[0]
