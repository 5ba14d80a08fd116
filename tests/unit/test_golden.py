"""Homes as earlier versions left them, kept byte for byte: everything in them is still read, as it was meant.

`tests/golden/NAME` is the home of one whole story (question, answer, plan, red gate, review, two merges) as
that version wrote it; only its paths were made to say /srv/agentloop. A change of a format adds a folder here
and leaves these alone.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from agentloop import compiled
from agentloop.domain.codec import NewerError, decode
from agentloop.domain.states import Merged
from agentloop.domain.work import AttemptSpec, Delivered, End, GateSpec, Verdict
from agentloop.domain.world import Closed
from agentloop.edges import runtime
from agentloop.edges.executor import LocalExecutor
from agentloop.edges.journal import Journal
from agentloop.edges.ledger import Ledger
from agentloop.edges.recordfolder import RecordFolder
from agentloop.edges.relay import RelayFile
from agentloop.edges.tracker import FileTracker
from agentloop.errors import UnsafeError
from agentloop.home import Home

if TYPE_CHECKING:
    from agentloop.home import RunFolder

GOLDEN = Path(__file__).parent.parent / "golden"
DIGESTS = {
    "unnumbered": "68421c16451d6198112ed07a31b54523fab56c8ff667ef9a4ccd2e31371911a3",
}


@pytest.fixture(params=sorted(DIGESTS))
def home(request: pytest.FixtureRequest) -> Home:
    """One of them."""
    return Home(GOLDEN / str(request.param))


def plain(path: Path) -> Any:  # noqa: ANN401 -- what a record's JSON holds
    """A record as JSON."""
    return json.loads(path.read_bytes())


def runs(folder: Path) -> list[RunFolder]:
    """The folders of attempts or gates that were kept."""
    return [Home(Path("/")).attempt(str(path)) for path in sorted(folder.iterdir())]


@pytest.mark.parametrize("name", sorted(DIGESTS))
def test_the_samples_are_as_they_were_made(name: str) -> None:
    """Whoever changes a sample to make a test pass has broken somebody's home."""
    digest = hashlib.sha256()
    for path in sorted((GOLDEN / name).rglob("*")):
        if path.is_file():
            digest.update(f"{path.relative_to(GOLDEN / name)}\0".encode() + path.read_bytes())
    assert digest.hexdigest() == DIGESTS[name]


def test_the_journal_tells_the_same_story(home: Home) -> None:
    """Every task merged by its pull request, the issue closed, nothing open, money to the micro-dollar."""
    world = Journal(home).world()
    merged = {task: view.state.pull for task, view in world.tasks.items() if isinstance(view.state, Merged)}
    assert merged == {"1.1": "1", "1.2": "2"}
    assert world.issues["1"].state == Closed(by="loop")
    assert (world.open_ops, world.purses, world.losses) == ({}, {}, ())
    assert world.spent_micros() == 62_006
    assert [len(world.tasks[task].tries) for task in ("1.1", "1.2")] == [3, 1]


def test_issues_and_pull_requests_are_read_and_our_words_are_ours(home: Home) -> None:
    """Marks made then still prove who wrote a comment."""
    issue = FileTracker(home.tracker).get("1").issue
    ours = [one.ours for one in issue.comments]
    assert (issue.state, ours) == ("closed", [True, False, *[True] * 5])
    pulls = RecordFolder(home.pulls, what="pull request", lock=home.tracker / ".lock").closed()
    assert [(one.id, one.record.word("state"), one.record.problems) for one in pulls] == [
        ("1", "merged", ()),
        ("2", "merged", ()),
    ]


def test_the_relay_is_read_as_it_was_written(home: Home) -> None:
    """Its stamp fits, so nothing in it is taken for a person's edit."""
    read = RelayFile(home).read()
    assert (read.settled, read.moved, dict(read.relay.facts)["cycle"]) == (
        True,
        (),
        str(Journal(home).world().cycle),
    )


def test_records_of_attempts_and_gates_are_read(home: Home) -> None:
    """Spec, end, ledger; spec and verdict: as values, and the ledger without a line that makes no sense."""
    for run in runs(home.attempts):
        spec: AttemptSpec = decode(AttemptSpec, plain(run.spec))
        end: End = decode(End, plain(run.end))
        entries, garbage = Ledger(run.ledger).read()
        assert (spec.id, end.attempt, garbage) == (run.root.name, run.root.name, ())
        assert isinstance(end.outcome, Delivered)
        assert entries
    for run in runs(home.gates):
        asked: GateSpec = decode(GateSpec, plain(run.spec))
        verdict: Verdict = decode(Verdict, plain(run.verdict))
        assert (asked.attempt, verdict.attempt) == (run.root.name, run.root.name)
        assert (asked.commit, verdict.green) == (verdict.commit, run.root.name != "1.1.1")


def test_compiled_settings_and_sleep_are_read(home: Home) -> None:
    """The settings are those compiled then; what came later has its default."""
    found = compiled.read(home)
    assert found is not None
    assert [target.name for target in found.settings.targets] == ["calc"]
    sleep = runtime.read_sleep(home.root)
    assert sleep is not None
    assert (sleep.kind, sleep.outcome) == ("idle:10", "idle")


@pytest.mark.parametrize(
    ("kind", "name"), [(End, "end.json"), (Verdict, "verdict.json"), (AttemptSpec, "spec.json")]
)
def test_a_record_of_a_newer_format_is_refused_and_not_taken_for_none(
    kind: type, name: str, tmp_path: Path
) -> None:
    """Whoever looks is told; taken for none, an attempt that has ended would be done again."""
    folder = "gates" if name == "verdict.json" else "attempts"
    data = plain(GOLDEN / "unnumbered" / ".agentloop" / folder / "1.2.1" / name)
    with pytest.raises(NewerError, match="format 2, and 1 is the newest known here"):
        decode(kind, {**data, "v": 2})
    home = Home(tmp_path)
    run = home.gate("1.2.1") if folder == "gates" else home.attempt("1.2.1")
    run.root.mkdir(parents=True)
    (run.root / name).write_text(json.dumps({**data, "v": 2}))
    if name != "spec.json":
        with pytest.raises(UnsafeError, match="a newer agentloop wrote"):
            LocalExecutor(home.root, only_look=True).observe(frozenset({f"{folder[:-1]}:1.2.1"}))


def test_a_ledger_of_a_newer_format_is_refused_and_its_money_not_passed_over(tmp_path: Path) -> None:
    """A line that is torn was never acted upon; one that is not understood may be money."""
    path = tmp_path / "ledger.jsonl"
    line = (GOLDEN / "unnumbered/.agentloop/attempts/1.2.1/ledger.jsonl").read_text().splitlines()[0]
    path.write_text(json.dumps({**json.loads(line), "v": 2}) + "\n")
    with pytest.raises(UnsafeError, match="a newer agentloop wrote a ledger"):
        Ledger(path).read()
