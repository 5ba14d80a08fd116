"""The part of a build's log that says why it failed, by a rule: pure, and the log is data."""

from __future__ import annotations

import re
from typing import Final

LINES: Final = 40
CHARACTERS: Final = 2000
_ANSI: Final = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-_])")
_STAMP: Final = re.compile(r"^\ufeff?\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z ?")
"""What GitHub writes before each line of a job's log."""
_ERROR: Final = "##[error]"
_STEP: Final = "##[group]Run "
_MARK: Final = re.compile(r"^##\[(?:error|group|warning|notice|command|debug)\]")
_DULL: Final = ("##[endgroup]", "##[debug]")


def failing_part(log: str, *, lines: int = LINES, characters: int = CHARACTERS) -> str:
    """Return the last lines up to the last error that the log marks, within the step that it ended.

    A log that marks none tells its last lines. Colours, times, marks and empty lines are taken out; at most
    `lines` lines and `characters` characters, the last ones.
    """
    plain = [_STAMP.sub("", _ANSI.sub("", line.rstrip("\r"))) for line in log.split("\n")]
    errors = [at for at, line in enumerate(plain) if line.startswith(_ERROR)]
    upto = plain[: errors[-1] + 1] if errors else plain
    steps = [at for at, line in enumerate(upto) if line.startswith(_STEP)]
    kept = [line for line in upto[steps[-1] if steps else 0 :] if line.strip() and not line.startswith(_DULL)]
    told = "\n".join(_MARK.sub("", line) for line in kept[-lines:])
    return told if len(told) <= characters else f"…{told[-characters + 1 :]}"
