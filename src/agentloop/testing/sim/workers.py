"""Attempts and gates as processes: they take their time, spend, and end honest, slow or lying."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Final, Literal

from agentloop.domain.settings import Price
from agentloop.domain.work import (
    Blocked,
    Broken,
    Delivered,
    Finding,
    GateBroken,
    GaveUp,
    LimitedBy,
    NothingDone,
    Outcome,
    Stalled,
    Stopped,
)
from agentloop.testing.sim.extremes import chatter_seconds, huge_change
from agentloop.testing.sim.workload import tokens_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentloop.testing.sim.chance import Chance
    from agentloop.testing.sim.house import House
    from agentloop.testing.sim.weather import Weather
    from agentloop.testing.sim.workload import Workload

Fate = Literal[
    "good",
    "red",
    "killed",
    "hangs",
    "too long",
    "blocked",
    "nothing",
    "gives up",
    "broken",
    "orphaned",
    "same again",
    "hostile",
    "empty",
    "limited",
    "chatters",
    "huge",
    "sprawls",
]
BAD: Final[tuple[Fate, ...]] = (
    *("killed", "killed", "hangs", "too long", "blocked", "nothing", "gives up", "broken", "orphaned"),
    *("same again", "same again", "hostile", "empty", "red", "chatters", "huge", "sprawls"),
)
FAILING: Final[tuple[tuple[Fate, float], ...]] = (("red", 6), ("nothing", 2), ("blocked", 1), ("gives up", 1))
"""How an ordinary attempt fails, with weights."""
REFUSED: Final[dict[Fate, tuple[Finding, ...]]] = {
    "hostile": (Finding(kind="hostile", about="link", says="a symbolic link out of the tree"),),
    "huge": tuple(Finding(kind="size", about=f"file {n}", says="x" * 50_000) for n in range(60)),
}
"""What is held against results that do not come in."""
STEPS: Final = 3
"""Model calls are told in so many steps."""
NO_PRICE: Final = Price(input=3_000_000, output=15_000_000, cache_write=3_750_000, cache_read=300_000)
"""Stands in where the settings name no price, as in tests."""


@dataclass
class Work:
    """One attempt's way: what it will have cost, and how it will end."""

    name: str
    fate: Fate
    micros: int
    tokens: int = 0
    told: int = 0
    tokens_told: int = 0
    tip: str = ""
    """What it commits of unfinished work, "" = nothing."""

    @property
    def attempt(self) -> str:
        """The attempt's id."""
        return self.name.partition(":")[2]


class Workers:
    """Everybody who was started. `later(seconds, deed)` has a deed done then, which returns what it tells."""

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
        self._unfinished = chance.apart("unfinished")
        self._later = later
        self._fates: dict[str, Fate] = {}
        self._works: dict[str, Work] = {}
        self._known = 0
        self.limits_met = 0

    def notice(self) -> None:
        """Give every run that was started since the last look its fate."""
        started = self._house.executor.started
        while self._known < len(started):
            name = started[self._known]
            self._known += 1
            if name.startswith("attempt:"):
                self._begin(name)
            else:
                self._begin_gate(name)

    def lose(self) -> None:
        """Let every attempt that runs lose its folder: it ends by itself, and its call in hand is billed."""
        for name in self._house.executor.alive():
            work = self._works.get(name)
            if work is not None:
                micros, tokens = work.told + work.micros // STEPS, work.tokens_told + work.tokens // STEPS
                self._serve(work, min(micros, work.micros), min(tokens, work.tokens))

    # Attempts.

    def _begin(self, name: str) -> None:
        house, settings = self._house, self._house.settings
        spec = house.executor.spec(name)
        seconds = 60 * self._chance.spread(*self._workload.attempt_minutes)
        left = (spec.deadline - house.times.now()).total_seconds()
        fate = self._fate()
        seconds = chatter_seconds(settings.worker) if fate == "chatters" else seconds
        if fate == "too long" or (fate != "hangs" and seconds > left):
            fate, seconds = "too long", max(1.0, left)
        price = settings.prices.get(settings.models.worker, NO_PRICE)
        calls = self._workload.attempt_calls(self._chance)
        tokens = calls * tokens_of(self._workload.turn_tokens)
        work = Work(
            name=name,
            fate=fate,
            micros=min(calls * self._workload.call_micros(price), spec.slice_micros),
            tokens=min(tokens, spec.slice_tokens or tokens),
            tip=_id(f"unfinished {name}") if self._unfinished.happens(0.6) else "",
        )
        self._fates[work.attempt], self._works[name] = fate, work
        for step in range(1, STEPS):
            self._later(seconds * step / STEPS, partial(self._goes_on, work, step))
        if fate != "hangs":
            self._later(seconds, lambda: self._ends(work))

    def _fate(self) -> Fate:
        if self._weather.goes_wrong("limit"):
            self.limits_met += 1
            return "limited"
        if self._weather.goes_wrong("worker"):
            return self._weather.stream("worker").pick(BAD)
        if self._chance.happens(self._workload.failure_rate):
            return self._chance.weighted(FAILING)
        return "good"

    def _goes_on(self, work: Work, step: int) -> str:
        if not self._house.executor.lives(work.name):
            return ""
        # The call in hand has cost what it has; its bill is known when it is answered, its ceiling now.
        spec = self._house.executor.spec(work.name)
        before, now = work.micros * (step - 1) // STEPS, work.micros * step // STEPS
        tokens_before, tokens_now = work.tokens * (step - 1) // STEPS, work.tokens * step // STEPS
        self._serve(work, now, tokens_now)
        tokens = 3 * (tokens_now - tokens_before) + 1
        if spec.slice_tokens:
            tokens = min(tokens, spec.slice_tokens - tokens_before)
        self._house.executor.spend(
            work.attempt,
            settled_micros=before,
            unresolved_micros=min(3 * (now - before) + 1, spec.slice_micros - before),
            tokens=tokens_before,
            unresolved_tokens=tokens,
        )
        return ""

    def _serve(self, work: Work, micros: int, tokens: int) -> None:
        self._house.served_micros += max(0, micros - work.told)
        self._house.served_tokens += max(0, tokens - work.tokens_told)
        work.told, work.tokens_told = max(work.told, micros), max(work.tokens_told, tokens)

    def _ends(self, work: Work) -> str:
        executor = self._house.executor
        if not executor.lives(work.name):
            return ""
        if work.fate == "killed":
            executor.kill(work.name)
            return "fact"
        self._serve(work, work.micros, work.tokens)
        executor.spend(work.attempt, settled_micros=work.micros, tokens=work.tokens)
        if work.fate in REFUSED:
            self._house.repositories.hostile[work.attempt] = REFUSED[work.fate]
        executor.end(work.attempt, self._outcome(work))
        return "fact"

    def _outcome(self, work: Work) -> Outcome:
        match work.fate:
            case "blocked":
                return Blocked(reason="the contract asks for what the issue forbids", tip=work.tip)
            case "nothing":
                return NothingDone(reason="it says that all is done, and changed nothing")
            case "gives up":
                return GaveUp(reason="its turns were used up", tip=work.tip)
            case "chatters":
                return Stalled(reason="the same call, the same answer", tip=work.tip)
            case "broken":
                return Broken(reason="the sandbox could not be made", fix="agentloop doctor")
            case "orphaned":
                return Stopped(why="orphaned", tip=work.tip)
            case "too long":
                return Stopped(why="deadline", tip=work.tip)
            case "limited":
                return replace(self._limit(), tip=work.tip)
            case _:
                return _delivered(work)

    def _limit(self) -> LimitedBy:
        hours = self._weather.stream("limit").pick((-0.1, 0.0, 0.5, 2.0, 5.0, 30.0))
        until = self._house.times.now() + timedelta(hours=hours)
        return LimitedBy(until=until, detail="the provider's limit for five hours is used up")

    # Gates.

    def _begin_gate(self, name: str) -> None:
        run = name.partition(":")[2]
        seconds = 60 * self._chance.spread(*self._workload.gate_minutes)
        bad = self._weather.goes_wrong("gate")
        how = self._weather.stream("gate").pick(("red", "red", "broken", "killed", "hangs")) if bad else ""
        if how != "hangs":
            self._later(seconds, lambda: self._judges(run, how))

    def _judges(self, run: str, how: str) -> str:
        executor, now = self._house.executor, self._house.times.now()
        if not executor.lives(f"gate:{run}"):
            return ""
        attempt = run.partition("@")[0]
        fate = self._fates.get(attempt, "good")
        if how == "killed":
            executor.kill(f"gate:{run}")
        elif how == "broken":
            executor.give_up(run, GateBroken(attempt=attempt, reason="no space left", at=now))
        elif how == "red" or fate in ("red", "same again"):
            wrong = 1 if fate == "same again" else self._chance.number(1, 9)
            name = f"test_{wrong if fate == 'same again' else chr(96 + wrong)}"
            found = [Finding(kind="check", about="tests", says=f"{name} failed in 0.{wrong} s")]
            if self._chance.happens(0.3):
                says = f"{chr(96 + self._chance.number(1, 26))} is not sorted"
                found.append(Finding(kind="check", about="lint", says=says))
            executor.judge(run, *found)
        elif fate == "sprawls":
            executor.judge(run, *huge_change(executor.spec(f"gate:{run}")))
        elif fate == "empty":
            executor.judge(run, Finding(kind="empty", about="diff", says="nothing was changed"))
        else:
            executor.judge(run)
        return "fact"


def _delivered(work: Work) -> Delivered:
    of = work.attempt.rpartition(".")[0] if work.fate == "same again" else work.attempt
    return Delivered(tip=_id(of), summary=f"done in {work.attempt}", note="Errors are caught in main().")


def _id(words: str) -> str:
    return hashlib.sha1(words.encode(), usedforsecurity=False).hexdigest()
