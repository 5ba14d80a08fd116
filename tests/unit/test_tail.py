"""The tail of function length counts what a reader has to hold in mind."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

TAIL = Path(__file__).parents[2] / "scripts" / "tail.py"

SHORT = '''
def short(x):
    """A docstring is no code.

    Nor is its second paragraph.
    """
    # nor is a comment

    def nested(y):
        return 1 if y else 2

    return [z for z in x if nested(z)]
'''
LONG = "def long(x):\n" + "    x += 1\n" * 40 + "    return x\n"
BRANCHING = "def branching(x):\n" + "    if x:\n        x = 0\n" * 9


def tail(folder: Path) -> list[str]:
    """Return what is printed for `folder`, a line each, without the folder's name."""
    done = subprocess.run(
        [sys.executable, TAIL, folder], capture_output=True, text=True, check=True, timeout=90
    )
    return done.stdout.replace(f"{folder}/", "").replace(f"{folder}: ", "").splitlines()


def test_docstring_comments_and_nested_functions_do_not_count(tmp_path: Path) -> None:
    """`def` and `return` are two lines, the comprehension's condition one branch; `nested` is apart."""
    (tmp_path / "a.py").write_text(SHORT)
    assert tail(tmp_path) == [
        "2 functions",
        "lines     p50   2   p95   2   longest   2",
        "branches  p50   1   p95   1   longest   1",
        "beyond 34 lines or 8 branches: 0",
        "  longest: 2 lines 1 branches  a.py:2 short",
        "  longest: 2 lines 1 branches  a.py:9 nested",
    ]


def test_what_is_long_or_branches_is_named_the_longest_first(tmp_path: Path) -> None:
    """A function beyond either figure is named with its place and both sizes."""
    (tmp_path / "a.py").write_text(SHORT + BRANCHING + LONG)
    assert tail(tmp_path)[3:] == [
        "beyond 34 lines or 8 branches: 2",
        "   42 lines   0 branches  a.py:32 long",
        "   19 lines   9 branches  a.py:13 branching",
    ]
