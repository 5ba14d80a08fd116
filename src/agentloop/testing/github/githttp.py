"""git over smart HTTP: the real `git http-backend` on the hub's bare repositories.

Rules that guard a branch are held by a real pre-receive hook, which says what GitHub says.
"""

from __future__ import annotations

import base64
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from agentloop.testing.github.admission import permit, valid
from agentloop.testing.github.behaviours import Behaviour
from agentloop.testing.github.hub import Hub
from agentloop.testing.github.refusals import Refused
from agentloop.testing.github.values import Account, Repository

_GUARDED: Final = "guarded"
_HOOK: Final = f"""#!/bin/sh
while read -r old new ref; do
  if grep -qxF "$ref" "$GIT_DIR/{_GUARDED}" 2>/dev/null; then
    echo "error: GH013: Repository rule violations found for $ref." >&2
    echo "- Changes must be made through a pull request." >&2
    exit 1
  fi
done
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class GitReply:
    """What goes back to git."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


def serve(hub: Hub, method: str, path: str, query: str, headers: Mapping[str, str], body: bytes) -> GitReply:
    """Answer one request of git's. Raises Refused: 401 without a good token, 403 when it may not."""
    pushes = "git-receive-pack" in path or "git-receive-pack" in query
    repository = _repository(hub, path)
    who = _viewer(hub, repository, headers.get("Authorization", ""), pushes=pushes)
    if pushes:
        if repository.archived and hub.has(Behaviour.ARCHIVED):
            raise Refused(403, "This repository was archived so it is read-only.")
        _guard(hub, repository, who)
    reply = _backend(hub, method, path, query, headers, body, who)
    if pushes and method == "POST":
        hub.look_at_git(repository, who or repository.owner)
    return reply


def _repository(hub: Hub, path: str) -> Repository:
    owner, name = path.strip("/").split("/")[:2]
    word = f"{owner}/{name.removesuffix('.git')}"
    found = hub.repositories.get(hub.renamed.get(word, word))
    if found is None:
        raise Refused(404, "Not Found")
    return found


def _viewer(hub: Hub, repository: Repository, authorization: str, *, pushes: bool) -> Account | None:
    if not authorization.startswith("Basic "):
        if pushes or repository.private:
            raise Refused(
                401, "Requires authentication", headers={"WWW-Authenticate": 'Basic realm="GitHub"'}
            )
        return None
    shown = base64.b64decode(authorization[6:]).decode("utf-8", "replace").partition(":")[2]
    token = hub.tokens.get(shown)
    if token is None:
        raise Refused(401, "Bad credentials", headers={"WWW-Authenticate": 'Basic realm="GitHub"'})
    valid(hub, token)
    permit(hub, token, repository, "contents:write" if pushes else "contents:read")
    return token.account


def _guard(hub: Hub, repository: Repository, who: Account | None) -> None:
    login = who.login if who else ""
    guarded = [
        f"refs/heads/{rule.branch}\n"
        for rule in repository.rules or []
        if rule.active and login not in rule.bypass and hub.has(Behaviour.PROTECTED)
    ]
    (repository.folder / _GUARDED).write_text("".join(guarded), encoding="utf-8")
    hook = repository.folder / "hooks" / "pre-receive"
    if not hook.exists():
        hook.parent.mkdir(exist_ok=True)
        hook.write_text(_HOOK, encoding="utf-8")
        hook.chmod(0o755)


def _backend(
    hub: Hub,
    method: str,
    path: str,
    query: str,
    headers: Mapping[str, str],
    body: bytes,
    who: Account | None,
) -> GitReply:
    repository = _repository(hub, path)
    within = path.strip("/").split("/", 2)[2]
    env = {
        "PATH": os.environ.get("PATH", os.defpath),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_PROJECT_ROOT": str(Path(hub.folder).absolute()),
        "GIT_HTTP_EXPORT_ALL": "1",
        "PATH_INFO": f"/{repository.folder.relative_to(hub.folder)}/{within}",
        "QUERY_STRING": query,
        "REQUEST_METHOD": method,
        "CONTENT_TYPE": headers.get("Content-Type", ""),
        "CONTENT_LENGTH": str(len(body)),
        "HTTP_CONTENT_ENCODING": headers.get("Content-Encoding", ""),
        "GIT_PROTOCOL": headers.get("Git-Protocol", ""),
        "REMOTE_USER": who.login if who else "",
        "REMOTE_ADDR": "127.0.0.1",
    }
    done = subprocess.run(
        ["git", "http-backend"],
        input=body,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        check=False,
    )
    head, _, content = done.stdout.partition(b"\r\n\r\n")
    told = [tuple(line.split(": ", 1)) for line in head.decode().splitlines() if ": " in line]
    status = next((int(value.split()[0]) for key, value in told if key == "Status"), 200)
    kept = tuple((key, value) for key, value in told if key != "Status")
    return GitReply(status=status, headers=kept, body=content)
