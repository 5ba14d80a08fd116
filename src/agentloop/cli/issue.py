"""`agentloop issue`: a person's commands on the built-in tracker."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.text import Text

from agentloop import light
from agentloop.cli import common
from agentloop.cli.common import (
    CompactOption,
    HomeOption,
    JsonOption,
    LimitOption,
    NoInputOption,
    RawOption,
)
from agentloop.errors import AgentloopError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from agentloop.domain.issue import Comment, Issue
    from agentloop.edges.tracker import Filed, FileTracker

app = typer.Typer(name="issue", help="File issues, talk about them, close them.", no_args_is_help=True)

State = Literal["open", "closed", "all"]
NumberArgument = Annotated[str, typer.Argument(metavar="N", help="Number of the issue.", show_default=False)]
StdinOption = Annotated[bool, typer.Option("--stdin", help="Read the text from standard input.")]

_STATE_STYLE = {"open": "green", "closed": "magenta"}
_PRIORITY_STYLE = {"critical": "bold red", "high": "yellow", "normal": "", "low": "dim"}


@app.command()
def new(  # noqa: PLR0913 -- an argument for each option
    title: Annotated[str, typer.Argument(help="What is wrong, or wanted, in a line.")] = "",
    *,
    body: Annotated[str, typer.Option("--body", "-b", help="The text, Markdown.")] = "",
    stdin: StdinOption = False,
    editor: Annotated[bool, typer.Option("--editor", "-e", help="Write the text in your editor.")] = False,
    label: Annotated[
        list[str] | None,
        typer.Option("--label", "-l", help="May be repeated; critical, high, low set the priority."),
    ] = None,
    target: Annotated[str, typer.Option(help="Which repository it is about; empty = the first one.")] = "",
    no_input: NoInputOption = False,
    as_json: JsonOption = False,
    compact: CompactOption = False,
    home: HomeOption = None,
) -> None:
    """File an issue."""
    root = common.find_home(home)
    if target:
        common.refuse_unknown_target(target, root)
    if stdin:
        body = common.words_from(body or None, stdin=True)
    elif (editor or not (title or body)) and not no_input:
        title, body = _from_editor(title, body)
    tracker = _tracker(root)
    issue = tracker.new(title, body, author=light.user_name(), labels=tuple(label or ()), target=target)
    filed = _read_back(tracker, issue)
    if as_json:
        common.print_json({"issue": _for_program(filed)}, compact=compact)
    else:
        common.console().print(Text.assemble("filed issue ", (issue, "bold"), f": {filed.issue.title}"))
    common.wake(root, f"issue {issue} filed")


def _read_back(tracker: FileTracker, issue: str) -> Filed:
    """Return an issue that was filed just now; who reads only that something failed would file it again."""
    try:
        return tracker.get(issue)
    except (AgentloopError, OSError) as error:
        raise AgentloopError(
            f"issue {issue} is filed, but cannot be read back: {error}",
            fix=f"do not file it again; agentloop issue show {issue}",
        ) from error


@app.command(name="list")
def list_(
    *,
    state: Annotated[State, typer.Option(help="open, closed or all.")] = "open",
    label: Annotated[str, typer.Option("--label", "-l", help="Only those with this label.")] = "",
    limit: LimitOption = common.LIMIT,
    as_json: JsonOption = False,
    compact: CompactOption = False,
    home: HomeOption = None,
) -> None:
    """List issues, newest first."""
    found = common.find_home(home)
    tracker = _tracker(found)
    filed = [each for each in tracker.filed(state) if not label or label in each.issue.labels]
    asked = f"agentloop issue list --state {state}" + (f" --label {label}" if label else "")
    shown, more = common.bounded(filed[::-1], limit, asked)
    if as_json:
        issues = [_for_program(each, whole=False) for each in shown]
        files = [
            {"path": str(each.path), "what": each.what, "fix": each.fix} for each in tracker.passed_over()
        ]
        data = {"issues": issues, "total": len(filed), "more": more or None, "passed_over": files}
        common.print_json(data, compact=compact)
        return
    to = common.console()
    if filed:
        _print_table(to, shown, with_state=state == "all")
    else:
        what = "" if state == "all" else f"{state} "
        which = f" labelled {label}" if label else ""
        to.print(f'no {what}issues{which}; file one: agentloop issue new "…"')
    if more:
        to.print(Text(f"{len(shown)} of {len(filed)}; all: {more}", style="dim"))
    if there := common.elsewhere(found):
        to.print(Text(there, style="dim"))
    _print_wrong(to, shown, tracker)


def _print_wrong(to: Console, filed: Sequence[Filed], tracker: FileTracker) -> None:
    """What a person thinks is an issue, and the loop does not work on."""
    for each in filed:
        if each.problems and each.issue.state == "open":
            what = f"issue {each.issue.id} waits until its file is mended: {each.problems[0]}"
            to.print(Text(f"{what} (agentloop issue show {each.issue.id})", style="yellow"))
    for other in tracker.passed_over():
        to.print(Text(f"no issue: {other.path.name}: {other.what}; {other.fix}", style="yellow"))


def _print_table(to: Console, filed: Sequence[Filed], *, with_state: bool) -> None:
    optional = {
        "state": with_state,
        "labels": any(_other_labels(each.issue) for each in filed),
        "comments": any(each.issue.comments for each in filed),
        "target": any(each.issue.target for each in filed),
    }
    columns = ("#", "title", "state", "priority", "labels", "comments", "target", "age")
    wanted = [name for name in columns if optional.get(name, True)]
    rows = common.table(*wanted, shrinking=("title", "labels"))
    for each in filed:
        cells = _cells(each)
        rows.add_row(*(cells[name] for name in wanted))
    to.print(rows)


def _cells(filed: Filed) -> dict[str, Text]:
    issue = filed.issue
    title = common.cell(issue.title, "dim" if issue.state == "closed" else "")
    if filed.problems:
        title = Text.assemble(("(damaged) ", "red"), title, no_wrap=True, overflow="ellipsis")
    return {
        "#": Text(issue.id, style="bold"),
        "title": title,
        "state": Text(issue.state, style=_STATE_STYLE[issue.state]),
        "priority": Text(
            "" if issue.priority == "normal" else issue.priority, style=_PRIORITY_STYLE[issue.priority]
        ),
        "labels": common.cell(" ".join(_other_labels(issue)), "cyan"),
        "comments": Text(str(len(issue.comments) or "")),
        "target": Text(issue.target),
        "age": Text(common.age(issue.created_at)),
    }


def _other_labels(issue: Issue) -> list[str]:
    return [label for label in issue.labels if label != issue.priority]


@app.command()
def show(
    number: NumberArgument,
    *,
    raw: RawOption = False,
    as_json: JsonOption = False,
    compact: CompactOption = False,
    home: HomeOption = None,
) -> None:
    """Show an issue and all that was said about it."""
    filed = _tracker(common.find_home(home)).get(number)
    if as_json:
        common.print_json({"issue": _for_program(filed)}, compact=compact)
        return
    to = common.console()
    _print_head(to, filed, raw=raw)
    for comment in filed.issue.comments:
        _print_comment(to, comment, raw=raw)
    to.print(Text(f"\n{filed.path}", style="dim"), soft_wrap=True)


def _print_head(to: Console, filed: Filed, *, raw: bool) -> None:
    issue = filed.issue
    to.print(Text.assemble((f"#{issue.id} ", "dim"), (common.harmless(issue.title), "bold")))
    facts = [
        Text(issue.state, style=_STATE_STYLE[issue.state]),
        *(
            [Text(issue.priority, style=_PRIORITY_STYLE[issue.priority])]
            if issue.priority != "normal"
            else []
        ),
        *(Text(label, style="cyan") for label in _other_labels(issue)),
        *([Text(f"target {issue.target}")] if issue.target else []),
        Text(f"by {issue.author}, {common.ago(issue.created_at)}", style="dim"),
    ]
    to.print(Text(" · ", style="dim").join(facts))
    for problem in filed.problems:
        to.print(Text(f"problem: {problem}", style="red"))
    if filed.problems and issue.state == "open":
        to.print(Text("the loop leaves it alone until the file is mended", style="red"))
    if body := body_below(issue.title, issue.body):
        to.print()
        common.print_markdown(to, body, raw=raw)


def body_below(title: str, body: str) -> str:
    """Return what stands below the title: a first line that only repeats it is left out."""
    first, _, rest = body.strip("\n").partition("\n")
    return rest.strip("\n") if first.lstrip("#").strip() == title else body


def _print_comment(to: Console, comment: Comment, *, raw: bool) -> None:
    who = Text(comment.author, style="bold cyan" if comment.ours else "bold")
    what = Text.assemble("\n", who, (f" · {comment.id} · {common.ago(comment.at)}", "dim"))
    if not comment.trusted:
        what.append("  says it is the loop's, but its mark is not: ignored", style="red")
    to.print(what)
    common.print_markdown(to, comment.body, raw=raw)


@app.command()
def comment(
    number: NumberArgument,
    text: Annotated[str | None, typer.Argument(help="What you want to say.", show_default=False)] = None,
    *,
    stdin: StdinOption = False,
    no_input: NoInputOption = False,  # noqa: ARG001 -- it never asks; scripts may say so everywhere
    as_json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """Say something about an issue; the loop is woken."""
    root = common.find_home(home)
    made = _tracker(root).comment(number, common.words_from(text, stdin=stdin), author=light.user_name())
    _done(f"comment {made} on issue {number}", {"issue": number, "comment": made}, as_json=as_json)
    common.wake(root, f"comment on issue {number}")


@app.command()
def close(
    number: NumberArgument,
    *,
    reason: Annotated[str, typer.Option(help="Why; becomes the last comment.")] = "",
    no_input: NoInputOption = False,  # noqa: ARG001 -- it never asks; scripts may say so everywhere
    as_json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """Close an issue; the loop drops what it was doing for it."""
    root = common.find_home(home)
    _tracker(root).close(number, reason=reason, author=light.user_name())
    _done(f"issue {number} is closed", {"issue": number, "state": "closed"}, as_json=as_json)
    common.wake(root, f"issue {number} closed")


@app.command()
def reopen(number: NumberArgument, *, as_json: JsonOption = False, home: HomeOption = None) -> None:
    """Open a closed issue again."""
    root = common.find_home(home)
    _tracker(root).reopen(number)
    _done(f"issue {number} is open", {"issue": number, "state": "open"}, as_json=as_json)
    common.wake(root, f"issue {number} reopened")


@app.command()
def label(
    number: NumberArgument,
    *,
    add: Annotated[list[str] | None, typer.Option(help="May be repeated.")] = None,
    remove: Annotated[list[str] | None, typer.Option(help="May be repeated.")] = None,
    as_json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """Put labels on an issue and take others off: critical, high and low set its priority."""
    root = common.find_home(home)
    labels = _tracker(root).label(number, add=tuple(add or ()), remove=tuple(remove or ()))
    said = f"issue {number}: {', '.join(labels) or 'no labels'}"
    _done(said, {"issue": number, "labels": list(labels)}, as_json=as_json)
    if add or remove:
        common.wake(root, f"labels of issue {number} changed")


def _done(words: str, data: dict[str, object], *, as_json: bool) -> None:
    if as_json:
        common.print_json(data)
    else:
        common.console().print(Text(words))


def _from_editor(title: str, body: str) -> tuple[str, str]:
    """The first line is the title, unless one was given."""
    start = f"{title}\n\n{body}\n" if title or body else "\n\n"
    words = common.words_from_editor(start).strip("\n")
    first, _, rest = words.partition("\n")
    return first.lstrip("# "), rest.strip("\n")


def _for_program(filed: Filed, *, whole: bool = True) -> dict[str, object]:
    issue = filed.issue
    data: dict[str, object] = {
        "id": issue.id,
        "number": issue.number,
        "title": issue.title,
        "state": issue.state,
        "priority": issue.priority,
        "labels": list(issue.labels),
        "target": issue.target,
        "author": issue.author,
        "created_at": common.moment_text(issue.created_at),
        "path": str(filed.path),
        "problems": list(filed.problems),
        "comment_count": len(issue.comments),
    }
    return data | _words(issue) if whole else data


def _words(issue: Issue) -> dict[str, object]:
    comments = [
        {
            "id": each.id,
            "author": each.author,
            "at": common.moment_text(each.at),
            "ours": each.ours,
            "trusted": each.trusted,
            "body": each.body,
        }
        for each in issue.comments
    ]
    return {"body": issue.body, "comments": comments}


def _tracker(home: Path) -> FileTracker:
    from agentloop.edges.tracker import FileTracker
    from agentloop.home import Home

    return FileTracker(Home(home).tracker)
