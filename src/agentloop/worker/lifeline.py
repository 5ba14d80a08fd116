"""Ends what a harness started when the harness is gone, however it went: a script of its own, in no sandbox.

bubblewrap asks the kernel to be killed with its parent, but a parent that dies while a sandbox is being set
up is missed (measured: after half of the kills aimed at that moment the command ran on). So each process that
starts sandboxes holds the write end of a pipe, and this script the read end. When it closes without a word,
every process with the run's mark in its environment gets SIGKILL, until none is left. `argv[1]` is the mark,
as NAME=value.
"""

import os
import signal
import sys
import time
from pathlib import Path

QUIET_SECONDS = 0.5
LONGEST_SECONDS = 30.0


def main() -> None:
    """Wait for the end of stdin; when it came without a word, end what carries the mark."""
    mark = os.fsencode(sys.argv[1])
    if os.read(0, 64):
        return  # an orderly exit
    began = quiet_since = time.monotonic()
    # What was just being started shows its mark a moment later.
    while (now := time.monotonic()) - quiet_since < QUIET_SECONDS and now - began < LONGEST_SECONDS:
        if _end_marked(mark):
            quiet_since = now
        time.sleep(0.05)


def _end_marked(mark: bytes) -> bool:
    found = False
    for path in Path("/proc").glob("[0-9]*/environ"):
        pid = int(path.parent.name)
        try:
            if pid != os.getpid() and mark in path.read_bytes().split(b"\0"):
                os.kill(pid, signal.SIGKILL)
                found = True
        except OSError:
            continue
    return found


if __name__ == "__main__":
    main()
