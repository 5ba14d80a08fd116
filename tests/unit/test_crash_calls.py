"""Which system calls change something, as the crash harness reads them from strace's record."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from agentloop.testing.crash.calls import (
    Point,
    beside,
    changing,
    point_named,
    points_of,
    spread,
    strided,
)
from agentloop.testing.crash.play import Told
from agentloop.testing.crash.run import Tried, remember, remembered

if TYPE_CHECKING:
    from pathlib import Path

RECORD = """\
openat(AT_FDCWD</>, "/usr/lib/x.so", O_RDONLY|O_CLOEXEC) = 3</usr/lib/x.so>
openat(AT_FDCWD</>, "/home/a/.tmp", O_WRONLY|O_CREAT|O_EXCL|O_CLOEXEC, 0644) = 3</home/a/.tmp>
write(1<pipe:[9]>, "x", 1)              = 1
write(3</home/a/.tmp>, "{}", 2)         = 2
fsync(3</home/a/.tmp>)                  = 0
openat(AT_FDCWD</>, "/dev/null", O_RDWR|O_CLOEXEC) = 4</dev/null<char 1:3>>
rename("/home/a/.tmp", "/home/a/b")     = 0
sendto(5<TCP:[127.0.0.1:1->127.0.0.1:2]>, "POST", 4, 0, NULL, 0) = 4
+++ exited with 0 +++
"""


def test_calls_that_change_something_are_found_with_the_number_strace_counts() -> None:
    """Reading, pipes and /dev are passed over, but counted."""
    expected = (("openat", 2), ("write", 2), ("fsync", 1), ("rename", 1), ("sendto", 1))
    assert expected == changing(RECORD)


def test_each_process_is_counted_for_itself() -> None:
    """The second process's first call of a kind is its first, whatever the others did before."""
    assert changing('7 mkdir("/a", 0777) = 0\n8 mkdir("/b", 0777) = 0\n7 mkdir("/c", 0777) = 0\n') == (
        ("mkdir", 1),
        ("mkdir", 2),
    )


def test_what_another_thread_does_to_a_file_is_a_point_by_the_file(tmp_path: Path) -> None:
    """Calls are counted for each thread by itself: its n-th call would be met in the first thread before."""
    beat = "/dev/shm/1/world/home/heartbeat"  # noqa: S108 -- a name in a record
    record = f"""\
7  openat(AT_FDCWD</>, "{tmp_path}/a", O_WRONLY|O_CREAT, 0644) = 3<{tmp_path}/a>
7  rename("{tmp_path}/a", "{tmp_path}/b") = 0
8  rename("/dev/shm/1/world/home/.agentloop-tmp-12ab", "{beat}") = 0
8  connect(5<socket:[1]>, {{sa_family=AF_INET}}, 16) = 0
9  execve("/usr/bin/git", ["git"], 0x7 <detached ...>
8  rename("/dev/shm/1/world/home/.agentloop-tmp-34cd", "{beat}") = 0
"""
    expected = (("rename", 1, "home/heartbeat"), ("connect", 1, ""), ("rename", 2, "home/heartbeat"))
    assert beside(record) == expected
    points = list(points_of("work", "attempt", record, "kill"))
    assert [(one.call, one.n) for one in points[:2]] == [("openat", 1), ("rename", 1)]
    assert [point_named(one.name) for one in points] == points
    assert [one.only for one in points[2:]] == ["home/heartbeat", "", "home/heartbeat"]


def test_only_points_tried_on_this_code_are_not_tried_again(tmp_path: Path) -> None:
    """What was seen of other code says nothing about this one."""
    point = Point(step="plan", role="cycle", call="write", n=3)
    results = tmp_path / "results"
    remember(results, Tried(point=point, struck=True, told=Told(), seconds=1.0), "old")
    assert (remembered(results, "old"), remembered(results, "new")) == (frozenset({point.name}), frozenset())


def test_a_fault_is_injected_only_into_calls_that_it_can_happen_to() -> None:
    """A full disk is no answer of sendto, and no descriptor is missing for a write."""
    assert [one.call for one in points_of("plan", "cycle", RECORD, "EMFILE")] == ["openat"]
    assert "sendto" not in [one.call for one in points_of("plan", "cycle", RECORD, "ENOSPC")]


@given(st.integers(1, 400), st.integers(0, 9))
def test_every_order_holds_each_point_once_and_a_name_leads_back_to_it(many: int, seed: int) -> None:
    """Whatever the seed, nothing is left out; what a failure prints is what --only takes."""
    points = [Point(step="plan", role="cycle", call="write", n=n) for n in range(many)]
    ordered = strided(points, seed)
    assert points == sorted(ordered)
    assert [point_named(one.name) for one in ordered] == list(ordered)


def test_the_beginning_of_an_order_is_spread_over_the_story() -> None:
    """Twenty of a thousand points: every tenth of the story is met."""
    points = [Point(step="plan", role="cycle", call="write", n=n) for n in range(1000)]
    assert set(range(10)) == {one.n // 100 for one in strided(points, 1)[:20]}


def test_small_roles_are_not_drowned_by_large_ones() -> None:
    """One of each step, role and fault in turn; each point once."""
    many = [Point(step="plan", role=f"git{n}", call="write", n=n) for n in range(50)]
    few = [Point(step="file", role="issue", call="fsync", n=n, fault="EIO+") for n in range(3)]
    ordered = spread([*many, *few], 1)
    assert [one.role for one in ordered[:6]].count("issue") == 3
    assert sorted(ordered) == sorted([*many, *few])


def test_files_in_memory_are_files_and_a_gits_own_birth_is_its_parents_call() -> None:
    """What lies in shared memory is no device; a git that was never there did nothing."""
    record = 'execve("/usr/bin/git", ["git"], 0x7) = 0\nmkdir("/dev/shm/a", 0777) = 0\n'
    record += 'openat(AT_FDCWD</>, "/dev/shm/a/b", O_WRONLY|O_CREAT, 0644) = 3</dev/shm/a/b>\n'
    assert [one.call for one in points_of("plan", "git1", record, "kill")] == ["mkdir", "openat"]
    assert [one.call for one in points_of("plan", "git1", record, "EROFS+")] == ["mkdir", "openat"]
