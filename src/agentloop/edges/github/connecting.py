"""From settings to a repository on GitHub: where its API is, what opens it, and what is kept beside it."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from agentloop.domain.heard import Trust
from agentloop.edges.git import Login
from agentloop.edges.github.client import Client
from agentloop.edges.github.shelf import Shelf
from agentloop.edges.github.site import Site
from agentloop.edges.github.token import token_in
from agentloop.edges.github.writing import Writer
from agentloop.edges.recordfolder import Marks

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentloop.domain.settings import GitHub, Settings, Target
    from agentloop.home import Home

PUBLIC: Final = "github.com"
PUBLIC_API: Final = "https://api.github.com"


def _now() -> datetime:
    return datetime.now(UTC)


def api_of(github: GitHub, target: Target) -> str:
    """Return the address of the API that serves the target."""
    if github.api_url:
        return github.api_url.rstrip("/")
    parts = urlsplit(target.repository)
    return PUBLIC_API if parts.hostname == PUBLIC else f"{parts.scheme}://{parts.netloc}/api/v3"


def name_of(target: Target) -> str:
    """Return `owner/name` as the target's address has it."""
    return urlsplit(target.repository).path.strip("/").removesuffix(".git")


def login_of(settings: Settings, target: Target) -> Login | None:
    """Return what opens the target's repository for git, None where GitHub has nothing to do with it."""
    if target.tracker != "github":
        return None
    parts = urlsplit(target.repository)
    return Login(
        address=f"{parts.scheme}://{parts.netloc}", secret=lambda: token_in(settings.github.token_file)
    )


def site_of(home: Home, settings: Settings, target: Target, *, now: Callable[[], datetime] = _now) -> Site:
    """Return the target's repository on GitHub. The token is read when it is first needed."""
    github, api = settings.github, api_of(settings.github, target)

    @cache
    def token() -> str:
        return token_in(github.token_file)

    shelf = Shelf(home.github, whose=lambda: hashlib.sha256(f"{api} {token()}".encode()).hexdigest()[:16])
    return Site(
        target=target.name,
        repository=name_of(target),
        client=Client(api, token, shelf, reserve=github.reserve, now=now),
        writer=Writer(api, token, gap_seconds=github.write_seconds, now=now, memory=shelf),
        shelf=shelf,
        marks=Marks(home.tracker),
        trust=Trust(ids=frozenset(github.trusted)),
        trust_label=github.trust_label,
        branch=target.branch,
        guarded=github.merge_guard == "prove",
        now=now,
        host=urlsplit(target.repository).netloc,
        token=token,
    )
