"""What a worker is asked, what it says at its end, and what the gate saw.

These values travel between processes as JSON files: the cycle writes a spec, the attempt an end record, the
gate a verdict. Each is written once, durably, and never changed.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal, TypeAlias

from agentloop.domain.settings import Limits, Models, Price, Target, Worker
from agentloop.domain.valueclass import dataclass

RETRY = "retry:"
"""How the ids of persons' retries begin among what a task has heard."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """A command that shows whether a criterion holds; run by `sh -c` in the root of the checkout."""

    name: str
    command: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """What "done" means for a task."""

    goal: str
    criteria: tuple[str, ...]
    checks: tuple[Check, ...] = ()
    scope: tuple[str, ...] = ()
    """Path globs that the change may touch; empty = anywhere but protected paths."""
    may_change_tests: tuple[str, ...] = ()
    """Globs of existing tests that the change may alter because the behaviour they pin is what changes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One well-scoped unit of work, cut from an issue. `id` is `<issue>.<n>`."""

    id: str
    issue: str
    title: str
    kind: Literal["change", "research"]
    contract: Contract
    target: str
    needs: tuple[str, ...] = ()
    """Ids of tasks that must be merged (a `research` task: noted) before this one starts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something the gate, a check or a reviewer holds against a change.

    `about` is a path, a check or a person.
    """

    kind: Literal[
        "check",
        "protected",
        "mode",
        "size",
        "secret",
        "empty",
        "scope",
        "tests",
        "hostile",
        "review",
        "conflict",
    ]
    about: str
    says: str
    thread: str = ""
    """The thread on a pull request's lines that it was said in: it is answered there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptSpec:
    """Everything an attempt is given: `.agentloop/attempts/<id>/spec.json`.

    The work tree (`tree/`), its private git directory (`git/`) and `TASK.md` are ready when this file exists.
    Paths are absolute. `deadline` is absolute too: nothing extends it.
    """

    FORMAT = 1

    id: str
    task: Task
    base: str
    """Commit the tree is checked out at."""
    folder: str
    mirror: str
    """Bare repository that lends its objects; read-only to the attempt."""
    deadline: datetime
    slice_micros: int
    limits: Limits
    models: Models
    worker: Worker
    target: Target
    prices: dict[str, Price]
    brief: str
    """The text of TASK.md: contract, context, findings of earlier attempts, notes of research tasks."""
    slice_tokens: int = 0
    """Tokens of every kind that it may take; 0 = no limit."""
    issue_text: str = ""
    """The issue's words as fenced, untrusted data."""
    origin: str = ""
    """What the result is measured from when the base holds an earlier attempt's work; "" = the base."""
    v: Literal[1] = 1


# How an attempt can end. Only the first five are verdicts of its own: they use up the evidence it was
# started on.


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivered:
    """A commit that the contract's checks passed on in the worker's own tree (the gate believes none of it).

    `tip` is the worker's commit, whose objects beyond the base are in `result.pack` beside the end record. A
    `research` task delivers its note in `note` and no pack.
    """

    tip: str
    summary: str
    not_done: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Blocked:
    """The worker says what keeps it from finishing; `tip` as in GaveUp."""

    reason: str
    tip: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class NothingDone:
    """A refusal, an empty diff, or a claim without passing checks."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GaveUp:
    """Turns were used up, or the same failure came again and again.

    What there is was committed (`tip` may be "").
    """

    reason: str
    tip: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stalled:
    """It went in circles: told so, begun afresh from a summary, and still nothing new. `tip` as in GaveUp."""

    reason: str
    tip: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopped:
    """Ended from outside: deadline, budget, cancelled, no supervisor came back, too much disk, or killed.

    `tip` as in GaveUp. One that was killed wrote no end record; whoever found it did (`worker/salvage.py`).
    """

    why: Literal["deadline", "budget", "cancelled", "orphaned", "killed", "disk"]
    detail: str = ""
    tip: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitedBy:
    """The provider's rate limit, a timer and no failure: start again at `until`; `tip` as in GaveUp."""

    until: datetime
    detail: str
    tip: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken:
    """The machinery failed (sandbox, set-up command, key, model out of reach); says how to mend it.

    `tip` as in GaveUp.
    """

    reason: str
    fix: str = ""
    tip: str = ""


Outcome: TypeAlias = Delivered | Blocked | NothingDone | GaveUp | Stalled | Stopped | LimitedBy | Broken


def tip_of(outcome: Outcome | None) -> str:
    """Return the commit that an attempt left behind, or "" when there is none."""
    return getattr(outcome, "tip", "")


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """An attempt's durable end record: `.agentloop/attempts/<id>/end.json`."""

    FORMAT = 1

    attempt: str
    outcome: Outcome
    at: datetime
    turns: int
    sandboxed: bool
    models: tuple[str, ...] = ()
    """Every model that answered, with the fallback's use visible."""
    v: Literal[1] = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class GateSpec:
    """Everything a gate is given: `.agentloop/gates/<attempt>/spec.json`. It holds no secret.

    `commit` is in the mirror (the core took it over); `base` is where the attempt started.
    """

    FORMAT = 1

    attempt: str
    task: Task
    base: str
    commit: str
    folder: str
    mirror: str
    deadline: datetime
    limits: Limits
    worker: Worker
    target: Target
    scan: bool = True
    """False when the gate layer is switched off: only the contract's checks are run."""
    unapproved: tuple[str, ...] = ()
    """Path globs that only an approved plan may touch; () for one that was approved."""
    v: Literal[1] = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckResult:
    """One check as the gate ran it.

    Exit status (None = it was stopped), the tail of its output, its seconds.
    """

    name: str
    command: str
    passed: bool
    status: int | None
    output: str
    seconds: float
    before: Literal["failed", "passed", "unknown"] = "unknown"
    """How the same command ended on the base: failed there and passing here is the best evidence there is."""
    tests: int | None = None
    """How many tests it carried out, as far as its output tells it; `tests_before`: on the base."""
    tests_before: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What the gate saw on one commit: `.agentloop/gates/<attempt>/verdict.json`.

    Green = no findings; a check that failed is one of them.
    """

    FORMAT = 1

    attempt: str
    commit: str
    base: str
    checks: tuple[CheckResult, ...]
    findings: tuple[Finding, ...]
    at: datetime
    sandboxed: bool
    evidence: str
    """SHA-256 over commit, commands, exit codes and findings: names this evidence in the journal."""
    files: int = 0
    added: int = 0
    removed: int = 0
    notes: tuple[str, ...] = ()
    """What a person should look at first (tests that went, much that was removed); held against nobody."""
    paths: tuple[str, ...] = ()
    """What the commit changes against its base, the first 200 of them; () in older verdicts."""
    v: Literal[1] = 1

    @property
    def green(self) -> bool:
        """Whether nothing is held against the commit."""
        return not self.findings and all(check.passed for check in self.checks)


@dataclass(frozen=True, slots=True, kw_only=True)
class GateBroken:
    """The gate could not do its work (no sandbox, no disk): says nothing about the commit.

    Tried again later.
    """

    FORMAT = 1

    attempt: str
    reason: str
    at: datetime
    fix: str = ""
    v: Literal[1] = 1
