"""The home: layout, repository, settings, prompts, journal, supervisor."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from agentloop import __version__
from agentloop.doctor.check import Check, fail, ok, warn
from agentloop.domain.limits import slow_call_stalls, too_narrow
from agentloop.edges import runtime
from agentloop.edges.git import Git, GitError
from agentloop.edges.journal import Journal
from agentloop.edges.relay import RelayFile, unreadable
from agentloop.edges.requests import FileRequests
from agentloop.edges.runfolder import journal_gone
from agentloop.errors import AgentloopError, JournalError
from agentloop.initialise import IGNORED

if TYPE_CHECKING:
    from agentloop.domain.settings import Settings
    from agentloop.home import Home


def layout(home: Home) -> Iterator[Check]:
    """Look whether all of the home is there, writable, and nobody else's to write."""
    folders = (home.root, home.memories, home.archive, home.journal, home.tracker, home.runtime, home.run)
    there = [folder for folder in folders if folder.is_dir()]
    locked = [folder for folder in there if not os.access(folder, os.W_OK | os.X_OK)]
    # Journal, tracker and runtime folder are made when they are needed: a fresh clone of a home is one.
    missing = [path for path in (home.archive, home.relay) if not path.exists()]
    if locked:
        yield fail("home", f"not writable: {locked[0]}", f"sudo chown -R $USER {home.root}")
    elif missing:
        named = ", ".join(str(path.relative_to(home.root)) for path in missing)
        yield warn("home", f"missing: {named}", f"agentloop init {home.root}")
    else:
        yield ok("home", str(home.root))
    mode = stat.S_IMODE(home.root.stat().st_mode)
    if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
        yield warn("permissions", f"everybody may write to {home.root}", f"chmod o-w {home.root}")
    else:
        yield ok("permissions", f"ours to write, and not everybody's (mode {mode:o})")


def repository(home: Home) -> Check:
    """Look whether the home is a git repository in which the relay can be committed."""
    name = "repository"
    git = Git(home.root)
    try:
        git.look("rev-parse", "--git-dir")
    except GitError:
        return fail(name, "the home is no git repository of its own", f"agentloop init {home.root}")
    try:
        head = git.look("rev-parse", "--verify", "--quiet", "--short", "HEAD")
    except GitError:
        return warn(name, "it has no commit yet", f"agentloop init {home.root}, or commit something")
    ignored = {line.strip().strip("/") for line in _lines(home)}
    missing = [line for line in IGNORED if line.strip("/") not in ignored]
    if missing:
        return warn(name, f".gitignore does not name {' '.join(missing)}", f"agentloop init {home.root}")
    busy = [each for each in ("MERGE_HEAD", "rebase-merge", "rebase-apply") if _in_git(git, home, each)]
    if busy:
        return warn(
            name, f"a merge or rebase is under way ({busy[0]}): the relay waits", "finish or abort it"
        )
    return _remote(name, home, f"at {head}")


def _remote(name: str, home: Home, says: str) -> Check:
    from agentloop.edges.homeremote import known_of

    known = known_of(home)
    if known.problem:
        return warn(name, known.problem, "the loop tries again by itself; 'none' as relay.remote ends it")
    return ok(name, f"{says}, pushed to {known.place.says}" if known.place else says)


def _lines(home: Home) -> list[str]:
    try:
        return home.gitignore.read_text("utf-8", "replace").splitlines()
    except OSError:
        return []


def _in_git(git: Git, home: Home, name: str) -> bool:
    return (home.root / git.look("rev-parse", "--git-path", name)).exists()


def settings(home: Home) -> tuple[Settings | None, list[Check]]:
    """Look at the settings; return them too, unless they cannot be used."""
    from agentloop.settings.loading import load
    from agentloop.settings.problems import InvalidSettingsError

    try:
        loaded = load(home)
    except InvalidSettingsError as error:
        return None, [fail("settings", f"{each.where}: {each.what}", each.fix) for each in error.problems]
    except AgentloopError as error:
        return None, [fail("settings", error.what, error.fix)]
    found = loaded.settings
    checks = [ok("settings", "valid")]
    checks += _odd_limits(found)
    if not found.targets:
        checks.append(warn("settings", "no target is named: there is nothing to work on", "add a [[target]]"))
    return found, checks


def _odd_limits(found: Settings) -> Iterator[Check]:
    limits = found.limits
    if narrow := too_narrow(found):
        what, _, fix = narrow.partition(": ")
        yield warn("settings", what, fix)
    if slow := slow_call_stalls(found):
        what, _, fix = slow.partition(": ")
        yield warn("settings", what, fix)
    pairs = (
        ("attempt_usd", limits.attempt_usd, "task_usd", limits.task_usd or limits.attempt_usd),
        ("attempt_usd", limits.attempt_usd, "hour_usd", limits.hour_usd or limits.attempt_usd),
        ("attempt_usd", limits.attempt_usd, "day_usd", limits.day_usd),
        ("cycle_usd", limits.cycle_usd, "day_usd", limits.day_usd),
        ("day_usd", limits.day_usd, "total_usd", limits.total_usd),
    )
    for small, less, large, more in pairs:
        if less > more:
            yield warn(
                "settings",
                f"limits.{small} ({less:g}) is above limits.{large} ({more:g}): it can never be used up",
                f"lower limits.{small}, or raise limits.{large}",
            )


def prompts(home: Home) -> Iterator[Check]:
    """Look at the prompts as this home would use them, its overrides included."""
    from agentloop.prompts import check

    problems = check(home.root)
    for problem in problems:
        yield fail("prompts", str(problem), problem.fix)
    if not problems:
        yield ok("prompts", "every variable is known and used")


def journal(home: Home) -> Check:
    """Read the whole journal: all promises rest on it."""
    count, last = 0, None
    try:
        for entry in Journal(home).entries():
            count, last = count + 1, entry.at
    except JournalError as error:
        return fail("journal", error.what, error.fix)
    if last is None and journal_gone(str(home.root)):
        return fail(
            "journal",
            "it is gone, and the tracker has marks of its past",
            "agentloop rebuild reads it back (so does the next cycle), or put journal/ back from a backup",
        )
    if last is None:
        return ok("journal", "empty: no cycle has found anything yet")
    if last > datetime.now(tz=UTC) + timedelta(minutes=2):
        return fail(
            "journal",
            f"its last entry is of {last:%Y-%m-%d %H:%M} UTC, which is still to come: the clock jumped back",
            "set the clock: sudo timedatectl set-ntp true",
        )
    if missing := _missing(home):
        return fail(
            "journal",
            f"its last {missing} went missing: the last cycle wrote on beyond {last:%Y-%m-%d %H:%M} UTC",
            "agentloop rebuild reads back what marks tell (so does the next cycle), or put a backup back",
        )
    aside = sorted(home.journal.glob("aside/*"))
    if aside:
        return warn(
            "journal",
            f"it was damaged and mended; what was there is in {aside[0].parent}, the last {aside[-1].name}",
            "take from them what you need, then delete them",
        )
    return ok("journal", f"{count:,} entries, the last of {last:%Y-%m-%d %H:%M} UTC")


def _missing(home: Home) -> str:
    """Return how many entries that the last cycle knew of are not there, in words; "" when all are."""
    last = runtime.read_sleep(home.root)
    lost = max(0, last.journal - Journal(home).last_number()) if last else 0
    return f"{lost} entries" if lost > 1 else "entry" if lost else ""


def relay(home: Home) -> Check:
    """Look whether the relay can be read: without it no cycle decides anything."""
    try:
        found = RelayFile(home).read()
    except AgentloopError as error:
        return fail("relay", error.what, error.fix)
    except OSError as error:
        said = unreadable(home.relay, error)
        return fail("relay", said.what, said.fix)
    if found.text is None:
        return warn("relay", "there is none: the next cycle writes it anew", f"agentloop init {home.root}")
    return ok("relay", f"version {found.relay.version}")


def requests(home: Home) -> Iterator[Check]:
    """Look whether what persons asked for can be understood."""
    for each in FileRequests(home).left_out():
        what, _, fix = each.rpartition("; ")
        yield warn("requests", what, fix)


def supervisor(home: Home) -> Check:
    """Look whether a supervisor runs, whether it runs the code that is installed, and is not paused."""
    name = "supervisor"
    record = runtime.read_supervisor(home.root)
    pause = runtime.read_pause(home.root)
    if pause is not None and pause.until > datetime.now(tz=UTC):
        return warn(
            name, f"paused until {pause.until:%Y-%m-%d %H:%M} UTC: {pause.reason}", "agentloop resume"
        )
    if record is None:
        return ok(name, "none is running (agentloop run starts one)")
    if record.version != __version__:
        return fail(
            name,
            f"it runs version {record.version}; installed is {__version__}",
            "restart it: agentloop stop, then agentloop run (or: systemctl restart agentloop)",
        )
    return ok(name, f"running since {record.started_at}, pid {record.identity.pid}, version {record.version}")
