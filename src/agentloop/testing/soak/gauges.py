"""What must stay flat over hours: the supervisor's memory and descriptors, processes, and the disk."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agentloop.testing.crash.arena import Arena

PAGE_KB: Final = os.sysconf("SC_PAGE_SIZE") // 1024
NAMES: Final = (
    "supervisor kB",
    "supervisor descriptors",
    "processes",
    "runtime kB",
    "runtime trees",
    "mirror kB",
    "home .git kB",
    "journal kB",
    "temp files",
)


@dataclass
class Gauges:
    """Series of samples: seconds since the start, and a number for each of NAMES (None: not to be had)."""

    arena: Arena
    samples: list[tuple[float, tuple[int | None, ...]]] = field(default_factory=list)

    def sample(self, seconds: float, supervisor: int | None) -> None:
        """Take one sample."""
        home = self.arena.home
        runtime = _kb(home.runtime) - _kb(home.mirrors)
        trees = sum(1 for _ in home.runtime.glob("*/*/tree"))
        taken = (
            _memory(supervisor),
            _descriptors(supervisor),
            sum(1 for _ in self.arena.living()),
            runtime,
            trees,
            _kb(home.mirrors),
            _kb(home.root / ".git"),
            _kb(home.journal),
            sum(1 for _ in _temp_files(self.arena.world)),
        )
        self.samples.append((seconds, taken))

    def table(self) -> Iterator[str]:
        """Yield a line for each series: start, middle, end, most, and the slope an hour (least squares)."""
        yield f"{'':24} {'start':>9} {'middle':>9} {'end':>9} {'most':>9} {'an hour':>10}"
        for place, name in enumerate(NAMES):
            series = [(at, row[place]) for at, row in self.samples]
            known = [(at, value) for at, value in series if value is not None]
            if not known:
                continue
            values = [value for _, value in known]
            shown = (values[0], values[len(values) // 2], values[-1], max(values))
            words = " ".join(f"{value:9}" for value in shown)
            yield f"{name:24} {words} {_slope(known) * 3600:+10.1f}"


def _slope(series: list[tuple[float, int]]) -> float:
    n = len(series)
    mean_at = sum(at for at, _ in series) / n
    mean = sum(value for _, value in series) / n
    spread = sum((at - mean_at) ** 2 for at, _ in series)
    return sum((at - mean_at) * (value - mean) for at, value in series) / spread if spread else 0.0


def _memory(pid: int | None) -> int | None:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text("ascii").split()[1]) * PAGE_KB
    except OSError:
        return None


def _descriptors(pid: int | None) -> int | None:
    try:
        return len(list(Path(f"/proc/{pid}/fd").iterdir()))
    except OSError:
        return None


def _kb(folder: Path) -> int:
    return sum(_size(Path(where) / name) for where, _, names in os.walk(folder) for name in names) // 1024


def _size(path: Path) -> int:
    try:
        return path.lstat().st_size
    except OSError:
        return 0


def _temp_files(folder: Path) -> Iterator[str]:
    for where, _, names in os.walk(folder):
        yield from (f"{where}/{name}" for name in names if name.startswith((".agentloop-tmp-", "tmp_pack_")))
