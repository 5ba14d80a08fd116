"""Commands run in turn, and what came of them as rows.

A peak of memory is never less than what this process itself held when it started the command (Linux carries
the figure over an exec), so nothing heavy is imported here: what needs the product runs in a child.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PYTHON = sys.executable
COMMAND = str(Path(PYTHON).with_name("agentloop"))
BASELINE = (PYTHON, "-I", "-c", "pass")
START = "python -I -c pass"
KIBIBYTES_PER_MEGABYTE = 1000 * 1000 / 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A figure beside its promise, None where it is only told. `beside` is for orientation; `why`: a miss."""

    group: str
    name: str
    measured: float
    unit: str
    promised: float | None = None
    beside: str = ""
    why: str = ""

    @property
    def kept(self) -> bool:
        """Whether it is within its promise."""
        return self.promised is None or self.measured <= self.promised


@dataclass(slots=True, kw_only=True)
class Runs:
    """What the runs of one command showed: seconds of each, and the largest peak of memory in KiB."""

    seconds: list[float] = field(default_factory=list)
    cpu_seconds: list[float] = field(default_factory=list)
    peak_kibibytes: int = 0
    failure: str = ""

    def told(self, base: Runs | None = None) -> str:
        """Return the time for orientation, and CPU, which other work on the machine changes less."""
        cpu = median(self.cpu_seconds)
        ratio = f" ({cpu / median(base.cpu_seconds):.1f} ×)" if base else ""
        return f"{median(self.seconds) * 1000:.0f} ms, CPU {cpu * 1000:.0f} ms{ratio}"

    @property
    def megabytes(self) -> float:
        """The peak of resident memory."""
        return self.peak_kibibytes / KIBIBYTES_PER_MEGABYTE


def median(values: list[float]) -> float:
    """The middle of `values`, which are not empty; of an even number the lower of the two."""
    return sorted(values)[(len(values) - 1) // 2]


def quantile(values: list[float], part: float) -> float:
    """The value that `part` of `values`, which are not empty, do not go beyond."""
    return sorted(values)[min(len(values) - 1, int(part * len(values)))]


def run_once(command: tuple[str, ...], folder: Path) -> tuple[float, float, int, int]:
    """Run `command` in `folder`; return seconds, those of CPU, peak KiB (wait4 says both) and its code."""
    silent = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
        (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
    ]
    os.chdir(folder)
    began = time.perf_counter()
    pid = os.posix_spawn(command[0], command, environment(), file_actions=silent)
    _, status, usage = os.wait4(pid, 0)
    seconds = time.perf_counter() - began
    return seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss, os.waitstatus_to_exitcode(status)


def environment() -> dict[str, str]:
    """What commands are given: nobody's settings."""
    return {"PATH": os.environ.get("PATH", ""), "HOME": "/nonexistent"}


def in_turn(
    commands: dict[str, tuple[tuple[str, ...], Path]], turns: int, *, warm: bool = True
) -> dict[str, Runs]:
    """Run all commands in turn, `turns` times and once before to warm caches; what fails is not run again."""
    found = {name: Runs() for name in commands}
    for turn in range(0 if warm else 1, turns + 1):
        for name, (command, folder) in commands.items():
            if found[name].failure:
                continue
            seconds, cpu_seconds, peak, code = run_once(command, folder)
            if code != 0:
                found[name].failure = f"`{' '.join(command[1:])}` ended with {code}"
            elif turn > 0:
                found[name].seconds.append(seconds)
                found[name].cpu_seconds.append(cpu_seconds)
                found[name].peak_kibibytes = max(found[name].peak_kibibytes, peak)
    return found


def ask_child(module: str, *words: str) -> Any:  # noqa: ANN401 -- what JSON has
    """Run `benchmarks.MODULE` as a process of its own and return what it prints, as JSON says it."""
    command = (PYTHON, "-P", "-m", f"benchmarks.{module}", *words)
    given = {**environment(), "PYTHONPATH": str(Path(__file__).parents[1])}
    done = subprocess.run(command, env=given, check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def made_home(folder: Path) -> Path:
    """Make a fresh home in `folder` with the command itself."""
    subprocess.run(
        (COMMAND, "init", str(folder), "--no-input"), env=environment(), check=True, capture_output=True
    )
    return folder
