"""Each behaviour that the simulated GitHub models, seen from outside, and missed when it is off."""

from __future__ import annotations

import json
import subprocess
import urllib.error
import urllib.request
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

import pytest

from agentloop.testing import gitrepo
from agentloop.testing.github import EVERY, Behaviour, Hub, Refused, serving
from agentloop.testing.github.admission import Meter
from agentloop.testing.github.values import Hook, Rule

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from agentloop.testing.github.values import Thread as Issue

CAT, BOT = "word-of-octocat", "word-of-the-bot"


class Ground:
    """A server with `octocat/web`; a bot that may write; one issue and one branch beside `main`."""

    def __init__(self, folder: Path, stack: ExitStack, behaviours: frozenset[Behaviour]) -> None:
        self.now = datetime(2026, 11, 20, 12, tzinfo=UTC)
        self.hub = Hub(folder, now=lambda: self.now, behaviours=behaviours)
        self.hub.token("octocat", CAT)
        self.hub.token("bot", BOT)
        self.repository = self.hub.repository("octocat/web", {"app.py": "one\n"})
        self.repository.roles["bot"] = "write"
        self.cat, self.bot = self.hub.account("octocat"), self.hub.account("bot")
        self.issue = self.hub.open_issue(self.repository, self.cat, "It crashes")
        main = gitrepo.head(self.repository.folder, "main")
        commit = gitrepo.commit_in(self.repository.folder, main, {"app.py": "two\n"}, "two")
        gitrepo.git(self.repository.folder, "update-ref", "refs/heads/agentloop/1", commit)
        self.server = stack.enter_context(serving(self.hub, meter=Meter(limit=40, writes_a_minute=10)))

    def ask(
        self, method: str, path: str, body: object = None, *, word: str = BOT, etag: str = ""
    ) -> tuple[int, dict[str, str], Any]:
        """Return status, headers and body."""
        headers = {"Authorization": f"Bearer {word}", **({"If-None-Match": etag} if etag else {})}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.server.url}{path}", data, headers, method=method)  # noqa: S310 - loopback
        opener = urllib.request.build_opener(_Staying)
        try:
            with opener.open(request) as answer:
                text = answer.read()
                return answer.status, dict(answer.headers), json.loads(text) if text else None
        except urllib.error.HTTPError as error:
            return error.code, dict(error.headers), None

    def status(self, method: str, path: str, body: object = None, *, word: str = BOT) -> int:
        """Return the status alone."""
        return self.ask(method, path, body, word=word)[0]

    def pull(self, branch: str = "agentloop/1", body: str = "") -> Issue:
        """The bot's pull request."""
        return self.hub.open_pull(self.repository, self.bot, title="T", body=body, branch=branch, base="main")


class _Staying(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:  # noqa: ANN401 - as urllib calls it
        """Follow nothing."""


R = "/repos/octocat/web"


def _conditional(at: Ground) -> bool:
    etag = at.ask("GET", f"{R}/issues")[1].get("ETag", "none")
    before = at.server.api.meter.used[BOT]
    return at.ask("GET", f"{R}/issues", etag=etag)[0] == 304 and at.server.api.meter.used[BOT] == before


def _etag_of_token(at: Ground) -> bool:
    etag = at.ask("GET", f"{R}/issues")[1].get("ETag", "none")
    return at.ask("GET", f"{R}/issues", word=CAT, etag=etag)[0] == 200


def _pages(at: Ground) -> bool:
    for number in range(3):
        at.hub.open_issue(at.repository, at.cat, f"more {number}")
    _, headers, body = at.ask("GET", f"{R}/issues?per_page=2")
    return len(body) == 2 and 'rel="next"' in headers.get("Link", "")


def _since(at: Ground) -> bool:
    return not at.ask("GET", f"{R}/issues?since=2027-01-01T00:00:00Z")[2]


def _pulls_among_issues(at: Ground) -> bool:
    at.pull()
    return any("pull_request" in one for one in at.ask("GET", f"{R}/issues")[2])


def _primary_limit(at: Ground) -> bool:
    return [at.status("GET", f"{R}/issues") for _ in range(42)][-1] == 403


def _secondary_limit(at: Ground) -> bool:
    return [at.status("POST", f"{R}/issues/1/comments", {"body": str(n)}) for n in range(12)][-1] == 403


def _bad_credentials(at: Ground) -> bool:
    at.hub.tokens[BOT].expires_at = at.now - timedelta(seconds=1)
    return at.status("GET", R) == 401


def _hidden(at: Ground) -> bool:
    at.hub.repository("octocat/secret", {"a": "b"}, private=True)
    return at.status("GET", "/repos/octocat/secret") == 404


def _archived(at: Ground) -> bool:
    at.repository.archived = True
    return at.status("POST", f"{R}/issues", {"title": "x"}) == 403


def _renamed(at: Ground) -> bool:
    at.hub.rename("octocat/web", "octocat/site")
    return at.status("GET", R) == 301


def _gone(at: Ground) -> bool:
    at.hub.take_away(at.issue)
    return at.status("GET", f"{R}/issues/1") == 410


def _locked(at: Ground) -> bool:
    at.repository.roles["bot"] = "triage"
    at.hub.set_locked(at.repository, at.cat, at.issue, locked=True)
    return at.status("POST", f"{R}/issues/1/comments", {"body": "x"}) == 403


def _body_limit(at: Ground) -> bool:
    return at.status("POST", f"{R}/issues/1/comments", {"body": "x" * 65_537}) == 422


def _one_pull_a_branch(at: Ground) -> bool:
    at.pull()
    return at.status("POST", f"{R}/pulls", {"title": "x", "head": "agentloop/1", "base": "main"}) == 422


def _no_empty_pull(at: Ground) -> bool:
    main = gitrepo.head(at.repository.folder, "main")
    gitrepo.git(at.repository.folder, "update-ref", "refs/heads/empty", main)
    return at.status("POST", f"{R}/pulls", {"title": "x", "head": "empty", "base": "main"}) == 422


def _mergeable_later(at: Ground) -> bool:
    number = at.pull().number
    told = [at.ask("GET", f"{R}/pulls/{number}")[2]["mergeable"] for _ in range(2)]
    return told == [None, True]


def _no_own_review(at: Ground) -> bool:
    return at.status("POST", f"{R}/pulls/{at.pull().number}/reviews", {"event": "APPROVE"}) == 422


def _labels_made(at: Ground) -> bool:
    return at.status("POST", f"{R}/issues/1/labels", ["brand new"]) == 200


def _one_reaction(at: Ground) -> bool:
    eyes = {"content": "eyes"}
    return [at.status("POST", f"{R}/issues/1/reactions", eyes) for _ in range(2)] == [201, 200]


def _drafts_by_graphql(at: Ground) -> bool:
    pull = at.pull()
    at.hub.set_draft(at.repository, at.bot, pull, draft=True)
    return at.ask("PATCH", f"{R}/pulls/{pull.number}", {"draft": False})[2]["draft"] is True


def _edits_by_graphql(at: Ground) -> bool:
    at.hub.edit_thread(at.repository, at.cat, at.issue, title=None, body="other words")
    query = '{repository(owner: "octocat", name: "web") {issue(number: 1) {lastEditedAt}}}'
    found = at.ask("POST", "/graphql", {"query": query})[2]
    return bool(found["data"]["repository"]["issue"]["lastEditedAt"])


def _three_pins(at: Ground) -> bool:
    for number in range(3):
        at.hub.open_issue(at.repository, at.cat, f"Pinned {number}").pinned = True
    node = at.ask("GET", f"{R}/issues/1")[2]["node_id"]
    query = f'mutation {{pinIssue(input: {{issueId: "{node}"}}) {{issue {{number}}}}}}'
    return "errors" in at.ask("POST", "/graphql", {"query": query})[2]


def _closing_words(at: Ground) -> bool:
    at.hub.merge(at.repository, at.cat, at.pull(body="Fixes #1"))
    return at.issue.state == "closed"


def _branch_closes(at: Ground) -> bool:
    pull = at.pull()
    at.hub.delete_branch(at.repository, at.cat, "agentloop/1")
    return pull.state == "closed"


def _protected(at: Ground) -> bool:
    at.repository.rules = [Rule(id=7, branch="main")]
    try:
        at.hub.merge(at.repository, at.bot, at.pull())
    except Refused as refused:
        return refused.status == 405 and _push_is_refused(at)
    return False


def _push_is_refused(at: Ground) -> bool:
    address = at.server.site.replace("http://", f"http://x:{BOT}@") + "/octocat/web.git"
    pushed = subprocess.run(
        ["git", "-C", at.repository.folder, "push", "-q", address, "agentloop/1:main"],
        capture_output=True,
        text=True,
        check=False,
    )
    return "GH013" in pushed.stderr


def _timeline(at: Ground) -> bool:
    at.hub.add_labels(at.repository, at.bot, at.issue, ("bug",))
    at.hub.edit_thread(at.repository, at.cat, at.issue, title="It crashes often", body=None)
    document = """query { repository(owner: "octocat", name: "web") { issue(number: 1) {
      timelineItems(last: 9, itemTypes: [LABELED_EVENT, RENAMED_TITLE_EVENT]) { nodes {
        ... on LabeledEvent { actor { login } label { name } }
        ... on RenamedTitleEvent { createdAt } } } } } }"""
    told = at.ask("POST", "/graphql", {"query": document})[2]["data"]["repository"]["issue"]
    return bool(
        told["timelineItems"]["nodes"]
        == [{"actor": {"login": "bot"}, "label": {"name": "bug"}}, {"createdAt": "2026-11-20T12:00:00Z"}]
    )


def _rules_by_plan(at: Ground) -> bool:
    at.repository.rules = None
    return at.status("GET", f"{R}/rules/branches/main") == 403


def _signed_hooks(at: Ground) -> bool:
    heard: list[dict[str, str]] = []

    class Ear(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            heard.append(dict(self.headers))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    listening = HTTPServer(("127.0.0.1", 0), Ear)
    thread = Thread(target=listening.handle_request, daemon=True)
    thread.start()
    url = f"http://127.0.0.1:{listening.server_port}/"
    at.hub.add_hook(at.repository, Hook(url=url, secret="s", events=frozenset({"issues"})))
    at.hub.close(at.repository, at.cat, at.issue)
    thread.join(30)
    listening.server_close()
    return "X-Hub-Signature-256" in heard[0]


def _reviewers(at: Ground) -> bool:
    pull = at.pull()
    at.hub.account("stranger")
    path = f"{R}/pulls/{pull.number}/requested_reviewers"
    asked = [at.status("POST", path, {"reviewers": [one]}) for one in ("octocat", "bot", "stranger")]
    return asked == [201, 422, 422]


def _lines_are_reviews(at: Ground) -> bool:
    pull = at.pull()
    at.hub.review_comment(at.repository, at.cat, pull, "Why?", path="app.py")
    reviews = at.ask("GET", f"{R}/pulls/{pull.number}/reviews")[2]
    return [(one["state"], one["body"]) for one in reviews] == [("COMMENTED", "")]


def _latest_status(at: Ground) -> bool:
    head = at.pull().part.head
    empty = at.ask("GET", f"{R}/commits/{head}/status")[2]
    at.hub.status(at.repository, head, "build", "pending")
    at.hub.status(at.repository, head, "build", "failure", "it broke")
    told = at.ask("GET", f"{R}/commits/{head}/status")[2]
    return (empty["state"], told["state"], len(told["statuses"])) == ("pending", "failure", 1)


def _logs_elsewhere(at: Ground) -> bool:
    check = at.hub.check(at.repository, at.pull().part.head, "build", "failure", log='"boom"')
    status, headers, _ = at.ask("GET", f"{R}/actions/jobs/{check.id}/logs")
    if status != 302:
        return False
    with pytest.raises(urllib.error.HTTPError):
        urllib.request.urlopen(  # noqa: S310 - loopback
            urllib.request.Request(headers["Location"], headers={"Authorization": "Bearer x"})  # noqa: S310 - loopback
        )
    with urllib.request.urlopen(headers["Location"]) as answer:  # noqa: S310 - loopback
        return bool(answer.read() == b'"boom"')


SEEN: dict[Behaviour, Callable[[Ground], bool]] = {
    one: globals()[f"_{one.name.lower()}"] for one in Behaviour
}


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[[frozenset[Behaviour]], Ground]]:
    """Return what makes a server with some behaviours."""
    with ExitStack() as stack:
        yield lambda behaviours: Ground(tmp_path / str(len(behaviours)), stack, behaviours)


@pytest.mark.parametrize("behaviour", Behaviour, ids=lambda one: one.name)
def test_each_is_there_and_is_missed_when_it_is_off(
    behaviour: Behaviour, make: Callable[[frozenset[Behaviour]], Ground]
) -> None:
    """What nobody could tell from its absence would be modelled for nobody."""
    assert SEEN[behaviour](make(EVERY))
    assert not SEEN[behaviour](make(EVERY - {behaviour}))
