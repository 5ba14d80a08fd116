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
    return word_in(token_file, CREDENTIAL, what="the token for GitHub", setting="github.token_file")


def word_in(given_file: str, credential: str, *, what: str, setting: str) -> str:
    """Return the one word in the file named, or in systemd's credential when none is ("").

    `what` it is, and which `setting` names its file, is told in what is raised: UnsafeError, as above.
    """
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    given = Path(given_file).expanduser() if given_file else None
    path = given or (Path(folder) / credential if folder else None)
    if path is None:
        raise UnsafeError(
            f"there is no file with {what}",
            fix=f"name one as {setting}, or give the unit the credential `{credential}`",
            read="docs/github.md",
        )
    try:
        mode, word = path.stat().st_mode, path.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UnsafeError(f"{what} cannot be read: {error}", fix=f"look at {setting}") from error
    if given and mode & _OTHERS:
        raise UnsafeError(f"others can read {path}", fix=f"chmod 600 {path}")
    if len(word.split()) != 1:
        raise UnsafeError(f"{path} does not hold one word, {what}", fix="put that there, and nothing else")
    return word
