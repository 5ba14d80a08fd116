"""sd_notify(3): telling systemd that we are ready, what we do, that we get on with it, and that we stop.

A no-op without NOTIFY_SOCKET. Telling is an extra: a socket that is gone or full never stops the daemon.
"""

from __future__ import annotations

import math
import os
import socket
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


_PATIENCE_SECONDS = 0.5  # a READY=1 that is dropped fails the start; a wait without end would be worse


class Notifier:
    """This unit's notification socket, if any; `watchdog_seconds` is None unless systemd watches us."""

    def __init__(self, environ: Mapping[str, str], pid: int) -> None:
        self._address = _address(environ.get("NOTIFY_SOCKET", ""))
        self._last_status = ""
        self.watchdog_seconds = _watchdog_seconds(environ, pid) if self._address else None

    def ready(self) -> None:
        """We do our work from now on (also: reloading is over); the status stays what it was."""
        self._send("READY=1")

    def status(self, status: str) -> None:
        """One line for `systemctl status`; the same line again is not sent."""
        if status != self._last_status:
            self._last_status = status
            self._send(f"STATUS={status}")

    def beat(self) -> None:
        """Something was achieved: the watchdog starts counting anew."""
        if self.watchdog_seconds is not None:
            self._send("WATCHDOG=1")

    def reloading(self) -> None:
        """Settings are read again; `ready` ends it (Type=notify-reload wants the time, see sd_notify(3))."""
        self._send(f"RELOADING=1\nMONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")

    def needs(self, seconds: float) -> None:
        """The stop under way may take so long from now, whatever TimeoutStopSec says."""
        self._send(f"EXTEND_TIMEOUT_USEC={math.ceil(seconds * 1e6)}")

    def stopping(self, status: str) -> None:
        """We are on our way out."""
        self._send(f"STOPPING=1\nSTATUS={status}")

    def _send(self, message: str) -> None:
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
                sender.settimeout(_PATIENCE_SECONDS)
                sender.sendto(message.encode("utf-8", "replace"), self._address)
        except OSError:
            self._last_status = ""


def without_notification(environ: Mapping[str, str]) -> dict[str, str]:
    """Return `environ` for a child: it must not speak to systemd in our name."""
    ours = {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"}
    return {name: value for name, value in environ.items() if name not in ours}


def _address(name: str) -> str:
    if name.startswith("@"):
        return f"\0{name[1:]}"  # the abstract namespace; see unix(7)
    return name if os.path.isabs(name) else ""  # noqa: PTH117 -- a socket's name, not a file to work with


def _watchdog_seconds(environ: Mapping[str, str], pid: int) -> float | None:
    text = environ.get("WATCHDOG_USEC", "")
    meant = environ.get("WATCHDOG_PID", str(pid))
    if not text.isdecimal() or int(text) == 0 or meant != str(pid):
        return None
    return int(text) / 1e6
