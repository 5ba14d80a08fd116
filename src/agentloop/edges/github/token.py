"""Where GitHub's token comes from. It is never a setting, and never on a command line."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from agentloop.errors import UnsafeError

CREDENTIAL: Final = "github-token"
"""Name of the systemd credential (systemd.exec(5), LoadCredential=)."""
_OTHERS: Final = 0o077


def token_in(token_file: str) -> str:
    """Return the token in the file named, or systemd's credential when none is ("").

    Raises UnsafeError when there is none, or others can read its file.
    """
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    given = Path(token_file).expanduser() if token_file else None
    path = given or (Path(folder) / CREDENTIAL if folder else None)
    if path is None:
        raise UnsafeError(
            "there is no token for GitHub",
            fix="name a file with one as github.token_file, or give the unit the credential `github-token`",
            read="docs/github.md",
        )
    try:
        mode, word = path.stat().st_mode, path.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UnsafeError(
            f"the token for GitHub cannot be read: {error}", fix="look at github.token_file"
        ) from error
    if given and mode & _OTHERS:
        raise UnsafeError(f"others can read {path}", fix=f"chmod 600 {path}")
    if len(word.split()) != 1:
        raise UnsafeError(f"{path} does not hold one token", fix="put the token there, and nothing else")
    return word
