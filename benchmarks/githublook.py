"""What looking at a simulated GitHub costs, as JSON: requests, units of the limit, the looker's CPU."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import github

from agentloop.domain.settings import GitHub, Settings, Target
from agentloop.edges.github.connecting import site_of
from agentloop.edges.github.tracker import GitHubTracker
from agentloop.home import Home
from agentloop.testing.github import Hub, Server, serving
from agentloop.testing.github.admission import Meter
from benchmarks.measuring import ask_child

if TYPE_CHECKING:
    from agentloop.edges.github.site import Site

TOKEN = "ghp_0123456789abcdefghijklmnopqrstuvwxyz"  # noqa: S105 - opens a simulation
PROBES = 300
LOOKS = 15
WORDS = "It ends with a traceback when the input is empty. " * 10


def served(folder: Path, issues: int, stack: ExitStack, *, each: int) -> Server:
    """Serve a repository with so many open issues, one in `each` with a comment."""
    now = [datetime.now(UTC) - timedelta(days=30)]
    hub = Hub(folder / "hub", now=lambda: now[0])
    hub.token("loop-bot", TOKEN)
    repository = hub.repository("octocat/web", {"app.py": "one\n"})
    repository.roles |= {"loop-bot": "write", "alice": "write"}
    alice = hub.account("alice")
    for number in range(issues):
        thread = hub.open_issue(repository, alice, f"It crashes {number}", WORDS)
        if number % each == 0:
            hub.comment(repository, alice, thread, "Me too.")
        now[0] += timedelta(minutes=5)
    now[0] = datetime.now(UTC)
    return stack.enter_context(serving(hub, meter=Meter(limit=10**9, writes_a_minute=10**9)))


def sited(folder: Path, server: Server) -> Site:
    """The repository as a cycle has it when it begins."""
    token = folder / "token"
    token.write_text(TOKEN, encoding="utf-8")
    token.chmod(0o600)
    target = Target(name="web", repository=f"{server.site}/octocat/web", tracker="github")
    settings = Settings(targets=(target,), github=GitHub(token_file=str(token), reserve=0))
    return site_of(Home(folder / "home"), settings, target)


def look(folder: Path, server: Server) -> dict[str, float]:
    """Look once, as a cycle does, and return what it took."""
    before, site = len(server.api.calls), sited(folder, server)
    began = time.thread_time()
    GitHubTracker(site).observe(frozenset())
    took = time.thread_time() - began
    site.close()
    calls = server.api.calls[before:]
    return {"requests": len(calls), "units": sum(one.cost for one in calls), "cpu_ms": took * 1000}


def probe(folder: Path, server: Server) -> dict[str, float]:
    """Ask what the supervisor asks, in a process as it does: the median, and what the server counted."""
    site = sited(folder, server)
    path, query = site.newest()
    site.client.one(path, **query)
    address, etag = site.client.seen(path, **query)
    site.close()
    before = len(server.api.calls)
    took = ask_child("githubprobe", server.url, TOKEN, address, etag, str(PROBES))
    calls = server.api.calls[before:]
    return {
        "cpu_ms": median(took),
        "least_ms": min(took),
        "requests": len(calls) / (PROBES + 1),
        "units": sum(one.cost for one in calls),
        "bytes": sum(one.bytes for one in calls),
    }


def by_default(server: Server) -> int:
    """How many requests PyGithub makes, as it comes, for every issue and the comments of those with any."""
    before = len(server.api.calls)
    # As it comes, it also waits a quarter of a second between two requests, which changes no count.
    auth = github.Auth.Token(TOKEN)
    hub = github.Github(base_url=server.url, auth=auth, seconds_between_requests=0)
    repository = hub.get_repo("octocat/web")
    for issue in repository.get_issues():
        if issue.comments:
            list(issue.get_comments())
    return len(server.api.calls) - before


def idle(folder: Path, server: Server) -> dict[str, float]:
    """Look `LOOKS` times with nothing changed: the median."""
    looks = [look(folder, server) for _ in range(LOOKS)]
    return {name: median(one[name] for one in looks) for name in looks[0]}


def main(issues: int, each: int) -> None:
    """Measure with so many issues, one in `each` with a comment, and print."""
    told: dict[str, Any] = {}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="agentloop-bench-")))
        server = served(folder, issues, stack, each=each)
        told["first"] = look(folder, server)
        told["second"] = look(folder, server)
        told["idle"] = idle(folder, server)
        hub, repository = server.hub, server.hub.repositories["octocat/web"]
        hub.comment(repository, hub.account("alice"), repository.threads[issues // 2], "Again.")
        told["changed"] = look(folder, server)
        told["probe"] = probe(folder, server)
        told["default"] = by_default(server)
    sys.stdout.write(json.dumps(told))


main(int(sys.argv[1]), int(sys.argv[2]))
