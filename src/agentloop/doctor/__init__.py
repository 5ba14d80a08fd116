"""What the loop needs, looked at one by one: each check is data, with its fix.

`machine.py` looks at the machine, `house.py` at the home, `reach.py` at what lies outside.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from agentloop import __version__
from agentloop.doctor import house, machine, reach
from agentloop.doctor.check import Check, State

if TYPE_CHECKING:
    from agentloop.home import Home

__all__ = ["Check", "State", "as_json", "examine"]


def examine(home: Home) -> Iterator[Check]:
    """Yield each check of `home` as soon as it is made. Raises nothing that a check can say."""
    yield machine.python()
    yield machine.git()
    yield from house.layout(home)
    yield house.repository(home)
    settings, checks = house.settings(home)
    yield from checks
    yield from house.prompts(home)
    yield house.journal(home)
    yield house.relay(home)
    yield from house.requests(home)
    yield from machine.disk(home)
    yield machine.clock(home)
    yield machine.inotify()
    yield house.supervisor(home)
    yield machine.systemd()
    if settings is None:
        return
    key, check = reach.key(home, settings)
    yield check
    yield machine.sandbox(settings, key)
    yield reach.prices(settings)
    yield from reach.targets(home, settings)
    yield from reach.webhook(settings)
    yield reach.model(settings, key)


def as_json(home: Home, checks: Sequence[Check]) -> dict[str, Any]:
    """Return the checks for a program: home, version, `ok` (no check failed), and each check."""
    return {
        "home": str(home.root),
        "version": __version__,
        "ok": all(check.state != "fail" for check in checks),
        "checks": [
            {"name": each.name, "state": each.state, "what": each.what, "fix": each.fix} for each in checks
        ],
    }
