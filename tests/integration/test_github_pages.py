"""The pages of the simulated GitHub, as somebody with a browser and nothing else uses them."""

from __future__ import annotations

import urllib.request
from typing import TYPE_CHECKING
from urllib.error import HTTPError
from urllib.parse import urlencode

import pytest

from agentloop.testing import gitrepo
from agentloop.testing.github import Hub, Server, serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HERE = "/octocat/web"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A repository of octocat's that a bot may write to."""
    hub = Hub(tmp_path / "hub")
    hub.repository("octocat/web", {"app.py": "one\n"}).roles["loop-bot"] = "write"
    with serving(hub) as served:
        yield served


def post(server: Server, at: str, origin: str = "", **form: str) -> str:
    """Send a form and return the page that follows."""
    asked = urllib.request.Request(f"{server.site}{at}", urlencode(form).encode())  # noqa: S310 - loopback
    if origin:
        asked.add_header("Origin", origin)
    with urllib.request.urlopen(asked, timeout=30) as answer:  # noqa: S310 - as above
        return str(answer.read().decode())


def refusal(server: Server, at: str, origin: str = "", **form: str) -> tuple[int, str]:
    """Send a form that is refused and return status and page."""
    with pytest.raises(HTTPError) as caught:
        post(server, at, origin, **form)
    with caught.value as answer:
        return answer.code, answer.read().decode()


def test_an_issue_is_filed_answered_ticked_labelled_and_closed(server: Server) -> None:
    """Each by one form; what the person wrote is there as they wrote it."""
    page = post(server, f"{HERE}/issues", title="It <fails>", body="- [ ] one\r\n- [x] two")
    assert "It &lt;fails&gt;" in page
    thread = server.hub.repositories["octocat/web"].threads[1]
    at = f"{HERE}/issues/1"
    post(server, at, do="comment", body="1", **{"as": "stranger"})
    post(server, at, do="tick", box="0")
    post(server, at, do="label", label="bug")
    post(server, at, do="react", on=str(thread.comments[0].id), **{"with": "+1"})
    post(server, at, do="close")
    comment = thread.comments[0]
    given = [(one.account.login, one.content) for one in comment.reactions]
    assert (thread.body, thread.labels, thread.state) == ("- [x] one\n- [x] two", ["bug"], "closed")
    assert (comment.author.login, comment.body, given) == ("stranger", "1", [("octocat", "+1")])


def test_a_pull_request_is_read_reviewed_and_merged(server: Server) -> None:
    """With its difference on the page, words on a line, and a draft that is made ready first."""
    hub = server.hub
    repository = hub.repositories["octocat/web"]
    made = gitrepo.commit_in(repository.folder, "main", {"app.py": "two\n"}, "Two")
    gitrepo.git(repository.folder, "branch", "topic", made)
    hub.open_pull(
        repository, hub.account("loop-bot"), title="Two", body="", branch="topic", base="main", draft=True
    )
    at = f"{HERE}/pull/1"
    assert "+two" in post(server, at, do="review", body="why?", path="app.py")
    post(server, at, do="review", verdict="request changes", body="three")
    post(server, at, do="ready")
    post(server, at, do="review", verdict="approve", body="")
    post(server, at, do="merge")
    part = repository.threads[1].part
    # A word on a line by itself is a review of its own.
    verdicts = [one.verdict for one in part.reviews]
    assert (verdicts[-2:], part.comments[0].path) == (["CHANGES_REQUESTED", "APPROVED"], "app.py")
    assert gitrepo.git(repository.folder, "show", "main:app.py") == "two"


def test_what_may_not_be_done_is_said(server: Server) -> None:
    """A stranger sets no label; a box that is gone, a thread that is not there, another site's form."""
    post(server, f"{HERE}/issues", title="One", body="")
    at = f"{HERE}/issues/1"
    status, page = refusal(server, at, do="label", label="x", **{"as": "stranger"})
    assert (status, "triage rights" in page) == (403, True)
    assert refusal(server, at, do="tick", box="3")[0] == 422
    assert refusal(server, f"{HERE}/issues/9", do="close")[0] == 404
    assert refusal(server, at, "https://elsewhere.example", do="close")[0] == 401
    assert server.hub.repositories["octocat/web"].threads[1].state == "open"
