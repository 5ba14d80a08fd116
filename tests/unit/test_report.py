"""What status, tasks, explain and cost tell, by values: a journal and settings in, a report out."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentloop import lightstatus
from agentloop.cli.statusscreen import clock, screen, span
from agentloop.domain import money, report
from agentloop.domain.codec import decode, encode
from agentloop.domain.costs import UNNAMED, charged, costs
from agentloop.domain.facts import Entry, Requeued, Settled
from agentloop.domain.loglines import log_line
from agentloop.domain.model import Usage
from agentloop.domain.observed import Observed
from agentloop.domain.scene import Scene
from agentloop.domain.settings import KEPT, Layers, Limits, Models, Settings, Target, Worker
from agentloop.domain.story import follow, story
from agentloop.domain.tasklist import meant, rows
from agentloop.domain.world import World, fold
from agentloop.testing.night import night

NOW = datetime(2026, 11, 20, 12, 12, tzinfo=UTC)
SETTINGS = Settings(targets=(Target(name="repo", repository="/srv/repo"),))


def _stand(settings: Settings = SETTINGS, now: datetime = NOW) -> report.Standing:
    return report.stand(fold(night(NOW)), settings, now)


def _scene(settings: Settings = SETTINGS) -> Scene:
    return Scene(world=fold(night(NOW)), observed=Observed(now=NOW), settings=settings)


def _live(state: str = "sleeping", **more: object) -> report.Live:
    loop = report.Loop(
        state=state,
        pid=None if state == "stopped" else 77,
        version="1",
        started_at=NOW - timedelta(hours=30),
        since=NOW,
        until=NOW + timedelta(minutes=4),
        reason="attempt 3.1.2 at work",
        notice="",
        do="agentloop wake",
    )
    plain = {
        "at": "2026-11-20T12:12:00Z",
        "home": "/srv/home",
        "loop": report.plain(loop),
        "pause": None,
        "woken_by": [],
        "sleep_until": None,
        "sleep_reason": "",
        "problems": [],
        "progress": [],
    }
    found: report.Live = decode(report.Live, plain | more)
    return found


class TestStanding:
    """`report.stand`: what follows from the journal and the settings."""

    def test_a_person_is_asked_for_what_only_they_can_do(self) -> None:
        """A review, an answer with its choices, and a parked task, in the order of their issues' priority."""
        found = [(one.kind, one.about) for one in _stand().needs_you]
        expected = [("review", "pull request 2"), ("question", "issue 2"), ("parked", "task 4.1")]
        assert expected == found

    def test_a_question_brings_its_choices_and_the_command_that_answers(self) -> None:
        """One command answers, and the choices are numbered by their order."""
        question = next(one for one in _stand().needs_you if one.kind == "question")
        expected = (("read `1 h 30 min`", "kinder messages", "both"), ('agentloop issue comment 2 "1"',))
        assert expected == (question.choices, question.do)

    def test_what_runs_is_told_with_its_slice_and_deadline(self) -> None:
        """The attempt that the journal says is at work, and no other."""
        (run,) = _stand().running
        expected = ("3.1.2", "attempt", 2_000_000, NOW + timedelta(minutes=48))
        assert expected == (run.attempt, run.role, run.slice_micros, run.deadline)

    def test_a_queued_task_says_why_it_is_not_started(self) -> None:
        """Every reason, from the same function that keeps the rules from starting it."""
        (waits,) = _stand().queue
        assert (waits.task, waits.reasons) == ("3.2", ("needs task 3.1 to be merged first",))

    def test_new_words_come_up_in_the_next_cycle(self) -> None:
        """An issue that nothing was decided on is not silent."""
        (coming,) = _stand().coming
        assert coming.about == "issue 5"

    def test_money_is_settled_unresolved_and_reserved(self) -> None:
        """Spent counts what is unresolved; what is reserved stands apart."""
        found = _stand().money
        expected = (1_880_000, 90_000, 2_000_000)
        assert expected == (found.spent_micros, found.unresolved_micros, found.reserved_micros)

    def test_a_day_counts_from_midnight_utc(self) -> None:
        """Eight hours before noon is today; the day after, nothing was spent yet."""
        tomorrow = NOW + timedelta(days=1)
        assert (
            _stand().money.spent_today_micros,
            _stand(now=tomorrow).money.spent_today_micros,
        ) == (1_880_000, 0)

    @pytest.mark.parametrize(
        ("settings", "word"),
        [
            (Settings(), "no [[target]]"),
            (Settings(targets=SETTINGS.targets, worker=Worker(sandbox="none")), "no sandbox"),
            (Settings(targets=SETTINGS.targets, layers=Layers(gate=False)), "the gate is off"),
            (Settings(targets=SETTINGS.targets, layers=Layers(workers=False)), "workers are off"),
        ],
    )
    def test_what_was_switched_off_is_said(self, settings: Settings, word: str) -> None:
        """Whoever looks sees what protects them no more."""
        assert any(word in warning for warning in _stand(settings).warnings)

    def test_a_model_that_stood_in_is_named(self) -> None:
        """In how many cycles, and when last; an attempt that used the same model is no such thing."""
        models = Models(admin="opus", admin_fallback="sonnet", worker="sonnet", worker_fallback="")
        settled = (
            Settled(purse="admin:8", micros=5, model="sonnet"),
            Settled(purse="attempt:1.1.1", micros=5),
        )
        entries = [Entry(at=NOW, cycle=8, facts=settled)]
        found = report.fallbacks(fold(entries), Settings(models=models))
        assert found == ("sonnet answered for opus in 1 cycle, last in cycle 8",)
        attempts = [Entry(at=NOW, cycle=8, facts=(Settled(purse="attempt:1.1.1", micros=5, model="sonnet"),))]
        assert report.fallbacks(fold(attempts), Settings(models=models)) == ()

    def test_used_up_money_needs_a_person(self) -> None:
        """The limit is named, first of all needs, as long as something waits for money."""
        need = _stand(Settings(targets=SETTINGS.targets, limits=Limits(total_usd=4))).needs_you[0]
        assert (need.kind, need.about, need.title) == (
            "money",
            "limits.total_usd",
            "raise it in agentloop.toml",
        )

    def test_lists_are_bounded_and_say_so(self) -> None:
        """More than a program's page: how many there are, and how to see them."""
        entries = [entry for n in range(30) for entry in _waiting_issue(str(100 + n))]
        found = report.stand(fold(entries), SETTINGS, NOW)
        expected = (report.ROWS, 30, "agentloop tasks --limit 1000")
        assert expected == (len(found.coming), found.listed.coming, found.listed.more)

    def test_plain_values_survive_the_way_through_json(self) -> None:
        """The snapshot is read back as the same value."""
        standing = _stand()
        again = decode(report.Standing, json.loads(json.dumps(report.plain(standing))))
        assert standing == again


def _waiting_issue(issue: str) -> tuple[Entry, ...]:
    from agentloop.domain.facts import IssueSeen

    seen = IssueSeen(issue=issue, title=f"issue {issue}", target="repo", priority="normal", evidence="w")
    return (Entry(at=NOW, cycle=1, facts=(seen,)),)


class TestScreen:
    """`statusscreen.screen`: lines for a terminal."""

    @pytest.mark.parametrize("width", [40, 80, 120])
    def test_no_line_is_wider_than_the_terminal(self, width: int) -> None:
        """Words are cut, never wrapped by the terminal."""
        lines = screen(_stand(), _live(), width=width)
        assert max(line.cell_len for line in lines) <= width

    def test_it_fits_on_a_small_terminal(self) -> None:
        """All sections are there on 80×24, the longest one gives way and says how much was left out."""
        lines = screen(_stand(), _live(), width=80, height=22)
        text = "\n".join(line.plain for line in lines)
        titles = ["NEEDS YOU", "AT WORK", "NEXT CYCLE", "QUEUE", "MONEY"]
        assert (True, titles) == (len(lines) <= 22, [title for title in titles if title in text])

    @pytest.mark.parametrize(
        ("state", "words"),
        [
            ("stopped", "not running: nothing new starts until you start it: agentloop run"),
            ("sleeping", "asleep until"),
            ("paused", "paused until"),
            ("backoff", "waiting after a failure until"),
            ("cycling", "in a cycle"),
        ],
    )
    def test_the_first_words_say_what_the_loop_does(self, state: str, words: str) -> None:
        """Each state in words, with what to do when nothing happens by itself."""
        lines = screen(_stand(), _live(state), width=120)
        assert lines[1].plain.startswith(f"● {words}")

    def test_a_process_that_is_gone_is_said_to_be_gone(self) -> None:
        """An attempt that the journal believes at work, without a process."""
        gone = {
            "attempt": "3.1.2",
            "role": "attempt",
            "alive": False,
            "beat_at": None,
            "turns": 1,
            "spent_micros": 5,
            "doing": "x",
        }
        text = "\n".join(line.plain for line in screen(_stand(), _live(progress=[gone]), width=120))
        assert "its process is gone" in text

    def test_an_empty_home_says_how_to_begin(self) -> None:
        """Nothing at all is a screen too."""
        nothing = report.stand(World(), SETTINGS, NOW)
        text = "\n".join(line.plain for line in screen(nothing, _live("stopped"), width=80))
        assert "nothing to do; file an issue with" in text

    @pytest.mark.parametrize("width", [40, 60, 80, 120])
    def test_no_command_and_no_reason_is_cut(self, width: int) -> None:
        """They are folded at words: whatever the width, all of their words are there."""
        text = " ".join(line.plain for line in screen(_stand(), _live(), width=width))
        words = " ".join(text.split()).replace(" ·", "")
        for need in _stand().needs_you:
            assert [command for command in need.do if command not in words] == []
        assert "needs task 3.1 to be merged first" in words

    def test_attempts_go_on_without_a_supervisor(self) -> None:
        """Which ones, that they may spend, and until when: the lease, or the deadline when that is sooner."""
        settings = Settings(targets=SETTINGS.targets, worker=Worker(grace_seconds=600))
        stopped = report.plain(_live("stopped").loop) | {"stopped_at": "2026-11-20T12:11:00Z"}
        live = _live("stopped", loop=stopped)
        text = " ".join(line.plain.strip() for line in screen(_stand(settings), live, width=300))
        until = clock(datetime(2026, 11, 20, 12, 21, tzinfo=UTC), NOW)
        assert f"attempt 3.1.2 goes on without it, and may spend, until {until} at most" in text

    def test_what_is_set_aside_is_not_spent(self) -> None:
        """What was really spent leads, with what running attempts have used; the rest stands apart."""
        used = {"attempt": "3.1.2", "role": "attempt", "alive": True, "beat_at": None, "turns": 1}
        live = _live(progress=[used | {"spent_micros": 100_000, "doing": "x"}])
        text = " ".join(line.plain.strip() for line in screen(_stand(), live, width=300))
        assert "spent today $1.98 of" in text
        assert "$1.90 more set aside for work under way" in text

    def test_a_complaint_about_settings_stands_there_once(self) -> None:
        """Supervisor and cycle both say it."""
        standing = report.stand(fold(night(NOW)), SETTINGS, NOW, (f"{KEPT}: x is no setting",))
        loop = report.plain(_live().loop) | {"notice": f"{KEPT}: error: x is no setting"}
        text = " ".join(line.plain for line in screen(standing, _live(loop=loop), width=300))
        assert text.count("x is no setting") == 1

    def test_what_a_cycle_in_hand_does_is_not_said_to_come_next(self) -> None:
        """The same list, under the name of the cycle that is at it."""
        titles = [line.plain.split("  ")[0] for line in screen(_stand(), _live("cycling"), width=80)]
        assert ("THIS CYCLE" in titles, "NEXT CYCLE" in titles) == (True, False)

    @pytest.mark.parametrize(
        ("seconds", "words"), [(-5, "0s"), (59, "59s"), (60, "1m"), (3725, "1h 2m"), (180_000, "2d 2h")]
    )
    def test_spans_are_short(self, seconds: int, words: str) -> None:
        """Two units at most."""
        assert words == span(timedelta(seconds=seconds))


class TestTasks:
    """`tasklist.rows`: the order of a list, and ids that were mistyped."""

    def test_those_in_hand_come_first_then_the_queue(self) -> None:
        """Those that are over only when asked for, at the end."""
        listed = [row.id for row in rows(_scene())]
        assert listed == ["1.2", "4.1", "3.1", "3.2"]
        assert [row.id for row in rows(_scene(), over=True)] == ["1.2", "4.1", "3.1", "3.2", "1.1"]

    def test_an_issue_s_own(self) -> None:
        """Only the tasks of the issue that was named."""
        assert [row.id for row in rows(_scene(), issue="3")] == ["3.1", "3.2"]

    def test_near_ids_are_offered(self) -> None:
        """A wrong id is answered with those it may have been meant for."""
        assert (meant("3.3", ["3.1", "3.2", "17"]), meant("x", ["3.1"])) == ("did you mean 3.2 or 3.1?", "")


class TestStory:
    """`story.story`: why an issue stands where it does."""

    def test_a_red_gate_is_told_with_its_findings(self) -> None:
        """The attempts, what the gate held against them, and what the next one goes on with."""
        world, events = follow(night(NOW), "3")
        told = story(Scene(world=world, observed=Observed(now=NOW), settings=SETTINGS), "3", events)
        first, second = told.tasks[0].attempts
        assert (first.verdict, first.outcome, second.outcome) == ("red", "delivered", "running")
        assert [check.passed for check in first.checks] == [False]

    def test_why_a_task_was_not_started(self) -> None:
        """The reasons stand at the task and in what the issue waits for."""
        world, events = follow(night(NOW), "3")
        told = story(Scene(world=world, observed=Observed(now=NOW), settings=SETTINGS), "3", events)
        assert told.tasks[1].held_back == ("needs task 3.1 to be merged first",)
        assert "task 3.2 needs task 3.1 to be merged first" in told.waits_for

    def test_what_the_admin_was_refused(self) -> None:
        """A refusal is part of the story, with its reason."""
        world, events = follow(night(NOW), "5")
        told = story(Scene(world=world, observed=Observed(now=NOW), settings=SETTINGS), "5", events)
        refused = [event.why for event in told.events if event.refused]
        assert refused == ["task 1: 'make' is not on the PATH of checks"]

    def test_a_question_is_told_with_what_answers_it(self) -> None:
        """What it waits for is the question, and the command is there."""
        world, events = follow(night(NOW), "2")
        told = story(Scene(world=world, observed=Observed(now=NOW), settings=SETTINGS), "2", events)
        assert (len(told.choices), told.do) == (3, ('agentloop issue comment 2 "1"',))

    def test_of_one_task_only(self) -> None:
        """Other tasks' attempts are left out."""
        _, events = follow(night(NOW), "1", "1.2")
        assert {"1.2"} == {event.task for event in events}


class TestCosts:
    """`costs.costs`: where the money went."""

    @pytest.mark.parametrize(
        ("by", "keys"),
        [
            ("day", ["2026-11-20"]),
            ("task", ["1.1", "1.2", "3.1", "4.1", "admin agent"]),
            ("issue", ["1", "3", "4", "admin agent"]),
            ("model", ["claude-sonnet-5-5", "claude-opus-5-5"]),
        ],
    )
    def test_by(self, by: str, keys: list[str]) -> None:
        """Days newest first, all else dearest first; every row adds up to the sums."""
        world, charges = charged(night(NOW))
        found = costs(world, charges, SETTINGS, NOW, by=by)  # type: ignore[arg-type]
        assert keys == [row.key for row in found.rows]
        total = sum(row.settled_micros + row.unresolved_micros for row in found.rows)
        assert total == found.settled_micros + found.unresolved_micros == 1_880_000

    def test_only_the_last_days(self) -> None:
        """Two days later, the last day has nothing; the limits still know."""
        world, charges = charged(night(NOW))
        found = costs(world, charges, SETTINGS, NOW + timedelta(days=2), by="day", days=1)
        assert (found.rows, found.limits[0].used_micros) == ((), 3_880_000)

    def test_money_of_no_known_model_has_a_row(self) -> None:
        """What a killed attempt spent is not hidden."""
        killed = Entry(at=NOW, cycle=1, facts=(Settled(purse="attempt:1.1.1", micros=5),))
        world, charges = charged([killed])
        (row,) = costs(world, charges, SETTINGS, NOW, by="model").rows
        assert row.key == UNNAMED


class TestLight:
    """`lightstatus` against the domain it must not load."""

    @given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans(), st.integers(0, 10**6)), max_size=12))
    def test_a_ledger_adds_up_as_the_domain_says(self, calls: list[tuple[str, bool, int]]) -> None:
        """The same ledger, read with and without dataclasses; torn lines count for nothing."""
        entries: list[money.Entry] = [
            money.Settled(call=call, micros=micros, usage=Usage(), at=NOW)
            if settled
            else money.Reserved(call=call, model="m", micros=micros, at=NOW)
            for call, settled, micros in calls
        ]
        ledger = b"".join(json.dumps(encode(entry)).encode() + b"\n" for entry in entries) + b'{"is": "res'
        assert money.spent(entries).most_micros == lightstatus.spent_micros(ledger)

    def test_the_schema_is_the_commands(self) -> None:
        """One number for all JSON that commands print."""
        from agentloop.cli import common

        assert common.SCHEMA == lightstatus.SCHEMA


class TestLogLines:
    """`loglines.log_line`: an event as a line."""

    @pytest.mark.parametrize(
        ("event", "expected"),
        [
            (
                {"event": "tool.asked", "tool": "shell", "input": {"command": "ls\n-l"}},
                ("tool", "shell", "ls -l"),
            ),
            (
                {"event": "tool.asked", "tool": "edit", "input": {"command": "create", "path": "a.py"}},
                ("tool", "edit", "create a.py"),
            ),
            ({"event": "tool.answered", "ok": False, "text": "\nno\nway"}, ("bad", "", "no  (+1 line)")),
            ({"event": "model.answered", "model": "m", "text": ""}, ("model", "m", "(nothing)")),
            ({"event": "something.new", "x": 1}, ("head", "something.new", "x 1")),
        ],
    )
    def test_events(self, event: dict[str, object], expected: tuple[str, str, str]) -> None:
        """A command, a path, the first line of an answer; unknown events are shown as they are."""
        line = log_line(event)
        assert (expected[0], expected[1], " ".join(expected[2].split())) == (
            line.kind,
            line.who,
            " ".join(line.text.split()),
        )


def test_a_wait_is_over_at_its_time() -> None:
    """A snapshot counts no longer than the first time it mentions."""
    from agentloop.looking import _until

    world = fold(night(NOW))
    soon = NOW + timedelta(minutes=3)
    world.apply(Entry(at=NOW, cycle=14, facts=(Requeued(task="3.2", not_before=soon, why="killed"),)))
    assert soon.timestamp() == _until(world, NOW)
