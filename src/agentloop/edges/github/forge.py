"""Branches and pull requests on GitHub, as a forge. It cannot merge: no call here does.

Pull requests are known as `<target>-<number>`. Branches are pushed by git with an expected old value.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, assert_never

from agentloop.domain.effects import (
    AskReview,
    DeleteBranch,
    EditPull,
    MakeReady,
    OpenPull,
    Push,
    ReplyInThread,
    SayOnPull,
)
from agentloop.domain.heard import legible
from agentloop.domain.issue import (
    COMMENT_LIMIT,
    TITLE_LIMIT,
    Comment,
    LineThread,
    Pull,
    Review,
    number_of,
)
from agentloop.domain.marks import Mark, unpack
from agentloop.edges.git import Git
from agentloop.edges.github.checks import Checks
from agentloop.edges.github.marks import Signed, carried, claims, sign
from agentloop.edges.github.shapes import moment, speaker
from agentloop.edges.origin import BRANCHES
from agentloop.edges.tracker import cut_words
from agentloop.errors import ConflictError, NotFoundError, TargetError, UnsafeError

if TYPE_CHECKING:
    from agentloop.domain.effects import ForgeEffect
    from agentloop.edges.github.site import Site
    from agentloop.edges.origin import Origin

Json: TypeAlias = Any
RECENT: Final = 100
"""Pull requests that one look is shown, the latest changed first."""
_VERDICTS: Final[dict[str, Literal["approved", "changes_requested", "commented"]]] = {
    "APPROVED": "approved",
    "CHANGES_REQUESTED": "changes_requested",
    "COMMENTED": "commented",
}
_UNPROVED: Final = '> **Not proved unable to merge:** the settings say `merge_guard = "trust"`.\n\n'
_ABOUT: Final = re.compile(r"(Closes #|Part of issue )(?P<issue>\S+)")


class GitHubForge:
    """The pull requests of one repository. Methods raise LimitedError and TargetError."""

    def __init__(self, site: Site, origin: Origin) -> None:
        self._site = site
        self._origin = origin
        self._checks = Checks(site)

    def observe(self, known: frozenset[str]) -> tuple[Pull, ...]:
        """Return every open pull request of ours, and those of `known` in any state, lowest number first."""
        self._site.heads.clear()
        self._checks.begin()
        wanted = frozenset(map(number_of, known))
        recent = {one["number"]: one for one in self._recent()}
        shapes = {
            number: shape
            for number, shape in recent.items()
            if number in wanted or (shape["state"] == "open" and self._is_ours(shape))
        }
        for number in wanted - shapes.keys():
            try:
                shapes[number] = self._site.client.one(self._path(number))
            except NotFoundError:
                continue
        return tuple(self._pull(shapes[number]) for number in sorted(shapes))

    def left_out(self) -> tuple[str, ...]:
        """Return what the last look could not read, and what mends it."""
        return self._checks.left_out

    def find(self, op: str, effect: ForgeEffect) -> str | None:
        """Return the commit, pull request or comment that `op` made, or None."""
        match effect:
            case Push():
                head = self._origin.heads([effect.branch]).get(effect.branch)
                return head if head == effect.commit else None
            case OpenPull():
                return next(
                    (
                        self._id(one["number"])
                        for one in self._of_branch(effect.branch)
                        if self._op(one) == op
                    ),
                    None,
                )
            case EditPull():
                shape = self._site.client.one(self._path(number_of(effect.pull)))
                found = self._own(shape)
                there = (shape["title"], *((found.words, found.carries) if found else ()))
                wanted = (
                    self._site.fit_title(effect.title),
                    self._posted(effect.body, effect.carries),
                    carried(effect.carries),
                )
                return effect.pull if there == wanted else None
            case SayOnPull():
                return self._said(number_of(effect.pull), op)
            case ReplyInThread():
                return self._replied(effect, op)
            case MakeReady():
                shape = self._site.client.one(self._path(number_of(effect.pull)))
                return None if shape["draft"] else effect.pull
            case AskReview():
                return effect.pull if not self._unasked(effect) else None
            case DeleteBranch():
                heads = self._origin.heads([effect.branch])
                return None if effect.branch in heads else effect.expected
            case _:
                assert_never(effect)

    def act(self, op: str, effect: ForgeEffect) -> str:  # noqa: C901 - one case an effect
        """Carry it out and return the id of what was made.

        Raises ConflictError when it is refused for good, UnsafeError for a branch that is not ours, or when
        the token could merge.
        """
        repository, marks = self._site.repository, self._site.marks
        match effect:
            case Push():
                return self._push(effect)
            case OpenPull():
                return self.find(op, effect) or self._open(op, effect)
            case EditPull():
                return self._edit(effect)
            case SayOnPull():
                number = number_of(effect.pull)
                if made := self._said(number, op):
                    return made
                words = self._site.fit(effect.body, effect.carries)
                body = sign(marks, self._site.place(number), op, words, effect.carries)
                return self._site.writer.comment(repository, number, body)
            case ReplyInThread():
                return self._reply(op, effect)
            case MakeReady():
                self._site.writer.make_ready(repository, number_of(effect.pull))
                return effect.pull
            case AskReview():
                if left := self._unasked(effect):
                    self._site.writer.ask_review(repository, number_of(effect.pull), left)
                return effect.pull
            case DeleteBranch():
                return self._delete(effect)
            case _:
                assert_never(effect)

    def _reply(self, op: str, reply: ReplyInThread) -> str:
        number = number_of(reply.pull)
        if made := self._replied(reply, op):
            return made
        body = sign(self._site.marks, self._site.place(number), op, self._site.fit(reply.body))
        try:
            return self._site.writer.reply(self._site.repository, number, int(reply.thread), body)
        except (NotFoundError, ValueError) as error:
            raise ConflictError(f"the thread {reply.thread} of {reply.pull} is gone") from error

    def _replied(self, reply: ReplyInThread, op: str) -> str | None:
        number = number_of(reply.pull)
        for one in self._site.client.each(f"{self._path(number)}/comments"):
            found = self._site.signed(one, self._site.place(number))
            if found and found.op == op:
                return str(one["id"])
        return None

    def _unasked(self, ask: AskReview) -> tuple[str, ...]:
        """Those who are neither asked nor have answered by a review; we ourselves cannot be asked."""
        path = self._path(number_of(ask.pull))
        shape = self._site.client.one(path)
        done = {one["login"] for one in shape["requested_reviewers"]}
        done |= {speaker(one).login for one in self._site.client.each(f"{path}/reviews")}
        return tuple(one for one in ask.of if one not in done and one != speaker(shape).login)

    def _delete(self, delete: DeleteBranch) -> str:
        # GitHub closes what is to come from, or to go into, a branch that git deletes. A list may lag.
        for one in self._site.client.each(f"/repos/{self._site.repository}/pulls", {"state": "open"}):
            # In a fork anybody may have a branch of that name.
            here = (one["head"].get("repo") or {}).get("full_name") == self._site.repository
            needs = delete.branch == one["base"]["ref"] or (here and delete.branch == one["head"]["ref"])
            if needs and self._site.client.one(self._path(one["number"]))["state"] == "open":
                raise ConflictError(f"#{one['number']} still needs {delete.branch}: it stays", fix="nothing")
        self._origin.delete(delete.branch, expected=delete.expected)
        return delete.expected

    def _open(self, op: str, opened: OpenPull) -> str:
        place, words = self._opened(opened.branch), self._posted(opened.body, opened.carries)
        try:
            number = self._site.writer.open_pull(
                self._site.repository,
                title=self._site.fit_title(opened.title) or opened.branch,
                body=sign(self._site.marks, place, op, words, opened.carries),
                branch=opened.branch,
                base=opened.base,
            )
        except ConflictError as error:
            if "already exists" in error.what and not self._of_branch(opened.branch):
                raise TargetError(
                    f"GitHub says that {opened.branch} is proposed already, its list does not show it yet",
                    fix="nothing: the next cycle looks again",
                ) from error
            raise
        return self._id(number)

    def _edit(self, edit: EditPull) -> str:
        shape = self._site.client.one(self._path(number_of(edit.pull)))
        own = self._own(shape)
        if own is None:
            raise ConflictError(
                f"the description of {edit.pull} is not ours any more: a person has changed it",
                fix="nothing: their words stay",
            )
        # The mark stays that of the opening, by which it is found again; what it carries is of now.
        place, words = self._opened(shape["head"]["ref"]), self._posted(edit.body, edit.carries)
        body = sign(self._site.marks, place, own.op, words, edit.carries)
        self._site.writer.edit_pull(
            self._site.repository, number_of(edit.pull), title=self._site.fit_title(edit.title), body=body
        )
        return edit.pull

    def marks(self) -> tuple[Mark, ...]:
        """Return every mark of ours in the repository, those that opened pull requests first."""
        found, pulls = [], set()
        for shape in self._site.client.each(f"/repos/{self._site.repository}/pulls", {"state": "all"}):
            pull, own = self._id(shape["number"]), self._own(shape)
            pulls.add(pull)
            if own:
                where = f"pull request {pull}"
                found.append(Mark(op=own.op, where=where, carried=unpack(own.carries), pull=pull))
        for one in self._site.client.each(f"/repos/{self._site.repository}/issues/comments"):
            number = int(one["issue_url"].rpartition("/")[2])
            thread = self._id(number)
            if said := self._site.signed(one, self._site.place(number)):
                where, pull = f"{thread}, {one['id']}", thread if thread in pulls else ""
                found.append(Mark(op=said.op, where=where, carried=unpack(said.carries), pull=pull))
        return tuple(found)

    def unproved(self) -> tuple[str, ...]:
        """Return the open pull requests of our account, on branches of ours, that no mark proves."""
        listed = self._site.client.each(f"/repos/{self._site.repository}/pulls", {"state": "open"})
        mine = (one for one in listed if speaker(one).id == self._site.our_id())
        ours = (one for one in mine if one["head"]["ref"].startswith(BRANCHES))
        return tuple(
            self._id(one["number"]) for one in ours if claims(one["body"] or "") and not self._own(one)
        )

    def _push(self, push: Push) -> str:
        if not push.branch.startswith(BRANCHES):
            raise UnsafeError(f"{push.branch} is no branch of ours", fix=f"only {BRANCHES}* is ever pushed")
        self._site.refuse_to_push()
        self._origin.push(Git(self._origin.mirror), push.branch, push.commit, expected=push.expected)
        return push.commit

    # What there is.

    def _recent(self) -> list[Json]:
        path = f"/repos/{self._site.repository}/pulls"
        query = {"state": "all", "sort": "updated", "direction": "desc"}
        return list(self._site.client.each(path, query, most=RECENT))

    def _of_branch(self, branch: str) -> list[Json]:
        owner = self._site.repository.partition("/")[0]
        path = f"/repos/{self._site.repository}/pulls"
        return list(self._site.client.each(path, {"state": "all", "head": f"{owner}:{branch}"}))

    def _op(self, shape: Json) -> str:
        """The operation that opened it, "" when it is not ours."""
        found = self._own(shape)
        return found.op if found else ""

    def _words(self, shape: Json) -> str:
        found = self._own(shape)
        return found.words if found else legible(shape["body"] or "")

    def _own(self, shape: Json) -> Signed | None:
        return self._site.signed(shape, self._opened(shape["head"]["ref"]))

    def _is_ours(self, shape: Json) -> bool:
        return shape["head"]["ref"].startswith(BRANCHES) and bool(self._op(shape))

    def _said(self, number: int, op: str) -> str | None:
        path = f"/repos/{self._site.repository}/issues/{number}/comments"
        for one in self._site.client.each(path):
            found = self._site.signed(one, self._site.place(number))
            if found and found.op == op:
                return str(one["id"])
        return None

    # As the loop is shown them.

    def _pull(self, shape: Json) -> Pull:
        number, head = shape["number"], shape["head"]["sha"]
        is_open = shape["state"] == "open"
        # Whether it can be merged is told only of one alone; lists leave it out.
        whole = self._site.client.one(self._path(number)) if is_open else shape
        where = f"{self._site.repository}#{number} on GitHub"
        merged = shape.get("merged_at") is not None
        return Pull(
            id=self._id(number),
            number=number,
            target=self._site.target,
            branch=shape["head"]["ref"],
            base=shape["base"]["ref"],
            title=" ".join(shape["title"].split())[:TITLE_LIMIT],
            body=cut_words(self._words(shape), COMMENT_LIMIT, where),
            state="merged" if merged else "open" if is_open else "closed",
            head=head,
            mergeable=whole.get("mergeable"),
            merge_commit=(shape.get("merge_commit_sha") or "") if merged else "",
            reviews=(*self._reviews(number, where), *self._comments(number, where)) if is_open else (),
            checks=self._checks.of(head) if is_open else (),
            threads=self._threads(number, where) if is_open else (),
            draft=is_open and bool(shape.get("draft")),
            asked=tuple(one["login"] for one in shape.get("requested_reviewers") or ()) if is_open else (),
        )

    def _threads(self, number: int, where: str) -> tuple[LineThread, ...]:
        """Return the threads on lines, each with its words, oldest first."""
        threads: dict[int, list[Json]] = {}
        for one in self._site.client.each(f"{self._path(number)}/comments"):
            threads.setdefault(one.get("in_reply_to_id") or one["id"], []).append(one)
        return tuple(
            LineThread(
                id=str(first),
                path=said[0]["path"],
                line=said[0].get("line") or said[0].get("original_line") or 0,
                said=tuple(self._line(number, one, where) for one in said),
                review=str(said[0].get("pull_request_review_id") or ""),
            )
            for first, said in threads.items()
        )

    def _line(self, number: int, shape: Json, where: str) -> Comment:
        ours = self._site.signed(shape, self._site.place(number))
        words = ours.words if ours else legible(shape["body"] or "")
        return Comment(
            id=str(shape["id"]),
            author=speaker(shape).login,
            body=cut_words(words, COMMENT_LIMIT, where),
            at=moment(shape["created_at"]),
            ours=ours is not None,
            trusted=ours is not None or self._site.believes(shape),
            edited=ours is None and self._site.is_edited(shape),
        )

    def _reviews(self, number: int, where: str) -> tuple[Review, ...]:
        """Return reviews; those of ours that are only the envelope of a reply are none."""
        found = []
        for one in self._site.client.each(f"{self._path(number)}/reviews"):
            verdict = _VERDICTS.get(one["state"])
            body = legible(one["body"] or "")
            if verdict is None or (verdict == "commented" and not body):
                continue
            found.append(
                Review(
                    id=str(one["id"]),
                    author=speaker(one).login,
                    verdict=verdict,
                    body=cut_words(body, COMMENT_LIMIT, where),
                    at=moment(one["submitted_at"]),
                    commit=one["commit_id"] or "",
                    # By its mark: an owner who lends us their account reviews with the same one.
                    ours=self._site.signed(one, self._site.place(number)) is not None,
                    trusted=self._site.believes(one),
                    edited=self._site.is_edited(one),
                )
            )
        return tuple(found)

    def _comments(self, number: int, where: str) -> tuple[Review, ...]:
        """Return what was said on its thread, outside of a review."""
        found = []
        for one in self._site.client.each(f"/repos/{self._site.repository}/issues/{number}/comments"):
            ours = self._site.signed(one, self._site.place(number))
            found.append(
                Review(
                    id=str(one["id"]),
                    author=speaker(one).login,
                    verdict="commented",
                    body=cut_words(ours.words if ours else legible(one["body"] or ""), COMMENT_LIMIT, where),
                    at=moment(one["created_at"]),
                    ours=ours is not None,
                    trusted=ours is not None or self._site.believes(one),
                    edited=ours is None and self._site.is_edited(one),
                    op=ours.op if ours else "",
                )
            )
        return tuple(found)

    # Names.

    def _posted(self, body: str, carries: str) -> str:
        """Return the description as it is posted: its last paragraph is code's, and may close an issue."""
        head, _, last = body.rstrip().rpartition("\n\n")
        about = _ABOUT.fullmatch(last)
        if about is None:
            return f"{self._unproved()}{self._site.fit(body, carries).rstrip()}"
        word = "Closes" if last.startswith("Closes") else "Part of"
        return f"{self._unproved()}{self._site.fit(head, carries)}\n\n{word} #{number_of(about['issue'])}"

    def _unproved(self) -> str:
        return "" if self._site.guarded else _UNPROVED

    def _path(self, number: int) -> str:
        return f"/repos/{self._site.repository}/pulls/{number}"

    def _id(self, number: int) -> str:
        return f"{self._site.target}-{number}"

    def _opened(self, branch: str) -> str:
        # Before it is opened it has no number: the branch, which code named, stands for it.
        return f"{self._site.repository} {branch}"
