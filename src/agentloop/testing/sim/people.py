"""The person: files, answers, reviews and merges in working hours; in a storm, anything at any moment."""

from __future__ import annotations

import contextlib
import hashlib
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Final, Literal

from agentloop.domain import states as s
from agentloop.domain import world as w
from agentloop.domain.approval import held_plan
from agentloop.domain.holds import hold_on
from agentloop.domain.observed import RetryRequest
from agentloop.domain.settings import Layers
from agentloop.errors import AgentloopError
from agentloop.testing.sim.mind import HOSTILE, RESEARCH, VAGUE

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentloop.domain.issue import Issue, Pull
    from agentloop.testing.sim.chance import Chance
    from agentloop.testing.sim.house import House
    from agentloop.testing.sim.weather import Weather
    from agentloop.testing.sim.workload import Workload

ANA: Final = "ana"
CheckState = Literal["pending", "passed", "failed"]
CHECKS: Final[tuple[CheckState, ...]] = ("pending", "passed", "failed", "failed")
ORDERS: Final = (
    *("start", "pause", "pause 2h", "resume", "resume", "retry", "stop", "status", "explain"),
    *("plan approve", "plan reject", "pasue", "status\n/agentloop pause 1h"),
)
"""What is ordered with `/agentloop`; budgets are left out: they move the limits that the books hold."""
PRIORITIES: Final = ("critical", "high", "normal", "low")


class People:
    """Everybody outside. `later(seconds, deed)` has a deed done then; it returns what it tells the loop."""

    def __init__(
        self,
        house: House,
        weather: Weather,
        workload: Workload,
        chance: Chance,
        later: Callable[[float, Callable[[], str]], None],
    ) -> None:
        self._house = house
        self._weather = weather
        self._workload = workload
        self._chance = chance
        self._filing = chance.apart("filing")
        self._targets = chance.apart("targets")
        self._later = later
        self._due: set[str] = set()
        self.wrote: list[str] = []
        """Words that a person wrote in the relay: each must stay there for ever."""
        self.pushed: set[str] = set()
        """Commits that a person put onto a branch of ours."""
        self.strangers: set[str] = set()
        """Comments of strangers with orders in them, as `<issue>:<comment>`."""
        self.asked: list[str] = []
        """Ids of the retries that they asked for."""
        self.filed: dict[str, float] = {}
        """When each issue was filed, in seconds."""
        self.kind = False
        """Whether they only help now: answer, merge, close."""

    def turn_kind(self) -> None:
        """From now on only help, and at once, with all that waits."""
        self.kind = True
        self._due.clear()

    # The ordinary week.

    def begin(self, seconds: float) -> None:
        """Have issues filed for so long; the same ones at the same times, whatever the loop does."""
        low, high = self._workload.working_hours
        start = moment = self._house.times.now()
        while self._workload.issues_per_day > 0:
            hours = self._filing.until_next((high - low) / self._workload.issues_per_day)
            moment = self._workload.within_hours(moment, hours)
            after = (moment - start).total_seconds()
            if after >= seconds:
                return
            self._later(after, partial(self._file_planned, self._title()))

    def _file_planned(self, title: str) -> str:
        self.file(title)
        return "fact"

    def _delay(self, hours: float) -> float:
        now = self._house.times.now()
        return (self._workload.within_hours(now, hours) - now).total_seconds()

    def _title(self) -> str:
        about = f"Place {self._filing.number(1, 9999)} crashes the program"
        if self._filing.happens(self._workload.vague_rate):
            return f"{about}: {VAGUE}"
        return f"{about}: {RESEARCH} why" if self._filing.happens(self._workload.research_rate) else about

    def file(self, title: str, *, trusted: bool = True, body: str = "It should say what is wrong.") -> None:
        """File an issue."""
        author = ANA if trusted else "mallory"
        target = self._targets.pick(("", *(one.name for one in self._house.settings.targets)))
        issue = self._house.tracker.new(title, body, author=author, target=target, trusted=trusted)
        self.filed[issue] = self._house.times.mono

    def notice(self) -> None:
        """See what waits for a word, and plan to say it."""
        for pull in self._house.forge.observe(frozenset()):
            if pull.reviews and pull.reviews[-1].author == ANA and pull.reviews[-1].commit == pull.head:
                continue  # it was sent back, and nothing has come since
            self._plan_to(f"pull {pull.id} {pull.head}", partial(self._review, pull))
        for view in self._house.world.issues.values():
            if isinstance(view.state, w.Waiting | w.Stuck | w.Settled):
                state = f"{type(view.state).__name__} {view.evidence} {view.since}"
                self._plan_to(f"issue {view.id} {state}", partial(self._answer, view.id))
            if (held := held_plan(self._house.world, view)) and not isinstance(
                view.state, w.Stuck | w.Closed
            ):
                self._plan_to(f"plan {held.plan} {view.evidence}", partial(self._approve, view.id))
            if self.kind and hold_on(self._house.world, self._house.times.now(), view.id):
                self._plan_to(f"pause {view.id} {view.evidence}", partial(self._resume, view.id))
        for task in self._house.world.live_tasks():
            if isinstance(task.state, s.Parked) or (isinstance(task.state, s.InReview) and task.state.theirs):
                self._plan_to(f"task {task.task.id} {task.since}", partial(self._help, task.task.issue))

        self._see_the_breaker()

    def _see_the_breaker(self) -> None:
        # `status` says that nothing is started until a person says something new, or wakes the loop.
        world = self._house.world
        waits = any(isinstance(one.state, s.Queued) for one in world.live_tasks())
        if waits and world.fruitless >= self._house.settings.limits.attempts_without_result:
            day = f"{self._house.times.now():%Y-%m-%d}"
            self._plan_to(f"breaker {world.fruitless} {day}", self._wake_up)

    def _wake_up(self) -> str:
        self._house.is_woken = True
        return "wake"

    def _plan_to(self, key: str, deed: Callable[[], str]) -> None:
        if key not in self._due:
            self._due.add(key)
            hours = 0.05 if self.kind else self._chance.spread(*self._workload.review_hours)
            self._later(3600 * hours if self.kind else self._delay(hours), deed)

    def _review(self, seen: Pull) -> str:
        forge = self._house.forge
        pull = forge.get(seen.id)
        if pull.state != "open" or pull.head != seen.head:
            return ""
        # A conflict: the loop works it anew, or (hands off) the person closes it.
        if pull.mergeable is False and not self.kind:
            return ""
        if not self.kind and self._chance.happens(self._workload.changes_rate):
            forge.review(
                pull.id, "changes_requested", f"Name place {self._chance.number(1, 999)}.", author=ANA
            )
        elif pull.mergeable is False or self._chance.happens(self._workload.unmerged_rate):
            forge.close(pull.id)
        else:
            forge.merge(pull.id)
        return "fact"

    def _answer(self, issue: str) -> str:
        view, found = self._house.world.issues[issue], self._house.tracker.get(issue)
        if found.state == "closed":
            return ""
        if isinstance(view.state, w.Waiting):
            self._house.tracker.comment(issue, f"Take this one ({self._chance.number(1, 999)}).", author=ANA)
        elif isinstance(view.state, w.Settled | w.Stuck):
            self._house.tracker.close(issue, reason="", author=ANA)
        return "fact"

    def _approve(self, issue: str) -> str:
        view = self._house.world.issues[issue]
        if held_plan(self._house.world, view) and self._house.tracker.get(issue).state == "open":
            self._house.tracker.comment(issue, "1", author=ANA)
        return "fact"

    def _resume(self, issue: str) -> str:
        if self._house.tracker.get(issue).state == "open":
            self._house.tracker.comment(issue, "/agentloop resume", author=ANA)
        return "fact"

    def _help(self, issue: str) -> str:
        # A parked task: its person gives up on the issue.
        if self._house.tracker.get(issue).state == "closed":
            return ""
        self._house.tracker.close(issue, reason="", author=ANA)
        return "fact"

    # The storm.

    def do_something(self) -> str:
        """Do anything that a person could do now, wise or not; return what it tells the loop."""
        chance = self._weather.stream("people")
        deeds: tuple[Callable[[Chance], None], ...] = (
            *(self._file_any, self._file_any, self._comment, self._comment, self._edit, self._label),
            *(self._close, self._reopen, self._merge, self._send_back, self._send_back, self._close_pull),
            *(self._push, self._fail_check, self._conflict, self._wake, self._speak),
        )
        with contextlib.suppress(AgentloopError):
            chance.pick(deeds)(chance)
        return "wake" if self._house.is_woken else "fact"

    def _issues(self) -> tuple[Issue, ...]:
        return self._house.tracker.observe(frozenset())

    def _file_any(self, chance: Chance) -> None:
        title = chance.pick((self._title(), HOSTILE, f"{VAGUE} {chance.number(1, 99)}"))
        self.file(title, trusted=not chance.happens(0.2), body=chance.pick(("", HOSTILE, "Please.")))

    def _comment(self, chance: Chance) -> None:
        if issues := self._issues():
            words = chance.pick(("Any news?", HOSTILE, f"Also place {chance.number(1, 99)}."))
            trusted = not chance.happens(0.3)
            author = ANA if trusted else "mallory"
            self._house.tracker.comment(chance.pick(issues).id, words, author=author, trusted=trusted)

    def give_order(self) -> str:
        """Order something on an issue, trusted or not; return what it tells the loop."""
        chance = self._weather.stream("orders")
        if not (issues := self._issues()):
            return ""
        trusted = not chance.happens(0.2)
        issue, words = chance.pick(issues).id, f"/agentloop {chance.pick(ORDERS)}"
        made = self._house.tracker.comment(
            issue, words, author=ANA if trusted else "mallory", trusted=trusted
        )
        if not trusted:
            self.strangers.add(f"{issue}:{made}")
        return "fact"

    def _edit(self, chance: Chance) -> None:
        if issues := self._issues():
            one = chance.pick(issues)
            self._house.tracker.edit(one.id, title=one.title, body=f"{one.body} ({chance.number(1, 99)})")

    def _label(self, chance: Chance) -> None:
        if issues := self._issues():
            names = (chance.pick(PRIORITIES),)
            self._house.tracker.label(chance.pick(issues).id, add=names, remove=(chance.pick(PRIORITIES),))

    def _close(self, chance: Chance) -> None:
        if issues := self._issues():
            self._house.tracker.close(chance.pick(issues).id, reason="", author=ANA)

    def _reopen(self, chance: Chance) -> None:
        closed = [one for one in self.filed if self._house.tracker.get(one).state == "closed"]
        if closed:
            self._house.tracker.reopen(chance.pick(closed))

    def _pulls(self) -> tuple[Pull, ...]:
        return self._house.forge.observe(frozenset())

    def _merge(self, chance: Chance) -> None:
        if pulls := self._pulls():
            self._house.forge.merge(chance.pick(pulls).id)

    def _send_back(self, chance: Chance) -> None:
        if pulls := self._pulls():
            says = chance.pick(("Please name the operator.", f"Line {chance.number(1, 99)} is odd."))
            self._house.forge.review(chance.pick(pulls).id, "changes_requested", says, author=ANA)

    def _close_pull(self, chance: Chance) -> None:
        if pulls := self._pulls():
            self._house.forge.close(chance.pick(pulls).id)

    def _push(self, chance: Chance) -> None:
        if pulls := self._pulls():
            commit = _commit(f"a person's {chance.number(1, 10**9)}")
            self._house.forge.push(chance.pick(pulls).id, commit)
            self.pushed.add(commit)

    def _fail_check(self, chance: Chance) -> None:
        if pulls := self._pulls():
            state: CheckState = chance.pick(CHECKS)
            self._house.forge.check(chance.pick(pulls).id, "ci", state, f"{chance.number(1, 9)} failed")

    def _conflict(self, chance: Chance) -> None:
        if pulls := self._pulls():
            self._house.forge.conflict(chance.pick(pulls).id)

    def _wake(self, _chance: Chance) -> None:
        self._wake_up()

    def _speak(self, chance: Chance) -> None:
        self.edit_relay(chance)

    # The relay.

    def edit_relay(self, chance: Chance) -> str:
        """Edit the relay: at its end, in the core's part, or in a buffer that is older than the file."""
        baton = self._house.baton
        words = f"ana-{len(self.wrote)}-{chance.number(1, 10**6)}: look at the docs too"
        match chance.pick(("end", "end", "core", "stale", "section")):
            case "end":
                baton.write_to_loop(words)
            case "core":
                baton.text = baton.text.replace("## Facts", f"{words}\n\n## Facts", 1)
            case "section":
                baton.text = baton.text.replace("## From you", f"## From you\n\n{words}", 1)
            case _:
                self._save_stale_buffer(chance, words)
        if words in baton.text:
            self.wrote.append(words)
        return "fact"

    def _save_stale_buffer(self, chance: Chance, words: str) -> None:
        # An editor warns of an unsaved change of one's own; what it overwrites is the loop's writing alone.
        baton = self._house.baton
        if baton.text != baton.written:
            return
        old = baton.version(-chance.number(1, min(4, baton.versions)))
        baton.text = f"{old.rstrip()}\n\n{words}\n"

    # Settings.

    def change_settings(self) -> str:
        """Change a limit or switch a layer, as a person does in the file."""
        chance, house = self._weather.stream("settings"), self._house
        limits = house.settings.limits
        changes = (
            replace(limits, attempts_at_once=chance.number(1, 4)),
            replace(limits, day_usd=chance.pick((3.0, 10.0, 50.0))),
            replace(limits, total_usd=limits.total_usd + chance.pick((0.0, 20.0))),
            replace(limits, attempt_usd=chance.pick((0.5, 2.0))),
            replace(limits, open_pulls=chance.number(1, 6)),
            replace(limits, attempts_per_task=chance.number(1, 5)),
            replace(limits, hour_usd=chance.pick((0.0, 2.5, 5.0))),
            replace(limits, task_usd=chance.pick((0.0, 2.0, 6.0))),
            replace(limits, day_tokens=chance.pick((0, 4_000_000))),
        )
        layers = Layers(workers=not chance.happens(0.2), memory=not chance.happens(0.2))
        house.settings = replace(house.settings, limits=chance.pick(changes), layers=layers)
        return "settings"

    def break_target(self, mend_after: float) -> str:
        """Put a target out of reach for `mend_after` seconds."""
        broken = self._house.repositories.broken
        name = self._weather.stream("target").pick(self._house.settings.targets).name
        broken[name] = f"target {name}: it cannot be fetched from"
        self._later(mend_after, lambda: broken.pop(name, "") and "")
        return ""

    def ask_retry(self) -> str:
        """Leave a request (`agentloop retry`): for a parked task, else for any, or for none."""
        chance, house = self._weather.stream("retry"), self._house
        parked = [one.task.id for one in house.world.live_tasks() if isinstance(one.state, s.Parked)]
        task = chance.pick(parked or (*house.world.tasks, "9.9"))
        request = f"r{len(self.asked) + 1}"
        self.asked.append(request)
        house.requests.left[request] = RetryRequest(
            id=request,
            task=task,
            by=ANA,
            at=house.times.now(),
            reason=chance.pick(("", f"the machine was full ({chance.number(1, 99)})")),
            from_scratch=chance.happens(0.2),
        )
        return "fact"

    def pause_for(self) -> timedelta:
        """Return how long a person pauses the loop."""
        return timedelta(hours=self._weather.stream("pause").pick((0.2, 3.0, 40.0)))


def _commit(words: str) -> str:
    return hashlib.sha1(words.encode(), usedforsecurity=False).hexdigest()
