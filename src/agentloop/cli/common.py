"""What all commands share: the home, output for people and for programs, errors, words and where from."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeVar

import typer
from rich.console import Console
from rich.text import Text
from typer.main import get_command

from agentloop import exits, light
from agentloop.cli import misspelt
from agentloop.cli.values import plainly
from agentloop.edges import runfolder
from agentloop.errors import AgentloopError, ConflictError, HomeError, NotFoundError

if TYPE_CHECKING:
    from rich.table import Table

SCHEMA: Final = 1
"""Version of the JSON that commands print; it grows when a field goes or changes its name or meaning."""

LIMIT: Final = 20
"""Rows of a list when nothing else is said."""

_PIPE_WIDTH: Final = 160

_HARMFUL: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\u200e\u200f\u202a-\u202e\u2066-\u2069]"
)
"""What a terminal obeys or cannot show, and marks of writing direction: they make a line read otherwise."""

HomeOption = Annotated[
    Path | None,
    typer.Option("--home", metavar="DIR", help="Default: AGENTLOOP_HOME, or the nearest home."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="For a program: JSON with a schema version.")]
CompactOption = Annotated[bool, typer.Option("--compact", help="JSON on one line, without what is empty.")]
LimitOption = Annotated[int, typer.Option("--limit", "-n", min=1, max=100_000, help="Rows at most.")]
RawOption = Annotated[bool, typer.Option("--raw", help="Show Markdown as it was written.")]
NoInputOption = Annotated[bool, typer.Option("--no-input", help="Never ask, never open an editor.")]

T = TypeVar("T")


def find_home(given: Path | None) -> Path:
    """Return the home: as given, else AGENTLOOP_HOME, else the nearest folder here with agentloop.toml.

    Raises HomeError, with the fix, when there is none.
    """
    home = Path(light.find_home(str(given) if given else None, os.environ))
    if not (home / "agentloop.toml").is_file():
        raise HomeError(
            f"{home} is no home: it has no agentloop.toml", fix=f"agentloop init {shlex.quote(str(home))}"
        )
    return home


def refuse_unknown_target(target: str, home: Path) -> None:
    """Raise NotFoundError, naming those there are, when the settings have no such target."""
    from agentloop import compiled
    from agentloop.home import Home

    settings, _ = compiled.in_force(Home(home))
    if settings.target(target) is None:
        names = ", ".join(each.name for each in settings.targets) or "none yet"
        raise NotFoundError(f"there is no target {target!r}", fix=f"the targets in agentloop.toml: {names}")


def elsewhere(home: Path) -> str:
    """Say where the issues and pull requests of targets on GitHub are; "" when no target is there."""
    from agentloop import compiled
    from agentloop.home import Home

    known = compiled.read(Home(home))
    there = [one for one in known.settings.targets if one.tracker == "github"] if known else []
    told = ", ".join(f"{one.name}: {one.repository}" for one in there)
    return f"those of targets on GitHub are listed there: {told}" if told else ""


def console() -> Console:
    """Return where a person reads results. What is piped is not folded at 80 columns."""
    piped = not sys.stdout.isatty() and "COLUMNS" not in os.environ
    return Console(highlight=False, width=_PIPE_WIDTH if piped else None, emoji=False)


def print_json(data: Mapping[str, object], *, compact: bool = False) -> None:
    """Print `data` with its schema version, for a program."""
    said: dict[str, object] = {"schema": SCHEMA, **data}
    if compact:
        text = json.dumps(_without_empty(said), ensure_ascii=False, separators=(",", ":"))
    else:
        text = json.dumps(said, ensure_ascii=False, indent=2)
    sys.stdout.write(f"{text}\n")


def _without_empty(value: Any) -> Any:  # noqa: ANN401 - anything that JSON has
    if isinstance(value, dict):
        pairs = ((key, _without_empty(each)) for key, each in value.items())
        return {key: each for key, each in pairs if each not in (None, "", [], {})}
    return [_without_empty(each) for each in value] if isinstance(value, list) else value


def bounded(items: Sequence[T], limit: int, command: str) -> tuple[Sequence[T], str]:
    """Return the first `limit` of `items`, and the command that shows all of them ("" when these are all)."""
    if len(items) <= limit:
        return items, ""
    return items[:limit], f"{command} --limit {len(items)}"


def table(*columns: str, shrinking: Sequence[str] = ("title",)) -> Table:
    """Return an empty table in the one look that all lists have; a column called `#` holds numbers.

    Where there is no room, those of `shrinking` give way (their cells are `cell`s); the others stay whole.
    """
    from rich.table import Table

    made = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for name in columns:
        made.add_column(name, justify="right" if name == "#" else "left", no_wrap=name not in shrinking)
    return made


def cell(words: str, style: str = "") -> Text:
    """Return words that stay on one line, cut where there is no room."""
    return Text(harmless(words), style=style, no_wrap=True, overflow="ellipsis")


def harmless(text: str) -> str:
    """Return `text` with U+FFFD for what could steer a terminal or deceive its reader."""
    return _HARMFUL.sub("\ufffd", text)


def print_markdown(to: Console, text: str, *, raw: bool = False, breaks: bool = True) -> None:
    """Print Markdown rendered; with `raw`, and wherever no terminal reads, as it was written.

    `breaks` keeps the ends of lines. What could deceive a reader is shown as U+FFFD in a pipe as well, which
    often ends on a screen; `--json` gives every character.
    """
    if raw or not to.is_terminal:
        to.print(Text(harmless(text)), soft_wrap=True)
        return
    from agentloop.cli.markdown import rendered  # a parser and a highlighter: for this alone

    to.print(rendered(harmless(text), breaks=breaks))


def age(moment: datetime, now: datetime | None = None) -> str:
    """Return how long ago a moment was, as a person says it: `now`, `5m`, `3h`, `2d`, `6w`, `3y`."""
    seconds = ((now or datetime.now(UTC)) - moment).total_seconds()
    for size, unit in ((365 * 86400, "y"), (14 * 86400, "w"), (86400, "d"), (3600, "h"), (60, "m")):
        if seconds >= size:
            return f"{int(seconds // (7 * 86400 if unit == 'w' else size))}{unit}"
    return "now"


def ago(moment: datetime) -> str:
    """Return `age` as part of a sentence: `5m ago`, `just now`."""
    said = age(moment)
    return "just now" if said == "now" else f"{said} ago"


def moment_text(moment: datetime) -> str:
    """Return a time for a program: ISO 8601 in UTC."""
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def wake(home: Path, reason: str) -> None:
    """Wake the loop, and say so when nobody is there to be woken. What was done stays done if that fails."""
    try:
        runfolder.append_wake(str(home), reason)
    except OSError as error:
        warn(f"the loop was not woken, it will see it when it next looks: {error}")
        return
    if runfolder.supervisor_of(str(home)) is None:
        note("no loop runs on this home; start it with: agentloop run")
    elif (home / runfolder.PAUSE).exists():
        note("the loop is paused: agentloop resume")


@contextmanager
def working(on: str) -> Iterator[Callable[[str], None]]:
    """Say on standard error, to people only, what takes longer than a second; gone when it is done.

    Yields what says a warning meanwhile, to everybody.
    """
    to = _beside()
    if not sys.stderr.isatty():
        yield lambda words: warn(words, to)
        return
    spinner = to.status(on, spinner="dots")
    patience = threading.Timer(1.0, spinner.start)
    patience.daemon = True
    patience.start()
    try:
        yield lambda words: warn(words, to)
    finally:
        patience.cancel()
        spinner.stop()


def note(words: str) -> None:
    """Say something beside the result, on standard error, to people only."""
    if sys.stderr.isatty():
        _beside().print(Text(words, style="dim"))


def warn(words: str, to: Console | None = None) -> None:
    """Say something that should not be missed, on standard error."""
    (to or _beside()).print(Text(f"warning: {words}", style="yellow"))


def _beside() -> Console:
    """Return standard error: folded at words for people, not folded at all for programs."""
    return Console(stderr=True, highlight=False, emoji=False, soft_wrap=not sys.stderr.isatty())


def words_from(text: str | None, *, stdin: bool) -> str:
    """Return words given as an argument, or all of standard input. Raises ConflictError for both or none."""
    if stdin and text:
        raise ConflictError("words were given twice, as an argument and with --stdin", fix="give one of them")
    if stdin:
        return sys.stdin.buffer.read().decode("utf-8", "replace")
    if text is None:
        raise ConflictError(
            "there are no words", fix="give them as an argument, or pipe them in with --stdin"
        )
    return text


def words_from_editor(start: str) -> str:
    """Return what a person makes of `start` in their editor. Raises ConflictError when there is no editor."""
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise ConflictError("there is no terminal for an editor", fix="give the text with --body or --stdin")
    with tempfile.TemporaryDirectory(prefix="agentloop-edit-") as folder:
        path = Path(folder) / "text.md"
        path.write_text(start, encoding="utf-8")
        try:
            subprocess.run([*shlex.split(editor), str(path)], check=True)
        except (OSError, subprocess.CalledProcessError, ValueError) as error:
            raise ConflictError(
                f"the editor did not end well: {error}", fix="set EDITOR, or use --body"
            ) from error
        return path.read_text(encoding="utf-8", errors="replace")


def show_error(error: AgentloopError, *, as_json: bool = False, code: int | None = None) -> int:
    """Print what is wrong, how to mend it and where to read on, and return the exit code.

    A program (`as_json`) gets it on standard output as well: it reads nothing else.
    """
    to = _beside()
    to.print(Text.assemble(("error: ", "bold red"), (error.what, "red")))
    if error.fix:
        to.print(Text.assemble(("  fix: ", "bold"), error.fix))
    if error.read:
        to.print(Text.assemble((" read: ", "bold"), error.read))
    code = exits.code_for(error) if code is None else code
    if as_json:
        print_json(light.error_data(error, code))
    return code


def run(app: typer.Typer, args: Sequence[str] | None = None) -> int:
    """Run a command line and return its exit code; errors are printed as people, or programs, need them."""
    words = list(sys.argv[1:] if args is None else args)
    as_json = light.wants_json(words)
    try:
        command = get_command(app)
        plainly(command)
        ended = command(args=words, prog_name="agentloop", standalone_mode=False)
    except misspelt.UsageError as error:
        return _not_understood(error, as_json=as_json)
    except typer.Abort:
        _beside().print("aborted")
        return exits.FAILED
    except AgentloopError as error:
        return show_error(error, as_json=as_json)
    except OSError as error:
        if isinstance(error, BrokenPipeError):
            raise
        unusable = HomeError(f"the home cannot be used: {error}", fix="agentloop doctor")
        return show_error(unusable, as_json=as_json)
    except SystemExit as error:
        return error.code if isinstance(error.code, int) else exits.FAILED if error.code else exits.OK
    return ended if isinstance(ended, int) else exits.OK


def _not_understood(error: misspelt.UsageError, *, as_json: bool) -> int:
    if isinstance(error, misspelt.NoArgsIsHelpError):
        error.show()
        return exits.USAGE
    show_error(misspelt.explained(error), as_json=as_json, code=exits.USAGE)
    return exits.USAGE
