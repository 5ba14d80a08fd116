"""The checker of import directions refuses what the design refuses, and takes the rest."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

CHECKER = Path(__file__).parents[2] / "scripts" / "directions.py"


def check(folder: Path, modules: dict[str, str]) -> tuple[int, list[str]]:
    """Write `modules` (name below agentloop: text) and return the checker's exit code and objections."""
    for name, text in modules.items():
        path = folder / "agentloop" / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    done = subprocess.run(
        [sys.executable, CHECKER, folder], capture_output=True, text=True, check=False, timeout=90
    )
    lines = done.stdout.replace(f"{folder}/agentloop/", "").splitlines()
    return done.returncode, [line for line in lines if not line.endswith("refused")]


def test_allowed_arrows_pass(tmp_path: Path) -> None:
    """Imports that point the way of the design are no matter, however many layers they cross."""
    found = check(
        tmp_path,
        {
            "domain/task": "import json\nfrom agentloop.domain import issue\n",
            "domain/issue": "from dataclasses import dataclass\n",
            "ports": "from agentloop.domain.task import Task\n",
            "cycle": "from agentloop import ports\nfrom agentloop.domain import task\n",
            "edges/anthropic": "import anthropic\nimport tenacity\nfrom agentloop.ports import Model\n",
            "wiring": "def model():\n    from agentloop.edges import anthropic\n",
            "cli/main": "import typer\nfrom agentloop import wiring\n",
            "testing/model": "from agentloop.edges import anthropic\n",
        },
    )
    assert found == (0, [])


def test_bad_arrow_is_refused_with_place_and_reason(tmp_path: Path) -> None:
    """A rule that reaches for an edge is named by file and line, with the reason; hiding it helps nothing."""
    hidden = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from agentloop.edges.files import x\n"
    found = check(
        tmp_path,
        {
            "cycle": "\ndef late():\n    import agentloop.edges.files\n",
            "domain/task": hidden,
            "edges/files": "",
        },
    )
    assert found == (
        1,
        [
            (
                "cycle.py:3 agentloop.cycle imports agentloop.edges.files: "
                "the cycle sees the world through ports only"
            ),
            (
                "domain/task.py:3 agentloop.domain.task imports agentloop.edges.files: "
                "rules are pure: they know nothing but the standard library"
            ),
        ],
    )


def test_vendor_outside_its_module_is_refused(tmp_path: Path) -> None:
    """An SDK belongs to one module, and a vendor nobody owns to none."""
    found = check(tmp_path, {"edges/git": "import git\nimport anthropic\nimport numpy.linalg\n"})
    assert found == (
        1,
        [
            "edges/git.py:2 agentloop.edges.git imports anthropic: one SDK, one module",
            (
                "edges/git.py:3 agentloop.edges.git imports numpy.linalg: "
                "a vendor needs an owner in scripts/directions.py"
            ),
        ],
    )


def test_ring_of_imports_is_refused_once(tmp_path: Path) -> None:
    """Two modules that load each other are one ring; one that waits for a call is none."""
    ring = check(
        tmp_path / "ring",
        {"domain/a": "from agentloop.domain import b\n", "domain/b": "import agentloop.domain.a\n"},
    )
    assert ring == (1, ["import cycle: agentloop.domain.a -> agentloop.domain.b -> agentloop.domain.a"])
    late = check(
        tmp_path / "late",
        {
            "domain/a": "def f():\n    from agentloop.domain import b\n",
            "domain/b": "import agentloop.domain.a\n",
        },
    )
    assert late == (0, [])


def test_light_module_may_not_load_a_vendor_by_a_detour(tmp_path: Path) -> None:
    """What loads a vendor three modules away is as slow as what loads it itself."""
    found = check(
        tmp_path,
        {
            "__main__": "from agentloop import light\n",
            "light": "from agentloop import wiring\n",
            "wiring": "from agentloop.edges import git\n",
            "edges/git": "import git\n",
        },
    )
    assert found == (
        1,
        [
            (
                "__main__.py: loading agentloop.__main__ loads git by way of "
                "agentloop.__main__ -> agentloop.light -> agentloop.wiring -> agentloop.edges.git; "
                "keep it light"
            ),
            (
                "light.py: loading agentloop.light loads git by way of "
                "agentloop.light -> agentloop.wiring -> agentloop.edges.git; keep it light"
            ),
        ],
    )


def test_file_that_is_no_python_is_named(tmp_path: Path) -> None:
    """A broken file is an objection, not a traceback."""
    assert check(tmp_path, {"ports": "def (\n"}) == (1, ["ports.py:1 cannot be read: invalid syntax"])
