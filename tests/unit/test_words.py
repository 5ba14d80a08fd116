"""What is said, by values: a cycle's events on a terminal, the rest that follows, the relay's facts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from agentloop.domain import facts as f
from agentloop.domain.observed import Observed
from agentloop.domain.relay.facts import facts_of
from agentloop.domain.scene import Scene
from agentloop.domain.settings import Settings
from agentloop.domain.telling import moved_words, news_words, ordinal
from agentloop.domain.wording import dollars
from agentloop.domain.work import CheckResult, Delivered, Finding, Verdict
from agentloop.domain.world import World, fold
from agentloop.edges.log import sentence
from agentloop.edges.runfolder import without
from agentloop.edges.runtime import SleepRecord
from agentloop.supervision import rest
from agentloop.testing.night import night

NOW = datetime(2026, 11, 20, 12, 12, tzinfo=UTC)
CHECK = CheckResult(name="sum", command="make", passed=True, status=0, output="", seconds=0.1)


def _verdict(*findings: Finding) -> Verdict:
    return Verdict(
        attempt="7.1.1",
        commit="c" * 40,
        base="b" * 40,
        checks=(CHECK, CHECK),
        findings=findings,
        at=NOW,
        sandboxed=True,
        evidence="e",
    )


def _seen(title: str = "add subtracts") -> f.IssueSeen:
    return f.IssueSeen(issue="3", title=title, target="t", priority="normal", evidence="w")


class TestNews:
    """`telling.news_words`: facts as sentences."""

    @pytest.mark.parametrize(
        ("facts", "words"),
        [
            ((_seen(),), ("issue 3 seen: add subtracts",)),
            ((f.CycleBegan(version="1"),), ("",)),
            ((f.Reserved(purse="admin:1", micros=5),), ("",)),
            (
                (
                    f.AttemptEnded(
                        attempt="7.1.1",
                        outcome=Delivered(tip="", summary="adds"),
                        turns=12,
                        sandboxed=True,
                    ),
                    f.Settled(purse="attempt:7.1.1", micros=310_000),
                ),
                ("attempt 7.1.1 delivered: adds (12 turns, $0.31)", ""),
            ),
            ((f.Judged(verdict=_verdict()),), ("gate on 7.1.1: green, 2 checks",)),
            (
                (f.Judged(verdict=_verdict(Finding(kind="scope", about="a.py", says="out of scope"))),),
                ("gate on 7.1.1: red: scope a.py: out of scope",),
            ),
        ],
    )
    def test_words(self, facts: tuple[f.Fact, ...], words: tuple[str, ...]) -> None:
        """What happened, to what, and what it cost; what is no news for a person is empty."""
        assert words == news_words(World(), facts)

    def test_a_change_is_not_told_as_new(self) -> None:
        """The same fact, about an issue that the world knows."""
        world = fold([f.Entry(at=NOW, cycle=1, facts=(_seen(),))])
        assert news_words(world, (_seen("add adds"),)) == ("issue 3 changed: add adds",)

    @pytest.mark.parametrize(
        ("number", "word"), [(1, "1st"), (2, "2nd"), (3, "3rd"), (11, "11th"), (22, "22nd")]
    )
    def test_ordinals(self, number: int, word: str) -> None:
        """As people count."""
        assert word == ordinal(number)

    def test_one_edit_is_no_edits(self) -> None:
        """Singular and plural."""
        assert (moved_words(1).split(",")[0], moved_words(2).split(",")[0]) == (
            "your edit is",
            "2 edits of yours are",
        )


class TestSentences:
    """`log.sentence`: an event on a terminal."""

    @pytest.mark.parametrize(
        ("event", "fields", "words"),
        [
            (
                "admin.answered",
                {"models": "opus", "turns": 2, "cost": "$0.04", "says": "plan issue 7 as 1 task: x"},
                "admin (opus, 2 turns, $0.04): plan issue 7 as 1 task: x",
            ),
            ("decided", {"by": "admin", "decision": "Plan", "says": "plan issue 7", "why": "so"}, ""),
            (
                "decided",
                {"by": "rules", "decision": "Park", "says": "park task 7.1", "why": "so"},
                "park task 7.1: so",
            ),
            (
                "refused",
                {"by": "admin", "decision": "Plan", "says": "plan issue 7", "why": "no target"},
                "refused the admin's decision to plan issue 7: no target",
            ),
            (
                "alert",
                {"limit": "day_usd", "says": "80 % of limits.day_usd = $20.00 is spent"},
                "80 % of limits.day_usd = $20.00 is spent",
            ),
            ("cycle.ended", {"cycle": 3, "failed": "no key", "again": None}, "cycle 3 failed: no key"),
            (
                "cycle.ended",
                {"cycle": 5, "failed": "no key", "again": 3},
                "cycle 5 failed: same as before (3rd time)",
            ),
            ("cycle.idle", {"fingerprint": "0f36", "until": NOW, "reason": "nothing to do"}, ""),
            ("fact", {"fact": "CycleBegan", "says": ""}, ""),
        ],
    )
    def test_under_a_supervisor(self, event: str, fields: dict[str, Any], words: str) -> None:
        """Sentences without class names and hashes; the sleep is the supervisor's to tell."""
        assert words == sentence(event, fields, supervised=True)

    def test_by_hand_the_cycle_says_what_comes_next(self) -> None:
        """In local time, with the reason."""
        said = sentence("cycle.idle", {"until": None, "reason": "nothing to do"})
        assert said == "nothing new; next when something happens (nothing to do)"


class TestRest:
    """`rest.asleep`: what a supervisor adds to what its cycle has said."""

    def test_a_failure_is_not_told_twice(self) -> None:
        """The cycle said why; only what follows is new."""
        said = SleepRecord(
            cycle=3,
            until=NOW + timedelta(minutes=1),
            reason="the admin agent is asked again then; it failed: no key",
            problems=("no key",),
            outcome="failed",
        )
        found = rest.asleep(said, mono=0.0, now=NOW)
        assert (found.brief, found.idle) == ("the admin agent is asked again then; it failed", False)

    @pytest.mark.parametrize(
        ("text", "told", "left"), [("a: b", "b", "a"), ("a", "", "a"), ("a; no key, whatever", "no key", "a")]
    )
    def test_without(self, text: str, told: str, left: str) -> None:
        """Everything in front of the repetition."""
        assert left == without(text, told)


class TestRelayFacts:
    """`relay.facts.facts_of`: what a person reads in the relay."""

    def test_money_pulls_and_limits(self) -> None:
        """A pull request has its sign, spent is without what is set aside, no limit is "none"."""
        scene = Scene(world=fold(night(NOW)), observed=Observed(now=NOW), settings=Settings())
        found = dict(facts_of(scene, ()))
        names = (
            "pull requests waiting for you",
            "spent today",
            "set aside for work under way",
            "provider's limit until",
            "problems",
        )
        assert [found[name] for name in names] == ["#2", "$1.88 of $20.00", "$2.00", "none", "none"]

    def test_cycles_that_failed_are_a_problem(self) -> None:
        """Those before and this one, with the reason."""
        failed = f.CycleEnded(outcome="failed", fingerprint="", reason="no key")
        world = fold([f.Entry(at=NOW, cycle=1, facts=(failed,))])
        scene = Scene(world=world, observed=Observed(now=NOW), settings=Settings())
        assert dict(facts_of(scene, (), "no key"))["problems"] == "2 cycles in a row failed: no key"


@pytest.mark.parametrize(
    ("micros", "text"),
    [(0, "$0.00"), (1_250_000, "$1.25"), (12_300, "$0.01"), (9_900, "$0.0099"), (100_000, "$0.10")],
)
def test_an_amount_is_shown_as_a_person_reads_it(micros: int, text: str) -> None:
    """Two places, four for less than a cent: little is not shown as nothing."""
    assert dollars(micros) == text
