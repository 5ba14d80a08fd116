"""Times whole commands, from process start to end, as ratios to the interpreter's own start in the same run.

Absolute times differ from machine to machine and hour to hour; ratios taken in turn in one run differ little.
Prints a row a command: median ratio against the promise, median milliseconds for orientation, the peak of
resident memory. A row beyond its promise says MISS; one that could not be run says why. Both end with 1.

A peak is never less than what this process itself held when it started the command (Linux carries the figure
over an exec), so nothing heavy is imported here, and the baseline's own peak is printed as the floor.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

PYTHON = sys.executable
COMMAND = str(Path(PYTHON).with_name("agentloop"))
BASELINE = (PYTHON, "-I", "-c", "pass")
KIBIBYTES_PER_MEGABYTE = 1000 * 1000 / 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A command and what is promised of it; None where nothing is."""

    name: str
    arguments: tuple[str, ...]
    times: float
    megabytes: float | None = None


ROWS = (
    Row(name="agentloop --version", arguments=("--version",), times=2.5),
    Row(name="agentloop status --json", arguments=("status", "--json"), times=2.5),
    Row(name="agentloop --help", arguments=("--help",), times=7, megabytes=35),
    Row(name="agentloop issue list", arguments=("issue", "list"), times=15, megabytes=35),
    Row(name="agentloop cycle (idle)", arguments=("cycle",), times=12, megabytes=35),
)


@dataclass(slots=True, kw_only=True)
class Measured:
    """What the runs of one command showed: seconds of each, and the largest peak of memory in KiB."""

    seconds: list[float] = field(default_factory=list)
    peak_kibibytes: int = 0
    failure: str = ""


def median(values: list[float]) -> float:
    """The middle of `values`, which are not empty; of an even number the lower of the two."""
    return sorted(values)[(len(values) - 1) // 2]


def run_once(command: tuple[str, ...]) -> tuple[float, int, int]:
    """Run `command` in this folder; return seconds, peak resident KiB (wait4) and its exit code."""
    silent = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
        (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
    ]
    environment = {"PATH": os.environ.get("PATH", ""), "HOME": str(Path.cwd())}
    began = time.perf_counter()
    pid = os.posix_spawn(command[0], command, environment, file_actions=silent)
    _, status, usage = os.wait4(pid, 0)
    seconds = time.perf_counter() - began
    return seconds, usage.ru_maxrss, os.waitstatus_to_exitcode(status)


def measure(commands: dict[str, tuple[str, ...]], runs: int) -> dict[str, Measured]:
    """Run all commands in turn, `runs` times and once before to warm caches; what fails is not run again."""
    found = {name: Measured() for name in commands}
    for turn in range(runs + 1):
        for name, command in commands.items():
            if found[name].failure:
                continue
            if not Path(command[0]).exists():
                found[name].failure = f"there is no {command[0]}"
                continue
            seconds, peak, code = run_once(command)
            if code != 0:
                found[name].failure = f"`{' '.join(command[1:])}` ended with {code}"
            elif turn > 0:
                found[name].seconds.append(seconds)
                found[name].peak_kibibytes = max(found[name].peak_kibibytes, peak)
    return found


def line_for(row: Row, measured: Measured, baseline: float) -> tuple[str, bool]:
    """The printed row, and whether its promise is kept."""
    if measured.failure:
        return f"{row.name:26} not measured: {measured.failure}", False
    seconds = median(measured.seconds)
    megabytes = measured.peak_kibibytes / KIBIBYTES_PER_MEGABYTE
    ratio = seconds / baseline
    kept = ratio <= row.times and (row.megabytes is None or megabytes <= row.megabytes)
    memory = f"≤ {row.megabytes:.0f} MB" if row.megabytes is not None else "-"
    return (
        f"{row.name:26} ≤ {row.times:4.1f} ×  {ratio:6.2f} ×  {seconds * 1000:8.1f} ms  "
        f"{memory:>8}  {megabytes:6.1f} MB  {'kept' if kept else 'MISS'}"
    ), kept


def enter_home(folder: Path) -> None:
    """Make a fresh home in `folder` with the command itself, and work in it."""
    os.chdir(folder)
    if Path(COMMAND).exists():
        run_once((COMMAND, "init", str(folder)))


def main() -> int:
    """Measure and print; return 1 when a promise is missed or could not be looked at."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=15, help="runs of each command (default: 15)")
    runs = max(1, parser.parse_args().runs)
    with tempfile.TemporaryDirectory(prefix="agentloop-bench-") as scratch:
        enter_home(Path(scratch))
        found = measure({"": BASELINE} | {row.name: (COMMAND, *row.arguments) for row in ROWS}, runs)
        os.chdir("/")
    baseline = median(found[""].seconds)
    floor = found[""].peak_kibibytes / KIBIBYTES_PER_MEGABYTE
    print(f"baseline: python -I -c pass, {baseline * 1000:.1f} ms, {floor:.1f} MB; medians of {runs} runs")
    print(f"{'command':26} {'promise':>8}  {'measured':>8}  {'':11}  {'promise':>8}  {'peak':>9}")
    lines = [line_for(row, found[row.name], baseline) for row in ROWS]
    for line, _ in lines:
        print(line)
    kept = sum(good for _, good in lines)
    print(f"{kept} of {len(lines)} promises kept")
    return 0 if kept == len(lines) else 1


if __name__ == "__main__":
    sys.exit(main())
