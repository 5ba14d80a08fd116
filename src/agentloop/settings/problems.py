"""A setting that cannot be used, as data; and all of them as one error."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from typing import Final, TypeAlias

from agentloop.domain.secrets import find_secrets
from agentloop.domain.valueclass import dataclass
from agentloop.errors import SettingsError

Key: TypeAlias = "tuple[str | int, ...]"
"""Where a setting is, from the outside in: ("limits", "day_usd"), ("target", 0, "name")."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """What is wrong with a setting, where it was said (`agentloop.toml:3:1`, a variable), and the fix."""

    key: Key
    what: str
    fix: str
    where: str = ""

    def __str__(self) -> str:
        said = f"{self.where}: {self.what}" if self.where else self.what
        return f"{said}\n  fix: {self.fix}"


LISTED: Final = 40
"""Problems that are shown at once."""


class InvalidSettingsError(SettingsError):
    """Settings that cannot be used; `problems` are all that were found."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        if len(problems) == 1:
            only = problems[0]
            super().__init__(f"{only.where}: {only.what}" if only.where else only.what, fix=only.fix)
            return
        listed = "\n".join(str(problem) for problem in problems[:LISTED])
        if len(problems) > LISTED:
            listed += f"\n… and {len(problems) - LISTED} more"
        super().__init__(
            f"{len(problems)} settings cannot be used\n{listed}",
            fix="mend them, then: agentloop config check",
        )


def name_of(key: Key) -> str:
    """Return a key as a person reads it: `limits.day_usd`, `target[0].name`, `prices."a.b".input`."""
    text = ""
    for part in key:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            plain = part.replace("-", "").replace("_", "").isalnum()
            text += ("." if text else "") + (part if plain else f'"{part}"')
    return text


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Return the name that `word` was probably meant to be, or None."""
    names = list(known)
    close = difflib.get_close_matches(word.lower(), names, n=1, cutoff=0.6)
    if close:
        return close[0]
    within = [name for name in names if word.lower() in name or name in word.lower()]
    return within[0] if len(within) == 1 and len(word) > 2 else None  # noqa: PLR2004 - "x" is in every name


def shown(value: object) -> str:
    """Return a value for an error's sentence: short, and never a secret."""
    match value:
        case bool():
            return str(value).lower()
        case str() if find_secrets(value):
            return "a text that looks like a secret"
        case str():
            return f"the text {value[:_SHOWN]!r}" + ("…" if len(value) > _SHOWN else "")
        case dict():
            return "a table"
        case list():
            return "a list"
        case _:
            return str(value)


_SHOWN = 40
