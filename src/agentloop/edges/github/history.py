"""Who changed words, and who set labels: what GitHub tells by GraphQL alone, asked once for each version.

Sources: GraphQL reference, interface `Comment` (`lastEditedAt` is null for what was never edited) and objects
`LabeledEvent`, `RenamedTitleEvent`; REST, "Get repository permissions for a user" (takes *Metadata* read).
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Final, TypeAlias
from urllib.parse import quote

from agentloop.domain.approval import NO, YES
from agentloop.domain.heard import Labelled, Past
from agentloop.edges.github.shapes import moment
from agentloop.errors import NotFoundError

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentloop.edges.github.client import Client
    from agentloop.edges.github.shelf import Shelf

Json: TypeAlias = Any
COMMAND: Final = "/agentloop"
_EDITED: Final = """query($id: ID!) { node(id: $id) {
  ... on IssueComment { lastEditedAt }
  ... on PullRequestReview { lastEditedAt }
  ... on PullRequestReviewComment { lastEditedAt }
} }"""
_PAST: Final = """query($id: ID!) { node(id: $id) { ... on Issue {
  title body lastEditedAt
  timelineItems(last: 100, itemTypes: [LABELED_EVENT, RENAMED_TITLE_EVENT]) { nodes {
    __typename
    ... on LabeledEvent { id createdAt actor { login } label { name } }
    ... on RenamedTitleEvent { createdAt }
  } }
} } }"""
_MAY_LABEL: Final = frozenset({"admin", "write"})
"""Permissions that hold the right to set labels; below them it is the role *triage*."""


class History:
    """What became of words and labels in one repository. Methods raise LimitedError, TargetError."""

    def __init__(
        self, client: Client, shelf: Shelf, repository: str, *, listens: Callable[[int], bool]
    ) -> None:
        """`listens` says whether an account, by its number, is listened to though it has no role there."""
        self._client = client
        self._shelf = shelf
        self._repository = repository
        self._listens = listens

    def is_edited(self, shape: Json) -> bool:
        """Return whether words that hold an order, or answer a plan, were changed after they were written.

        Nobody is asked about others. Of reviews REST tells no time of a change, so each is asked about.
        """
        body = shape["body"] or ""
        if COMMAND not in body.lower() and body.strip().casefold() not in YES | NO:
            return False
        if "created_at" in shape and shape["updated_at"] == shape["created_at"]:
            return False
        told = self._told(_EDITED, shape["node_id"], shape.get("updated_at") or _name(body))
        return told is None or told["lastEditedAt"] is not None

    def of_issue(self, shape: Json) -> Past | None:
        """Return when the issue's words were changed last and how its labels came to be there.

        None when it is not the issue that `shape` shows any more: the next look sees what it is.
        """
        told = self._told(_PAST, shape["node_id"], shape["updated_at"])
        if told is None or (told["title"], told["body"] or "") != (shape["title"], shape["body"] or ""):
            return None
        events = told["timelineItems"]["nodes"]
        renamed = [one["createdAt"] for one in events if one["__typename"] == "RenamedTitleEvent"]
        changed = max(filter(None, [told["lastEditedAt"], *renamed]), default=None)
        labelled = (
            Labelled(
                id=one["id"],
                name=one["label"]["name"],
                by=(one["actor"] or {"login": ""})["login"],
                at=moment(one["createdAt"]),
            )
            for one in events
            if one["__typename"] == "LabeledEvent"
        )
        return Past(changed_at=moment(changed) if changed else None, labelled=tuple(labelled))

    def may_label(self, login: str) -> bool:
        """Return whether the account may set labels there, or is listened to anyway; applications may not."""
        if not login:
            return False
        try:
            path = f"/repos/{self._repository}/collaborators/{quote(login)}/permission"
            told = self._client.one(path)
        except NotFoundError:
            return False
        role = told.get("role_name", "")
        return (
            told["permission"] in _MAY_LABEL
            or role == "triage"
            or self._listens(int((told.get("user") or {"id": 0})["id"]))
        )

    def _told(self, document: str, node: str, version: str) -> Json | None:
        """Return what GitHub told of that version; it is asked again only when it is another."""
        known = self._shelf.told(self._repository, node)
        if known is not None and known[0] == version:
            return known[1]
        found = self._client.ask(document, {"id": node})["node"]
        self._shelf.tell(self._repository, node, version, found)
        return found


def _name(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
