"""A GitHub that runs on this machine: for tests, for trying agentloop without one, for seeing what it posts.

Stateful: REST and a little GraphQL over HTTP on loopback, conditional requests, pages, limits, webhooks, git
over smart HTTP on real bare repositories, and faults on demand. What it models, what not, and where each was
read stands in `behaviours`. `python -m agentloop.testing.github` serves one to look at.
"""

from __future__ import annotations

from agentloop.testing.github.behaviours import EVERY, Behaviour
from agentloop.testing.github.faults import Fault, Kind
from agentloop.testing.github.hub import Hub
from agentloop.testing.github.refusals import Refused
from agentloop.testing.github.server import Server, serving

__all__ = ["EVERY", "Behaviour", "Fault", "Hub", "Kind", "Refused", "Server", "serving"]
