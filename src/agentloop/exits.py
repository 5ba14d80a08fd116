"""Exit codes, by name. Scripts and systemd units may rely on them; docs/spec.md lists them."""

from __future__ import annotations

from agentloop import errors

OK = 0
FAILED = 1
USAGE = 2
BUSY = 3
SETTINGS = 4
HOME = 5
NOT_FOUND = 6
CONFLICT = 7
UNSAFE = 8
NOT_RUNNING = 9
TARGET = 10
MODEL = 11
JOURNAL = 12
DIFFERS = 13

MEANING = {
    OK: "done",
    FAILED: "failed; the message says why",
    USAGE: "the command line was not understood",
    BUSY: "another process holds the home; nothing is wrong, try again later",
    SETTINGS: "a setting cannot be used",
    HOME: "the home is missing, damaged or not writable",
    NOT_FOUND: "the issue, pull request, task or attempt does not exist",
    CONFLICT: "what was asked does not fit the state of things",
    UNSAFE: "something needed to run safely is missing",
    NOT_RUNNING: "no supervisor runs on this home",
    TARGET: "a target repository cannot be used",
    MODEL: "the admin agent gave no usable answer; the cycle counts as failed",
    JOURNAL: "the journal cannot be read or written",
    DIFFERS: "a cycle run again from its record decides or does something else",
}

_BY_ERROR = (
    (errors.SettingsError, SETTINGS),
    (errors.HomeError, HOME),
    (errors.BusyError, BUSY),
    (errors.TargetError, TARGET),
    (errors.NotFoundError, NOT_FOUND),
    (errors.ConflictError, CONFLICT),
    (errors.UnsafeError, UNSAFE),
    (errors.JournalError, JOURNAL),
)


def code_for(error: errors.AgentloopError) -> int:
    """Return the exit code for `error`: that of the first class it is an instance of, else FAILED."""
    return next((code for kind, code in _BY_ERROR if isinstance(error, kind)), FAILED)
