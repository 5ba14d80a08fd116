"""A home that works on itself: workers can write its settings file, so limits are not read from it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from agentloop.edges.git import Git, GitError
from agentloop.settings.problems import Key, Problem, name_of
from agentloop.settings.rules import is_url

if TYPE_CHECKING:
    from agentloop.domain.settings import Settings, Target
    from agentloop.home import Home

GUARDED: Final[tuple[Key, ...]] = (
    ("limits",),
    ("worker",),
    ("prices",),
    ("models", "base_url"),
    ("models", "key_file"),
    ("github",),
    ("webhook",),
    ("approval",),
)
"""What a worker must not change by way of a pull request.

Money, sandbox, what waits for a person, and where the key goes.
"""


def problems(home: Home, settings: Settings, home_file: Mapping[str, Any]) -> list[Problem]:
    """Return a problem for each guarded setting in the home's file when a target is the home itself."""
    said = [key for key in GUARDED if _says(home_file, key)]
    if not said:
        return []
    own = next((target for target in settings.targets if is_own(home, target)), None)
    if own is None:
        return []
    return [
        Problem(
            key=key,
            what=f"{name_of(key)} stands where workers can write: target {own.name!r} is this home",
            fix=f"move it to the user's file (~/.config/agentloop/config.toml) or {_variable(key)}",
        )
        for key in said
    ]


def is_own(home: Home, target: Target) -> bool:
    """Return whether what is merged into `target` can end up in `home`: same folder, same remote."""
    ours = {_plain(address) for address in _remotes(home)}
    if is_url(target.repository):
        return _plain(target.repository) in ours
    folder = (home.root / target.repository).resolve()
    if str(folder) in ours or folder == home.root.resolve():
        return True
    common = _common_folder(folder)
    return common is not None and common == _common_folder(home.root)


def is_same_place(address: str, other: str) -> bool:
    """Return whether two addresses (or folders) name the same repository."""
    return _plain(address) == _plain(other)


def _says(tree: Mapping[str, Any], key: Key) -> bool:
    found: Any = tree
    for part in key:
        if not isinstance(found, dict) or part not in found:
            return False
        found = found[part]
    return bool(found != {})


def _variable(key: Key) -> str:
    name = "__".join(str(part).upper() for part in key)
    return f"AGENTLOOP_{name}" if len(key) > 1 or key == ("prices",) else f"AGENTLOOP_{name}__…"


def _remotes(home: Home) -> list[str]:
    try:
        said = Git(home.root).look("config", "--local", "--get-regexp", r"^remote\..*\.url$")
    except GitError:
        return []
    return [line.partition(" ")[2] for line in said.splitlines()]


def _common_folder(folder: Path) -> Path | None:
    """The git directory that all work trees of a repository share; None for what is no repository."""
    try:
        said = Git(folder).look("rev-parse", "--path-format=absolute", "--git-common-dir")
    except GitError:
        return None
    return Path(said).resolve()


def _plain(address: str) -> str:
    """An address without what does not matter: scheme, user, port's default, `.git`, case of the host."""
    if not is_url(address) or address.startswith("file://"):
        return str(Path(address.removeprefix("file://")).resolve())
    rest = re.sub(r"^[a-z+]+://", "", address)
    rest = rest.rpartition("@")[2] if "@" in rest.split("/")[0] else rest
    host, _, path = re.sub(r"^([^/:]+)(?::(?=\D)|:\d+/|/)", r"\1/", rest).partition("/")
    return f"{host.lower()}/{path.strip('/').removesuffix('.git')}"


def tracked_by_git(path: Path) -> bool:
    """Return whether a git repository around `path` has that file in its index: it would be pushed."""
    real = path.resolve()
    try:
        Git(real.parent, env={"GIT_CEILING_DIRECTORIES": ""}).look(
            "ls-files", "--error-unmatch", "--", real.name
        )
    except GitError:
        return False
    return True
