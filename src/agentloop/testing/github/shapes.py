"""Records as the JSON that GitHub answers with: every field that its description requires.

Held against the published OpenAPI description, where that can be had, by a contract test.
"""

from __future__ import annotations

import base64
from collections import Counter
from datetime import datetime
from typing import Any, Final, TypeAlias

from agentloop.testing.github import gitside
from agentloop.testing.github.hub import Hub
from agentloop.testing.github.values import (
    REACTIONS,
    Account,
    Check,
    Comment,
    Label,
    Reaction,
    Repository,
    Review,
    ReviewComment,
    Status,
    Thread,
)

Json: TypeAlias = dict[str, Any]


def when(at: datetime | None) -> str | None:
    """Return a time as GitHub writes it."""
    return None if at is None else at.strftime("%Y-%m-%dT%H:%M:%SZ")


def node_id(kind: str, number: int) -> str:
    """Return the name that GraphQL knows a thing by."""
    return base64.b64encode(f"{kind}:{number}".encode()).decode()


_REPOSITORY_LINKS: Final = {
    "archive": "{archive_format}{/ref}",
    "assignees": "assignees{/user}",
    "blobs": "git/blobs{/sha}",
    "branches": "branches{/branch}",
    "collaborators": "collaborators{/collaborator}",
    "comments": "comments{/number}",
    "commits": "commits{/sha}",
    "compare": "compare/{base}...{head}",
    "contents": "contents/{+path}",
    "git_commits": "git/commits{/sha}",
    "git_refs": "git/refs{/sha}",
    "git_tags": "git/tags{/sha}",
    "issue_comment": "issues/comments{/number}",
    "issue_events": "issues/events{/number}",
    "issues": "issues{/number}",
    "keys": "keys{/key_id}",
    "labels": "labels{/name}",
    "milestones": "milestones{/number}",
    "notifications": "notifications{?since,all,participating}",
    "pulls": "pulls{/number}",
    "releases": "releases{/id}",
    "statuses": "statuses/{sha}",
    "trees": "git/trees{/sha}",
    **{name: name for name in ("contributors", "deployments", "downloads", "events", "forks", "hooks")},
    **{name: name for name in ("languages", "merges", "stargazers", "subscribers", "subscription")},
    **{name: name for name in ("tags", "teams")},
}
_LONG_AGO: Final = "2011-01-26T19:01:12Z"
"""A time that nobody asks about; it must not change, or every answer would be new."""
_COUNTS: Final = (
    *("forks", "forks_count", "open_issues", "open_issues_count", "size", "stargazers_count"),
    *("watchers", "watchers_count", "network_count", "subscribers_count"),
)


class Shapes:
    """Makes answers for one hub, with links that lead back to `root` (the API) and `site` (the pages)."""

    def __init__(self, hub: Hub, root: str, site: str) -> None:
        self._hub = hub
        self.root = root
        self.site = site

    def account(self, account: Account) -> Json:
        """Return a simple user."""
        url = f"{self.root}/users/{account.login}"
        links = (
            *("followers", "following{/other_user}", "gists{/gist_id}", "starred{/owner}{/repo}"),
            *("subscriptions", "orgs", "repos", "events{/privacy}", "received_events"),
        )
        names = {link: link.partition("{")[0] for link in links}
        return {
            "login": account.login if account.kind != "Bot" else f"{account.login}[bot]",
            "id": account.id,
            "node_id": node_id("U", account.id),
            "avatar_url": f"{self.site}/avatars/{account.id}",
            "gravatar_id": "",
            "url": url,
            "html_url": f"{self.site}/{account.login}",
            **{
                ("organizations_url" if name == "orgs" else f"{name}_url"): f"{url}/{link}"
                for link, name in names.items()
            },
            "type": account.kind,
            "site_admin": False,
        }

    def whole_account(self, account: Account) -> Json:
        """Return a user as they are told alone."""
        words = ("name", "company", "location", "email", "hireable", "bio")
        counts = ("public_repos", "public_gists", "followers", "following")
        times = dict.fromkeys(("created_at", "updated_at"), _LONG_AGO)
        return self.account(account) | dict.fromkeys(words) | dict.fromkeys(counts, 0) | times | {"blog": ""}

    def label(self, repository: Repository, label: Label) -> Json:
        """Return a label."""
        return {
            "id": label.id,
            "node_id": node_id("LA", label.id),
            "url": f"{self._repo(repository)}/labels/{label.name}",
            "name": label.name,
            "color": label.color,
            "default": False,
            "description": label.description,
        }

    def reactions(self, url: str, given: list[Reaction]) -> Json:
        """Return how many there are of each reaction."""
        counts = Counter(each.content for each in given)
        return {
            "url": f"{url}/reactions",
            "total_count": len(given),
            **{content: counts[content] for content in REACTIONS},
        }

    def reaction(self, reaction: Reaction) -> Json:
        """Return one reaction."""
        return {
            "id": reaction.id,
            "node_id": node_id("REA", reaction.id),
            "user": self.account(reaction.account),
            "content": reaction.content,
            "created_at": when(reaction.created_at),
        }

    def issue(self, repository: Repository, thread: Thread) -> Json:
        """Return a thread as the issues API tells it; a pull request says so in `pull_request`."""
        url = f"{self._repo(repository)}/issues/{thread.number}"
        page = self.page(repository, thread)
        shape = {
            "id": thread.id,
            "node_id": node_id("I", thread.id),
            "url": url,
            "repository_url": self._repo(repository),
            "labels_url": f"{url}/labels{{/name}}",
            "comments_url": f"{url}/comments",
            "events_url": f"{url}/events",
            "timeline_url": f"{url}/timeline",
            "html_url": page,
            **self._thread(repository, thread),
            "state_reason": thread.reason or None,
            "comments": len(thread.comments),
            "closed_by": self.account(thread.closed_by) if thread.closed_by else None,
            "reactions": self.reactions(url, thread.reactions),
            "performed_via_github_app": None,
        }
        if thread.pull:
            own = f"{self._repo(repository)}/pulls/{thread.number}"
            shape["draft"] = thread.pull.draft
            shape["pull_request"] = {
                "url": own,
                "html_url": page,
                "diff_url": f"{page}.diff",
                "patch_url": f"{page}.patch",
                "merged_at": when(thread.pull.merged_at),
            }
        return shape

    def _thread(self, repository: Repository, thread: Thread) -> Json:
        """What is told alike of issues and pull requests."""
        return {
            "number": thread.number,
            "title": thread.title,
            "body": thread.body or None,
            "user": self.account(thread.author),
            "author_association": self._hub.association(repository, thread.author),
            "state": thread.state,
            "labels": [self.label(repository, repository.labels[name]) for name in thread.labels],
            "assignee": None,
            "assignees": [],
            "milestone": None,
            "locked": thread.locked,
            "active_lock_reason": None,
            "created_at": when(thread.created_at),
            "updated_at": when(thread.updated_at),
            "closed_at": when(thread.closed_at),
        }

    def comment(self, repository: Repository, thread: Thread, comment: Comment) -> Json:
        """Return a comment of a thread."""
        url = f"{self._repo(repository)}/issues/comments/{comment.id}"
        return {
            "id": comment.id,
            "node_id": node_id("IC", comment.id),
            "url": url,
            "html_url": f"{self.page(repository, thread)}#issuecomment-{comment.id}",
            "issue_url": f"{self._repo(repository)}/issues/{thread.number}",
            "user": self.account(comment.author),
            "author_association": self._hub.association(repository, comment.author),
            "body": comment.body,
            "created_at": when(comment.created_at),
            "updated_at": when(comment.updated_at),
            "reactions": self.reactions(url, comment.reactions),
            "performed_via_github_app": None,
        }

    def pull(self, repository: Repository, thread: Thread) -> Json:
        """Return a pull request as lists tell it."""
        pull = thread.part
        url = f"{self._repo(repository)}/pulls/{thread.number}"
        page = self.page(repository, thread)
        issue = f"{self._repo(repository)}/issues/{thread.number}"
        links = {
            "self": url,
            "html": page,
            "issue": issue,
            "comments": f"{issue}/comments",
            "review_comments": f"{url}/comments",
            "review_comment": f"{self._repo(repository)}/pulls/comments{{/number}}",
            "commits": f"{url}/commits",
            "statuses": f"{self._repo(repository)}/statuses/{pull.head}",
        }
        return {
            "id": thread.id,
            "node_id": node_id("PR", thread.id),
            "url": url,
            "html_url": page,
            "diff_url": f"{page}.diff",
            "patch_url": f"{page}.patch",
            "issue_url": issue,
            "commits_url": links["commits"],
            "review_comments_url": links["review_comments"],
            "review_comment_url": links["review_comment"],
            "comments_url": links["comments"],
            "statuses_url": links["statuses"],
            **self._thread(repository, thread),
            "draft": pull.draft,
            "requested_reviewers": [self.account(each) for each in pull.reviewers],
            "requested_teams": [],
            "head": self._end(repository, pull.branch, pull.head, pull.fork),
            "base": self._end(repository, pull.base, pull.base_commit),
            "_links": {name: {"href": link} for name, link in links.items()},
            "auto_merge": None,
            "merged_at": when(pull.merged_at),
            "merge_commit_sha": pull.merge_commit or None,
        }

    def whole_pull(self, repository: Repository, thread: Thread, *, mergeable: bool | None) -> Json:
        """Return a pull request as it is told alone: counts, and whether it can be merged."""
        pull = thread.part
        ends = (pull.head, pull.base_commit)
        paths = gitside.changed(repository.folder, *ends) if thread.state == "open" else {}
        state = {True: "clean", False: "dirty", None: "unknown"}[mergeable]
        return self.pull(repository, thread) | {
            "merged": pull.merged_at is not None,
            "mergeable": mergeable,
            "rebaseable": mergeable,
            "mergeable_state": "draft" if pull.draft and mergeable else state,
            "merged_by": self.account(pull.merged_by) if pull.merged_by else None,
            "comments": len(thread.comments),
            "review_comments": len(pull.comments),
            "maintainer_can_modify": False,
            "commits": 1,
            "additions": sum(added for _, added, _ in paths.values()),
            "deletions": sum(removed for _, _, removed in paths.values()),
            "changed_files": len(paths),
        }

    def _end(self, repository: Repository, branch: str, commit: str, fork: str = "") -> Json:
        return {
            "label": f"{repository.owner.login}:{branch}",
            "ref": branch,
            "sha": commit,
            "user": self.account(repository.owner),
            "repo": {**self.repository(repository), "full_name": fork or repository.path},
        }

    def review(self, repository: Repository, thread: Thread, review: Review) -> Json:
        """Return a review."""
        pull = f"{self._repo(repository)}/pulls/{thread.number}"
        page = f"{self.page(repository, thread)}#pullrequestreview-{review.id}"
        return {
            "id": review.id,
            "node_id": node_id("PRR", review.id),
            "user": self.account(review.author),
            "body": review.body,
            "state": review.verdict,
            "html_url": page,
            "pull_request_url": pull,
            "_links": {"html": {"href": page}, "pull_request": {"href": pull}},
            "submitted_at": when(review.submitted_at),
            "commit_id": review.commit,
            "author_association": self._hub.association(repository, review.author),
        }

    def review_comment(self, repository: Repository, thread: Thread, comment: ReviewComment) -> Json:
        """Return a comment on a line."""
        url = f"{self._repo(repository)}/pulls/comments/{comment.id}"
        pull = f"{self._repo(repository)}/pulls/{thread.number}"
        page = f"{self.page(repository, thread)}#discussion_r{comment.id}"
        shape = {
            "id": comment.id,
            "node_id": node_id("PRRC", comment.id),
            "url": url,
            "html_url": page,
            "pull_request_url": pull,
            "_links": {"self": {"href": url}, "html": {"href": page}, "pull_request": {"href": pull}},
            "pull_request_review_id": comment.review or None,
            "diff_hunk": "@@ -1 +1 @@",
            "path": comment.path,
            "line": comment.line,
            "original_line": comment.line,
            "side": "RIGHT",
            "position": comment.line,
            "original_position": comment.line,
            "commit_id": comment.commit,
            "original_commit_id": comment.commit,
            "user": self.account(comment.author),
            "author_association": self._hub.association(repository, comment.author),
            "body": comment.body,
            "created_at": when(comment.created_at),
            "updated_at": when(comment.updated_at),
            "reactions": self.reactions(url, comment.reactions),
        }
        return shape | ({"in_reply_to_id": comment.reply_to} if comment.reply_to else {})

    def check(self, repository: Repository, check: Check) -> Json:
        """Return a check run."""
        url = f"{self._repo(repository)}/check-runs/{check.id}"
        return {
            "id": check.id,
            "node_id": node_id("CR", check.id),
            "external_id": "",
            "head_sha": check.commit,
            "url": url,
            "html_url": f"{self.site}/{repository.path}/runs/{check.id}",
            "details_url": f"{self.site}/{repository.path}/actions/runs/1/job/{check.id}",
            "status": check.status,
            "conclusion": check.conclusion or None,
            "started_at": when(check.started_at),
            "completed_at": when(check.completed_at),
            "output": {
                "title": check.title or None,
                "summary": check.summary or None,
                "text": None,
                "annotations_count": len(check.annotations),
                "annotations_url": f"{url}/annotations",
            },
            "name": check.name,
            "check_suite": {"id": 1},
            "app": self._actions() if check.log else None,
            "pull_requests": [],
        }

    def workflow_run(self, repository: Repository, check: Check) -> Json:
        """Return the run of the workflow whose only job is the check."""
        url = f"{self._repo(repository)}/actions/runs/{check.id}"
        whole = self.repository(repository)
        links = ("jobs", "logs", "cancel", "rerun", "artifacts")
        return {
            "id": check.id,
            "node_id": node_id("WFR", check.id),
            "name": check.name,
            "display_title": check.name,
            "path": ".github/workflows/build.yml",
            "workflow_id": 1,
            "run_number": 1,
            "event": "push",
            "status": check.status,
            "conclusion": check.conclusion or None,
            "head_branch": None,
            "head_sha": check.commit,
            "head_commit": None,
            "head_repository": whole,
            "repository": whole,
            "url": url,
            "html_url": f"{self.site}/{repository.path}/actions/runs/{check.id}",
            "workflow_url": f"{self._repo(repository)}/actions/workflows/1",
            "check_suite_url": f"{self._repo(repository)}/check-suites/1",
            **{f"{name}_url": f"{url}/{name}" for name in links},
            "created_at": when(check.started_at),
            "updated_at": when(check.completed_at or check.started_at),
            "pull_requests": [],
        }

    def job(self, repository: Repository, check: Check) -> Json:
        """Return a job of a workflow: it has the number and the name of its check run."""
        run = f"{self._repo(repository)}/actions/runs/{check.id}"
        return {
            "id": check.id,
            "node_id": node_id("CR", check.id),
            "run_id": check.id,
            "run_url": run,
            "head_sha": check.commit,
            "head_branch": None,
            "workflow_name": "build",
            "name": check.name,
            "url": f"{self._repo(repository)}/actions/jobs/{check.id}",
            "html_url": f"{self.site}/{repository.path}/actions/runs/{check.id}/job/{check.id}",
            "check_run_url": f"{self._repo(repository)}/check-runs/{check.id}",
            "status": check.status,
            "conclusion": check.conclusion or None,
            "created_at": when(check.started_at),
            "started_at": when(check.started_at),
            "completed_at": when(check.completed_at),
            "labels": [],
            **dict.fromkeys(("runner_id", "runner_name", "runner_group_id", "runner_group_name")),
        }

    def _actions(self) -> Json:
        """The app that GitHub's own builds report by."""
        return {
            "id": 15368,
            "slug": "github-actions",
            "node_id": node_id("A", 15368),
            "owner": self.account(Account(id=9919, login="github", kind="Organization")),
            "name": "GitHub Actions",
            "description": None,
            "external_url": self.site,
            "html_url": f"{self.site}/apps/github-actions",
            "created_at": _LONG_AGO,
            "updated_at": _LONG_AGO,
            "permissions": {"checks": "write"},
            "events": ["check_run"],
        }

    def annotation(self, repository: Repository, told: tuple[str, int, str]) -> Json:
        """Return one annotation of a check run."""
        path, line, message = told
        return {
            "path": path,
            "start_line": line,
            "end_line": line,
            "start_column": None,
            "end_column": None,
            "annotation_level": "failure",
            "title": None,
            "message": message,
            "raw_details": None,
            "blob_href": f"{self._repo(repository)}/git/blobs/{path}",
        }

    def statuses(self, repository: Repository, commit: str, told: list[Status]) -> Json:
        """Return the combined status of a commit: pending when nobody has reported any."""
        url = f"{self._repo(repository)}/commits/{commit}"
        states = {each.state for each in told}
        failed, under_way = states & {"error", "failure"}, not told or "pending" in states
        return {
            "state": "failure" if failed else "pending" if under_way else "success",
            "statuses": [self._status(repository, each) for each in told],
            "sha": commit,
            "total_count": len(told),
            "repository": self.repository(repository),
            "commit_url": url,
            "url": f"{url}/status",
        }

    def _status(self, repository: Repository, status: Status) -> Json:
        return {
            "url": f"{self._repo(repository)}/statuses/{status.commit}",
            "avatar_url": None,
            "id": status.id,
            "node_id": node_id("SC", status.id),
            "state": status.state,
            "description": status.description or None,
            "target_url": None,
            "context": status.context,
            "created_at": when(status.at),
            "updated_at": when(status.at),
        }

    def branch(self, repository: Repository, name: str, commit: str) -> Json:
        """Return a branch, and whether it is protected in the older way."""
        url = f"{self._repo(repository)}/branches/{name}"
        return {
            "name": name,
            "commit": self._commit(repository, commit),
            "_links": {"self": url, "html": f"{self.site}/{repository.path}/tree/{name}"},
            "protected": name in repository.protected,
            "protection": {"enabled": name in repository.protected},
            "protection_url": f"{url}/protection",
        }

    def _commit(self, repository: Repository, commit: str) -> Json:
        """Return a commit, but for what git alone knows of it: nobody asks this for that."""
        url = f"{self._repo(repository)}/commits/{commit}"
        who = {"name": repository.owner.login, "email": "", "date": _LONG_AGO}
        tree = {"sha": commit, "url": f"{self._repo(repository)}/git/trees/{commit}"}
        told = {"author": who, "committer": who, "comment_count": 0, "message": "", "tree": tree, "url": url}
        return {
            "sha": commit,
            "node_id": "",
            "url": url,
            "html_url": f"{self.site}/{repository.path}/commit/{commit}",
            "comments_url": f"{url}/comments",
            "commit": told,
            "author": None,
            "committer": None,
            "parents": [],
        }

    def repository(self, repository: Repository, viewer: Account | None = None) -> Json:
        """Return a repository; what `viewer` may do there is said only when one asks."""
        url = self._repo(repository)
        page = f"{self.site}/{repository.path}"
        shape: Json = {
            "id": repository.id,
            "node_id": node_id("R", repository.id),
            "name": repository.name,
            "full_name": repository.path,
            "owner": self.account(repository.owner),
            "private": repository.private,
            "visibility": "private" if repository.private else "public",
            "html_url": page,
            "description": None,
            "fork": False,
            "url": url,
            "clone_url": f"{page}.git",
            "git_url": f"{page}.git",
            "ssh_url": f"{page}.git",
            "svn_url": page,
            "default_branch": repository.branch,
            "archived": repository.archived,
            "disabled": False,
            **{f"{name}_url": f"{url}/{link}" for name, link in _REPOSITORY_LINKS.items()},
            **dict.fromkeys(_COUNTS, 0),
            **dict.fromkeys(
                ("has_issues", "has_projects", "has_wiki", "has_pages", "has_discussions", "has_downloads"),
                True,
            ),
            **dict.fromkeys(("homepage", "language", "mirror_url", "license")),
            **dict.fromkeys(("created_at", "updated_at", "pushed_at"), _LONG_AGO),
        }
        if viewer:
            names = {
                "admin": "admin",
                "maintain": "maintain",
                "push": "write",
                "triage": "triage",
                "pull": "read",
            }
            shape["permissions"] = {
                name: self._hub.can(repository, viewer, role)  # type: ignore[arg-type] # the five roles above
                for name, role in names.items()
            }
        return shape

    def page(self, repository: Repository, thread: Thread) -> str:
        """Return where a person reads the thread."""
        kind = "pull" if thread.pull else "issues"
        return f"{self.site}/{repository.path}/{kind}/{thread.number}"

    def _repo(self, repository: Repository) -> str:
        return f"{self.root}/repos/{repository.path}"
