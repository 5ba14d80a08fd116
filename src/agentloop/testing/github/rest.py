"""The REST calls that it answers, each as one function; `ROUTES` is the whole list.

A call outside of it is 404 with a sentence that says so, and is kept in `Api.unknown`: a client that leans on
something which is not modelled is told so, instead of being fooled.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, TypeAlias

from agentloop.testing.github import gitside
from agentloop.testing.github.behaviours import Behaviour
from agentloop.testing.github.hub import Hub
from agentloop.testing.github.refusals import Refused
from agentloop.testing.github.shapes import Shapes
from agentloop.testing.github.values import Account, Repository, Thread, Token

Json: TypeAlias = Any
ELSEWHERE: Final = "/elsewhere/"
"""Where texts are kept that GitHub keeps on another host."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request that was let in: what is asked, by whom, of which repository."""

    hub: Hub
    shapes: Shapes
    token: Token
    repository: Repository
    names: dict[str, str]
    query: dict[str, str]
    body: dict[str, Any]

    @property
    def viewer(self) -> Account:
        """Who asks."""
        return self.token.account

    @property
    def thread(self) -> Thread:
        """The thread that the path names. Raises Refused."""
        return self.hub.find(self.repository, int(self.names["number"]))

    def text(self, name: str) -> str:
        """Return a field that must be there and be text. Raises Refused 422."""
        value = self.body.get(name)
        if not isinstance(value, str):
            raise Refused.invalid("Request", name, "missing_field", f'"{name}" wasn\'t supplied.')
        return value

    def maybe(self, name: str) -> str | None:
        """Return a field that may be left out. Raises Refused 422 when it is no text."""
        value = self.body.get(name)
        if value is not None and not isinstance(value, str):
            raise Refused.invalid(
                "Request", name, "invalid", f"For 'properties/{name}', {value!r} is not a string."
            )
        return value

    def words(self, name: str) -> tuple[str, ...]:
        """Return a list of texts. Raises Refused 422."""
        value = self.body.get(name, [])
        if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
            raise Refused.invalid("Request", name, "invalid", f"{name} is a list of texts")
        return tuple(value)


class Lazy(Sequence[Json]):
    """A list of what `make` says of each thing, said only of those on the page that is asked for."""

    def __init__(self, things: Sequence[Any], make: Callable[[Any], Json]) -> None:
        self._things, self._make = things, make

    def __len__(self) -> int:
        return len(self._things)

    def __getitem__(self, place: Any) -> Any:  # noqa: ANN401 -- an index or a slice
        found = self._things[place]
        return [self._make(one) for one in found] if isinstance(place, slice) else self._make(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An answer. `pages` says that the body is a list to be cut into pages; `key` names the list in it."""

    body: Json = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    pages: bool = False
    key: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """A call: its method and path, and the permission that it takes ("issues:write"; "" = none)."""

    method: str
    path: str
    need: str
    answer: Callable[[Call], Reply]

    def match(self, method: str, path: str) -> dict[str, str] | None:
        """Return the names in the path, None when it is another call's."""
        if method != self.method:
            return None
        found = _pattern(self.path).fullmatch(path)
        return found.groupdict() if found else None


_PATTERNS: dict[str, re.Pattern[str]] = {}


def _pattern(path: str) -> re.Pattern[str]:
    if path not in _PATTERNS:
        kinds = {"number": r"\d+", "id": r"\d+", "ref": ".+", "name": ".+"}
        made = re.sub(r"\{(\w+)\}", lambda m: f"(?P<{m[1]}>{kinds.get(m[1], '[^/]+')})", path)
        _PATTERNS[path] = re.compile(made)
    return _PATTERNS[path]


# Threads.


def _since(call: Call, at: datetime) -> bool:
    word = call.query.get("since", "")
    if not word or not call.hub.has(Behaviour.SINCE):
        return True
    try:
        return at >= datetime.strptime(word, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except ValueError:
        raise Refused(422, "since is no time") from None


def _ordered(call: Call, threads: list[Thread], fallback: str = "created") -> list[Thread]:
    by = call.query.get("sort", fallback)
    keys: dict[str, Callable[[Thread], Any]] = {
        "created": lambda thread: thread.number,
        "updated": lambda thread: (thread.updated_at, thread.number),
        "comments": lambda thread: (len(thread.comments), thread.number),
    }
    if by not in keys:
        raise Refused(422, f"{by} is no order")
    return sorted(threads, key=keys[by], reverse=call.query.get("direction", "desc") == "desc")


def _issues(call: Call) -> Reply:
    state = call.query.get("state", "open")
    labels = set(filter(None, call.query.get("labels", "").split(",")))
    found = [
        thread
        for thread in call.repository.threads.values()
        if not thread.gone
        and state in (thread.state, "all")
        and labels.issubset(thread.labels)
        and (not call.query.get("creator") or call.query["creator"] == thread.author.login)
        and _since(call, thread.updated_at)
        and (thread.pull is None or call.hub.has(Behaviour.PULLS_AMONG_ISSUES))
    ]
    shapes = Lazy(_ordered(call, found), lambda thread: call.shapes.issue(call.repository, thread))
    return Reply(body=shapes, pages=True)


def _issue(call: Call) -> Reply:
    return Reply(body=call.shapes.issue(call.repository, call.thread))


def _new_issue(call: Call) -> Reply:
    made = call.hub.open_issue(
        call.repository, call.viewer, call.text("title"), call.maybe("body") or "", call.words("labels")
    )
    return Reply(body=call.shapes.issue(call.repository, made), status=201)


def _edit_issue(call: Call) -> Reply:
    thread = call.thread
    _may_edit(call, thread.author)
    call.hub.edit_thread(
        call.repository, call.viewer, thread, title=call.maybe("title"), body=call.maybe("body")
    )
    _set_state(call, thread)
    if "labels" in call.body:
        _replace_labels(call, thread, call.words("labels"))
    return Reply(body=call.shapes.issue(call.repository, thread))


def _set_state(call: Call, thread: Thread) -> None:
    match call.maybe("state"):
        case None:
            return
        case "closed":
            reason = call.maybe("state_reason") or "completed"
            call.hub.close(call.repository, call.viewer, thread, reason)
        case "open":
            call.hub.reopen(call.repository, call.viewer, thread)
        case other:
            raise Refused.invalid("Issue", "state", "invalid", f"{other} is no state")


def _may_edit(call: Call, author: Account) -> None:
    if call.viewer is not author and not call.hub.can(call.repository, call.viewer, "triage"):
        raise Refused(403, "Must have triage rights to the repository.")


def _lock(call: Call) -> Reply:
    call.hub.set_locked(call.repository, call.viewer, call.thread, locked=True)
    return Reply(status=204)


def _unlock(call: Call) -> Reply:
    call.hub.set_locked(call.repository, call.viewer, call.thread, locked=False)
    return Reply(status=204)


# Comments.


def _comments(call: Call) -> Reply:
    thread = call.thread
    found = [
        call.shapes.comment(call.repository, thread, each)
        for each in thread.comments
        if _since(call, each.updated_at)
    ]
    return Reply(body=found, pages=True)


def _all_comments(call: Call) -> Reply:
    found = [
        (
            comment.updated_at if call.query.get("sort") == "updated" else comment.created_at,
            comment.id,
            thread,
            comment,
        )
        for thread in call.repository.threads.values()
        if not thread.gone
        for comment in thread.comments
        if _since(call, comment.updated_at)
    ]
    down = call.query.get("direction") == "desc" and "sort" in call.query
    found.sort(key=lambda each: each[:2], reverse=down)
    shapes = Lazy(found, lambda one: call.shapes.comment(call.repository, one[2], one[3]))
    return Reply(body=shapes, pages=True)


def _say(call: Call) -> Reply:
    thread = call.thread
    made = call.hub.comment(call.repository, call.viewer, thread, call.text("body"))
    return Reply(body=call.shapes.comment(call.repository, thread, made), status=201)


def _comment(call: Call) -> Reply:
    thread, comment = call.hub.comment_by_id(call.repository, int(call.names["id"]))
    return Reply(body=call.shapes.comment(call.repository, thread, comment))


def _edit_comment(call: Call) -> Reply:
    thread, comment = call.hub.comment_by_id(call.repository, int(call.names["id"]))
    call.hub.edit_comment(call.repository, call.viewer, thread, comment, call.text("body"))
    return Reply(body=call.shapes.comment(call.repository, thread, comment))


def _delete_comment(call: Call) -> Reply:
    thread, comment = call.hub.comment_by_id(call.repository, int(call.names["id"]))
    call.hub.delete_comment(call.repository, call.viewer, thread, comment)
    return Reply(status=204)


# Reactions.


def _thread_reactions(call: Call) -> Reply:
    return Reply(body=[call.shapes.reaction(each) for each in call.thread.reactions], pages=True)


def _comment_reactions(call: Call) -> Reply:
    _, comment = call.hub.comment_by_id(call.repository, int(call.names["id"]))
    return Reply(body=[call.shapes.reaction(each) for each in comment.reactions], pages=True)


def _react_to_thread(call: Call) -> Reply:
    made, new = call.hub.react(call.viewer, call.thread, call.text("content"))
    return Reply(body=call.shapes.reaction(made), status=201 if new else 200)


def _react_to_comment(call: Call) -> Reply:
    _, comment = call.hub.comment_by_id(call.repository, int(call.names["id"]))
    made, new = call.hub.react(call.viewer, comment, call.text("content"))
    return Reply(body=call.shapes.reaction(made), status=201 if new else 200)


# Labels.


def _labels(call: Call) -> Reply:
    shapes = [call.shapes.label(call.repository, each) for each in call.repository.labels.values()]
    return Reply(body=shapes, pages=True)


def _new_label(call: Call) -> Reply:
    made = call.hub.make_label(
        call.repository,
        call.text("name"),
        call.maybe("color") or "ededed",
        call.maybe("description") or "",
    )
    return Reply(body=call.shapes.label(call.repository, made), status=201)


def _label(call: Call) -> Reply:
    found = call.repository.labels.get(call.names["name"])
    if found is None:
        raise Refused(404, "Not Found")
    return Reply(body=call.shapes.label(call.repository, found))


def _delete_label(call: Call) -> Reply:
    call.hub.delete_label(call.repository, call.names["name"])
    return Reply(status=204)


def _labels_of(call: Call, thread: Thread) -> list[Json]:
    known = call.repository.labels
    return [call.shapes.label(call.repository, known[name]) for name in thread.labels]


def _thread_labels(call: Call) -> Reply:
    return Reply(body=_labels_of(call, call.thread), pages=True)


def _add_labels(call: Call) -> Reply:
    thread = call.thread
    names = call.words("labels")
    if not call.hub.has(Behaviour.LABELS_MADE) and not set(names).issubset(call.repository.labels):
        raise Refused.invalid("Label", "name", "invalid", "")
    call.hub.add_labels(call.repository, call.viewer, thread, names)
    return Reply(body=_labels_of(call, thread))


def _replace_labels(call: Call, thread: Thread, names: tuple[str, ...]) -> None:
    for name in [each for each in thread.labels if each not in names]:
        call.hub.remove_label(call.repository, call.viewer, thread, name)
    call.hub.add_labels(call.repository, call.viewer, thread, names)


def _remove_label(call: Call) -> Reply:
    thread = call.thread
    call.hub.remove_label(call.repository, call.viewer, thread, call.names["name"])
    return Reply(body=_labels_of(call, thread))


# Pull requests.


def _pulls(call: Call) -> Reply:
    call.hub.look_at_git(call.repository, call.viewer)
    state, head, base = (call.query.get(name, "") for name in ("state", "head", "base"))
    found = [
        thread
        for thread in call.repository.threads.values()
        if thread.pull
        and (state or "open") in (thread.state, "all")
        and head in ("", f"{call.repository.owner.login}:{thread.pull.branch}")
        and base in ("", thread.pull.base)
    ]
    shapes = [call.shapes.pull(call.repository, thread) for thread in _ordered(call, found)]
    return Reply(body=shapes, pages=True)


def _pull(call: Call) -> Reply:
    call.hub.look_at_git(call.repository, call.viewer)
    thread, _ = call.hub.pull(call.repository, int(call.names["number"]))
    return Reply(body=call.shapes.whole_pull(call.repository, thread, mergeable=_mergeable(call, thread)))


def _mergeable(call: Call, thread: Thread) -> bool | None:
    pull = thread.part
    if thread.state == "closed":
        return None
    key = (pull.head, pull.base_commit)
    if call.hub.has(Behaviour.MERGEABLE_LATER) and key not in call.hub.weighed:
        call.hub.weighed.add(key)  # GitHub begins to find out when it is first asked
        return None
    return not gitside.conflicts(call.repository.folder, *key)


def _new_pull(call: Call) -> Reply:
    draft = call.body.get("draft", False)
    made = call.hub.open_pull(
        call.repository,
        call.viewer,
        title=call.text("title"),
        body=call.maybe("body") or "",
        branch=call.text("head").rpartition(":")[2],
        base=call.text("base"),
        draft=draft is True,
    )
    return Reply(body=call.shapes.whole_pull(call.repository, made, mergeable=None), status=201)


def _edit_pull(call: Call) -> Reply:
    thread, _ = call.hub.pull(call.repository, int(call.names["number"]))
    _may_edit(call, thread.author)
    call.hub.edit_thread(
        call.repository, call.viewer, thread, title=call.maybe("title"), body=call.maybe("body")
    )
    if "draft" in call.body and not call.hub.has(Behaviour.DRAFTS_BY_GRAPHQL):
        call.hub.set_draft(call.repository, call.viewer, thread, draft=bool(call.body["draft"]))
    _set_state(call, thread)
    return Reply(body=call.shapes.whole_pull(call.repository, thread, mergeable=_mergeable(call, thread)))


def _merge(call: Call) -> Reply:
    thread, _ = call.hub.pull(call.repository, int(call.names["number"]))
    commit = call.hub.merge(call.repository, call.viewer, thread, expected=call.maybe("sha") or "")
    return Reply(body={"sha": commit, "merged": True, "message": "Pull Request successfully merged"})


def _files(call: Call) -> Reply:
    _, pull = call.hub.pull(call.repository, int(call.names["number"]))
    repo = f"{call.shapes.repository(call.repository)['url']}/contents"
    shapes = [
        {
            "sha": pull.head,
            "filename": path,
            "status": kind,
            "additions": added,
            "deletions": removed,
            "changes": added + removed,
            "blob_url": f"{repo}/{path}",
            "raw_url": f"{repo}/{path}",
            "contents_url": f"{repo}/{path}?ref={pull.head}",
        }
        for path, (kind, added, removed) in gitside.changed(
            call.repository.folder, pull.head, pull.base_commit
        ).items()
    ]
    return Reply(body=shapes, pages=True)


def _reviews(call: Call) -> Reply:
    thread, pull = call.hub.pull(call.repository, int(call.names["number"]))
    shapes = [call.shapes.review(call.repository, thread, each) for each in pull.reviews]
    return Reply(body=shapes, pages=True)


def _new_review(call: Call) -> Reply:
    verdicts = {"APPROVE": "APPROVED", "REQUEST_CHANGES": "CHANGES_REQUESTED", "COMMENT": "COMMENTED"}
    thread, _ = call.hub.pull(call.repository, int(call.names["number"]))
    verdict = verdicts.get(call.text("event"))
    if verdict is None:
        raise Refused.invalid("PullRequestReview", "event", "invalid", "")
    made = call.hub.review(
        call.repository,
        call.viewer,
        thread,
        verdict,  # type: ignore[arg-type] # one of the three above
        call.maybe("body") or "",
    )
    return Reply(body=call.shapes.review(call.repository, thread, made))


def _pull_comments(call: Call) -> Reply:
    thread, pull = call.hub.pull(call.repository, int(call.names["number"]))
    shapes = [
        call.shapes.review_comment(call.repository, thread, each)
        for each in pull.comments
        if _since(call, each.updated_at)
    ]
    return Reply(body=shapes, pages=True)


def _all_pull_comments(call: Call) -> Reply:
    found = [
        (each.updated_at, each.id, thread, each)
        for thread in call.repository.threads.values()
        if thread.pull
        for each in thread.pull.comments
        if _since(call, each.updated_at)
    ]
    found.sort(key=lambda each: each[:2], reverse=call.query.get("direction") == "desc")
    shapes = [call.shapes.review_comment(call.repository, thread, one) for _, _, thread, one in found]
    return Reply(body=shapes, pages=True)


def _new_pull_comment(call: Call) -> Reply:
    thread, _ = call.hub.pull(call.repository, int(call.names["number"]))
    line = call.body.get("line", 1)
    made = call.hub.review_comment(
        call.repository,
        call.viewer,
        thread,
        call.text("body"),
        path=call.text("path"),
        line=line if isinstance(line, int) else 1,
    )
    return Reply(body=call.shapes.review_comment(call.repository, thread, made), status=201)


def _reply(call: Call) -> Reply:
    thread, _ = call.hub.pull(call.repository, int(call.names["number"]))
    made = call.hub.review_comment(
        call.repository, call.viewer, thread, call.text("body"), reply_to=int(call.names["id"])
    )
    return Reply(body=call.shapes.review_comment(call.repository, thread, made), status=201)


def _react_to_pull_comment(call: Call) -> Reply:
    wanted = int(call.names["id"])
    parts = (thread.pull for thread in call.repository.threads.values() if thread.pull)
    found = next((one for part in parts for one in part.comments if one.id == wanted), None)
    if found is None:
        raise Refused(404, "Not Found")
    made, new = call.hub.react(call.viewer, found, call.text("content"))
    return Reply(body=call.shapes.reaction(made), status=201 if new else 200)


def _ask_review(call: Call) -> Reply:
    thread, _ = call.hub.pull(call.repository, int(call.names["number"]))
    call.hub.ask_review(call.repository, call.viewer, thread, call.words("reviewers"))
    return Reply(body=call.shapes.pull(call.repository, thread), status=201)


# Checks, branches, rules, and the repository itself.


def _commit_of(call: Call) -> str:
    ref = call.names["ref"]
    return gitside.heads(call.repository.folder).get(ref.removeprefix("heads/"), ref)


def _check_runs(call: Call) -> Reply:
    commit = _commit_of(call)
    shapes = [
        call.shapes.check(call.repository, each) for each in call.repository.checks if each.commit == commit
    ]
    return Reply(body={"total_count": len(shapes), "check_runs": shapes}, pages=True, key="check_runs")


def _workflow_runs(call: Call) -> Reply:
    """One run for each check that an action reported: here each is a workflow of its own."""
    wanted = call.query.get("head_sha", "")
    found = [each for each in call.repository.checks if each.log and wanted in ("", each.commit)]
    shapes = [call.shapes.workflow_run(call.repository, each) for each in found]
    return Reply(body={"total_count": len(shapes), "workflow_runs": shapes}, pages=True, key="workflow_runs")


def _jobs(call: Call) -> Reply:
    wanted = int(call.names["id"])
    found = [each for each in call.repository.checks if each.log and each.id == wanted]
    if not found:
        raise Refused(404, "Not Found")
    shapes = [call.shapes.job(call.repository, each) for each in found]
    return Reply(body={"total_count": len(shapes), "jobs": shapes}, pages=True, key="jobs")


def _job_log(call: Call) -> Reply:
    wanted = int(call.names["id"])
    found = next((each for each in call.repository.checks if each.id == wanted), None)
    if found is None or not found.log:
        raise Refused(404, "Not Found")
    if not call.hub.has(Behaviour.LOGS_ELSEWHERE):
        return Reply(body=found.log)
    place = f"{call.shapes.site}{ELSEWHERE}{found.id}"
    return Reply(status=302, headers={"Location": place})


def text_elsewhere(hub: Hub, path: str, headers: Mapping[str, str]) -> tuple[int, str]:
    """Return status and text of what is kept beside the API: whoever shows a token there is refused."""
    if "authorization" in headers:
        return 400, "InvalidAuthenticationInfo: the address is the key"
    wanted = path.removeprefix(ELSEWHERE)
    checks = (each for one in hub.repositories.values() for each in one.checks)
    log = next((each.log for each in checks if str(each.id) == wanted), "")
    return (200, log) if log else (404, "BlobNotFound")


def _annotations(call: Call) -> Reply:
    wanted = int(call.names["id"])
    found = next((each for each in call.repository.checks if each.id == wanted), None)
    if found is None:
        raise Refused(404, "Not Found")
    return Reply(
        body=[call.shapes.annotation(call.repository, each) for each in found.annotations], pages=True
    )


def _status(call: Call) -> Reply:
    commit = _commit_of(call)
    told = [each for each in call.repository.statuses if each.commit == commit]
    if call.hub.has(Behaviour.LATEST_STATUS):
        told = list({each.context: each for each in told}.values())
    return Reply(body=call.shapes.statuses(call.repository, commit, told), pages=True, key="statuses")


def _branch(call: Call) -> Reply:
    name = call.names["ref"]
    heads = gitside.heads(call.repository.folder)
    if name not in heads:
        raise Refused(404, "Branch not found")
    return Reply(body=call.shapes.branch(call.repository, name, heads[name]))


def _ref(call: Call) -> Reply:
    name = call.names["ref"].removeprefix("heads/")
    heads = gitside.heads(call.repository.folder)
    if name not in heads:
        raise Refused(404, "Not Found")
    url = f"{call.shapes.repository(call.repository)['url']}/git"
    return Reply(
        body={
            "ref": f"refs/heads/{name}",
            "node_id": "",
            "url": f"{url}/refs/heads/{name}",
            "object": {"type": "commit", "sha": heads[name], "url": f"{url}/commits/{heads[name]}"},
        }
    )


def _delete_ref(call: Call) -> Reply:
    call.hub.delete_branch(call.repository, call.viewer, call.names["ref"].removeprefix("heads/"))
    return Reply(status=204)


def _rules_for_branch(call: Call) -> Reply:
    _has_rules(call)
    shapes = [
        {
            "type": "pull_request",
            "ruleset_source_type": "Repository",
            "ruleset_source": call.repository.path,
            "ruleset_id": rule.id,
            "parameters": {
                "required_approving_review_count": rule.approvals,
                "dismiss_stale_reviews_on_push": not rule.outlived,
                "require_code_owner_review": False,
                "require_last_push_approval": False,
                "required_review_thread_resolution": False,
            },
        }
        for rule in call.hub.rules_of(call.repository, call.names["ref"])
    ]
    return Reply(body=shapes, pages=True)


def _ruleset(call: Call) -> Reply:
    _has_rules(call)
    wanted = int(call.names["id"])
    found = next((each for each in call.repository.rules or [] if each.id == wanted), None)
    if found is None:
        raise Refused(404, "Not Found")
    bypass = "always" if call.viewer.login in found.bypass else "never"
    return Reply(
        body={
            "id": found.id,
            "name": f"guard {found.branch}",
            "target": "branch",
            "source_type": "Repository",
            "source": call.repository.path,
            "enforcement": "active" if found.active else "disabled",
            "current_user_can_bypass": bypass,
            "conditions": {"ref_name": {"include": [f"refs/heads/{found.branch}"], "exclude": []}},
            "rules": [{"type": "pull_request"}],
        }
    )


def _has_rules(call: Call) -> None:
    if call.repository.rules is None and call.hub.has(Behaviour.RULES_BY_PLAN):
        raise Refused(403, "Upgrade to GitHub Pro or make this repository public to enable this feature.")


def _permission(call: Call) -> Reply:
    """What an account may do there: `permission` knows neither triage nor maintain, `role_name` does."""
    account = call.hub.accounts.get(call.names["login"])
    if account is None:
        raise Refused(404, "Not Found")
    role = call.hub.role(call.repository, account)
    base = {"triage": "read", "maintain": "write", None: "none"}.get(role, role)
    user = call.shapes.account(account) | {"role_name": role or "none"}
    return Reply(body={"permission": base, "role_name": role or "none", "user": user})


def _repository(call: Call) -> Reply:
    return Reply(body=call.shapes.repository(call.repository, call.viewer))


_R: Final = "/repos/{owner}/{repo}"
ROUTES: Final = tuple(
    Route(method=method, path=_R + path, need=need, answer=answer)
    for method, path, need, answer in (
        ("GET", "", "metadata:read", _repository),
        ("GET", "/collaborators/{login}/permission", "metadata:read", _permission),
        ("GET", "/issues", "issues:read", _issues),
        ("POST", "/issues", "issues:write", _new_issue),
        ("GET", "/issues/comments", "issues:read", _all_comments),
        ("GET", "/issues/comments/{id}", "issues:read", _comment),
        ("PATCH", "/issues/comments/{id}", "issues:write", _edit_comment),
        ("DELETE", "/issues/comments/{id}", "issues:write", _delete_comment),
        ("GET", "/issues/comments/{id}/reactions", "issues:read", _comment_reactions),
        ("POST", "/issues/comments/{id}/reactions", "issues:write", _react_to_comment),
        ("GET", "/issues/{number}", "issues:read", _issue),
        ("PATCH", "/issues/{number}", "issues:write", _edit_issue),
        ("PUT", "/issues/{number}/lock", "issues:write", _lock),
        ("DELETE", "/issues/{number}/lock", "issues:write", _unlock),
        ("GET", "/issues/{number}/comments", "issues:read", _comments),
        ("POST", "/issues/{number}/comments", "issues:write", _say),
        ("GET", "/issues/{number}/reactions", "issues:read", _thread_reactions),
        ("POST", "/issues/{number}/reactions", "issues:write", _react_to_thread),
        ("GET", "/issues/{number}/labels", "issues:read", _thread_labels),
        ("POST", "/issues/{number}/labels", "issues:write", _add_labels),
        ("DELETE", "/issues/{number}/labels/{name}", "issues:write", _remove_label),
        ("GET", "/labels", "issues:read", _labels),
        ("POST", "/labels", "issues:write", _new_label),
        ("GET", "/labels/{name}", "issues:read", _label),
        ("DELETE", "/labels/{name}", "issues:write", _delete_label),
        ("GET", "/pulls", "pull_requests:read", _pulls),
        ("POST", "/pulls", "pull_requests:write", _new_pull),
        ("GET", "/pulls/comments", "pull_requests:read", _all_pull_comments),
        ("POST", "/pulls/comments/{id}/reactions", "pull_requests:write", _react_to_pull_comment),
        ("GET", "/pulls/{number}", "pull_requests:read", _pull),
        ("PATCH", "/pulls/{number}", "pull_requests:write", _edit_pull),
        ("PUT", "/pulls/{number}/merge", "contents:write", _merge),
        ("GET", "/pulls/{number}/files", "pull_requests:read", _files),
        ("GET", "/pulls/{number}/reviews", "pull_requests:read", _reviews),
        ("POST", "/pulls/{number}/reviews", "pull_requests:write", _new_review),
        ("GET", "/pulls/{number}/comments", "pull_requests:read", _pull_comments),
        ("POST", "/pulls/{number}/comments", "pull_requests:write", _new_pull_comment),
        ("POST", "/pulls/{number}/comments/{id}/replies", "pull_requests:write", _reply),
        ("POST", "/pulls/{number}/requested_reviewers", "pull_requests:write", _ask_review),
        ("GET", "/commits/{ref}/check-runs", "checks:read", _check_runs),
        ("GET", "/commits/{ref}/status", "statuses:read", _status),
        ("GET", "/check-runs/{id}/annotations", "checks:read", _annotations),
        ("GET", "/actions/runs", "actions:read", _workflow_runs),
        ("GET", "/actions/runs/{id}/jobs", "actions:read", _jobs),
        ("GET", "/actions/jobs/{id}/logs", "actions:read", _job_log),
        ("GET", "/branches/{ref}", "contents:read", _branch),
        ("GET", "/rules/branches/{ref}", "metadata:read", _rules_for_branch),
        ("GET", "/rulesets/{id}", "metadata:read", _ruleset),
        ("GET", "/git/ref/{ref}", "contents:read", _ref),
        ("DELETE", "/git/refs/{ref}", "contents:write", _delete_ref),
    )
)
