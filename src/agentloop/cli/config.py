"""`agentloop config`: what the settings are, where they come from, and whether they are right."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agentloop import exits
from agentloop.cli.common import HomeOption, JsonOption, find_home, print_json
from agentloop.errors import AgentloopError
from agentloop.home import Home

if TYPE_CHECKING:
    from agentloop.settings.loading import Loaded

app = typer.Typer(
    name="config",
    help="What the settings are, where they come from, whether they are right.",
    no_args_is_help=True,
)


def home_at(given: Path | None) -> Home:
    """Return the home that was named, or the nearest around here. Raises HomeError."""
    return Home(find_home(given))


@app.command()
def show(
    *,
    home: HomeOption = None,
    origin: Annotated[bool, typer.Option("--origin", help="Say where each value comes from.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Show every setting in force."""
    from agentloop.settings.loading import load

    loaded = load(home_at(home))
    if as_json:
        print_json(_shown_json(loaded))
        return
    for line in _shown(loaded, origin=origin):
        typer.echo(line)


def _shown_json(loaded: Loaded) -> dict[str, Any]:
    from agentloop.settings.problems import name_of

    return {
        "settings": [
            {
                "key": name_of(key),
                "value": value,
                "layer": loaded.origins[key].layer,
                "where": loaded.origins[key].where,
            }
            for key, value in loaded.values.items()
        ],
    }


def _shown(loaded: Loaded, *, origin: bool) -> list[str]:
    from agentloop.settings.problems import name_of
    from agentloop.settings.reference import literal

    rows = [
        (f"{name_of(key)} = {literal(value)}", str(loaded.origins[key]))
        for key, value in loaded.values.items()
        if value != {}
    ]
    if not origin:
        return [said for said, _ in rows]
    columns = shutil.get_terminal_size().columns if sys.stdout.isatty() else _WIDE
    longest = max((len(said) for said, _ in rows), default=0)
    width = min(_WIDTH, longest, max(_PLACE, columns - _PLACE - 2))
    return [_row(said, where, width, columns) for said, where in rows]


_WIDTH = 52
_WIDE = 10_000
_PLACE = 26
"""Columns that most places need: agentloop.toml:123, AGENTLOOP_LIMITS__DAY_USD."""


def _row(said: str, where: str, width: int, columns: int) -> str:
    """Return a value and where it comes from on one line, or on two where one does not hold them."""
    line = f"{said:<{width}}  {where}"
    if len(said) <= width and len(line) <= columns:
        return line
    return f"{said}\n{'':<{max(0, min(width, columns - len(where) - 2))}}  {where}"


@app.command()
def check(*, home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Look for mistakes in the settings; change nothing."""
    from agentloop.domain.limits import too_narrow
    from agentloop.settings.loading import load
    from agentloop.settings.problems import InvalidSettingsError

    try:
        loaded = load(home_at(home))
    except InvalidSettingsError as error:
        if not as_json:
            raise
        found = [{"where": each.where, "what": each.what, "fix": each.fix} for each in error.problems]
        print_json({"ok": False, "problems": found})
        raise typer.Exit(exits.SETTINGS) from error
    narrow = too_narrow(loaded.settings)
    if as_json:
        print_json({"ok": True, "problems": [], "warnings": [narrow] if narrow else []})
        return
    read = [str(path) for path in loaded.files if path.exists()]
    typer.echo(f"the settings are right ({', '.join(read)})")
    if narrow:
        typer.echo(f"but {narrow}")


@app.command(name="compile")
def compile_(*, home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Validate the settings and write .agentloop/settings.json, which is all that the loop reads."""
    from agentloop.domain import codec
    from agentloop.settings.compiling import compile_settings

    try:
        found = home_at(home)
        settings = compile_settings(found)
    except AgentloopError as error:
        if not as_json:
            raise
        typer.echo(json.dumps({"error": _said(error)}, ensure_ascii=False))
        raise typer.Exit(exits.code_for(error)) from error
    if as_json:
        typer.echo(json.dumps({"settings": codec.encode(settings)}, ensure_ascii=False))
        return
    typer.echo(f"compiled to {found.compiled_settings}")


def _said(error: AgentloopError) -> Mapping[str, str]:
    return {"kind": type(error).__name__, "what": error.what, "fix": error.fix, "read": error.read}


@app.command()
def docs() -> None:
    """Print the reference of all settings as Markdown."""
    from agentloop.settings import reference

    typer.echo(reference.markdown(), nl=False)
