"""The edit tool, run as the sandbox runs it: a script of its own with JSON in and out."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib import resources
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

SCRIPT = resources.files("agentloop.worker").joinpath("hands.py").read_text("utf-8")


def edit(tree: Path, **given: object) -> tuple[bool, str]:
    """Make one edit in `tree`."""
    ran = subprocess.run(
        [sys.executable, "-I", "-S", "-c", SCRIPT],
        cwd=tree,
        input=json.dumps(given).encode(),
        capture_output=True,
        check=True,
    )
    answer = json.loads(ran.stdout)
    return answer["ok"], answer["says"]


def test_view_numbers_lines_and_says_what_is_not_shown(tmp_path: Path) -> None:
    """A range is shown with its numbers, and how to see more."""
    (tmp_path / "f").write_text("".join(f"line {n}\n" for n in range(1, 1001)))
    ok, says = edit(tmp_path, command="view", path="f", view_range=[3, 4])
    assert (ok, says) == (True, "     3\tline 3\n     4\tline 4\n… lines 5 to 1000 not shown")
    assert edit(tmp_path, command="view", path="f")[1].endswith("… lines 401 to 1000 not shown")
    assert edit(tmp_path, command="view", path=".") == (True, "f")


def test_create_makes_folders(tmp_path: Path) -> None:
    """A new file in a new folder."""
    assert edit(tmp_path, command="create", path="a/b/c.txt", file_text="x\n") == (True, "Created a/b/c.txt.")
    assert (tmp_path / "a/b/c.txt").read_text() == "x\n"
    assert edit(tmp_path, command="create", path="a/b/c.txt", file_text="") == (True, "Replaced a/b/c.txt.")


def test_str_replace_wants_exactly_one(tmp_path: Path) -> None:
    """None and several are refused; one is replaced and shown."""
    (tmp_path / "f").write_text("one\ntwo\ntwo\n")
    assert not edit(tmp_path, command="str_replace", path="f", old_str="three", new_str="x")[0]
    assert "2 times" in edit(tmp_path, command="str_replace", path="f", old_str="two", new_str="x")[1]
    ok, says = edit(tmp_path, command="str_replace", path="f", old_str="one\n", new_str="1\n1\n")
    assert (ok, says) == (True, "Edited f:\n     1\t1\n     2\t1\n     3\ttwo\n     4\ttwo")
    assert (tmp_path / "f").read_text() == "1\n1\ntwo\ntwo\n"


def test_line_ends_and_odd_bytes_stay(tmp_path: Path) -> None:
    """A file with CRLF and bytes that are no text keeps them around an edit."""
    (tmp_path / "f").write_bytes(b"a\r\nb\r\n\xff\xfe\r\n")
    assert edit(tmp_path, command="str_replace", path="f", old_str="a\nb\n", new_str="c\nd\n")[0]
    assert (tmp_path / "f").read_bytes() == b"c\r\nd\r\n\xff\xfe\r\n"


def test_insert(tmp_path: Path) -> None:
    """At the top, in the middle, after a last line without an end."""
    (tmp_path / "f").write_text("one\ntwo")
    assert edit(tmp_path, command="insert", path="f", insert_line=2, insert_text="three")[0]
    assert edit(tmp_path, command="insert", path="f", insert_line=0, insert_text="zero\n")[0]
    assert (tmp_path / "f").read_text() == "zero\none\ntwo\nthree\n"
    assert "from 0 to 4" in edit(tmp_path, command="insert", path="f", insert_line=9, insert_text="x")[1]


@pytest.mark.parametrize(
    "path", ["../out", "/etc/passwd", "link/x", "loop", "d/../../out", ".git", ".git/config"]
)
def test_nothing_outside_the_tree_or_in_git_is_touched(tmp_path: Path, path: str) -> None:
    """Absolute paths, dots, links and git's own files are refused, for every command."""
    tree = tmp_path / "tree"
    (tree / "d").mkdir(parents=True)
    (tree / ".git").write_text("gitdir: x\n")
    (tree / "link").symlink_to(tmp_path)
    (tree / "loop").symlink_to(tmp_path / "out")
    (tmp_path / "out").write_text("old\n")
    for command in (
        {"command": "view"},
        {"command": "create", "file_text": "x"},
        {"command": "str_replace", "old_str": "old", "new_str": "new"},
        {"command": "insert", "insert_line": 0, "insert_text": "x"},
    ):
        ok, _ = edit(tree, path=path, **command)
        assert not ok
    assert (tmp_path / "out").read_text() == "old\n"
    assert (tree / ".git").read_text() == "gitdir: x\n"


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"command": "rm", "path": "f"},
        {"command": "view"},
        {"command": "view", "path": "nothing"},
        {"command": "view", "path": "f", "view_range": [0, 1]},
        {"command": "view", "path": "f", "view_range": "all"},
        {"command": "view", "path": "nul\0"},
        {"command": "view", "path": "pipe"},
        {"command": "view", "path": "ring"},
        {"command": "create", "path": "f/g", "file_text": "x"},
        {"command": "create", "path": "f"},
        {"command": "str_replace", "path": "f", "old_str": "", "new_str": "x"},
        {"command": "insert", "path": "f", "insert_line": "1", "insert_text": "x"},
        {"command": "view", "path": "big"},
    ],
    ids=str,
)
def test_nonsense_is_answered_in_words(tmp_path: Path, given: dict[str, object]) -> None:
    """A model's rubbish gets an answer it can use, never a crash."""
    (tmp_path / "ring").symlink_to("ring")
    (tmp_path / "f").write_text("one\n")
    os.mkfifo(tmp_path / "pipe")
    with (tmp_path / "big").open("wb") as stream:
        stream.truncate(3_000_000)
    ok, says = edit(tmp_path, **given)
    assert not ok
    assert says
