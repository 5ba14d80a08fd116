"""One command in a checkout: run in the sandbox, within its time, with what it printed read and kept."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from agentloop.domain.secrets import redact
from agentloop.domain.valueclass import dataclass
from agentloop.gate.counts import count_tests
from agentloop.worker.sandbox import sandbox_for

if TYPE_CHECKING:
    from agentloop.domain.work import GateSpec
    from agentloop.home import RunFolder
    from agentloop.worker.sandbox import Ran, Sandbox

LAST_SECONDS: Final = 15
"""How long before its deadline a gate stops running commands: the verdict wants to be written."""
READ_BYTES: Final = 2_000_000
KEPT_BYTES: Final = 8_000
"""What is read of an output, for its summaries, and what of that goes into the verdict."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """How a command ended, all that was read of its output, and how many tests that tells of."""

    ran: Ran
    whole: str
    tests: int | None

    @property
    def kept(self) -> str:
        """The ends of the output, without secrets: what may be shown."""
        data = self.ran.output
        if len(data) > KEPT_BYTES:
            half = KEPT_BYTES // 2
            gap = f"\n[… {len(data) - KEPT_BYTES} bytes left out …]\n".encode()
            data = data[:half] + gap + data[-half:]
        return redact(data.decode("utf-8", "replace"))


def sandbox_of(spec: GateSpec, folder: RunFolder) -> Sandbox:
    """Return the sandbox in which only the checkout of `folder` can be written; the home is out of sight."""
    return sandbox_for(
        spec.worker,
        writable=(folder.tree, folder.git),
        readable=(Path(spec.mirror) / "objects",),
        hidden=(folder.root.parent.parent,),
        tmp=folder.tmp,
        mark=str(folder.root),
    )


def run_command(command: str, sandbox: Sandbox, tree: Path, seconds: float) -> Seen:
    """Return how `sh -c command` in `tree` ended, at most `seconds` later. Raises UnsafeError."""
    ran = sandbox.run(
        ["/bin/sh", "-c", command],
        cwd=tree,
        # The checkout is its owner's, whoever that is to the sandbox.
        env={"GIT_CONFIG_GLOBAL": "/dev/null"},
        timeout_seconds=seconds,
        output_limit=READ_BYTES,
    )
    return Seen(ran=ran, whole=ran.text, tests=count_tests(ran.text))


def seconds_left(spec: GateSpec) -> float:
    """Return how long commands may still run; 0 or less when the gate's time is over."""
    return (spec.deadline - datetime.now(UTC)).total_seconds() - LAST_SECONDS
