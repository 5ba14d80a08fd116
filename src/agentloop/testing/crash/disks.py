"""Disks that fail whole: the power is cut under the story again and again; a small disk fills up under it.

A power cut: the world lies on a file system of its own, in a file (loop mount). Every process is stopped
(SIGSTOP), the file system is shut down without a flush (`xfs_io -x -c shutdown`: what was not made durable by
then is gone, the log included), the processes are killed, and it is mounted again. Needs root, xfs_io, and
mkfs of the file system. The disk's own cache is not part of this: what the file system has sent is kept.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from agentloop.edges import runtime
from agentloop.edges.exchange import sync_file_system
from agentloop.errors import AgentloopError, UnsafeError
from agentloop.testing.crash import play
from agentloop.testing.crash.play import STEPS, Told

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from agentloop.testing.crash.arena import Arena

FileSystem = Literal["xfs", "ext4"]

IMAGE_BYTES: Final = 320 << 20
"""The smallest that mkfs.xfs takes is 300 MB."""
MANY_TRIES: Final = {"retries_per_task": "50", "attempts_per_task": "50", "backoff_max_seconds": "1"}
LONGEST_SECONDS: Final = 8.0
EARLY_SECONDS: Final = 1.2
LATE: Final = 0.3
"""Which part of the cuts comes when all that was started has ended: without any, no story would get on."""
CUTS_A_STORY: Final = 60
FREEZES: Final = 5
UNMOUNT_SECONDS: Final = 60.0
SMALL_DISK: Final = "40m"
BALLAST_LEFT_KB: Final = (0, 4, 16, 64, 256, 1024)


def missing(file_system: str) -> str:
    """Return what is missing for power cuts on that file system and how to get it, or ""."""
    if os.geteuid() != 0:
        return "power cuts need root: a file system is mounted for them"
    wanted = {"xfs_io": "xfsprogs", "losetup": "util-linux", f"mkfs.{file_system}": "xfsprogs e2fsprogs"}
    lacking = {package for program, package in wanted.items() if shutil.which(program) is None}
    return f"apt-get install {' '.join(sorted(lacking))}" if lacking else ""


@dataclass
class Disk:
    """A file system in a file, mounted at `at`."""

    image: Path
    at: Path
    file_system: FileSystem

    def make(self) -> None:
        """Make and mount it. Raises UnsafeError."""
        with self.image.open("wb") as file:
            file.truncate(IMAGE_BYTES)
        quiet = ("-q",) if self.file_system == "xfs" else ("-q", "-F")
        _must(f"mkfs.{self.file_system}", *quiet, str(self.image))
        self.mount()

    def mount(self) -> None:
        """Mount it; what the log holds is played back. Raises UnsafeError.

        A sandbox of somebody else's that began meanwhile holds the disk as it was, broken, until it ends.
        """
        self.at.mkdir(parents=True, exist_ok=True)
        give_up = time.monotonic() + UNMOUNT_SECONDS
        while True:
            _must("mount", "-o", "loop", str(self.image), str(self.at))
            with suppress(OSError):
                next(self.at.iterdir(), None)
                return
            self.unmount()
            if time.monotonic() > give_up:
                raise UnsafeError(f"{self.image} is held by somebody and cannot be mounted afresh")
            time.sleep(0.1)

    def cut(self) -> None:
        """Shut it down as if the power went, and unmount it. Raises UnsafeError."""
        _must("xfs_io", "-x", "-c", "shutdown", str(self.at))

    def unmount(self) -> None:
        """Unmount it: a process that was killed lets go of it when the machine comes round to that.

        What is mounted while somebody still has it would be the same broken file system again.
        """
        give_up = time.monotonic() + UNMOUNT_SECONDS
        while self._is_mounted() and time.monotonic() < give_up:
            subprocess.run(("umount", str(self.at)), check=False, capture_output=True)
            time.sleep(0.02)
        if self._is_mounted():
            subprocess.run(("umount", "-l", str(self.at)), check=False, capture_output=True)

    def _is_mounted(self) -> bool:
        # os.path.ismount looks into the folder, which a file system that is shut down does not allow.
        lines = Path("/proc/self/mounts").read_text("utf-8", "surrogateescape").splitlines()
        return any(line.split()[1] == str(self.at) for line in lines)


@dataclass
class Cuts:
    """What came of the cuts so far; each of `bad` says at which cut of which story, and what."""

    cuts: int = 0
    stories: int = 0
    bad: list[str] = field(default_factory=list)


def cut_power(arena: Arena, disk: Disk, *, cuts: int, seed: int, seconds: float) -> Iterator[Cuts]:
    """Play the story under so many power cuts, or until the time is up; yield after each story."""
    chance = random.Random(seed)  # noqa: S311 - moments, not secrets
    so_far = Cuts()
    began = time.monotonic()
    arena.set(MANY_TRIES)
    arena.save("begin")
    while so_far.cuts < cuts and (not seconds or time.monotonic() - began < seconds):
        arena.restore("begin")
        sync_file_system(arena.world)
        story = _Story(arena, disk, chance)
        so_far.stories += 1
        told = story.play(cuts - so_far.cuts)
        so_far.cuts += story.cuts
        where = f"seed {seed}, story {so_far.stories}"
        so_far.bad += [f"{where}: {one}" for one in (*story.bad, *_all(told))]
        yield so_far


class _Story:
    """One story under power cuts: commands and cycles, each cut at a chosen moment or just after it."""

    def __init__(self, arena: Arena, disk: Disk, chance: random.Random) -> None:
        self._arena = arena
        self._disk = disk
        self._chance = chance
        self.cuts = 0
        self.bad: list[str] = []

    def play(self, cuts: int) -> Told:
        """Play with at most so many cuts, then to the end without; return how it ended."""
        for _ in range(min(cuts, CUTS_A_STORY)):
            words = self._next_words()
            if not words:
                break
            self._cut_during(words)
        failed, stuck = play.go_on(self._arena, play.LAST, play.LAST)
        return play.judged(self._arena, failed, stuck)

    def _next_words(self) -> tuple[str, ...]:
        arena = self._arena
        if not any(arena.home.issues.glob("**/0*.md")):
            return ("issue", "new", play.TITLE, "--body", "add(2, 3) is -1.")
        if any(arena.home.pulls.glob("0*.md")):
            return ("pr", "merge", "1")
        nap = runtime.read_sleep(arena.home.root)
        if any(arena.home.closed_issues.glob("0*.md")) and nap is not None and nap.outcome == "idle":
            return ()
        return ("cycle",)

    def _cut_during(self, words: tuple[str, ...]) -> None:
        arena = self._arena
        if play.WORDS not in arena.home.relay.read_text("utf-8"):
            play.write(arena)
            sync_file_system(arena.world)
        process = arena.begin(*words)
        late = self._chance.random() < LATE
        moment = time.monotonic() + (LONGEST_SECONDS if late else self._chance.uniform(0.02, EARLY_SECONDS))
        while time.monotonic() < moment and (process.poll() is None or any(arena.living())):
            time.sleep(0.01)
        _freeze(arena)
        acknowledged = process.poll() == 0
        before = _lines(arena.home.journal)
        self._disk.cut()
        arena.end_leftovers()
        process.wait()
        self._disk.unmount()
        self._disk.mount()
        self.cuts += 1
        self._look(words, before, acknowledged=acknowledged)

    def _look(self, words: tuple[str, ...], before: list[bytes], *, acknowledged: bool) -> None:
        """Compare what is there after the cut with what had been acknowledged before."""
        said = f"after cut {self.cuts} during `{' '.join(words[:2])}`"
        after = _lines(self._arena.home.journal)
        # The last line may just have been on its way to the disk: then nobody had been told of it.
        if after[: len(before) - 1] != before[:-1]:
            self.bad.append(f"{said}: {len(before)} lines of the journal, now {len(after)} (or others)")
        if acknowledged and words[0] == "issue" and not any(self._arena.home.issues.glob("0*.md")):
            self.bad.append(f"{said}: the issue that was filed is gone")
        if acknowledged and words[0] == "pr" and any(self._arena.home.pulls.glob("0*.md")):
            self.bad.append(f"{said}: the merge that was told is undone")
        for folder in (self._arena.home.root, self._arena.repository):
            checked = self._arena.git("fsck", "--no-dangling", "--no-progress", cwd=folder)
            if checked.status != 0:
                self.bad.append(f"{said}: git fsck in {folder.name}: {checked.text.strip()[:300]}")
        try:
            self._arena.journal()
        except AgentloopError as error:
            self.bad.append(f"{said}: {error}")


def fill_up(arena: Arena, steps: Sequence[str] = ()) -> Iterator[tuple[str, Told]]:
    """Fill the disk before every step (or those named), to each of BALLAST_LEFT_KB; yield what came of it.

    While it is full the step is tried, and what says that it failed is tried again, as a person does. Then
    there is room again, and the story goes on: to its end after the fullest disk, else to the step's end.
    """
    for step in STEPS:
        if not step.before:
            arena.save(step.name)
            step.act(arena)
            arena.disarm()
    ballast = arena.world / "ballast"
    for step in (one for one in STEPS if not steps or one.name in steps):
        for left in BALLAST_LEFT_KB:
            until = play.LAST if left == BALLAST_LEFT_KB[0] else step
            arena.restore(step.before or step.name)
            before = _lines(arena.home.journal)
            _fill(ballast, left)
            with suppress(OSError, AgentloopError):
                ran = step.act(arena)
                if ran is None or ran.status != 0:  # a person tries again what failed, and only that
                    step.act(arena)
            after = _lines(arena.home.journal)
            ballast.unlink()
            lost = () if after[: len(before)] == before else ("lines of the journal are gone",)
            arena.disarm()
            failed, stuck = play.go_on(arena, step, until)
            told = play.judged(arena, failed, (*stuck, *lost), until)
            yield f"{step.name}, {left} kB left", told


def _fill(ballast: Path, left_kb: int) -> None:
    stat = os.statvfs(ballast.parent)
    wanted = stat.f_bavail * stat.f_frsize - left_kb * 1024
    with ballast.open("wb") as file, suppress(OSError):
        while wanted > 0:
            wanted -= file.write(b"\0" * min(wanted, 1 << 16))
            file.flush()


def mounted_small(at: Path) -> None:
    """Mount a small disk in memory at a folder. Raises UnsafeError."""
    at.mkdir(parents=True, exist_ok=True)
    _must("mount", "-t", "tmpfs", "-o", f"size={SMALL_DISK}", "tmpfs", str(at))


def _freeze(arena: Arena) -> None:
    # Again and again: what one process starts while the others are being stopped is met the next time.
    for _ in range(FREEZES):
        for pid in tuple(arena.living()):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)


def _lines(folder: Path) -> list[bytes]:
    texts = [path.read_bytes() for path in sorted(folder.glob("*.jsonl"))]
    return [line for text in texts for line in text.split(b"\n") if line]


def _all(told: Told) -> tuple[str, ...]:
    return (*told.lost, *told.doubled, *told.left, *told.by_hand)


def _must(*words: str) -> None:
    ran = subprocess.run(words, capture_output=True, text=True, check=False)
    if ran.returncode != 0:
        raise UnsafeError(f"`{' '.join(words)}` ended with {ran.returncode}: {ran.stderr.strip()}")
