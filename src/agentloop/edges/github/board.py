"""The dashboard on GitHub: a pinned issue of ours, whose boxes are read right before it is written.

Its mark is made for the place `owner/name#board`, because it has no number before it is there, and carries
the boxes that we left ticked: what differs from them, a person did. Sources: docs.github.com, "Pinning an
issue to your repository" (three at most), GraphQL `pinIssue` and `Issue.editor`, REST "Get repository
permissions for a user".
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from agentloop.domain.board import PAUSE, RUN, UNPINNED
from agentloop.domain.issue import number_of
from agentloop.domain.observed import BoardSeen
from agentloop.edges.github.marks import sign
from agentloop.edges.github.shapes import speaker
from agentloop.errors import ConflictError, NotFoundError, TargetError

if TYPE_CHECKING:
    from agentloop.domain.effects import KeepBoard
    from agentloop.edges.github.site import Site

Json: TypeAlias = Any
_BOX: Final = re.compile(rf"^- \[( |x|X)\] ({PAUSE}|{RUN})[ \t\r]*$", re.MULTILINE)
_EDITOR: Final = """
query($owner: String!, $name: String!, $number: Int!) {
  repository(owner: $owner, name: $name) { issue(number: $number) { editor { login } } }
}
"""
_PINNED: Final = _EDITOR.replace("editor { login }", "isPinned")
_WRITERS: Final = frozenset({"triage", "write", "maintain", "admin"})


class GitHubBoard:
    """The dashboard in one repository. `others` are the home's other repositories there, by target."""

    def __init__(self, site: Site, others: dict[str, str]) -> None:
        self._site = site
        self._others = others

    def observe(self, known: str) -> tuple[BoardSeen, ...]:
        """Return the dashboard called `known` as it stands. Raises LimitedError, TargetError."""
        if not known:
            return ()
        name = known.removesuffix(UNPINNED)
        shape = self._fresh(name)
        if shape is None:
            return (BoardSeen(id=name, state="gone"),)
        seen = self._seen(name, shape)
        if seen.state == "open" and set(seen.ticked) != set(seen.wrote):
            return (self._with_editor(seen, shape),)
        return (seen,)

    def find(self, op: str, effect: KeepBoard) -> str | None:
        """Return its name when `op` wrote it; of a first one, any of ours that stands there, pinned."""
        if effect.board:
            shape = self._fresh(effect.board)
            return effect.board if shape and self._seen(effect.board, shape).op == op else None
        number = self._standing()
        if number is None:
            return None
        told = self._ask(_PINNED, number)
        return f"{self._site.target}-{number}" if told.get("isPinned") else None

    def act(self, op: str, effect: KeepBoard) -> str:
        """Make and pin it, or rewrite it, unless somebody has ticked a box since; return its name."""
        words = self._words(op, effect)
        if effect.board:
            return self._rewrite(op, effect, words)
        repository, number = self._site.repository, self._standing()
        if number is None:
            number = self._site.writer.open_issue(repository, effect.title, words)
        name = f"{self._site.target}-{number}"
        try:
            if shape := self._fresh(name):
                self._site.writer.pin(repository, shape["node_id"])
        except (ConflictError, TargetError, NotFoundError):
            return f"{name}{UNPINNED}"
        return name

    def _standing(self) -> int | None:
        """Return the number of a dashboard of ours that was not deleted, closed or not."""
        login = self._site.client.one("/user")["login"]
        query = {"creator": str(login), "state": "all"}
        for shape in self._site.client.each(f"/repos/{self._site.repository}/issues", query):
            if "pull_request" not in shape and self._site.is_board(shape):
                return int(shape["number"])
        return None

    def _rewrite(self, op: str, effect: KeepBoard, words: str) -> str:
        shape = self._fresh(effect.board)
        if shape is None:
            raise NotFoundError(f"the dashboard {effect.board} is gone")
        seen = self._seen(effect.board, shape)
        if seen.state != "open":
            raise ConflictError(f"the dashboard {effect.board} was closed")
        # Read a moment ago: nobody can tick between this and the write but within that moment.
        obeyed = (seen.op, set(seen.ticked)) == (effect.was, set(effect.seen))
        if not obeyed and set(seen.ticked) != set(seen.wrote):
            raise ConflictError(f"a box was ticked on the dashboard {effect.board}: it is obeyed first")
        if seen.op != op:
            number = number_of(effect.board)
            self._site.writer.edit_issue(self._site.repository, number, effect.title, words)
        return effect.board

    def _words(self, op: str, effect: KeepBoard) -> str:
        body = effect.body
        for target, repository in self._others.items():
            body = re.sub(rf"(?<![\w./-]){re.escape(target)}-(\d+)(?!\.?\w|-)", rf"{repository}#\1", body)
        carries = "pause" if PAUSE in effect.ticked else ""
        return sign(self._site.marks, self._site.board_place, op, self._site.fit(body), carries)

    def _seen(self, name: str, shape: Json) -> BoardSeen:
        ours = self._site.signed(shape, self._site.board_place)
        boxes = {box: mark != " " for mark, box in reversed(_BOX.findall(shape["body"] or ""))}
        return BoardSeen(
            id=name,
            state="closed" if shape["state"] == "closed" else "open",
            op=ours.op if ours else "",
            ticked=tuple(box for box in (PAUSE, RUN) if boxes.get(box)),
            wrote=(PAUSE,) if ours and ours.carries == "pause" else (),
        )

    def _with_editor(self, seen: BoardSeen, shape: Json) -> BoardSeen:
        editor = self._ask(_EDITOR, number_of(seen.id)).get("editor") or {}
        login = str(editor.get("login") or "")
        ours = login == speaker(shape).login  # whoever lends us their own account may tick, too
        return BoardSeen(
            id=seen.id,
            op=seen.op,
            ticked=seen.ticked,
            wrote=seen.wrote,
            by=login,
            trusted=bool(seen.op and login) and (ours or self._may_write(login)),
        )

    def _ask(self, document: str, number: int) -> dict[str, Any]:
        owner, _, name = self._site.repository.partition("/")
        told = self._site.writer.ask(document, {"owner": owner, "name": name, "number": number})
        return dict(told["repository"]["issue"] or {})

    def _may_write(self, login: str) -> bool:
        try:
            told = self._site.client.one(f"/repos/{self._site.repository}/collaborators/{login}/permission")
        except NotFoundError:
            return False
        return told.get("role_name") in _WRITERS or told["user"]["id"] in self._site.trust.ids

    def _fresh(self, name: str) -> Json | None:
        try:
            return self._site.client.one(f"/repos/{self._site.repository}/issues/{number_of(name)}")
        except NotFoundError:
            return None
