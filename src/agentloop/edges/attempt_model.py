"""The model of an attempt: the vendor's, metered by the attempt's own ledger and bounded by its slice."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentloop.domain.money import limits_for
from agentloop.edges.ledger import Ledger
from agentloop.edges.metered import MeteredModel
from agentloop.errors import UnsafeError

if TYPE_CHECKING:
    from pathlib import Path

    from agentloop.domain.work import AttemptSpec
    from agentloop.ports import Model


def connect(spec: AttemptSpec, key: str, ledger: Path) -> Model:
    """Return the metered model for the attempt. Raises UnsafeError (no key, no price), SettingsError."""
    from agentloop.edges.anthropic import AnthropicModel, retrying

    if not key:
        raise UnsafeError(
            "there is no API key for the worker's model",
            fix="set ANTHROPIC_API_KEY, or models.key_file, or a systemd credential `anthropic-key`",
        )
    return MeteredModel(
        AnthropicModel(api_key=key, base_url=spec.models.base_url),
        model=spec.models.worker,
        fallback=spec.models.worker_fallback,
        ledger=Ledger(ledger),
        prices=spec.prices,
        limits=limits_for(spec.limits, "attempt", spec.slice_micros, spec.slice_tokens),
        retry=retrying(),
    )
