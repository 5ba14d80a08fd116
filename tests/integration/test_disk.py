"""The disk is bounded, and what makes room is nobody's: nothing that lives, or that a task may still need."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from typing import TYPE_CHECKING

from agentloop.domain.codec import encode
from agentloop.domain.order import held_back
from agentloop.edges import disk
from agentloop.edges.executor import LocalExecutor
from agentloop.edges.files import TEMP_PREFIX
from agentloop.edges.processes import me
from agentloop.home import Home
from agentloop.testing.samples import Told

if TYPE_CHECKING:
    from pathlib import Path

MB = 1_000_000


def attempt(home: Home, name: str, *, megabytes: int = 2, age: int = 0) -> Path:
    """The records of an attempt that ended `age` seconds ago."""
    folder = home.attempt(name)
    folder.root.mkdir(parents=True)
    home.run.mkdir(exist_ok=True)
    folder.events.write_bytes(b"x" * megabytes * MB)
    folder.claim.write_text("{}")
    moment = folder.root.stat().st_mtime - age
    os.utime(folder.root, (moment, moment))
    return folder.root


def test_records_of_finished_tasks_make_room_the_oldest_first(tmp_path: Path) -> None:
    """As many as it takes, and not one more; gates' folders go with their attempts."""
    home = Home(tmp_path)
    old, older, new = attempt(home, "1.1.1", age=50), attempt(home, "1.1.2", age=90), attempt(home, "1.1.3")
    used = disk.bound(home, 5, lambda: ("1.1.1", "1.1.2", "1.1.3"))
    assert (older.exists(), old.exists(), new.exists()) == (False, True, True)
    assert used == disk.known_mb(home) == 4


def test_what_lives_or_is_not_named_is_never_touched(tmp_path: Path) -> None:
    """A live claim, a task in hand, an attempt that no journal knows: the bound is missed, and it is said."""
    home = Home(tmp_path)
    alive, in_hand = attempt(home, "1.1.1", age=90), attempt(home, "2.1.1", age=90)
    home.attempt("1.1.1").claim.write_text(json.dumps(encode(me())))
    used = disk.bound(home, 1, lambda: ("1.1.1",))
    assert (alive.exists(), in_hand.exists(), used) == (True, True, 4)


def test_what_a_lost_journal_does_not_know_counts_and_makes_room(tmp_path: Path) -> None:
    """Its trees go with the sweep, its records when room is needed."""
    home = Home(tmp_path)
    folder = attempt(home, "1.1.1")
    (folder / "tree").mkdir()
    home.forgotten.mkdir()
    away = folder.rename(home.forgotten / "attempts-1.1.1-20261120T100000")
    LocalExecutor(tmp_path).sweep(frozenset())
    assert ((away / "tree").exists(), disk.used_bytes(home) // MB) == (False, 2)
    assert disk.bound(home, 1, tuple) == 0
    assert not away.exists()


def test_work_trees_are_not_counted(tmp_path: Path) -> None:
    """They have bounds of their own, and a look at each file of theirs would take long."""
    home = Home(tmp_path)
    folder = attempt(home, "1.1.1", megabytes=1)
    (folder / "tree").mkdir()
    (folder / "tree/big").write_bytes(b"x" * 3 * MB)
    assert disk.used_bytes(home) // MB == 1


def test_it_is_not_measured_in_each_cycle(tmp_path: Path) -> None:
    """What was measured holds for ten minutes."""
    home = Home(tmp_path)
    home.run.mkdir(parents=True)
    assert disk.bound(home, 5, tuple) == 0
    attempt(home, "1.1.1", megabytes=9)
    assert disk.bound(home, 5, lambda: ("1.1.1",)) == 0


def test_no_attempt_is_started_beyond_the_bound() -> None:
    """And the reason is said where one looks why nothing starts."""
    told = Told().issue().planned("7.1")
    scene = told.scene()
    full = replace(scene, observed=replace(scene.observed, disk_mb=10_001))
    assert held_back(scene, told.world.tasks["7.1"]) == ()
    assert held_back(full, told.world.tasks["7.1"]) == ("10001 MB of disk are used (limits.disk_mb)",)
    short = replace(scene, observed=replace(scene.observed, disk_short=True))
    said = "the disk is nearly full: less than twice limits.free_mb is left"
    assert held_back(short, told.world.tasks["7.1"]) == (said,)


def test_the_temp_file_of_a_killed_starter_is_swept(tmp_path: Path) -> None:
    """Killed between writing a spec and giving it its name: it would have stayed as long as the records."""
    home = Home(tmp_path)
    left = attempt(home, "1.1.1") / f"{TEMP_PREFIX}04950f65d5fc"
    left.write_text("{}")
    LocalExecutor(tmp_path).sweep(frozenset({"1.1.1"}))
    assert left.exists()
    LocalExecutor(tmp_path).sweep(frozenset())
    assert not left.exists()
