"""What an idle cycle touches, as the audit hook of the interpreter tells: one cycle, and JSON about it."""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path

SDKS = frozenset({"anthropic", "github", "git", "httpx", "pydantic", "typer", "structlog"})
WRITES = ("tracker", "memories", "journal", "target")


def stamps(root: Path) -> dict[str, tuple[int, int]]:
    """Return size and time of what a forge, the journal and the relay consist of."""
    files = (path for name in WRITES for path in (root / name).rglob("*") if path.is_file())
    return {str(path): (path.stat().st_size, path.stat().st_mtime_ns) for path in files}


def main(root: Path) -> None:
    """Run one cycle in the home at `root`; print what it connected to, loaded and wrote."""
    seen: Counter[str] = Counter()

    def heard(event: str, _given: tuple[object, ...]) -> None:
        if event in ("socket.connect", "socket.getaddrinfo"):
            seen["connections"] += 1

    before = stamps(root)
    sys.addaudithook(heard)
    from agentloop.__main__ import main as run

    code = run(["cycle", "--home", str(root)])
    after = stamps(root)
    loaded = sorted(SDKS & sys.modules.keys())
    written = sorted(path for path in before.keys() | after.keys() if before.get(path) != after.get(path))
    said = {"code": code, "connections": seen["connections"], "loaded": loaded, "written": written}
    print(json.dumps(said), file=sys.__stdout__)


main(Path(sys.argv[1]))
