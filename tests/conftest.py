"""What holds for every test: a home of its own, no keys, and the same examples in every CI run."""

from __future__ import annotations

import os

import hypothesis
import pytest

# No deadline: a busy machine makes single examples slow. In CI, what is red must be red again next time.
hypothesis.settings.register_profile("local", deadline=None)
hypothesis.settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "local")

IDENTITY = {"NAME": "Test", "EMAIL": "test@example.invalid"}


@pytest.fixture(autouse=True)
def clean_env(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Keep the caller's home, git settings, keys and agentloop's own variables away from the test."""
    home = tmp_path_factory.mktemp("home")
    for name in os.environ:
        if name.startswith(("AGENTLOOP_", "ANTHROPIC_", "GIT_", "GITHUB_", "GH_")) or name == "NOTIFY_SOCKET":
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(home))
    for kind in ("CONFIG", "CACHE", "DATA", "STATE"):
        monkeypatch.setenv(f"XDG_{kind}_HOME", str(home / kind.lower()))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    for role in ("AUTHOR", "COMMITTER"):
        for key, value in IDENTITY.items():
            monkeypatch.setenv(f"GIT_{role}_{key}", value)
