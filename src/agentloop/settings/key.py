"""The model's key: where it is kept, and reading it. No settings hold it, written or compiled."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from agentloop.errors import SettingsError

if TYPE_CHECKING:
    from agentloop.domain.settings import Models

VARIABLE: Final = "ANTHROPIC_API_KEY"
CREDENTIAL: Final = "anthropic-api-key"
"""Name of the systemd credential: `LoadCredential=anthropic-api-key:/path`; see systemd.exec(5)."""

_LIMIT_BYTES: Final = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelKey:
    """A key and where it was found; showing it never shows the key."""

    value: str = field(repr=False)
    where: str
    file: Path | None = None


def find_key(models: Models, environ: Mapping[str, str] | None = None) -> ModelKey | None:
    """Return the key: from `models.key_file`, else ANTHROPIC_API_KEY, else a systemd credential; or None.

    Raises SettingsError, with the fix, when a file is named that cannot be read or holds no key.
    """
    given = os.environ if environ is None else environ
    if models.key_file:
        return _in_file(Path(models.key_file).expanduser(), "models.key_file")
    if given.get(VARIABLE, "").strip():
        return ModelKey(value=given[VARIABLE].strip(), where=VARIABLE)
    folder = given.get("CREDENTIALS_DIRECTORY", "")
    if folder and (Path(folder) / CREDENTIAL).exists():
        return _in_file(Path(folder) / CREDENTIAL, f"the systemd credential {CREDENTIAL}")
    return None


def _in_file(path: Path, what: str) -> ModelKey:
    try:
        with path.open("rb") as stream:
            data = stream.read(_LIMIT_BYTES)
    except OSError as error:
        raise SettingsError(
            f"{what}: {path} cannot be read: {error.strerror}",
            fix=f"put the key alone into {path}, chmod 600",
        ) from error
    words = data.decode("utf-8", "replace").split()
    if len(words) != 1:
        raise SettingsError(f"{what}: {path} does not hold one key", fix="put the key alone into the file")
    return ModelKey(value=words[0], where=f"{path}", file=path)
