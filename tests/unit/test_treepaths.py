"""Names that no change may bring in, each with an honest twin that may."""

from __future__ import annotations

import pytest

from agentloop.domain.treepaths import collisions, objection

HOSTILE = [
    b".git/config",
    b"sub/.git/hooks/post-checkout",
    b".GIT/config",
    b".Git",
    b".git./x",
    b".git /x",
    b".git...",
    b".git::$INDEX_ALLOCATION/config",
    b".git:stream",
    b"git~1/config",
    b"GIT~1",
    b"gitmod~1",
    b"GI7EBA~1",
    ".g\u200cit/config".encode(),
    "\u202e.git".encode(),
    ".git\ufeff".encode(),
    "\uff0egit".encode(),
    b".GITMODULES",
    b".gitModules",
    b".gitattributes.",
    b"../x",
    b"a/../../x",
    b"/etc/passwd",
    b"a//b",
    b"./a",
    b"a\\..\\b",
    b"a\nb",
    b"a\x00b",
    b"a\x1b[31m",
    b"\xff\xfe",
    b"a. ",
    b"dir./x",
    "safe\u202etxt.py".encode(),
    b"x" * 256,
    b"/".join([b"d"] * 65),
    b"/".join([b"d" * 100] * 11),
]
BENIGN = [
    b".gitignore",
    b".gitattributes",
    b".github/workflows/ci.yml",
    b"git/config",
    b"digit~1.txt",
    b"my.git/config",
    b".gitx",
    b"..a",
    b"a..b",
    b"...a",
    "grüße/日本語.md".encode(),
    "👩\u200d💻.md".encode(),
    b"a b/c d.txt",
    b"a:b",
    b"x" * 255,
    b"-rf",
    b"$HOME",
]


@pytest.mark.parametrize("path", HOSTILE)
def test_a_hostile_name_is_refused_with_a_reason(path: bytes) -> None:
    """Aliases of .git, ways out of the tree, and names that lie are told from others."""
    assert objection(path)


@pytest.mark.parametrize("path", BENIGN)
def test_a_benign_twin_is_let_through(path: bytes) -> None:
    """What looks like it but means no harm is a name like any other."""
    assert objection(path) is None


def test_names_that_fall_together_elsewhere_are_named_together() -> None:
    """Case and Unicode normal form make two names one on other file systems."""
    assert collisions(["a/B", "a/b", "c", "é", "e\u0301", "d"]) == frozenset(
        {frozenset({"a/B", "a/b"}), frozenset({"é", "e\u0301"})}
    )
