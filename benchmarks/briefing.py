"""How long the built-in tracker looks at so many open issues, and how large the briefing about them is."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from agentloop.admin.briefing import brief
from agentloop.admin.tools import tools
from agentloop.domain.facts import Entry
from agentloop.domain.observed import Observed
from agentloop.domain.scene import Scene
from agentloop.domain.settings import Settings
from agentloop.domain.signals import matters, news
from agentloop.domain.world import World
from agentloop.edges.tracker import FileTracker
from agentloop.prompts import render

LOOKS = 5


def main(count: int) -> None:
    """Print the bytes of the briefing and of what goes before it, and the milliseconds of a look, as JSON."""
    with tempfile.TemporaryDirectory() as folder:
        issues = Path(folder) / "issues"
        issues.mkdir()
        for number in range(1, count + 1):
            text = (
                f"---\nid: {number}\ntitle: Division by zero in case {number:04}\nstate: open\nauthor: ana\n"
            )
            created = "created: 2026-11-20T10:00:00Z\n---\n\nIt should say so, and end with status 2.\n"
            (issues / f"{number:04}.md").write_text(text + created)
        tracker = FileTracker(Path(folder))
        seconds = []
        for _ in range(LOOKS):
            began = time.perf_counter()
            seen = tracker.observe(frozenset())
            seconds.append(time.perf_counter() - began)
    now = datetime.now(UTC)
    world, observed = World(), Observed(now=now, issues=seen)
    world.apply(Entry(at=now, cycle=1, facts=news(world, observed)))
    scene = Scene(world=world, observed=observed, settings=Settings())
    told = brief(scene, matters(world, observed), relay="")
    shown = [{"name": one.name, "description": one.description, "schema": one.schema} for one in tools()]
    found = {
        "bytes": len(told.text.encode()),
        "prompt_bytes": len(render("admin").encode()),
        "tools_bytes": len(json.dumps(shown).encode()),
        "look_ms": sorted(seconds)[LOOKS // 2] * 1000,
    }
    print(json.dumps(found))


main(int(sys.argv[1]))
