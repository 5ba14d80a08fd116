"""Runs one command without a sandbox, and ends all that it started: a script of its own between it and us.

Orphans come to this process (PR_SET_CHILD_SUBREAPER), whatever sessions they hide in and whatever environment
they were given, so that it knows every descendant by its parent. When the command is over, or whoever
started this is gone (PR_SET_PDEATHSIG), they get SIGKILL until none is left. `argv[1]` is the pid that
started this, `argv[2]` the run's mark for the command's environment (not in ours: what ends
marked processes must not end us first), the rest is the command. Its exit status is ours, 128 + n for a
signal.
"""

import ctypes
import os
import signal
import sys
from pathlib import Path

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36  # linux/prctl.h


def main() -> int:
    """Run the command and return its status; whatever it started has ended."""
    prctl = ctypes.CDLL(None).prctl
    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    waited = {signal.SIGTERM, signal.SIGCHLD}
    signal.pthread_sigmask(signal.SIG_BLOCK, waited)
    prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != int(sys.argv[1]):
        return 128 + signal.SIGTERM  # it was gone before we could be told
    command = os.fork()
    if command == 0:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, waited)
        os.setsid()
        try:
            name, _, value = sys.argv[2].partition("=")
            os.execvpe(sys.argv[3], sys.argv[3:], os.environ | {name: value})  # noqa: S606 -- the command
        except OSError as error:
            os.write(2, f"{sys.argv[3]}: {error.strerror}\n".encode())
            os._exit(127)
    status = None
    while status is None and signal.sigwait(waited) != signal.SIGTERM:
        status = _reap(command)
    _end_all(command)
    return 128 + signal.SIGTERM if status is None else status


def _reap(command: int) -> int | None:
    """Take in every child that ended; return the command's status when it is among them."""
    found = None
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return found
        if pid == 0:
            return found
        if pid == command:
            code = os.waitstatus_to_exitcode(status)
            found = code if code >= 0 else 128 - code


def _end_all(command: int) -> None:
    while left := _children():
        for pid in left:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        # Those they leave behind come to us, so look again until there are none.
        os.waitpid(left[0], 0)
        _reap(command)


def _children() -> list[int]:
    return [int(pid) for pid in Path("/proc/thread-self/children").read_text("ascii").split()]


if __name__ == "__main__":
    sys.exit(main())
