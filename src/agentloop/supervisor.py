"""The thin supervisor: one cycle at a time in a fresh process, and sleep until there is a reason.

It holds no state that matters: kill it at any instruction, and the next one carries on. Every wait is one
bounded poll (`supervision.ears`); what it hears is a hint, and the look that follows decides, so that
nothing is missed that happened while nobody listened.
"""

from __future__ import annotations

import math
import os
import secrets
import time
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from agentloop import __version__, exits
from agentloop.edges import runfolder, runtime
from agentloop.edges.lines import Level, Lines, form_for
from agentloop.edges.processes import me
from agentloop.edges.sdnotify import Notifier, without_notification
from agentloop.errors import BusyError, HomeError
from agentloop.home import Home
from agentloop.supervision import child as children
from agentloop.supervision import edits, kin, pacing, rest
from agentloop.supervision.attempts import Attempts
from agentloop.supervision.commands import Commands
from agentloop.supervision.compiling import SettingsInForce
from agentloop.supervision.ears import Ears
from agentloop.supervision.ending import wait_for
from agentloop.supervision.lock import Lock
from agentloop.supervision.probe import Probe
from agentloop.supervision.voice import Voice

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from agentloop.edges.runtime import Stamp
    from agentloop.supervision.child import Child
    from agentloop.supervision.rest import Rest

RELOOK_SECONDS: Final = 3600.0
"""Whatever is awaited, we look again after an hour: clocks jump, and a hint may get lost."""
WOKEN: Final = "the wake trigger"
ENDING_MAX_SECONDS: Final = 20.0
"""From the end of a drain to our own: twice `ending.GRACE_SECONDS`, what the cycle left behind, and room."""
SETTLE_SECONDS: Final = 0.3
"""An editor's burst of writes is over when nothing was written for so long; one cycle for all of them."""
SETTLE_MAX_SECONDS: Final = 2.0


def run(
    root: Path,
    *,
    once: bool = False,
    max_cycles: int | None = None,
    commands: Commands | None = None,
    inotify: bool = True,
) -> int:
    """Supervise the home at `root` until told to stop, and return the exit code.

    `once` and `max_cycles` end it after so many cycles, with the last one's code. Raises BusyError when
    another supervisor has this home, HomeError when there is none, SettingsError when there are no settings
    to start with.
    """
    home = Home(root.resolve())
    if not home.root.is_dir():
        raise HomeError(f"{home.root} is no home: there is no such folder", fix=f"agentloop init {root}")
    environ = dict(os.environ)
    lock = _take_home(home)
    notifier = Notifier(environ, os.getpid())
    ears = Ears(notifier, inotify=inotify)
    voice = Voice(home, notifier, Lines(2, form_for(2, environ)))
    loop = Supervisor(home, lock, ears, voice, commands or Commands(), without_notification(environ))
    loop.prepare()
    code = loop.run(max_cycles, once=once)
    voice.stopping()
    return code


def _take_home(home: Home) -> Lock:
    lock = Lock(home.supervisor_lock)
    try:
        runfolder.make_run(str(home.root))
        lock.take()
    except BusyError as error:
        raise _who_has(home) from error
    except OSError as error:
        fix = "check that the home is yours to write and that its disk is not full"
        raise HomeError(f"{home.run} cannot be used: {error}", fix=fix) from error
    return lock


def _who_has(home: Home) -> BusyError:
    holder = runtime.read_supervisor(home.root)
    who = f"pid {holder.identity.pid}, since {holder.started_at}" if holder else "it has not said which yet"
    return BusyError(
        f"a supervisor runs on {home.root} already: {who}", fix="agentloop stop, or use that one"
    )


class Supervisor:
    """The loop and what it knows; all of it can be found out again."""

    def __init__(
        self, home: Home, lock: Lock, ears: Ears, voice: Voice, commands: Commands, environ: Mapping[str, str]
    ) -> None:
        self._home = home
        # As text, once: between what happens and the decision there is no time to put paths together.
        self._wake_file, self._pause_file = str(home.wake_file), str(home.pause_file)
        self._sleep_file = str(home.sleep_file)
        self._lock = lock
        self._ears = ears
        self._voice = voice
        self._command = (*commands.cycle, "--home", str(home.root))
        self._environ = environ
        self._settings = SettingsInForce(home, commands.compile, environ, ears, voice)
        self._attempts = Attempts(home)
        self._probe = Probe(home)
        self._began_at = runfolder.now_text()
        self._pace = pacing.Pace()
        self._seen: Mapping[str, Stamp] = {}
        self._wake_before: Stamp | None = None
        self._pause_before: Stamp | None = None
        self._is_run_folder_new = False
        self._had_journal = False
        self._why = "start"
        self._code = exits.OK

    def prepare(self) -> None:
        """Do what comes before the first cycle. Raises SettingsError when there are no settings to go by."""
        kin.adopt_orphans()
        left_behind = runtime.read_status(self._home.root)
        self._voice.tell("starting", "compiling the settings")
        self._introduce()
        self._settings.start()
        self._voice.ready()
        self._voice.say(
            "supervisor.started",
            f"supervising {self._home.root}",
            to_person=f"supervising {self._home.root}; a look sooner: agentloop wake; the end: Ctrl-C",
            pid=os.getpid(),
            version=__version__,
        )
        self._attempts.look()
        if left_behind is not None and left_behind.cycle is not None:
            self._outlive(children.found(left_behind.cycle))

    def run(self, max_cycles: int | None, *, once: bool) -> int:
        """Cycle and rest until told to stop, or until so many cycles are done; return the exit code."""
        left = 1 if once else max_cycles
        while not self._ears.stops:
            obstacle = self._obstacle()
            if obstacle is not None and once:
                self._code = exits.CONFLICT
                self._voice.say("supervisor.refused", f"no cycle: {obstacle.reason}", level=Level.WARNING)
                break
            following = obstacle or self._cycle()
            if left is not None and obstacle is None and (once or not self._pace.busy):
                left -= 1
            if left == 0:
                break
            self._rest(following)
        self._leave(by_request=left != 0 and not once)
        return self._code

    def _introduce(self) -> None:
        record = runtime.SupervisorRecord(identity=me(), version=__version__, started_at=self._began_at)
        try:
            runtime.write_supervisor(self._home.root, record)
        except OSError as error:
            text = f"run/supervisor.json cannot be written, `agentloop stop` will not find us: {error}"
            self._voice.say("supervisor.unwritten", text, level=Level.WARNING)

    def _leave(self, *, by_request: bool) -> None:
        if by_request:
            self._code = exits.OK
        self._voice.tell("stopped", "asked to" if by_request else "done")
        self._voice.say("supervisor.stopped", "stopped; attempts go on by themselves until their lease ends")
        with suppress(OSError):
            runfolder.remove(str(self._home.supervisor_file))

    def _outlive(self, child: Child | None) -> None:
        """Wait for the cycle that a killed supervisor left behind; nobody else would end one that hangs."""
        if child is None:
            return
        self._voice.say(
            "cycle.found", f"waiting for a cycle that was left behind (pid {child.pid})", pid=child.pid
        )
        self._wait_for(child)

    # What comes before a cycle.

    def _obstacle(self) -> Rest | None:
        """Return the rest that has to come before any cycle: a pause, or too many starts."""
        mono, now = time.monotonic(), datetime.now(UTC)
        self._pause_before = runtime.stamp_of(self._pause_file)
        pause = runtime.read_pause(self._home.root) if self._pause_before else None
        if pause is not None and now < pause.until:
            return rest.paused(pause, mono=mono, now=now)
        if pause is not None:
            self._end_pause(pause)
        wait = pacing.hold(self._pace, mono)
        return None if wait is None else rest.held(wait, mono=mono, now=now)

    def _end_pause(self, pause: runtime.Pause) -> None:
        self._why = f"the pause is over ({pause.reason})"
        self._voice.say("pause.ended", self._why, by=pause.by)
        try:
            runfolder.remove(self._pause_file)
        except OSError as error:
            self._voice.say("pause.kept", f"pause.json is over but stays: {error}", level=Level.WARNING)
        self._pause_before = runtime.stamp_of(self._pause_file)

    # One cycle.

    def _cycle(self) -> Rest:
        """Run one cycle and return the rest that follows it."""
        before = edits.stamps(self._home)
        slept_before = runtime.stamp_of(self._sleep_file)
        self._wake_before = runtime.stamp_of(self._wake_file)
        self._attempts.all_told()
        self._is_run_folder_new = False
        outcome = self._run_cycle()
        self._pace = pacing.ended(self._pace, outcome)
        self._had_journal = bool(runfolder.newest_journal(str(self._home.root)))
        # Its word counts only if it ended well, and only if it is this cycle's word.
        spoke = isinstance(outcome, pacing.Fine) and runtime.stamp_of(self._sleep_file) != slept_before
        said = runtime.read_sleep(self._home.root) if spoke else None
        saw = None if said is None else said.saw
        self._seen = edits.seen_after(saw, before=before, after=edits.stamps(self._home))
        self._probe.begin()
        wait = pacing.wait_after(self._pace, outcome, self._settings.rules)
        mono, now = time.monotonic(), datetime.now(UTC)
        return (
            rest.asleep(said, mono=mono, now=now) if wait is None else rest.waiting(wait, mono=mono, now=now)
        )

    def _run_cycle(self) -> pacing.Outcome:
        self._pace = pacing.started(self._pace, time.monotonic())
        mark = secrets.token_hex(8)
        try:
            child = children.start(self._command, {**self._environ, kin.MARK: mark})
        except OSError as error:
            self._code = exits.FAILED
            return self._report(pacing.Failed(why=f"it could not be started: {error}"), seconds=0.0)
        overran = self._wait_for(child)
        self._attempts.look()
        leftovers = kin.end_leftovers(mark, self._attempts.pids())
        self._code = exits.FAILED if child.code is None or child.code < 0 else child.code
        outcome = pacing.outcome_of(child.code, overran=overran)
        return self._report(outcome, seconds=time.monotonic() - child.began, leftovers=leftovers)

    def _wait_for(self, child: Child) -> bool:
        identity = child.identity
        drain_seconds = self._settings.rules.drain_seconds
        self._voice.tell("cycling", self._why, cycle=identity)
        self._ears.beat()
        overran = wait_for(
            child,
            self._ears,
            deadline_seconds=self._settings.rules.cycle_deadline_seconds,
            drain_seconds=drain_seconds,
            on_drain=lambda: self._voice.draining(drain_seconds + ENDING_MAX_SECONDS, identity),
        )
        self._ears.beat()
        return overran

    def _report(self, outcome: pacing.Outcome, *, seconds: float, leftovers: int = 0) -> pacing.Outcome:
        why = f": {outcome.why}" if isinstance(outcome, pacing.Failed) else ""
        word = type(outcome).__name__.lower()
        # One that ended by itself has told a person how; what follows from it is told with the rest.
        is_silent = bool(why) and (not seconds or self._code == exits.FAILED)
        self._voice.say(
            "cycle.ended",
            f"cycle {word} after {seconds:.1f} s{why} (because: {self._why})",
            level=Level.WARNING if why else Level.INFO,
            to_person=f"the cycle failed after {seconds:.1f} s{why}" if is_silent else "",
            outcome=word,
            code=self._code,
            seconds=round(seconds, 3),
            leftovers=leftovers or None,
            why=self._why,
        )
        return outcome

    # Rest.

    def _rest(self, rest_now: Rest) -> None:
        """Rest until something ends it, and remember why the next cycle starts."""
        told_with: str | None = None
        while not self._ears.stops:
            why = self._look(rest_now)
            if why is not None:
                self._why = why
                return
            if told_with != self._voice.notice:
                self._voice.tell_rest(rest_now, again=told_with is not None)
                told_with = self._voice.notice
            self._ears.listen(self._next_look(rest_now), pidfds=self._attempts.pidfds(), folders=True)

    def _look(self, rest_now: Rest) -> str | None:
        """Look at everything that may end the rest; return why it ends, or None."""
        if rest_now.wake == "any" and self._is_woken(rest_now):
            return WOKEN  # before anything that takes time: somebody waits for this one
        self._attempts.notice()
        if rest_now.facts and (ended := self._attempts.news()):
            return _ended_words(ended)
        self._renew_watches()
        if self._has_new_settings() and rest_now.settings:
            return "the settings changed"
        if runtime.stamp_of(self._pause_file) != self._pause_before:
            return "the pause changed"
        if rest_now.facts and (loss := self._loss()):
            return loss
        if self._is_woken(rest_now):
            return WOKEN
        if rest_now.facts and (news := self._news() or self._probe.news()):
            return news
        if rest_now.is_due(time.monotonic(), datetime.now(UTC)):
            return f"{rest_now.state} is over: {rest_now.reason}"
        return None

    def _loss(self) -> str:
        """Return what went away that the next cycle makes anew, or ""."""
        if self._is_run_folder_new:
            return "the run folder was gone"
        gone = self._had_journal and not runfolder.newest_journal(str(self._home.root))
        return "the journal is gone" if gone else ""

    def _has_new_settings(self) -> bool:
        if not self._settings.changed():
            return False
        self._settle()  # an editor that empties the file before it writes is waited for
        return self._settings.renew()

    def _is_woken(self, rest_now: Rest) -> bool:
        trigger = runtime.stamp_of(self._wake_file)
        match rest_now.wake:
            case "any":
                return trigger is not None
            case "new":
                return trigger is not None and trigger != self._wake_before
            case "no":
                return False

    def _news(self) -> str:
        """Return what happened that the last cycle cannot know of, or ""."""
        if ended := self._attempts.news():
            return _ended_words(ended)
        if not edits.differing(self._home, self._seen):
            return ""
        self._settle()
        edited = edits.differing(self._home, self._seen)
        return f"{', '.join(edited[:3])} changed" if edited else ""

    def _settle(self) -> None:
        """Wait until an editor's burst of writes is over; a trigger or a stop cuts it short."""
        give_up = time.monotonic() + SETTLE_MAX_SECONDS
        quiet_since = time.monotonic()
        stamps = self._edited()
        while time.monotonic() < min(quiet_since + SETTLE_SECONDS, give_up):
            self._renew_watches()
            if self._ears.stops or runtime.stamp_of(self._wake_file) is not None or self._attempts.news():
                return
            self._ears.listen(
                min(quiet_since + SETTLE_SECONDS, give_up), pidfds=self._attempts.pidfds(), folders=True
            )
            if (again := self._edited()) != stamps:
                stamps, quiet_since = again, time.monotonic()

    def _edited(self) -> tuple[Stamp | None, Mapping[str, Stamp]]:
        return runtime.stamp_of(self._home.settings_file), edits.stamps(self._home)

    def _renew_watches(self) -> None:
        """Watch folders and attempts as they are now, making the run folder anew if it went away."""
        if not self._lock.is_held():
            self._renew_run_folder()
        home = self._home
        folders = {home.root, home.memories, home.tracker, home.issues, home.pulls, home.runtime, home.run}
        self._ears.watch(folders | self._attempts.unclaimed, needed=home.run)
        self._attempts.look()

    def _renew_run_folder(self) -> None:
        # Whoever deletes the folder may still be at it: a file that we put into it would make that fail.
        self._ears.listen(time.monotonic() + SETTLE_SECONDS)
        if not self._home.root.is_dir():
            raise HomeError(f"{self._home.root} is gone", fix="bring it back, and start again")
        try:
            runfolder.make_run(str(self._home.root))
            self._lock.take()
        except BusyError as error:
            raise _who_has(self._home) from error
        except OSError as error:
            self._voice.say("run.missing", f"the run folder cannot be made: {error}", level=Level.ERROR)
            return
        self._is_run_folder_new = True  # what was at work may have gone with it: the next cycle looks
        self._introduce()
        self._voice.repeat()
        self._voice.say("run.renewed", "the run folder was gone and is there again", level=Level.NOTICE)

    def _next_look(self, rest_now: Rest) -> float:
        mono = time.monotonic()
        left = rest_now.seconds_left(mono, datetime.now(UTC))
        seconds = RELOOK_SECONDS if left is None else min(left, RELOOK_SECONDS)
        if self._ears.is_blind() or self._attempts.is_blind():
            seconds = min(seconds, self._settings.rules.poll_seconds)
        asks = self._probe.next_at() if rest_now.facts else None
        return min(mono + max(0.0, seconds), asks or math.inf)


def _ended_words(names: tuple[str, ...]) -> str:
    return f"{', '.join(names[:3])} ended"
