"""The one glob dialect: what each sign means, and that it stays quick."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentloop.domain.globs import matches

YES = [
    ("Makefile", "Makefile"),
    ("docs/a/b.md", "docs"),
    ("docs/a/b.md", "docs/"),
    ("docs/a/b.md", "./docs/a"),
    ("tests/test_a.py", "tests/**"),
    ("tests/deep/er/test_a.py", "tests/**"),
    ("tests", "tests/**"),
    ("test_a.py", "**/test_*.py"),
    ("a/b/test_a.py", "**/test_*.py"),
    ("src/x.py", "src/*.py"),
    ("src/a/b/x.py", "src/**/x.py"),
    ("src/x.py", "src/**/**/x.py"),
    ("src/x.ts", "src/**/*.{js,ts}"),
    ("a1", "a[0-9]"),
    ("ab", "a?"),
    ("anything/at/all", "**"),
]
NO = [
    ("sub/Makefile", "Makefile"),
    ("docsy/a.md", "docs"),
    ("src/a/x.py", "src/*.py"),
    ("src/x.py", "*.py"),
    ("x.PY", "*.py"),
    ("src/x.jsx", "src/**/*.{js,ts}"),
    ("a/b", "a?b"),
    ("mytests/x", "tests/**"),
    ("anything", ""),
]


@pytest.mark.parametrize(("path", "glob"), YES)
def test_a_path_that_a_glob_means_matches(path: str, glob: str) -> None:
    """Each sign of the dialect, on a path it stands for."""
    assert matches(path, [glob])


@pytest.mark.parametrize(("path", "glob"), NO)
def test_a_path_that_a_glob_does_not_mean_does_not_match(path: str, glob: str) -> None:
    """Each sign of the dialect, on a path just beyond it."""
    assert not matches(path, [glob])


def test_no_globs_match_nothing() -> None:
    """An empty list of globs is no glob, and not every path."""
    assert not matches("a", [])


@given(st.lists(st.sampled_from(["a", "b", "c.py", "ä"]), min_size=1, max_size=6).map("/".join))
def test_a_plain_path_matches_itself_its_folders_and_everything(path: str) -> None:
    """A path is matched by its own name, by each folder above it, and by `**`."""
    parts = path.split("/")
    folders = ["/".join(parts[:end]) for end in range(1, len(parts) + 1)]
    assert all(matches(path, [folder]) for folder in folders)
    assert matches(path, ["**"])


def test_a_spiteful_glob_is_answered_quickly() -> None:
    """Repeated `**` and braces cost no more than a table's worth of steps."""
    assert not matches("/".join(["a"] * 200), ["/".join(["**", "a"] * 100) + "/b", "{a,b}" * 40])
