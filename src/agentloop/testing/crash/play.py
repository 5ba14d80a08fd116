"""The story that the crash harness plays, step by step, how it goes on after a blow, and what must hold then.

file     a person files the issue                       supervise  the same as plan, under a supervisor
plan     a cycle plans it and starts the attempt, which works
judge    a cycle takes the result over and starts the gate, which judges
write    a person writes into the relay
publish  a cycle has the result reviewed and opens the pull request
merge    a person merges it
close    cycles close the issue and hand the relay on, until there is nothing to do
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from agentloop.domain.relay import lint
from agentloop.edges import runtime
from agentloop.edges.files import TEMP_PREFIX
from agentloop.edges.metered import shipped_prices
from agentloop.edges.relay import RelayFile
from agentloop.edges.tracker import FileTracker
from agentloop.errors import AgentloopError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from agentloop.domain.issue import Issue
    from agentloop.testing.crash.arena import Arena, Ran

CYCLES_AT_MOST: Final = 40
TITLE: Final = "add subtracts"
WORDS: Final = "Mind the parameters' names – they are public. ✎"
SAID_ONCE: Final = ("**Plan**", "is ready for your review", "**Done.**")
BUSY: Final = 3
LOCKS_SECONDS: Final = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A part of the story: what happens in it, and which commands of ours run in it."""

    name: str
    act: Callable[[Arena], Ran | None]
    roles: tuple[str, ...]
    before: str = ""
    """The step whose snapshot it begins with, when that is not its own."""


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


def supervise(arena: Arena) -> Ran:
    """Run a supervisor for one cycle, and wait for what that started."""
    ran = arena.agentloop("run", "--once")
    arena.wait_for_runs()
    return ran


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


STEPS: Final = (
    Step(name="file", act=file_issue, roles=("issue",)),
    Step(name="supervise", act=supervise, roles=("run", "config", "cycle"), before="plan"),
    Step(name="plan", act=cycle, roles=("cycle", "attempt", "config")),
    Step(name="judge", act=cycle, roles=("cycle", "gate")),
    Step(name="write", act=write, roles=()),
    Step(name="publish", act=cycle, roles=("cycle",)),
    Step(name="merge", act=merge, roles=("pr",)),
    Step(name="close", act=close, roles=("cycle",)),
)

WRITTEN: Final = [one.name for one in STEPS].index("write")


def go_on(arena: Arena, step: Step) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Play the story from `step` to its end by cycles, and by the person's own steps where they were cut off.

    Return what failed on the way: cycles that ended badly, and what nobody but a person could have mended.
    """
    failed: list[str] = []
    stuck: list[str] = []
    if [one.name for one in STEPS].index(step.name) <= WRITTEN:
        write(arena)
    for _ in range(CYCLES_AT_MOST):
        _persons_part(arena, stuck)
        ran = arena.agentloop("cycle")
        if ran.status == BUSY:
            continue  # the one that a killed supervisor left behind is still at it
        if ran.status != 0:
            failed.append(f"a cycle ended with {ran.status}: {ran.text.strip()[-300:]}")
        arena.wait_for_runs()
        if _is_over(arena):
            _let_a_minute_pass(arena)
            break
        arena.rest()
    else:
        nap = runtime.read_sleep(arena.home.root)
        stuck.append(f"the story is not over after {CYCLES_AT_MOST} cycles: {nap.reason if nap else '?'}")
    return tuple(failed), tuple(stuck)


def _let_a_minute_pass(arena: Arena) -> None:
    """Make locks that git left look old, and run a cycle: a lock may be somebody's for a minute."""
    locks = [path for path in arena.world.rglob("*.lock") if ".git" in f"{path.parent}"]
    for lock in locks:
        os.utime(lock, (lock.stat().st_atime, lock.stat().st_mtime - LOCKS_SECONDS))
    if locks:
        arena.agentloop("cycle")


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


def _is_over(arena: Arena) -> bool:
    issue = _issue(arena)
    nap = runtime.read_sleep(arena.home.root)
    return issue is not None and issue.state == "closed" and nap is not None and nap.outcome == "idle"


def judged(arena: Arena, failed: tuple[str, ...], stuck: tuple[str, ...]) -> Told:
    """Look at everything that must hold when the story is over."""
    try:
        lost = (*_lost(arena), *_money(arena))
        doubled = tuple(_doubled(arena))
    except (AgentloopError, OSError, ValueError) as error:
        lost, doubled = (f"what is left cannot be read: {error}",), ()
    left = (*(f"still runs: {one}" for one in arena.outlived()), *_left_behind(arena))
    return Told(lost=lost, doubled=doubled, left=left, by_hand=stuck, failed_cycles=failed)


def _lost(arena: Arena) -> Iterator[str]:
    issue = _issue(arena)
    if issue is None or issue.state != "closed":
        yield f"the issue is {issue.state if issue else 'gone'}"
        return
    if (issue.title, issue.body.strip()) != (TITLE, "add(2, 3) is -1."):
        yield f"the issue says {issue.title!r}, {issue.body!r}"
    said = [one.body for one in issue.comments if one.ours]
    yield from (f"no comment says {words}" for words in SAID_ONCE if not any(words in one for one in said))
    if "return a + b" not in (arena.repository / "calc.py").read_text("utf-8"):
        yield "the change is not in the checkout"
    for folder in (arena.repository, arena.home.root):
        checked = arena.git("fsck", "--no-dangling", "--no-progress", cwd=folder)
        if checked.status != 0:
            yield f"git fsck in {folder.name}: {checked.text.strip()}"
    if dirt := arena.git("status", "--porcelain", "--untracked-files=no").text:
        yield f"the checkout is not clean: {dirt}"
    yield from _lost_of_relay(arena)


def _lost_of_relay(arena: Arena) -> Iterator[str]:
    text = arena.home.relay.read_text("utf-8")
    if WORDS not in RelayFile(arena.home).read().relay.human:
        yield "the person's words are gone from the relay"
    yield from (f"the relay: {problem}" for problem in lint(text))
    shown = arena.git("show", "HEAD:memories/consensus.md", cwd=arena.home.root)
    if shown.status != 0 or shown.text != text:
        yield "the relay is not committed as it is"


def _doubled(arena: Arena) -> Iterator[str]:
    issue = _issue(arena)
    said = [one.body for one in issue.comments if one.ours] if issue else []
    for words in SAID_ONCE:
        times = sum(words in one for one in said)
        if times > 1:
            yield f"{times} comments say {words}"
    if len(said) > len(SAID_ONCE):
        yield f"{len(said)} comments, not {len(SAID_ONCE)}: {[one[:80] for one in said]}"
    issues = list(arena.home.tracker.glob("issues/**/0*.md"))
    pulls = list(arena.home.tracker.glob("pulls/**/0*.md"))
    if (len(issues), len(pulls)) != (1, 1):
        yield f"{len(issues)} issues, {len(pulls)} pull requests"
    merges = arena.git("log", "--merges", "--format=%s", "main").text.splitlines()
    if len(merges) != 1:
        yield f"merges: {merges}"
    branches = arena.git("for-each-ref", "--format=%(refname:short)", "refs/heads/").text.split()
    if branches != ["main"]:
        yield f"branches: {branches}"
    if len(arena.journal().tasks) != 1:
        yield f"tasks: {list(arena.journal().tasks)}"


def _money(arena: Arena) -> Iterator[str]:
    world = arena.journal()
    served = arena.model.served_micros(shipped_prices().models)
    in_all = sum(world.spent_by_day.values())
    settled = in_all - world.unresolved_micros
    if not settled <= served <= in_all + sum(world.purses.values()):
        yield f"settled {settled}, served {served}, unresolved {world.unresolved_micros}, in all {in_all}"
    if world.purses:
        yield f"purses that nobody settles: {dict(world.purses)}"
    yield from (f"the model was asked what it has no answer for: {one}" for one in arena.model.errors)


def _left_behind(arena: Arena) -> Iterator[str]:
    """Yield temp files, stale locks and trees that nobody will take away any more."""
    for where, folders, names in os.walk(arena.world):
        here = Path(where)
        if here.name == "attempts":
            found = [f"{name}/tree" for name in folders if (here / name / "tree").exists()]
        else:
            found = [name for name in names if _is_left(here, name)]
        yield from (f"left: {(here / name).relative_to(arena.world)}" for name in found)


def _is_left(folder: Path, name: str) -> bool:
    # A temp file of git's own is harmless, and is taken away when it is certain that no git has it open.
    in_git = ".git" in f"{folder}"
    return name.startswith((TEMP_PREFIX, ".claim-")) or (in_git and name.endswith(".lock"))
