"""The story that the crash harness plays, step by step, how it goes on after a blow, and what must hold then.

file     a person files the issue                       supervise  the same as plan, under a supervisor
plan     a cycle plans it and starts an attempt, which is killed as it starts
work     a cycle starts the next attempt, which works
judge    a cycle takes the result over and starts the gate, which judges
write    a person writes into the relay
publish  a cycle has the result reviewed and opens the pull request
merge    a person merges it
close    cycles close the issue and hand the relay on, until there is nothing to do

slots    the same as plan: the upkeep that makes work trees ahead
salvage  before work: an attempt is killed when it has changed its tree, which the next cycle has packed
trash    the same as publish: the upkeep that empties the trash

After a blow the story goes on as far as its step's end (`reached`), or to the end of all.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from agentloop.domain.effects import gate_run
from agentloop.domain.observed import AttemptEnded, GateEnded
from agentloop.domain.relay import lint
from agentloop.domain.states import Accepted, Green, InReview, Judging, Merged, Returned, Working
from agentloop.domain.work import Delivered
from agentloop.edges import runtime
from agentloop.edges.files import TEMP_PREFIX
from agentloop.edges.relay import RelayFile
from agentloop.edges.tidying import tidy
from agentloop.edges.tracker import FileTracker
from agentloop.errors import AgentloopError
from agentloop.testing.crash.calls import Point

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from agentloop.domain.issue import Issue
    from agentloop.domain.states import TaskState
    from agentloop.testing.crash.arena import Arena, Ran

CYCLES_AT_MOST: Final = 40
TITLE: Final = "add subtracts"
WORDS: Final = "Mind the parameters' names – they are public. ✎"
SAID_ONCE: Final = (("**Plan**", "plan"), ("**Done.**", "close"))
"""What the loop says on the issue, and in which step."""
BUSY: Final = 3
BUSY_SECONDS: Final = 0.1
LOCKS_SECONDS: Final = 120
TEMPS_SECONDS: Final = 1200


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A part of the story: what happens in it, and which commands of ours run in it."""

    name: str
    act: Callable[[Arena], Ran | None]
    roles: tuple[str, ...]
    reached: Callable[[Arena], bool]
    """Whether the story has come as far as this step's end, or farther."""
    before: str = ""
    """The step whose snapshot it begins with, when that is not its own."""
    cycles: bool = True
    """Whether a cycle mends what is struck here, as opposed to the person who asks again."""
    gits: bool = True
    """Whether its gits are struck, as opposed to being those of another step."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """How a story ended: what did not hold, and how many cycles said that they failed."""

    lost: tuple[str, ...] = ()
    doubled: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    by_hand: tuple[str, ...] = ()
    failed_cycles: tuple[str, ...] = field(default=())

    @property
    def good(self) -> bool:
        """Whether everything held."""
        return not (self.lost or self.doubled or self.left or self.by_hand)


def file_issue(arena: Arena) -> Ran:
    """File the issue."""
    return arena.agentloop("issue", "new", TITLE, "--body", "add(2, 3) is -1.")


def cycle(arena: Arena) -> Ran:
    """Run a cycle, and wait for what it started."""
    ran = arena.agentloop("cycle")
    arena.wait_for_runs()
    return ran


def plan(arena: Arena) -> Ran:
    """Run the cycle that plans; the attempt that it starts is killed before it is there."""
    arena.arm(KILLED_ATTEMPT)
    ran = cycle(arena)
    if ran.status == 0 and isinstance(_state(arena), Working):
        arena.agentloop("cycle")
    return ran


def supervise(arena: Arena) -> Ran:
    """Run a supervisor for one cycle, and wait for what that started."""
    arena.arm(KILLED_ATTEMPT)
    ran = arena.agentloop("run", "--once")
    arena.wait_for_runs()
    return ran


def keep_up(arena: Arena) -> Ran:
    """Run a cycle, and wait for the upkeep that it starts; an attempt is killed as it starts."""
    arena.arm(KILLED_ATTEMPT)
    ran = arena.agentloop("cycle")
    arena.outlived()
    return ran


def salvage(arena: Arena) -> Ran:
    """Have an attempt killed whose tree is changed, and run the cycle that has it packed."""
    arena.arm(CUT_OFF_ATTEMPT)
    ran = work(arena)
    return cycle(arena) if ran.status == 0 else ran


def work(arena: Arena) -> Ran:
    """Run the cycle that starts the attempt again, and wait for the attempt."""
    arena.rest()
    return cycle(arena)


def write(arena: Arena) -> None:
    """Write into the relay, as an editor does: in place."""
    text = arena.home.relay.read_text("utf-8")
    arena.home.relay.write_text(text.rstrip("\n") + f"\n\n{WORDS}\n", "utf-8")


def merge(arena: Arena) -> Ran:
    """Merge the pull request."""
    open_ones = sorted(arena.home.pulls.glob("0*.md"))
    return arena.agentloop("pr", "merge", open_ones[0].stem.lstrip("0") if open_ones else "1")


def close(arena: Arena) -> Ran:
    """Run cycles until one is idle."""
    ran = cycle(arena)
    for _ in range(CYCLES_AT_MOST):
        nap = runtime.read_sleep(arena.home.root)
        if nap is not None and nap.outcome == "idle":
            return ran
        arena.rest()
        ran = cycle(arena)
    return ran


KILLED_ATTEMPT: Final = Point(step="plan", role="attempt", call="openat", n=1)
"""Before it is Python: strace is not asked about the call that makes it be there."""
CUT_OFF_ATTEMPT: Final = Point(step="salvage", role="attempt", call="vfork", n=6)
"""When its agent is done, while what its tree holds is looked at."""


def _state(arena: Arena) -> TaskState | None:
    return next((view.state for view in arena.journal().tasks.values()), None)


def _is_filed(arena: Arena) -> bool:
    return _issue(arena) is not None


def _is_planned(arena: Arena) -> bool:
    return _state(arena) is not None


def _is_delivered(arena: Arena) -> bool:
    state = _state(arena)
    if isinstance(state, Working):
        return any(
            isinstance(one, AttemptEnded) and isinstance(one.end.outcome, Delivered)
            for one in arena.seen(f"attempt:{state.attempt}")
        )
    return isinstance(state, Returned | Judging | Green | Accepted | InReview | Merged)


def _is_judged(arena: Arena) -> bool:
    state = _state(arena)
    if isinstance(state, Judging):
        run = gate_run(state.attempt, state.round)
        return any(isinstance(one, GateEnded) for one in arena.seen(f"gate:{run}"))
    return isinstance(state, Green | Accepted | InReview | Merged)


def _is_published(arena: Arena) -> bool:
    return isinstance(_state(arena), InReview | Merged)


def _is_merged(arena: Arena) -> bool:
    return any(arena.home.closed_pulls.glob("0*.md")) and not any(arena.home.pulls.glob("0*.md"))


def _is_over(arena: Arena) -> bool:
    issue = _issue(arena)
    nap = runtime.read_sleep(arena.home.root)
    return issue is not None and issue.state == "closed" and nap is not None and nap.outcome == "idle"


STEPS: Final = (
    Step(name="file", act=file_issue, roles=("issue",), reached=_is_filed, cycles=False),
    Step(
        name="supervise",
        act=supervise,
        roles=("run", "config", "cycle"),
        reached=_is_planned,
        before="plan",
    ),
    Step(
        name="slots",
        act=keep_up,
        roles=("upkeep",),
        reached=_is_planned,
        before="plan",
        gits=False,
    ),
    Step(name="plan", act=plan, roles=("cycle", "config"), reached=_is_planned),
    Step(
        name="salvage",
        act=salvage,
        roles=("salvage",),
        reached=_is_delivered,
        before="work",
        gits=False,
    ),
    Step(name="work", act=work, roles=("cycle", "attempt"), reached=_is_delivered),
    Step(name="judge", act=cycle, roles=("cycle", "gate"), reached=_is_judged),
    Step(name="write", act=write, roles=(), reached=_is_judged),
    Step(
        name="trash",
        act=keep_up,
        roles=("upkeep",),
        reached=_is_published,
        before="publish",
        gits=False,
    ),
    Step(name="publish", act=cycle, roles=("cycle",), reached=_is_published),
    Step(name="merge", act=merge, roles=("pr",), reached=_is_merged, cycles=False),
    Step(name="close", act=close, roles=("cycle",), reached=_is_over),
)
LAST: Final = STEPS[-1]


def comes_after(one: Step, other: str) -> bool:
    """Return whether a step comes after the one named `other`."""
    names = [step.name for step in STEPS]
    return names.index(one.name) > names.index(other)


def go_on(arena: Arena, step: Step, until: Step) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Play the story from `step` to the end of `until`, by cycles and by the person's own steps.

    Return what failed on the way: cycles that ended badly, and what nobody but a person could have mended.
    """
    failed: list[str] = []
    stuck: list[str] = []
    if comes_after(until, "write") and not comes_after(step, "write"):
        write(arena)
    mended = not step.cycles
    for _ in range(CYCLES_AT_MOST):
        if mended and until.reached(arena):
            break
        _persons_part(arena, stuck)
        if not until.cycles and until.reached(arena):
            break
        ran = arena.agentloop("cycle")
        if ran.status == BUSY:
            time.sleep(BUSY_SECONDS)
            continue  # the one that a killed supervisor left behind is still at it
        if ran.status != 0:
            failed.append(f"a cycle ended with {ran.status}: {ran.text.strip()[-300:]}")
        mended = mended or ran.status == 0
        if not until.reached(arena):
            arena.wait_for_runs()
        if not until.reached(arena):
            arena.rest()
    else:
        nap = runtime.read_sleep(arena.home.root)
        stuck.append(f"the story is not over after {CYCLES_AT_MOST} cycles: {nap.reason if nap else '?'}")
    _let_time_pass(arena)
    return tuple(failed), tuple(stuck)


def _let_time_pass(arena: Arena) -> None:
    """Make what killed processes left look old, and run a cycle: it may be somebody's who is at work."""
    left = [path for path in _files(arena) if _is_left(path)]
    for path in left:
        aged = TEMPS_SECONDS if TEMP_PREFIX in path.name else LOCKS_SECONDS
        os.utime(path, (path.stat().st_atime, path.stat().st_mtime - aged))
    if left:
        arena.agentloop("cycle")
        tidy(arena.home)  # as the next cycle does that has something to do: an idle one takes locks only


def _persons_part(arena: Arena, stuck: list[str]) -> None:
    """Do what a person would do who sees that what they asked for has not taken place."""
    if _issue(arena) is None:
        file_issue(arena)
    if any(arena.home.pulls.glob("0*.md")):
        ran = merge(arena)
        if ran.status != 0:
            stuck.append(f"pr merge ended with {ran.status}: {ran.text.strip()[-300:]}")


def _issue(arena: Arena) -> Issue | None:
    # A number may be used up by a command that was cut off: the issue is the first there is.
    found = FileTracker(arena.home.tracker).filed("all")
    return found[0].issue if found else None


def judged(arena: Arena, failed: tuple[str, ...], stuck: tuple[str, ...], until: Step = LAST) -> Told:
    """Look at everything that must hold when the story is at the end of `until`."""
    try:
        lost = (*_lost(arena, until), *arena.money_amiss(arena.journal(), over=until is LAST))
        doubled = tuple(_doubled(arena, until))
    except (AgentloopError, OSError, ValueError) as error:
        lost, doubled = (f"what is left cannot be read: {error}",), ()
    left = tuple(_left(arena, until))
    return Told(lost=lost, doubled=doubled, left=left, by_hand=stuck, failed_cycles=failed)


def _lost(arena: Arena, until: Step) -> Iterator[str]:
    issue = _issue(arena)
    if issue is None or (until is LAST and issue.state != "closed"):
        yield f"the issue is {issue.state if issue else 'gone'}"
        return
    if (issue.title, issue.body.strip()) != (TITLE, "add(2, 3) is -1."):
        yield f"the issue says {issue.title!r}, {issue.body!r}"
    said = [one.body for one in issue.comments if one.ours]
    due = [words for words, step in SAID_ONCE if not comes_after(_step(step), until.name)]
    if until.before == "plan":
        due = ["**Plan**"]
    yield from (f"no comment says {words}" for words in due if not any(words in one for one in said))
    if comes_after(until, "publish") and "return a + b" not in (arena.repository / "calc.py").read_text():
        yield "the change is not in the checkout"
    for folder in (arena.repository, arena.home.root):
        checked = arena.git("fsck", "--no-dangling", "--no-progress", cwd=folder)
        if checked.status != 0:
            yield f"git fsck in {folder.name}: {checked.text.strip()}"
    if dirt := arena.git("status", "--porcelain", "--untracked-files=no").text:
        yield f"the checkout is not clean: {dirt}"
    yield from _lost_of_relay(arena, until)


def _step(name: str) -> Step:
    return next(one for one in STEPS if one.name == name)


def _lost_of_relay(arena: Arena, until: Step) -> Iterator[str]:
    text = arena.home.relay.read_text("utf-8")
    if comes_after(until, "write") and WORDS not in RelayFile(arena.home).read().relay.human:
        yield "the person's words are gone from the relay"
    yield from (f"the relay: {problem}" for problem in lint(text))
    if until is LAST:
        shown = arena.git("show", "HEAD:memories/consensus.md", cwd=arena.home.root)
        if shown.status != 0 or shown.text != text:
            yield "the relay is not committed as it is"
        if (said := dict(RelayFile(arena.home).read().relay.facts)["issues"]) != "none open":
            yield f"the relay says of issues: {said}"


def _doubled(arena: Arena, until: Step) -> Iterator[str]:
    issue = _issue(arena)
    said = [one.body for one in issue.comments if one.ours] if issue else []
    for words, _ in SAID_ONCE:
        times = sum(words in one for one in said)
        if times > 1:
            yield f"{times} comments say {words}"
    if len(said) > len(SAID_ONCE):
        yield f"{len(said)} comments, not {len(SAID_ONCE)}: {[one[:80] for one in said]}"
    issues = list(arena.home.tracker.glob("issues/**/0*.md"))
    pulls = list(arena.home.tracker.glob("pulls/**/0*.md"))
    merges = arena.git("log", "--merges", "--format=%s", "main").text.splitlines()
    found = (len(issues), len(pulls), len(merges), len(arena.journal().tasks))
    if any(number > 1 for number in found) or (until is LAST and 0 in found):
        yield "{} issues, {} pull requests, {} merges, {} tasks".format(*found)
    branches = arena.git("for-each-ref", "--format=%(refname:short)", "refs/heads/").text.split()
    if "main" not in branches or len(branches) > (1 if until is LAST else 2):
        yield f"branches: {branches}"


def _left(arena: Arena, until: Step) -> Iterator[str]:
    """Yield processes, temp files, stale locks and trees that nobody will take away any more."""
    if until.roles == ("upkeep",):
        arena.outlived()
    if until is LAST:
        yield from (f"still runs: {one}" for one in arena.outlived())
        arena.agentloop(
            "upkeep", "now", "--home", str(arena.home.root)
        )  # what one that was killed had begun, the next takes away
        yield from (f"left: {one.relative_to(arena.world)}" for one in arena.home.slots.glob("*/.new-*"))
        for tree in (*arena.home.attempts.glob("*/tree"), *arena.home.gates.glob("*/tree")):
            yield f"left: {tree.relative_to(arena.world)}"
    elif any(arena.living()):
        return  # what is at work has temp files and locks of its own
    yield from (f"left: {path.relative_to(arena.world)}" for path in _files(arena) if _is_left(path))


def _files(arena: Arena) -> Iterator[Path]:
    for where, _, names in os.walk(arena.world):
        yield from (Path(where) / name for name in names)


def _is_left(path: Path) -> bool:
    # A temp file of git's own is harmless, and is taken away when it is certain that no git has it open.
    in_git = ".git" in f"{path.parent}"
    return path.name.startswith((TEMP_PREFIX, ".claim-")) or (in_git and path.name.endswith(".lock"))
