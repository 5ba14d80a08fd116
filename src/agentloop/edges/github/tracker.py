"""Issues on GitHub, as a tracker: what changed since the last look is read, the rest is on the shelf.

Issues are known as `<target>-<number>`. Who is listened to is decided by GitHub's association of the author
with the repository, never by a name in a text.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, TypeAlias, assert_never

from agentloop.domain.effects import CloseIssue, Keep, Label, React, Say, Unsay, alike, is_keep
from agentloop.domain.heard import is_trusted, legible
from agentloop.domain.issue import BODY_LIMIT, COMMENT_LIMIT, TITLE_LIMIT, Comment, Issue, SetLabel, number_of
from agentloop.domain.labels import LOOKS
from agentloop.domain.orders import BY_LABEL, LABEL
from agentloop.domain.wording import REACTIONS
from agentloop.edges.github import readings
from agentloop.edges.github.client import A_PAGE
from agentloop.edges.github.marks import sign
from agentloop.edges.github.shapes import moment, speaker
from agentloop.edges.tracker import cut_words
from agentloop.errors import ConflictError, DeletedError, NotFoundError

if TYPE_CHECKING:
    from agentloop.domain.effects import TrackerEffect
    from agentloop.edges.github.marks import Signed
    from agentloop.edges.github.site import Site

Json: TypeAlias = Any
OVERLAP: Final = timedelta(minutes=2)
"""Lists of GitHub lag behind its writes, and times are whole seconds: we ask again about this much."""
FEWER: Final = 4
"""Pages of everybody's comments that the first look tries, for so many threads that would be asked alone."""
_LOGIN: Final = re.compile(r"[A-Za-z0-9](?:-?[A-Za-z0-9]){0,38}")
_OLDEST_FIRST: Final = {"sort": "updated", "direction": "asc"}


class GitHubTracker:
    """The issues of one repository. Methods raise LimitedError, TargetError and NotFoundError."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._looked = False
        self._unvouched: list[str] = []

    def observe(self, known: frozenset[str]) -> tuple[Issue, ...]:
        """Return every open issue of a person who is listened to, and those of `known` in any state."""
        # Read before anything else: what happens from here on makes it another for the probe.
        path, query = self._site.newest()
        self._site.client.one(path, **query)
        self._take_in_threads()
        self._take_in_comments()
        self._looked = True
        numbers = frozenset(map(number_of, known))
        key = self._reading_key()
        texts = self._site.shelf.readings(self._site.repository, numbers, key)
        for number in numbers - texts.keys():
            if self._fetch(number):
                texts[number] = ""
        self._unvouched.clear()
        self._site.questions.clear()
        issues = readings.read(texts)
        issues |= self._read_anew(key, sorted(texts.keys() - issues.keys()))
        return tuple(issue for _, issue in sorted(issues.items()) if issue)

    def _reading_key(self) -> str:
        """Return a name of all that decides, beside the thread itself, what it is read as."""
        site = self._site
        heard = sorted(site.trust.ids), site.trust_label, site.our_id(), site.marks.name()
        return readings.key(site.target, heard)

    def _read_anew(self, key: str, numbers: list[int]) -> dict[int, Issue | None]:
        """Read those threads (None: no issue), and keep what was read of all for which nobody was asked."""
        found: dict[int, Issue | None] = {}
        lasting = {}
        for number in numbers:
            shape = self._site.shelf.thread(self._site.repository, number)
            before = self._site.client.asked, len(self._unvouched)
            found[number] = None if shape is None or self._is_none(shape) else self._issue(shape)
            if (self._site.client.asked, len(self._unvouched)) == before:
                lasting[number] = readings.text(found[number])
        self._site.shelf.keep_readings(self._site.repository, key, lasting)
        return found

    def _is_none(self, shape: Json) -> bool:
        return "pull_request" in shape or self._site.is_like_a_board(shape)

    def left_out(self) -> tuple[str, ...]:
        """Return which issues the last `observe` did not believe though they have the label, and why."""
        return tuple(self._unvouched)

    def find(self, op: str, effect: TrackerEffect) -> str | None:
        """Return the id of the comment `op` wrote, or the issue's if its labels are as wanted, or None."""
        number = number_of(effect.issue)
        match effect:
            case Say() | CloseIssue():
                # The words come behind the closing: they prove both, even when it was opened again since.
                return self._said(number, op)
            case Label():
                shape = self._fresh(number)
                labels = {one["name"] for one in shape["labels"]} if shape else set()
                there = labels.issuperset(effect.add) and labels.isdisjoint(effect.remove)
                return effect.issue if shape and there else None
            case Keep():
                kept = self._kept(number)
                words = self._site.fit(effect.body, effect.carries).rstrip()
                return kept[0] if kept and (kept[1].op, kept[1].words) == (op, words) else None
            case React(comment=comment, content=content):
                return self._reaction(number, comment, content)
            case Unsay(comment=comment):
                return None if self._stands(comment) else comment
            case _:
                assert_never(effect)

    def act(self, op: str, effect: TrackerEffect) -> str:
        """Carry it out, unless `op` has done it already, and return the id of what was made."""
        number = number_of(effect.issue)
        match effect:
            case Say():
                words = called(effect.mention, self._site.fit(effect.body, effect.carries))
                return self._said(number, op) or self._say(number, op, words, effect.carries)
            case CloseIssue():
                if made := self._said(number, op):
                    return made
                self._site.writer.close(self._site.repository, number)
                words = self._site.fit(effect.body, effect.carries)
                made = self._say(number, op, words, effect.carries)
                if closed := self._fresh(number):  # a list that lags will not open it again for us
                    self._site.shelf.put_threads(self._site.repository, [closed])
                return made
            case Keep():
                return self._keep(number, op, effect)
            case React(comment=comment, content=content):
                return self._site.writer.react(self._site.repository, number, comment, content)
            case Label():
                self._make_labels(effect.add)
                self._site.writer.label(self._site.repository, number, effect.add, effect.remove)
                return effect.issue
            case Unsay():
                return self._take_back(number, effect)
            case _:
                assert_never(effect)

    # What changed.

    def _take_in_threads(self) -> None:
        shelf, repository = self._site.shelf, self._site.repository
        since = shelf.cursor(repository, "threads")
        query = {"state": "all", "since": since} if since else {"state": "open"}
        path = f"/repos/{repository}/issues"
        shapes = list(self._site.client.each(path, {**query, **_OLDEST_FIRST}))
        unsettled = shelf.unsettled(repository, shapes)
        certain = [
            (self._fresh(one["number"]) if one["number"] in unsettled else None) or one for one in shapes
        ]
        shelf.put_threads(repository, certain)
        if moved := _moved(since, [one["updated_at"] for one in shapes], self._site.now()):
            self._site.client.forget(path, {**query, **_OLDEST_FIRST})
            shelf.move(repository, "threads", moved)

    def _take_in_comments(self) -> None:
        shelf, repository = self._site.shelf, self._site.repository
        since = shelf.cursor(repository, "comments")
        if not since:
            self._take_in_first_comments()
            shelf.move(repository, "comments", _word(self._site.now() - OVERLAP))
            return
        path = f"/repos/{repository}/issues/comments"
        query = {"since": since, **_OLDEST_FIRST}
        shapes = list(self._site.client.each(path, query))
        shelf.put_comments(repository, shapes)
        if moved := _moved(since, [one["updated_at"] for one in shapes], self._site.now()):
            self._site.client.forget(path, query)
            shelf.move(repository, "comments", moved)

    def _take_in_first_comments(self) -> None:
        """Read all comments of the threads we know: in pages of the newest of all, the rest one by one."""
        shelf, repository = self._site.shelf, self._site.repository
        wanted = {one["number"]: one["comments"] for one in shelf.threads(repository) if one["comments"]}
        newest_first = {"sort": "created", "direction": "desc"}
        path, most = f"/repos/{repository}/issues/comments", len(wanted) // FEWER * A_PAGE
        shapes = list(self._site.client.each(path, newest_first, most=most)) if most else []
        shelf.put_comments(repository, shapes)
        read = Counter(int(one["issue_url"].rpartition("/")[2]) for one in shapes)
        for number, count in wanted.items():
            if read[number] < count:
                self._comments_of(number)
        self._site.client.forget(path, newest_first)

    def _fetch(self, number: int) -> Json | None:
        """Return an issue that the shelf does not have, None when it is gone on GitHub too."""
        found = self._fresh(number)
        if found:
            self._site.shelf.put_threads(self._site.repository, [found])
            self._comments_of(number)
        return found

    def _comments_of(self, number: int) -> list[Json]:
        repository = self._site.repository
        shapes = list(self._site.client.each(f"/repos/{repository}/issues/{number}/comments"))
        self._site.shelf.replace_comments(repository, number, shapes)
        return shapes

    def _fresh(self, number: int) -> Json | None:
        try:
            return self._site.client.one(f"/repos/{self._site.repository}/issues/{number}")
        except DeletedError:
            # Lists never tell that one was deleted, or transferred: whoever asks for it alone hears it. A
            # repository with another name moves its issues too, but then its lists could not be read.
            if self._looked:
                self._site.shelf.let_go(self._site.repository, number)
            return None
        except NotFoundError:
            return None

    # Words of ours.

    def _say(self, number: int, op: str, fitting: str, carries: str) -> str:
        words = sign(self._site.marks, self._site.place(number), op, fitting, carries)
        return self._site.writer.comment(self._site.repository, number, words)

    def _kept(self, number: int) -> tuple[str, Signed] | None:
        try:
            comments = self._comments_of(number)
        except NotFoundError:
            return None
        ours = ((str(one["id"]), self._site.signed(one, self._site.place(number))) for one in comments)
        return next(((name, words) for name, words in ours if words and is_keep(words.op)), None)

    def _keep(self, number: int, op: str, effect: Keep) -> str:
        site, kept = self._site, self._kept(number)
        words = sign(
            site.marks, site.place(number), op, site.fit(effect.body, effect.carries), effect.carries
        )
        if kept is None:
            return site.writer.comment(site.repository, number, words)
        site.writer.edit_comment(site.repository, number, kept[0], words)
        return kept[0]

    def _reaction(self, number: int, comment: str, content: str) -> str | None:
        thread = f"comments/{comment}" if comment else str(number)
        path = f"/repos/{self._site.repository}/issues/{thread}/reactions"
        try:
            found = [one for one in self._site.client.each(path) if one["content"] == content]
        except NotFoundError:
            return None
        ours = self._site.our_id() if found else 0
        return next((str(one["id"]) for one in found if one["user"] and one["user"]["id"] == ours), None)

    def _make_labels(self, names: tuple[str, ...]) -> None:
        """Give the repository those labels of ours that it lacks, with their colours."""
        own = [name for name in names if name in LOOKS]
        if not own:
            return
        there = {one["name"] for one in self._site.client.each(f"/repos/{self._site.repository}/labels")}
        for name in own:
            if name not in there:
                look = LOOKS[name]
                self._site.writer.make_label(self._site.repository, name, look.colour, look.description)

    def _said(self, number: int, op: str) -> str | None:
        try:
            comments = self._comments_of(number)
        except NotFoundError:
            return None
        ours = ((one["id"], self._site.signed(one, self._site.place(number))) for one in comments)
        return next((str(name) for name, words in ours if words and words.op == op), None)

    def _stands(self, comment: str) -> bool:
        try:
            self._site.client.one(f"/repos/{self._site.repository}/issues/comments/{comment}")
        except NotFoundError:
            self._site.shelf.drop_comment(self._site.repository, int(comment))
            return False
        return True

    def _take_back(self, number: int, unsay: Unsay) -> str:
        """Delete it if it is ours and there is another by the same operation, as GitHub tells now."""
        place = self._site.place(number)
        signed = ((one["id"], self._site.signed(one, place)) for one in self._comments_of(number))
        same = [str(name) for name, words in signed if words and alike(words.op, unsay.says)]
        if unsay.comment not in same or len(same) == 1:
            raise ConflictError(
                f"comment {unsay.comment} on {unsay.issue} is not one of two that say the same",
                fix="nothing: it stays",
            )
        self._site.writer.take_back(self._site.repository, number, int(unsay.comment))
        self._site.shelf.drop_comment(self._site.repository, int(unsay.comment))
        return unsay.comment

    # As the loop is shown them.

    def _issue(self, shape: Json) -> Issue:
        number = shape["number"]
        where = f"{self._site.repository}#{number} on GitHub"
        body = legible(shape["body"] or "")
        trusted = is_trusted(speaker(shape), self._site.trust)
        return Issue(
            id=f"{self._site.target}-{number}",
            number=number,
            title=" ".join(legible(shape["title"]).split())[:TITLE_LIMIT],
            body=cut_words(body, BODY_LIMIT, where),
            author=speaker(shape).login,
            state="closed" if shape["state"] == "closed" else "open",
            target=self._site.target,
            created_at=moment(shape["created_at"]),
            labels=tuple(label["name"] for label in shape["labels"]),
            comments=self._heard(shape, where),
            trusted=trusted or self._is_vouched_for(shape),
            set_labels=self._set_labels(shape),
        )

    def _is_vouched_for(self, shape: Json) -> bool:
        """Whether a trusted person set the label that says so after the words were changed last."""
        label = self._site.trust_label
        if not label or label.lower() not in _labels(shape) or shape["state"] != "open":
            return False
        past = self._site.history.of_issue(shape)
        by = past.vouched_for(label) if past else None
        if by is not None and self._site.history.may_label(by.by):
            return True
        known = past.last(label) if past else None
        name = f"issue {self._site.target}-{shape['number']}"
        why = f"was changed after it got the label `{label}`"
        if known is not None and by is not None:
            why = f"got the label `{label}` from {known.by or 'nobody who is known'}, who may not set it"
        self._unvouched.append(f"{name} {why}: it is not read until somebody trusted sets the label anew")
        return False

    def _set_labels(self, shape: Json) -> tuple[SetLabel, ...] | None:
        """Return how labels that are orders came to be there: trusted people's; None: there is none."""
        wanted = {f"{LABEL}{verb}" for verb in BY_LABEL}
        orders = [name for name in _labels(shape) if name in wanted]
        if not orders or shape["state"] != "open":
            return None
        past = self._site.history.of_issue(shape)
        events = [by for name in orders if past and (by := past.last(name))]
        return tuple(
            SetLabel(id=one.id, name=one.name.lower(), by=one.by, at=one.at)
            for one in events
            if self._site.history.may_label(one.by)
        )

    def _heard(self, thread: Json, where: str) -> tuple[Comment, ...]:
        """Return the comments, and the reactions that answer a question of ours as if they had been words."""
        place = self._site.place(thread["number"])
        shapes = self._site.shelf.comments(self._site.repository, thread["number"])
        read = [(shape, self._site.signed(shape, place)) for shape in shapes]
        said = tuple(self._comment(shape, ours, where) for shape, ours in read)
        asked = [(shape, ours) for shape, ours in read if ours and _is_question(ours)]
        if not asked or thread["state"] != "open":
            return said
        people = frozenset(self._people(thread, shapes))
        last = asked[-1][0]["id"]
        pressed = [self._pressed(one, ours, said, people, last=one["id"] == last) for one, ours in asked]
        found = (*said, *(one for one in pressed if one is not None))
        return tuple(sorted(found, key=lambda one: one.at)) if any(pressed) else said

    def _people(self, thread: Json, comments: list[Json]) -> Iterator[int]:
        """Yield the accounts whose words count here: GitHub does not say how one who reacts stands to us."""
        yield from self._site.trust.ids
        yield from (speaker(one).id for one in (thread, *comments) if self._site.believes(one))

    def _pressed(
        self, question: Json, ours: Signed, said: tuple[Comment, ...], people: frozenset[int], *, last: bool
    ) -> Comment | None:
        """Return the reaction that answers a question: the first of a person's, before any words of theirs.

        Reactions move no time, so no list of changes tells of them. GitHub is asked about a question that
        waits, and only about that: once answered, what was read is enough.
        """
        path = f"/repos/{self._site.repository}/issues/comments/{question['id']}/reactions"
        asked = moment(question["created_at"])
        words = (one.at for one in said if one.trusted and not one.ours and one.at >= asked)
        until = min(words, default=None)
        known = self._site.client.recall(path)
        waits = last and until is None
        found = _answer(known or (), ours.words, people, until)
        if found is None and (waits or known is None):
            try:
                found = _answer(self._site.client.each(path), ours.words, people, until)
            except NotFoundError:
                return None
        if found is None and waits:
            self._site.questions.append(path)
        return found

    def _comment(self, shape: Json, ours: Signed | None, where: str) -> Comment:
        return Comment(
            id=str(shape["id"]),
            author=speaker(shape).login,
            body=cut_words(ours.words if ours else legible(shape["body"] or ""), COMMENT_LIMIT, where),
            at=moment(shape["created_at"]),
            ours=ours is not None,
            trusted=ours is not None or self._site.believes(shape),
            op=ours.op if ours else "",
            edited=ours is None and self._site.is_edited(shape),
        )


def _is_question(ours: Signed) -> bool:
    # A plan that waits for a person's word is one, too; comments of before reactions answered name no sign.
    return ours.op.startswith(("ask:", "plan:")) and f"({REACTIONS[0][1]})" in ours.words


def called(login: str, words: str) -> str:
    """Return the words with an account called in front, when that is a name as GitHub gives them."""
    return f"@{login} {words}" if _LOGIN.fullmatch(login) else words


def _answer(
    reactions: Iterable[Json], question: str, people: frozenset[int], until: datetime | None
) -> Comment | None:
    numbers = {name: number for number, (name, sign) in enumerate(REACTIONS, 1) if f"({sign})" in question}
    for one in reactions:
        at, account = moment(one["created_at"]), one["user"] or {}
        if one["content"] in numbers and account.get("id") in people and (until is None or at < until):
            number = str(numbers[one["content"]])
            return Comment(id=f"reaction-{one['id']}", author=account["login"], body=number, at=at)
    return None


def _labels(shape: Json) -> list[str]:
    return [label["name"].lower() for label in shape["labels"]]


def _word(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def _moved(since: str, times: list[str], now: datetime) -> str:
    """Return the new cursor, "" to let it stand.

    It moves only when something newer came: a list in which nothing changed keeps its address, and its ETag.
    """
    newest = max(times, default="")
    if not since:
        return _word(min(moment(newest), now) - OVERLAP) if newest else _word(now - OVERLAP)
    at = _word(moment(newest) - OVERLAP) if newest else ""
    return at if at > since else ""
