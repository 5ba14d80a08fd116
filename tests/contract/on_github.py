"""A repository on a simulated GitHub as the contract tests see one: a tracker, a forge, and people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from agentloop.domain.issue import number_of
from agentloop.domain.settings import GitHub, Settings, Target
from agentloop.edges.github.connecting import login_of, site_of
from agentloop.edges.github.forge import GitHubForge
from agentloop.edges.github.tracker import GitHubTracker
from agentloop.edges.origin import origin_of
from agentloop.home import Home
from agentloop.testing import gitrepo
from agentloop.testing.github import Hub, Refused, serving
from agentloop.testing.github.values import Rule
from tests.contract.openapi import Described

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import ExitStack
    from datetime import datetime
    from pathlib import Path

    from agentloop.testing.github.values import Account, PullPart, Thread

BOT, TOKEN = "loop-bot", "ghp_0123456789abcdefghijklmnopqrstuvwxyz"


def fits(described: Described) -> None:
    """Whatever was asked and answered is as GitHub describes it."""
    assert described.broken == [], described.broken


class OnGitHub:
    """The repository `octocat/web`, target `web`, with a rule that the bot cannot get round."""

    def __init__(
        self,
        folder: Path,
        stack: ExitStack,
        *,
        now: Callable[[], datetime] | None = None,
        autonomy: str = "propose",
    ) -> None:
        self.hub = Hub(folder / "hub") if now is None else Hub(folder / "hub", now=now)
        described = Described()
        stack.callback(fits, described)
        self.hub.token(BOT, TOKEN)
        self.repository = self.hub.repository("octocat/web", {"app.py": "one\n"})
        self.repository.roles[BOT] = "write"
        self.repository.rules = [Rule(id=self.hub.new_id(), branch="main")]
        self.server = stack.enter_context(serving(self.hub, watch=described.hold))
        token = folder / "token"
        token.write_text(TOKEN, encoding="utf-8")
        token.chmod(0o600)
        target = Target(name="web", repository=f"{self.server.site}/octocat/web", tracker="github")
        self.settings = Settings(
            targets=(target,),
            github=GitHub(
                token_file=str(token),
                write_seconds=0,
                autonomy="propose" if autonomy == "propose" else "draft",
            ),
        )
        self.home = Home(folder / "home")
        self.site = site_of(self.home, self.settings, target)
        stack.callback(self.site.close)
        self.mirror = gitrepo.mirror(self.repository.folder, self.home.mirror_of("web"))
        origin = origin_of(target, self.home.root, self.mirror, login_of(self.settings, target))
        self.tracker = GitHubTracker(self.site)
        self.forge = GitHubForge(self.site, origin)

    def person(self, login: str) -> Account:
        """A collaborator."""
        self.repository.roles.setdefault(login, "write")
        return self.hub.account(login)

    def thread(self, name: str) -> Thread:
        """An issue or a pull request, by the id that the loop knows it by."""
        return self.hub.find(self.repository, number_of(name))


class GitHubIssues(OnGitHub):
    """As a tracker, with what people do in it."""

    def __init__(self, folder: Path, stack: ExitStack, *, now: Callable[[], datetime]) -> None:
        super().__init__(folder, stack, now=now)
        self.observe, self.find, self.act = self.tracker.observe, self.tracker.find, self.tracker.act

    def new(
        self, title: str, body: str, *, author: str, labels: tuple[str, ...] = (), target: str = ""
    ) -> str:
        """File an issue; every issue of the repository is the target's."""
        del target
        made = self.hub.open_issue(self.repository, self.person(author), title, body, labels)
        return f"web-{made.number}"

    def comment(self, issue: str, text: str, *, author: str) -> str:
        """Say something."""
        return str(self.hub.comment(self.repository, self.person(author), self.thread(issue), text).id)

    def close(self, issue: str, *, reason: str, author: str) -> None:
        """Close it, with words when there are any."""
        thread, person = self.thread(issue), self.person(author)
        if reason:
            self.hub.comment(self.repository, person, thread, reason)
        self.hub.close(self.repository, person, thread)

    def reopen(self, issue: str) -> None:
        """Open it again."""
        self.hub.reopen(self.repository, self.person("alice"), self.thread(issue))


class GitHubPulls(OnGitHub):
    """As a forge, with what people do in it."""

    def commit(self, name: str, on: str = "") -> str:
        """A commit in the mirror."""
        return gitrepo.commit_in(self.mirror, on or self.head("main"), {"app.py": f"{name}\n"}, name)

    def head(self, branch: str) -> str:
        """As plain git says."""
        return gitrepo.head(self.repository.folder, branch)

    def _part(self, pull: str) -> PullPart:
        self.hub.look_at_git(self.repository, self.person("alice"))
        return self.thread(pull).part

    def review(
        self, pull: str, verdict: Literal["approved", "changes_requested", "commented"], text: str
    ) -> str:
        """Alice's."""
        words: dict[str, Literal["APPROVED", "CHANGES_REQUESTED", "COMMENTED"]] = {
            "approved": "APPROVED",
            "changes_requested": "CHANGES_REQUESTED",
            "commented": "COMMENTED",
        }
        self._part(pull)
        made = self.hub.review(self.repository, self.person("alice"), self.thread(pull), words[verdict], text)
        return str(made.id)

    def check(
        self, pull: str, name: str, state: Literal["pending", "passed", "failed"], summary: str
    ) -> None:
        """A build server's."""
        conclusion = {"pending": "", "passed": "success", "failed": "failure"}[state]
        self.hub.check(self.repository, self._part(pull).head, name, conclusion, summary=summary)

    def line(self, pull: str, text: str, thread: str = "") -> str:
        """Alice's, in a review of its own, as GitHub makes one."""
        self._part(pull)
        made = self.hub.review_comment(
            self.repository,
            self.person("alice"),
            self.thread(pull),
            text,
            path="app.py",
            reply_to=int(thread or 0),
        )
        return thread or str(made.id)

    def merge(self, pull: str) -> str:
        """Alice's, with Bob's approval; the branch goes, as when the repository deletes merged ones."""
        from agentloop.errors import ConflictError

        self._part(pull)
        thread = self.thread(pull)
        try:
            if thread.state == "open":
                self.hub.set_draft(self.repository, self.person("alice"), thread, draft=False)
                self.hub.review(self.repository, self.person("bob"), thread, "APPROVED")
            merged = self.hub.merge(self.repository, self.person("alice"), thread)
        except Refused as error:
            raise ConflictError(error.message) from error
        self.hub.delete_branch(self.repository, self.person("alice"), thread.part.branch)
        return merged

    def close(self, pull: str) -> None:
        """Alice's."""
        self.hub.close(self.repository, self.person("alice"), self.thread(pull))

    def delete(self, branch: str) -> None:
        """Alice's."""
        self.hub.delete_branch(self.repository, self.person("alice"), branch)
