"""Prompts: what is shipped is whole, a home may replace it, and a mistake names file and line."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from agentloop import prompts
from agentloop.errors import SettingsError

if TYPE_CHECKING:
    from pathlib import Path


def override(home: Path, name: str, text: str) -> Path:
    """Put a prompt into a home and return its path."""
    path = home / "prompts" / f"{name}.md"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    return path


def test_every_shipped_prompt_is_whole() -> None:
    """No problem with what we ship."""
    assert prompts.check() == ()


def test_variables_are_filled_in() -> None:
    """The rendered prompt holds the values and no braces."""
    text = prompts.render("worker", None, checks="    make test", turns="7")
    assert "    make test" in text
    assert "at most 7 answers" in text
    assert "{{" not in text


def test_a_value_is_never_taken_for_a_template() -> None:
    """Braces and backslashes in a value stay as they are."""
    value = r"{{turns}} \1 \g<0>"
    assert value in prompts.render("worker", None, checks=value, turns="7")


def test_a_home_replaces_a_prompt(tmp_path: Path) -> None:
    """The home's file wins, and only that one."""
    override(tmp_path, "summary", "In {{ words }} words.")
    assert prompts.render("summary", tmp_path, words="9") == "In 9 words."
    assert "research agent" in prompts.render("worker-research", tmp_path, turns="3")


def test_an_unknown_variable_names_file_line_and_what_was_meant(tmp_path: Path) -> None:
    """Rendering raises, checking lists; both say where."""
    path = override(tmp_path, "worker", "{{checks}}\n\n{{turn}} {{turns}}\n")
    with pytest.raises(SettingsError) as caught:
        prompts.render("worker", tmp_path, checks="c", turns="1")
    assert caught.value.what == f"{path}:3: unknown variable {{{{turn}}}}; did you mean {{{{turns}}}}?"
    assert [str(problem) for problem in prompts.check(tmp_path)] == [caught.value.what]


def test_an_unused_variable_names_the_file(tmp_path: Path) -> None:
    """A prompt that leaves out what the model must know is refused."""
    path = override(tmp_path, "worker", "one\ntwo {{checks}}\n")
    (problem,) = prompts.check(tmp_path)
    assert str(problem) == f"{path}:2: variable {{{{turns}}}} is never used"
    assert "{{turns}}" in problem.fix


def test_a_prompt_under_no_known_name_is_told(tmp_path: Path) -> None:
    """A misspelt override would silently do nothing."""
    path = override(tmp_path, "worker-reserch", "x")
    (problem,) = prompts.check(tmp_path)
    assert str(problem) == f"{path}:1: no prompt is called 'worker-reserch'; did you mean worker-research.md?"


@pytest.mark.parametrize(
    "data", [b"", b"  \n", b"\xff\xfe{{words}}", b"{{words}}" + b"x" * prompts.LONGEST_BYTES]
)
def test_rubbish_is_refused_with_its_place(tmp_path: Path, data: bytes) -> None:
    """Empty, undecodable and endless files are problems, not prompts."""
    path = override(tmp_path, "summary", "")
    path.write_bytes(data)
    with pytest.raises(SettingsError, match=r"summary\.md:1: "):
        prompts.render("summary", tmp_path, words="1")
    assert prompts.check(tmp_path)[0].file == path
