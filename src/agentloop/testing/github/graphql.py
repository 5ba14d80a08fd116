"""The few GraphQL operations that REST has no twin of: drafts and pins, and who edited what when.

A document is really read (fields, aliases, arguments, variables, inline fragments), and only what it selects
is answered; a field that is not modelled is an error, as an unknown one is at GitHub.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeAlias

from agentloop.testing.github.behaviours import Behaviour
from agentloop.testing.github.hub import Hub
from agentloop.testing.github.refusals import Refused
from agentloop.testing.github.shapes import node_id, when
from agentloop.testing.github.values import (
    Account,
    Comment,
    Edit,
    Labelled,
    Repository,
    Review,
    ReviewComment,
    Thread,
)

Json: TypeAlias = Any
Resolved: TypeAlias = "dict[str, Any | Callable[[dict[str, Any]], Any]]"
_TOKEN: Final = re.compile(r'\s*(?:#[^\n]*\s*)*(\.\.\.|[{}()\[\]:$!,=]|"(?:[^"\\]|\\.)*"|[\w.-]+)\s*')
PINS: Final = 3
"""How many issues a repository may have pinned: docs, "Pinning an issue to your repository"."""


class GraphError(Exception):
    """What a document did that is not possible; it is told in `errors`, with status 200."""

    def __init__(self, message: str, kind: str = "") -> None:
        super().__init__(message)
        self.told = {"message": message} | ({"type": kind} if kind else {})


@dataclass(slots=True)
class Selected:
    """One field of a document: what it is answered as, its arguments, and what is selected below it."""

    name: str
    alias: str
    on: str = ""
    """The type that an object must be of; "" = any."""
    arguments: dict[str, Any] = field(default_factory=dict)
    below: list[Selected] = field(default_factory=list)


def answer(hub: Hub, viewer: Account, document: str, variables: dict[str, Any]) -> Json:
    """Return what the document selects, as `{"data": …}`, or `{"data": None, "errors": […]}`."""
    try:
        kind, selected = _Reader(document, variables).read()
        top = _mutations(hub, viewer) if kind == "mutation" else _queries(hub, viewer)
        return {"data": _project(top, selected)}
    except GraphError as error:
        return {"data": None, "errors": [error.told]}
    except Refused as error:
        kind = "FORBIDDEN" if error.status == 403 else "NOT_FOUND"  # noqa: PLR2004 - HTTP's own
        return {"data": None, "errors": [{"message": error.message, "type": kind}]}


# Reading a document.


class _Reader:
    def __init__(self, document: str, variables: dict[str, Any]) -> None:
        self._tokens = _TOKEN.findall(document)
        self._place = 0
        self._variables = variables

    def read(self) -> tuple[str, list[Selected]]:
        kind = "query"
        if self._peek() in ("query", "mutation"):
            kind = self._next()
            while self._peek() != "{":
                self._next()  # its name, and the types of its variables, which are not checked
        return kind, self._selection()

    def _peek(self) -> str:
        if self._place >= len(self._tokens):
            raise GraphError("Parse error: the document ends too early")
        found: str = self._tokens[self._place]
        return found

    def _next(self) -> str:
        found = self._peek()
        self._place += 1
        return found

    def _take(self, wanted: str) -> None:
        found = self._next()
        if found != wanted:
            raise GraphError(f"Parse error: {wanted} expected, not {found}")

    def _selection(self) -> list[Selected]:
        self._take("{")
        found: list[Selected] = []
        while self._peek() != "}":
            if self._peek() == "...":
                self._next()
                self._take("on")
                kind = self._next()
                found += [replace(one, on=kind) for one in self._selection()]
                continue
            found.append(self._field())
        self._take("}")
        return found

    def _field(self) -> Selected:
        name = alias = self._next()
        if self._peek() == ":":
            self._next()
            name = self._next()
        selected = Selected(name, alias)
        if self._peek() == "(":
            self._next()
            while self._peek() != ")":
                key = self._next()
                self._take(":")
                selected.arguments[key] = self._value()
                self._comma()
            self._take(")")
        if self._peek() == "{":
            selected.below = self._selection()
        return selected

    def _comma(self) -> None:
        if self._peek() == ",":
            self._next()

    def _value(self) -> Any:  # noqa: ANN401 - JSON
        word = self._next()
        if word == "$":
            return self._variables.get(self._next())
        if word == "[":
            found = []
            while self._peek() != "]":
                found.append(self._value())
                self._comma()
            self._take("]")
            return found
        if word == "{":
            pairs = {}
            while self._peek() != "}":
                key = self._next()
                self._take(":")
                pairs[key] = self._value()
                self._comma()
            self._take("}")
            return pairs
        try:
            return json.loads(word)
        except ValueError:
            return word  # an enum


def _project(value: Any, selected: list[Selected]) -> Json:  # noqa: ANN401 - JSON
    if value is None or not selected:
        return value
    if isinstance(value, list):
        return [_project(each, selected) for each in value]
    return dict(_fields(value, selected))


def _fields(value: Resolved, selected: list[Selected]) -> Iterator[tuple[str, Json]]:
    for one in selected:
        if one.on and one.on not in _kinds_of(value):
            continue
        if one.name not in value:
            raise GraphError(f"Field '{one.name}' doesn't exist", "undefinedField")
        found = value[one.name]
        yield one.alias, _project(found(one.arguments) if callable(found) else found, one.below)


def _kinds_of(value: Resolved) -> tuple[str, ...]:
    """Return what an object is, and the interfaces of it that documents may ask for."""
    kind = str(value.get("__typename", ""))
    return (kind, "Comment") if "lastEditedAt" in value else (kind,)


# What can be asked.


def _queries(hub: Hub, viewer: Account) -> Resolved:
    def repository(arguments: dict[str, Any]) -> Resolved:
        found = hub.repositories.get(f"{arguments.get('owner')}/{arguments.get('name')}")
        if found is None or hub.role(found, viewer) is None:
            raise GraphError("Could not resolve to a Repository", "NOT_FOUND")
        return _repository(hub, found)

    def node(arguments: dict[str, Any]) -> Resolved:
        repository, thing = _named(hub, str(arguments.get("id")))
        if isinstance(thing, Thread):
            return _thread(hub, repository, thing)
        return _review(thing) if isinstance(thing, Review) else _comment(thing)

    return {
        "viewer": {"login": viewer.login, "databaseId": viewer.id},
        "repository": repository,
        "node": node,
        "nodes": lambda arguments: [node({"id": each}) for each in arguments.get("ids", [])],
        "rateLimit": {"cost": 1, "remaining": 4999, "limit": 5000},
    }


def _repository(hub: Hub, repository: Repository) -> Resolved:
    def thread(arguments: dict[str, Any]) -> Resolved:
        return _thread(hub, repository, hub.find(repository, int(arguments.get("number", 0))))

    def pinned(_: dict[str, Any]) -> Resolved:
        found = [each for each in repository.threads.values() if each.pinned and not each.gone]
        return {
            "totalCount": len(found),
            "nodes": [{"issue": _thread(hub, repository, each)} for each in found],
        }

    return {
        "id": node_id("R", repository.id),
        "nameWithOwner": repository.path,
        "issue": thread,
        "pullRequest": thread,
        "issueOrPullRequest": thread,
        "pinnedIssues": pinned,
    }


def _thread(hub: Hub, repository: Repository, thread: Thread) -> Resolved:
    return {
        "__typename": "PullRequest" if thread.pull else "Issue",
        "id": node_id("PR" if thread.pull else "I", thread.id),
        "number": thread.number,
        "title": thread.title,
        "isPinned": thread.pinned,
        "isDraft": bool(thread.pull and thread.pull.draft),
        "author": {"login": thread.author.login},
        "body": thread.body,
        **_edited(hub, thread.edits),
        "comments": lambda _: {"nodes": [_comment(each) for each in thread.comments]},
        "timelineItems": lambda arguments: _timeline(hub, thread, arguments),
        "repository": {"nameWithOwner": repository.path},
    }


def _edited(hub: Hub, edits: list[Edit]) -> Resolved:
    if not hub.has(Behaviour.EDITS_BY_GRAPHQL):
        edits = []
    last = edits[-1] if edits else None
    return {
        "lastEditedAt": when(last.at) if last else None,
        "editor": {"login": last.account.login} if last else None,
        "userContentEdits": lambda _: {
            "totalCount": len(edits),
            "nodes": [
                {"editedAt": when(each.at), "editor": {"login": each.account.login}}
                for each in reversed(edits)
            ],
        },
    }


def _comment(comment: Comment) -> Resolved:
    on_line = isinstance(comment, ReviewComment)
    return {
        "__typename": "PullRequestReviewComment" if on_line else "IssueComment",
        "id": node_id("PRRC" if on_line else "IC", comment.id),
        "databaseId": comment.id,
        "body": comment.body,
        "author": {"login": comment.author.login},
        **_last_edit(comment.edits),
    }


def _review(review: Review) -> Resolved:
    return {
        "__typename": "PullRequestReview",
        "id": node_id("PRR", review.id),
        "databaseId": review.id,
        "body": review.body,
        "author": {"login": review.author.login},
        **_last_edit(review.edits),
    }


def _last_edit(edits: list[Edit]) -> Resolved:
    last = edits[-1] if edits else None
    return {
        "lastEditedAt": when(last.at) if last else None,
        "editor": {"login": last.account.login} if last else None,
    }


def _timeline(hub: Hub, thread: Thread, arguments: dict[str, Any]) -> Resolved:
    kinds = {"LabeledEvent": "LABELED_EVENT", "UnlabeledEvent": "UNLABELED_EVENT"}
    kinds["RenamedTitleEvent"] = "RENAMED_TITLE_EVENT"
    wanted = set(arguments.get("itemTypes") or kinds.values())
    events = [(each.at, _labelled(each)) for each in thread.labelled]
    events += [(each.at, _renamed(each)) for each in thread.renamed]
    in_order = [one for _, one in sorted(events, key=lambda each: each[0])]
    found = [one for one in in_order if kinds[one["__typename"]] in wanted]
    found = found if hub.has(Behaviour.TIMELINE) else []
    last = arguments.get("last")
    return {"totalCount": len(found), "nodes": found[-last:] if last else found}


def _labelled(event: Labelled) -> dict[str, Any]:
    return {
        "__typename": "LabeledEvent" if event.on else "UnlabeledEvent",
        "id": node_id("LE", event.id),
        "createdAt": when(event.at),
        "actor": {"login": event.account.login},
        "label": {"name": event.name},
    }


def _renamed(event: Edit) -> dict[str, Any]:
    return {
        "__typename": "RenamedTitleEvent",
        "createdAt": when(event.at),
        "actor": {"login": event.account.login},
    }


# What can be done.


def _mutations(hub: Hub, viewer: Account) -> Resolved:
    def draft(*, on: bool) -> Callable[[dict[str, Any]], Resolved]:
        def act(arguments: dict[str, Any]) -> Resolved:
            repository, thread = _writable(hub, viewer, arguments, "pullRequestId")
            if thread.pull is None:
                raise GraphError("Could not resolve to a PullRequest", "NOT_FOUND")
            hub.set_draft(repository, viewer, thread, draft=on)
            return {"clientMutationId": None, "pullRequest": _thread(hub, repository, thread)}

        return act

    def pin(*, on: bool) -> Callable[[dict[str, Any]], Resolved]:
        def act(arguments: dict[str, Any]) -> Resolved:
            repository, thread = _writable(hub, viewer, arguments, "issueId")
            others = [each for each in repository.threads.values() if each.pinned and each is not thread]
            if on and len(others) >= PINS and hub.has(Behaviour.THREE_PINS):
                raise GraphError("Maximum 3 pinned issues per repository", "UNPROCESSABLE")
            thread.pinned = on
            return {"clientMutationId": None, "issue": _thread(hub, repository, thread)}

        return act

    return {
        "markPullRequestReadyForReview": draft(on=False),
        "convertPullRequestToDraft": draft(on=True),
        "pinIssue": pin(on=True),
        "unpinIssue": pin(on=False),
    }


def _writable(hub: Hub, viewer: Account, arguments: dict[str, Any], name: str) -> tuple[Repository, Thread]:
    repository, thing = _named(hub, str((arguments.get("input") or {}).get(name)))
    if not isinstance(thing, Thread):
        raise GraphError("Could not resolve to a node of that type", "NOT_FOUND")
    if not hub.can(repository, viewer, "write"):
        raise GraphError(f"{viewer.login} does not have the correct permissions", "FORBIDDEN")
    return repository, thing


def _named(hub: Hub, word: str) -> tuple[Repository, Thread | Comment | Review]:
    for repository in hub.repositories.values():
        for thread in repository.threads.values():
            for name, thing in _things(thread):
                if name == word:
                    return repository, thing
    raise GraphError(f"Could not resolve to a node with the global id of '{word}'", "NOT_FOUND")


def _things(thread: Thread) -> Iterator[tuple[str, Thread | Comment | Review]]:
    yield node_id("PR" if thread.pull else "I", thread.id), thread
    yield from ((node_id("IC", each.id), each) for each in thread.comments)
    if thread.pull:
        yield from ((node_id("PRR", each.id), each) for each in thread.pull.reviews)
        yield from ((node_id("PRRC", each.id), each) for each in thread.pull.comments)
