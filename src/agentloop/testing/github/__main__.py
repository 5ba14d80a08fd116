"""`python -m agentloop.testing.github [FOLDER]`: a simulated GitHub to try agentloop against, until ^C."""

from __future__ import annotations

import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

from agentloop.testing.github.hub import Hub
from agentloop.testing.github.server import serving
from agentloop.testing.github.values import Rule

PERSON: Final = "octocat"
BOT: Final = "loop-bot"
FILES: Final = {
    "calc.py": "def add(a, b):\n    return a - b\n",
    "test_calc.py": (
        "import unittest\n\nfrom calc import add\n\n\nclass Calc(unittest.TestCase):\n"
        "    def test_zero(self):\n        self.assertEqual(add(2, 0), 2)\n"
    ),
}


def main(folder: Path) -> None:
    """Serve one repository of a person's, with a bot that may write and a rule that keeps it from merging."""
    hub = Hub(folder / "repositories")
    repository = hub.repository(f"{PERSON}/calc", FILES)
    repository.roles[BOT] = "write"
    repository.rules = [Rule(id=hub.new_id(), branch=repository.branch)]
    words = {login: f"token-of-{login}" for login in (PERSON, BOT)}
    for login, word in words.items():
        hub.token(login, word)
    token = folder / "token"
    token.touch(mode=0o600)
    token.write_text(f"{words[BOT]}\n", encoding="utf-8")
    with serving(hub) as server, suppress(KeyboardInterrupt):
        sys.stdout.write(
            f"pages       {server.site}/{repository.path}\n"
            f"API         {server.url}\n"
            f'settings    repository = "{server.site}/{repository.path}"\n'
            f'            tracker = "github"\n'
            f'            token_file = "{token}"\n'
            f"a person    curl -H 'Authorization: Bearer {words[PERSON]}' "
            f'-d \'{{"title": "add subtracts"}}\' {server.url}/repos/{repository.path}/issues\n'
            "the end     ^C\n"
        )
        sys.stdout.flush()
        while True:
            time.sleep(3600)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="agentloop-github-") as made:
        main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(made))
