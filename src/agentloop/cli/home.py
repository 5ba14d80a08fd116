"""`agentloop init` and `agentloop doctor`."""

from __future__ import annotations

import shlex
import shutil
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agentloop import exits
from agentloop.cli.common import HomeOption, JsonOption, find_home, print_json
from agentloop.home import Home

if TYPE_CHECKING:
    from agentloop.doctor import Check
    from agentloop.initialise import Plan


def init(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="The folder to make a home of; made when missing.")
    ] = Path(),
    *,
    home: Annotated[Path | None, typer.Option("--home", metavar="DIR", help="The same as DIR.")] = None,
    target: Annotated[
        list[str] | None,
        typer.Option("--target", help="Path or URL of a repository to work for; may be repeated."),
    ] = None,
    github: Annotated[
        list[str] | None,
        typer.Option(
            "--github",
            metavar="OWNER/NAME",
            help="A repository whose issues and pull requests are on GitHub (or its address elsewhere).",
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be made; change nothing.")
    ] = False,
    no_input: Annotated[bool, typer.Option("--yes", "-y", "--no-input", help="Ask nothing.")] = False,
) -> None:
    """Make a home: settings, memories and runtime folders. Done twice, it only adds what is missing."""
    from agentloop import initialise

    targets = list(target or ())
    folder = home or folder
    made = initialise.plan(folder, targets, github or ())
    if not made.has_targets and not no_input and not dry_run and sys.stdin.isatty():
        answer = typer.prompt(
            "Repository to work for (path or URL, empty = later)", default="", show_default=False
        )
        targets = [answer.strip()] if answer.strip() else []
        made = initialise.plan(folder, targets)
    if not dry_run:
        initialise.carry_out(made)
    _tell(made, dry_run=dry_run)


def _tell(made: Plan, *, dry_run: bool) -> None:
    from agentloop.initialise import describe

    root = made.home.root
    if not made.steps:
        typer.echo(f"{root} is a home already; nothing was missing")
    else:
        typer.echo(f"{'would make' if dry_run else 'made'} in {root}:")
        for step in made.steps:
            typer.echo(f"  {describe(step, root)}")
    for note in made.notes:
        typer.echo(f"\nnote: {note}")
    if dry_run:
        typer.echo("\nnothing was changed (--dry-run)")
        return
    typer.echo("\nnext:")
    for command in _next(made):
        typer.echo(f"  {command}")


def _next(made: Plan) -> list[str]:
    go = f"cd {shlex.quote(str(made.home.root))}"
    look = ("agentloop doctor", "is everything there that is needed?")
    from agentloop.settings.reference import TOKEN_FILE

    if not made.has_targets:
        rows = [("$EDITOR agentloop.toml", "name a [[target]] repository"), look]
    elif made.on_github:
        rows = [
            ("$EDITOR agentloop.toml", 'verify = ["…"]: what every change must pass'),
            (f"install -D -m 600 /dev/stdin {TOKEN_FILE}", "paste the bot's token, then ^D; docs/github.md"),
            look,
            ("agentloop run", "file an issue on GitHub; this works on it"),
        ]
    else:
        rows = [
            look,
            ("agentloop issue new 'What should change'", "file an issue"),
            ("agentloop run", "work on it"),
        ]
    width = max(len(command) for command, _ in rows)
    return [go, *(f"{command:<{width}}  # {why}" for command, why in rows)]


def rebuild(*, home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Make everything anew that can be derived, and mend the journal; nothing is done twice by it.

    Settings are compiled, caches and indexes deleted, mirrors checked and filled; results, ledgers and
    versions of the relay stay.
    """
    from agentloop import rebuilding

    done = []
    for sentence in rebuilding.rebuild(Home(find_home(home))):
        done.append(sentence)
        if not as_json:
            typer.echo(sentence)
    if as_json:
        print_json({"done": done})


def doctor(*, home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Look whether everything is there that the loop needs, and say how to mend what is not."""
    from agentloop import doctor as checks

    found = Home(find_home(home))
    results = []
    for check in checks.examine(found):
        results.append(check)
        if not as_json:
            _print(check)
    failed = [check for check in results if check.state == "fail"]
    if as_json:
        print_json(checks.as_json(found, results))
    else:
        typer.echo(_summary(results))
    if failed:
        raise typer.Exit(exits.FAILED)


_COLOURS = {"ok": "green", "warn": "yellow", "fail": "red", "skip": "bright_black"}
_NAME_WIDTH = 14


def _print(check: Check) -> None:
    width = min(100, shutil.get_terminal_size().columns) - 1
    indent = " " * (6 + _NAME_WIDTH + 1)
    lines = _wrapped(check.what, width, f"{'':6}{check.name:<{_NAME_WIDTH}} ", indent) or [check.name]
    if check.fix:
        lines += _wrapped(check.fix, width, f"{indent}fix: ", f"{indent}     ")
    state = typer.style(f"{check.state:<4}", fg=_COLOURS[check.state], bold=check.state == "fail")
    typer.echo("\n".join([f"{state}  {lines[0].lstrip()}", *lines[1:]]))


def _wrapped(text: str, width: int, first: str, others: str) -> list[str]:
    return textwrap.wrap(
        text,
        max(width, len(others) + 20),
        initial_indent=first,
        subsequent_indent=others,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _summary(results: list[Check]) -> str:
    counts = {state: sum(check.state == state for check in results) for state in ("fail", "warn")}
    if counts["fail"]:
        return f"\n{counts['fail']} to mend before the loop can work" + (
            f", {counts['warn']} to know" if counts["warn"] else ""
        )
    return f"\nready to run; {counts['warn']} to know" if counts["warn"] else "\nready to run"
