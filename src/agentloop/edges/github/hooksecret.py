"""Where the webhook's secret comes from. It is never a setting, and never on a command line."""

from __future__ import annotations

from typing import Final

from agentloop.domain.deliveries import SECRET_CHARACTERS
from agentloop.edges.github.token import word_in
from agentloop.errors import UnsafeError

CREDENTIAL: Final = "webhook-secret"
"""Name of the systemd credential (systemd.exec(5), LoadCredential=)."""


def secret_in(secret_file: str) -> str:
    """Return the secret in the file named, or systemd's credential when none is ("").

    Raises UnsafeError when there is none, others can read its file, or it could be guessed.
    """
    found = word_in(secret_file, CREDENTIAL, what="the webhook's secret", setting="webhook.secret_file")
    if len(found) < SECRET_CHARACTERS:
        raise UnsafeError(
            f"the webhook's secret has {len(found)} characters, which could be guessed",
            fix="make one with `openssl rand -hex 32`, and give the hook on GitHub the same",
        )
    return found
