"""Joins the parts: which edge fills which port, for a home and its settings.

The only module that knows all of them.
What is heavy is imported where it is used: an idle cycle never loads an SDK.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agentloop import __version__, compiled, cycle, lightstatus, looking
from agentloop.acting import Outside
from agentloop.cycle import Ended, Parts, Spent
from agentloop.domain.observed import Ground
from agentloop.domain.signals import Matter
from agentloop.edges import runtime
from agentloop.edges.executor import LocalExecutor
from agentloop.edges.files import locked, make_folder, write_durable
from agentloop.edges.forge import FileForge
from agentloop.edges.journal import Journal
from agentloop.edges.log import Log
from agentloop.edges.relay import RelayFile, Snapshot
from agentloop.edges.repositories import GitRepositories
from agentloop.edges.tracker import FileTracker
from agentloop.errors import AgentloopError, SettingsError, TargetError
from agentloop.home import Home
from agentloop.ports import HandedOn, HeldRelay

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentloop.admin.tools import Look
    from agentloop.domain.proposal import NoAnswer, Proposal, Wait
    from agentloop.domain.relay import Relay
    from agentloop.domain.scene import Scene
    from agentloop.domain.settings import Settings, Target
    from agentloop.edges.ledger import Ledger
    from agentloop.ports import Model


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """Return the time now, in UTC."""
        return datetime.now(UTC)


class FileNotes:
    """Research notes as files in the home."""

    def __init__(self, home: Home) -> None:
        self._home = home

    def keep(self, task: str, text: str) -> str:
        """Write the note durably and return its path in the home. Raises OSError."""
        from agentloop.domain.secrets import redact

        path = self._home.note_of(task)
        make_folder(path.parent)
        write_durable(path, redact(text).encode("utf-8", "replace"))
        return str(path.relative_to(self._home.root))

    def read(self, path: str) -> str:
        """Return the note's text, "" when it is gone."""
        try:
            return (self._home.root / path).read_text("utf-8", "replace")
        except OSError:
            return ""


class FileBaton:
    """The relay's file as one cycle holds it."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._file = RelayFile(home)
        self._found: Snapshot | None = None

    def take(self) -> HeldRelay:
        """Return the relay as it is. Raises HomeError."""
        self._found = self._file.read()
        text = (self._found.text or "").encode("utf-8", "surrogateescape").decode("utf-8", "replace")
        return HeldRelay(text=text, relay=self._found.relay)

    def hand_on(self, new: Relay, *, message: str, notes: tuple[str, ...]) -> HandedOn:
        """Write the relay and commit it with the archive and the notes. Raises HomeError, OSError."""
        written = self._file.write(new, self._found or self._file.read())
        paths = [self._home.root / note for note in notes if (self._home.root / note).is_file()]
        if written.archived is not None:
            paths.append(written.archived)
        committed = self._file.commit(message, paths)
        notices = [f"moved to your section of the relay: {len(written.moved)} edits"] if written.moved else []
        reason = getattr(committed, "reason", "")
        if reason:
            notices.append(f"the relay is written but not committed: {reason}")
        notices += [f"not committed: {path}: {why}" for path, why in getattr(committed, "left_out", ())]
        return HandedOn(version=written.relay.version if written.changed else None, notices=tuple(notices))


class Admin:
    """The admin agent of a home: its model, metered; its prompt; its bounded reads."""

    def __init__(
        self, home: Home, settings: Settings, outside: Outside, *, folder: Path | None = None
    ) -> None:
        self._home = home
        self._settings = settings
        self._out = outside
        self._folder = folder

    def __call__(
        self, scene: Scene, matters: tuple[Matter, ...], *, stall: str, relay: str, purse_micros: int
    ) -> tuple[Proposal | NoAnswer | Wait, Spent, tuple[str, ...]]:
        """Return how asking ended, what it cost, and the matters that were shown."""
        from agentloop.admin.agent import Bounds, decide
        from agentloop.admin.briefing import brief
        from agentloop.domain.proposal import NoAnswer
        from agentloop.edges.ledger import Ledger
        from agentloop.prompts import render

        models = self._settings.models
        briefing = brief(scene, matters, relay=relay, stall=stall)
        folder = self._folder or self._home.runtime / "cycles" / str(scene.world.cycle + 1)
        make_folder(folder)
        ledger = Ledger(folder / "ledger.jsonl")
        (folder / "briefing.md").write_text(briefing.text, "utf-8", "replace")
        shown = tuple(one.id for one in briefing.matters)
        try:
            model = self._model(ledger, purse_micros)
            reply = decide(
                model,
                name=models.admin,
                prompt=render("admin", self._home.root),
                briefing=briefing,
                look=lambda look: self._look(scene, look),
                bounds=Bounds(
                    turns=models.admin_turns,
                    seconds=models.admin_seconds,
                    max_output_tokens=models.max_output_tokens,
                    call_seconds=models.call_seconds,
                ),
                clock=SystemClock(),
            )
        except AgentloopError as error:
            reply = NoAnswer(why=error.what, fix=error.fix, service=True)
        spend = ledger.spent()
        spent = Spent(
            micros=spend.settled_micros, unresolved_micros=spend.unresolved_micros, model=models.admin
        )
        return reply, spent, shown

    def spent_in(self, cycle: int) -> Spent | None:
        """Return what asking in an earlier cycle cost, or None when its ledger is gone."""
        from agentloop.edges.ledger import Ledger

        ledger = Ledger(self._home.runtime / "cycles" / str(cycle) / "ledger.jsonl")
        if not ledger.path.parent.is_dir():
            return None
        spend = ledger.spent()
        return Spent(
            micros=spend.settled_micros,
            unresolved_micros=spend.unresolved_micros,
            model=self._settings.models.admin,
        )

    def _model(self, ledger: Ledger, purse_micros: int) -> Model:
        from agentloop.domain.money import Limit
        from agentloop.edges.anthropic import AnthropicModel, retrying
        from agentloop.edges.metered import MeteredModel
        from agentloop.worker.harness import find_key

        models = self._settings.models
        key = find_key(models.key_file, os.environ.get("ANTHROPIC_API_KEY", ""))
        if not key:
            raise SettingsError(
                "there is no API key for the admin's model",
                fix="set ANTHROPIC_API_KEY, or models.key_file, or a systemd credential `anthropic-key`",
            )
        return MeteredModel(
            AnthropicModel(api_key=key, base_url=models.base_url or os.environ.get("ANTHROPIC_BASE_URL", "")),
            model=models.admin,
            fallback=models.admin_fallback,
            ledger=ledger,
            prices=self._settings.prices,
            limits=(Limit(name="cycle", micros=purse_micros),),
            retry=retrying(),
        )

    def _look(self, scene: Scene, look: Look) -> str:
        from agentloop.admin.briefing import fence
        from agentloop.admin.tools import ReadDiff, ReadFile, ReadIssue, ReadLog

        match look:
            case ReadIssue(issue=issue):
                return self._issue(scene, issue)
            case ReadDiff(attempt=attempt):
                return fence(f"diff of {attempt}", _or_why(lambda: self._diff(scene, attempt)), 20_000)
            case ReadLog(attempt=attempt):
                return fence(f"log of {attempt}", self._log(scene, attempt), 12_000)
            case ReadFile(path=path, target=target):
                return fence(f"file {path}", _or_why(lambda: self._file(target, path)), 20_000)

    def _issue(self, scene: Scene, issue: str) -> str:
        from agentloop.admin.briefing import issue_text

        found = scene.observed.issue(issue)
        return (
            issue_text(found, scene.world.issues.get(issue), 20_000)
            if found
            else f"there is no issue {issue!r} to read"
        )

    def _diff(self, scene: Scene, attempt: str) -> str:
        view = scene.world.tasks.get(attempt.rpartition(".")[0])
        one = next((each for each in view.tries if each.attempt == attempt), None) if view else None
        target = self._settings.target(view.task.target) if view else None
        if one is None or target is None or not one.commit:
            return f"(attempt {attempt!r} has no result)"
        return self._out.repositories.diff(target, one.trunk, one.commit, 20_000)

    def _log(self, scene: Scene, attempt: str) -> str:
        verdict = scene.world.verdicts.get(attempt)
        checks = [f"$ {one.command}\n{one.output}" for one in verdict.checks] if verdict else []
        try:
            events = self._home.attempt(Path(attempt).name).events.read_text("utf-8", "replace")[-8000:]
        except OSError:
            events = "(no log is left)"
        return "\n\n".join([events, *checks])

    def _file(self, name: str, path: str) -> str:
        target = self._settings.target(name)
        if target is None:
            return f"(there is no target {name!r})"
        _, commit = self._out.repositories.head(target)
        text = self._out.repositories.read(target, commit, path, 20_000)
        return text if text is not None else self._listing(target, commit, path)

    def _listing(self, target: Target, commit: str, path: str) -> str:
        prefix = "" if path in ("", ".", "./") else path.rstrip("/") + "/"
        paths = [one for one in self._out.repositories.paths(target, commit) if one.startswith(prefix)]
        if not paths:
            return f"(there is no {path!r})"
        names = sorted({_next_part(one, prefix) for one in paths})
        return "\n".join(names[:400])


def _or_why(read: Callable[[], str]) -> str:
    """Return what was read, or why it could not be: that is an answer too, and the talk goes on."""
    try:
        return read()
    except (AgentloopError, OSError) as error:
        return f"({error})"


def _next_part(path: str, prefix: str) -> str:
    first, slash, _ = path.removeprefix(prefix).partition("/")
    return first + slash


def outside(home: Home, settings: Settings) -> Outside:
    """Return the ports through which effects go."""
    executor = LocalExecutor(home.root)
    return Outside(
        tracker=FileTracker(home.tracker),
        forge=FileForge(home, settings),
        executor=executor,
        repositories=GitRepositories(home.root),
        notes=FileNotes(home),
        sweep=lambda keep: _sweep(executor, keep),
        attempt_folder=lambda attempt: str(home.attempt(attempt).root),
        gate_folder=lambda attempt: str(home.gate(attempt).root),
    )


def _sweep(executor: LocalExecutor, keep: frozenset[str]) -> None:
    executor.sweep(keep)


def parts(home: Home, settings: Settings, tell: Callable[[str, dict[str, Any]], None]) -> Parts:
    """Return what a cycle on `home` is made of."""
    ports = outside(home, settings)
    last = runtime.read_sleep(home.root)
    admin = Admin(home, settings, ports)
    return Parts(
        version=__version__,
        settings=settings,
        clock=SystemClock(),
        journal=Journal(home),
        outside=ports,
        baton=FileBaton(home),
        ask_admin=admin,
        spent_in=admin.spent_in,
        ground=lambda target: ground(ports, settings, target),
        take_wake=lambda: runtime.take_wake(home.root),
        tell=tell,
        quiet_cycles=_quiet_cycles(last),
    )


def ground(ports: Outside, settings: Settings, target: Target) -> Ground:
    """Return what a plan for `target` stands on.

    A target that cannot be used is a `problem`, not an error.
    """
    try:
        branch, commit = ports.repositories.head(target)
        paths = frozenset(ports.repositories.paths(target, commit))
    except TargetError as error:
        return Ground(target=target.name, problem=f"{error.what}; {error.fix}")
    return Ground(
        target=target.name,
        branch=branch,
        commit=commit,
        paths=paths,
        programs=_programs(settings.worker.path or os.environ.get("PATH", "")),
    )


def _programs(path: str) -> frozenset[str]:
    names: set[str] = set()
    for folder in path.split(os.pathsep):
        try:
            names.update(path.name for path in Path(folder or ".").iterdir())
        except OSError:
            continue
    return frozenset(names)


def _quiet_cycles(last: runtime.SleepRecord | None) -> int:
    word, _, number = (last.kind if last else "").partition(":")
    return int(number) if word == "idle" and number.isdigit() else 0


def run_cycle(root: Path) -> str:
    """Run one cycle on the home at `root` under its lock, and tell the supervisor how long to sleep.

    Returns "" or why the cycle counts as failed. Raises BusyError when another cycle holds the home,
    SettingsError, JournalError.
    """
    home = Home(root)
    settings, complaint = compiled.in_force(home)
    make_folder(home.run)
    with locked(home.lock):
        # Before anything is looked at: what a person saves while the cycle runs differs from this, and wakes
        # the next.
        saw = _saw(home)
        ended = cycle.run(parts(home, settings, Log().tell))
        _tell_supervisor(home, ended, complaint, {**saw, **_own_relay(home)})
        if lightstatus.snapshot(str(root)) is None:
            seen = looking.Sight(home=home, settings=settings, complaint=complaint, now=datetime.now(UTC))
            looking.keep_snapshot(seen, ended.world)
    return ended.failed


def run_attempt(attempt: str, root: Path) -> int:
    """Be the harness of an attempt and return its exit code."""
    from agentloop.edges.attempt_model import connect
    from agentloop.worker import harness

    return harness.main(attempt, root, connect)


def run_gate(attempt: str, root: Path) -> int:
    """Be the gate on an attempt's result and return its exit code."""
    from agentloop.gate import run

    return run.main(attempt, root)


def _tell_supervisor(home: Home, ended: Ended, complaint: str, saw: dict[str, runtime.Stamp]) -> None:
    last = runtime.read_sleep(home.root)
    quiet = _quiet_cycles(last) + 1 if ended.outcome in ("idle", "quiet") else 0
    record = runtime.SleepRecord(
        cycle=ended.cycle,
        until=ended.nap.until,
        reason="; ".join(part for part in (ended.nap.reason, complaint) if part),
        kind=f"idle:{quiet}" if ended.nap.kind == "idle" else ended.nap.kind,
        saw=saw,
        problems=(*([ended.failed] if ended.failed else []), *ended.problems),
    )
    runtime.write_sleep(home.root, record)


def _own_relay(home: Home) -> dict[str, runtime.Stamp]:
    """Return the relay's stamp when it holds just what we wrote.

    Then there is nothing of a person's to wake for.
    """
    stamp = runtime.stamp_of(home.relay)
    # Stamped first, compared then: an edit in between changes the stamp.
    return {str(home.relay.relative_to(home.root)): stamp} if stamp and RelayFile(home).read().settled else {}


def _saw(home: Home) -> dict[str, runtime.Stamp]:
    paths = [home.relay, *home.issues.glob("*.md"), *home.pulls.glob("*.md")]
    stamps = {str(path.relative_to(home.root)): runtime.stamp_of(path) for path in paths}
    return {path: stamp for path, stamp in stamps.items() if stamp is not None}
