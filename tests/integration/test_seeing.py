"""Looking at a home through the command line: status, tasks, logs, explain, cost, and a rehearsed cycle."""

from __future__ import annotations

import json
import os
import pty
import select
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from agentloop import exits, lightstatus, looking
from agentloop.domain.codec import decode, encode
from agentloop.domain.facts import Entry, Reserved
from agentloop.domain.report import Live, Standing
from agentloop.domain.work import Delivered, End
from agentloop.edges.journal import Journal
from agentloop.edges.processes import me
from agentloop.edges.requests import FileRequests
from agentloop.home import Home
from agentloop.testing.model import ScriptedModel
from agentloop.testing.night import night
from agentloop.testing.script import parse

COMMAND = (sys.executable, "-m", "agentloop")
NOTHING_TO_DECIDE = """
[[step]]
name = "admin: answers"
when.system = "admin agent"
when.has = ["is new: plan, ask or answer"]
[[step.call]]
tool = "answer"
input = { issue = "1", text = "It is so on purpose.", rationale = "nothing is to be built" }

[[step]]
name = "admin: finished"
when.system = "admin agent"
when.tool_result_of = "answer"
say = "Answered."
"""


def agentloop(*words: str, cwd: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    """What the command does, as a person's shell would run it."""
    return subprocess.run(
        [*COMMAND, *words],
        cwd=cwd,
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        stdin=subprocess.DEVNULL,
    )


def told(*words: str, cwd: Path, **environ: str) -> Any:  # noqa: ANN401 -- whatever JSON says
    """What the command prints as JSON."""
    done = agentloop(*words, "--json", cwd=cwd, **environ)
    assert (done.returncode, done.stderr) == (exits.OK, "")
    return json.loads(done.stdout)


@pytest.fixture
def fresh(tmp_path: Path) -> Path:
    """A home in which nothing has happened, with a target."""
    repository = tmp_path / "repo"
    repository.mkdir()
    git = ["git", "-C", str(repository)]
    subprocess.run([*git, "init", "-q", "-b", "main"], check=True)
    (repository / "a.py").write_text("A = 1\n")
    subprocess.run([*git, "add", "."], check=True)
    subprocess.run([*git, "commit", "-qm", "first"], check=True)
    made = agentloop("init", "home", "--target", str(repository), "--no-input", cwd=tmp_path)
    assert made.returncode == exits.OK, made.stderr
    return tmp_path / "home"


@pytest.fixture
def lived(fresh: Path) -> Path:
    """A home with a night behind it."""
    journal = Journal(Home(fresh))
    for entry in night(datetime.now(UTC)):
        journal.append(entry)
    return fresh


def attempt(home: Path, name: str = "3.1.2", *, over: bool = False) -> Path:
    """Lay out an attempt's folder as the harness does; it is alive as long as this process, unless `over`."""
    folder = Home(home).attempt(name)
    folder.root.mkdir(parents=True)
    folder.spec.write_text("{}")
    folder.claim.write_text(json.dumps(encode(me())))
    folder.heartbeat.write_text(json.dumps({"doing": "shell: make test"}))
    calls = [
        {"is": "reserved", "call": "a", "model": "m", "micros": 900, "at": "2026-11-20T03:00:00.000000Z"},
        {"is": "settled", "call": "a", "micros": 700, "usage": {}, "at": "2026-11-20T03:00:01.000000Z"},
    ]
    folder.ledger.write_text("".join(json.dumps(call) + "\n" for call in calls))
    events = [
        {"at": "2026-11-20T03:00:00.500000Z", "event": "attempt.started", "attempt": name, "task": "Refuse"},
        {"at": "2026-11-20T03:00:02.000000Z", "event": "model.answered", "model": "m", "text": "I look."},
        {
            "at": "2026-11-20T03:00:03.000000Z",
            "event": "tool.asked",
            "tool": "shell",
            "input": {"command": "ls"},
        },
    ]
    folder.events.write_text("".join(json.dumps(event) + "\n" for event in events))
    if over:
        end(home, name)
    return folder.root


def end(home: Path, name: str = "3.1.2") -> None:
    """Leave the end record of an attempt that delivered."""
    outcome = Delivered(tip="0" * 40, summary="refuses them")
    said = End(attempt=name, outcome=outcome, at=datetime.now(UTC), turns=2, sandboxed=True)
    Home(home).attempt(name).end.write_text(json.dumps(encode(said)))


def tree(home: Path) -> dict[str, bytes]:
    """Every file of a home but what may be lost at any moment and the git folder's own."""
    files = [path for path in home.rglob("*") if path.is_file()]
    outside = [
        path
        for path in files
        if not {".git", "mirrors", "cycles", "standing.json"} & {*path.parts, path.name}
    ]
    return {str(path.relative_to(home)): path.read_bytes() for path in outside}


class TestStatus:
    """`agentloop status`."""

    def test_a_fresh_home_says_how_to_begin(self, fresh: Path) -> None:
        """Nothing runs, nothing waits: the two commands that change that are there."""
        said = agentloop("status", cwd=fresh)
        assert said.returncode == exits.OK
        assert "agentloop run" in said.stdout
        assert "agentloop issue new" in said.stdout

    def test_the_json_has_the_shape_that_programs_rely_on(self, lived: Path) -> None:
        """Names of the first two levels: when this test changes, the schema version does."""
        found = told("status", cwd=lived)
        assert found["schema"] == lightstatus.SCHEMA
        expected = [
            "schema",
            "home",
            "at",
            "loop",
            "pause",
            "woken_by",
            "sleep",
            "last_cycle",
            "needs_you",
            "running",
            "attempts_at_once",
            "coming",
            "queue",
            "listed",
            "money",
            "limit",
            "problems",
            "notices",
            "warnings",
            "fallbacks",
            "triage",
            "open_issues",
            "merged",
        ]
        assert expected == list(found)
        assert list(found["loop"]) == [
            "state",
            "pid",
            "version",
            "started_at",
            "since",
            "until",
            "reason",
            "notice",
            "do",
            "stopped_at",
        ]

    def test_the_second_look_needs_no_journal(self, lived: Path) -> None:
        """The snapshot says the same as the journal it was made from."""
        first = told("status", cwd=lived)
        assert lightstatus.snapshot(str(lived)) is not None
        second = told("status", cwd=lived)
        assert {**first, "at": ""} == {**second, "at": ""}

    @pytest.mark.parametrize("changed", ["journal", "settings", "environment", "damage"])
    def test_a_snapshot_counts_only_while_nothing_changed(
        self, lived: Path, changed: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Journal, settings, overrides: each change is seen at once, and a mangled file is no harm."""
        looking.leave_snapshot(str(lived))
        assert lightstatus.snapshot(str(lived)) is not None
        match changed:
            case "journal":
                later = Entry(at=datetime.now(UTC), cycle=14, facts=(Reserved(purse="admin:14", micros=1),))
                Journal(Home(lived)).append(later)
            case "settings":
                with (lived / "agentloop.toml").open("a") as stream:
                    stream.write("\n")
            case "environment":
                monkeypatch.setenv("AGENTLOOP_LIMITS__DAY_USD", "5")
            case _:
                (lived / lightstatus.SNAPSHOT).write_text("{")
        assert lightstatus.snapshot(str(lived)) is None
        assert agentloop("status", "--json", cwd=lived).returncode == exits.OK

    def test_plain_values_are_those_of_the_domain(self, lived: Path) -> None:
        """What the light half writes decodes as the classes that screens are made from."""
        attempt(lived)
        standing = lightstatus.standing_of(str(lived))
        live = lightstatus.live(str(lived), standing["running"])
        assert decode(Standing, standing).running[0].attempt == "3.1.2"
        progress = decode(Live, live).progress[0]
        expected = (True, 1, 700, "shell: make test")
        assert expected == (progress.alive, progress.turns, progress.spent_micros, progress.doing)

    def test_it_loads_no_framework(self, fresh: Path) -> None:
        """Neither typer nor rich nor pydantic, and with a snapshot no dataclasses either."""
        agentloop("status", "--json", cwd=fresh)
        code = (
            "import sys; from agentloop.__main__ import main; main(['status', '--json']);"
            "heavy = {'typer', 'rich', 'pydantic', 'anthropic', 'dataclasses', 'datetime', 'pathlib'};"
            "sys.exit(','.join(sorted(heavy & set(sys.modules))) or 0)"
        )
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=fresh, capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stderr.strip()) == (0, "")

    def test_a_pause_is_told_with_its_reason(self, fresh: Path) -> None:
        """Whoever looks knows who paused, why and until when."""
        agentloop("pause", "--for", "2h", "--reason", "moving house", cwd=fresh)
        found = told("status", cwd=fresh)["pause"]
        assert (
            found["reason"],
            found["until"] > f"{datetime.now(UTC):%Y-%m-%dT%H:%M}",
        ) == ("moving house", True)

    def test_watching_ends_with_q_and_leaves_the_terminal_as_it_was(self, fresh: Path) -> None:
        """On a real terminal: painted once, no further bytes while nothing changes, q ends with 0."""
        pid, fd = pty.fork()
        if pid == 0:
            os.chdir(fresh)
            os.execvpe(COMMAND[0], [*COMMAND, "status", "--watch"], {**os.environ, "TERM": "xterm"})  # noqa: S606
        first = _read_until(fd, b"q ends")
        assert b"not running" in first
        quiet = _read_for(fd, 1.5)
        os.write(fd, b"q")
        rest = _read_for(fd, 10)
        _, status = os.waitpid(pid, 0)
        assert (quiet, os.waitstatus_to_exitcode(status)) == (b"", 0)
        assert b"\x1b[?1049l" in rest, "the alternate screen is left"

    def test_the_quick_way_says_what_it_does_not_understand(self, fresh: Path) -> None:
        """A usage error, with its own code."""
        assert agentloop("status", "--json", "--nonsense", cwd=fresh).returncode == exits.USAGE

    def test_outside_of_a_home(self, tmp_path: Path) -> None:
        """The same error as everywhere, with its fix."""
        done = agentloop("status", cwd=tmp_path)
        assert (done.returncode, "agentloop init" in done.stderr) == (exits.HOME, True)


def _read_until(fd: int, word: bytes) -> bytes:
    data, bound = b"", time.monotonic() + 90
    while word not in data and time.monotonic() < bound:
        data += _read_for(fd, 0.2)
    return data


def _read_for(fd: int, seconds: float) -> bytes:
    data, bound = b"", time.monotonic() + seconds
    while (left := bound - time.monotonic()) > 0:
        if select.select([fd], [], [], left)[0]:
            try:
                data += os.read(fd, 65536)
            except OSError:
                return data
    return data


class TestTasks:
    """`agentloop tasks`."""

    def test_the_list_says_why_each_one_waits(self, lived: Path) -> None:
        """For a program: rows with their reasons, bounded, with the command for more."""
        found = told("tasks", "--limit", "2", cwd=lived)
        assert (
            [task["id"] for task in found["tasks"]],
            found["total"],
            found["more"],
        ) == (["1.2", "4.1"], 4, "agentloop tasks --limit 4")

    def test_an_unknown_issue(self, lived: Path) -> None:
        """Its own exit code, and what may have been meant."""
        done = agentloop("tasks", "--issue", "33", cwd=lived)
        assert (done.returncode, "did you mean 3?" in done.stderr) == (exits.NOT_FOUND, True)


class TestExplain:
    """`agentloop explain`."""

    def test_an_issue(self, lived: Path) -> None:
        """For a person: the red gate, the reason of the queue, what was refused, what to do."""
        said = agentloop("explain", "3", cwd=lived).stdout
        for words in ("FAILED (failures=1)", "needs task 3.1 to be merged first", "attempt 3.1.2 is at work"):
            assert words in said

    def test_an_attempt_stands_for_its_task(self, lived: Path) -> None:
        """7.1.2 is understood as its task 7.1."""
        found = told("explain", "1.2.1", cwd=lived)
        assert [task["id"] for task in found["tasks"]] == ["1.2"]

    def test_an_issue_that_no_cycle_has_seen(self, fresh: Path) -> None:
        """It is there: what it waits for, and what brings it in; no wake while that does nothing."""
        agentloop("issue", "new", "Brand new", cwd=fresh)
        agentloop("pause", "--for", "2h", "--reason", "moving", cwd=fresh)
        found = told("explain", "1", cwd=fresh)
        assert (found["says"], found["do"], found["pause"]["reason"]) == (
            "no cycle has seen it yet",
            ["agentloop run", "agentloop resume"],
            "moving",
        )

    def test_an_issue_that_was_closed_unseen(self, fresh: Path) -> None:
        """There is no story to tell, and it is said why."""
        agentloop("issue", "new", "Never mind", cwd=fresh)
        agentloop("issue", "close", "1", cwd=fresh)
        done = agentloop("explain", "1", cwd=fresh)
        assert (done.returncode, "issue 1 was closed before any cycle saw it" in done.stderr) == (
            exits.NOT_FOUND,
            True,
        )

    def test_what_the_loop_does_comes_first(self, lived: Path) -> None:
        """Before any reason of its own; no line is padded, cut, or wider than the terminal."""
        said = agentloop("explain", "3", cwd=lived, COLUMNS="60").stdout.splitlines()
        assert said.index("THE LOOP") < said.index("WAITS FOR")
        assert ([line for line in said if line != line.rstrip()], max(map(len, said)) <= 60) == ([], True)

    @pytest.mark.parametrize("what", ["99", "3.9", "nonsense", "../../etc"])
    def test_what_is_not_there(self, lived: Path, what: str) -> None:
        """A named exit code and the way to a list, whatever was typed."""
        done = agentloop("explain", what, cwd=lived)
        assert (done.returncode, "agentloop" in done.stderr) == (exits.NOT_FOUND, True)


class TestCost:
    """`agentloop cost`."""

    def test_settled_unresolved_reserved_left(self, lived: Path) -> None:
        """All four, in micro-dollars."""
        found = told("cost", "--by", "task", cwd=lived)
        assert (found["settled_micros"], found["unresolved_micros"]) == (1_790_000, 90_000)
        assert found["reserved"] == [{"purse": "attempt 3.1.2", "micros": 2_000_000}]
        assert found["limits"][0]["left_micros"] == 200_000_000 - 3_880_000


class TestLogs:
    """`agentloop logs`."""

    def test_without_a_name_it_is_what_runs(self, lived: Path) -> None:
        """The one that is alive, not the one that ended last; each answer with its cost."""
        attempt(lived, "4.1.1", over=True)
        attempt(lived, "3.1.2")
        said = agentloop("logs", cwd=lived).stdout
        assert "I look." in said
        assert "$0.0007" in said
        assert "attempt 3.1.2 is at work" in said

    def test_following_ends_with_the_attempt(self, lived: Path) -> None:
        """Lines that come later are shown, the end too, and then it stops by itself."""
        folder = attempt(lived)
        watching = subprocess.Popen([*COMMAND, "logs", "-f"], cwd=lived, stdout=subprocess.PIPE, text=True)
        time.sleep(1)
        with (folder / "events.jsonl").open("a") as stream:
            stream.write(json.dumps({"at": "", "event": "tool.answered", "ok": True, "text": "late"}) + "\n")
        end(lived)
        said, _ = watching.communicate(timeout=90)
        assert (watching.returncode, said.index("late") < said.index("delivered: refuses them")) == (0, True)

    def test_the_gate_s_evidence(self, lived: Path) -> None:
        """Each check with the end of its output, and what is held against the result; programs get it all."""
        world = Journal(Home(lived)).world()
        folder = Home(lived).gate("3.1.1")
        folder.root.mkdir(parents=True)
        folder.spec.write_text("{}")
        folder.log.write_text(
            'ts=2026-11-20T03:00:00Z level=info event=gate.ended msg="red: check make test"\n'
        )
        folder.verdict.write_text(json.dumps(encode(world.verdicts["3.1.1"])))
        said = agentloop("logs", "--gate", "3.1.1", cwd=lived).stdout
        assert ("FAILED (failures=1)" in said, "gate 3.1.1: red" in said) == (True, True)
        found = told("logs", "--gate", "3.1.1", cwd=lived)
        assert found["verdict"]["checks"][0]["passed"] is False

    def test_every_line_of_a_result(self, lived: Path) -> None:
        """With --full; without, the first one and how to see the others."""
        folder = attempt(lived, over=True)
        event = {"at": "", "event": "tool.answered", "ok": True, "text": "one\n\x1b[2Jtwo\nthree"}
        with (folder / "events.jsonl").open("a") as log:
            log.write(json.dumps(event) + "\n")
        short = agentloop("logs", "3.1.2", cwd=lived).stdout
        whole = agentloop("logs", "3.1.2", "--full", cwd=lived).stdout
        assert ("three" in short, "agentloop logs 3.1.2 --full" in short) == (False, True)
        assert ("three" in whole, "\x1b" in whole) == (True, False)

    def test_as_json(self, lived: Path) -> None:
        """Events as they are, how it ended, and how to see more."""
        attempt(lived, over=True)
        found = told("logs", "3.1.2", "--limit", "1", cwd=lived)
        expected = ("delivered", 3, "agentloop logs 3.1.2 --limit 3", "tool.asked")
        assert expected == (found["state"], found["total"], found["more"], found["events"][0]["event"])

    @pytest.mark.parametrize("name", ["3.1.9", "..", "../../../etc", ""])
    def test_what_is_not_there(self, lived: Path, name: str) -> None:
        """A named exit code; a path is no name."""
        if name:
            attempt(lived, over=True)
        assert agentloop("logs", name, cwd=lived).returncode == exits.NOT_FOUND


class TestHelp:
    """`agentloop --help`."""

    def test_every_command_is_listed_once_in_a_group(self, tmp_path: Path) -> None:
        """Also those that are run before typer is loaded; those of the machinery are not."""
        said = agentloop("--help", cwd=tmp_path).stdout
        commands = {
            line.split()[0] for line in said.splitlines() if line.startswith("  ") and line[2].isalpha()
        }
        expected = {
            "run",
            "wake",
            "pause",
            "resume",
            "stop",
            "cycle",
            "status",
            "tasks",
            "logs",
            "explain",
            "cost",
        }
        assert (expected, False) == (expected & commands, bool({"attempt", "gate"} & commands))
        assert "Also:" not in said

    @pytest.mark.parametrize("command", ["run", "wake", "pause", "resume", "stop", "cycle"])
    def test_the_quick_ones_have_help_too(self, tmp_path: Path, command: str) -> None:
        """Their words are told by typer, their work is done without it."""
        assert "--home" in agentloop(command, "--help", cwd=tmp_path).stdout


class TestRehearsal:
    """`agentloop cycle --dry-run`."""

    def test_without_the_model_nothing_is_spent_and_nothing_changes(self, fresh: Path) -> None:
        """The briefing is there; not a byte of the home is other than before, the wake trigger included."""
        agentloop("issue", "new", "One hour too short", cwd=fresh)
        agentloop("config", "compile", cwd=fresh)
        before = tree(fresh)
        found = told("cycle", "--dry-run", "--no-model", cwd=fresh)
        after = {
            path: data for path, data in tree(fresh).items() if not path.endswith(("run/lock", "issues.json"))
        }
        assert ("One hour too short" in found["briefing"], False) == (True, found["asked"])
        assert before == after

    def test_what_the_admin_decides_is_shown_and_not_done(self, fresh: Path) -> None:
        """Decisions and effects are told; only the money that asking cost is in the journal."""
        agentloop("issue", "new", "One hour too short", cwd=fresh)
        agentloop("config", "compile", cwd=fresh)
        before = tree(fresh)
        with ScriptedModel(parse(NOTHING_TO_DECIDE)) as model:
            environ = {"ANTHROPIC_API_KEY": "scripted", "ANTHROPIC_BASE_URL": model.url}
            found = json.loads(agentloop("cycle", "--dry-run", "--json", cwd=fresh, **environ).stdout)
            after = tree(fresh)
            assert [one["decision"] for one in found["decisions"]] == [
                "answer on issue 1: It is so on purpose."
            ]
            assert any("comment on issue 1" in effect for effect in found["effects"])
            new = {path for path, data in after.items() if before.get(path) != data}
            assert {"run/lock", "journal"} >= {
                path.split("/", 1)[-1] if "run/" in path else "journal" for path in new
            }
            account = told("cost", cwd=fresh)
            assert (found["spent_micros"], []) == (account["settled_micros"], account["reserved"])
            agentloop("cycle", cwd=fresh, **environ)
        assert told("status", cwd=fresh)["last_cycle"]["number"] == 1

    def test_it_says_what_asking_may_cost_and_is_no_cycle(self, fresh: Path) -> None:
        """Before it is asked, on standard error; `status` still says when a cycle wrote last, and which."""
        agentloop("issue", "new", "One hour too short", cwd=fresh)
        before = told("status", cwd=fresh)["last_cycle"]
        with ScriptedModel(parse(NOTHING_TO_DECIDE)) as model:
            environ = {"ANTHROPIC_API_KEY": "scripted", "ANTHROPIC_BASE_URL": model.url}
            words = ("cycle", "--dry-run", "--set", "limits.cycle_usd=0.25")
            done = agentloop(*words, cwd=fresh, **environ)
        assert "that may cost $0.25 at most; with --no-model it is not asked" in " ".join(done.stderr.split())
        assert told("status", cwd=fresh)["last_cycle"] == before

    def test_without_a_key_it_shows_what_there_is(self, fresh: Path) -> None:
        """The briefing and the rules' decisions, then what is missing, with the code for that."""
        agentloop("issue", "new", "One hour too short", cwd=fresh)
        done = agentloop("cycle", "--dry-run", cwd=fresh)
        assert ("One hour too short" in done.stdout, done.returncode) == (True, exits.UNSAFE)
        assert "there is no API key" in done.stderr
        program = agentloop("cycle", "--dry-run", "--json", cwd=fresh)
        found = json.loads(program.stdout)
        assert (program.returncode, found["asked"], "no API key" in found["missing"]) == (
            exits.UNSAFE,
            False,
            True,
        )
        assert told("cost", cwd=fresh)["unresolved_micros"] == 0

    def test_money_of_a_killed_rehearsal_counts_at_its_ceiling(self, fresh: Path) -> None:
        """Reserved and never settled: the next one settles it, as unresolved when its ledger is gone."""
        killed = Reserved(purse="rehearsal:0:x", micros=500_000)
        at = datetime.now(UTC) - timedelta(minutes=1)
        Journal(Home(fresh)).append(Entry(at=at, cycle=0, facts=(killed,)))
        told("cycle", "--dry-run", "--no-model", cwd=fresh)
        account = told("cost", cwd=fresh)
        assert (account["unresolved_micros"], account["reserved"]) == (500_000, [])

    def test_it_does_not_race_a_cycle(self, fresh: Path) -> None:
        """While a cycle holds the home, it says so with its own code."""
        from agentloop.edges.files import locked

        home = Home(fresh)
        home.run.mkdir(parents=True, exist_ok=True)
        with locked(home.lock):
            done = agentloop("cycle", "--dry-run", "--no-model", cwd=fresh)
        assert done.returncode == exits.BUSY


def test_a_person_sends_a_parked_task_back_and_the_request_waits_for_the_cycle(lived: Path) -> None:
    """From the list with its reason to the request; the same again is the same request."""
    (row,) = told("tasks", "--parked", cwd=lived)["tasks"]
    assert (row["id"], row["state"]) == ("4.1", "parked")
    first = told("retry", "4.1", "--reason", "the file is there", cwd=lived)
    again = told("retry", "4", "--reason", "the file is there", cwd=lived)
    assert (first["tasks"], again) == (["4.1"], first)
    (request,) = FileRequests(Home(lived)).waiting()
    assert (request.task, request.reason, request.id) == ("4.1", "the file is there", first["requests"][0])


@pytest.mark.parametrize(
    ("what", "code", "says"),
    [
        ("9.9", exits.NOT_FOUND, "there is no task 9.9"),
        ("3.1", exits.CONFLICT, "task 3.1 is not parked: attempt 3.1.2 is working"),
        ("2", exits.CONFLICT, "issue 2 has no task to retry"),
    ],
)
def test_a_retry_of_what_is_not_parked_is_refused_with_the_reason(
    lived: Path, what: str, code: int, says: str
) -> None:
    """Before anything is written."""
    done = agentloop("retry", what, cwd=lived)
    assert done.returncode == code
    assert says in " ".join(done.stderr.split())
    assert FileRequests(Home(lived)).waiting() == ()


def test_a_journal_that_is_gone_is_not_a_home_without_a_past(fresh: Path) -> None:
    """The key that came with the first mark shows it: status and doctor say what brings it back."""
    before = agentloop("status", cwd=fresh).stdout
    (fresh / "tracker").mkdir(exist_ok=True)
    (fresh / "tracker" / "key").write_text("ab" * 32)
    (fresh / ".agentloop/run/standing.json").unlink()
    after = agentloop("status", cwd=fresh).stdout
    checks = json.loads(agentloop("doctor", "--json", cwd=fresh).stdout)["checks"]
    assert ("no cycle has run yet" in before, "no cycle has run yet" in after) == (True, False)
    assert "the journal is gone" in " ".join(after.split())
    assert "nothing to do" not in after
    (check,) = [one for one in checks if one["name"] == "journal"]
    assert (check["state"], check["fix"].partition(" (")[0]) == ("fail", "agentloop rebuild reads it back")
