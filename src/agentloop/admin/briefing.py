"""All that the admin is shown in a cycle, as text: bounded, most urgent first, outsiders' words fenced."""

from __future__ import annotations

import secrets
import unicodedata
from typing import TYPE_CHECKING, TypeAlias

from agentloop.domain.codec import encode
from agentloop.domain.issue import urgency
from agentloop.domain.observed import Running
from agentloop.domain.reviewing import words_on_pull
from agentloop.domain.runway import runway, runway_lines
from agentloop.domain.telling import issue_state, task_state
from agentloop.domain.valueclass import dataclass
from agentloop.domain.wording import count, dollars, one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from agentloop.domain.issue import Issue
    from agentloop.domain.scene import Scene
    from agentloop.domain.signals import Matter
    from agentloop.domain.world import IssueView

    Marks: TypeAlias = Callable[[], str]
    Diffs: TypeAlias = Callable[[str], str]

ISSUES_IN_FULL = 3
ISSUES_NAMED = 12
TASKS_NAMED = 15
PROBLEMS_SHOWN = 5
WORDS_SHOWN = 6000
DIFFS_SHOWN = 6000
"""Characters of diffs in one briefing, all green attempts together.

A diff is shown whole or not at all: who accepts one has to have seen its end.
"""
TOO_LONG = "Its diff is not shown here: read it with `read_diff`."


@dataclass(frozen=True, slots=True, kw_only=True)
class Briefing:
    """What the admin is asked about: the text, and the matters it is shown."""

    text: str
    matters: tuple[Matter, ...]


def fresh_mark() -> str:
    """Return a mark that nobody who wrote words to be fenced could have known."""
    return secrets.token_hex(4)


def fence(label: str, words: str, limit: int = WORDS_SHOWN, *, marks: Marks = fresh_mark) -> str:
    """Return an outsider's words between fences that the words cannot forge.

    The mark is drawn afresh each time, from `marks`.
    """
    mark = marks()
    return f"<<<{one_line(label)} {mark}\n{_visible(_cut(words, limit))}\n>>>{mark}"


def _cut(words: str, limit: int) -> str:
    return words if len(words) <= limit else f"{words[:limit]}\n[… {len(words) - limit} characters more]"


def _visible(words: str) -> str:
    """Return `words` with every character that hides, or turns text around, shown as what it is (U+202E)."""
    return "".join(
        char
        if char.isprintable() or char in "\n\t"
        else " "
        if unicodedata.category(char) == "Zs"
        else char.encode("unicode_escape").decode("ascii")
        for char in words.replace("\r\n", "\n")
    )


def _unread(_attempt: str) -> str:
    return ""


def brief(
    scene: Scene,
    matters: tuple[Matter, ...],
    *,
    relay: str,
    stall: str = "",
    marks: Marks = fresh_mark,
    diffs: Diffs = _unread,
) -> Briefing:
    """Return the briefing for this look. `relay` is the relay's text, `stall` what the stall rule says.

    `marks` draws the marks of the fences; `diffs` reads what an attempt changed, "" when it cannot.
    """
    shown = matters[: ISSUES_IN_FULL * 2]
    green = _diffs(shown, diffs)
    parts = [
        f"# Briefing of cycle {scene.world.cycle}, {scene.now:%Y-%m-%d %H:%M} UTC",
        _section("What needs your decision", [f"- {one.says}" for one in shown], _more(matters, shown)),
        stall,
        *(_matter(scene, one, marks, green.get(one.about, "")) for one in shown),
        _fenced(
            "Problems", [f"- {one_line(text)}" for text in scene.observed.problems[:PROBLEMS_SHOWN]], marks
        ),
        _section("What you proposed last and was refused", _refusals(scene)),
        _fenced("Tasks", _tasks(scene), marks),
        _fenced("Issues", _issues(scene), marks),
        _fenced("Running", _running(scene), marks),
        _money(scene),
        "## The relay\n\n" + fence("relay", relay, 12_000, marks=marks),
    ]
    return Briefing(text="\n\n".join(part for part in parts if part), matters=shown)


def _section(title: str, lines: Iterable[str], more: str = "") -> str:
    found = [*lines, *([more] if more else [])]
    return f"## {title}\n\n" + "\n".join(found) if found else ""


def _fenced(title: str, lines: Iterable[str], marks: Marks) -> str:
    """Return a section whose lines hold words of titles, workers and programs."""
    found = "\n".join(lines)
    return _section(title, [fence(title.lower(), found, marks=marks)]) if found else ""


def _more(everything: tuple[object, ...], shown: tuple[object, ...]) -> str:
    left = len(everything) - len(shown)
    return f"- and {left} more, shown in a later cycle" if left > 0 else ""


def _diffs(shown: tuple[Matter, ...], diffs: Diffs) -> dict[str, str]:
    """Return the diffs that are shown, by attempt: as many of the green ones as there is room for."""
    room, found = DIFFS_SHOWN, {}
    for attempt in [one.about for one in shown if one.kind == "green"]:
        text = diffs(attempt)
        if text and len(text) <= room:
            found[attempt] = text
            room -= len(text)
    return found


def _matter(scene: Scene, matter: Matter, marks: Marks, diff: str) -> str:
    match matter.kind:
        case "issue":
            issue = scene.observed.issue(matter.about)
            return issue_text(issue, scene.world.issues[matter.about], marks=marks) if issue else ""
        case "green":
            shown = fence(f"diff of {matter.about}", diff, DIFFS_SHOWN, marks=marks) if diff else TOO_LONG
            return "\n\n".join(filter(None, (_attempt(scene, matter.about, marks), shown)))
        case "returned":
            return _attempt(scene, matter.about, marks)
        case "said":
            return _said(scene, matter.about, marks)
        case _:
            return ""


def issue_text(
    issue: Issue, view: IssueView | None, limit: int = WORDS_SHOWN, *, marks: Marks = fresh_mark
) -> str:
    """Return an issue with the words of those who may steer the loop, fenced.

    The newest comments are what it was looked at for: half of `limit` (in characters) is theirs.
    """
    state = issue_state(view) if view else issue.state
    head = f"## Issue {issue.id} ({issue.priority} priority, target {issue.target or 'default'}, {state})"
    said = [
        f"{'you (agentloop)' if one.ours else one.author}, {one.at:%Y-%m-%d %H:%M}:\n{one.body}"
        for one in issue.comments
        if one.trusted or one.ours
    ]
    words = "\n\n".join([issue.title, _cut(issue.body, limit // 2), *_newest(said, limit // 2)])
    hidden = sum(not (one.trusted or one.ours) for one in issue.comments)
    note = f"\n\n{hidden} comments by people who may not steer the loop are left out." if hidden else ""
    return f"{head}\n\n{fence(f'issue {issue.id}', words, 2 * limit, marks=marks)}{note}"


def _newest(said: list[str], room: int) -> list[str]:
    """Return the newest of `said`, oldest first, cut so that all together take about `room` characters."""
    shown: list[str] = []
    for text in reversed(said):
        if room <= 0:
            break
        shown.append(_cut(text, room))
        room -= len(text)
    left = len(said) - len(shown)
    return [*([f"[{left} earlier comments]"] if left else []), *reversed(shown)]


def _said(scene: Scene, task: str, marks: Marks) -> str:
    """Return what people said on a task's pull request, and the contract that it was made for."""
    view = scene.world.tasks[task]
    words = words_on_pull(view, scene.observed.pull(view.pull))
    said = "\n\n".join(f"{one.about}:\n{one.says}" for one in words)
    head = f"## Said on pull request {view.pull} of task {task}: {one_line(view.task.title)}"
    contract = view.task.contract
    lines = "\n".join([f"goal: {contract.goal}", *(f"criterion: {text}" for text in contract.criteria)])
    return "\n\n".join([head, _cut(lines, 4000), fence(f"pull request {view.pull}", said, marks=marks)])


def _attempt(scene: Scene, attempt: str, marks: Marks) -> str:
    view = scene.world.tasks[attempt.rpartition(".")[0]]
    one = view.last
    if one is None:
        return ""
    contract = view.task.contract
    lines = [f"goal: {contract.goal}", *(f"criterion: {text}" for text in contract.criteria)]
    said = (
        "\n".join(f"{key}: {value}" for key, value in encode(one.outcome).items())
        if one.outcome
        else "killed"
    )
    verdict = scene.world.verdicts.get(attempt)
    checks = (
        [f"- `{check.command}`: {'passed' if check.passed else 'FAILED'}" for check in verdict.checks]
        if verdict
        else []
    )
    size = f"{count(verdict.files, 'file')}, +{verdict.added} -{verdict.removed}" if verdict else ""
    parts = [
        f"## Attempt {attempt} of task {view.task.id}: {one_line(view.task.title)}",
        _cut("\n".join(lines), 4000),
        fence("the worker says", said, 2000, marks=marks),
        "\n".join([f"Gate ({size}):", *checks]) if verdict else "",
        f"{view.verdicts} of {scene.attempts_allowed(view)} attempts used",
    ]
    return "\n\n".join(part for part in parts if part)


def _refusals(scene: Scene) -> list[str]:
    return [
        f"- {type(one.decision).__name__.lower()}: {one_line(one.why)}" for one in scene.world.refusals[-5:]
    ]


def _tasks(scene: Scene) -> list[str]:
    views = scene.world.live_tasks()
    lines = [
        f"- {view.task.id} {one_line(view.task.title, 80)}: {task_state(scene, view)}"
        for view in views[:TASKS_NAMED]
    ]
    more = len(views) - TASKS_NAMED
    return [*lines, *([f"- and {more} more"] if more > 0 else [])]


def _issues(scene: Scene) -> list[str]:
    views = sorted(scene.world.open_issues(), key=lambda view: urgency(view.priority, view.id))
    lines = [
        f"- {view.id} ({view.priority}) {one_line(view.title, 80)}: {issue_state(view)}"
        for view in views[:ISSUES_NAMED]
    ]
    more = len(views) - ISSUES_NAMED
    return [*lines, *([f"- and {more} more"] if more > 0 else [])]


def _running(scene: Scene) -> list[str]:
    return [
        f"- {one.role} {one.attempt}, {dollars(one.spent_micros)} so far {one_line(one.doing, 100)}"
        for one in scene.observed.seen
        if isinstance(one, Running)
    ]


def _money(scene: Scene) -> str:
    """How far the money reaches: a line a limit and one for the queue, however long that is."""
    limits = scene.settings.limits
    lines = [
        *runway_lines(runway(scene)),
        f"{scene.working()} of {limits.attempts_at_once} attempts run",
        f"an attempt may take ${limits.attempt_usd:.2f}",
    ]
    return _section("Money", lines)
