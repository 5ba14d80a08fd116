"""What an issue waits for, and what a person can do: from the journal, and from what is newer. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentloop.domain import states as s
from agentloop.domain import world as w
from agentloop.domain.askable import unpaid_issue
from agentloop.domain.holds import hold_words
from agentloop.domain.limits import anew_words, too_narrow
from agentloop.domain.order import held_back, needed_first
from agentloop.domain.report import need_of_issue, need_of_task
from agentloop.domain.signals import is_known, issue_matter, worn_out
from agentloop.domain.telling import standing
from agentloop.domain.valueclass import dataclass, field
from agentloop.domain.wording import count, one_line

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agentloop.domain.issue import Pull
    from agentloop.domain.report import Live, Progress
    from agentloop.domain.scene import Scene
    from agentloop.domain.world import IssueView

SEEN = "the next cycle takes that in"


@dataclass
class Waiting:
    """Reasons, commands, and whether something of it waits for a cycle (`for_cycle`)."""

    found: list[str] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    for_cycle: bool = False
    sooner: bool = False
    """Whether that cycle, run sooner, changes anything."""

    @property
    def reasons(self) -> tuple[str, ...]:
        """What stands between the issue and its end, a line each."""
        return tuple(dict.fromkeys(self.found))

    @property
    def do(self) -> tuple[str, ...]:
        """Commands, the most likely first, each once."""
        return tuple(dict.fromkeys(self.commands))

    def person(self, says: str, do: Iterable[str]) -> None:
        """Add something that a person is asked for."""
        self.found.append(says)
        self.commands += do

    def cycle(self, says: str, *, sooner: bool = True) -> None:
        """Add something that goes on by itself, in a cycle; not `sooner`: in one that comes at its time."""
        self.found.append(says)
        self.for_cycle = True
        self.sooner = self.sooner or sooner


def waiting(
    scene: Scene, issue: IssueView, views: Iterable[s.TaskView], progress: Iterable[Progress] = ()
) -> Waiting:
    """Return what `issue` and those of its tasks wait for; `progress` is of what runs now."""
    made = Waiting()
    if not _of_issue(scene, issue, made):
        return made
    if paused := hold_words(scene.world, scene.now, issue.id):
        made.found.append(paused)  # whatever else it waits for: nothing of it is begun or published
    runs = {(one.role, one.attempt): one for one in progress}
    for view in views:
        if not s.over(view.state):
            _of_task(scene, view, runs, made)
    if not made.found:
        made.cycle("the next cycle looks whether it is done")
    return made


def blocks(live: Live | None, waits: Waiting) -> tuple[str, ...]:
    """Return the command that has cycles run again or sooner, when something waits for one."""
    if live is None:
        return ("agentloop wake",) if waits.sooner else ()
    if not waits.for_cycle:
        return ()
    ends_pause = ("agentloop resume",) if live.pause else ()
    if live.loop.state == "stopped":
        return ("agentloop run", *ends_pause)
    is_idle = waits.sooner and live.loop.state in ("sleeping", "backoff")
    return ends_pause or (("agentloop wake",) if is_idle else ())


# --- the issue ----------------------------------------------------------------------------------------------


def _of_issue(scene: Scene, issue: IssueView, made: Waiting) -> bool:
    """Add what the issue itself waits for; return whether its tasks matter besides."""
    seen = scene.observed.issue(issue.id)
    is_closed = isinstance(issue.state, w.Closed)
    reopen = f"agentloop issue reopen {issue.id}"
    if seen is not None and (seen.state == "closed") != is_closed:
        made.cycle(f"you {'opened it again' if is_closed else 'closed it'}: {SEEN}")
        made.commands += () if is_closed else (reopen,)
        return not is_closed
    if is_closed:
        made.commands.append(reopen)
        return False
    if seen is not None and issue.evidence and not is_known(issue.evidence, seen):
        made.cycle("you changed its words, or wrote a comment: the next cycle reads that")
        return True
    _of_words(scene, issue, made)
    return True


def _of_words(scene: Scene, issue: IssueView, made: Waiting) -> None:
    asked = need_of_issue(scene.world, issue)
    if asked is not None:
        made.person(asked.says, asked.do)
    elif issue.evidence != issue.handled or not issue.evidence:
        unpaid = unpaid_issue(scene, issue.id) or scene.admin_unpaid()
        made.cycle(when_asked(scene, issue), sooner=not scene.limited() and unpaid is None)
        made.commands += ("agentloop cost",) if unpaid is not None else ()
    elif isinstance(issue.state, w.Settled):
        made.person(
            "it is answered, and open: it waits for you to comment, or to close it",
            (f'agentloop issue comment {issue.id} "…"', f"agentloop issue close {issue.id}"),
        )


def when_asked(scene: Scene, issue: IssueView) -> str:
    """Return when the admin agent reads the issue's words, and why not now."""
    what = f"the admin agent reads its {'new ' * bool(issue.handled)}words"
    if paused := hold_words(scene.world, scene.now, issue.id):
        return f"{what} when the pause is over: {paused}"
    trouble, again = scene.world.trouble, scene.ask_again_at()
    if worn_out(scene.world, issue_matter(issue.id, issue.evidence)):
        return "the admin agent came to no decision about its words: the next cycle parks it"
    if trouble is not None and again is not None:
        when = f"from {again:%H:%M} UTC on" if again > scene.now else "in the next cycle"
        failed = "failed" if trouble.in_a_row == 1 else f"failed {count(trouble.in_a_row, 'time')} in a row"
        return f"{what} {when}; it {failed}, the last time: {one_line(trouble.why)}"
    if scene.limited():
        limit = scene.world
        when = f"when the provider's limit is over, {limit.limited_until:%H:%M} UTC"
        return f"{what} {when}: {one_line(limit.limited_why, 160)}"
    unpaid = unpaid_issue(scene, issue.id) or scene.admin_unpaid()
    if unpaid is not None:
        return f"{what} when there is money again: {unpaid.name} is used up{anew_words(unpaid)}"
    return f"{what} in the next cycle"


# --- a task -------------------------------------------------------------------------------------------------


def _of_task(scene: Scene, view: s.TaskView, runs: dict[tuple[str, str], Progress], made: Waiting) -> None:
    pull = scene.observed.pull(view.pull) if view.pull else None
    newer = _news_of_pull(view, pull) if pull is not None else ""
    if newer:
        made.cycle(f"task {view.task.id}: {newer}: {SEEN}")
        return
    need = need_of_task(view)
    if need is not None:
        made.person(f"task {view.task.id}: {standing(view.state)}", need.do)
        return
    match view.state:
        case s.Queued():
            _of_queued(scene, view, made)
        case s.Working(attempt=attempt):
            _of_run(view, runs.get(("attempt", attempt)), made)
        case s.Judging(attempt=attempt, started=True):
            _of_run(view, runs.get(("gate", attempt)), made)
        case _:
            made.cycle(f"task {view.task.id}: {standing(view.state)}")


def _of_queued(scene: Scene, view: s.TaskView, made: Waiting) -> None:
    held = held_back(scene, view)
    says = f"task {view.task.id} " + ("; ".join(held) or "starts in the next cycle")
    asked = [need for one in needed_first(scene.world, view) if (need := need_of_task(one)) is not None]
    if not asked:
        # A wake has the breaker for work without progress try once more; time and money it does not bring.
        made.cycle(says, sooner=not held or (scene.fruitless() and len(held) == 1))
        is_unpaid = scene.unpaid(view) is not None or bool(too_narrow(scene.settings))
        made.commands += ("agentloop cost",) if is_unpaid else ()
    for need in asked:
        made.person(says, need.do)  # however many cycles run: the person's turn comes first


def _of_run(view: s.TaskView, run: Progress | None, made: Waiting) -> None:
    says = f"task {view.task.id}: {standing(view.state)}"
    if run is not None and run.doing.startswith("ended"):
        made.cycle(f"task {view.task.id}: the {run.role} on {run.attempt} has ended: {SEEN}")
    elif run is not None and run.alive is False:
        made.cycle(f"task {view.task.id}: the process of {run.role} {run.attempt} is gone: {SEEN}")
    else:
        made.found.append(says)


def _news_of_pull(view: s.TaskView, pull: Pull) -> str:
    """What a person did with a pull request since the journal was written, as far as its record tells."""
    if not isinstance(view.state, s.InReview):
        return ""
    if pull.state == "merged":
        return f"you merged pull request {pull.id}"
    if pull.state == "closed":
        return f"you closed pull request {pull.id} without merging it"
    asked = [
        one
        for one in pull.reviews
        if one.verdict == "changes_requested" and one.trusted and not one.ours and one.id not in view.heard
    ]
    return f"you asked for changes on pull request {pull.id}" if asked else ""
