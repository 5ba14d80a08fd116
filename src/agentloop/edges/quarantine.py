"""The way in for a worker's result: a pack is unpacked and looked at where it can do no harm.

Nothing the worker could write to is opened by git. The pack goes through `git index-pack --strict` into a
repository that is thrown away; of what it holds only the tree of one commit is wanted, and of that tree only
the files it changes; everything about them is judged before one commit of our own goes into the mirror.
"""

from __future__ import annotations

import os
import re
import stat
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final

from agentloop.domain.changes import Change, read_changes
from agentloop.domain.treepaths import collisions, objection
from agentloop.domain.valueclass import dataclass
from agentloop.domain.work import Finding, tip_of
from agentloop.edges.git import Git, GitError
from agentloop.edges.worktree import TASK, make_git_directory
from agentloop.ports import Rejected, Taken

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agentloop.domain.work import AttemptSpec, End
    from agentloop.edges.mirror import Mirror

IDENTITY: Final = ("agentloop", "agentloop@localhost")
FILE_MODES: Final = frozenset({"100644", "100755"})
_GONE: Final = "000000"
_LISTING_BYTES: Final = 64_000_000
_UNPACK_SECONDS: Final = 300
_GROWTH: Final = 20
"""How many times the pack's limit its files may weigh unpacked: text packs to a fifth, rarely a tenth."""
_FINDINGS: Final = 20
_MACHINE: Final = re.compile(r"No space left|Input/output error|Read-only file system|Too many open files")


class _RefusedError(Exception):
    def __init__(self, *findings: Finding) -> None:
        super().__init__(findings)
        self.findings = findings


def take_result(
    mirror: Mirror, spec: AttemptSpec, end: End, *, message: str, parents: tuple[str, ...]
) -> Taken | Rejected:
    """Return the commit made of an attempt's result, kept in `mirror` as refs/agentloop/results/<attempt>.

    The same result gives the same commit: its author is us, its date the end of the attempt. Raises GitError
    and OSError when the machine fails; whatever is wrong with the result is Rejected.
    """
    import shutil

    ref = f"refs/agentloop/results/{spec.id}"
    known = mirror.git.text("for-each-ref", "--format=%(objectname)", ref)
    if known:
        shutil.rmtree(_folder(mirror, spec.id), ignore_errors=True)
        return Taken(commit=known, tree=mirror.git.text("rev-parse", f"{known}^{{tree}}"))
    tip = tip_of(end.outcome)
    if not re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", tip):
        return Rejected(findings=(_finding("empty", spec.id, "the attempt left no commit"),))
    try:
        with _quarantine(mirror, spec.id) as git:
            _unpack(git, Path(spec.folder) / "result.pack", spec.limits.pack_mb)
            tree = _judged_tree(git, spec, tip)
            commit = _commit(git, tree, message, parents, end)
            _keep(mirror, git, commit, ref)
    except _RefusedError as refused:
        return Rejected(findings=refused.findings)
    return Taken(commit=commit, tree=tree)


def _finding(kind: str, about: str, says: str) -> Finding:
    return Finding(kind=kind, about=about, says=says)  # type: ignore[arg-type]


@contextmanager
def _quarantine(mirror: Mirror, attempt: str) -> Iterator[Git]:
    import shutil

    folder = _folder(mirror, attempt)
    shutil.rmtree(folder, ignore_errors=True)
    make_git_directory(folder, lender=mirror.folder, branch="result", commit="", worker="quarantine")
    try:
        # One object that claims to be huge must not take all memory: git refuses to allocate beyond this.
        env = {"GIT_ALLOC_LIMIT": "1g", "GIT_INDEX_FILE": str(folder / "index")}
        yield Git(folder, durable=False, env=env)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _folder(mirror: Mirror, attempt: str) -> Path:
    return mirror.folder.parent / f".quarantine-{mirror.target}-{attempt}"


def _unpack(git: Git, path: Path, limit_mb: int) -> None:
    limit = limit_mb * 1_000_000
    try:
        stream = _opened(path)
    except FileNotFoundError:
        return  # a result that consists of objects the mirror has needs none
    except OSError as error:
        raise _RefusedError(_finding("hostile", path.name, f"cannot be opened: {error.strerror}")) from error
    with stream:
        found = os.fstat(stream.fileno())
        if not stat.S_ISREG(found.st_mode):
            raise _RefusedError(_finding("hostile", path.name, "is no regular file"))
        if found.st_size > limit:
            says = f"weighs {found.st_size / 1e6:.1f} MB; the limit is {limit_mb} MB (limits.pack_mb)"
            raise _RefusedError(_finding("size", path.name, says))
        words = ("--strict", "--stdin", "--fix-thin", f"--max-input-size={limit}")
        _asked(git, "index-pack", *words, stream=stream, timeout_seconds=_UNPACK_SECONDS)


def _opened(path: Path) -> BinaryIO:
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    return os.fdopen(os.open(path, flags), "rb")


def _asked(
    git: Git,
    *args: str,
    stream: BinaryIO | bytes | None = None,
    timeout_seconds: float = 120,
    limit_bytes: int | None = None,
) -> bytes:
    """What git says about the result; its objection is the result's fault unless the machine is to blame."""
    try:
        return git.run(*args, input=stream, timeout_seconds=timeout_seconds, limit_bytes=limit_bytes)
    except GitError as error:
        if _MACHINE.search(error.stderr):
            raise
        says = f"git {args[0]} refused it: {error.stderr or f'status {error.status}'}"
        raise _RefusedError(_finding("hostile", "result.pack", says[:600])) from error


def _judged_tree(git: Git, spec: AttemptSpec, tip: str) -> str:
    kind = _asked(git, "cat-file", "-t", tip).strip()
    if kind != b"commit":
        raise _RefusedError(_finding("hostile", tip, f"is a {kind.decode()}, not a commit"))
    # What an earlier attempt had done is part of the change: all of it is judged.
    origin = spec.origin or spec.base
    _refuse_odd_trees(git, origin, tip)
    before = _names(git, origin, None)
    after = _names(git, tip, before.size + _LISTING_BYTES)
    changes = _changes(git, origin, tip)
    findings = [*_bad_entries(changes), *_collisions(before, after)]
    findings += _too_heavy(git, changes, spec.limits.pack_mb * _GROWTH)
    if findings:
        raise _RefusedError(*_bounded(findings))
    return _without_brief(git, tip, changes)


def _changes(git: Git, base: str, tip: str) -> tuple[Change, ...]:
    words = ("-r", "-z", "--raw", "--no-renames", base, tip)
    listed = _asked(git, "diff-tree", *words, limit_bytes=_LISTING_BYTES)
    if len(listed) > _LISTING_BYTES:
        raise _RefusedError(_finding("size", "tree", "changes too many files to list"))
    changes = read_changes(listed)
    if all(change.path == TASK for change in changes):
        raise _RefusedError(_finding("empty", tip[:12], "the result is the same as what it started from"))
    return changes


def _bad_entries(changes: tuple[Change, ...]) -> Iterator[Finding]:
    for change in changes:
        if change.new_mode == _GONE:
            continue
        why = objection(change.raw_path)
        if why is not None:
            yield _finding("hostile", change.path, f"{change.path!a} {why}")
        if change.new_mode not in FILE_MODES:
            yield _finding("mode", change.path, _mode_says(change.new_mode))


def _mode_says(mode: str) -> str:
    names = {"120000": "a symbolic link", "160000": "a submodule", "040000": "a folder"}
    return f"a change may add or alter plain files only, not {names.get(mode, f'an entry of mode {mode}')}"


def _refuse_odd_trees(git: Git, base: str, tip: str) -> None:
    """Every new tree, as it is written: git itself reads mode 104755 as 100755 and says nothing.

    Asking for them is also what proves that nothing the tip needs is missing.
    """
    span = (f"{tip}^{{tree}}", "--not", f"{base}^{{tree}}")
    _asked(git, "rev-list", "--objects", "--quiet", *span)
    words = ("--objects", "--no-object-names", "--filter=object:type=tree", "--filter-provided-objects")
    trees = _asked(git, "rev-list", *words, *span)
    written = _asked(git, "cat-file", "--batch", stream=trees, limit_bytes=_LISTING_BYTES)
    if len(written) > _LISTING_BYTES:
        raise _RefusedError(_finding("size", "tree", "its folders are too large to look at"))
    odd = _modes(written) - FILE_MODES - {"40000", "120000", "160000"}
    if odd:
        raise _RefusedError(_finding("mode", "tree", f"it has entries of mode {', '.join(sorted(odd))}"))


def _modes(written: bytes) -> set[str]:
    """The modes in what `git cat-file --batch` prints of trees: `mode name NUL id`, again and again."""
    found: set[str] = set()
    at = 0
    while at < len(written):
        end = written.index(b"\n", at)
        oid, _, size = written[at:end].decode("ascii").split(" ")
        stop = end + 1 + int(size)
        at = end + 1
        while at < stop:
            space, zero = written.index(b" ", at), written.index(b"\0", at)
            found.add(written[at:space].decode("ascii", "replace"))
            at = zero + 1 + len(oid) // 2
        at = stop + 1
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class _Names:
    names: frozenset[str]
    size: int


def _names(git: Git, commit: str, limit_bytes: int | None) -> _Names:
    """All files and folders of a commit; that of a result is cut short: ten trees can name a billion."""
    words = ("ls-tree", "-r", "-t", "-z", "--name-only", commit)
    listed = _asked(git, *words, limit_bytes=limit_bytes)
    if limit_bytes is not None and len(listed) > limit_bytes:
        raise _RefusedError(_finding("size", "tree", "holds too many files to list"))
    names = frozenset(name.decode("utf-8", "surrogateescape") for name in listed.split(b"\0") if name)
    return _Names(names=names, size=len(listed))


def _collisions(before: _Names, after: _Names) -> list[Finding]:
    new = collisions(after.names) - collisions(before.names) if after.names - before.names else ()
    says = "is the same name as another one where case or Unicode form does not count"
    return [_finding("hostile", " = ".join(sorted(each)), says) for each in sorted(new, key=sorted)]


def _too_heavy(git: Git, changes: tuple[Change, ...], limit_mb: int) -> list[Finding]:
    new = [change.new_id for change in changes if change.new_mode in FILE_MODES]
    if not new:
        return []
    asked = "\n".join(new).encode() + b"\n"
    sizes = _asked(git, "cat-file", "--batch-check=%(objecttype) %(objectsize)", stream=asked).split(b"\n")
    known = [line.split() for line in sizes if line]
    if any(words[0] != b"blob" for words in known):
        return [_finding("hostile", "tree", "holds a file that is no blob")]
    weight = sum(int(words[1]) for words in known)
    if weight <= limit_mb * 1_000_000:
        return []
    return [_finding("size", "tree", f"its files weigh {weight / 1e6:.0f} MB; at most {limit_mb} MB come in")]


def _bounded(findings: list[Finding]) -> list[Finding]:
    more = len(findings) - _FINDINGS
    kept = findings[:_FINDINGS]
    return [*kept, _finding("hostile", "tree", f"and {more} more of the kind")] if more > 0 else kept


def _without_brief(git: Git, tip: str, changes: tuple[Change, ...]) -> str:
    """The tip's tree, with TASK.md as it was on the base: what a worker is told is part of no change."""
    brief = next((change for change in changes if change.path == TASK), None)
    if brief is None:
        return git.text("rev-parse", f"{tip}^{{tree}}")
    git.run("read-tree", tip)
    git.run("update-index", "-z", "--index-info", input=brief.restoring())
    return git.text("write-tree")


def _commit(git: Git, tree: str, message: str, parents: tuple[str, ...], end: End) -> str:
    moment = f"@{int(end.at.timestamp())} +0000"
    env: dict[str, str] = {}
    for role in ("AUTHOR", "COMMITTER"):
        env |= {f"GIT_{role}_NAME": IDENTITY[0], f"GIT_{role}_EMAIL": IDENTITY[1], f"GIT_{role}_DATE": moment}
    words = [word for parent in parents for word in ("-p", parent)]
    text = message.replace("\0", "").encode("utf-8", "replace")
    return Git(git.folder, durable=False, env=env).text("commit-tree", *words, "-F", "-", tree, input=text)


def _keep(mirror: Mirror, git: Git, commit: str, ref: str) -> None:
    git.run("update-ref", "refs/heads/result", commit)
    words = ("--quiet", "--no-tags", "--no-write-fetch-head")
    mirror.write(lambda ours: ours.run("fetch", *words, "--", str(git.folder), f"refs/heads/result:{ref}"))
