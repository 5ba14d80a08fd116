"""The probe of the supervisor on a kept connection, in a process of its own: CPU of each in ms, as JSON."""

from __future__ import annotations

import json
import sys
import time

from agentloop.edges.github.client import Client, Forgetful


def main(url: str, token: str, address: str, etag: str, times: int) -> None:
    """Ask so often, after a first time that makes the connection, and print."""
    client = Client(url, lambda: token, Forgetful())
    client.differs(address, etag)
    took = []
    for _ in range(times):
        began = time.thread_time()
        client.differs(address, etag)
        took.append((time.thread_time() - began) * 1000)
    sys.stdout.write(json.dumps(took))


url, token, address, etag, times = sys.argv[1:]
main(url, token, address, etag, int(times))
