"""Times how an attempt comes by its work tree, made ahead or not, at several sizes of repository.

`scripts/bench spawn [--files N …] [--runs N]`. Each figure is a median, taken in turn with its baseline: the
same processes started without the work, or `git worktree add` of the same commit. A tree made ahead is
promised to cost no more than 10 ms beyond process starts, at any size; a new one 1.1 times `git worktree
add`. In brackets stands what the least of all runs give, which says more on a busy machine. 100,000 files
want some minutes and 7 GB of disk, so they are measured when named.
"""

from __future__ import annotations

import argparse
import os
import pickle
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from agentloop.domain.settings import Limits, Models, Settings, Target, Worker
from agentloop.domain.work import AttemptSpec, Contract, Task
from agentloop.edges.git import Git
from agentloop.edges.repositories import GitRepositories
from agentloop.home import Home
from agentloop.worker.sandbox import MARK
from agentloop.worker.workplace import Workplace

if TYPE_CHECKING:
    from collections.abc import Callable

BEYOND_MS = 10.0
FLAT = 1.3
COLD = 1.1
AT_ONCE, ROUNDS, IN_A_ROW = 16, 5, 50
CHANGED = 20
MEGABYTE = 1_000_000
LINE = b"0123456789abcdef 0123456789abcdef 0123456789abcdef 0123456789abc\n"
UPKEEP = """
import pickle, sys
from agentloop import upkeep
sys.exit(upkeep.main(*pickle.loads(sys.stdin.buffer.read())))
"""


def median(values: list[float]) -> float:
    """The middle of `values`, which are not empty."""
    return sorted(values)[len(values) // 2]


def taken(act: Callable[[], object]) -> float:
    """Return the milliseconds that `act` takes."""
    began = time.perf_counter()
    act()
    return (time.perf_counter() - began) * 1000


def make_repository(path: Path, files: int) -> None:
    """Make a bare repository of `files` files of 6 kB, and a second commit that changes 20 of them."""
    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", str(path)], check=True)
    importing = ["git", "-C", str(path), "fast-import", "--quiet"]
    with subprocess.Popen(importing, stdin=subprocess.PIPE) as child:
        if child.stdin is None:
            raise OSError(importing)
        for chosen, tail in ((range(files), b"\n"), (range(0, files, files // CHANGED), b"changed\n")):
            child.stdin.write(b"commit refs/heads/main\ncommitter a <a@b> 1700000000 +0000\ndata 1\nc\n")
            for number in chosen:
                text = b"%d\n" % number + LINE * 90 + tail
                name = b"d%d/s%d/f%d" % (number // 2000, number // 50 % 40, number)
                child.stdin.write(b"M 100644 inline %s\ndata %d\n%s\n" % (name, len(text), text))


@dataclass(slots=True, kw_only=True)
class Yard:
    """A home, a target of so many files in it, and the attempts begun so far."""

    root: Path
    files: int
    ready: int
    begun: int = 0

    @property
    def home(self) -> Home:
        """The home."""
        return Home(self.root / "home")

    @property
    def settings(self) -> Settings:
        """Settings with room for as many trees as are to be measured."""
        worker = Worker(ready_trees=self.ready, ready_mb=1_000_000)
        return Settings(targets=(Target(name="t", repository="../source.git"),), worker=worker)

    def head(self) -> str:
        """Fetch, and return the commit that work starts from."""
        return GitRepositories(self.home.root).head(self.settings.targets[0])[1]

    def upkeep(self) -> None:
        """Make trees ahead."""
        given = pickle.dumps((self.home, self.settings))
        subprocess.run([sys.executable, "-c", UPKEEP], input=given, check=True)

    def prepared(self, base: str) -> Workplace:
        """Do the cycle's part of a start."""
        self.begun += 1
        name = f"1.1.{self.begun}"
        contract = Contract(goal="g", criteria=())
        spec = AttemptSpec(
            id=name,
            task=Task(id="1.1", issue="1", title="x", kind="change", contract=contract, target="t"),
            base=base,
            folder=str(self.home.attempt(name).root),
            mirror=str(self.home.mirror_of("t")),
            deadline=datetime.now(tz=UTC),
            slice_micros=1,
            limits=Limits(),
            models=Models(),
            worker=self.settings.worker,
            target=self.settings.targets[0],
            prices={},
            brief="what to do\n",
        )
        GitRepositories(self.home.root).prepare(spec, message="start")
        return Workplace(spec)

    def begin(self, base: str, came: str) -> Workplace:
        """Begin an attempt: the cycle's part, then the attempt's own; the tree has to come as `came` says."""
        place = self.prepared(base)
        how = place.set_up()
        if how != came:
            raise SystemExit(f"the tree came {how}, not {came}")
        return place

    def starts(self, place: Workplace, base: str) -> None:
        """Start the processes that a beginning starts: two of git's (the second pins the base), a sandbox."""
        self.begun += 1
        git = Git(self.home.mirror_of("t"))
        git.look("cat-file", "-e", base)
        git.run("update-ref", f"refs/agentloop/bases/bench-{self.begun}", base)
        place.sandbox.check()

    def worktree_add(self, base: str, number: int) -> None:
        """The baseline of a new tree."""
        words = ["worktree", "add", "-q", "--detach", str(self.root / f"wt{number}"), base]
        subprocess.run(["git", "-C", str(self.root / "source.git"), *words], check=True)


def tell(name: str, promise: str, measured: str, *, kept: bool | None) -> bool:
    """Print a row and return whether it is not missed."""
    word = {True: "kept", False: "MISS", None: ""}[kept]
    print(f"{name:46} {promise:>10}  {measured:>50}  {word}", flush=True)
    return kept is not False


def measure(yard: Yard, runs: int) -> tuple[float, list[bool]]:
    """Measure one size; return the milliseconds of a start with a tree made ahead, and what was kept."""
    make_repository(yard.root / "source.git", yard.files)
    yard.home.root.mkdir()
    base = yard.head()
    before = Git(yard.home.mirror_of("t")).text("rev-parse", f"{base}^")
    yard.upkeep()
    ahead, bare = [], []
    place = yard.begin(base, "ready")
    for _ in range(runs):
        ahead.append(taken(partial(yard.begin, base, "ready")))
        bare.append(taken(partial(yard.starts, place, base)))
    beyond = median(ahead) - median(bare)
    what = f"{yard.files:,} files"
    best = min(ahead) - min(bare)
    said = f"{beyond:.1f} ms beyond {median(bare):.0f} ({best:.1f} beyond {min(bare):.0f})"
    kept = [tell(f"made ahead, {what}", "≤ 10 ms", said, kept=beyond <= BEYOND_MS)]
    moved = taken(lambda: yard.begin(before, "moved"))
    tell(
        f"made ahead, {CHANGED} files behind, {what}",
        "-",
        f"{moved:.0f} ms in all",
        kept=None,
    )
    place.shell(f"echo more >> {place.shell('git ls-files | head -1').text.strip()}")
    result = taken(lambda: place.result(message="m"))
    tell(
        f"one file's change made a result, {what}",
        "-",
        f"{result:.0f} ms",
        kept=None,
    )
    new, add = [], []
    for number in range(runs):
        new.append(taken(partial(yard.begin, base, "new")))
        add.append(taken(partial(yard.worktree_add, base, number)))
    ratio = median(new) / median(add)
    said = f"{ratio:.2f} × worktree add, {median(add):.0f} ms ({min(new) / min(add):.2f} × {min(add):.0f})"
    kept.append(tell(f"new, {what}", f"≤ {COLD} ×", said, kept=ratio <= COLD))
    size = subprocess.run(["du", "-sm", str(place.tree.parent)], check=True, capture_output=True)
    tell(f"disk of an attempt, {what}", "pool", f"{int(size.stdout.split()[0])} MB", kept=None)
    return median(ahead), kept


def measure_many(yard: Yard) -> list[bool]:
    """Sixteen at once, five times; then fifty in a row."""
    make_repository(yard.root / "source.git", yard.files)
    yard.home.root.mkdir()
    base, failed = yard.head(), 0
    for _ in range(ROUNDS):
        places = [yard.prepared(base) for _ in range(AT_ONCE)]
        with ThreadPoolExecutor(AT_ONCE) as crowd:
            ends = [crowd.submit(place.set_up) for place in places]
        failed += sum(end.exception() is not None for end in ends)
    tried = ROUNDS * AT_ONCE
    kept = [tell(f"new, {AT_ONCE} at once", "0 failures", f"{failed} of {tried}", kept=failed == 0)]
    row = [taken(partial(yard.begin, base, "new")) for _ in range(IN_A_ROW)]
    ratio = median(row[-9:]) / median(row[:9])
    best = min(row[-9:]) / min(row[:9])
    said = f"{ratio:.2f} × the first, {median(row[:9]):.0f} ms ({best:.2f} ×)"
    kept.append(tell(f"new, the {IN_A_ROW}th in a row (nine each)", f"≤ {FLAT} ×", said, kept=ratio <= FLAT))
    return kept


def main() -> int:
    """Measure and print; return 1 when a promise is missed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--files", type=int, nargs="+", default=[1000, 20_000])
    parser.add_argument("--runs", type=int, default=5)
    chosen = parser.parse_args()
    root = Path(tempfile.mkdtemp(prefix="agentloop-spawn-"))
    os.environ[MARK] = str(root)  # one process that watches over all, as each attempt has its own
    times, kept = {}, []
    try:
        for files in chosen.files:
            folder = root / str(files)
            folder.mkdir()
            times[files], found = measure(Yard(root=folder, files=files, ready=chosen.runs + 2), chosen.runs)
            kept += found
        ratio = times[max(times)] / times[min(times)]
        kept.append(tell("made ahead, largest / smallest", f"≤ {FLAT}", f"{ratio:5.2f}", kept=ratio <= FLAT))
        (root / "many").mkdir()
        kept += measure_many(Yard(root=root / "many", files=min(times), ready=0))
    finally:
        shutil.rmtree(root, ignore_errors=True)
    print(f"{sum(kept)} of {len(kept)} promises kept")
    return 0 if all(kept) else 1


if __name__ == "__main__":
    sys.exit(main())
