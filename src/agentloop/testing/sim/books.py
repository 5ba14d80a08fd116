"""Money and tokens, counted apart from the loop's own count: by the entries of the journal alone."""

from __future__ import annotations

from collections import Counter
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

from agentloop.domain import facts as f
from agentloop.domain.settings import micros
from agentloop.testing.sim.broken import hold

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from agentloop.domain.settings import Limits

HOUR = timedelta(hours=1)


class Amounts:
    """Micro-dollars, or tokens: set aside by purse, and gone by everything that has a limit of its own."""

    def __init__(self) -> None:
        self.aside: dict[str, int] = {}
        self.gone = 0
        self.by_day: Counter[date] = Counter()
        self.by_role_and_day: Counter[tuple[str, date]] = Counter()
        self.by_task: Counter[str] = Counter()
        self.by_issue: Counter[str] = Counter()
        self.lately: list[tuple[datetime, int]] = []

    def settle(self, purse: str, at: datetime, amount: int, issues: tuple[str, ...]) -> None:
        """Count what a purse took; what the admin agent took falls to the issues that it was asked about."""
        self.aside.pop(purse, None)
        self.gone += amount
        self.by_day[at.date()] += amount
        self.by_role_and_day[_role(purse), at.date()] += amount
        self.lately.append((at, amount))
        task = _task(purse)
        self.by_task[task] += amount
        self.by_issue[task.partition(".")[0]] += amount
        for issue in issues:
            self.by_issue[issue] += amount // len(issues)

    def used(self, purse: str, at: datetime) -> Iterator[tuple[str, int]]:
        """Yield what counts against each limit that `purse` is under, by the first part of its name."""
        mine, task, role = self.aside, _task(purse), _role(purse)
        issue = task.partition(".")[0]
        yield "total", self.gone + sum(mine.values())
        yield "day", self.by_day[at.date()] + sum(mine.values())
        # What is reserved bears the time of its cycle's look, which may be older than what was settled since.
        latest = max([at, *(one[0] for one in self.lately)])
        self.lately = [one for one in self.lately if one[0] > latest - HOUR]
        yield "hour", sum(amount for _, amount in self.lately) + sum(mine.values())
        yield (
            f"{role}_day",
            self.by_role_and_day[role, at.date()] + _sum(mine, lambda one: _role(one) == role),
        )
        if task:
            yield "task", self.by_task[task] + _sum(mine, lambda one: _task(one) == task)
            yield (
                "issue",
                self.by_issue[issue] + _sum(mine, lambda one: _task(one).partition(".")[0] == issue),
            )


class Books:
    """Takes entries in, in their order. Every method raises BrokenPromiseError."""

    def __init__(self) -> None:
        self.money = Amounts()
        self.tokens = Amounts()
        self._closed: set[str] = set()

    def clock_was_set(self) -> None:
        """Forget what was settled lately: what an hour is, nobody knows now."""
        self.money.lately.clear()
        self.tokens.lately.clear()

    def reserve(self, fact: f.Reserved, at: datetime, limits: Limits) -> None:
        """Look whether every limit holds with what is set aside now."""
        hold("a purse is opened once", fact.purse not in self._closed | self.money.aside.keys(), fact.purse)
        self.money.aside[fact.purse] = fact.micros
        if fact.tokens:
            self.tokens.aside[fact.purse] = fact.tokens
        most = limits.cycle_usd if _role(fact.purse) == "admin" else limits.attempt_usd
        hold("a slice is no more than its limit", fact.micros <= micros(most), f"{fact.purse}: {fact.micros}")
        for name, used in self.money.used(fact.purse, at):
            most = micros(getattr(limits, f"{name}_usd"))
            always = name in ("total", "day")
            hold(
                f"limits.{name}_usd holds",
                used <= most or not (most or always),
                f"{used} of {most} micro-dollars",
            )
        for name, used in self.tokens.used(fact.purse, at):
            allowed = getattr(limits, f"{name}_tokens", 0)
            hold(f"limits.{name}_tokens holds", used <= allowed or not allowed, f"{used} of {allowed} tokens")

    def settle(self, fact: f.Settled, at: datetime) -> None:
        """Look whether a purse is settled once, and within what was set aside."""
        hold("a purse is settled once", fact.purse in self.money.aside, f"{fact.purse} was not set aside")
        spent = fact.micros + fact.unresolved_micros
        tokens = sum(one.tokens for one in fact.shares)
        given, allowed = self.money.aside[fact.purse], self.tokens.aside.get(fact.purse, tokens)
        if fact.unresolved_micros and not fact.shares:
            tokens = allowed  # nobody knows
        hold("a purse holds", spent <= given, f"{fact.purse}: {spent} of {given} micro-dollars")
        hold("a purse of tokens holds", tokens <= allowed, f"{fact.purse}: {tokens} of {allowed} tokens")
        self._closed.add(fact.purse)
        self.money.settle(fact.purse, at, spent, fact.issues if fact.shares else ())
        self.tokens.settle(fact.purse, at, tokens, fact.issues)


def _sum(purses: dict[str, int], which: Callable[[str], bool]) -> int:
    return sum(amount for purse, amount in purses.items() if which(purse))


def _role(purse: str) -> str:
    return "worker" if purse.startswith("attempt:") else purse.partition(":")[0]


def _task(purse: str) -> str:
    kind, _, attempt = purse.partition(":")
    return attempt.rpartition(".")[0] if kind == "attempt" else ""
