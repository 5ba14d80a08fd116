"""The list of commands, held against what the commands say of themselves."""

from __future__ import annotations

import pytest

from agentloop.cli import app, catalogue, common


@pytest.mark.parametrize("columns", [200, 80, 66, 20])
def test_the_quick_help_is_the_frameworks(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    """Word for word, on a wide terminal and on a narrow one."""
    monkeypatch.setenv("COLUMNS", str(columns))
    common.run(app.joined(), ["--help"])
    assert catalogue.help_text(catalogue.columns()) == capsys.readouterr().out


def test_a_command_alone_is_called_as_among_all(capsys: pytest.CaptureFixture[str]) -> None:
    """One command of a group of one is still called by its name; an unknown one is refused."""
    assert [app.run(["resume", "--help"]), app.run(["resum"])] == [0, 2]
    told = capsys.readouterr()
    assert "Usage: agentloop resume" in told.out
    assert "resume" in told.err
