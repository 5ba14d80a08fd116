"""One repository on one GitHub, with all that is needed to work with it; its tracker and forge share it."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, Final, TypeAlias

from agentloop.domain.effects import BOARD_TITLE
from agentloop.domain.guard import Ruled, Standing, could_merge
from agentloop.domain.heard import Trust, is_trusted
from agentloop.domain.issue import TITLE_LIMIT
from agentloop.domain.outgoing import LIMIT, fit_for_a_line, fit_to_post
from agentloop.domain.valueclass import dataclass, field
from agentloop.domain.wording import AT_A_TERMINAL
from agentloop.edges.github.client import A_PAGE, Client
from agentloop.edges.github.history import History
from agentloop.edges.github.marks import Signed, carried, claims, signed
from agentloop.edges.github.shapes import speaker
from agentloop.edges.github.shelf import Shelf
from agentloop.edges.github.writing import Writer
from agentloop.edges.recordfolder import Marks
from agentloop.errors import NotFoundError, TargetError, UnsafeError

Json: TypeAlias = Any
MOST_POSTED: Final = 64_500
"""Characters of a body without its mark, but with what that carries; GitHub takes 65,536."""
GUARD_FIX = (
    "let a ruleset of the branch (Settings > Rules) ask for an approval and dismiss it when new commits are "
    "pushed, with a token of an account that the rule binds; or say "
    'merge_guard = "trust" in [github] of agentloop.toml'
)


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, kw_only=True)
class Site:
    """`target` is the name in the settings, `repository` the `owner/name` on GitHub."""

    target: str
    repository: str
    client: Client
    writer: Writer
    shelf: Shelf
    marks: Marks
    trust: Trust
    branch: str = ""
    """The branch that pull requests go into; "" = the repository's default."""
    trust_label: str = ""
    """Who may set it can vouch for an outsider's issue by it; "" = nobody can."""
    guarded: bool = True
    """Nothing is pushed unless it is proved that the token cannot merge."""
    host: str = ""
    """Where links in what is posted may lead; "" = nowhere."""
    token: Callable[[], str] = str
    """What is never posted, whatever its shape."""
    now: Callable[[], datetime] = _now
    heads: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    """Where the checks of open heads are told, as of the last look: path and query."""
    questions: list[str] = field(default_factory=list)
    """Where the reactions on questions are told that wait for an answer, as of the last look."""
    _ours: list[int] = field(default_factory=list)

    def newest(self) -> tuple[str, dict[str, str | int]]:
        """Return path and query of what changes whenever any thread of the repository does."""
        query: dict[str, str | int] = {"state": "all", "sort": "updated", "direction": "desc", "per_page": 1}
        return f"/repos/{self.repository}/issues", query

    def seen(self) -> dict[str, str]:
        """Return the ETags of what the last looks were at, by address: what a probe compares with."""
        path, query = self.newest()
        found = [self.client.seen(path, **query)]
        found += [self.client.seen(path, per_page=A_PAGE, **query) for path, query in self.heads]
        found += [self.client.seen(one, per_page=A_PAGE) for one in self.questions]
        return {address: etag for address, etag in found if etag}

    @cached_property
    def history(self) -> History:
        """What became of words and labels here."""
        listens = self.trust.ids.__contains__
        return History(self.client, self.shelf, self.repository, listens=listens)

    def our_id(self) -> int:
        """Return the number of the account whose token this is; names can change hands, numbers cannot."""
        if not self._ours:  # asked once in a cycle, not once for each comment
            self._ours.append(int(self.client.one("/user")["id"]))
        return self._ours[0]

    def place(self, number: int) -> str:
        """Return what a mark on that thread is made for."""
        return f"{self.repository}#{number}"

    @property
    def board_place(self) -> str:
        """What the dashboard's mark is made for: it has no number before it is there."""
        return f"{self.repository}#board"

    def is_board(self, shape: Json) -> bool:
        """Return whether an issue is a dashboard of ours: that is no work, and nobody's words."""
        return claims(shape["body"] or "") and self.signed(shape, self.board_place) is not None

    def is_like_a_board(self, shape: Json) -> bool:
        """Return whether it is a dashboard, though its mark was edited away or is another home's."""
        if shape["title"] != BOARD_TITLE:
            return self.is_board(shape)
        return claims(shape["body"] or "") or speaker(shape).id == self.our_id()

    def signed(self, shape: Json, place: str) -> Signed | None:
        """Return the words as we wrote them at `place`, None when they are not ours."""
        if speaker(shape).id != self.our_id():
            return None
        return signed(self.marks, place, shape["body"] or "")

    def believes(self, shape: Json) -> bool:
        """Return whether words that are not ours are listened to.

        What claims to be ours and cannot prove it is nobody's word.
        """
        return is_trusted(speaker(shape), self.trust) and not claims(shape["body"] or "")

    def is_edited(self, shape: Json) -> bool:
        """Return whether words that are listened to hold an order and were changed since."""
        return self.believes(shape) and self.history.is_edited(shape)

    def fit(self, text: str, carries: str = "") -> str:
        """Return our words as they may be posted on GitHub; a mark that `carries` as much fits behind."""
        limit = min(LIMIT, MOST_POSTED - len(carried(carries)))
        return fit_to_post(self._as_here(text), host=self.host, hide=(self.token(),), limit=limit)

    def fit_title(self, text: str) -> str:
        """Return a title as it may be posted."""
        return " ".join(fit_for_a_line(text, hide=(self.token(),)).split())[:TITLE_LIMIT]

    def _as_here(self, text: str) -> str:
        # By their names there; and the paragraph for somebody at a terminal is of no use.
        kept = (part for part in text.split("\n\n") if not part.startswith(AT_A_TERMINAL))
        ours = rf"(?<![\w./-]){re.escape(self.target)}-(\d+)(?!\.?\w|-)"
        return re.sub(ours, r"#\1", "\n\n".join(kept))

    def close(self) -> None:
        """Let connection and cache go."""
        self.client.close()
        self.shelf.close()

    def refuse_to_push(self) -> None:
        """Raise UnsafeError when the token could merge, or nobody can tell, unless the settings trust it."""
        if why := self.why_barred():
            raise UnsafeError(
                f"nothing is pushed to {self.repository}: {why}", fix=GUARD_FIX, read="docs/github.md"
            )

    def why_barred(self) -> str:
        """Return why nothing may be pushed ("" = it may): the token could merge, or nobody can tell.

        What did not change costs nothing. Raises what the client raises.
        """
        return could_merge(self.standing()) if self.guarded else ""

    def standing(self) -> Standing:
        """Return what GitHub says of our token in this repository. Raises what the client raises."""
        shape = self.client.one(f"/repos/{self.repository}")
        branch = self.branch or shape["default_branch"]
        return Standing(
            login=str(self.client.one("/user")["login"]),
            admin=bool(shape.get("permissions", {}).get("admin")),
            rules=(rules := self._rules(branch)),
            owner=str(shape["owner"]["login"]),
            protected=not rules and self._is_protected(branch),
        )

    def _is_protected(self, branch: str) -> bool:
        try:
            return bool(self.client.one(f"/repos/{self.repository}/branches/{branch}").get("protected"))
        except (TargetError, NotFoundError):
            return False

    def _rules(self, branch: str) -> tuple[Ruled, ...] | None:
        found = []
        try:
            for rule in self.client.each(f"/repos/{self.repository}/rules/branches/{branch}"):
                if rule["type"] != "pull_request":
                    continue
                approvals = int(rule.get("parameters", {}).get("required_approving_review_count", 0))
                ruleset = self.client.one(f"/repos/{self.repository}/rulesets/{rule['ruleset_id']}")
                binds = ruleset.get("current_user_can_bypass") == "never"
                asked = rule.get("parameters", {})
                # An approval dies with the next push, or that push needs one by somebody else.
                kept = asked.get("dismiss_stale_reviews_on_push") or asked.get("require_last_push_approval")
                found.append(Ruled(approvals=approvals, binds=binds, outlived=not kept))
        except (TargetError, NotFoundError):
            return None
        return tuple(found)
