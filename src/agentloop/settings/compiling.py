"""Compiling settings: what the child of `agentloop.compiled` does."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from agentloop import __version__, compiled
from agentloop.domain import codec
from agentloop.domain.secrets import find_secrets
from agentloop.errors import SettingsError
from agentloop.settings import sources
from agentloop.settings.loading import load

if TYPE_CHECKING:
    from agentloop.domain.settings import Settings
    from agentloop.home import Home


def compile_settings(home: Home, environ: Mapping[str, str] | None = None) -> Settings:
    """Validate the settings of `home`, write `.agentloop/settings.json` durably, and return them.

    What cannot be used leaves the file as it was. Raises HomeError, SettingsError, OSError.
    """
    files = sources.files_of(home, environ)
    # Looked at before they are read: an edit in between makes the result stale, never wrongly fresh.
    seen = (compiled.look_at(files.home), compiled.look_at(files.user))
    now_ns = time.time_ns()
    settings = load(home, environ).settings
    if find_secrets(json.dumps(codec.encode(settings))):
        raise SettingsError("a secret is among the settings", fix="take it out and make a new one")
    compiled.write(
        home,
        compiled.Compiled(
            version=compiled.FORMAT,
            program=__version__,
            settings=settings,
            sources=seen,
            environment=sources.fingerprint(environ),
            compiled_at_ns=now_ns,
        ),
    )
    return settings
