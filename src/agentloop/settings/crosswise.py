"""What settings must not be together: checks over the whole of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from agentloop.domain import money
from agentloop.domain.settings import Settings
from agentloop.settings import ownership
from agentloop.settings.problems import Key, Problem, nearest
from agentloop.settings.rules import OWN

_OWNER_AND_NAME: Final = 2


def problems(settings: Settings) -> list[Problem]:
    """Return what is wrong: targets of one name, models without a price, a key within a worker's reach."""
    return [
        *_twins(settings),
        *_without_price(settings),
        *_secrets_in_sight(settings),
        *_not_on_github(settings),
    ]


def _twins(settings: Settings) -> Iterator[Problem]:
    seen: dict[str, int] = {}
    for at, target in enumerate(settings.targets):
        first = seen.setdefault(target.name.lower(), at)
        if first != at:
            yield Problem(
                key=("target", at, "name"),
                what=f"two targets are called {target.name!r}",
                fix="give each target a name of its own (capitals do not count)",
            )


def _without_price(settings: Settings) -> Iterator[Problem]:
    roles = ("admin", "admin_fallback", "worker", "worker_fallback")
    for role in roles:
        model: str = getattr(settings.models, role)
        price = money.price_of(settings.prices, model)
        if not model and role.endswith("fallback"):
            continue
        if not model:
            yield Problem(
                key=("models", role),
                what=f"models.{role} is empty",
                fix="name a model, or leave the line out",
            )
        elif isinstance(price, money.NoPrice):
            close = nearest(model, price.known)
            hint = f"did you mean {close}? else " if close else ""
            yield Problem(
                key=("models", role),
                what=f"models.{role}: {price.what}, so it may not be called",
                fix=f'{hint}add its price, in dollars for a million tokens: [prices."{model}"] '
                "with input, output, cache_write and cache_read",
            )


def _secrets_in_sight(settings: Settings) -> Iterator[Problem]:
    yield from _in_sight(settings, ("models", "key_file"), settings.models.key_file, "key")
    yield from _in_sight(settings, ("github", "token_file"), settings.github.token_file, "token")
    yield from _in_sight(settings, ("webhook", "secret_file"), settings.webhook.secret_file, "secret")


def _in_sight(settings: Settings, key: Key, given: str, what: str) -> Iterator[Problem]:
    if not given:
        return
    file = Path(given).resolve()
    if ownership.tracked_by_git(file):
        yield Problem(
            key=key,
            what=f"{'.'.join(map(str, key))}: {file} is tracked by git: the {what} would be pushed",
            fix=f"make a new {what}, keep it outside every repository, and take this file out of git",
        )
    for at, path in enumerate(settings.worker.read):
        if file.is_relative_to(Path(path).resolve()):
            yield Problem(
                key=("worker", "read", at),
                what=f"{path} holds the {what} file: every worker could read the {what}",
                fix=f"name a smaller folder, or keep the {what} elsewhere",
            )


def _not_on_github(settings: Settings) -> Iterator[Problem]:
    there = [target.name for target in settings.targets if target.tracker == "github"]
    if settings.github.board not in ("", "none", *there):
        yield Problem(
            key=("github", "board"),
            what=f"github.board: there is no target {settings.github.board!r} on GitHub",
            fix=f"name one of: {', '.join([*there, 'none'])}; or leave the line out",
        )
    api = urlsplit(settings.github.api_url)
    if api.scheme == "http" and api.hostname not in OWN:
        yield Problem(
            key=("github", "api_url"),
            what=f"{settings.github.api_url} is not encrypted: the token could be read on the way",
            fix="write https://",
        )
    for at, target in enumerate(settings.targets):
        if target.tracker != "github":
            continue
        parts = urlsplit(target.repository)
        if parts.scheme not in ("https", "http") or len(parts.path.strip("/").split("/")) != _OWNER_AND_NAME:
            yield Problem(
                key=("target", at, "repository"),
                what=f"target {target.name} has its issues on GitHub, and {target.repository!r} is not there",
                fix="write the repository's address, e.g. 'https://github.com/OWNER/NAME'",
            )
        if settings.worker.sandbox == "none":
            yield Problem(
                key=("worker", "sandbox"),
                what=f"target {target.name} is on GitHub: nothing is worked on for it without a sandbox",
                fix='take sandbox = "none" away; `agentloop doctor` tells what the sandbox needs',
            )
