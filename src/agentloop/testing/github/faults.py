"""What goes wrong on the way, on demand: each fault names the calls that it strikes and how often.

A fault is taken up by the next calls that it fits, oldest fault first. `Faults.struck` tells what was struck.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Final


class Kind(Enum):
    """What happens to a call."""

    BEFORE = "answered with a 5xx, and nothing was done"
    AFTER = "answered with a 5xx, and it was done all the same"
    CUT = "the connection is closed before a byte of the answer, and it was done"
    LAG = "a list is answered as it was before the last change"
    SECONDARY = "refused with 403 and retry-after, as when writes come too fast"
    EXHAUSTED = "refused with 403 and no requests left until the reset"
    GARBAGE = "answered with 200 and a body that is no JSON"
    UNAUTHORIZED = "answered with 401, as when the token ran out in the meantime"


WRITES: Final = "POST|PATCH|PUT|DELETE"


@dataclass(slots=True, kw_only=True)
class Fault:
    """One fault: `calls` is a regular expression over "METHOD /path"; `times` says how often it strikes.

    `then` is done just before the call is looked at: a person who acts between two calls of the client.
    """

    kind: Kind | None
    calls: str = ".*"
    times: int = 1
    status: int = 502
    seconds: float = 1.0
    then: Callable[[], object] | None = None


@dataclass(slots=True)
class Faults:
    """The faults that are still to come."""

    coming: list[Fault] = field(default_factory=list)
    struck: list[tuple[str, Kind | None]] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, fault: Fault) -> None:
        """Let it strike the next calls that it fits."""
        with self._lock:
            self.coming.append(fault)

    def take(self, method: str, path: str) -> Fault | None:
        """Return the fault that strikes this call, once."""
        call = f"{method} {path}"
        with self._lock:
            for fault in self.coming:
                if not re.search(fault.calls, call):
                    continue
                fault.times -= 1
                if fault.times <= 0:
                    self.coming.remove(fault)
                self.struck.append((call, fault.kind))
                return fault
        return None
