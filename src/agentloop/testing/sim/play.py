"""A simulation: cycles, people and workers, one after the other, on a clock that jumps to what comes next."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from agentloop import cycle, exits
from agentloop.cycle import Parts
from agentloop.domain.observed import Ground
from agentloop.domain.settings import Limits, Settings, Target
from agentloop.edges.runtime import Pause, SleepRecord
from agentloop.errors import AgentloopError, JournalError
from agentloop.ports import Outside
from agentloop.supervision import pacing, rest
from agentloop.testing.memory_parts import KilledError
from agentloop.testing.sim.broken import BrokenPromiseError
from agentloop.testing.sim.chance import Chance
from agentloop.testing.sim.gale import Gale
from agentloop.testing.sim.house import FIRST_COMMIT, House
from agentloop.testing.sim.mind import Mind
from agentloop.testing.sim.people import People
from agentloop.testing.sim.promises import Promises
from agentloop.testing.sim.weather import HOURS_BETWEEN, KINDS, Kind, Weather
from agentloop.testing.sim.workers import Workers
from agentloop.testing.sim.workload import Workload

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from agentloop.cycle import Ended
    from agentloop.domain.effects import Effect
    from agentloop.supervision.rest import Rest

DAY: Final = 86_400.0
WEEK: Final = 7 * DAY
QUIET: Final = 4 * DAY
"""How long the world is quiet at the end: longer than any limit of the provider's, and than a day's limit."""
WIDE: Final[dict[str, Any]] = {
    "total_usd": 10_000.0,
    "day_usd": 1_000.0,
    **dict.fromkeys(("hour_usd", "task_usd", "issue_usd", "admin_day_usd", "worker_day_usd"), 0.0),
    **dict.fromkeys(("attempt_tokens", "task_tokens", "issue_tokens"), 0),
    **dict.fromkeys(("hour_tokens", "day_tokens", "total_tokens"), 0),
}
"""What a person sets the limits to in the end, so that none of them holds anything up."""
CYCLE_SECONDS: Final = 1.0
"""What a cycle takes, the admin agent's thinking aside."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plot:
    """What is played: everything that a simulation depends on."""

    seed: int
    weeks: float = 1.0
    kinds: frozenset[Kind] = frozenset(KINDS)
    settings: Settings = field(default_factory=Settings)
    workload: Workload = field(default_factory=Workload)
    quiet_end: bool = True


class Simulation:
    """One play of a plot. `run` raises BrokenPromiseError; `steps` says how far it came."""

    def __init__(self, plot: Plot, told: Callable[[str], None] | None = None) -> None:
        self.plot = plot
        self.house = House(settings=plot.settings)
        self.weather = Weather(plot.seed, plot.kinds)
        self.steps = 0
        self.cycles: dict[str, int] = {"idle": 0, "killed": 0}
        self.told = told
        self.after: Callable[[Simulation, Ended], None] | None = None
        """Called after each cycle that came to its end."""
        self._events: list[tuple[float, int, Callable[[], str]]] = []
        self._made = 0
        self._pace = pacing.Pace()
        self._pause: Pause | None = None
        self._dirty = ""
        self._in_cycle = False
        ways = (self.house, self.weather, plot.workload)
        self.workers = Workers(*ways, Chance(plot.seed, "workers"), self._later)
        self.people = People(*ways, Chance(plot.seed, "the person"), self._later)
        self.mind = Mind(*ways, Chance(plot.seed, "mind"), self._pass_by)
        self.promises = Promises(self.house, self.people)
        self._gale = Gale(self.weather, self.house.times, self._bad_moment)
        self._outside = self._ports()

    # Time.

    def run(self) -> Simulation:
        """Play to the end."""
        self.people.begin(self.plot.weeks * WEEK)
        for kind in HOURS_BETWEEN:
            self._plan_fault(kind)
        rest_now = self._cycle()
        end = self.plot.weeks * WEEK
        rest_now = self._play(rest_now, end)
        if self.plot.quiet_end:
            self._calm_down()
            self._play(self._cycle(), end + QUIET)
            self.promises.end()
        return self

    def _play(self, rest_now: Rest, end: float) -> Rest:
        times = self.house.times
        while times.mono < end:
            due = self._due(rest_now)
            if self._events and self._events[0][0] <= min(due, end):
                says = self._next_event()
                self.promises.step()
                if not self._ends(rest_now, says):
                    continue
            elif due >= end:
                times.mono = end
                break
            else:
                times.mono = max(times.mono, due)
            obstacle = self._obstacle()
            rest_now = obstacle or self._cycle()
        return rest_now

    def _calm_down(self) -> None:
        self.weather.calm()
        house = self.house
        house.repositories.broken.clear()
        house.times.set_by = max(house.times.set_by, 0.0)
        self.people.turn_kind()
        self._pause = None
        limits = replace(house.settings.limits, **WIDE)
        house.settings = replace(house.settings, limits=limits, layers=self.plot.settings.layers)

    def _later(self, seconds: float, deed: Callable[[], str]) -> None:
        self._made += 1
        heapq.heappush(self._events, (self.house.times.mono + max(0.0, seconds), self._made, deed))

    def _next_event(self) -> str:
        at, _, deed = heapq.heappop(self._events)
        self.house.times.mono = max(self.house.times.mono, at)
        self.steps += 1
        says = deed()
        if says:
            self.promises.news()
            self._dirty = says
        return says

    def _pass_by(self, seconds: float) -> None:
        """Let time go by in the middle of a cycle: what happens then, happens behind its back."""
        end = self.house.times.mono + seconds
        while self._events and self._events[0][0] <= end:
            self._next_event()
        self.house.times.mono = max(self.house.times.mono, end)

    def _bad_moment(self) -> None:
        if self.people.do_something():
            self._dirty = "fact"
            self.promises.news()

    # The supervisor's part.

    def _due(self, rest_now: Rest) -> float:
        times = self.house.times
        left = rest_now.seconds_left(times.mono, times.now())
        return float("inf") if left is None else times.mono + max(0.0, left)

    def _ends(self, rest_now: Rest, says: str) -> bool:
        match says:
            case "fact":
                return rest_now.facts
            case "wake":
                return rest_now.wake != "no"
            case "settings":
                return rest_now.settings
            case "pause":
                return True
            case _:
                return False

    def _obstacle(self) -> Rest | None:
        times = self.house.times
        if self._pause is not None and times.now() < self._pause.until:
            return rest.paused(self._pause, mono=times.mono, now=times.now())
        self._pause = None
        wait = pacing.hold(self._pace, times.mono)
        return None if wait is None else rest.held(wait, mono=times.mono, now=times.now())

    def _cycle(self) -> Rest:
        times, house = self.house.times, self.house
        self.steps += 1
        self._dirty = ""
        self._pace = pacing.started(self._pace, times.mono)
        began = times.mono
        ended, code = self._run_cycle()
        times.mono += CYCLE_SECONDS
        outcome = pacing.outcome_of(code)
        self._pace = pacing.ended(self._pace, outcome)
        self.workers.notice()
        self.people.notice()
        self.promises.step()
        wait = pacing.wait_after(self._pace, outcome, house.settings.supervision)
        if times.mono - began > 2 * CYCLE_SECONDS:
            self.promises.news()
        if wait is not None:
            return rest.waiting(wait, mono=times.mono, now=times.now())
        if self._dirty or ended is None:
            return rest.asleep(_now(times.now()), mono=times.mono, now=times.now())
        if (ended.nap.until or times.now()) > times.now():
            self.promises.news()
        return rest.asleep(_said(ended), mono=times.mono, now=times.now())

    # One cycle.

    def _run_cycle(self) -> tuple[Ended | None, int]:
        house = self.house
        limit = house.settings.limits.attempts_at_once
        alive = sum(name.startswith("attempt:") for name in house.executor.alive())
        self.promises.most_at_once = max(limit, min(alive, self.promises.most_at_once))
        before = self._counts()
        house.baton.is_taken = False
        try:
            ended = cycle.run(self._parts())
        except KilledError as error:
            self._tell(f"killed {error}")
            self.cycles["killed"] += 1
            self._cut_off()
            return None, -9
        except JournalError as error:
            self._tell(f"journal: {error}")
            self._cut_off()
            return None, exits.JOURNAL
        except (AgentloopError, OSError) as error:
            self._tell(f"failed: {error}")
            return None, exits.HOME
        self.promises.cycle(ended, before, self._counts())
        if self.after is not None:
            self.after(self, ended)
        self.cycles[ended.outcome] = self.cycles.get(ended.outcome, 0) + 1
        house.quiet_cycles = house.quiet_cycles + 1 if ended.outcome in ("idle", "quiet") else 0
        self._tell(f"{ended.outcome} {ended.nap.kind} until {ended.nap.until}: {ended.nap.reason}")
        return ended, exits.MODEL if ended.failed else exits.OK

    def _cut_off(self) -> None:
        # The line is in the journal, and whoever wrote it did not live to fold it in.
        if self._gale.killed_at == "after journal.append":
            self.house.journal.catch_up()
        self._gale.killed_at = ""
        if self.weather.goes_wrong("wipe"):
            self._tell("the runtime folder is deleted")
            self._wipe()

    def _wipe(self) -> None:
        # Whoever was started in the cycle that ended just now has run as well.
        self.workers.notice()
        self.workers.lose()
        self.house.wipe()

    def _counts(self) -> tuple[int, int, int]:
        return len(self.house.journal.entries), self.promises.tally.effects, self.mind.asked

    def _tell(self, says: str) -> None:
        if self.told is not None:
            self.told(f"{self.steps:6} {self.house.times.now():%m-%d %H:%M:%S} {says}")

    def _tells(self, event: str, fields: dict[str, Any]) -> None:
        if self.told is not None and event in ("decided", "refused", "fact"):
            self._tell(f"  {event} {fields.get('says') or fields}")

    def _parts(self) -> Parts:
        house = self.house
        house.in_force = house.settings
        return Parts(
            version="sim",
            settings=house.settings,
            clock=house.times,
            journal=self._gale.around("journal", house.journal),
            outside=self._outside,
            baton=self._gale.around("baton", house.baton),
            ask_admin=self.mind,
            spent_in=house.admin_ledger.get,
            ground=self._ground,
            take_wake=house.take_wake,
            tell=self._tells,
            quiet_cycles=house.quiet_cycles,
        )

    def _ports(self) -> Outside:
        house, around = self.house, self._gale.around
        requests = around("requests", house.requests)
        return Outside(
            tracker=around("tracker", Watched(house.tracker, self._watch, self._look, self._took_place)),
            forge=around("forge", Watched(house.forge, self._watch, None, self._took_place)),
            executor=around("executor", Watched(house.executor, self._watch)),
            repositories=around("repositories", house.repositories),
            notes=around("notes", house.notes),
            sweep=lambda _keep: None,
            asked=requests.asked,
            heard=requests.heard,
            attempt_folder=lambda attempt: f"/nowhere/attempts/{attempt}",
            gate_folder=lambda gate: f"/nowhere/gates/{gate}",
        )

    def _took_place(self, op: str) -> None:
        self.promises.after_effect(op)

    def _watch(self, op: str, effect: Effect) -> None:
        self.promises.before_effect(op, effect)
        commit = getattr(effect, "commit", "")
        if type(effect).__name__ == "Push":
            self.house.pushed.add(commit)

    def _look(self, found: Iterable[Any]) -> None:
        self.promises.looked(frozenset(one.id for one in found if one.state == "closed"))

    def _ground(self, target: Target) -> Ground:
        house = self.house
        return Ground(
            target=target.name,
            branch="main",
            commit=house.forge.branches.get((target.name, "main"), FIRST_COMMIT),
            paths=frozenset(house.repositories.files),
            programs=frozenset({"python"}),
            problem=house.repositories.broken.get(target.name, ""),
        )

    # Faults that come by themselves.

    def _plan_fault(self, kind: Kind) -> None:
        hours = self.weather.hours_to(kind)
        if hours is not None:
            self._later(3600 * hours, lambda: self._fault(kind))

    def _fault(self, kind: Kind) -> str:
        if kind not in self.weather.kinds:
            return ""
        self.weather.struck[kind] += 1
        self._tell(f"fault: {kind}")
        self._plan_fault(kind)
        stream = self.weather.stream(kind)
        match kind:
            case "people":
                return self.people.do_something()
            case "relay":
                return self.people.edit_relay(stream)
            case "settings":
                return self.people.change_settings()
            case "target":
                return self.people.break_target(3600 * stream.between(0.05, 12))
            case "pause":
                return self._pause_loop()
            case "wipe":
                self._wipe()
                return "fact"
            case "retry" | "orders":
                return self.people.ask_retry() if kind == "retry" else self.people.give_order()
            case "clock":
                self.house.clock_set += 1
                self.house.times.set_by += 3600 * stream.pick((-30.0, -2.0, -0.02, 0.02, 2.0, 30.0))
                return ""
            case _:
                raise ValueError(kind)

    def _pause_loop(self) -> str:
        until = self.house.times.now() + self.people.pause_for()
        self._pause = None if self._pause else Pause(until=until, reason="a person paused it", by="ana")
        return "pause"


class Watched:
    """A port that shows each effect to somebody just before it takes place, and what was looked at."""

    def __init__(
        self,
        inner: Any,  # noqa: ANN401 - any of the three ports with effects
        watch: Callable[[str, Effect], None],
        look: Callable[[Iterable[Any]], None] | None = None,
        took_place: Callable[[str], None] | None = None,
    ) -> None:
        self.inner = inner
        self.find = inner.find
        self.place = getattr(inner, "place", None)
        self.frozen = getattr(inner, "frozen", None)
        self._watch = watch
        self._look = look
        self._took_place = took_place

    def observe(self, known: frozenset[str]) -> Any:  # noqa: ANN401 - as the port says
        """Look as the port does."""
        found = self.inner.observe(known)
        if self._look is not None:
            self._look(found)
        return found

    def act(self, op: str, effect: Any, *spec: Any) -> str:  # noqa: ANN401 - as the port says
        """Do it; only what is not there already is an effect."""
        if self.inner.find(op, effect) is not None:
            return str(self.inner.act(op, effect, *spec))
        self._watch(op, effect)
        made = str(self.inner.act(op, effect, *spec))
        if self._took_place is not None:
            self._took_place(op)
        return made


def _said(ended: Ended) -> SleepRecord:
    problems = (*([ended.failed] if ended.failed else []), *ended.problems)
    return SleepRecord(
        cycle=ended.cycle,
        until=ended.nap.until,
        reason=ended.nap.reason,
        kind=ended.nap.kind,
        problems=problems,
        outcome=ended.outcome,
    )


def _now(now: Any) -> SleepRecord:  # noqa: ANN401 - a moment
    # Somebody did something while the cycle ran: the next one starts at once.
    return SleepRecord(cycle=0, until=now, reason="something changed meanwhile")


def storm(seed: int, *, weeks: float = 1.0, kinds: Iterable[Kind] = KINDS) -> Plot:
    """Return the plot of a seed: small limits, all that goes wrong, a busy week."""
    chance = Chance(seed, "plot")
    limits = Limits(
        attempts_at_once=chance.number(1, 3),
        day_usd=chance.pick((4.0, 20.0, 60.0)),
        total_usd=chance.pick((15.0, 200.0)),
        open_pulls=chance.number(1, 5),
        attempts_per_task=chance.number(2, 4),
        retries_per_task=chance.number(0, 3),
    )
    limits = _narrow(limits, Chance(seed, "limits"))
    targets = tuple(
        Target(name=name, repository=f"/nowhere/{name}", verify=("python -m pytest -q",))
        for name in ("calc", "docs", "site")[: Chance(seed, "targets").pick((1, 1, 2, 3))]
    )
    load = Workload(issues_per_day=chance.pick((0.4, 0.8, 1.5)), working_hours=(0, 24))
    return Plot(
        seed=seed,
        weeks=weeks,
        kinds=frozenset(kinds),
        settings=Settings(targets=targets, limits=limits),
        workload=load,
    )


def _narrow(limits: Limits, chance: Chance) -> Limits:
    """Return the limits with some of the rarer ones set so that a week meets them."""
    limits = replace(limits, attempts_without_result=chance.number(3, 8))
    usd = {"hour_usd": 3.0, "task_usd": 4.0, "issue_usd": 6.0, "admin_day_usd": 2.0, "worker_day_usd": 4.0}
    tokens = {"attempt_tokens": 900_000, "task_tokens": 2_000_000, "issue_tokens": 4_000_000}
    tokens |= {"hour_tokens": 1_500_000, "day_tokens": 6_000_000, "total_tokens": 60_000_000}
    for name, most in (*usd.items(), *(tokens.items() if chance.happens(0.5) else ())):
        if chance.happens(0.3):
            limits = replace(limits, **{name: most})
    return limits


__all__ = ["BrokenPromiseError", "Plot", "Simulation", "storm", "timedelta"]
