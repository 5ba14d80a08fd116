"""What a setting's shape cannot say: whether a text is a name, a branch, a glob, a URL, a path.

Pure functions over texts. Each returns None when all is well.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final
from urllib.parse import urlsplit

from agentloop.domain.valueclass import dataclass

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
OWN: Final = frozenset({"127.0.0.1", "::1", "localhost"})
"""This machine itself: nobody listens in between."""
_PORTS: Final = 65_535
_SCP_LIKE: Final = re.compile(r"^(?:[\w.+-]+@)?[\w.-]+:(?!//)(?!\d+$).+")


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a text is refused, and what to write instead."""

    what: str
    fix: str


def is_url(repository: str) -> bool:
    """Return whether a target's repository is an address (`https://…`, `git@host:path`) and not a path."""
    return "://" in repository or bool(_SCP_LIKE.match(repository))


def name(text: str) -> Refusal | None:
    """Check a target's name: it becomes a folder's name and is typed by people."""
    if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", text) and not text.endswith((".", ".lock")):
        return None
    return Refusal(
        f"{text!r} is no name for a target",
        "use up to 64 letters, digits, '.', '_' and '-', beginning with a letter or a digit",
    )


def repository(text: str) -> Refusal | None:
    """Check a target's path or URL for what git could misread; doctor says whether it is there."""
    if not text.strip():
        return Refusal("the repository is empty", "name a path or a URL, e.g. repository = '../my-project'")
    if _CONTROL.search(text):
        return Refusal("the repository holds a control character", "write it as plain text on one line")
    if text.startswith("-") or re.match(r"[A-Za-z][A-Za-z0-9+.-]*::", text):
        return Refusal(f"git would run {text!r} as a command", "use a path, https:// or ssh://")
    if "://" not in text:
        return None
    parts = urlsplit(text)
    own = parts.scheme == "http" and parts.hostname in OWN
    if parts.scheme not in {"https", "ssh", "file"} and not own:
        return Refusal(f"{parts.scheme}:// is not a way to a repository", "use a path, https:// or ssh://")
    if parts.password:
        return Refusal(
            "the repository's address holds a password", "take it out; use an ssh key or a credential helper"
        )
    return None


def branch(text: str) -> Refusal | None:
    """Check a branch's name by the rules of git-check-ref-format(1); empty is the default branch."""
    bad = re.search(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|/\.|\.lock(/|$)|^[-/.]|[/.]$|^@$|^refs/", text)
    if not bad:
        return None
    return Refusal(f"{text!r} is no name for a branch", "write its short name, e.g. branch = 'main'")


def command(text: str) -> Refusal | None:
    """Check a command line; empty is none."""
    if "\0" in text or (text and not text.strip()):
        return Refusal("the command is blank", "write a command line for sh, or leave the setting out")
    return None


def glob(text: str) -> Refusal | None:
    """Check a path glob: relative to the repository's root, `/` between folders, `**` for any depth."""
    fix = "write it relative to the repository's root, e.g. 'docs/**'"
    if not text.strip() or _CONTROL.search(text):
        return Refusal("a path glob is empty or holds a control character", fix)
    if text.startswith(("/", "~", "!")) or "\\" in text or ".." in text.split("/"):
        return Refusal(f"{text!r} does not stay inside the repository, or negates", fix)
    if "**" in text and any("**" in part and part != "**" for part in text.split("/")):
        return Refusal(
            f"in {text!r} a ** is not a whole folder", "write ** between slashes, e.g. '**/test_*.py'"
        )
    if text.count("[") != text.count("]"):
        return Refusal(f"{text!r} has a bracket without its partner", "close it, or write [[] for a bracket")
    return None


def model(text: str) -> Refusal | None:
    """Check a model's name; whether it has a price is looked at later."""
    if re.search(r"\s|[\x00-\x1f]", text):
        return Refusal(f"{text!r} is no name for a model", "write the vendor's id for it, without spaces")
    return None


def url(text: str) -> Refusal | None:
    """Check the address of a Messages API endpoint; empty is the vendor's."""
    if not text:
        return None
    try:
        parts = urlsplit(text)
        fine = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        fine = False
    if not fine or _CONTROL.search(text) or " " in text:
        return Refusal(
            f"{text!r} is no http(s) address", "write it in full, e.g. 'https://models.example.com'"
        )
    if parts.username or parts.password or parts.query or parts.fragment:
        return Refusal(
            "the address holds a login, a query or a fragment", "leave only scheme, host, port and path"
        )
    if parts.path.rstrip("/").endswith(("/v1", "/messages")):
        return Refusal(f"{text!r} ends in what is added by itself", "leave /v1 and what follows it out")
    return None


def path(text: str) -> Refusal | None:
    """Check a path that must mean the same wherever the loop is started from; empty is none."""
    if _CONTROL.search(text):
        return Refusal("the path holds a control character", "write it as plain text on one line")
    if text and not text.startswith(("/", "~/")):
        return Refusal(f"{text!r} depends on where the loop is started", "write it from / or from ~/")
    if text.rstrip("/") in {"", "~"} and text:
        return Refusal(f"{text!r} is everything", "name the one file or folder that is needed")
    return None


def folders(text: str) -> Refusal | None:
    """Check a PATH; empty is the loop's own."""
    if text and not all(part.startswith("/") for part in text.split(":")):
        return Refusal(f"{text!r} is no PATH", "write absolute folders with ':' between them")
    return None


def listen(text: str) -> Refusal | None:
    """Check an address and port to listen on."""
    found = re.fullmatch(r"(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9.-]+):([0-9]{1,5})", text)
    if found is None or not 0 < int(found[2]) <= _PORTS:
        return Refusal(f"{text!r} is no address with a port", "write it as '127.0.0.1:8787'")
    return None


def board(text: str) -> Refusal | None:
    """Check a target's name, or nothing."""
    return name(text) if text else None


CHECKS: Final[Mapping[str, Callable[[str], Refusal | None]]] = {
    "name": name,
    "repository": repository,
    "branch": branch,
    "command": command,
    "glob": glob,
    "model": model,
    "url": url,
    "path": path,
    "folders": folders,
    "listen": listen,
    "board": board,
}
"""The check for each kind of text that a field in `domain/settings.py` names."""
