"""Which files and variables settings come from. Standard library only: light commands pass through here."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from agentloop.domain.valueclass import dataclass
from agentloop.errors import SettingsError

if TYPE_CHECKING:
    from agentloop.home import Home

PREFIX: Final = "AGENTLOOP_"
NESTING: Final = "__"
FLAGS: Final = "AGENTLOOP_SET"
"""Carries what `--set KEY=VALUE` said to this process and its children: a JSON object of key to value."""

BASE_URL: Final = "ANTHROPIC_BASE_URL"
"""The vendor's own variable for the address of the Messages API: `models.base_url` where nobody says it."""

SECTIONS: Final = (
    "target",
    "limits",
    "models",
    "worker",
    "approval",
    "github",
    "webhook",
    "relay",
    "sleep",
    "supervision",
    "layers",
    "prices",
)
"""Tables of a settings file, in the order in which they are shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Files:
    """The settings files of a home; either may be missing."""

    home: Path
    user: Path


def files_of(home: Home, environ: Mapping[str, str] | None = None) -> Files:
    """Return the home's settings file and the user's, `$XDG_CONFIG_HOME/agentloop/config.toml`."""
    given = os.environ if environ is None else environ
    base = given.get("XDG_CONFIG_HOME") or str(Path(given.get("HOME") or "~").expanduser() / ".config")
    return Files(home=home.settings_file, user=Path(base) / "agentloop" / "config.toml")


def overrides(environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment variables that are settings, sorted by name; not the flags.

    `AGENTLOOP_LIMITS__DAY_USD=5` is `day_usd` in `[limits]`; `AGENTLOOP_TARGET='[…]'` is all targets as JSON.
    A name with `__` in it is meant as a setting even when no table is called so: it must not be overlooked.
    """
    given = os.environ if environ is None else environ
    tables = {f"{PREFIX}{section}".upper() for section in SECTIONS}
    return {
        name: value
        for name, value in sorted(given.items())
        if name.upper().startswith(PREFIX) and (NESTING in name or name.upper() in tables)
    }


def vendor_base_url(environ: Mapping[str, str] | None = None) -> str:
    """Return the address in the vendor's own variable; "" when there is none."""
    given = os.environ if environ is None else environ
    return given.get(BASE_URL, "").strip()


def flags(environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return what `--set` said, key (`limits.day_usd`) to value. Raises SettingsError for no JSON object."""
    given = os.environ if environ is None else environ
    text = given.get(FLAGS, "")
    if not text:
        return {}
    try:
        said = json.loads(text)
    except ValueError:
        said = None
    if not isinstance(said, dict):
        raise SettingsError(f"{FLAGS} is not a JSON object", fix=f"unset {FLAGS} and use --set KEY=VALUE")
    return {str(key): str(value) for key, value in said.items()}


def flag_environment(said: list[str], environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment variable that carries `--set KEY=VALUE` on, together with what was set before.

    Raises SettingsError for a word that has no `=`.
    """
    merged = flags(environ)
    for word in said:
        key, equals, value = word.partition("=")
        if not equals or not key.strip():
            raise SettingsError(
                f"--set {word!r} names no value", fix="write --set KEY=VALUE, e.g. --set limits.day_usd=5"
            )
        merged[key.strip()] = value.strip()
    return {FLAGS: json.dumps(merged, sort_keys=True)} if merged else {}


def fingerprint(environ: Mapping[str, str] | None = None) -> str:
    """Return a short name for all that the environment says (flags too); "" when it says nothing."""
    given = os.environ if environ is None else environ
    said = overrides(given) | {name: given[name] for name in (FLAGS, BASE_URL) if given.get(name)}
    return digest(json.dumps(said, sort_keys=True).encode()) if said else ""


def digest(data: bytes) -> str:
    """Return the SHA-256 of `data` in hexadecimal."""
    import hashlib  # loads OpenSSL: only when something is to be hashed

    return hashlib.sha256(data).hexdigest()
