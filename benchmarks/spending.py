"""What the loop itself spends: an idle cycle, the briefing, and the admin agent over the demo's story."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.measuring import COMMAND, PYTHON, Row, ask_child, environment

if TYPE_CHECKING:
    from collections.abc import Iterator

BARE_BYTES = 76_000
"""The body that `claude -p` sends before it thinks (2.1.197, in an empty folder)."""
BRIEFING, OWN = 15.0, 10.0
OPEN = 5_000


def rows(home: Path, _turns: int) -> list[Row]:
    """Return what an idle cycle touches, the size of a briefing, and our own share of a story's cost."""
    return [*_idle(home), *_briefing(), *_story(home)]


def _idle(home: Path) -> Iterator[Row]:
    subprocess.run((COMMAND, "cycle"), cwd=home, env=environment(), check=True, capture_output=True)
    said = ask_child("idlecycle", str(home))
    for name, found in (
        ("connections of any kind, so model tokens", said["connections"]),
        ("SDKs and frameworks loaded", len(said["loaded"])),
        ("files of tracker, forge, relay, journal written", len(said["written"])),
    ):
        yield Row(group="spending", name=f"idle cycle: {name}", measured=found, unit="", promised=0)


def _briefing() -> Iterator[Row]:
    said = ask_child("briefing", str(OPEN))
    yield Row(
        group="spending",
        name=f"briefing of {OPEN:,} open issues / bare claude -p",
        measured=said["bytes"] / BARE_BYTES * 100,
        unit="%",
        promised=BRIEFING,
        beside=f"{said['bytes']:,} of {BARE_BYTES:,} bytes",
    )
    whole = said["bytes"] + said["prompt_bytes"] + said["tools_bytes"]
    yield Row(
        group="spending",
        name="the same with instructions and tools, which are cached",
        measured=whole / BARE_BYTES * 100,
        unit="%",
        beside=f"{said['prompt_bytes']:,} + {said['tools_bytes']:,} bytes of them",
    )


def _story(home: Path) -> Iterator[Row]:
    with tempfile.TemporaryDirectory(dir=home.parent, ignore_cleanup_errors=True) as folder:
        command = (PYTHON, "-P", "-m", "agentloop.testing.demo", "--pace", "fast", "--keep")
        given = {**os.environ, "TMPDIR": folder}
        done = subprocess.run(command, env=given, check=False, capture_output=True, text=True)
        found = next(Path(folder).glob("*/home"), None)
        if done.returncode or found is None:
            failed = (done.stderr or done.stdout)[-300:]
            yield _own(float("inf"), "", f"the demo did not come to its end: {failed}")
            return
        spent = _spent(found)
    admin, worker = spent["admin agent"], spent["worker"]
    beside = f"${admin['settled_micros'] / 1e6:.3f} of ${worker['settled_micros'] / 1e6:.3f}"
    why = "a story of one small task: instructions and tools are read afresh, and the worker's part is tiny"
    yield _own(admin["settled_micros"] / worker["settled_micros"] * 100, beside, why)


def _spent(home: Path) -> dict[str, Any]:
    command = (COMMAND, "cost", "--by", "specialist", "--json", "--home", str(home))
    done = subprocess.run(command, env=environment(), check=True, capture_output=True, text=True)
    return {row["key"]: row for row in json.loads(done.stdout)["rows"]}


def _own(share: float, beside: str, why: str) -> Row:
    name = "admin agent's cost / workers', the demo's story"
    return Row(group="spending", name=name, measured=share, unit="%", promised=OWN, beside=beside, why=why)
