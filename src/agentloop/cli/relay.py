"""`agentloop relay`: what stands in the relay, whether it is sound, what it said before."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agentloop import exits
from agentloop.cli import common
from agentloop.edges import runfolder
from agentloop.edges.files import locked
from agentloop.errors import BusyError
from agentloop.home import Home

if TYPE_CHECKING:
    from agentloop.domain.relay import Relay
    from agentloop.edges.relay import RelayFile

app = typer.Typer(
    name="relay",
    help="The relay, memories/consensus.md: what one cycle tells the next, and what you tell them.",
    no_args_is_help=True,
)


@app.command()
def show(
    *, home: common.HomeOption = None, raw: common.RawOption = False, as_json: common.JsonOption = False
) -> None:
    """Show the relay as the next cycle will see it: your words included, wherever you wrote them."""
    found = _file(home).read()
    if as_json:
        common.print_json(
            _as_json(found.relay)
            | {"settled": found.settled, "moved": [_printable(block) for block in found.moved]}
        )
        return
    from agentloop.domain.relay import render

    text = _printable(render(found.relay).partition("\n")[2])
    out = common.console()
    if raw or not out.is_terminal:
        out.out(text, end="")
    else:
        common.print_markdown(out, text, breaks=False)
    if found.moved:
        common.note(f"{len(found.moved)} edits outside your section move there with the next write")


@app.command()
def lint(*, home: common.HomeOption = None, as_json: common.JsonOption = False) -> None:
    """Check the file as it stands; each problem with its line and its fix. Ends with 1 when there is one."""
    from agentloop.domain.relay import lint as problems_of

    problems = problems_of(_file(home).read().text or "")
    if as_json:
        rows = [{"line": one.line, "what": one.what, "fix": one.fix} for one in problems]
        common.print_json({"problems": rows})
    for one in () if as_json else problems:
        common.console().print(f"line {one.line}: {one.what}\n  fix: {one.fix}", markup=False)
    if problems:
        raise typer.Exit(exits.FAILED)
    if not as_json:
        common.console().print("the relay is sound")


@app.command()
def log(
    *,
    home: common.HomeOption = None,
    limit: common.LimitOption = common.LIMIT,
    as_json: common.JsonOption = False,
) -> None:
    """List the kept versions, newest first: number, cycle, next action."""
    rows, more = common.bounded(_file(home).versions(), limit, "agentloop relay log")
    if as_json:
        said = [
            {"version": one.relay.version, "cycle": one.cycle, "next_action": one.relay.plan.next_action}
            for one in rows
        ]
        common.print_json({"versions": said, "more": more})
        return
    table = common.table("version", "cycle", "next action", shrinking=("next action",))
    for one in rows:
        table.add_row(str(one.relay.version), one.cycle or "–", common.cell(one.relay.plan.next_action))
    common.console().print(table)
    if more:
        common.note(f"more: {more}")


@app.command()
def diff(
    old: Annotated[int | None, typer.Argument(help="A version; default: the one before the newest.")] = None,
    new: Annotated[int | None, typer.Argument(help="A version; default: the file as it stands.")] = None,
    *,
    home: common.HomeOption = None,
    as_json: common.JsonOption = False,
) -> None:
    """Show what changed between two versions."""
    file = _file(home)
    numbers = [one.relay.version for one in file.versions()] if old is None else []
    start = old if old is not None else next(iter(numbers[1:] or numbers), None)
    before = "" if start is None else file.version(start).text
    after = (file.read().text or "") if new is None else file.version(new).text
    names = ("nothing" if start is None else f"version {start}", "now" if new is None else f"version {new}")
    found = difflib.unified_diff(
        before.split("\n"), after.split("\n"), fromfile=names[0], tofile=names[1], lineterm=""
    )
    lines = [_printable(line) for line in found]
    if as_json:
        common.print_json({"diff": "".join(f"{line}\n" for line in lines)})
        return
    out = common.console()
    for line in lines:
        out.print(common.harmless(line), style=_STYLES.get(line[:1]), markup=False, soft_wrap=True)


_STYLES = {"+": "green", "-": "red", "@": "cyan"}


@app.command()
def rollback(
    version: Annotated[int, typer.Argument(help="The version whose plan is wanted: agentloop relay log.")],
    *,
    home: common.HomeOption = None,
    as_json: common.JsonOption = False,
) -> None:
    """Bring back the plan of an earlier version, as a new one. Your section and the facts stay."""
    from agentloop.edges.homegit import PutOff

    root = Home(common.find_home(home))
    file = _file(home)
    runfolder.make_run(str(root.root))
    try:
        # A cycle holds the plan it has read until its end, and would write it over this one.
        with locked(root.lock):
            written = file.rollback(version)
            paths = () if written.archived is None else (written.archived,)
            outcome = file.commit(f"Roll the relay back to version {version}", paths)
    except BusyError as error:
        raise BusyError("a cycle is running", fix="try again when it has ended: agentloop status") from error
    reason = outcome.reason if isinstance(outcome, PutOff) else ""
    if as_json:
        common.print_json(
            {"version": written.relay.version, "changed": written.changed, "not_committed": reason}
        )
        return
    said = f"the plan of version {version} is in force again, as version {written.relay.version}"
    common.console().print(said if written.changed else f"the plan of version {version} is in force already")
    if isinstance(outcome, PutOff):
        common.warn(f"written but not committed: {outcome.reason}; {outcome.fix}")


def _file(home: Path | None) -> RelayFile:
    from agentloop.edges.relay import RelayFile

    return RelayFile(Home(common.find_home(home)))


def _as_json(relay: Relay) -> dict[str, object]:
    from dataclasses import asdict

    return {
        "version": relay.version,
        "facts": dict(relay.facts),
        "plan": asdict(relay.plan),
        "human": _printable(relay.human),
    }


def _printable(text: str) -> str:
    # What is no UTF-8 in the file cannot be printed as such.
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
