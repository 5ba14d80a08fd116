"""`agentloop retry`: a person sends what the loop gave up back to a worker."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from agentloop import light
from agentloop.cli import common
from agentloop.cli.common import HomeOption, JsonOption, NoInputOption
from agentloop.errors import ConflictError

if TYPE_CHECKING:
    from pathlib import Path

    from agentloop.domain.observed import RetryRequest
    from agentloop.domain.world import World

WhatArgument = Annotated[
    str, typer.Argument(metavar="TASK|ISSUE", help="As 7.1, or 7 for all its parked tasks.")
]


def retry(
    what: WhatArgument,
    *,
    reason: Annotated[
        str, typer.Option("--reason", "-m", help="What is different now; the worker is told.")
    ] = "",
    from_scratch: Annotated[bool, typer.Option("--from-scratch", help="Forget the work so far.")] = False,
    no_input: NoInputOption = False,  # noqa: ARG001 -- it never asks; scripts may say so everywhere
    as_json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """Send a parked task back to a worker; the loop is woken."""
    root = common.find_home(home)
    with common.working("reading the journal"):
        tasks = _parked(root, what)
    asked = [_ask(root, task, reason, from_scratch=from_scratch) for task in tasks]
    if as_json:
        common.print_json({"tasks": list(tasks), "requests": asked})
    else:
        again = ", ".join(f"task {task}" for task in tasks)
        common.console().print(f"{again}: the next cycle sends {'it' if len(tasks) == 1 else 'them'} back")
    common.wake(root, f"retry of {', '.join(tasks)}")


def _parked(root: Path, what: str) -> tuple[str, ...]:
    """Return the tasks meant. Raises NotFoundError for unknown ids, ConflictError when none is parked."""
    from agentloop import looking
    from agentloop.domain.admission import not_parked
    from agentloop.home import Home

    world = looking.world_of(Home(root))
    issue, *rest = what.split(".")
    task = ".".join([issue, *rest[:1]])
    if (task not in world.tasks) if rest else (issue not in world.issues):
        raise looking.unknown(Home(root), world, what)
    tasks = (task,) if rest else tuple(view.task.id for view in world.tasks_of(issue))
    found = tuple(one for one in tasks if not_parked(one, world) is None)
    if not found:
        raise ConflictError(_why_not(world, issue, tasks), fix=f"agentloop explain {what}")
    return found


def _why_not(world: World, issue: str, tasks: tuple[str, ...]) -> str:
    from agentloop.domain.admission import not_parked
    from agentloop.domain.telling import issue_state

    told = [why for one in tasks if (why := not_parked(one, world))]
    return "; ".join(told) or f"issue {issue} has no task to retry: it is {issue_state(world.issues[issue])}"


def _ask(root: Path, task: str, reason: str, *, from_scratch: bool) -> str:
    from agentloop.domain.observed import RetryRequest
    from agentloop.edges.requests import FileRequests
    from agentloop.home import Home

    request: RetryRequest = RetryRequest(
        id=f"{task}-{secrets.token_hex(4)}",
        task=task,
        by=light.user_name(),
        at=datetime.now(UTC),
        reason=" ".join(reason.split())[:2000],
        from_scratch=from_scratch,
    )
    return FileRequests(Home(root)).ask(request)
