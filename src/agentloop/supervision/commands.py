"""The command lines of the supervisor's children, as values."""

from __future__ import annotations

import sys

from agentloop.domain.valueclass import dataclass

# -P: the folder that the supervisor was started in is no place to import from.
_AGENTLOOP = (sys.executable, "-P", "-m", "agentloop")


@dataclass(frozen=True, slots=True, kw_only=True)
class Commands:
    """What is started for a cycle and for compiling the settings; `--home HOME` is appended to each."""

    cycle: tuple[str, ...] = (*_AGENTLOOP, "cycle")
    compile: tuple[str, ...] = (*_AGENTLOOP, "config", "compile")
