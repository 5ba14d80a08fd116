"""Where everything in a home lies. No other module spells these paths."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentloop.domain.valueclass import dataclass

if TYPE_CHECKING:
    from datetime import date, datetime
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Home:
    """The paths of a home; nothing here looks at the disk."""

    root: Path

    # What a person reads and edits; history belongs to the home's git repository.

    @property
    def settings_file(self) -> Path:
        """`agentloop.toml`: the home's settings, as a person writes them."""
        return self.root / "agentloop.toml"

    @property
    def gitignore(self) -> Path:
        """`.gitignore`, which keeps runtime state and journal out of the home's history."""
        return self.root / ".gitignore"

    @property
    def memories(self) -> Path:
        """`memories/`: relay, archive and research notes."""
        return self.root / "memories"

    @property
    def relay(self) -> Path:
        """`memories/consensus.md`: the relay."""
        return self.memories / "consensus.md"

    @property
    def archive(self) -> Path:
        """`memories/archive/`: what overflowed from the relay."""
        return self.memories / "archive"

    def archive_of(self, day: date) -> Path:
        """The day's archive file, `memories/archive/YYYY/MM-DD.md`."""
        return self.archive / f"{day:%Y}" / f"{day:%m-%d}.md"

    @property
    def notes(self) -> Path:
        """`memories/notes/`: what research tasks found."""
        return self.memories / "notes"

    def note_of(self, task: str) -> Path:
        """The note of a research task, `memories/notes/<task>.md`."""
        return self.notes / f"{task}.md"

    @property
    def prompts(self) -> Path:
        """`prompts/`: overrides of the shipped prompts; need not exist."""
        return self.root / "prompts"

    # The truth that is ours: outside the runtime folder, outside the home's git history.

    @property
    def journal(self) -> Path:
        """`journal/`: monthly files of facts, written by the cycle under the lock."""
        return self.root / "journal"

    def journal_of(self, moment: date | datetime) -> Path:
        """The month's journal file, `journal/YYYY-MM.jsonl`."""
        return self.journal / f"{moment:%Y-%m}.jsonl"

    @property
    def tracker(self) -> Path:
        """`tracker/`: the built-in tracker's files."""
        return self.root / "tracker"

    @property
    def issues(self) -> Path:
        """`tracker/issues/`: open issues, `NNNN.md` each."""
        return self.tracker / "issues"

    @property
    def github(self) -> Path:
        """`.agentloop/github.db`: what earlier looks at GitHub brought; a cache."""
        return self.runtime / "github.db"

    @property
    def issue_cache(self) -> Path:
        """`.agentloop/issues.json`: what the files of open issues said; a cache."""
        return self.runtime / "issues.json"

    @property
    def closed_issues(self) -> Path:
        """`tracker/issues/closed/`."""
        return self.issues / "closed"

    @property
    def pulls(self) -> Path:
        """`tracker/pulls/`: open pull requests, `NNNN.md` each."""
        return self.tracker / "pulls"

    @property
    def closed_pulls(self) -> Path:
        """`tracker/pulls/closed/`: merged and closed pull requests."""
        return self.pulls / "closed"

    @property
    def pause_file(self) -> Path:
        """`pause.json`: there while paused; a pause must survive the loss of the runtime folder."""
        return self.root / "pause.json"

    @property
    def requests(self) -> Path:
        """`requests/`: what persons asked for with `agentloop retry`, until a cycle has taken it in."""
        return self.root / "requests"

    # Runtime state: may be deleted at any moment.

    @property
    def runtime(self) -> Path:
        """`.agentloop/`: runtime state; the next cycle rebuilds it."""
        return self.root / ".agentloop"

    @property
    def compiled_settings(self) -> Path:
        """`.agentloop/settings.json`: the compiled settings."""
        return self.runtime / "settings.json"

    @property
    def fold_index(self) -> Path:
        """`.agentloop/fold.db`: what the journal says, as of one of its lines; an index."""
        return self.runtime / "fold.db"

    @property
    def run(self) -> Path:
        """`.agentloop/run/`: locks, wake trigger, and what the supervisor and the cycle tell each other."""
        return self.runtime / "run"

    @property
    def wake_file(self) -> Path:
        """`.agentloop/run/wake`: the wake trigger; one reason a line."""
        return self.run / "wake"

    @property
    def lock(self) -> Path:
        """`.agentloop/run/lock`: held (flock) by the cycle."""
        return self.run / "lock"

    @property
    def supervisor_file(self) -> Path:
        """`.agentloop/run/supervisor.json`: which process supervises, since when, in which version."""
        return self.run / "supervisor.json"

    @property
    def supervisor_lock(self) -> Path:
        """`.agentloop/run/supervisor.lock`: held (flock) by `agentloop run` for its life."""
        return self.run / "supervisor.lock"

    @property
    def sleep_file(self) -> Path:
        """`.agentloop/run/sleep.json`: how long to sleep, and why, as the last cycle said it."""
        return self.run / "sleep.json"

    @property
    def probe_file(self) -> Path:
        """`.agentloop/run/probe.json`: what the supervisor asks between cycles, as the last one saw it."""
        return self.run / "probe.json"

    @property
    def status_file(self) -> Path:
        """`.agentloop/run/status.json`: what the supervisor is doing now."""
        return self.run / "status.json"

    @property
    def cycles(self) -> Path:
        """`.agentloop/cycles/`: records of cycles; kept for a while (see `edges.tape`)."""
        return self.runtime / "cycles"

    def cycle(self, number: int) -> Path:
        """The folder of a cycle's record, `.agentloop/cycles/<number>/`."""
        return self.cycles / str(number)

    @property
    def looks(self) -> Path:
        """`.agentloop/cycles/idle.jsonl`: one line for each idle cycle."""
        return self.cycles / "idle.jsonl"

    @property
    def mirrors(self) -> Path:
        """`.agentloop/mirrors/`: bare mirrors of the targets."""
        return self.runtime / "mirrors"

    def mirror_of(self, target: str) -> Path:
        """The target's mirror, `.agentloop/mirrors/<target>.git`."""
        return self.mirrors / f"{target}.git"

    @property
    def attempts(self) -> Path:
        """`.agentloop/attempts/`: one folder an attempt."""
        return self.runtime / "attempts"

    def attempt(self, attempt: str) -> RunFolder:
        """The folder of an attempt, by its id ("7.1.2")."""
        return RunFolder(self.attempts / attempt)

    @property
    def place(self) -> Path:
        """`.agentloop/place`: the name of this runtime folder; one that is made anew has another."""
        return self.runtime / "place"

    @property
    def gates(self) -> Path:
        """`.agentloop/gates/`: one folder for the gate of an attempt."""
        return self.runtime / "gates"

    def gate(self, attempt: str) -> RunFolder:
        """The folder of the gate run on an attempt's result, by the attempt's id."""
        return RunFolder(self.gates / attempt)

    @property
    def forgotten(self) -> Path:
        """`.agentloop/forgotten/`: runs of tasks that a lost journal does not know any more."""
        return self.runtime / "forgotten"

    @property
    def slots(self) -> Path:
        """`.agentloop/slots/`: work trees made ahead; a cache."""
        return self.runtime / "slots"

    def slots_of(self, target: str) -> Path:
        """The slots of a target, `.agentloop/slots/<target>/`."""
        return self.slots / target

    @property
    def trash(self) -> Path:
        """`.agentloop/trash/`: what is out of use and waits to be deleted."""
        return self.runtime / "trash"

    @property
    def upkeep(self) -> RunFolder:
        """`.agentloop/upkeep/`: the process that makes slots and empties the trash."""
        return RunFolder(self.runtime / "upkeep")

    @property
    def disk_file(self) -> Path:
        """`.agentloop/run/disk.json`: how much room the runtime folder took when it was measured last."""
        return self.run / "disk.json"

    @property
    def code_file(self) -> Path:
        """`.agentloop/run/code.json`: the name of the program's sources, and the stamps it was made from."""
        return self.run / "code.json"

    @property
    def baselines(self) -> Path:
        """`.agentloop/baselines/`: how checks ended on base commits; a cache."""
        return self.runtime / "baselines"


@dataclass(frozen=True, slots=True)
class RunFolder:
    """The paths of one attempt or gate; each property says whose it is when it is not both's."""

    root: Path

    @property
    def spec(self) -> Path:
        """`spec.json`: what is to be done."""
        return self.root / "spec.json"

    @property
    def claim(self) -> Path:
        """`claim.json`: the process that does it; made once, atomically."""
        return self.root / "claim.json"

    @property
    def heartbeat(self) -> Path:
        """`heartbeat`: its modification time is the last sign of life."""
        return self.root / "heartbeat"

    @property
    def events(self) -> Path:
        """`events.jsonl`: append-only log of what an attempt did."""
        return self.root / "events.jsonl"

    @property
    def ledger(self) -> Path:
        """`ledger.jsonl`: append-only record of the attempt's model calls, reserved and settled."""
        return self.root / "ledger.jsonl"

    @property
    def result(self) -> Path:
        """`result.pack`: the attempt's work, to be taken over."""
        return self.root / "result.pack"

    @property
    def end(self) -> Path:
        """`end.json`: how the attempt ended; missing = still running, or killed."""
        return self.root / "end.json"

    @property
    def verdict(self) -> Path:
        """`verdict.json`: what the gate found."""
        return self.root / "verdict.json"

    @property
    def log(self) -> Path:
        """`log.txt`: what the process printed."""
        return self.root / "log.txt"

    @property
    def git(self) -> Path:
        """`git/`: the attempt's private git directory."""
        return self.root / "git"

    @property
    def tree(self) -> Path:
        """`tree/`: the work tree."""
        return self.root / "tree"

    @property
    def task(self) -> Path:
        """`tree/TASK.md`: what the worker is told."""
        return self.tree / "TASK.md"

    @property
    def tmp(self) -> Path:
        """`tmp/`: scratch space of the sandbox."""
        return self.root / "tmp"
