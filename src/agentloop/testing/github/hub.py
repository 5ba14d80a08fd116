"""All that one simulated GitHub holds, and what persons and programs do in it.

The verbs here are what a person does on the site or an application by its API: both are the same acts. Every
one of them keeps times, events and (where hooks are set) deliveries as GitHub does.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

from agentloop.testing.github import gitside
from agentloop.testing.github.behaviours import EVERY, Behaviour
from agentloop.testing.github.refusals import Refused
from agentloop.testing.github.values import (
    REACTIONS,
    ROLES,
    Account,
    Association,
    Check,
    Comment,
    Edit,
    Hook,
    Kind,
    Label,
    Labelled,
    PullPart,
    Reaction,
    Repository,
    Review,
    ReviewComment,
    Role,
    Rule,
    Status,
    Thread,
    Token,
    Verdict,
)

Json: TypeAlias = dict[str, Any]
TITLE_LIMIT: Final = 256
BODY_LIMIT: Final = 65_536
"""Characters of a body; a longer one is 422 "body is too long (maximum is 65536 characters)"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened: what a hook is told, and what tests wait for."""

    kind: str
    action: str
    repository: Repository
    actor: Account
    thread: Thread | None = None
    extra: tuple[tuple[str, Any], ...] = ()


@dataclass(slots=True)
class Hub:
    """A GitHub. `folder` holds its git repositories; `now` is its clock; `behaviours` are those it has."""

    folder: Path
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    behaviours: frozenset[Behaviour] = EVERY
    accounts: dict[str, Account] = field(default_factory=dict)
    tokens: dict[str, Token] = field(default_factory=dict)
    repositories: dict[str, Repository] = field(default_factory=dict)
    renamed: dict[str, str] = field(default_factory=dict)
    heard: list[Callable[[Event], None]] = field(default_factory=list)
    lock: threading.RLock = field(default_factory=threading.RLock)
    weighed: set[tuple[str, str]] = field(default_factory=set)
    """The (head, base) of which it was asked whether they can be merged."""
    last_id: int = 1000

    def has(self, behaviour: Behaviour) -> bool:
        """Return whether it behaves so; tests switch behaviours off to see that somebody notices."""
        return behaviour in self.behaviours

    def new_id(self) -> int:
        """Return a number that nothing has yet."""
        self.last_id += 1
        return self.last_id

    def second(self) -> datetime:
        """Return the time, to the second, as GitHub keeps it."""
        return self.now().astimezone(UTC).replace(microsecond=0)

    # Who there is.

    def account(self, login: str, *, kind: Kind = "User") -> Account:
        """Return the account called `login`, made when there is none."""
        with self.lock:
            made = self.accounts.get(login) or Account(id=self.new_id(), login=login, kind=kind)
            self.accounts[login] = made
            return made

    def token(
        self,
        login: str,
        word: str,
        *,
        permissions: dict[str, str] | None = None,
        repositories: frozenset[str] | None = None,
        expires_at: datetime | None = None,
    ) -> Token:
        """Give `login` a token and return it."""
        made = Token(
            word=word,
            account=self.account(login),
            permissions=permissions,
            repositories=repositories,
            expires_at=expires_at,
        )
        self.tokens[word] = made
        return made

    def repository(self, path: str, files: dict[str, str], *, private: bool = False) -> Repository:
        """Make the repository `owner/name` with one commit of `files` on its branch `main`."""
        owner, _, name = path.partition("/")
        with self.lock:
            account = self.account(owner)
            folder = self.folder / owner / f"{name}.git"
            gitside.create(folder, files)
            made = Repository(
                id=self.new_id(),
                owner=account,
                name=name,
                folder=folder,
                private=private,
                roles={owner: "admin"},
            )
            self.repositories[path] = made
            return made

    def rename(self, path: str, to: str) -> None:
        """Give a repository another name; the old one leads to the new."""
        with self.lock:
            repository = self.repositories.pop(path)
            repository.name = to.partition("/")[2]
            self.repositories[to] = repository
            self.renamed[path] = to

    # What somebody is in a repository.

    def role(self, repository: Repository, account: Account) -> Role | None:
        """Return what `account` may do there, None for nothing at all."""
        return repository.roles.get(account.login) or (None if repository.private else "read")

    def can(self, repository: Repository, account: Account, least: Role) -> bool:
        """Return whether `account` has at least that role."""
        role = self.role(repository, account)
        return role is not None and ROLES.index(role) >= ROLES.index(least)

    def association(self, repository: Repository, account: Account) -> Association:
        """Return how the account stands to the repository, as every thread says of its author."""
        if account.login == repository.owner.login:
            return "OWNER"
        if account.login in repository.roles:
            return "COLLABORATOR"
        return "CONTRIBUTOR" if account.login in repository.contributors else "NONE"

    # Issues.

    def open_issue(
        self, repository: Repository, who: Account, title: str, body: str = "", labels: tuple[str, ...] = ()
    ) -> Thread:
        """File an issue. Labels are those of persons who may triage; others' are dropped, as GitHub does."""
        with self.lock:
            self._writable(repository)
            self._bounded(title=title, body=body)
            thread = self._thread(repository, who, title, body)
            self._say("issues", "opened", repository, who, thread)
            if self.can(repository, who, "triage"):
                self.add_labels(repository, who, thread, labels)
            return thread

    def _thread(self, repository: Repository, who: Account, title: str, body: str) -> Thread:
        now = self.second()
        repository.numbers += 1
        thread = Thread(
            id=self.new_id(),
            number=repository.numbers,
            title=title,
            body=body,
            author=who,
            created_at=now,
            updated_at=now,
        )
        repository.threads[thread.number] = thread
        return thread

    def find(self, repository: Repository, number: int) -> Thread:
        """Return a thread. Raises Refused: 404 when there never was one, 410 when it is gone."""
        thread = repository.threads.get(number)
        if thread is None:
            raise Refused(404, "Not Found")
        if thread.gone and self.has(Behaviour.GONE):
            # A deleted issue answers 410; one that became a discussion does too, and its page leads there.
            raise Refused(410, "This issue was deleted")
        return thread

    def edit_thread(
        self, repository: Repository, who: Account, thread: Thread, *, title: str | None, body: str | None
    ) -> None:
        """Change title or body; that it was edited is told by GraphQL only."""
        with self.lock:
            self._writable(repository)
            self._bounded(title=title, body=body)
            before = (thread.title, thread.body)
            thread.title = thread.title if title is None else title
            thread.body = thread.body if body is None else body
            if (thread.title, thread.body) == before:
                return
            if thread.title != before[0]:
                thread.renamed.append(Edit(account=who, at=self.second()))
            if body is not None and before[1] != body:
                thread.edits.append(Edit(account=who, at=self.second()))
            self._touch(thread)
            self._say("pull_request" if thread.pull else "issues", "edited", repository, who, thread)

    def close(self, repository: Repository, who: Account, thread: Thread, reason: str = "completed") -> None:
        """Close a thread."""
        with self.lock:
            self._writable(repository)
            if thread.state == "closed":
                return
            thread.state, thread.reason = "closed", "" if thread.pull else reason
            thread.closed_at, thread.closed_by = self.second(), who
            self._touch(thread)
            self._say("pull_request" if thread.pull else "issues", "closed", repository, who, thread)

    def reopen(self, repository: Repository, who: Account, thread: Thread) -> None:
        """Open a closed thread again. Raises Refused for a merged pull request."""
        with self.lock:
            self._writable(repository)
            if thread.state == "open":
                return
            if thread.pull and thread.pull.merged_at:
                raise Refused.invalid(
                    "PullRequest", "state", "invalid", "state cannot be changed. It is merged."
                )
            thread.state, thread.reason, thread.closed_at, thread.closed_by = "open", "reopened", None, None
            self._touch(thread)
            self._say("pull_request" if thread.pull else "issues", "reopened", repository, who, thread)

    def take_away(self, thread: Thread, *, discussion: bool = False) -> None:
        """Delete an issue, or make a discussion of it: its number answers 410 from then on."""
        with self.lock:
            thread.gone = "discussion" if discussion else "deleted"

    def set_locked(self, repository: Repository, who: Account, thread: Thread, *, locked: bool) -> None:
        """Lock a thread or unlock it: only who may write can still comment on a locked one."""
        with self.lock:
            thread.locked = locked
            self._say("issues", "locked" if locked else "unlocked", repository, who, thread)

    # Comments.

    def comment(self, repository: Repository, who: Account, thread: Thread, body: str) -> Comment:
        """Say something on a thread."""
        with self.lock:
            self._writable(repository)
            self._unlocked(repository, who, thread)
            self._bounded(body=body)
            if not body.strip():
                raise Refused.invalid("IssueComment", "body", "missing_field", "body can't be blank")
            now = self.second()
            made = Comment(id=self.new_id(), author=who, body=body, created_at=now, updated_at=now)
            thread.comments.append(made)
            self._touch(thread)
            self._say("issue_comment", "created", repository, who, thread, comment=made)
            return made

    def edit_comment(
        self, repository: Repository, who: Account, thread: Thread, comment: Comment, body: str
    ) -> None:
        """Change a comment's words: its own author may, and who may write."""
        with self.lock:
            self._writable(repository)
            self._bounded(body=body)
            self._own(repository, who, comment.author)
            if comment.body == body:
                return
            comment.body, comment.updated_at = body, self.second()
            comment.edits.append(Edit(account=who, at=self.second()))
            self._touch(thread)
            self._say("issue_comment", "edited", repository, who, thread, comment=comment)

    def delete_comment(self, repository: Repository, who: Account, thread: Thread, comment: Comment) -> None:
        """Take a comment away."""
        with self.lock:
            self._writable(repository)
            self._own(repository, who, comment.author)
            thread.comments.remove(comment)
            self._touch(thread)
            self._say("issue_comment", "deleted", repository, who, thread, comment=comment)

    def comment_by_id(self, repository: Repository, number: int) -> tuple[Thread, Comment]:
        """Return a comment and its thread. Raises Refused 404."""
        for thread in repository.threads.values():
            for comment in thread.comments:
                if comment.id == number and not thread.gone:
                    return thread, comment
        raise Refused(404, "Not Found")

    def react(
        self, who: Account, on: Thread | Comment | ReviewComment, content: str
    ) -> tuple[Reaction, bool]:
        """Leave a reaction; the same one again is the first one. Returns it, and whether it is new."""
        if content not in REACTIONS:
            raise Refused.invalid("Reaction", "content", "invalid", f"{content} is no reaction")
        with self.lock:
            for each in on.reactions:
                same = each.account is who and each.content == content
                if same and self.has(Behaviour.ONE_REACTION):
                    return each, False
            made = Reaction(id=self.new_id(), account=who, content=content, created_at=self.second())
            on.reactions.append(made)
            # A reaction moves neither the thread's time nor the comment's, and no hook hears of it.
            return made, True

    # Labels.

    def make_label(
        self, repository: Repository, name: str, color: str = "ededed", description: str = ""
    ) -> Label:
        """Give the repository a label. Raises Refused 422 when it has one of that name (case aside)."""
        with self.lock:
            self._writable(repository)
            if name.lower() in {each.lower() for each in repository.labels}:
                raise Refused.invalid("Label", "name", "already_exists", "")
            made = Label(id=self.new_id(), name=name, color=color, description=description)
            repository.labels[name] = made
            return made

    def delete_label(self, repository: Repository, name: str) -> None:
        """Delete a label: every thread loses it. Raises Refused 404."""
        with self.lock:
            if name not in repository.labels:
                raise Refused(404, "Not Found")
            del repository.labels[name]
            for thread in repository.threads.values():
                if name in thread.labels:
                    thread.labels.remove(name)

    def add_labels(
        self, repository: Repository, who: Account, thread: Thread, names: tuple[str, ...]
    ) -> None:
        """Put labels on; one that the repository does not have is made, as GitHub does for the API."""
        with self.lock:
            self._writable(repository)
            for name in names:
                known = {each.lower(): each for each in repository.labels}
                label = known.get(name.lower()) or self.make_label(repository, name).name
                if label in thread.labels:
                    continue
                thread.labels.append(label)
                self._note_label(repository, who, thread, label, on=True)

    def remove_label(self, repository: Repository, who: Account, thread: Thread, name: str) -> None:
        """Take a label off. Raises Refused 404 when it is not on."""
        with self.lock:
            self._writable(repository)
            if name not in thread.labels:
                raise Refused(404, "Label does not exist")
            thread.labels.remove(name)
            self._note_label(repository, who, thread, name, on=False)

    def _note_label(
        self, repository: Repository, who: Account, thread: Thread, name: str, *, on: bool
    ) -> None:
        made = Labelled(id=self.new_id(), account=who, name=name, at=self.second(), on=on)
        thread.labelled.append(made)
        self._touch(thread)
        kind = "pull_request" if thread.pull else "issues"
        self._say(kind, "labeled" if on else "unlabeled", repository, who, thread)

    # Pull requests.

    def open_pull(
        self,
        repository: Repository,
        who: Account,
        *,
        title: str,
        body: str,
        branch: str,
        base: str,
        draft: bool = False,
    ) -> Thread:
        """Propose a branch. Raises Refused 422: no such branch, nothing new in it, or proposed already."""
        with self.lock:
            self._writable(repository)
            self._bounded(title=title, body=body)
            heads = gitside.heads(repository.folder)
            for name, given in (("head", branch), ("base", base)):
                if given not in heads:
                    raise Refused.invalid("PullRequest", name, "invalid", "")
            if self.has(Behaviour.ONE_PULL_A_BRANCH):
                self._not_proposed(repository, branch, base)
            nothing = gitside.is_within(repository.folder, heads[branch], heads[base])
            if nothing and self.has(Behaviour.NO_EMPTY_PULL):
                words = f"No commits between {base} and {branch}"
                raise Refused.invalid("PullRequest", "", "custom", words)
            thread = self._thread(repository, who, title, body)
            thread.pull = PullPart(
                branch=branch, base=base, head=heads[branch], base_commit=heads[base], draft=draft
            )
            self._say("pull_request", "opened", repository, who, thread)
            return thread

    def _not_proposed(self, repository: Repository, branch: str, base: str) -> None:
        for thread in repository.threads.values():
            pull = thread.pull
            if pull and thread.state == "open" and (pull.branch, pull.base) == (branch, base):
                words = f"A pull request already exists for {repository.owner.login}:{branch}."
                raise Refused.invalid("PullRequest", "", "custom", words)

    def pull(self, repository: Repository, number: int) -> tuple[Thread, PullPart]:
        """Return a pull request. Raises Refused 404 for an issue."""
        thread = self.find(repository, number)
        if thread.pull is None:
            raise Refused(404, "Not Found")
        return thread, thread.pull

    def review(
        self, repository: Repository, who: Account, thread: Thread, verdict: Verdict, body: str = ""
    ) -> Review:
        """Give a verdict. Raises Refused 422 for one's own pull request, or without a word."""
        with self.lock:
            self._writable(repository)
            self._bounded(body=body)
            own = who is thread.author and self.has(Behaviour.NO_OWN_REVIEW)
            if own and verdict in ("APPROVED", "CHANGES_REQUESTED"):
                act = "approve" if verdict == "APPROVED" else "request changes on"
                raise Refused(422, f"Can not {act} your own pull request")
            if verdict != "APPROVED" and not body.strip():
                raise Refused(422, "Unprocessable Entity")
            made = Review(
                id=self.new_id(),
                author=who,
                verdict=verdict,
                body=body,
                commit=thread.part.head,
                submitted_at=self.second(),
            )
            thread.part.reviews.append(made)
            if who in thread.part.reviewers:
                thread.part.reviewers.remove(who)
            self._touch(thread)
            self._say("pull_request_review", "submitted", repository, who, thread, review=made)
            return made

    def edit_review(
        self, repository: Repository, who: Account, thread: Thread, review: Review, body: str
    ) -> None:
        """Change a review's words; when is told by GraphQL only, and REST shows no time of it."""
        with self.lock:
            self._writable(repository)
            self._bounded(body=body)
            self._own(repository, who, review.author)
            review.body = body
            review.edits.append(Edit(account=who, at=self.second()))
            self._touch(thread)
            self._say("pull_request_review", "edited", repository, who, thread, review=review)

    def review_comment(
        self,
        repository: Repository,
        who: Account,
        thread: Thread,
        body: str,
        *,
        path: str = "",
        line: int = 1,
        review: int = 0,
        reply_to: int = 0,
    ) -> ReviewComment:
        """Say something on a line, or in the thread that another comment began."""
        with self.lock:
            self._writable(repository)
            self._unlocked(repository, who, thread)
            self._bounded(body=body)
            first = next((each for each in thread.part.comments if each.id == reply_to), None)
            if reply_to and first is None:
                raise Refused(404, "Not Found")
            now = self.second()
            if not review and self.has(Behaviour.LINES_ARE_REVIEWS):
                review = self._envelope(who, thread, now)
            made = ReviewComment(
                id=self.new_id(),
                author=who,
                body=body,
                path=first.path if first else path,
                line=first.line if first else line,
                commit=thread.part.head,
                created_at=now,
                updated_at=now,
                review=review,
                reply_to=(first.reply_to or first.id) if first else 0,
            )
            thread.part.comments.append(made)
            self._touch(thread)
            self._say("pull_request_review_comment", "created", repository, who, thread, comment=made)
            return made

    def _envelope(self, who: Account, thread: Thread, now: datetime) -> int:
        made = Review(
            id=self.new_id(),
            author=who,
            verdict="COMMENTED",
            body="",
            commit=thread.part.head,
            submitted_at=now,
        )
        thread.part.reviews.append(made)
        return made.id

    def set_draft(self, repository: Repository, who: Account, thread: Thread, *, draft: bool) -> None:
        """Make a draft ready for review, or a draft again; only GraphQL can."""
        with self.lock:
            self._writable(repository)
            if thread.part.draft == draft:
                return
            thread.part.draft = draft
            self._touch(thread)
            action = "converted_to_draft" if draft else "ready_for_review"
            self._say("pull_request", action, repository, who, thread)

    def ask_review(
        self, repository: Repository, who: Account, thread: Thread, logins: tuple[str, ...]
    ) -> None:
        """Ask persons for a review. Raises Refused 422 for one who is no collaborator, or the author."""
        with self.lock:
            for login in logins:
                account = self.accounts.get(login)
                nobody = account is None or account is thread.author or login not in repository.roles
                if account is None or (nobody and self.has(Behaviour.REVIEWERS)):
                    raise Refused(422, "Reviews may only be requested from collaborators.")
                if account not in thread.part.reviewers:
                    thread.part.reviewers.append(account)
                    self._touch(thread)
                    self._say("pull_request", "review_requested", repository, who, thread)

    def merge(self, repository: Repository, who: Account, thread: Thread, *, expected: str = "") -> str:
        """Merge, and return the commit. Raises Refused: 405 when rules or conflicts forbid it, 409."""
        with self.lock:
            self._writable(repository)
            pull = thread.part
            self.look_at_git(repository, who)
            if thread.state == "closed" or pull.draft:
                raise Refused(405, "Pull Request is not mergeable")
            if expected and expected != pull.head:
                raise Refused(409, "Head branch was modified. Review and try the merge again.")
            self._allowed_to_merge(repository, who, thread)
            merged = gitside.merge(repository.folder, pull.branch, pull.base, thread.title, thread.number)
            if not merged:
                raise Refused(405, "Pull Request is not mergeable")
            now = self.second()
            pull.merged_at, pull.merged_by, pull.merge_commit = now, who, merged
            thread.state, thread.closed_at, thread.closed_by = "closed", now, who
            self._touch(thread)
            self._say("pull_request", "closed", repository, who, thread)
            self._close_named(repository, who, thread)
            if repository.deletes_merged:
                self.delete_branch(repository, who, pull.branch)
            return merged

    def _allowed_to_merge(self, repository: Repository, who: Account, thread: Thread) -> None:
        for rule in self.rules_of(repository, thread.part.base):
            if who.login in rule.bypass:
                continue
            head = thread.part.head
            verdicts = {one.author.login: one for one in thread.part.reviews if one.verdict != "COMMENTED"}
            good = [
                one
                for one in verdicts.values()
                if one.verdict == "APPROVED"
                and (one.commit == head or rule.outlived)
                and one.author is not thread.author
            ]
            if len(good) < rule.approvals:
                raise Refused(405, f"At least {rule.approvals} approving review is required.")

    def _close_named(self, repository: Repository, who: Account, thread: Thread) -> None:
        if not self.has(Behaviour.CLOSING_WORDS) or not thread.pull or thread.pull.base != repository.branch:
            return
        for number in gitside.closing_numbers(thread.body):
            named = repository.threads.get(number)
            if named and named.pull is None and named.state == "open":
                self.close(repository, who, named)

    def rules_of(self, repository: Repository, branch: str) -> list[Rule]:
        """Return the rules in force on a branch."""
        rules = repository.rules or [] if self.has(Behaviour.PROTECTED) else []
        return [rule for rule in rules if rule.active and rule.branch == branch]

    def check(
        self, repository: Repository, commit: str, name: str, conclusion: str = "", **told: str
    ) -> Check:
        """Report a check on a commit: under way without a conclusion. A second report changes the first."""
        with self.lock:
            known = (one for one in repository.checks if (one.commit, one.name) == (commit, name))
            found = next(known, None)
            now = self.second()
            made = found or Check(
                id=self.new_id(), name=name, commit=commit, status="in_progress", started_at=now
            )
            made.status, made.conclusion = ("completed" if conclusion else "in_progress"), conclusion
            made.completed_at = now if conclusion else None
            made.title, made.summary = told.get("title", made.title), told.get("summary", made.summary)
            made.log = told.get("log", made.log)
            if line := told.get("annotation"):
                made.annotations.append(("app.py", 1, line))
            if found is None:
                repository.checks.append(made)
            action = "completed" if conclusion else "created"
            self._say("check_run", action, repository, repository.owner, None, check_run=made)
            return made

    def status(
        self,
        repository: Repository,
        commit: str,
        context: str,
        state: Literal["error", "failure", "pending", "success"],
        description: str = "",
    ) -> Status:
        """Report a commit's status in a context."""
        with self.lock:
            made = Status(
                id=self.new_id(),
                commit=commit,
                context=context,
                state=state,
                description=description,
                at=self.second(),
            )
            repository.statuses.append(made)
            self._say("status", "created", repository, repository.owner, None)
            return made

    # Branches.

    def look_at_git(self, repository: Repository, who: Account) -> None:
        """Take in what pushes did: heads of open pull requests move, and those that moved are touched."""
        with self.lock:
            heads = gitside.heads(repository.folder)
            for thread in repository.threads.values():
                pull = thread.pull
                if not pull or thread.state != "open":
                    continue
                head = heads.get(pull.branch)
                if head is None or pull.base not in heads:
                    if self.has(Behaviour.BRANCH_CLOSES):
                        self.close(repository, who, thread)
                elif head != pull.head:
                    pull.head = head
                    self._touch(thread)
                    self._say("pull_request", "synchronize", repository, who, thread)
                pull.base_commit = heads.get(pull.base, pull.base_commit)

    def delete_branch(self, repository: Repository, who: Account, branch: str) -> None:
        """Delete a branch. Raises Refused 422 when there is none."""
        with self.lock:
            self._writable(repository)
            if branch not in gitside.heads(repository.folder):
                raise Refused(422, "Reference does not exist")
            if self.rules_of(repository, branch):
                raise Refused(422, "Cannot delete this protected branch")
            gitside.delete(repository.folder, branch)
            self.look_at_git(repository, who)

    def add_hook(self, repository: Repository, hook: Hook) -> None:
        """Send this repository's events to `hook` from now on."""
        repository.hooks.append(hook)

    # What holds for every act.

    def _touch(self, thread: Thread) -> None:
        thread.updated_at = max(thread.updated_at, self.second())

    def _say(
        self,
        kind: str,
        action: str,
        repository: Repository,
        actor: Account,
        thread: Thread | None,
        **extra: Any,  # noqa: ANN401 - what hooks are told is whatever happened
    ) -> None:
        event = Event(
            kind=kind,
            action=action,
            repository=repository,
            actor=actor,
            thread=thread,
            extra=tuple(extra.items()),
        )
        for each in self.heard:
            each(event)

    def _writable(self, repository: Repository) -> None:
        if repository.archived and self.has(Behaviour.ARCHIVED):
            raise Refused(403, "Repository was archived so is read-only.")

    def _unlocked(self, repository: Repository, who: Account, thread: Thread) -> None:
        if thread.locked and self.has(Behaviour.LOCKED) and not self.can(repository, who, "write"):
            raise Refused(403, "Unable to create comment because issue is locked.")

    def _own(self, repository: Repository, who: Account, author: Account) -> None:
        if who is not author and not self.can(repository, who, "write"):
            raise Refused(403, "Must have write access to the repository or be the comment's author.")

    def _bounded(self, *, title: str | None = None, body: str | None = None) -> None:
        if title is not None and not title.strip():
            raise Refused.invalid("Issue", "title", "missing_field", "title can't be blank")
        if title is not None and len(title) > TITLE_LIMIT:
            words = f"title is too long (maximum is {TITLE_LIMIT} characters)"
            raise Refused.invalid("Issue", "title", "custom", words)
        if body is not None and len(body) > BODY_LIMIT and self.has(Behaviour.BODY_LIMIT):
            words = f"body is too long (maximum is {BODY_LIMIT} characters)"
            raise Refused.invalid("Issue", "body", "custom", words)
