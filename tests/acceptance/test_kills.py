"""Kills at random moments around an attempt's life: a few here, a thousand in scripts/check-kills."""

from __future__ import annotations

import os
import shutil
import sys
from typing import TYPE_CHECKING

import pytest

from agentloop.testing import kills

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(
    shutil.which("bwrap") is None, reason="needs bubblewrap (apt-get install bubblewrap)"
)


def test_kills_leave_nothing_running_nothing_twice_and_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever process it hits, in and without a sandbox."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path for path in sys.path if path))
    monkeypatch.setenv("ANTHROPIC_API_KEY", "scripted")
    found = kills.run(4, seed=7, folder=tmp_path, sandboxes=("bubblewrap", "none"))
    assert found.good, found.words()
    assert found.kills.total() == 4
