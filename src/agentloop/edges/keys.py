"""Where the model's API key comes from. It is never a setting, and never on a command line."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

KEY_VARIABLE: Final = "ANTHROPIC_API_KEY"
CREDENTIAL: Final = "anthropic-key"
"""Name of the systemd credential (systemd.exec(5), LoadCredential=)."""


def take_key_from_environment() -> str:
    """Return the environment's API key ("" = none) and wipe it there: no child and no /proc shows it."""
    import ctypes

    key = os.environ.get(KEY_VARIABLE, "")
    libc = ctypes.CDLL(None)
    libc.getenv.restype = ctypes.c_void_p
    place = libc.getenv(KEY_VARIABLE.encode())
    if place:
        ctypes.memset(place, 0, len(os.fsencode(key)))
    os.environ.pop(KEY_VARIABLE, None)
    return key


def find_key(key_file: str, from_environment: str) -> str:
    """Return the API key: `key_file` when it is named, else the environment's, else systemd's credential.

    Returns "" when there is none. Raises OSError when the named file cannot be read.
    """
    if key_file:
        return Path(key_file).expanduser().read_text("utf-8").strip()
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    if from_environment or not folder:
        return from_environment.strip()
    try:
        return (Path(folder) / CREDENTIAL).read_text("utf-8").strip()
    except OSError:
        return ""


def credentials_are_away() -> bool:
    """Return whether systemd's credentials were promised and are gone: the unit is between two runs."""
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    try:
        return folder is not None and not any(Path(folder).iterdir())
    except FileNotFoundError:
        return True
    except OSError:
        return False
