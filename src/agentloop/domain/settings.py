"""Every setting, in one place: its type, its default and what it means.

The comments in a new `agentloop.toml`, the reference in the docs and the validation are made from these fields.
Parsing files and environment variables happens in `agentloop.settings`; the rest of the program reads the
compiled JSON, which is these values encoded.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal


def setting(default: Any, doc: str) -> Any:
    """Return a dataclass field with a default and the sentence that explains it to a person."""
    return field(default=default, metadata={"doc": doc})


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A repository that the loop works for."""

    name: str = field(metadata={"doc": "short name, used in issues: letters, digits, . _ -"})
    repository: str = field(metadata={"doc": "path (relative to the home, or absolute) or URL of the repository"})
    branch: str = setting("", "branch that pull requests go into; empty = the repository's default branch")
    setup: str = setting("", "command that readies a fresh checkout, e.g. 'npm ci --offline'; runs in the sandbox")
    verify: tuple[str, ...] = setting((), "commands that every change must pass, e.g. ['python -m pytest -q']")
    protected: tuple[str, ...] = setting((), "extra path globs that no change may touch")
    tests: tuple[str, ...] = setting(
        ("tests/**", "test/**", "**/test_*.py", "**/*_test.*", "**/*.test.*", "**/conftest.py"),
        "path globs of tests: those on the base commit are run as they stand there",
    )
    configuration: tuple[str, ...] = setting(
        (
            "pyproject.toml", "setup.cfg", "setup.py", "tox.ini", "pytest.ini", "noxfile.py", "package.json",
            "Makefile", "justfile", ".github/**", ".pre-commit-config.yaml",
        ),
        "path globs of build and test configuration: taken from the base commit when checks run",
    )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Ceilings. Reaching one stops the work in hand and says so; it is never an error."""

    attempt_usd: float = setting(2.0, "dollars one attempt may spend on model calls")
    cycle_usd: float = setting(0.5, "dollars the admin agent may spend in one cycle")
    day_usd: float = setting(20.0, "dollars a day (UTC), everything included")
    total_usd: float = setting(200.0, "dollars in all; raise it when it is reached")
    attempt_minutes: int = setting(60, "minutes of wall clock for one attempt")
    attempt_turns: int = setting(80, "model turns for one attempt")
    attempts_at_once: int = setting(2, "attempts that run at the same time")
    attempts_per_task: int = setting(4, "attempts that end by their own verdict before a task is parked")
    retries_per_task: int = setting(3, "further starts after kills, limits and lost leases")
    tasks_per_issue: int = setting(8, "tasks that one issue may be cut into")
    open_pulls: int = setting(5, "pull requests that wait for a person before new work queues")
    diff_lines: int = setting(800, "changed lines in one pull request")
    diff_files: int = setting(60, "changed files in one pull request")
    check_minutes: int = setting(10, "minutes for one check")
    pack_mb: int = setting(50, "megabytes that a result may weigh")


@dataclass(frozen=True, slots=True, kw_only=True)
class Models:
    """Which model plays which role, and what steps in when it refuses or is out."""

    admin: str = setting("claude-opus-5-5", "model of the admin agent")
    admin_fallback: str = setting("claude-opus-5", "used when the admin's model refuses or is out; empty = none")
    worker: str = setting("claude-sonnet-5-5", "model of the built-in worker agent")
    worker_fallback: str = setting("claude-sonnet-5", "used when the worker's model refuses or is out; empty = none")
    base_url: str = setting("", "Messages API endpoint; empty = the vendor's")
    key_file: str = setting("", "file that holds the API key; empty = ANTHROPIC_API_KEY, then a systemd credential")
    max_output_tokens: int = setting(8192, "output tokens for one model call")
    call_seconds: int = setting(300, "seconds for one model call")
    admin_turns: int = setting(12, "model turns of the admin in one cycle")
    admin_seconds: int = setting(600, "seconds of the admin in one cycle")
    context_tokens: int = setting(120_000, "a worker's conversation is summed up and started afresh beyond this")


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """Micro-dollars for a million tokens of each kind (1 dollar = 1,000,000)."""

    input: int
    output: int
    cache_write: int
    cache_read: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Worker:
    """How attempts are run."""

    sandbox: Literal["bubblewrap", "none"] = setting(
        "bubblewrap",
        "'none' lets an agent's commands run with your own rights: every pull request will say so",
    )
    read: tuple[str, ...] = setting((), "extra paths that the sandbox may read, e.g. a tool chain in your home folder")
    path: str = setting("", "PATH inside the sandbox; empty = the loop's own")
    command_seconds: int = setting(600, "seconds for one command of an agent")
    grace_seconds: int = setting(600, "how long an attempt outlives a supervisor that went away")
    backoff_seconds: int = setting(60, "first wait before a killed attempt is started again; doubles each time")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sleep:
    """How long the loop sleeps when nothing wakes it."""

    busy_seconds: int = setting(300, "while attempts run")
    idle_seconds: int = setting(1800, "when nothing has happened for a while")


@dataclass(frozen=True, slots=True, kw_only=True)
class Supervision:
    """How the supervisor treats its cycles."""

    cycle_deadline_seconds: int = setting(900, "a cycle that runs longer is ended")
    drain_seconds: int = setting(30, "how long a stop waits for the cycle in hand")
    backoff_seconds: int = setting(10, "first wait after a failed cycle; doubles each time")
    backoff_max_seconds: int = setting(1800, "longest wait after a failed cycle")
    breaker_after: int = setting(5, "failed cycles in a row that open the breaker")
    breaker_seconds: int = setting(1800, "wait while the breaker is open, before one try")
    poll_seconds: int = setting(5, "how often to look where the kernel cannot tell us (no inotify)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Layers:
    """Parts that can be switched off; the rest still works."""

    workers: bool = setting(True, "false: plan only, nothing is worked on")
    gate: bool = setting(True, "false: only the contract's own checks are run, no further scan")
    memory: bool = setting(True, "false: no research notes are handed to later tasks")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All settings of a home, validated."""

    targets: tuple[Target, ...] = ()
    limits: Limits = Limits()
    models: Models = Models()
    worker: Worker = Worker()
    sleep: Sleep = Sleep()
    supervision: Supervision = Supervision()
    layers: Layers = Layers()
    prices: dict[str, Price] = field(default_factory=dict)

    def target(self, name: str) -> Target | None:
        """Return the target called `name`; an empty name means the only one, or the first."""
        if not name:
            return self.targets[0] if self.targets else None
        return next((target for target in self.targets if target.name == name), None)


MICROS = 1_000_000
"""Micro-dollars in a dollar: money is counted in whole micro-dollars, so that sums are exact."""


def micros(usd: float) -> int:
    """Return dollars as whole micro-dollars."""
    return round(usd * MICROS)
