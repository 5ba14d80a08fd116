"""The commands that have to be quick: `wake`, `stop`, `pause`, `resume`, and the door to `run`.

`run(name, args)` reads a command's own words, without any framework; the functions it calls take plain
values, so that a framework can call them too. Each prints what happened and returns an exit code.
"""
# ruff: noqa: PTH100, PTH109, PTH110, PTH112, PTH113, PTH118, PTH120, T201
# (pathlib alone takes half of the time that these commands have; what they print is their result)

from __future__ import annotations

import os
import select
import signal
import sys
import time

from agentloop import exits
from agentloop.edges import runfolder
from agentloop.errors import AgentloopError, HomeError

TYPE_CHECKING = False  # typing costs as much as all the rest together; type checkers know this name
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any

DAY_SECONDS = 86400
UNITS = {"s": 1, "m": 60, "h": 3600, "d": DAY_SECONDS}
PAUSE_LIMIT_SECONDS = 30 * DAY_SECONDS
DRAIN_SECONDS = 30
STOP_MARGIN_SECONDS = 15
"""A cycle that does not end when its drain is over is killed a little later; see `supervision.ending`."""

FLAG = True
VALUE = False
OPTIONS = {
    "cycle": {"--home": VALUE, "--json": FLAG, "--compact": FLAG},
    "run": {"--home": VALUE, "--once": FLAG, "--max-cycles": VALUE},
    "wake": {"--home": VALUE, "--reason": VALUE, "--json": FLAG},
    "stop": {"--home": VALUE, "--now": FLAG, "--json": FLAG},
    "pause": {"--home": VALUE, "--for": VALUE, "--reason": VALUE, "--json": FLAG},
    "resume": {"--home": VALUE, "--json": FLAG},
    "status": {"--home": VALUE, "--json": FLAG, "--compact": FLAG},
    "webhook": {"--home": VALUE},
}
WORKERS = ("attempt", "gate", "salvage", "upkeep")
"""What the executor starts: `agentloop attempt ID --home HOME`."""
SERVED = ("run", "cycle", "webhook")
"""What a unit starts: systemd's journal reads what these say."""
COMPLAINT_LIMIT = 3000


class UsageError(AgentloopError):
    """The command line was not understood."""


def run(name: str, args: Sequence[str]) -> int:
    """Carry out the command `name` with its words `args` and return the exit code; errors are printed."""
    if name in WORKERS:
        return work(name, list(args))
    as_json = wants_json(args)
    try:
        said = read_words(name, args)
        return _carry_out(name, find_home(said.get("--home"), os.environ), said)
    except UsageError as error:
        print(f"agentloop {name}: {error}", file=sys.stderr)
        return _failed(error, exits.USAGE, as_json=as_json)
    except AgentloopError as error:
        _complain(name, str(error))
        return _failed(error, exits.code_for(error), as_json=as_json)
    except OSError as error:
        unusable = HomeError(f"the home cannot be used: {error}")
        _complain(name, str(unusable))
        return _failed(unusable, exits.HOME, as_json=as_json)


def _carry_out(name: str, home: str, said: Mapping[str, str]) -> int:
    as_json = wants_json(said)
    match name:
        case "run":
            return supervise(home, once="--once" in said, max_cycles=_count(said.get("--max-cycles")))
        case "cycle":
            return cycle(home, as_json=as_json)
        case "wake":
            return wake(home, said.get("--reason", ""), as_json=as_json)
        case "stop":
            return stop(home, now="--now" in said, as_json=as_json)
        case "status":
            return status(home, compact="--compact" in said)
        case "webhook":
            return listen(home)
        case "pause":
            return pause(home, said.get("--for", ""), said.get("--reason", ""), as_json=as_json)
        case _:
            return resume(home, as_json=as_json)


def wants_json(words: Iterable[str]) -> bool:
    """Return whether a program reads: `--json` or `--compact` is among the words before a `--`."""
    for word in words:
        if word == "--":
            return False
        if word in ("--json", "--compact"):
            return True
    return False


def error_data(error: AgentloopError, code: int) -> dict[str, object]:
    """Return what a program is told of an error, without the schema."""
    return {"error": error.what, "fix": error.fix, "code": code}


def _failed(error: AgentloopError, code: int, *, as_json: bool) -> int:
    if as_json:
        _print_json(error_data(error, code))
    return code


def _print_json(data: Mapping[str, object]) -> None:
    import json

    from agentloop.lightstatus import SCHEMA

    print(json.dumps({"schema": SCHEMA, **data}, ensure_ascii=False, indent=2))


def _tell(words: str, data: Mapping[str, object], *, as_json: bool) -> None:
    if as_json:
        _print_json(data)
    else:
        print(words)


def _complain(name: str, text: str) -> None:
    """Say an error on standard error: as it stands, or, in the journal, as one line with its priority."""
    from agentloop.edges import lines

    if name in SERVED and lines.form_for(2, os.environ) == "journal":
        said = runfolder.one_line(text, COMPLAINT_LIMIT)
        lines.Lines(2, "journal").say(f"{name}.failed", said, level=lines.Level.ERROR)
    else:
        print(f"agentloop {name}: {text}", file=sys.stderr)


def read_words(name: str, args: Sequence[str]) -> dict[str, str]:
    """Return the options in `args` (`--name value`, `--name=value`, `--flag`). Raises UsageError."""
    known = OPTIONS[name]
    found: dict[str, str] = {}
    words = list(args)
    while words:
        option, equals, value = words.pop(0).partition("=")
        if option not in known:
            raise UsageError(f"{option!r} is not known", fix=f"agentloop {name} --help")
        if known[option] is VALUE and not equals:
            if not words:
                raise UsageError(f"{option} needs a value", fix=f"agentloop {name} --help")
            value = words.pop(0)
        elif known[option] is FLAG and equals:
            raise UsageError(f"{option} takes no value", fix=f"agentloop {name} --help")
        found[option] = value
    return found


def find_home(given: str | None, environ: Mapping[str, str]) -> str:
    """Return the home's absolute path: as given, else AGENTLOOP_HOME, else the nearest around here.

    Raises HomeError when there is none.
    """
    chosen = given or environ.get("AGENTLOOP_HOME", "")
    if chosen:
        if not os.path.isdir(chosen):
            raise HomeError(f"{chosen} is no home: there is no such folder", fix=f"agentloop init {chosen}")
        return os.path.abspath(chosen)
    folder = os.getcwd()
    while not os.path.isfile(os.path.join(folder, "agentloop.toml")):
        if folder == (above := os.path.dirname(folder)):
            fix = "go into a home, name one with --home, or make one with: agentloop init DIR"
            raise HomeError(f"no home here: no agentloop.toml in {os.getcwd()} or above it", fix=fix)
        folder = above
    return folder


def supervise(home: str, *, once: bool = False, max_cycles: int | None = None) -> int:
    """Run the supervisor in this process and return its exit code. Raises AgentloopError."""
    from pathlib import Path

    from agentloop import supervisor

    _warn_of_no_key(home)
    return supervisor.run(Path(home), once=once, max_cycles=max_cycles)


def _warn_of_no_key(home: str) -> None:
    """Say before the first cycle that there is no key: what needs none goes on, the rest waits for it."""
    from pathlib import Path

    from agentloop import compiled
    from agentloop.edges import keys, lines
    from agentloop.home import Home

    try:
        settings, _ = compiled.in_force(Home(Path(home).resolve()))
        found = keys.find_key(settings.models.key_file, os.environ.get(keys.KEY_VARIABLE, ""))
        why = "there is no API key"
    except AgentloopError:
        return  # the supervisor finds the same, and says it in its own way
    except (OSError, UnicodeDecodeError) as error:
        found, why = "", f"models.key_file cannot be read: {error}"
    if not found:
        text = (
            f"{why}: nothing is planned or built until there is one; give it with models.key_file, or stop "
            "and start again with ANTHROPIC_API_KEY set, or with the systemd credential anthropic-key"
        )
        to = lines.Lines(2, lines.form_for(2, os.environ))
        to.say("key.missing", text, level=lines.Level.WARNING)


def cycle(home: str, *, as_json: bool = False) -> int:
    """Run one cycle in this process and return its exit code; a failed one says why.

    Raises AgentloopError.
    """
    from pathlib import Path

    from agentloop import wiring

    failed = wiring.run_cycle(Path(home))
    if failed:
        from agentloop.edges import lines

        if lines.form_for(2, os.environ) != "person":  # on a terminal, the cycle itself has just said it
            _complain("cycle", failed)
        return _failed(AgentloopError(failed), exits.MODEL, as_json=as_json)
    if as_json:
        _print_json({"ok": True})
    return exits.OK


def status(home: str, *, compact: bool = False) -> int:
    """Print the status as JSON and return the exit code. Raises AgentloopError, OSError."""
    from agentloop import lightstatus

    return lightstatus.print_status(home, compact=compact)


def listen(home: str) -> int:
    """Take GitHub's deliveries until told to stop; return the exit code. Raises AgentloopError, OSError."""
    from pathlib import Path

    from agentloop import hooked

    return hooked.run(Path(home))


def work(name: str, args: list[str]) -> int:
    """Be the harness of an attempt, its gate, its salvage, or the upkeep, and return the exit code."""
    from pathlib import Path

    from agentloop import wiring

    if len(args) != len(("ID", "--home", "HOME")) or args[1] != "--home":
        print(
            f"agentloop {name}: it is started by the loop, as: agentloop {name} ID --home HOME",
            file=sys.stderr,
        )
        return exits.USAGE
    starts = {
        "attempt": wiring.run_attempt,
        "gate": wiring.run_gate,
        "salvage": wiring.run_salvage,
        "upkeep": wiring.run_upkeep,
    }
    return starts[name](args[0], Path(args[2]))


def wake(home: str, reason: str = "", *, as_json: bool = False) -> int:
    """Leave a wake trigger, and say whether somebody is there to hear it. Raises OSError."""
    runfolder.append_wake(home, reason or f"asked by {user_name()}")
    if runfolder.supervisor_of(home) is None:
        loop = "stopped"
        words = (
            "wake trigger left; no supervisor runs here: it is seen by the next `agentloop run` or `cycle`"
        )
    elif os.path.exists(os.path.join(home, runfolder.PAUSE)):
        loop, words = "paused", "wake trigger left; the loop is paused, so it waits for: agentloop resume"
    else:
        loop, words = "running", "woken"
    _tell(words, {"trigger": "left", "loop": loop}, as_json=as_json)
    return exits.OK


def stop(home: str, *, now: bool = False, as_json: bool = False) -> int:
    """Ask the supervisor to stop, wait for it within its own bound, and say what happened.

    Returns NOT_RUNNING when there is none, FAILED when it is still there after that time. Raises OSError.
    """
    record = runfolder.supervisor_of(home)
    if record is None:
        none = AgentloopError(f"no supervisor runs on {home}")
        print(none, file=sys.stderr)
        return _failed(none, exits.NOT_RUNNING, as_json=as_json)
    pid = int(record["pid"])
    fd = os.pidfd_open(pid)
    try:
        if not runfolder.is_alive(record):  # looked at again behind the open descriptor: pids are used again
            _tell("the supervisor has just stopped by itself", {"stopped": True, "pid": pid}, as_json=as_json)
            return exits.OK
        return _end(fd, pid, home, now=now, as_json=as_json)
    finally:
        os.close(fd)


def _end(fd: int, pid: int, home: str, *, now: bool, as_json: bool) -> int:
    began = time.monotonic()
    signal.pidfd_send_signal(fd, signal.SIGTERM)
    if now:
        time.sleep(0.05)  # two equal signals that wait together are one; see signal(7)
        _signal_again(fd)
    bound = (0 if now else _drain_seconds(home)) + STOP_MARGIN_SECONDS
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    if poll.poll(bound * 1000):
        seconds = round(time.monotonic() - began, 1)
        words = f"stopped (pid {pid}) after {seconds:.1f} s; attempts end with their lease"
        _tell(words, {"stopped": True, "pid": pid, "seconds": seconds}, as_json=as_json)
        return exits.OK
    still = AgentloopError(f"still running (pid {pid}) after {bound} s", fix="agentloop stop --now")
    print(f"{still.what}; now: {still.fix}", file=sys.stderr)
    return _failed(still, exits.FAILED, as_json=as_json)


def _signal_again(fd: int) -> None:
    try:
        signal.pidfd_send_signal(fd, signal.SIGTERM)
    except ProcessLookupError:
        return


def _drain_seconds(home: str) -> int:
    found: Any = runfolder.read_object(os.path.join(home, ".agentloop/settings.json")) or {}
    for key in ("settings", "supervision"):
        inner = found.get(key, found if key == "settings" else {})
        found = inner if isinstance(inner, dict) else {}
    seconds = found.get("drain_seconds", DRAIN_SECONDS)
    return seconds if isinstance(seconds, int) else DRAIN_SECONDS


def pause(home: str, length: str, reason: str, *, as_json: bool = False) -> int:
    """Let no cycle start for `length` ("90s", "15m", "2h", "3d"). Raises UsageError and OSError."""
    seconds = seconds_of(length)
    if not reason.strip():
        raise UsageError(
            "a pause needs a reason", fix="agentloop pause --for 2h --reason 'moving the server'"
        )
    until = runfolder.text_of(time.time() + seconds)
    said = {"until": until, "reason": runfolder.one_line(reason), "by": user_name()}
    runfolder.write_object(os.path.join(home, runfolder.PAUSE), said, durable=True)
    words = f"paused until {until}; a cycle in hand and running attempts go on. Earlier: agentloop resume"
    _tell(words, said, as_json=as_json)
    return exits.OK


def resume(home: str, *, as_json: bool = False) -> int:
    """End the pause and wake the loop; returns CONFLICT when there is no pause. Raises OSError."""
    pause_file = os.path.join(home, runfolder.PAUSE)
    if not os.path.exists(pause_file):
        none = AgentloopError("there is no pause to end")
        print(none, file=sys.stderr)
        return _failed(none, exits.CONFLICT, as_json=as_json)
    # The trigger first: the cycle that follows takes it; left after the pause it would start a second one.
    runfolder.append_wake(home, f"resumed by {user_name()}")
    runfolder.remove(pause_file)
    _tell("resumed", {"resumed": True}, as_json=as_json)
    return exits.OK


def seconds_of(length: str) -> int:
    """Return the seconds in "90s", "15m", "2h" or "3d"; at most 30 days. Raises UsageError."""
    number, unit = length[:-1], length[-1:]
    if not (number.isascii() and number.isdigit()) or unit not in UNITS or int(number[:9]) == 0:
        fix = "write --for 90s, 15m, 2h or 3d: a pause always has an end"
        raise UsageError(f"{length!r} is no length of time" if length else "--for is missing", fix=fix)
    seconds = int(number[:9]) * UNITS[unit]
    if seconds > PAUSE_LIMIT_SECONDS:
        raise UsageError(
            f"{length} is more than 30 days", fix="pause for at most 30d, or stop: agentloop stop"
        )
    return seconds


def user_name() -> str:
    """Return the name of the user who runs this, or the number where it has none."""
    import pwd

    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())


def _count(text: str | None) -> int | None:
    if text is None:
        return None
    if not (text.isascii() and text.isdigit()) or int(text) == 0:
        raise UsageError(f"--max-cycles {text!r} is no count", fix="write a number from 1 on")
    return int(text)
