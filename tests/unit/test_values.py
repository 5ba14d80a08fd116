"""The values of a command line: what needs no conversion passes by the validators, anything else does not."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Annotated, Literal

import pytest
import typer

from agentloop import exits
from agentloop.cli import common

if TYPE_CHECKING:
    from pathlib import Path

AFTER = "import sys; from agentloop.__main__ import main; main(sys.argv[1:]); print(*sorted(sys.modules))"


@pytest.mark.parametrize("words", [["issue", "list"], ["tasks"], ["cost"], ["issue", "new", "A title"]])
def test_a_command_does_not_load_the_validators(tmp_path: Path, words: list[str]) -> None:
    """Loading pydantic takes longer than most commands do."""
    (tmp_path / "agentloop.toml").touch()
    (tmp_path / ".agentloop/run").mkdir(parents=True)
    compiling = (sys.executable, "-P", "-m", "agentloop", "config", "compile", "--home", str(tmp_path))
    subprocess.run(compiling, check=True, capture_output=True)
    command = (sys.executable, "-P", "-c", AFTER, *words, "--home", str(tmp_path))
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    assert {"pydantic", "anthropic", "structlog", "git"} & set(ran.stdout.splitlines()[-1].split()) == set()


@pytest.mark.parametrize(
    ("words", "given"),
    [
        ([], "7 open None []"),
        (["--limit", "9"], "9 open None []"),
        (["--state", "closed"], "7 closed None []"),
        (["--label", "a", "--label", "b"], "7 open None ['a', 'b']"),
        (["--title", ""], "7 open  []"),
        (["--limit", "0"], None),
        (["--limit", "x"], None),
        (["--state", "ajar"], None),
        (["--limit"], None),
    ],
)
def test_values_are_what_the_framework_makes_of_them(
    capsys: pytest.CaptureFixture[str], words: list[str], given: str | None
) -> None:
    """Defaults and texts as they are; numbers and lists converted; what is wrong is refused."""
    app = typer.Typer(pretty_exceptions_enable=False)

    @app.command()
    def show(
        *,
        limit: Annotated[int, typer.Option("--limit", min=1)] = 7,
        state: Annotated[Literal["open", "closed"], typer.Option("--state")] = "open",
        title: Annotated[str | None, typer.Option("--title")] = None,
        label: Annotated[list[str] | None, typer.Option("--label")] = None,
    ) -> None:
        typer.echo(f"{limit} {state} {title} {list(label or ())}")

    code = common.run(app, words)
    told = capsys.readouterr().out.strip("\n")
    assert (code, told) == ((exits.USAGE, "") if given is None else (exits.OK, given))
