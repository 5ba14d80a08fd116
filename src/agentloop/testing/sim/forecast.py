"""What a home's settings would do in an ordinary week, played from several seeds, as ranges."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING, Final

from agentloop.domain import facts as f
from agentloop.domain import states as s
from agentloop.domain.observed import Observed
from agentloop.domain.order import held_back, in_order
from agentloop.domain.scene import Scene
from agentloop.testing.sim.play import Plot, Simulation

if TYPE_CHECKING:
    from datetime import datetime

    from agentloop.cycle import Ended
    from agentloop.domain.settings import Settings
    from agentloop.domain.world import World
    from agentloop.testing.sim.workload import Workload

Hours = defaultdict[str, float]

_LIMIT: Final = re.compile(r"limits\.\w+")
_KINDS: Final = (
    ("needs task", "a task it needs was not merged yet"),
    ("waits until", "it was to be tried again later"),
    ("provider's limit", "the provider's limit"),
    ("parked", "what it belongs to was parked"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """A limit that held work back: when first, and for how many hours something stood behind it."""

    name: str
    first: datetime
    hours: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Week:
    """What one play came to. Money in micro-dollars."""

    seed: int
    issues_filed: int
    issues_done: int
    pulls_opened: int
    pulls_merged: int
    waiting_for_you: int
    """Pull requests and questions that waited at once, at most."""
    spent_micros: int
    dearest_day_micros: int
    admin_micros: int
    attempts: int
    cycles_idle: int
    cycles_working: int
    admin_calls: int
    hours_to_pull: float | None
    """From an issue to its first pull request, the median."""
    longest_wait_hours: float
    longest_wait_for: str
    holds: tuple[Hold, ...]


@dataclass
class Diary:
    """What is noted down after every cycle."""

    filed: dict[str, float]
    first_pull: dict[str, float] = field(default_factory=dict)
    waits: dict[str, Hours] = field(default_factory=dict)
    hours: Hours = field(default_factory=lambda: defaultdict(float))
    first: dict[str, datetime] = field(default_factory=dict)
    waiting: int = 0
    _at: float = 0.0
    _held: tuple[tuple[str, str], ...] = ()
    _read: int = 0

    def note(self, play: Simulation, ended: Ended) -> None:
        """Note what holds now, and how long it was so since the last cycle."""
        mono, world = play.house.times.mono, ended.world
        self._lasted((mono - self._at) / 3600)
        self._at = mono
        scene = Scene(
            world=world, observed=Observed(now=play.house.times.now()), settings=play.house.settings
        )
        held = [(view.task.id, _why(scene, view)) for view in in_order(scene)]
        self._held = tuple((task, why) for task, why in held if why)
        for _, why in self._held:
            self.first.setdefault(why, scene.now)
        self.waiting = max(self.waiting, _for_a_person(world))
        self._read_on(play, mono)

    def _lasted(self, hours: float) -> None:
        for task, why in self._held:
            self.waits.setdefault(task, defaultdict(float))[why] += hours
        for why in {why for _, why in self._held}:
            self.hours[why] += hours

    def _read_on(self, play: Simulation, mono: float) -> None:
        entries = play.house.journal.entries
        for entry in entries[self._read :]:
            for fact in entry.facts:
                if isinstance(fact, f.Published):
                    self.first_pull.setdefault(fact.task.rpartition(".")[0], mono)
        self._read = len(entries)


def _why(scene: Scene, view: s.TaskView) -> str:
    reasons = held_back(scene, view)
    if not reasons:
        return ""
    named = next((found[0] for one in reasons if (found := _LIMIT.search(one))), None)
    if named is not None:
        return named
    return next((says for words, says in _KINDS if words in reasons[0]), reasons[0])


def _for_a_person(world: World) -> int:
    pulls = sum(isinstance(view.state, s.InReview | s.Parked) for view in world.live_tasks())
    return pulls + sum(type(one.state).__name__ in ("Waiting", "Stuck") for one in world.issues.values())


def _longest(hours: Hours) -> list[tuple[str, float]]:
    return sorted(hours.items(), key=lambda pair: -pair[1])


def week(settings: Settings, workload: Workload, *, seed: int, weeks: float = 1.0) -> Week:
    """Return what so many weeks with these settings come to, played from a seed, with nothing broken."""
    plot = Plot(
        seed=seed,
        weeks=weeks,
        kinds=frozenset(),
        settings=settings,
        workload=workload,
        quiet_end=False,
    )
    play = Simulation(plot)
    diary = Diary(filed=play.people.filed)
    play.after = diary.note
    play.run()
    return _summed_up(play, diary)


def _summed_up(play: Simulation, diary: Diary) -> Week:
    house, world = play.house, play.house.world
    pulls = house.forge.observe(frozenset(map(str, range(1, 100_000))))
    issues = house.tracker.observe(frozenset(diary.filed))
    to_pull = [(at - diary.filed[issue]) / 3600 for issue, at in diary.first_pull.items()]
    task, waited = max(
        ((task, sum(times.values())) for task, times in diary.waits.items()),
        key=lambda pair: pair[1],
        default=("", 0.0),
    )
    idle = play.cycles.get("idle", 0)
    return Week(
        seed=play.plot.seed,
        issues_filed=len(issues),
        issues_done=sum(one.state == "closed" for one in issues),
        pulls_opened=len(pulls),
        pulls_merged=sum(one.state == "merged" for one in pulls),
        waiting_for_you=diary.waiting,
        spent_micros=world.spent_micros(),
        dearest_day_micros=max(world.spent_by_day.values(), default=0),
        admin_micros=sum(each for key, each in world.roles_by_day.items() if key.startswith("admin")),
        attempts=sum(name.startswith("attempt:") for name in house.executor.started),
        cycles_idle=idle,
        cycles_working=sum(play.cycles.values()) - idle,
        admin_calls=play.mind.asked,
        hours_to_pull=median(to_pull) if to_pull else None,
        longest_wait_hours=waited,
        longest_wait_for=_longest(diary.waits[task])[0][0] if task else "",
        holds=tuple(
            Hold(name=why, first=diary.first[why], hours=hours)
            for why, hours in _longest(diary.hours)
            if _LIMIT.fullmatch(why)
        ),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """One figure over all plays: the middle one, and the one a person would like least."""

    name: str
    unit: str
    median: float
    worst: float


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldRange:
    """A limit over all plays: in how many of them it held work back, and for how long in the middle one."""

    name: str
    plays: int
    median_hours: float
    first: str
    """Day and hour of the week when it was first met, in the earliest play."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """Ranges over several plays, the limits that were met, and what was assumed."""

    plays: int
    weeks: float
    ranges: tuple[Range, ...]
    holds: tuple[HoldRange, ...]
    longest_wait_for: str
    assumed: tuple[str, ...]


_FIGURES: Final = (
    ("issues filed", "issues_filed", "", max),
    ("issues done", "issues_done", "", min),
    ("pull requests opened", "pulls_opened", "", max),
    ("pull requests merged", "pulls_merged", "", min),
    ("waiting for you at once", "waiting_for_you", "", max),
    ("spent", "spent_micros", "micros", max),
    ("dearest day", "dearest_day_micros", "micros", max),
    ("admin agent's part", "admin_micros", "micros", max),
    ("attempts", "attempts", "", max),
    ("admin agent asked", "admin_calls", "", max),
    ("cycles that worked", "cycles_working", "", max),
    ("cycles idle, free", "cycles_idle", "", max),
    ("issue to pull request", "hours_to_pull", "hours", max),
    ("longest wait of a task", "longest_wait_hours", "hours", max),
)


def forecast(
    settings: Settings, workload: Workload, *, seed: int, plays: int, weeks: float = 1.0
) -> Forecast:
    """Return ranges over `plays` plays, from seed `seed` on."""
    played = tuple(week(settings, workload, seed=seed + n, weeks=weeks) for n in range(plays))
    ranges = []
    for name, attribute, unit, worst in _FIGURES:
        found = [each for one in played if (each := getattr(one, attribute)) is not None]
        if found:
            ranges.append(Range(name=name, unit=unit, median=median(found), worst=worst(found)))
    longest = max(played, key=lambda one: one.longest_wait_hours)
    return Forecast(
        plays=plays,
        weeks=weeks,
        ranges=tuple(ranges),
        holds=_holds(played),
        longest_wait_for=longest.longest_wait_for,
        assumed=assumed(workload, settings),
    )


def _holds(played: tuple[Week, ...]) -> tuple[HoldRange, ...]:
    found: dict[str, list[Hold]] = {}
    for one in played:
        for hold in one.holds:
            found.setdefault(hold.name, []).append(hold)
    made = [
        HoldRange(
            name=name,
            plays=len(holds),
            median_hours=median(hold.hours for hold in holds),
            first=f"{min(hold.first for hold in holds):%A %H:%M}",
        )
        for name, holds in found.items()
    ]
    return tuple(sorted(made, key=lambda one: (-one.plays, -one.median_hours)))


def assumed(workload: Workload, settings: Settings) -> tuple[str, ...]:
    """Return what a forecast takes for granted, a sentence each."""
    low, high = workload.working_hours
    sizes = ", ".join(f"{count} in {weight:.0%}" for count, weight in workload.tasks_per_issue)
    turn = workload.turn_tokens
    read = turn.cache_read_tokens + turn.cache_write_tokens + turn.input_tokens
    days = f"{workload.issues_per_day:g} issues a working day (Monday to Friday, {low}:00 to {high}:00 UTC)"
    minutes, calls = workload.attempt_minutes[0], workload.attempt_turns[0]
    took = f"one takes {minutes:g} minutes and {calls:g} model calls (medians)"
    call = f"a call of a worker ({settings.models.worker}) reads {read:,} tokens, most of them cached"
    review = f"you answer and review within {workload.review_hours[0]:g} working hours (median)"
    return (
        f"{days}; tasks each: {sizes}",
        f"{workload.failure_rate:.0%} of the attempts do not pass the gate; {took}",
        f"{call}, and writes {turn.output_tokens:,}",
        f"{review}, ask for changes in {workload.changes_rate:.0%} and merge the rest",
        "nothing breaks: no crash, no limit of the provider, no outage",
    )
