"""`agentloop pr`: a person's commands on pull requests. Merging is one of them, and nobody else's."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.text import Text

from agentloop import light
from agentloop.cli import common
from agentloop.cli.common import CompactOption, HomeOption, JsonOption, LimitOption, NoInputOption, RawOption
from agentloop.errors import ConflictError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from agentloop.domain.issue import Pull, PullCheck, Review
    from agentloop.edges.forge import FileForge, Proposed, Verdict
    from agentloop.edges.merge import Merged

app = typer.Typer(name="pr", help="Look at pull requests, review them, merge them.", no_args_is_help=True)

State = Literal["open", "closed", "all"]
NumberArgument = Annotated[
    str, typer.Argument(metavar="N", help="Number of the pull request.", show_default=False)
]

_STATE_STYLE = {"open": "green", "merged": "magenta", "closed": "red"}
_CHECK_LOOK = {"passed": ("✓", "green"), "failed": ("✗", "red"), "pending": ("…", "yellow")}
_VERDICT_LOOK = {
    "approved": ("approved", "green"),
    "changes_requested": ("changes requested", "yellow"),
    "commented": ("", ""),
}


@app.command(name="list")
def list_(
    *,
    state: Annotated[State, typer.Option(help="open, closed (merged ones too) or all.")] = "open",
    limit: LimitOption = common.LIMIT,
    as_json: JsonOption = False,
    compact: CompactOption = False,
    home: HomeOption = None,
) -> None:
    """List pull requests, newest first."""
    folder = common.find_home(home)
    with common.working("looking at the origins"):
        found = _forge(folder).proposed(state)
    shown, more = common.bounded(found[::-1], limit, f"agentloop pr list --state {state}")
    if as_json:
        pulls = [_for_program(each, whole=False) for each in shown]
        common.print_json({"pulls": pulls, "total": len(found), "more": more or None}, compact=compact)
        return
    to = common.console()
    if there := common.elsewhere(folder):
        to.print(Text(there, style="dim"))
    if not found:
        to.print("no pull requests" if state == "all" else f"no {state} pull requests")
        return
    _print_table(to, shown, with_state=state != "open")
    if more:
        to.print(Text(f"{len(shown)} of {len(found)}; all: {more}", style="dim"))


def _print_table(to: Console, found: Sequence[Proposed], *, with_state: bool) -> None:
    columns = ("#", "title", "branch", "state" if with_state else "stands", "age")
    rows = common.table(*columns, shrinking=("title", "branch"))
    for each in found:
        pull = each.pull
        rows.add_row(
            Text(pull.id, style="bold"),
            common.cell(pull.title),
            common.cell(pull.branch.removeprefix("agentloop/"), "dim"),
            Text(pull.state, style=_STATE_STYLE[pull.state]) if with_state else _standing(each),
            common.age(each.created_at),
        )
    to.print(rows)


def _standing(proposed: Proposed) -> Text:
    """What a person would want to know first about an open pull request."""
    pull = proposed.pull
    if proposed.problems:
        return Text("unknown", style="red")
    if not pull.head:
        return Text("branch is gone", style="red")
    if pull.mergeable is False:
        return Text("in conflict", style="red")
    if any(check.state == "failed" for check in _on_head(pull)):
        return Text("checks failed", style="red")
    verdict = _last_verdict(pull)
    if verdict is not None:
        word, style = _VERDICT_LOOK[verdict.verdict]
        return Text(word + ("" if verdict.commit == pull.head else ", new commits"), style=style)
    return Text("waits for you", style="green")


def _on_head(pull: Pull) -> list[PullCheck]:
    return [check for check in pull.checks if check.commit == pull.head]


def _last_verdict(pull: Pull) -> Review | None:
    verdicts = [review for review in pull.reviews if review.verdict != "commented"]
    return verdicts[-1] if verdicts else None


@app.command()
def show(
    number: NumberArgument,
    *,
    raw: RawOption = False,
    as_json: JsonOption = False,
    compact: CompactOption = False,
    home: HomeOption = None,
) -> None:
    """Show a pull request, its reviews and its checks."""
    with common.working("looking at the origin"):
        proposed = _forge(common.find_home(home)).get(number)
    if as_json:
        common.print_json({"pull": _for_program(proposed)}, compact=compact)
        return
    to = common.console()
    _print_head(to, proposed, raw=raw)
    for review in proposed.pull.reviews:
        _print_review(to, review, proposed.pull.head, raw=raw)
    _print_checks(to, proposed.pull)
    if proposed.pull.state == "open":
        _print_next(to, proposed.pull)


def _print_next(to: Console, pull: Pull) -> None:
    from agentloop.edges.forge import reviewed_at

    to.print()
    if reviewed_at(pull) not in ("", pull.head):
        since = f"what is new since the last review: agentloop pr diff {pull.id} --since-review"
        to.print(Text(since, style="yellow"))
    to.print(
        Text(f"agentloop pr diff {pull.id}  ·  review {pull.id} --approve  ·  merge {pull.id}", style="dim")
    )


def _print_head(to: Console, proposed: Proposed, *, raw: bool) -> None:
    pull = proposed.pull
    to.print(Text.assemble((f"#{pull.id} ", "dim"), (pull.title, "bold")))
    state = Text(pull.state, style=_STATE_STYLE[pull.state])
    if pull.state == "open":
        state = Text(" · ", style="dim").join([state, _standing(proposed)])
    elif pull.state == "merged":
        by = f" by {proposed.merged_by}" if proposed.merged_by else ""
        state.append(f" as {pull.merge_commit[:10]}{by}", style="default")
    to.print(
        Text(" · ", style="dim").join([state, Text(f"opened {common.ago(proposed.created_at)}", style="dim")])
    )
    where = f"{pull.branch} at {pull.head[:10] or '(gone)'} → {pull.base} of {pull.target or 'the target'}"
    to.print(Text(where, style="dim"))
    for problem in proposed.problems:
        to.print(Text(f"problem: {problem}", style="red"))
    if pull.body:
        to.print()
        common.print_markdown(to, pull.body, raw=raw)


def _print_review(to: Console, review: Review, head: str, *, raw: bool) -> None:
    word, style = _VERDICT_LOOK[review.verdict]
    who = Text(review.author, style="bold cyan" if review.ours else "bold")
    line = Text.assemble("\n", who, (f" {word}" if word else "", style))
    older = f" on {review.commit[:10]}" if review.commit and review.commit != head else ""
    line.append(f"{older} · {review.id} · {common.ago(review.at)}", style="dim")
    if not review.trusted:
        line.append("  says it is the loop's, but its mark is not: ignored", style="red")
    to.print(line)
    if review.body:
        common.print_markdown(to, review.body, raw=raw)


def _print_checks(to: Console, pull: Pull) -> None:
    if pull.checks:
        to.print()
    for check in pull.checks:
        sign, style = _CHECK_LOOK[check.state]
        line = Text.assemble((f"{sign} ", style), check.name, (f" {check.state}", style))
        if check.commit != pull.head:
            line.append(f" on {check.commit[:10]}, not on the latest", style="dim")
        to.print(line)
        if check.summary:
            to.print(Text(check.summary, style="dim"))


@app.command()
def diff(
    number: NumberArgument,
    *,
    since_review: Annotated[
        bool, typer.Option("--since-review", help="Only what changed since the last review.")
    ] = False,
    as_json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """Show what a pull request changes."""
    with common.working("looking at the origin"):
        forge = _forge(common.find_home(home))
        data = forge.diff_since_review(number) if since_review else forge.diff(number)
    if as_json:
        common.print_json({"pull": number, "diff": data.decode("utf-8", "replace")})
    elif not data:
        common.note("nothing changed since the last review" if since_review else "it changes nothing")
    elif not sys.stdout.isatty():
        sys.stdout.buffer.write(data)
    else:
        to = common.console()
        for line in data.decode("utf-8", "replace").removesuffix("\n").split("\n"):
            to.print(_diff_line(line), soft_wrap=True)


def _diff_line(line: str) -> Text:
    styles = {"@": "cyan", "d": "bold", "i": "bold"}
    style = styles.get(line[:1], "")
    if line.startswith(("+++", "---")):
        style = "bold"
    elif line.startswith(("+", "-")):
        style = "green" if line.startswith("+") else "red"
    # What a file holds must neither steer the terminal of its reviewer nor show another order of its letters.
    return Text(common.harmless(line.expandtabs(8)), style=style)


@app.command()
def review(  # noqa: PLR0913 -- an argument for each option
    number: NumberArgument,
    text: Annotated[
        str | None, typer.Argument(help="Words that go with --approve.", show_default=False)
    ] = None,
    *,
    approve: Annotated[bool, typer.Option("--approve", help="It is good as it is.")] = False,
    request_changes: Annotated[
        str | None,
        typer.Option("--request-changes", metavar="TEXT", help="What must change; the loop goes on."),
    ] = None,
    comment: Annotated[str | None, typer.Option("--comment", metavar="TEXT", help="Just words.")] = None,
    stdin: Annotated[
        bool, typer.Option("--stdin", help="Read TEXT from standard input; give '-' in its place.")
    ] = False,
    no_input: NoInputOption = False,  # noqa: ARG001 -- it never asks; scripts may say so everywhere
    as_json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """Approve a pull request, ask for changes, or say something; the loop is woken."""
    root = common.find_home(home)
    verdict, words = _verdict(approve=approve, changes=request_changes, comment=comment)
    if stdin:
        words = common.words_from(None, stdin=True)
    made = _forge(root).review(number, verdict, words or text or "", author=light.user_name())
    said = {"approved": "approved", "changes_requested": "sent back", "commented": "commented on"}[verdict]
    _done(f"pull request {number} {said}", {"pull": number, "review": made}, as_json=as_json)
    common.wake(root, f"review of pull request {number}")


def _verdict(*, approve: bool, changes: str | None, comment: str | None) -> tuple[Verdict, str]:
    given: list[tuple[Verdict, str]] = []
    if approve:
        given.append(("approved", comment or ""))
    if changes is not None:
        given.append(("changes_requested", changes))
    if comment is not None and not given:
        given.append(("commented", comment))
    option = next((words for _, words in given if words.startswith("--")), None)
    if len(given) != 1 or option:
        raise ConflictError(
            f"{option} is an option, not words" if option else "say one thing about it",
            fix="--approve, --request-changes 'what must change', or --comment 'words'",
        )
    return given[0]


@app.command()
def check(
    number: NumberArgument,
    *,
    name: Annotated[str, typer.Option(help="What was checked, e.g. 'unit tests'.")],
    state: Annotated[Literal["pending", "passed", "failed"], typer.Option(help="pending, passed or failed.")],
    summary: Annotated[str, typer.Option(help="What came out.")] = "",
    as_json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """Report a check on the latest commit, as a person or from a build server."""
    root = common.find_home(home)
    made = _forge(root).check(number, name, state, summary, author=light.user_name())
    _done(f"{name}: {state} on pull request {number}", {"pull": number, "check": made}, as_json=as_json)
    common.wake(root, f"check on pull request {number}")


@app.command()
def merge(
    number: NumberArgument,
    *,
    squash: Annotated[bool, typer.Option("--squash", help="One commit instead of a merge.")] = False,
    no_input: NoInputOption = False,  # noqa: ARG001 -- it never asks; scripts may say so everywhere
    as_json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """Merge a pull request into its base branch; a clean checkout of that branch is updated as well.

    Asked again for one that is merged, it says so and is content.
    """
    root = common.find_home(home)
    forge = _forge(root)
    for words in _doubts(forge.get(number).pull):
        common.warn(words)
    with common.working("merging"):
        merged = forge.merge(number, squash=squash, author=light.user_name())
    if as_json:
        checkout = str(merged.checkout) if merged.checkout else None
        common.print_json(
            {
                "pull": number,
                "commit": merged.commit,
                "base": merged.base,
                "checkout": checkout,
                "already": merged.already,
            }
        )
    else:
        _print_merged(number, merged)
    common.wake(root, f"pull request {number} merged")


def _doubts(pull: Pull) -> list[str]:
    if pull.state != "open":
        return []
    doubts = [
        f"the check {check.name} is {check.state}" for check in _on_head(pull) if check.state != "passed"
    ]
    verdict = _last_verdict(pull)
    if verdict is not None and verdict.verdict == "changes_requested":
        doubts.append(f"{verdict.author} requested changes and has not approved since")
    return doubts


def _print_merged(number: str, merged: Merged) -> None:
    to = common.console()
    how = "was merged already," if merged.already else "is merged"
    to.print(Text(f"pull request {number} {how} into {merged.base} as {merged.commit[:10]}"))
    if merged.checkout:
        to.print(Text(f"the checkout in {merged.checkout} is up to date", style="dim"), soft_wrap=True)
    if merged.left:
        to.print(Text(f"its branch was left: {merged.left}", style="dim"), soft_wrap=True)


@app.command()
def close(
    number: NumberArgument,
    *,
    comment: Annotated[str, typer.Option("--comment", metavar="TEXT", help="Why.")] = "",
    no_input: NoInputOption = False,  # noqa: ARG001 -- it never asks; scripts may say so everywhere
    as_json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """Close a pull request without merging it; its branch stays."""
    root = common.find_home(home)
    _forge(root).close(number, comment, author=light.user_name())
    _done(f"pull request {number} is closed", {"pull": number, "state": "closed"}, as_json=as_json)
    common.wake(root, f"pull request {number} closed")


def _done(words: str, data: dict[str, object], *, as_json: bool) -> None:
    if as_json:
        common.print_json(data)
    else:
        common.console().print(Text(words))


def _for_program(proposed: Proposed, *, whole: bool = True) -> dict[str, object]:
    pull = proposed.pull
    data: dict[str, object] = {
        "id": pull.id,
        "number": pull.number,
        "title": pull.title,
        "state": pull.state,
        "target": pull.target,
        "branch": pull.branch,
        "base": pull.base,
        "head": pull.head,
        "mergeable": pull.mergeable,
        "merge_commit": pull.merge_commit,
        "author": proposed.author,
        "created_at": common.moment_text(proposed.created_at),
        "path": str(proposed.path),
        "problems": list(proposed.problems),
        "checks": [{"name": each.name, "state": each.state, "commit": each.commit} for each in pull.checks],
    }
    reviews = [
        {
            "id": each.id,
            "author": each.author,
            "verdict": each.verdict,
            "at": common.moment_text(each.at),
            "commit": each.commit,
            "ours": each.ours,
            "trusted": each.trusted,
            "body": each.body,
        }
        for each in pull.reviews
    ]
    return data | {"body": pull.body, "reviews": reviews} if whole else data


def _forge(home: Path) -> FileForge:
    from agentloop import compiled
    from agentloop.edges.forge import FileForge
    from agentloop.home import Home

    settings, doubt = compiled.in_force(Home(home))
    if doubt:
        common.warn(doubt)
    return FileForge(Home(home), settings)
