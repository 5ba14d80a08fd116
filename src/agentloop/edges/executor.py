"""Attempts and gates as processes of this machine: started detached, found by claim, ended for certain.

act(start)   spec.json (durable) -> the process -> started.json (which one) -> claim.json (its own, atomic)
observe      end record -> ended; what was started, or has claimed, lives -> running; else lost, and what it
             left behind is ended
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar, assert_never

from agentloop.domain.codec import CodecError, NewerError, decode, encode
from agentloop.domain.effects import StartAttempt, StartGate, StopAttempt
from agentloop.domain.money import shares_of, spells_of
from agentloop.domain.observed import AttemptEnded, GateEnded, Lost, Running, Seen
from agentloop.domain.shares import Share, in_all
from agentloop.domain.work import End, GateBroken, Verdict
from agentloop.edges.claims import forestall
from agentloop.edges.eventlog import last_words
from agentloop.edges.files import make_folder, sweep_temps, write_durable, write_plain
from agentloop.edges.ledger import Ledger
from agentloop.edges.processes import Identity, alive, boot_id, identity_of, pidfd_of
from agentloop.edges.slots import Slots
from agentloop.errors import ConflictError, UnsafeError
from agentloop.home import Home, RunFolder

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agentloop.domain.effects import ExecutorEffect
    from agentloop.domain.work import AttemptSpec, GateSpec

MARK: Final = "AGENTLOOP_RUN"
"""Variable in the environment of every process of a run outside its sandbox: the run's folder."""
STARTED: Final = "started.json"
"""File in a run's folder: the process started last. On a busy machine it may take minutes to claim."""
STOP: Final = "stop"
BIG: Final = ("tree", "git", "tmp", "snapshot")
"""What takes room in a run's folder, and is of no use once its end was taken in."""

STOP_SECONDS: Final = 20.0
"""How long a stopped attempt has to commit what it has."""
GONE_SECONDS: Final = 10.0
SALVAGE_SECONDS: Final = 60.0
"""How long what a killed attempt left may take to hand over; the cycle waits for it."""
SIDE_BY_SIDE: Final = 4
SALVAGES_SECONDS: Final = 120.0
"""After so long no further one is begun in one look: the rest waits for the next."""

_KEPT: Final = (
    *("PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "SHELL"),
    *("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "SSL_CERT_FILE", "SSL_CERT_DIR"),
)
_KEYS: Final = ("ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL", "CREDENTIALS_DIRECTORY")
"""What an attempt's harness gets besides; a gate never does."""

_Record = TypeVar("_Record")


class LocalExecutor:
    """The executor port on this machine, for the home at `home`.

    `command` starts agentloop; `stop_seconds` is how long a stopped run may take to hand over what it has.
    With `only_look`, `observe` leaves lost runs as they are instead of making sure that they stay lost.
    """

    def __init__(
        self,
        home: Path,
        *,
        command: tuple[str, ...] = (sys.executable, "-m", "agentloop"),
        stop_seconds: float = STOP_SECONDS,
        only_look: bool = False,
    ) -> None:
        self._home = Home(home.absolute())
        self._slots = Slots(self._home)
        self._command = command
        self._stop_seconds = stop_seconds
        self._only_look = only_look

    def observe(self, known: frozenset[str]) -> tuple[Seen, ...]:
        """Return how the runs named `attempt:<id>` or `gate:<id>` in `known` stand. Raises OSError.

        What killed attempts left is handed over side by side, and of many not all in one look: one whose turn
        has not come is left out, as if nobody had looked.
        """
        found: dict[str, Seen | None] = {name: self._seen(*name.split(":", 1)) for name in sorted(known)}
        lost = [one.attempt for one in found.values() if isinstance(one, Lost) and self._is_salvable(one)]
        if lost and not self._only_look:
            found |= self._salvaged(lost)
        return tuple(one for one in found.values() if one is not None)

    def place(self) -> str:
        """Return the name of the runtime folder; one that has none is given one, durably. Raises OSError."""
        with contextlib.suppress(FileNotFoundError):
            return self._home.place.read_text()
        make_folder(self._home.runtime)
        write_durable(self._home.place, os.urandom(8).hex().encode())
        return self._home.place.read_text()

    def find(self, op: str, effect: ExecutorEffect) -> str | None:  # noqa: ARG002 -- a run's id names it
        """Return the attempt's id when it was started (a stop: has ended) already, or None.

        One that was to be started in a runtime folder that is gone may have been: that counts as started.
        """
        match effect:
            case StartAttempt(place=place) if place and place != self.place():
                return effect.attempt
            case StartAttempt() | StartGate():
                folder = self._folder(effect)
                there = _is_coming(folder) or any(
                    sign.exists() for sign in (folder.claim, folder.end, folder.verdict)
                )
                return effect.attempt if there else None
            case StopAttempt():
                runs = (self._home.attempt(effect.attempt), *self._gates_of(effect.attempt))
                return None if any(is_there(folder) for folder in runs) else effect.attempt
            case _:
                assert_never(effect)

    def act(self, op: str, effect: ExecutorEffect, spec: AttemptSpec | GateSpec | None) -> str:  # noqa: ARG002 -- as above
        """Start or stop it and return the attempt's id.

        Raises ConflictError without a spec to start, UnsafeError when the process cannot be started, OSError.
        """
        match effect:
            case StartAttempt() | StartGate():
                if spec is None:
                    raise ConflictError(f"there is no spec to start {effect.attempt} with")
                self._start(effect, spec)
            case StopAttempt():
                self._stop(self._home.attempt(effect.attempt), effect.why)
                for gate in self._gates_of(effect.attempt):
                    self._stop(gate, effect.why)
            case _:
                assert_never(effect)
        return effect.attempt

    def sweep(self, keep: frozenset[str]) -> tuple[str, ...]:
        """Take trees and scratch of runs away whose attempt is not in `keep`; return the attempts' ids.

        They go into the trash, which is emptied where nobody waits: a big tree takes seconds to delete.
        Runs that live, or may still come to live, are never touched. Records (spec, end, ledger, log) stay.
        """
        swept = []
        for root in (self._home.attempts, self._home.gates, self._home.forgotten):
            for path in sorted(root.iterdir()) if root.is_dir() else ():
                if path.name.partition("@")[0] in keep or is_there(RunFolder(path)):
                    continue
                sweep_temps(path)
                big = [path / name for name in BIG if (path / name).exists()]
                for each in big:
                    self._slots.discard(each)
                swept += [path.name] if big else []
        return tuple(dict.fromkeys(swept))

    def keep_up(self) -> None:
        """Start what makes slots and empties the trash, detached, with a lease and without a secret.

        Raises UnsafeError and OSError.
        """
        folder = self._home.upkeep
        make_folder(folder.root)
        words = (*self._command, "upkeep", "now", "--home", str(self._home.root))
        _detach(words, folder, _environment(folder, with_key=False))

    # Starting

    def _start(self, effect: StartAttempt | StartGate, spec: AttemptSpec | GateSpec) -> None:
        folder = self._folder(effect)
        make_folder(folder.root)
        write_durable(folder.spec, json.dumps(encode(spec), ensure_ascii=False).encode("utf-8", "replace"))
        role = "attempt" if isinstance(effect, StartAttempt) else "gate"
        words = (*self._command, role, folder.root.name, "--home", str(self._home.root))
        _detach(words, folder, _environment(folder, with_key=role == "attempt"))

    def _folder(self, effect: StartAttempt | StartGate) -> RunFolder:
        if isinstance(effect, StartGate):
            return self._home.gate(effect.run)
        return self._home.attempt(effect.attempt)

    def _gates_of(self, attempt: str) -> tuple[RunFolder, ...]:
        later = sorted(path.name for path in self._home.gates.glob(f"{attempt}@*"))
        return tuple(self._home.gate(name) for name in (attempt, *later))

    # Looking

    def _seen(self, role: str, attempt: str) -> Seen:
        if role == "gate":
            return self._seen_gate(self._home.gate(attempt), attempt.partition("@")[0])
        folder = self._home.attempt(attempt)
        running = self._running(folder, attempt)
        # Looked for after the process: one that ends between the two looks has left its record.
        ended = _ended(folder)
        if ended is not None:
            return ended
        if running is not None:
            return running
        if not folder.root.is_dir():
            return Lost(attempt=attempt, role="attempt", spent_micros=None)
        if not self._only_look:
            _bury(folder)
        return _ended(folder) or _lost(folder, attempt)

    def _is_salvable(self, lost: Lost) -> bool:
        """Whether a killed attempt left a tree. Not after a reboot: what was not synced may be torn."""
        folder = self._home.attempt(lost.attempt)
        owner = _claimant(folder)
        there = owner is not None and owner.boot_id == boot_id() and (folder.root / "tree").is_dir()
        return lost.role == "attempt" and there

    def _salvaged(self, attempts: list[str]) -> dict[str, Seen | None]:
        from concurrent.futures import ThreadPoolExecutor

        until = time.monotonic() + SALVAGES_SECONDS

        def hand_over(attempt: str) -> Seen | None:
            folder = self._home.attempt(attempt)
            if time.monotonic() > until:
                return None
            self._salvage(folder)
            return _ended(folder) or _lost(folder, attempt)

        with ThreadPoolExecutor(max_workers=SIDE_BY_SIDE) as pool:
            return dict(
                zip((f"attempt:{one}" for one in attempts), pool.map(hand_over, attempts), strict=True)
            )

    def _salvage(self, folder: RunFolder) -> None:
        """Have what a killed attempt had done handed over as its harness would have, by a process of its own.

        When it fails, the attempt is lost as it was.
        """
        import subprocess

        words = (*self._command, "salvage", folder.root.name, "--home", str(self._home.root))
        with folder.log.open("ab") as log, contextlib.suppress(subprocess.TimeoutExpired):
            subprocess.run(
                words,
                cwd="/",
                # Not the run's own mark: its lifeline may still be ending whatever carries that.
                env={**_environment(folder, with_key=False), MARK: _salvage_mark(folder.root)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                timeout=SALVAGE_SECONDS,
                check=False,
            )
        _end_leftovers(folder)

    def _seen_gate(self, folder: RunFolder, attempt: str) -> Seen:
        running = self._running(folder, attempt)
        verdict = _verdict(folder)
        if verdict is not None:
            return GateEnded(attempt=attempt, verdict=verdict)
        if running is not None:
            return running
        if not self._only_look:
            _bury(folder)
        verdict = _verdict(folder)
        return GateEnded(attempt=attempt, verdict=verdict) if verdict else Lost(attempt=attempt, role="gate")

    def _running(self, folder: RunFolder, attempt: str) -> Running | None:
        if not is_there(folder):
            return None
        beat = folder.heartbeat if folder.heartbeat.exists() else folder.spec
        with contextlib.suppress(OSError):
            at = datetime.fromtimestamp(beat.stat().st_mtime, tz=UTC)
            return Running(
                attempt=attempt,
                role="gate" if folder.root.parent == self._home.gates else "attempt",
                beat_at=at,
                spent_micros=in_all(_shares(folder)).most_micros,
                doing=_doing(folder),
            )
        return None

    # Stopping

    def _stop(self, folder: RunFolder, why: str) -> None:
        if not folder.root.is_dir() or folder.end.exists() or folder.verdict.exists():
            return
        write_plain(folder.root / STOP, why.encode("utf-8", "replace"))
        _forestall(folder)
        identity = _claimant(folder)
        if identity is not None:
            _ask_to_end(identity, self._stop_seconds)
        _end_leftovers(folder)


def _claimant(folder: RunFolder) -> Identity | None:
    return _read(Identity, folder.claim)


def is_there(folder: RunFolder) -> bool:
    """Return whether a process has the run in `folder`, or may still come to have it."""
    # In this order: one that claims between the two looks is seen by the second.
    return _is_coming(folder) or _living(folder)


def _living(folder: RunFolder) -> bool:
    identity = _claimant(folder)
    return identity is not None and alive(identity)


def _ended(folder: RunFolder) -> AttemptEnded | None:
    end = _read(End, folder.end)
    if end is None:
        return None
    entries = Ledger(folder.ledger).entries()
    shares = shares_of(entries)
    whole = in_all(shares)
    return AttemptEnded(
        end=end,
        settled_micros=whole.micros,
        unresolved_micros=whole.unresolved_micros,
        shares=shares,
        said=last_words(folder.events),
        spells=spells_of(entries),
    )


def _lost(folder: RunFolder, attempt: str) -> Lost:
    entries = Ledger(folder.ledger).entries()
    shares = shares_of(entries)
    return Lost(
        attempt=attempt,
        role="attempt",
        spent_micros=in_all(shares).most_micros,
        shares=shares,
        said=last_words(folder.events),
        spells=spells_of(entries),
    )


def _verdict(folder: RunFolder) -> Verdict | GateBroken | None:
    return _read(Verdict, folder.verdict, tag="verdict") or _read(
        GateBroken, folder.verdict, tag="gate_broken"
    )


def _bury(folder: RunFolder) -> None:
    """Make sure that a lost run stays lost: nobody claims it any more, and nothing of it is left running."""
    _forestall(folder)
    _end_leftovers(folder)


def _is_coming(folder: RunFolder) -> bool:
    """Whether a process was started that has not claimed its run yet, however long it takes.

    The mark finds it when whoever started it was killed before noting which process it is. The mark alone
    would not do: while a process is being replaced by its program, it has no environment.
    """
    if folder.claim.exists():
        return False
    started = _started(folder)
    return (started is not None and alive(started)) or any(marked(folder.root))


def _started(folder: RunFolder) -> Identity | None:
    return _read(Identity, folder.root / STARTED)


def _forestall(folder: RunFolder) -> None:
    """Claim the run for nobody, so that a process that was started and is late finds it taken."""
    if folder.root.is_dir() and not folder.claim.exists():
        forestall(folder.claim, "the executor: nobody claimed it in time")


def _ask_to_end(identity: Identity, seconds: float) -> None:
    """SIGTERM, time to hand over, SIGKILL; on return that very process is gone."""
    fd = pidfd_of(identity)
    if fd is None:
        return
    try:
        for number, wait in ((signal.SIGTERM, seconds), (signal.SIGKILL, GONE_SECONDS)):
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(fd, number)
            until = time.monotonic() + wait
            while alive(identity) and time.monotonic() < until:
                time.sleep(0.02)
            if not alive(identity):
                return
    finally:
        os.close(fd)


def _end_leftovers(folder: RunFolder) -> None:
    """SIGKILL what was started and whatever carries the run's mark; a sandbox goes with its first process."""
    started = _started(folder)
    if started is not None:
        _kill(started)
    until = time.monotonic() + GONE_SECONDS
    while (left := tuple(marked(folder.root))) and time.monotonic() < until:
        for pid in left:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.02)


def _kill(identity: Identity) -> None:
    fd = pidfd_of(identity)
    if fd is not None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            signal.pidfd_send_signal(fd, signal.SIGKILL)
        os.close(fd)


def _salvage_mark(folder: Path) -> str:
    return f"{folder}/salvage"


def marked(folder: Path) -> Iterator[int]:
    """Yield the pids of the processes that belong to the run in `folder`, outside its sandbox."""
    marks = {f"{MARK}={folder}".encode(), f"{MARK}={_salvage_mark(folder)}".encode()}
    for path in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            if not marks.isdisjoint(path.read_bytes().split(b"\0")) and int(path.parent.name) != os.getpid():
                yield int(path.parent.name)


def _detach(words: tuple[str, ...], folder: RunFolder, env: dict[str, str]) -> None:
    """Start `words` in a session of their own, as nobody's child; return once it is noted which process."""
    import subprocess

    log = os.open(folder.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
    try:
        # The shell starts it and is gone: no zombie of ours, and no exit status that anybody could rely on.
        starter = subprocess.run(
            ["/bin/sh", "-c", '"$@" >&2 & echo $!', "agentloop", *words],
            cwd="/",
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,
            check=False,
        )
    except OSError as error:
        raise UnsafeError(
            f"no process can be started: {error}", fix="look at memory and process limits"
        ) from error
    finally:
        os.close(log)
    if starter.returncode != 0:
        raise UnsafeError(f"{words[0]} could not be started; see {folder.log}", fix="agentloop doctor")
    identity = identity_of(int(starter.stdout))
    if identity is not None:
        write_plain(folder.root / STARTED, json.dumps(encode(identity)).encode())


def _environment(folder: RunFolder, *, with_key: bool) -> dict[str, str]:
    names = (*_KEPT, *(_KEYS if with_key else ()))
    return {**{name: os.environ[name] for name in names if name in os.environ}, MARK: str(folder.root)}


def _shares(folder: RunFolder) -> tuple[Share, ...]:
    """Return what the run's ledger says it took. Raises OSError: what cannot be read is not nothing."""
    return shares_of(Ledger(folder.ledger).entries())


def _doing(folder: RunFolder) -> str:
    try:
        return str(json.loads(folder.heartbeat.read_bytes())["doing"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def _read(kind: type[_Record], path: Path, *, tag: str = "") -> _Record | None:
    """Return the record in the file at `path`, or None when there is none of that kind (and tag).

    Raises UnsafeError for one that a newer agentloop wrote: taken for none, its run would be done again.
    """
    try:
        data = json.loads(path.read_bytes())
        if tag and data.get("is") != tag:
            return None
        found: _Record = decode(kind, data)
    except NewerError as error:
        fix = "go back to that version until nothing of it is under way"
        raise UnsafeError(f"a newer agentloop wrote {path}: {error}", fix=fix) from error
    except (OSError, ValueError, AttributeError, CodecError):
        return None
    return found
