"""`agentloop webhook`: joins the listener with the home's settings, and ends it when told to."""

from __future__ import annotations

import os
import signal
import threading
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from agentloop import compiled, exits
from agentloop.edges import runfolder
from agentloop.edges.github.connecting import name_of
from agentloop.edges.github.hooksecret import secret_in
from agentloop.edges.homeremote import known_of
from agentloop.edges.lines import Lines, form_for
from agentloop.edges.webhook import PATH, Ground, Webhook, address_of
from agentloop.home import Home

if TYPE_CHECKING:
    from pathlib import Path


def run(root: Path) -> int:
    """Take deliveries for the home at `root` until SIGTERM or SIGINT, and return the exit code.

    Raises SettingsError, UnsafeError when there is no secret, BusyError when the address is taken, OSError.
    """
    home = Home(root.resolve())
    listen = compiled.in_force(home)[0].webhook.listen
    ground = Ground(secret=lambda: _secret(home), repositories=lambda: _repositories(home))
    ground.secret()  # without one there is nothing to listen for: said now, not at the first delivery
    runfolder.make_run(str(home.root))
    lines = Lines(2, form_for(2, os.environ))
    hook = Webhook(home.root, address_of(listen), ground, lines)
    over = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: over.set())
    hook.start()
    who = ", ".join(sorted(ground.repositories())) or "no target on GitHub yet"
    lines.say("webhook.started", f"taking deliveries on http://{listen}{PATH} for {who}")
    over.wait()
    hook.stop()
    lines.say("webhook.stopped", "stopped; news is seen within a minute all the same")
    return exits.OK


def _secret(home: Home) -> str:
    return secret_in(compiled.in_force(home)[0].webhook.secret_file)


def _repositories(home: Home) -> frozenset[str]:
    targets = compiled.in_force(home)[0].targets
    names = {name_of(target).lower() for target in targets if target.tracker == "github"}
    if place := known_of(home).place:  # what is edited there is news too
        names.add(urlsplit(place.address).path.strip("/").removesuffix(".git").lower())
    return frozenset(names)
