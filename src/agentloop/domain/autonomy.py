"""How far the loop goes by itself for an issue. Pure.

`suggest` plans, asks and comments; `draft` opens draft pull requests; `propose` opens pull requests that are
ready for review. There is nothing above that. What a label says goes before what the target says; of several
labels the most careful counts, because whoever put one on too many meant to be careful with one of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from agentloop.domain.valueclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agentloop.domain.issue import Issue
    from agentloop.domain.settings import Settings, Target
    from agentloop.domain.world import IssueView

Level: TypeAlias = Literal["suggest", "draft", "propose"]
LEVELS: Final[tuple[Level, ...]] = ("suggest", "draft", "propose")
"""The most careful first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowed:
    """A level, and the rule that gives it, in words."""

    level: Level
    rule: str


def of_target(settings: Settings, target: Target) -> Allowed:
    """Return what the target's own setting says, or that of the house."""
    if target.autonomy:
        return Allowed(level=target.autonomy, rule=f"target {target.name}")
    if target.tracker == "github":
        return Allowed(level=settings.github.autonomy, rule="github.autonomy")
    return Allowed(level="draft", rule="as nothing else is said")


def named_labels(target: Target) -> frozenset[str]:
    """Return the labels that the target's settings tie to an autonomy."""
    return frozenset((*target.suggest_labels, *target.draft_labels, *target.propose_labels))


def allowed(settings: Settings, issue: IssueView) -> Allowed:
    """Return how far the loop goes for an issue; `suggest` for one whose target nobody knows."""
    target = settings.target(issue.target)
    if target is None:
        return Allowed(level="suggest", rule="its target is not in the settings")
    found = _by_label(target, issue.labels) or of_target(settings, target)
    if found.level == "suggest" and issue.permitted:
        return Allowed(level="draft", rule=f"{issue.permitted} had it built")
    return found


def _by_label(target: Target, labels: Iterable[str]) -> Allowed | None:
    lists = zip(LEVELS, (target.suggest_labels, target.draft_labels, target.propose_labels), strict=True)
    here = frozenset(labels)
    found = ((level, label) for level, named in lists for label in named if label in here)
    level, label = next(found, (None, ""))
    return Allowed(level=level, rule=f"label {label}") if level else None


def label_news(settings: Settings, view: IssueView, issue: Issue) -> tuple[str, ...] | None:
    """Return the labels that tell its autonomy now, when the journal has others; None = as it has them."""
    target = settings.target(view.target)
    named = named_labels(target) if target else frozenset()
    now = tuple(sorted(named.intersection(issue.labels)))
    return None if now == view.labels else now


def only_suggested(settings: Settings, issue: IssueView) -> str:
    """Return that nothing is built for the issue, and what has it built; "" when it is."""
    found = allowed(settings, issue)
    if found.level != "suggest":
        return ""
    return f"only suggested (autonomy suggest, {found.rule}): /agentloop start has it built, as drafts"
