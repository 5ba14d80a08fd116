"""`python -m agentloop.testing.github`: a simulated GitHub, with a scripted model, to try agentloop on."""

from __future__ import annotations

import argparse
import sys
import tempfile
import threading
from contextlib import suppress
from pathlib import Path
from typing import Final

from agentloop.testing.demo.stage import data
from agentloop.testing.github.hub import Hub
from agentloop.testing.github.server import Server, serving
from agentloop.testing.github.values import Rule
from agentloop.testing.model import ScriptedModel

PERSON: Final = "octocat"
BOT: Final = "loop-bot"
NAME: Final = "durations"


def main() -> None:
    """Serve one repository of a person's, with a bot that may write and a rule that keeps it from merging."""
    parser = argparse.ArgumentParser(prog="python -m agentloop.testing.github", description=__doc__)
    parser.add_argument(
        "folder", type=Path, nargs="?", help="where it keeps its repositories (default: nowhere)"
    )
    parser.add_argument("--port", type=int, default=0, help="0 = any that is free")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="agentloop-github-") as made, suppress(KeyboardInterrupt):
        _serve(asked.folder or Path(made), asked.port)


def _serve(folder: Path, port: int) -> None:
    hub = Hub(folder / "repositories")
    repository = hub.repository(f"{PERSON}/{NAME}", _files(data("repository")))
    repository.roles[BOT] = "write"
    repository.rules = [Rule(id=hub.new_id(), branch=repository.branch)]
    token = folder / "token"
    token.touch(mode=0o600)
    token.write_text("token-of-loop-bot\n", encoding="utf-8")
    hub.token(BOT, "token-of-loop-bot")
    hub.token(PERSON, "token-of-octocat")
    with serving(hub, port=port) as server, ScriptedModel(data("script.toml")) as model:
        sys.stdout.write(_told(server, token, model.url))
        sys.stdout.flush()
        threading.Event().wait()


def _files(root: Path) -> dict[str, str]:
    paths = [path for path in root.rglob("*") if path.is_file() and path.suffix != ".pyc"]
    return {str(path.relative_to(root)): path.read_text("utf-8") for path in paths}


def _told(server: Server, token: Path, model: str) -> str:
    address = f"{server.site}/{PERSON}/{NAME}"
    return f"""\
A simulated GitHub. {PERSON} owns {NAME}; {BOT} is the loop's account; {server.url} is the API.

In another terminal (the model is a scripted one, and costs nothing):

  agentloop init ~/loop-on-github --github {address} --yes
  cd ~/loop-on-github
  export AGENTLOOP_GITHUB__TOKEN_FILE={token}
  export ANTHROPIC_BASE_URL={model} ANTHROPIC_API_KEY=scripted
  agentloop run

In a browser, as the person who only ever touches GitHub:

  {address}
  File an issue called "1h30m counts as one hour", and reload: it is planned, worked on, and becomes
  a pull request. Review it, ask for a change, merge it. An issue of other words is asked about first.

^C ends it, and what it knows is gone.
"""


if __name__ == "__main__":
    main()
