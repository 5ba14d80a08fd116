"""The errors a person meets, sorted by what the caller does next.

AgentloopError          what is wrong, how to mend it, where to read on
├── SettingsError       a setting cannot be used: nothing starts, or the last good settings stay in force
├── HomeError           the home is missing, damaged or not ours to write
├── BusyError           somebody else holds what is needed: try again later, nothing is wrong
│   └── LimitedError    a service takes no more until a time that it named
├── TargetError         a target repository cannot be used: its work is parked, the rest goes on
│   ├── GoneError       it can, and the commit is not in it any more: what hangs on it is done anew
│   └── ForbiddenError  it can, and this one thing in it may not be seen or done
├── NotFoundError       the thing named does not exist
│   └── DeletedError    it did, and somebody took it away for good
├── ConflictError       what was asked does not fit the state of things
├── UnsafeError         something needed to run safely is missing: fail closed
└── JournalError        the journal cannot be read or written: the cycle ends, tried again later
    └── DamagedJournalError   lines are lost: the cycle puts them aside and reads our marks
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime


class AgentloopError(Exception):
    """What is wrong, how to mend it (`fix`), and where to read on (`read`)."""

    def __init__(self, what: str, *, fix: str = "", read: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.fix = fix
        self.read = read

    def __str__(self) -> str:
        parts = [self.what]
        if self.fix:
            parts.append(f"fix: {self.fix}")
        if self.read:
            parts.append(f"read: {self.read}")
        return "\n".join(parts)


class SettingsError(AgentloopError):
    """A setting cannot be used."""


class HomeError(AgentloopError):
    """The home is missing, damaged or not ours to write."""


class BusyError(AgentloopError):
    """Somebody else holds what is needed; try again later."""


class LimitedError(BusyError):
    """A service takes no more until a time that it named (`until`, aware)."""

    def __init__(self, what: str, *, until: datetime, fix: str = "") -> None:
        super().__init__(what, fix=fix)
        self.until = until


class TargetError(AgentloopError):
    """A target repository cannot be used."""


class GoneError(TargetError):
    """A commit is not in its repository any more."""


class ForbiddenError(TargetError):
    """One thing in a repository may not be seen or done with what opens the rest."""


class NotFoundError(AgentloopError):
    """The thing named does not exist."""


class DeletedError(NotFoundError):
    """The thing named was there, and is gone for good: deleted, or moved to where it has another name."""


class ConflictError(AgentloopError):
    """What was asked does not fit the state of things."""


class UnsafeError(AgentloopError):
    """Something needed to run safely is missing."""


class JournalError(AgentloopError):
    """The journal cannot be read or written."""


class DamagedJournalError(JournalError):
    """Lines of the journal are lost or make no sense; the cycle can mend that."""
