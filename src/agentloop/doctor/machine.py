"""The machine: interpreter, git, disk, clock, kernel, sandbox, systemd."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from agentloop.doctor.check import Check, fail, ok, skip, warn
from agentloop.edges.inotify import Inotify
from agentloop.errors import UnsafeError

if TYPE_CHECKING:
    from agentloop.doctor.reach import ModelKey
    from agentloop.domain.settings import Settings
    from agentloop.home import Home

PYTHON: Final = (3, 11)
GIT: Final = (2, 36)
"""The first git that syncs what it writes when told to (core.fsync); commits are not durable without."""

DISK_FAIL_MB: Final = 200
DISK_WARN_MB: Final = 2_000
FUTURE_SECONDS: Final = 120
"""How far ahead of the clock a file may seem to be: file servers have clocks of their own."""

_EPOCH: Final = 1_700_000_000
"""November 2023: a clock before that was never set."""


def python() -> Check:
    """Look at the interpreter that runs this."""
    said = f"{platform.python_version()} ({sys.executable})"
    if sys.version_info[:2] < PYTHON:
        return fail("python", said, "install Python 3.11 or newer, and agentloop with it")
    return ok("python", said)


def git() -> Check:
    """Look at the git that is found first."""
    found = shutil.which("git")
    if not found:
        return fail("git", "git is not installed", "sudo apt-get install git")
    try:
        said = subprocess.run(
            [found, "--version"], capture_output=True, text=True, timeout=10, check=False
        ).stdout
    except (OSError, subprocess.TimeoutExpired) as error:
        return fail("git", f"{found} cannot be run: {error}", "sudo apt-get install --reinstall git")
    match = re.search(r"(\d+)\.(\d+)(\.\d+)*", said)
    if match is None:
        return fail("git", f"{found} does not say its version: {said.strip()!r}", "sudo apt-get install git")
    if (int(match[1]), int(match[2])) < GIT:
        return fail("git", f"{match[0]} is too old", f"install git {GIT[0]}.{GIT[1]} or newer")
    return ok("git", match[0])


def disk(home: Home) -> Iterator[Check]:
    """Look at what is free where the home and its runtime folder lie."""
    folders = {_device(path): path for path in (home.runtime, home.root) if path.is_dir()}
    for folder in folders.values():
        left = shutil.disk_usage(folder).free // 1_000_000
        inodes = os.statvfs(folder)
        said = f"{_size(left)} free at {folder}"
        if left < DISK_FAIL_MB or (inodes.f_files and inodes.f_favail < DISK_FAIL_MB):
            yield fail(
                "disk", said, f"free some space: at least {_size(DISK_WARN_MB)}, and room for new files"
            )
        elif left < DISK_WARN_MB:
            yield warn(
                "disk", said, f"free some space: {_size(DISK_WARN_MB)} or more leave room for attempts"
            )
        else:
            yield ok("disk", said)


def _size(megabytes: int) -> str:
    return f"{megabytes / 1000:.1f} GB" if megabytes >= 1000 else f"{megabytes} MB"  # noqa: PLR2004 - a GB


def _device(path: Path) -> int:
    return path.stat().st_dev


def clock(home: Home) -> Check:
    """Look whether the clock is set, and not behind the files that the loop itself wrote."""
    now = time.time()
    if now < _EPOCH:
        return fail("clock", f"the clock says {_day(now)}", "set it: sudo timedatectl set-ntp true")
    files = [*home.journal.glob("*.jsonl"), home.relay, home.compiled_settings, home.settings_file]
    ahead = max((path.stat().st_mtime - now, path) for path in [*files, home.root] if path.exists())
    if ahead[0] > FUTURE_SECONDS:
        return fail(
            "clock",
            f"{ahead[1].name} was written {ahead[0] / 60:.0f} minutes in the future: the clock jumped back",
            "set the clock (sudo timedatectl set-ntp true); or, if it is right now, touch that file",
        )
    return ok("clock", f"{_day(now)} UTC, not behind any file of the home")


def _day(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.gmtime(seconds))


def inotify() -> Check:
    """Look whether the kernel tells us of changes."""
    try:
        Inotify().close()
    except OSError as error:
        return warn(
            "inotify",
            f"not available ({error.strerror}): the loop looks every few seconds instead",
            "raise fs.inotify.max_user_instances, or live with it",
        )
    return ok("inotify", "the kernel tells us of changes")


def sandbox(settings: Settings, key: ModelKey | None) -> Check:
    """Prove the sandbox by a command inside; the key's file must be out of its sight."""
    if settings.worker.sandbox == "none":
        return warn(
            "sandbox",
            "switched off: agents' commands run with your own rights; every pull request says so",
            'install bubblewrap and take sandbox = "none" out',
        )
    from agentloop.worker.sandbox import sandbox_for

    secrets = (key.file,) if key is not None and key.file is not None else ()
    try:
        sandbox_for(settings.worker, writable=()).check(secrets=secrets)
    except UnsafeError as error:
        return fail("sandbox", error.what, error.fix)
    return ok("sandbox", "bubblewrap holds: no network, nothing writable, no key")


def systemd() -> Check:
    """Look whether systemd could start the loop, or does."""
    if not Path("/run/systemd/system").is_dir():
        return skip("systemd", "not the init here; start the loop with: agentloop run")
    folders = ("/etc/systemd/system", "~/.config/systemd/user", "/usr/lib/systemd/system")
    for folder in folders:
        units = list(Path(folder).expanduser().glob("agentloop*.service"))
        if units:
            return ok("systemd", f"the loop has a unit: {units[0]}")
    return ok(
        "systemd", "here; systemd/agentloop.service, which ships with agentloop, starts the loop at boot"
    )
