"""The built-in tracker: issues as Markdown files in the home, `tracker/issues/NNNN.md`.

A full implementation of the tracker port, and what a person's own commands do beside it. Whoever can write to
the home is trusted: these are the words of people with an account on this machine.
"""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, Literal, TypeAlias, assert_never

from agentloop.domain.effects import CloseIssue, Keep, Label, React, Say, Unsay, is_keep
from agentloop.domain.issue import BODY_LIMIT, COMMENT_LIMIT, TITLE_LIMIT, Comment, Issue
from agentloop.domain.marks import Mark, unpack
from agentloop.domain.valueclass import dataclass, replace
from agentloop.edges import records
from agentloop.edges.issuecache import IssueCache, Known, is_steady
from agentloop.edges.recordfolder import (
    Entry,
    Marks,
    PassedOver,
    RecordFolder,
    appended,
    is_text,
    refuse_long,
)
from agentloop.errors import ConflictError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from agentloop.domain.effects import TrackerEffect
    from agentloop.edges.records import Block, Value

OURS: Final = "agentloop"
"""The name our own words are signed with. What makes them ours is their mark."""

_FIELDS: Final = frozenset({"id", "title", "state", "author", "created"})
LABEL_LIMIT: Final = 50

Wanted: TypeAlias = Literal["open", "closed", "all"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Filed:
    """An issue as its file has it, nothing cut. `problems` say what in the file makes no sense."""

    issue: Issue
    path: Path
    changed_at: datetime
    problems: tuple[str, ...] = ()


class FileTracker:
    """Issues in the folder `tracker` of a home.

    Every method raises OSError when the disk refuses, and NotFoundError for an issue that is not there.
    """

    def __init__(
        self,
        folder: Path,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        cache: Path | None = None,
    ) -> None:
        """`cache` is a file for what `observe` has read before; None: it reads everything at each look."""
        self._now = now
        self._cache = None if cache is None else IssueCache(cache)
        self._marks = Marks(folder)
        self._issues = RecordFolder(folder / "issues", what="issue", lock=folder / ".lock", fill=_missing)
        self._unusable: tuple[str, ...] = ()

    # The port.

    def observe(self, known: frozenset[str]) -> tuple[Issue, ...]:
        """Return every open issue and those of `known` in any state, lowest number first; long words cut.

        An open one whose file makes no sense is left out until a person has mended it: `filed` tells why.
        """
        began_ns, key = time.time_ns(), self._marks.name()
        kept = self._cache.load(key) if self._cache else {}
        open_, same = self._issues.changed({name: one.stamp for name, one in kept.items()})
        entries = {entry.id: entry for entry in open_}
        for issue in known - entries.keys() - same:
            try:
                entries[issue] = self._issues.get(issue)
            except NotFoundError:
                continue  # a person deleted the file: there is nothing to say about it
        seen = {name: kept[name].issue for name in same} | self._read_anew(entries)
        if self._cache:
            steady = {
                entry.id: Known(stamp=entry.stamp, issue=seen[entry.id])
                for entry in open_
                if entry.id in seen
                and entry.stamp
                and is_steady(entry.stamp, began_ns)
                and self._issues.is_settled(entry)
            }
            self._cache.keep(key, {name: kept[name] for name in same} | steady)
        return tuple(seen[name] for name in sorted(seen, key=int))

    def _read_anew(self, entries: Mapping[str, Entry]) -> dict[str, Issue]:
        filed = {name: self._filed(entries[name]) for name in sorted(entries, key=int)}
        broken = {name: each for name, each in filed.items() if each.problems and each.issue.state == "open"}
        self._unusable = tuple(
            f"issue {name} is left alone until it is mended: {each.problems[0]}"
            for name, each in broken.items()
        )
        return {name: _within_limits(each) for name, each in filed.items() if name not in broken}

    def left_out(self) -> tuple[str, ...]:
        """Return what the last `observe` did not take for an issue, and why, a sentence each."""
        files = (f"{each.path.name} is no issue: {each.what}" for each in self.passed_over())
        return (*self._unusable, *files)

    def find(self, op: str, effect: TrackerEffect) -> str | None:
        """Return the id of the comment `op` wrote, or the issue's if its labels are as wanted, or None."""
        try:
            entry = self._issues.get(effect.issue)
        except NotFoundError:
            return None
        match effect:
            case Say() | CloseIssue():
                # Closing and its comment are one write, so the comment proves both, even when reopened since.
                return self._written(entry, op)
            case Label():
                labels = set(_labels(entry))
                there = labels.issuperset(effect.add) and labels.isdisjoint(effect.remove)
                return effect.issue if there else None
            case Keep():
                kept = self._kept(entry)
                same = kept and (kept.op, kept.text) == (op, records.words_of(effect.body))
                return kept.id if kept and same else None
            case React():
                return (
                    effect.comment or effect.issue
                )  # nobody looks for eyes in a file: they are always there
            case Unsay(comment=comment):
                return comment  # an operation's words are looked for and written in one, under a lock
            case _:
                assert_never(effect)

    def act(self, op: str, effect: TrackerEffect) -> str:
        """Carry `effect` out unless `op` has done it already, and return the id of what was made."""
        match effect:
            case Say():
                return self._append(effect.issue, effect.body, author=OURS, op=op, carries=effect.carries)
            case CloseIssue():
                told = effect.carries
                return self._append(
                    effect.issue, effect.body, author=OURS, op=op, carries=told, state="closed"
                )
            case Label():
                self.label(effect.issue, add=effect.add, remove=effect.remove)
                return effect.issue
            case Keep():
                return self._keep(effect, op)
            case React():
                return effect.comment or effect.issue
            case Unsay(comment=comment):
                return comment
            case _:
                assert_never(effect)

    def marks(self) -> tuple[Mark, ...]:
        """Return every mark on an issue, open or closed, that proves to be ours."""
        return tuple(
            Mark(op=block.op, where=f"issue {entry.id}, {block.id}", carried=unpack(block.carries))
            for entry in (*self._issues.open(), *self._issues.closed())
            for block in entry.record.blocks
            if block.op and self._is_ours(entry, block)
        )

    def has_key(self) -> bool:
        """Return whether the key is there that proves our marks; the first mark ever made it."""
        return self._marks.there()

    def unproved(self) -> tuple[str, ...]:
        """Return the open issues with marks that claim to be ours and cannot prove it."""
        return tuple(
            entry.id
            for entry in self._issues.open()
            if any(block.mark and not self._is_ours(entry, block) for block in entry.record.blocks)
        )

    # A person's commands.

    def new(
        self, title: str, body: str, *, author: str, labels: tuple[str, ...] = (), target: str = ""
    ) -> str:
        """File an issue and return its id.

        A missing title is the first line of `body`; one that is too long goes in front of the body as well.
        Raises ConflictError when there are no words at all, too many, or a label that is none.
        """
        short = records.one_line(title, TITLE_LIMIT) or title_of(body)
        if not short:
            raise ConflictError("an issue needs a title or a text", fix='agentloop issue new "What is wrong"')
        if len(" ".join(title.split())) > TITLE_LIMIT:
            body = f"{title}\n\n{body}"
        refuse_long(body, "the text")
        fields: dict[str, Value] = {
            "title": short,
            "state": "open",
            "author": records.author_name(author),
            "created": records.moment_text(self._now()),
            "labels": tuple(dict.fromkeys(map(label_name, labels))),
            "target": records.one_line(target, TITLE_LIMIT),
        }
        return self._issues.add(lambda issue: records.new_text({"id": issue, **fields}, body))

    def filed(self, state: Wanted = "open") -> tuple[Filed, ...]:
        """Return the issues in that state, lowest number first."""
        entries = [] if state == "closed" else list(self._issues.open())
        if state != "open":
            entries += self._issues.closed()
        return tuple(self._filed(entry) for entry in sorted(entries, key=lambda entry: int(entry.id)))

    def passed_over(self) -> tuple[PassedOver, ...]:
        """Return the files that somebody put among the issues and that become none as they are."""
        return self._issues.passed_over()

    def get(self, issue: str) -> Filed:
        """Return one issue in any state."""
        return self._filed(self._issues.get(issue))

    def comment(self, issue: str, text: str, *, author: str) -> str:
        """Append a person's comment and return its id. Raises ConflictError when it is empty or too long."""
        if not text.strip():
            raise ConflictError(
                "a comment needs words", fix='agentloop issue comment N "What you want to say"'
            )
        return self._append(issue, text, author=author)

    def close(self, issue: str, *, reason: str, author: str) -> None:
        """Close an issue, the reason as its last comment. Raises ConflictError when it is closed already."""
        if self._issues.get(issue).closed:
            raise ConflictError(f"issue {issue} is closed already", fix=f"agentloop issue show {issue}")
        self._append(issue, reason, author=author, state="closed")

    def reopen(self, issue: str) -> None:
        """Open a closed issue again. Raises ConflictError when it is open."""
        if not self._issues.get(issue).closed:
            raise ConflictError(f"issue {issue} is open", fix=f"agentloop issue show {issue}")
        self._issues.reopen(issue, lambda entry: records.with_fields(entry.text, {"state": "open"}))

    def label(
        self, issue: str, *, add: tuple[str, ...] = (), remove: tuple[str, ...] = ()
    ) -> tuple[str, ...]:
        """Put labels on an issue, take others off, and return those it has then."""
        names = tuple(map(label_name, add))

        def edit(entry: Entry) -> str | None:
            before = _labels(entry)
            after = tuple(name for name in dict.fromkeys((*before, *names)) if name not in remove)
            return None if after == before else records.with_fields(entry.text, {"labels": after})

        return _labels(self._issues.change(issue, edit))

    def _append(
        self, issue: str, text: str, *, author: str, op: str = "", carries: str = "", state: str = ""
    ) -> str:
        refuse_long(text, "the comment")
        made = ""

        def edit(entry: Entry) -> str | None:
            nonlocal made
            made = self._written(entry, op) or ""
            if made:
                return None
            changed = entry.text
            if text.strip() or op:
                changed, made = self._appended(entry, text, author, op, carries)
            return records.with_fields(changed, {"state": state}) if state else changed

        if state == "closed":
            self._issues.close(issue, edit)
        else:
            self._issues.change(issue, edit)
        return made

    def _kept(self, entry: Entry) -> Block | None:
        mine = (one for one in entry.record.blocks if is_keep(one.op) and self._is_ours(entry, one))
        return next(mine, None)

    def _keep(self, effect: Keep, op: str) -> str:
        refuse_long(effect.body, "the comment")
        made = ""

        def edit(entry: Entry) -> str | None:
            nonlocal made
            kept = self._kept(entry)
            if kept is None:
                changed, made = self._appended(entry, effect.body, OURS, op, effect.carries)
                return changed
            made = kept.id
            mark = self._mark(entry, made, op, effect.carries)
            block = replace(kept, text=effect.body, op=op, mark=mark, carries=effect.carries)
            return records.with_block_again(entry.text, block)

        self._issues.change(effect.issue, edit)
        return made

    def _mark(self, entry: Entry, block: str, op: str, carries: str) -> str:
        return self._marks.of("issue", entry.id, block, op, *filter(None, (carries,)))

    def _appended(self, entry: Entry, text: str, author: str, op: str, carries: str) -> tuple[str, str]:
        return appended(
            entry,
            kind="comment",
            author=author,
            at=self._now(),
            text=text,
            op=op,
            carries=carries,
            mark=lambda block: self._mark(entry, block, op, carries),
        )

    def _written(self, entry: Entry, op: str) -> str | None:
        if not op:
            return None
        blocks = (block for block in entry.record.blocks if block.op == op)
        return next((block.id for block in blocks if self._is_ours(entry, block)), None)

    def _is_ours(self, entry: Entry, block: Block) -> bool:
        told = filter(None, (block.carries,))
        return self._marks.holds(block.mark, "issue", entry.id, block.id, block.op, *told)

    def _filed(self, entry: Entry) -> Filed:
        record = entry.record
        return Filed(
            issue=Issue(
                id=entry.id,
                number=int(entry.id),
                title=record.word("title") or title_of(record.body) or f"(issue {entry.id} has no title)",
                body=record.body,
                author=record.word("author") or entry.owner,
                state="closed" if entry.closed else "open",
                target=record.word("target"),
                created_at=record.moment("created") or entry.changed_at,
                labels=_labels(entry),
                comments=tuple(
                    self._comment(entry, block) for block in record.blocks if block.kind == "comment"
                ),
            ),
            path=entry.path,
            changed_at=entry.changed_at,
            problems=(*record.problems, *_bad_bytes(entry), *_bad_fields(entry)),
        )

    def _comment(self, entry: Entry, block: Block) -> Comment:
        ours = self._is_ours(entry, block)
        # What claims to be ours and cannot prove it (the key was lost, it was copied) is nobody's word.
        return Comment(
            id=block.id,
            author=block.author,
            body=block.text,
            at=block.at,
            ours=ours,
            trusted=ours or not block.mark,
        )


def title_of(body: str) -> str:
    """Return the first heading or line of a text as a title; "" when it has no words."""
    lines = (re.sub(r"^#+[ \t]+", "", line.strip()) for line in body[: 10 * BODY_LIMIT].split("\n"))
    return next((title for line in lines if (title := records.one_line(line, TITLE_LIMIT))), "")


def label_name(name: str) -> str:
    """Return a label on one line. Raises ConflictError when it is empty, too long or has a comma."""
    label = records.one_line(name, LABEL_LIMIT + 1)
    if not label or len(label) > LABEL_LIMIT or "," in label:
        raise ConflictError(
            f"{records.one_line(name, 60)!r} is no label",
            fix=f"use 1 to {LABEL_LIMIT} characters and no comma",
        )
    return label


def cut_words(text: str, limit: int, where: str) -> str:
    """Return `text` as the loop is shown it: at most `limit` characters, and a note when there are more."""
    if len(text) <= limit:
        return text
    return f"{text[:limit]}\n\n[cut here: {len(text):,} characters in all, the rest is in {where}]"


def _within_limits(filed: Filed) -> Issue:
    issue = filed.issue
    where = f"issue {issue.id}"
    comments = tuple(
        replace(comment, body=cut_words(comment.body, COMMENT_LIMIT, f"comment {comment.id} of {where}"))
        for comment in issue.comments
    )
    return replace(
        issue,
        title=records.one_line(issue.title, TITLE_LIMIT),
        body=cut_words(issue.body, BODY_LIMIT, where),
        comments=comments,
    )


def _labels(entry: Entry) -> tuple[str, ...]:
    names = (records.one_line(name, TITLE_LIMIT) for name in entry.record.words("labels"))
    return tuple(dict.fromkeys(filter(None, names)))


def _bad_bytes(entry: Entry) -> tuple[str, ...]:
    return () if is_text(entry.text) else ("the file holds bytes that are no UTF-8 text",)


def _bad_fields(entry: Entry) -> tuple[str, ...]:
    problems = []
    if entry.record.word("created") and entry.record.moment("created") is None:
        problems.append("'created' is no time, e.g. 2026-11-20T10:00:00Z")
    if entry.record.word("state").lower() not in {"", "open", "closed"}:
        problems.append(
            f"'state' is open or closed, not {records.one_line(entry.record.word('state'), 40)!r}"
        )
    return tuple(problems)


def _missing(entry: Entry) -> dict[str, Value]:
    """The fields that a file written by hand lacks."""
    have = entry.record.fields
    if have.keys() >= _FIELDS:
        return {}
    fields: dict[str, Value] = {
        "id": entry.id,
        "title": title_of(entry.record.body) or f"Issue {entry.id}",
        "state": "closed" if entry.closed else "open",
        "author": records.author_name(entry.owner),
        "created": records.moment_text(entry.changed_at),
    }
    return {key: value for key, value in fields.items() if value and key not in have}
