"""What a person is told when something is odd: what is true, where they look, and how to mend it."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from agentloop import exits, initialise, lightstatus, wiring
from agentloop.cli import app
from agentloop.doctor import house
from agentloop.domain import facts as f
from agentloop.domain import marks as m
from agentloop.domain.effects import Push, Say
from agentloop.domain.observed import RetryRequest
from agentloop.edges.journal import Journal
from agentloop.edges.relay import RelayFile
from agentloop.edges.requests import FileRequests
from agentloop.edges.tracker import FileTracker
from agentloop.errors import HomeError
from agentloop.home import Home
from agentloop.settings.compiling import compile_settings
from agentloop.testing.night import night
from agentloop.testing.samples import task

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NOW = datetime(2026, 11, 20, 12, 12, tzinfo=UTC)


def request(name: str, of: str = "7.1") -> RetryRequest:
    """A retry that a person asked for."""
    made: RetryRequest = RetryRequest(id=name, task=of, by="ana", at=NOW, reason="", from_scratch=False)
    return made


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A home that was just made, with its settings compiled; there is no key for a model."""
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    initialise.carry_out(initialise.plan(tmp_path))
    compile_settings(Home(tmp_path))
    return Home(tmp_path)


# --- a command line that makes no sense ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["cost", "--by", "role"], "cost: --by: 'role' is none of day, hour, model, task, issue, specialist"),
        (["cost", "--by", "modle"], "did you mean model?"),
        (["cost", "--days", "x"], "cost: --days: 'x' is no whole number"),
        (["cost", "--days", "0"], "cost: --days: 0 is too small: the least is 1"),
        (["cost", "-n", "999999"], "--limit / -n: 999999 is too large: the most is 100,000"),
        (["cost", "--isue", "1"], "cost: there is no option --isue; did you mean --issue?"),
        (["cost", "--zzz"], "cost: there is no option --zzz; there are --by, --days, --issue"),
        (["cost", "--day", "2026-13-01"], "cost: '2026-13-01' is no day; write it as 2026-11-02"),
        (["sim", "--weeks", "x"], "sim: --weeks: 'x' is no number"),
        (["issue", "shw", "3"], "issue: there is no command 'shw'; did you mean show?"),
        (["config", "get", "x"], "config: there is no command 'get'; there are show, check"),
        (["stauts"], "there is no command 'stauts'; did you mean status?"),
        (["issue", "show"], "issue show: missing argument 'N'"),
        (["explain", "--at", "soon"], "explain: 'soon' is no moment: write it as 2h ago, yesterday 22:00"),
        (["pr", "list", "--state", "opne"], "'opne' is none of open, closed, all; did you mean open?"),
        (["cycle", "show", "x"], "cycle: 'show x': to show a cycle, write: agentloop cycle show N"),
    ],
)
def test_a_wrong_command_line_is_told_in_our_own_words(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    words: list[str],
    says: str,
) -> None:
    """What was given, what is valid, what may have been meant, and the command that tells more."""
    (tmp_path / "agentloop.toml").touch()
    monkeypatch.chdir(tmp_path)
    assert app.run(words) == exits.USAGE
    told = " ".join(capsys.readouterr().err.split())
    assert says in told
    assert "fix: agentloop" in told
    assert not [word for word in ("Value error", "Input should", "valid integer") if word in told]


def test_a_program_is_told_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    """The complaint itself stands in the JSON, with the exit code."""
    assert app.run(["pr", "list", "--state", "x", "--json"]) == exits.USAGE
    told = json.loads(capsys.readouterr().out)
    assert (told["error"], told["code"]) == (
        "agentloop pr list: --state: 'x' is none of open, closed, all",
        exits.USAGE,
    )


def test_the_cost_of_what_does_not_exist_is_no_nothing(
    home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    """It says that there is no such issue, not that nothing was spent on it."""
    assert app.run(["cost", "--issue", "99", "--home", str(home.root)]) == exits.NOT_FOUND
    assert "there is no issue 99" in capsys.readouterr().err


# --- what persons asked for ---------------------------------------------------------------------------------


def test_a_damaged_request_is_put_aside_and_the_others_go_on(home: Home) -> None:
    """It keeps its bytes, is said as long as it lies there, and is not looked at again."""
    requests = FileRequests(home)
    requests.ask(request("7.1-a"))
    bad = {"b.json": b"{torn", "c.json": b'{"is": "retry_request", "id": "../x"}'}
    for name, data in bad.items():
        (home.requests / name).write_bytes(data)
    (home.requests / "d.json").mkdir()
    assert [one.id for one in requests.waiting()] == ["7.1-a"]
    assert [one.id for one in requests.take_in()] == ["7.1-a"]
    aside = home.requests / "aside"
    assert {name: (aside / name).read_bytes() for name in bad} == bad
    assert sorted(path.name for path in home.requests.iterdir()) == ["7.1-a.json", "aside"]
    first, second, third = requests.left_out()
    assert f"a retry that was asked for was not heard: {aside / 'b.json'} is no request" in first
    assert f"rm -r {aside / 'c.json'}" in second
    assert f"{aside / 'd.json'} cannot be read (Is a directory)" in third
    assert [check.state for check in house.requests(home)] == ["warn"] * 3


def test_what_was_put_aside_before_stays_when_its_name_comes_again(home: Home) -> None:
    """Two files of one name are two."""
    requests = FileRequests(home)
    for words in ("first", "second"):
        home.requests.mkdir(exist_ok=True)
        (home.requests / "a.json").write_text(words)
        requests.take_in()
    aside = home.requests / "aside"
    assert [(aside / name).read_text() for name in ("a.json", "a.json.1")] == ["first", "second"]
    assert len(requests.left_out()) == 2


def test_a_cycle_says_what_it_put_aside(home: Home) -> None:
    """In `status`, in every cycle until the person takes it away."""
    home.requests.mkdir()
    (home.requests / "a.json").write_text("{")
    for _ in range(2):
        wiring.run_cycle(home.root)
        (notice,) = lightstatus.live(str(home.root), [])["notices"]
        assert "was not heard" in notice
    (home.requests / "aside/a.json").unlink()
    wiring.run_cycle(home.root)
    assert lightstatus.live(str(home.root), [])["notices"] == []


# --- a relay that cannot be read ----------------------------------------------------------------------------


def a_folder(home: Home) -> None:
    """A folder lies where the relay was, with a file of somebody's in it."""
    home.relay.unlink()
    home.relay.mkdir()
    (home.relay / "mine").write_text("mine")


def a_link(home: Home) -> None:
    """It is a link to a file elsewhere."""
    home.relay.rename(home.root / "elsewhere.md")
    home.relay.symlink_to(home.root / "elsewhere.md")


def a_pipe(home: Home) -> None:
    """A pipe that nobody writes into: whoever opened it would wait for ever."""
    home.relay.unlink()
    os.mkfifo(home.relay)


def no_memories(home: Home) -> None:
    """`memories` is a file."""
    home.memories.rename(home.root / "moved")
    home.memories.write_text("mine")


def everything(home: Home) -> dict[str, str]:
    """Every file of the home that is not runtime state."""
    files = (path for path in sorted(home.root.rglob("*")) if path.is_file() or path.is_symlink())
    return {
        str(path.relative_to(home.root)): str(path.readlink())
        if path.is_symlink()
        else path.read_bytes().hex()
        for path in files
        if not {".agentloop", ".git"} & set(path.relative_to(home.root).parts)
    }


@pytest.mark.parametrize("damage", [a_folder, a_link, a_pipe, no_memories])
def test_a_relay_that_cannot_be_read_stops_the_cycle_and_says_so(
    home: Home, damage: Callable[[Home], None]
) -> None:
    """It may say "stop": nothing is decided or changed; status and doctor say it, doctor how to mend it."""
    FileTracker(home.tracker).new("Divide", "by zero", author="ana")
    damage(home)
    before = everything(home)
    with pytest.raises(HomeError) as raised:
        wiring.run_cycle(home.root)
    assert raised.value.fix
    assert everything(home) == before
    assert Journal(home).last_number() == 0
    (problem,) = lightstatus.live(str(home.root), [])["problems"]
    assert ("the relay cannot be read" in problem, "agentloop doctor" in problem) == (True, True)
    check = house.relay(home)
    assert (check.state, check.what, check.fix) == ("fail", raised.value.what, raised.value.fix)


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is forbidden to root")
def test_a_relay_that_is_not_ours_to_read_is_the_same(home: Home) -> None:
    """With the command that makes it ours."""
    home.relay.chmod(0)
    with pytest.raises(HomeError, match="cannot be read by user"):
        wiring.run_cycle(home.root)
    assert "chown" in house.relay(home).fix


def test_bytes_that_are_no_text_are_a_persons_and_stay(home: Home) -> None:
    """Latin-1 from an old editor: not one byte is lost, and the loop goes on."""
    strange = b"caf\xe9 \xff\xfe\n"
    home.relay.write_bytes(home.relay.read_bytes() + strange)
    FileTracker(home.tracker).new("Divide", "by zero", author="ana")
    wiring.run_cycle(home.root)
    assert RelayFile(home).read().stamp is not None
    assert home.relay.read_bytes().count(strange) == 1
    assert lightstatus.live(str(home.root), [])["problems"] != ["the relay cannot be read"]


# --- what was done outside, and who asked for it ------------------------------------------------------------

PUSH = Push(target="calc", branch="agentloop/1.1-divide", commit="c" * 40)
NARROW = """\
push cccccccccc to
  agentloop/1.1-divide in calc
  → refused: the branch moved
  asked for by ana; decided by rules,
    Publish
  allowed by autonomy draft (target
    calc), plan approved by bob
"""


def test_audit_names_who_asked_and_what_allowed_it(
    home: Home, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a phone, in JSON, for one issue; an issue that nobody knows is said to be none."""
    rule = "autonomy draft (target calc), plan approved by bob"
    named = {"by": "rules", "decision": "Publish", "asked": "ana", "rule": rule, "concerns": "1"}
    for fact in (
        f.EffectIntended(op="o", effect=PUSH, **named),
        f.EffectFailed(op="o", why="the branch moved"),
    ):
        Journal(home).append(f.Entry(at=NOW.replace(year=2025), cycle=1, facts=(fact,)))
    monkeypatch.setenv("COLUMNS", "40")
    app.run(["audit", "--home", str(home.root)])
    when, _, said = capsys.readouterr().out.partition("  ")
    assert (len(when), said) == (len("20 Nov 12:12"), NARROW)
    (row,) = told(home, capsys, "audit", "--issue", "1")["effects"]
    assert (row["kind"], row["asked"], row["rule"], row["outcome"]) == ("push", "ana", rule, "failed")
    assert app.run(["audit", "--issue", "9", "--home", str(home.root)]) == exits.NOT_FOUND


# --- after the journal was lost -----------------------------------------------------------------------------


@pytest.fixture
def recovered(home: Home) -> Home:
    """A home whose journal went away and was read back from its marks by a cycle."""
    tracker = FileTracker(home.tracker)
    tracker.new("Divide", "by zero", author="ana")
    seen = f.IssueSeen(issue="1", title="Divide", target="calc", priority="normal", evidence="e")
    planned = f.Planned(issue="1", tasks=(task("1.1"),), evidence="e")
    carried = m.pack(m.Carried(at=NOW, cycle=4, facts=(seen, planned), spent_micros=3_000_000))
    tracker.act("plan:1:e", Say(issue="1", body="**Plan**", carries=carried))
    wiring.run_cycle(home.root)
    return home


def told(home: Home, capsys: pytest.CaptureFixture[str], *words: str) -> Any:  # noqa: ANN401 -- whatever JSON says
    """What the command prints as JSON."""
    assert app.run([*words, "--json", "--home", str(home.root)]) == exits.OK
    return json.loads(capsys.readouterr().out)


def test_calls_that_nobody_can_count_any_more_are_not_called_none(
    recovered: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    """What was spent before the loss is known, calls and tokens are null, and no run is made up."""
    for by, key in (("model", "lost with the journal"), ("task", "lost with the journal")):
        (row,) = told(recovered, capsys, "cost", "--by", by)["rows"]
        assert (row["key"], row["settled_micros"], row["times"]) == (key, 3_000_000, 0)
        assert (row["calls"], row["input_tokens"], row["output_tokens"]) == (None, None, None)
    app.run(["cost", "--home", str(recovered.root)])
    assert "is of calls that nobody can count any more" in capsys.readouterr().out


def test_a_cycle_whose_end_was_lost_is_not_called_killed(
    recovered: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    """The cycle that the marks name is known in part; the one that read them back ended well."""
    first, last = sorted(told(recovered, capsys, "cycles")["cycles"], key=lambda one: one["number"])
    assert (first["number"], first["lost"], first["outcome"], first["seconds"]) == (4, True, "", 0.0)
    assert (last["number"], last["lost"], last["outcome"] != "") == (5, False, True)
    app.run(["cycles", "--home", str(recovered.root)])
    out = " ".join(capsys.readouterr().out.split())
    assert ("the rest of it was lost with the journal" in out, "killed" in out) == (True, False)


def test_doctor_calls_a_home_without_its_journal_not_ready(home: Home) -> None:
    """All of it gone, or its last lines: with the command that reads back what can be."""
    for entry in night(NOW):
        Journal(home).append(entry)
    wiring.run_cycle(home.root)
    assert house.journal(home).state == "ok"
    (path,) = home.journal.glob("*.jsonl")
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-2]))
    check = house.journal(home)
    assert (check.state, "its last 2 entries went missing" in check.what) == ("fail", True)
    path.unlink()
    FileTracker(home.tracker).new("Divide", "by zero", author="ana")
    FileTracker(home.tracker).act("plan:1:e", Say(issue="1", body="**Plan**"))
    assert house.journal(home).state == "fail"
    assert "agentloop rebuild" in house.journal(home).fix
