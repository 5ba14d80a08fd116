"""Every write to GitHub, through PyGithub: nothing is tried again here, and no limit is slept out.

PyGithub would do both by itself (it repeats a POST after a 5xx, and makes the comment twice): both are turned
off. Between two writes lies at least `gap_seconds`, as GitHub asks for ("Best practices for integrators").
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from agentloop.domain.secrets import redact
from agentloop.edges.github.client import Forgetful, refusal, wait_until
from agentloop.errors import ConflictError, LimitedError, NotFoundError, TargetError

if TYPE_CHECKING:
    from github import Github
    from github.GithubException import GithubException
    from github.Repository import Repository

    from agentloop.edges.github.client import Memory

SECONDS: Final = 20
_INVALID: Final = 422
_LIMITING: Final = frozenset({403, 429})
_FORBIDDEN: Final = 403
_SERVER: Final = 500


class Writer:
    """Writes to the repositories of one GitHub with one token. It is loaded when the first write is made."""

    def __init__(
        self,
        base_url: str,
        token: Callable[[], str],
        *,
        gap_seconds: float = 1.0,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        memory: Memory | None = None,
    ) -> None:
        """`memory` keeps until when nothing may be written, for the processes to come."""
        self._base_url = base_url
        self._token = token
        self._gap_seconds = gap_seconds
        self._now = now
        self._last = 0.0
        self._github: Github | None = None
        self._memory = memory or Forgetful()
        self._limited_until: datetime | None = None

    def comment(self, repository: str, number: int, body: str) -> str:
        """Say it on a thread and return the comment's id."""
        with self._writing(repository, f"the thread {number}") as repo:
            return str(repo.get_issue(number).create_comment(body).id)

    def edit_comment(self, repository: str, number: int, comment: str, body: str) -> None:
        """Replace the words of a comment of ours on a thread."""
        with self._writing(repository, f"the comment {comment} on the thread {number}") as repo:
            repo.get_issue(number).get_comment(int(comment)).edit(body)

    def react(self, repository: str, number: int, comment: str = "", content: str = "eyes") -> str:
        """Leave a reaction on a thread, or on a comment of it, and return the reaction's id."""
        with self._writing(repository, f"the thread {number}") as repo:
            thread = repo.get_issue(number)
            on = thread.get_comment(int(comment)) if comment else thread
            return str(on.create_reaction(content).id)

    def make_label(self, repository: str, name: str, colour: str, description: str) -> None:
        """Give the repository a label; one that it has by now is left as it is."""
        with suppress(ConflictError), self._writing(repository, f"the label {name}") as repo:
            repo.create_label(name, colour, description)

    def take_back(self, repository: str, number: int, comment: int) -> None:
        """Delete a comment; one that is gone is gone already."""
        try:
            with self._writing(repository, f"the thread {number}") as repo:
                repo.get_issue(number).get_comment(comment).delete()
        except NotFoundError:
            return

    def open_issue(self, repository: str, title: str, body: str) -> int:
        """File an issue and return its number."""
        with self._writing(repository, "an issue") as repo:
            return repo.create_issue(title, body).number

    def edit_issue(self, repository: str, number: int, title: str, body: str) -> None:
        """Replace an issue's title and words."""
        with self._writing(repository, f"the issue {number}") as repo:
            repo.get_issue(number).edit(title=title, body=body)

    def pin(self, repository: str, node: str) -> None:
        """Pin the issue with that node id: by GraphQL, REST cannot."""
        document = "mutation($id: ID!) { pinIssue(input: {issueId: $id}) { issue { number } } }"
        with self._writing(repository, "a pin"):
            self._connected().requester.graphql_query(document, {"id": node})

    def ask(self, document: str, variables: dict[str, Any]) -> Any:  # noqa: ANN401 - JSON
        """Return what a GraphQL query selects: what REST does not tell."""
        with self._writing("", "a question"):
            return self._connected().requester.graphql_query(document, variables)[1]["data"]

    def close(self, repository: str, number: int) -> None:
        """Close an issue as completed."""
        with self._writing(repository, f"the issue {number}") as repo:
            repo.get_issue(number).edit(state="closed", state_reason="completed")

    def label(self, repository: str, number: int, add: tuple[str, ...], remove: tuple[str, ...]) -> None:
        """Put labels on and take others off; one that is not on is off already."""
        with self._writing(repository, f"the thread {number}") as repo:
            if add:
                repo.get_issue(number).add_to_labels(*add)
        for name in remove:
            try:
                with self._writing(repository, f"the thread {number}") as repo:
                    repo.get_issue(number).remove_from_labels(name)
            except NotFoundError:
                continue

    def open_pull(self, repository: str, *, title: str, body: str, branch: str, base: str) -> int:
        """Propose a branch, as a draft, and return the pull request's number."""
        with self._writing(repository, f"a pull request for {branch}") as repo:
            return repo.create_pull(base, branch, title=title, body=body, draft=True).number

    def make_ready(self, repository: str, number: int) -> None:
        """Make a draft ready for review: by GraphQL, REST cannot."""
        with self._writing(repository, f"the pull request {number}") as repo:
            repo.get_pull(number).mark_ready_for_review()

    def ask_review(self, repository: str, number: int, logins: tuple[str, ...]) -> None:
        """Ask persons for a review. Raises ConflictError when one of them cannot be asked."""
        with self._writing(repository, f"a request for review of {number}") as repo:
            repo.get_pull(number).create_review_request(reviewers=list(logins))

    def reply(self, repository: str, number: int, comment: int, body: str) -> str:
        """Answer in the thread that a comment on a line began, and return the reply's id."""
        with self._writing(repository, f"the thread {comment} of {number}") as repo:
            return str(repo.get_pull(number).create_review_comment_reply(comment, body).id)

    def edit_pull(self, repository: str, number: int, *, title: str, body: str) -> None:
        """Replace a pull request's title and description."""
        with self._writing(repository, f"the pull request {number}") as repo:
            repo.get_pull(number).edit(title=title, body=body)

    @contextmanager
    def _writing(self, repository: str, about: str) -> Iterator[Repository]:
        try:
            from github.GithubException import GithubException
        except ModuleNotFoundError as error:
            raise TargetError(
                "nothing can be written to GitHub: PyGithub is not installed",
                fix="pip install 'agentloopd[github]', into the environment that agentloop runs in",
            ) from error
        until = self._limited_until or self._memory.limited("writes")
        if until and self._now() < until:
            raise self._limited(until)
        time.sleep(max(0.0, self._last + self._gap_seconds - time.monotonic()))
        try:
            yield self._connected().get_repo(repository)
        except GithubException as error:
            raise self._meaning(error, repository, about) from error
        except OSError as error:  # requests' own errors are among these
            raise TargetError(
                f"GitHub cannot be reached to write to {repository}: {type(error).__name__}",
                fix="look at the network; the next cycle looks whether it took place, and goes on",
            ) from error
        finally:
            self._last = time.monotonic()

    def _connected(self) -> Github:
        if self._github is None:
            import github

            self._github = github.Github(
                base_url=self._base_url,
                auth=github.Auth.Token(self._token()),
                retry=None,
                timeout=SECONDS,
                seconds_between_requests=None,
                seconds_between_writes=None,
                user_agent="agentloop",
                lazy=True,
            )
        return self._github

    def _meaning(
        self, error: GithubException, repository: str, about: str
    ) -> ConflictError | NotFoundError | TargetError | LimitedError:
        status, headers = error.status, {key.lower(): value for key, value in (error.headers or {}).items()}
        words = _words(error, self._token())
        until = wait_until(status, headers, self._now(), body=words)
        if status in _LIMITING and until:
            self._limited_until = until
            self._memory.limit("writes", until)
            return self._limited(until)
        if status == _INVALID or (status == _FORBIDDEN and "locked" in words):
            return ConflictError(f"GitHub refuses {about} of {repository}: {words}", fix=_fix(words))
        return refusal(f"{about} of {repository}", status, words, headers.get("location", ""))

    def _limited(self, until: datetime) -> LimitedError:
        return LimitedError(
            f"GitHub takes no more writes until {until:%H:%M:%S} UTC",
            until=until,
            fix="nothing: the loop waits",
        )


def _words(error: GithubException, token: str) -> str:
    data: Any = error.data if isinstance(error.data, dict) else {}
    named = [one for one in data.get("errors") or () if isinstance(one, dict)]
    details = [one.get("message") or f"{one.get('field')}: {one.get('code')}" for one in named]
    said = "; ".join([str(data.get("message") or "without a word"), *filter(None, details)])
    return " ".join(redact(said, (token,)).split())[:300]


def _fix(words: str) -> str:
    if "locked" in words:
        return "unlock the thread, or let somebody with write access answer there"
    if "raft" in words:
        return (
            "private repositories have no drafts on GitHub's free plan: another plan, or a public repository"
        )
    if "too long" in words:
        return "this is a mistake of agentloop's: it bounds what it posts; please report it"
    return "look at the thread on GitHub; the rest of the work goes on"
