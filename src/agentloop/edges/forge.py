"""The built-in forge: branches are real ones in each target's origin, pull requests are files in the home.

A full implementation of the forge port, reviews and checks included, and what a person's own commands do
beside it. That a pull request is merged is read from the origin: whoever merged it, its head is in the base.
The port cannot merge; `FileForge.merge` is for a person's command.
"""

from __future__ import annotations

import json
import re
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from itertools import groupby
from typing import TYPE_CHECKING, Final, Literal, TypeAlias, assert_never

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
from agentloop.domain.issue import COMMENT_LIMIT, TITLE_LIMIT, Pull, PullCheck, Review
from agentloop.domain.marks import Mark, unpack
from agentloop.domain.valueclass import dataclass, replace
from agentloop.edges import files, records
from agentloop.edges.git import Git, GitError
from agentloop.edges.origin import BRANCHES, Origin, is_within, merge_commit, merging, origin_of
from agentloop.edges.recordfolder import Entry, Marks, RecordFolder, appended, refuse_long
from agentloop.edges.tracker import OURS, cut_words
from agentloop.errors import BusyError, ConflictError, NotFoundError, TargetError, UnsafeError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from agentloop.domain.effects import ForgeEffect
    from agentloop.domain.settings import Settings
    from agentloop.edges.merge import Merged
    from agentloop.edges.records import Block, Value
    from agentloop.home import Home

_PAIR: Final = 2
Wanted: TypeAlias = Literal["open", "closed", "all"]
Verdict: TypeAlias = Literal["approved", "changes_requested", "commented"]

_VERDICTS: Final[dict[str, Verdict]] = {
    "approved": "approved",
    "changes requested": "changes_requested",
    "commented": "commented",
}
_CHECK_STATES: Final[dict[str, Literal["pending", "passed", "failed"]]] = {
    "pending": "pending",
    "passed": "passed",
    "failed": "failed",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposed:
    """A pull request as its file and the origin have it, nothing cut. `problems` say what cannot be known."""

    pull: Pull
    author: str
    created_at: datetime
    path: Path
    merged_by: str = ""
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """How a pull request stands in its origin."""

    head: str = ""
    mergeable: bool | None = None
    merged_as: str = ""
    problem: str = ""


class FileForge:
    """Pull requests in `tracker/pulls` of a home, for the targets of its settings.

    Methods raise OSError when the disk refuses, NotFoundError for a pull request that is not there, and
    TargetError when an origin that must be reached cannot be.
    """

    def __init__(
        self, home: Home, settings: Settings, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._home = home
        self._settings = settings
        self._now = now
        self._marks = Marks(home.tracker)
        self._pulls = RecordFolder(home.pulls, what="pull request", lock=home.tracker / ".lock")

    # The port.

    def observe(self, known: frozenset[str]) -> tuple[Pull, ...]:
        """Return every open pull request, and those of `known` in any state, lowest number first.

        Origins are asked for the branches of open ones only; `head` is the last known one when an origin
        cannot be reached, and for those that are not open.
        """
        entries = {entry.id: entry for entry in self._pulls.open()}
        for pull in known - entries.keys():
            with suppress(NotFoundError):
                entries[pull] = self._pulls.get(pull)
        ordered = sorted(entries.values(), key=lambda entry: int(entry.id))
        return tuple(_within_limits(proposed.pull) for proposed in self._look(ordered))

    def find(self, op: str, effect: ForgeEffect) -> str | None:
        """Return the commit, pull request or comment that `op` made, or None. Raises TargetError."""
        match effect:
            case Push():
                head = self._origin(effect.target).heads([effect.branch]).get(effect.branch)
                return head if head == effect.commit else None
            case OpenPull():
                entries = (*self._pulls.open(), *self._pulls.closed())
                return next(
                    (
                        entry.id
                        for entry in entries
                        if self._is_opened_by_us(entry)
                        and (entry.record.word("op"), entry.record.word("branch")) == (op, effect.branch)
                    ),
                    None,
                )
            case EditPull():
                record = self._pulls.get(effect.pull).record
                wanted = (
                    records.one_line(effect.title, TITLE_LIMIT),
                    records.words_of(effect.body),
                    effect.carries,
                )
                there = (record.word("title"), record.body, record.word("carries"))
                return effect.pull if there == wanted else None
            case SayOnPull():
                return self._written(self._pulls.get(effect.pull), op)
            case MakeReady() | AskReview():
                return self._pulls.get(effect.pull).id  # no drafts here, and nobody to be asked
            case ReplyInThread():
                return None
            case DeleteBranch():
                heads = self._origin(effect.target).heads([effect.branch])
                return None if effect.branch in heads else effect.expected
            case _:
                assert_never(effect)

    def act(self, op: str, effect: ForgeEffect) -> str:
        """Carry `effect` out and return the id of what was made.

        Raises ConflictError when a branch is not where expected, UnsafeError for one that is not ours.
        """
        match effect:
            case Push():
                return self._push(effect)
            case OpenPull():
                return self._open_pull(op, effect)
            case EditPull():
                refuse_long(effect.body, "the description")
                title = records.one_line(effect.title, TITLE_LIMIT)

                def edit(entry: Entry) -> str:
                    fields = {
                        "title": title,
                        **self._proof(entry.id, entry.record.word("op"), effect.carries),
                    }
                    return records.with_fields(records.with_body(entry.text, effect.body), fields)

                return self._pulls.change(effect.pull, edit).id
            case SayOnPull():
                return self._append(
                    effect.pull, "comment", effect.body, author=OURS, op=op, carries=effect.carries
                )
            case MakeReady() | AskReview():
                return self._pulls.get(effect.pull).id
            case ReplyInThread():
                raise ConflictError(f"pull request {effect.pull} has no threads on lines")
            case DeleteBranch():
                return self._delete(effect)
            case _:
                assert_never(effect)

    def _push(self, push: Push) -> str:
        if not push.branch.startswith(BRANCHES):
            raise UnsafeError(f"{push.branch} is no branch of ours", fix=f"only {BRANCHES}* is ever pushed")
        origin = self._origin(push.target)
        origin.push(Git(origin.mirror), push.branch, push.commit, expected=push.expected)
        for entry in self._pulls.open():
            if (entry.record.word("target"), entry.record.word("branch")) == (push.target, push.branch):
                self._pulls.change(
                    entry.id, lambda each: records.with_fields(each.text, {"head": push.commit})
                )
        return push.commit

    def _delete(self, delete: DeleteBranch) -> str:
        for entry in self._pulls.open():
            word = entry.record.word
            if word("target") == delete.target and delete.branch in (word("base"), word("branch")):
                raise ConflictError(f"pull request {entry.id} still needs {delete.branch}", fix="nothing")
        self._origin(delete.target).delete(delete.branch, expected=delete.expected)
        return delete.expected

    def _open_pull(self, op: str, effect: OpenPull) -> str:
        found = self.find(op, effect)
        if found is not None:
            return found
        for entry in self._pulls.open():
            if (entry.record.word("target"), entry.record.word("branch")) == (effect.target, effect.branch):
                raise ConflictError(f"pull request {entry.id} is open for {effect.branch} already")
        head = self._head_to_merge(effect)
        fields: dict[str, Value] = {
            "title": records.one_line(effect.title, TITLE_LIMIT) or effect.branch,
            "state": "open",
            "target": effect.target,
            "branch": effect.branch,
            "base": effect.base,
            "head": head,
            "author": OURS,
            "created": records.moment_text(self._now()),
            "op": op,
        }
        refuse_long(effect.body, "the description")
        return self._pulls.add(
            lambda pull: records.new_text(
                {"id": pull, **fields, **self._proof(pull, op, effect.carries)}, effect.body
            )
        )

    def marks(self) -> tuple[Mark, ...]:
        """Return every mark in a pull request, open or closed, that proves to be ours: its own first."""
        found: list[Mark] = []
        for entry in (*self._pulls.open(), *self._pulls.closed()):
            where, record = f"pull request {entry.id}", entry.record
            if self._is_opened_by_us(entry):
                told = unpack(record.word("carries"))
                found.append(Mark(op=record.word("op"), where=where, carried=told, pull=entry.id))
            found += [
                Mark(op=one.op, where=f"{where}, {one.id}", carried=unpack(one.carries), pull=entry.id)
                for one in record.blocks
                if one.op and self._is_ours(entry, one)
            ]
        return tuple(found)

    def unproved(self) -> tuple[str, ...]:
        """Return the open pull requests that claim to be ours and cannot prove it."""
        return tuple(
            entry.id
            for entry in self._pulls.open()
            if entry.record.word("op") and not self._is_opened_by_us(entry)
        )

    def _proof(self, pull: str, op: str, carries: str) -> dict[str, Value]:
        mark = self._marks.of("opened", pull, op, carries)
        return {"mark": mark, **({"carries": carries} if carries else {})}

    def _is_opened_by_us(self, entry: Entry) -> bool:
        word = entry.record.word
        return self._marks.holds(word("mark"), "opened", entry.id, word("op"), word("carries"))

    def _head_to_merge(self, effect: OpenPull) -> str:
        origin = self._origin(effect.target)
        heads = origin.heads([effect.branch, effect.base])
        for branch in (effect.branch, effect.base):
            if branch not in heads:
                raise ConflictError(f"{effect.target} has no branch {branch}", fix="push it first")
        with origin.bench([effect.branch, effect.base]) as bench:
            if is_within(bench, heads[effect.branch], heads[effect.base]):
                raise ConflictError(f"{effect.branch} has nothing that is not in {effect.base}")
        return heads[effect.branch]

    # A person's commands.

    def proposed(self, state: Wanted = "open") -> tuple[Proposed, ...]:
        """Return the pull requests in that state, lowest number first."""
        found = [] if state == "closed" else self._look(list(self._pulls.open()))
        if state != "open":
            ended = {proposed.pull.id for proposed in found}
            found += self._look([entry for entry in self._pulls.closed() if entry.id not in ended])
        wanted = [
            proposed
            for proposed in found
            if state == "all" or (proposed.pull.state == "open") == (state == "open")
        ]
        return tuple(sorted(wanted, key=lambda proposed: proposed.pull.number))

    def get(self, pull: str) -> Proposed:
        """Return one pull request in any state."""
        return self._look([self._pulls.get(pull)])[0]

    def review(self, pull: str, verdict: Verdict, text: str, *, author: str) -> str:
        """Append a review of the head as it is now, and return its id.

        Raises ConflictError when it is not open, or changes are requested without a word.
        """
        if verdict != "approved" and not text.strip():
            raise ConflictError(
                "say what should change", fix="give the text behind the option, or use --stdin"
            )
        head = self._open(pull).head
        said = next(words for words, value in _VERDICTS.items() if value == verdict)
        return self._append(pull, "review", text, author=author, details=(said, f"on {head}"))

    def check(self, pull: str, name: str, state: str, summary: str, *, author: str) -> str:
        """Append a check's state on the head as it is now, and return its id. Raises ConflictError."""
        label = records.one_line(name.replace("·", " "), 80)
        if not label or state not in _CHECK_STATES:
            raise ConflictError("a check has a name, and is pending, passed or failed")
        head = self._open(pull).head
        return self._append(pull, "check", summary, author=author, details=(state, f"on {head}", label))

    def comment(self, pull: str, text: str, *, author: str) -> str:
        """Append a person's comment, and return its id. Raises ConflictError when it is empty."""
        if not text.strip():
            raise ConflictError("a comment needs words", fix='agentloop pr review N --comment "…"')
        return self._append(pull, "comment", text, author=author)

    def close(self, pull: str, text: str, *, author: str) -> None:
        """Close a pull request unmerged; its branch stays. Raises ConflictError when it is not open."""
        self._open(pull)
        if text.strip():
            self._append(pull, "comment", text, author=author)
        self._end(pull, {"state": "closed", "closed_by": author})

    def diff(self, pull: str, *, limit_bytes: int = 50_000_000) -> bytes:
        """Return what the pull request changes since it left its base, as a unified diff."""
        entry = self._pulls.get(pull)
        proposed = self._look([entry])[0].pull
        origin = self._origin(proposed.target)
        branches = origin.heads([proposed.base, proposed.branch])
        if proposed.base not in branches:
            raise ConflictError(f"{proposed.target} has no branch {proposed.base} any more")
        with origin.bench(branches) as bench:
            span = f"{branches[proposed.base]}...{proposed.head}"
            if proposed.merge_commit:
                span = f"{proposed.merge_commit}^1..{proposed.merge_commit}"
            try:
                return bench.run(
                    "diff", "--no-ext-diff", "--no-textconv", span, "--", limit_bytes=limit_bytes
                )
            except GitError as error:
                gone = f"the commits of pull request {pull} are gone from {proposed.target}"
                raise ConflictError(gone, fix=error.what) from error

    def diff_since_review(self, pull: str, *, limit_bytes: int = 50_000_000) -> bytes:
        """Return what changed from the commit of the last review to the head, as a unified diff.

        What came in from the base meanwhile is left out where git can tell it apart. Raises ConflictError
        when nobody has reviewed it, or the reviewed commit is gone.
        """
        proposed = self.get(pull).pull
        reviewed = reviewed_at(proposed)
        if not reviewed:
            raise ConflictError(
                f"nobody has reviewed pull request {pull} yet", fix=f"agentloop pr diff {pull}"
            )
        origin = self._origin(proposed.target)
        branches = origin.heads([proposed.base, proposed.branch])
        with origin.bench(branches) as bench:
            try:
                start = _with_news_of(bench, reviewed, branches.get(proposed.base, ""), proposed.head)
                words = ("diff", "--no-ext-diff", "--no-textconv", start, proposed.head, "--")
                return bench.run(*words, limit_bytes=limit_bytes)
            except GitError as error:
                raise ConflictError(
                    f"the commit of the last review, {reviewed[:10]}, is gone from {proposed.target}",
                    fix=f"agentloop pr diff {pull}",
                ) from error

    def merge(self, pull: str, *, squash: bool, author: str) -> Merged:
        """Merge a pull request into its base in the origin, take its branch away, and return what came of it.

        One that is merged already is left as it is: who was cut off before they were told may ask again.
        Raises ConflictError, with nothing changed, when it is closed, is in conflict with its base, or the
        base is checked out somewhere that is not clean.
        """
        from agentloop.edges.merge import Merged, land

        with self._merging() as held:
            self._put_back(self._pulls.get(pull), asked=True)
            found = self.get(pull).pull
            if found.state == "merged":
                return Merged(commit=found.merge_commit, base=found.base, already=True)
            proposed = self._open(pull)
            if not proposed.head:
                raise ConflictError(f"the branch {proposed.branch} is gone from {proposed.target}")
            origin = self._origin(proposed.target)

            def before(commit: str) -> None:
                # A squash leaves no trace of the head in the base: killed after the push, this tells. It also
                # tells what a checkout was being updated with, when that is cut off.
                self._pulls.change(pull, lambda entry: records.with_fields(entry.text, {"merging": commit}))

            merged = land(origin, proposed, home=self._home.root, squash=squash, before=before, keep=(held,))
            self._end(pull, {"state": "merged", "merge_commit": merged.commit, "merged_by": author})
        return merged

    @contextmanager
    def _merging(self) -> Iterator[int]:
        files.make_folder(self._home.pulls)
        with ExitStack() as stack:
            try:
                held = stack.enter_context(files.locked(self._home.tracker / ".merging"))
            except BusyError as error:
                raise BusyError("another merge is going on", fix="try again when it has ended") from error
            yield held

    def _put_back(self, entry: Entry, *, asked: bool) -> None:
        """Put back a checkout that was being updated when the merge of an open pull request was cut off."""
        word = entry.record.word
        if entry.closed or not _is_commit(word("merging")):
            return
        from agentloop.edges.cutoff import put_back
        from agentloop.edges.merge import checkout_of

        checkout = checkout_of(self._origin(word("target")), word("base"))
        if checkout is not None:
            put_back(checkout, word("base"), word("merging"), asked=asked)

    def _trouble(self, entry: Entry) -> str:
        """Put back what a merge left half-way, if it was cut off; return why that cannot be, or ""."""
        if not entry.record.word("merging"):
            return ""
        try:
            with self._merging():
                self._put_back(entry, asked=False)
        except BusyError:
            return ""  # that merge is going on; or a git works there, and the next look comes
        except (ConflictError, TargetError, GitError) as error:
            return error.what
        except OSError as error:
            return f"a merge was cut off, and what it left cannot be put back: {error}"
        return ""

    # Files.

    def _append(
        self,
        pull: str,
        kind: str,
        text: str,
        *,
        author: str,
        details: tuple[str, ...] = (),
        op: str = "",
        carries: str = "",
    ) -> str:
        refuse_long(text, "the text")
        made = ""

        def edit(entry: Entry) -> str | None:
            nonlocal made
            made = self._written(entry, op) or ""
            if made:
                return None
            changed, made = appended(
                entry,
                kind=kind,
                author=author,
                at=self._now(),
                text=text,
                details=details,
                op=op,
                carries=carries,
                mark=lambda block: self._marks.of("pull", entry.id, block, op, *filter(None, (carries,))),
            )
            return changed

        self._pulls.change(pull, edit)
        return made

    def _end(self, pull: str, fields: dict[str, Value]) -> None:
        ended = {**fields, "ended": records.moment_text(self._now())}
        self._pulls.close(pull, lambda entry: records.with_fields(entry.text, ended))

    def _open(self, pull: str) -> Pull:
        found = self.get(pull).pull
        if found.state != "open":
            raise ConflictError(f"pull request {pull} is {found.state}", fix=f"agentloop pr show {pull}")
        return found

    def _written(self, entry: Entry, op: str) -> str | None:
        blocks = (block for block in entry.record.blocks if op and block.op == op)
        return next((block.id for block in blocks if self._is_ours(entry, block)), None)

    def _is_ours(self, entry: Entry, block: Block) -> bool:
        told = filter(None, (block.carries,))
        return self._marks.holds(block.mark, "pull", entry.id, block.id, block.op, *told)

    def _origin(self, name: str) -> Origin:
        target = self._settings.target(name)
        if target is None:
            raise TargetError(
                f"there is no target {name!r}", fix="name it in agentloop.toml, under [[target]]"
            )
        return origin_of(target, self._home.root, self._home.mirror_of(target.name))

    # How they stand in their origins.

    def _look(self, entries: list[Entry]) -> list[Proposed]:
        def target(entry: Entry) -> str:
            return entry.record.word("target")

        found = [
            self._proposed(entry, _Seen(head=entry.record.word("head"))) for entry in entries if entry.closed
        ]
        still = sorted((entry for entry in entries if not entry.closed), key=target)
        for name, group in groupby(still, key=target):
            found += self._look_in(name, list(group))
        return sorted(found, key=lambda proposed: proposed.pull.number)

    def _look_in(self, target: str, entries: list[Entry]) -> list[Proposed]:
        troubles = {entry.id: self._trouble(entry) for entry in entries}
        try:
            origin = self._origin(target)
            names = {entry.record.word(key) for entry in entries for key in ("branch", "base")} - {""}
            heads = origin.heads(sorted(names))
            seen = _looked_at(origin, entries, heads)
        except TargetError as error:
            seen = {entry.id: _Seen(head=entry.record.word("head"), problem=error.what) for entry in entries}
        seen = {pull: replace(one, problem=one.problem or troubles[pull]) for pull, one in seen.items()}
        return [self._proposed(self._settled(entry, seen[entry.id]), seen[entry.id]) for entry in entries]

    def _settled(self, entry: Entry, seen: _Seen) -> Entry:
        """A merge that somebody made is written down when first seen: history may be rewritten later."""
        if not seen.merged_as:
            return entry
        self._end(entry.id, {"state": "merged", "merge_commit": seen.merged_as})
        return self._pulls.get(entry.id)

    def _proposed(self, entry: Entry, seen: _Seen) -> Proposed:
        record = entry.record
        state = record.word("state").lower() if entry.closed else "open"
        pull = Pull(
            id=entry.id,
            number=int(entry.id),
            target=record.word("target"),
            branch=record.word("branch"),
            base=record.word("base"),
            title=record.word("title") or f"(pull request {entry.id} has no title)",
            body=record.body,
            state="merged" if state == "merged" else "closed" if entry.closed else "open",
            head=seen.head if not entry.closed else record.word("head"),
            mergeable=seen.mergeable,
            merge_commit=record.word("merge_commit"),
            reviews=tuple(self._review(entry, block) for block in record.blocks if block.kind != "check"),
            checks=_latest(block for block in record.blocks if block.kind == "check"),
        )
        return Proposed(
            pull=pull,
            author=record.word("author"),
            created_at=record.moment("created") or entry.changed_at,
            path=entry.path,
            merged_by=record.word("merged_by"),
            problems=(*record.problems, *([seen.problem] if seen.problem else [])),
        )

    def _review(self, entry: Entry, block: Block) -> Review:
        ours = self._is_ours(entry, block)
        return Review(
            id=block.id,
            author=block.author,
            verdict=_VERDICTS.get(block.details[0], "commented") if block.details else "commented",
            body=block.text,
            at=block.at,
            commit=_commit_in(block),
            ours=ours,
            trusted=ours or not block.mark,
        )


def reviewed_at(pull: Pull) -> str:
    """Return the commit that a person's last review looked at; "" when there is none."""
    commits = [review.commit for review in pull.reviews if review.commit and not review.ours]
    return commits[-1] if commits else ""


def _with_news_of(bench: Git, reviewed: str, base: str, head: str) -> str:
    """What to compare `head` with: `reviewed`, and merged into it what `head` has of `base` beyond it."""
    if not base:
        return reviewed
    shared = bench.look("merge-base", base, head)
    if is_within(bench, shared, reviewed):
        return reviewed
    merged = merging(bench, reviewed, shared)
    return reviewed if merged.conflicts else merged.tree


def _looked_at(origin: Origin, entries: list[Entry], heads: dict[str, str]) -> dict[str, _Seen]:
    """How each stands; what was found out for the same commits before is not worked out again."""
    cache = origin.mirror.with_suffix(".merges.json")
    known = _read_cache(cache)
    keys = {entry.id: _cache_key(entry, heads) for entry in entries}
    if any(key not in known for key in keys.values()):
        fresh = {}
        with origin.bench(heads) as bench:
            for entry in entries:
                key = keys[entry.id]
                fresh[key] = known[key] if key in known else _worked_out(bench, key)
        known = fresh
        if cache.parent.is_dir():
            files.write_plain(cache, json.dumps(known).encode())
    return {
        entry.id: _Seen(
            head=heads.get(entry.record.word("branch"), ""),
            mergeable=known[keys[entry.id]][0],
            merged_as=known[keys[entry.id]][1],
        )
        for entry in entries
    }


def _cache_key(entry: Entry, heads: dict[str, str]) -> str:
    """The commits that decide: head (the last known one if the branch is gone), base, a merge of ours."""
    word = entry.record.word
    head = heads.get(word("branch"), "")
    return " ".join((head or f"-{word('head')}", heads.get(word("base"), "-"), word("merging") or "-"))


def _worked_out(bench: Git, key: str) -> tuple[bool | None, str]:
    """Whether it can be merged, and the commit with which it was."""
    head, base, landed = key.split(" ")
    if base == "-":
        return None, ""
    for commit in (landed, head.removeprefix("-")):
        if _is_commit(commit) and is_within(bench, commit, base):
            return None, commit if commit == landed else merge_commit(bench, commit, base)
    if not _is_commit(head):
        return None, ""
    return not merging(bench, base, head).conflicts, ""


def _is_commit(text: str) -> bool:
    return re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", text) is not None


def _read_cache(path: Path) -> dict[str, tuple[bool | None, str]]:
    """What was written last; a cache that makes no sense is empty."""
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    if not isinstance(found, dict):
        return {}
    return {
        key: (pair[0], pair[1])
        for key, pair in found.items()
        if isinstance(pair, list) and len(pair) == _PAIR
    }


def _commit_in(block: Block) -> str:
    found = (detail.removeprefix("on ") for detail in block.details if detail.startswith("on "))
    return next(filter(_is_commit, found), "")


def _latest(blocks: Iterable[Block]) -> tuple[PullCheck, ...]:
    """The last word of each check."""
    checks = {}
    for block in blocks:
        state, _, name = (*block.details, "", "", "")[:3]
        if state not in _CHECK_STATES or not name:
            continue
        checks[name] = PullCheck(
            name=name, state=_CHECK_STATES[state], summary=block.text, commit=_commit_in(block)
        )
    return tuple(checks.values())


def _within_limits(pull: Pull) -> Pull:
    reviews = tuple(
        replace(review, body=cut_words(review.body, COMMENT_LIMIT, f"{review.id} of pull request {pull.id}"))
        for review in pull.reviews
    )
    checks = tuple(
        replace(check, summary=cut_words(check.summary, COMMENT_LIMIT, f"pull request {pull.id}"))
        for check in pull.checks
    )
    return replace(pull, reviews=reviews, checks=checks)
