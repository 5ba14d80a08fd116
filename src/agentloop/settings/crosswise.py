"""What settings must not be together: checks over the whole of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from agentloop.domain import money
from agentloop.domain.settings import Settings
from agentloop.settings import ownership
from agentloop.settings.problems import Problem, nearest


def problems(settings: Settings) -> list[Problem]:
    """Return what is wrong: targets of one name, models without a price, a key within a worker's reach."""
    return [*_twins(settings), *_without_price(settings), *_key_in_sight(settings)]


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


def _key_in_sight(settings: Settings) -> Iterator[Problem]:
    if not settings.models.key_file:
        return
    key_file = Path(settings.models.key_file).resolve()
    if ownership.tracked_by_git(key_file):
        yield Problem(
            key=("models", "key_file"),
            what=f"models.key_file: {key_file} is tracked by git: the key would be pushed",
            fix="make a new key, keep it outside every repository, and take this file out of git",
        )
    for at, path in enumerate(settings.worker.read):
        if key_file.is_relative_to(Path(path).resolve()):
            yield Problem(
                key=("worker", "read", at),
                what=f"{path} holds the key file: every worker could read the key",
                fix="name a smaller folder, or keep the key elsewhere",
            )
