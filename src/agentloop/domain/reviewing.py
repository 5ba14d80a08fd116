"""What people, checks and the forge say of a pull request of ours, and what follows from it. Pure.

Requests for change, words in threads on lines, failed checks and conflicts send the task back, once each.
What else a trusted person says on it is a matter for the admin: a question, a wish, a word of thanks.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from agentloop.domain.autonomy import allowed
from agentloop.domain.orders import beside_commands
from agentloop.domain.states import InReview, TaskView
from agentloop.domain.valueclass import dataclass
from agentloop.domain.work import Finding

if TYPE_CHECKING:
    from agentloop.domain.issue import Comment, LineThread, Pull, PullCheck, Review
    from agentloop.domain.scene import Scene

AT_ONCE: Final = 15
"""Words that one attempt is sent back with; the others come next."""
_NOD: Final = re.compile(
    r"(?:lgtm|looks? good(?: to me)?|sounds good|(?:very |really )?nice(?: work| one)?|great(?: work)?"
    r"|perfect|good job|well done|thanks?(?: you)?(?: a lot| so much)?|ship it|approved?|ok(?:ay)?|yes|done"
    r"|cool|awesome"
    r"|👍|🎉|🚀|❤️?|:\+1:|:shipit:|:rocket:|:tada:|[!.,\s])+",
    re.IGNORECASE,
)
"""Words that agree and ask for nothing, whatever their order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """What a trusted person said. `id` is how the task remembers it; `thread` names a thread on lines."""

    id: str
    about: str
    says: str
    thread: str = ""

    @property
    def finding(self) -> Finding:
        """The same as something that is held against the change."""
        return Finding(kind="review", about=self.about, says=self.says, thread=self.thread)


def objections(view: TaskView, pull: Pull) -> tuple[tuple[str, ...], tuple[Finding, ...]]:
    """Return what people, checks and the forge hold against `pull` and was not acted on: ids, findings.

    When there is anything, all that people said besides goes with it.
    """
    asked = [one for one in _said(view, pull) if one[1]]
    failed = [(f"check:{one.name}:{pull.head}", one) for one in failing(pull)]
    failed = [(key, one) for key, one in failed if key not in view.heard]
    conflict = f"conflict:{pull.head}"
    clash = pull.mergeable is False and conflict not in view.heard
    if not (asked or failed or clash):
        return (), ()
    words = [one for one, _ in _said(view, pull)]
    findings = [one.finding for one in words]
    findings += [Finding(kind="check", about=one.name, says=one.summary) for _, one in failed]
    if clash:
        says = f"it no longer merges into {pull.base}: do the work again on the newer base"
        findings.append(Finding(kind="conflict", about=pull.branch, says=says))
    heard = [one.id for one in words] + [key for key, _ in failed] + ([conflict] if clash else [])
    return tuple(heard), tuple(findings)


def words_on_pull(view: TaskView, pull: Pull | None) -> tuple[Words, ...]:
    """Return what trusted people said on a pull request in review that is neither a request nor answered."""
    state = view.state
    if pull is None or pull.state != "open" or not isinstance(state, InReview) or state.theirs:
        return ()
    said = _said(view, pull)
    return () if any(request for _, request in said) else tuple(one for one, _ in said)


def failing(pull: Pull) -> list[PullCheck]:
    """Return the checks that failed on the head of `pull`."""
    return [one for one in pull.checks if one.state == "failed" and one.commit in ("", pull.head)]


def may_propose(scene: Scene, view: TaskView) -> bool:
    """Return whether the loop may make the task's pull request ready for review."""
    target = scene.settings.target(view.task.target)
    level = allowed(scene.settings, scene.world.issues[view.task.issue]).level
    return level == "propose" and bool(target and target.tracker == "github")


def stays_draft(scene: Scene, view: TaskView) -> bool:
    """Return whether the task's pull request is opened as a draft that only a person makes ready."""
    target = scene.settings.target(view.task.target)
    return bool(target and target.tracker == "github") and not may_propose(scene, view)


def unweighed(scene: Scene, view: TaskView) -> bool:
    """Return whether the forge is about to find out whether a pull request merges: it tells nobody when."""
    state, pull = view.state, scene.observed.pull(view.pull)
    target = scene.settings.target(view.task.target)
    if not isinstance(state, InReview) or state.theirs or target is None or target.tracker != "github":
        return False
    proposing = not view.proposed and may_propose(scene, view)
    if pull is None:
        return proposing  # it was opened behind this look
    behind = pull.mergeable is None or (pull.head != state.commit and pull.draft and proposing)
    return pull.state == "open" and behind


def nothing_stands_against(pull: Pull, commit: str) -> bool:
    """Return whether it shows `commit`, is known to merge, and no check of it failed or is still running."""
    here = [one for one in pull.checks if one.commit in ("", pull.head)]
    return pull.head == commit and pull.mergeable is True and not any(one.state != "passed" for one in here)


def to_ask(scene: Scene, view: TaskView, pull: Pull) -> tuple[str, ...]:
    """Return the logins to ask for a review: those of the settings, else whoever filed the issue.

    Not who was asked, or has reviewed it, already.
    """
    issue = scene.observed.issue(view.task.issue)
    author = (issue.author,) if issue is not None and issue.trusted else ()
    done = {*pull.asked, *(one.author for one in pull.reviews if not one.ours and one.commit)}
    return tuple(one for one in scene.settings.github.reviewers or author if one and one not in done)


def answered_by(view: TaskView) -> tuple[Finding, ...]:
    """Return what was held against the pull request as it was shown last: not what a gate held in between."""
    shown = [at for at, one in enumerate(view.tries) if one.commit == view.head]
    since = view.tries[shown[-1] + 1 if shown else 0 :]
    between = {held for one in since for held in one.held}
    return tuple(dict.fromkeys(held for one in since for held in one.answers if held not in between))


def is_nod(text: str) -> bool:
    """Return whether words agree and ask for nothing: `LGTM`, `Thanks!`, a thumb."""
    return not text.strip() or _NOD.fullmatch(text.strip()) is not None


def _said(view: TaskView, pull: Pull) -> list[tuple[Words, bool]]:
    """Return what trusted people said that was not heard, each with whether it requests a change."""
    reviews = [
        (_of_review(one), one.verdict == "changes_requested") for one in pull.reviews if _counts(pull, one)
    ]
    approving = {one.id for one in pull.reviews if one.verdict == "approved"}
    threads = [
        (_of_thread(one), one.review not in approving or len(one.said) > 1)
        for one in pull.threads
        if _has_last_word(one)
    ]
    new = [(one, request) for one, request in (*reviews, *threads) if one.id not in view.heard]
    return sorted(new, key=lambda each: not each[1])[:AT_ONCE]


def _counts(pull: Pull, review: Review) -> bool:
    if not review.trusted or review.ours or _is_order(review.body):
        return False
    if review.verdict == "changes_requested":
        later = pull.reviews[pull.reviews.index(review) + 1 :]
        return not any(one.author == review.author and one.verdict == "approved" for one in later)
    return not is_nod(beside_commands(review.body))


def _is_order(text: str) -> bool:
    """Whether a text holds nothing but orders."""
    return bool(text.strip()) and not beside_commands(text)


def _of_review(review: Review) -> Words:
    return Words(id=review.id, about=review.author, says=beside_commands(review.body) or "(see the lines)")


def _has_last_word(thread: LineThread) -> bool:
    """Return whether a trusted person spoke in a thread after our last word in it, and wants something."""
    return not all(is_nod(beside_commands(one.body)) for one in _new(thread))


def _new(thread: LineThread) -> list[Comment]:
    ours = [at for at, one in enumerate(thread.said) if one.ours]
    return [one for one in thread.said[ours[-1] + 1 if ours else 0 :] if one.trusted and not one.ours]


def _of_thread(thread: LineThread) -> Words:
    new = _new(thread)
    where = f"{thread.path}:{thread.line}" if thread.line else thread.path
    says = "\n\n".join(words for one in new if (words := beside_commands(one.body)))
    return Words(id=f"line:{new[-1].id}", about=f"{new[-1].author} on {where}", says=says, thread=thread.id)
