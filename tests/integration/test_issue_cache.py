"""The cache of the built-in tracker: whatever happens to the files, a look with it is a look without it."""

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agentloop.domain.effects import Say
from agentloop.domain.valueclass import replace
from agentloop.edges.issuecache import RACY_NS, IssueCache, Known, is_steady
from agentloop.edges.recordfolder import Marks
from agentloop.edges.tracker import FileTracker

if TYPE_CHECKING:
    from pathlib import Path

ISSUES = 6
NUMBER = st.integers(1, ISSUES)
WORDS = st.sampled_from(["aaaa", "bbbb", "cc", "## comment c9 · x", "---", ""])
EDIT = st.tuples(
    st.sampled_from(["in place", "saved", "close", "reopen", "delete", "stray", "new"]), NUMBER, WORDS
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a tracker whose issues are old enough to be kept, one with a comment of ours."""
    made: Path = tmp_path_factory.mktemp("home") / "tracker"
    tracker = FileTracker(made)
    for number in range(1, ISSUES + 1):
        tracker.new(f"Issue {number}", "what it says: aaaa", author="ana", labels=("bug",))
    tracker.act("plan:1", Say(issue="1", body="I will do it.", carries=""))
    time.sleep(2 * RACY_NS / 1e9)
    return made


def _cached(folder: Path) -> FileTracker:
    return FileTracker(folder, cache=folder.parent / "issues.json")


def _edit(folder: Path, what: str, number: int, words: str) -> None:
    path, closed = folder / f"issues/{number:04}.md", folder / f"issues/closed/{number:04}.md"
    if what == "new":
        (folder / "issues/idea.md").write_text(f"An idea {words}\n")
    elif what == "reopen" and closed.exists():
        FileTracker(folder).reopen(str(number))
    elif not path.exists():
        return
    elif what == "in place":
        text = path.read_bytes()
        with path.open(
            "r+b"
        ) as stream:  # the same inode, the same size, and maybe the same tick of the clock
            stream.write(
                text.replace(b"aaaa", b"cccc") if b"aaaa" in text else text.replace(b"cccc", b"aaaa")
            )
        os.utime(path, ns=(1_700_000_000_000_000_000, 1_700_000_000_000_000_000))
    elif what == "saved":
        path.write_text(path.read_text() + words)
    elif what == "close":
        FileTracker(folder).close(str(number), reason=words, author="ana")
    elif what == "delete" and words == "cc":
        path.unlink()
    elif what == "stray":
        path.write_text(path.read_text() + f"\nI say {words}\n")


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(edits=st.lists(st.lists(EDIT, max_size=2), min_size=1, max_size=4))
def test_a_look_with_the_cache_is_a_look_without_it(
    folder: Path, edits: list[list[tuple[str, int, str]]]
) -> None:
    """Edits of every kind between looks: same size, same tick, set back, closed, opened, deleted."""
    known = frozenset(map(str, range(1, ISSUES + 1)))
    for few in edits:
        for edit in few:
            _edit(folder, *edit)
        assert FileTracker(folder).observe(known) == _cached(folder).observe(known)


def test_what_is_kept_is_taken_only_under_the_same_stamp_and_key(tmp_path: Path) -> None:
    """An issue comes from the cache while its file stands still; under another key, or damaged: read anew."""
    folder = tmp_path / "tracker"
    FileTracker(folder).new("A title", "words", author="ana")
    FileTracker(folder).act("plan:1", Say(issue="1", body="Ours.", carries=""))
    time.sleep(2 * RACY_NS / 1e9)
    _cached(folder).observe(frozenset())
    path, key = tmp_path / "issues.json", Marks(folder).name()
    cache = IssueCache(path)
    (kept,) = cache.load(key).values()
    assert FileTracker(folder).observe(frozenset()) == (kept.issue,)
    _spoil(path, kept)
    assert [one.title for one in _cached(folder).observe(frozenset())] == ["From the cache"]
    os.utime(folder / "issues/0001.md")
    assert [one.title for one in _cached(folder).observe(frozenset())] == ["A title"]
    _spoil(path, kept)
    (folder / "key").write_text("another\n")
    (seen,) = _cached(folder).observe(frozenset())
    assert (seen.title, [one.ours for one in seen.comments]) == ("A title", [False])
    for damage in (b"", b"{}", b'{"v":1}\n[', path.read_bytes()[:-2], b"\xff" * 100):
        path.write_bytes(damage)
        assert _cached(folder).observe(frozenset()) == FileTracker(folder).observe(frozenset())


def _spoil(path: Path, kept: Known) -> None:
    """Put a title there that no file has, so that what comes from the cache can be told."""
    key = json.loads(path.read_bytes().partition(b"\n")[0])["key"]
    path.unlink()
    changed = Known(stamp=kept.stamp, issue=replace(kept.issue, title="From the cache"))
    IssueCache(path).keep(key, {"1": changed})


def test_a_file_that_changed_a_moment_ago_is_not_kept() -> None:
    """It may change again within the same tick, whatever its modification time was set to."""
    now, long_ago = 1_700_000_000_000_000_000, 1_600_000_000_000_000_000
    stamps = [(long_ago, 9, 1, now - RACY_NS), (now + RACY_NS, 9, 1, long_ago), (long_ago, 9, 1, long_ago)]
    assert [is_steady(stamp, now) for stamp in stamps] == [False, False, True]
