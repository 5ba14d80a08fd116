"""Commits of the relay in a home with an archive, and a plain durable `git commit` of one file, in turn."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from agentloop.domain.relay import FIRST, RelayDelta, apply, render
from agentloop.edges.relay import RelayFile
from agentloop.home import Home


def main(root: Path, cycles: int, a_day: int, turns: int) -> None:
    """Print the seconds of each, as JSON: after `cycles` cycles that archived something, `a_day` of them."""
    home = Home(root)
    _fill(home, cycles, a_day)
    plain = root.with_name(f"{root.name}-plain")
    plain.mkdir()
    _git(plain, "init", "--quiet")
    seconds: dict[str, list[float]] = {"ours": [], "plain": []}
    for turn in range(turns + 1):
        ours, theirs = _ours(home, turn), _theirs(plain, turn)
        if turn:
            seconds["ours"].append(ours)
            seconds["plain"].append(theirs)
    print(json.dumps(seconds))


def _fill(home: Home, cycles: int, a_day: int) -> None:
    home.relay.parent.mkdir(parents=True)
    home.relay.write_text(render(FIRST))
    home.gitignore.write_text("/.agentloop/\n")
    for day in range(-(-cycles // a_day)):
        path = home.root / f"memories/archive/{day // 365:04}/{day % 365:03}.md"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"# Day {day}\n" + "\n- **Decided:** to go on as before.\n" * a_day)
    _git(home.root, "init", "--quiet", "-b", "main")
    _git(home.root, "add", ".")
    _git(home.root, "commit", "--quiet", "-m", "Begin")


def _ours(home: Home, turn: int) -> float:
    began = time.perf_counter()
    relay = RelayFile(home)
    base = relay.read()
    delta = RelayDelta(next_action=f"Look at issue {turn}.")
    relay.write(apply(base.relay, delta, turn + 1), base, day=datetime.now(UTC).date())
    relay.commit(f"Relay of cycle {turn}", ())
    return time.perf_counter() - began


def _theirs(folder: Path, turn: int) -> float:
    began = time.perf_counter()
    (folder / "file.md").write_text(f"turn {turn}\n" * 40)
    _git(folder, "add", "file.md")
    durable = ("-c", "core.fsync=all", "-c", "core.fsyncMethod=fsync")
    _git(folder, *durable, "commit", "--quiet", "-m", "turn", "file.md")
    return time.perf_counter() - began


def _git(folder: Path, *words: str) -> None:
    who = ("-c", "user.name=bench", "-c", "user.email=bench@localhost")
    subprocess.run(("git", *who, *words), cwd=folder, check=True, capture_output=True)


main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
