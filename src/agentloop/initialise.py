"""Making a home: a plan as data, from one look at the disk, then carried out.

Nothing that is there is overwritten, so that making a home twice, or over one that was half made, only adds
what is missing. In a repository with commits of its own nothing is committed: its history is a person's.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, TypeAlias, assert_never

from agentloop.domain import relay
from agentloop.domain.secrets import find_secrets
from agentloop.domain.valueclass import dataclass
from agentloop.edges.files import make_folder, write_durable
from agentloop.edges.git import Git, GitError, is_git_directory
from agentloop.errors import HomeError, TargetError
from agentloop.home import Home
from agentloop.settings import reference, rules

IGNORED: Final = ("/.agentloop/", "/journal/", "/tracker/", "/requests/", "/pause.json")
"""What is nobody's history: runtime state, journal, tracker, requests, pause."""

_NAME, _EMAIL = "agentloop", "agentloop@localhost"
_PRIVATE: Final = 0o700


@dataclass(frozen=True, slots=True, kw_only=True)
class MakeFolder:
    """Make a folder (and those above it)."""

    path: Path
    mode: int = 0o755


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteFile:
    """Write a file that is not there."""

    path: Path
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AppendLines:
    """Add lines to the end of a file that is there."""

    path: Path
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class MakeRepository:
    """Give the home a git repository of its own."""

    path: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """Commit these files as the home's first commit."""

    folder: Path
    files: tuple[str, ...]


Step: TypeAlias = MakeFolder | WriteFile | AppendLines | MakeRepository | Commit


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is to be done, in order, and what a person should know besides."""

    home: Home
    steps: tuple[Step, ...]
    notes: tuple[str, ...] = ()
    has_targets: bool = False
    on_github: bool = False
    """A target of it has its issues on GitHub."""


def plan(root: Path, targets: Sequence[str] = (), github: Sequence[str] = ()) -> Plan:
    """Return what is missing for `root` to be a home that works for `targets` (paths or URLs).

    `github` names repositories whose issues are on GitHub: `OWNER/NAME`, or the address of one elsewhere.
    Changes nothing. Raises HomeError when no home can be there, TargetError when a target cannot be used.
    """
    home = Home(_real_root(root))
    _refuse_bad_places(home)
    repository = _repository(home.root)
    named = _named(home, targets, github)
    folders = [folder for folder in _folders(home) if not folder.path.is_dir()]
    files = [file for file in _files(home, named) if not file.path.exists()]
    steps: list[Step] = [*folders, *files, *_ignoring(home)]
    if repository is None:
        steps.append(MakeRepository(path=home.root))
    first = _to_commit(home)
    notes: list[str] = list(_left_out(home, named))
    if repository is None or _may_commit(home, first):
        steps.append(Commit(folder=home.root, files=first))
    elif files or any(isinstance(step, AppendLines) for step in steps):
        notes.append(
            "this repository has a history of its own, so nothing was committed; when you like it:\n"
            f"    git add {' '.join(first)} && git commit -m 'Make this a home of agentloop'"
        )
    return Plan(
        home=home,
        steps=tuple(steps),
        notes=tuple(notes),
        has_targets=bool(named) or home.settings_file.exists(),
        on_github=bool(github),
    )


def _to_commit(home: Home) -> tuple[str, ...]:
    """The files of a home's first commit; never one in which somebody left a secret."""
    paths = [home.gitignore, home.settings_file, home.relay]
    return tuple(str(path.relative_to(home.root)) for path in paths if not _holds_secret(path))


def _holds_secret(path: Path) -> bool:
    return path.exists() and bool(find_secrets(path.read_text("utf-8", "replace")))


def carry_out(made: Plan) -> None:
    """Do what `made` says; a file that came to be meanwhile is left alone. Raises HomeError."""
    for step in made.steps:
        try:
            _do(step)
        except OSError as error:
            raise HomeError(
                f"{error.filename or made.home.root} cannot be made: {error.strerror}",
                fix="choose another folder, or mend it and run init again; it only adds what is missing",
            ) from error
        except GitError as error:
            raise HomeError(
                error.what, fix=error.fix or "mend it and run init again; it only adds what is missing"
            ) from error


def _do(step: Step) -> None:
    match step:
        case MakeFolder():
            make_folder(step.path, mode=step.mode)
        case WriteFile():
            if not step.path.exists():
                write_durable(step.path, step.text.encode())
        case AppendLines():
            old = step.path.read_bytes()
            gap = b"" if not old or old.endswith(b"\n") else b"\n"
            write_durable(step.path, old + gap + "".join(f"{line}\n" for line in step.lines).encode())
        case MakeRepository():
            Git(step.path).run("init", "--quiet")
        case Commit():
            _commit(step)
        case _:
            assert_never(step)


def _commit(step: Commit) -> None:
    names = {f"GIT_{role}_NAME": _NAME for role in ("AUTHOR", "COMMITTER")}
    emails = {f"GIT_{role}_EMAIL": _EMAIL for role in ("AUTHOR", "COMMITTER")}
    git = Git(step.folder, env=names | emails)
    git.run("add", "--", *step.files)
    git.run("commit", "--quiet", "--message", "Make a home for agentloop", "--", *step.files)


def describe(step: Step, root: Path) -> str:
    """Return one line for a person, with paths as seen from the home."""

    def within(path: Path) -> str:
        return "." if path == root else str(path.relative_to(root))

    match step:
        case MakeFolder():
            return f"folder      {within(step.path)}/"
        case WriteFile():
            return f"file        {within(step.path)}"
        case AppendLines():
            return f"lines       {within(step.path)}: {' '.join(step.lines)}"
        case MakeRepository():
            return "repository  .git/"
        case Commit():
            return f"commit      {', '.join(step.files)}"
        case _:
            assert_never(step)


def _folders(home: Home) -> tuple[MakeFolder, ...]:
    shared = (
        home.root,
        home.archive,
        home.notes,
        home.prompts,
        home.journal,
        home.closed_issues,
        home.closed_pulls,
    )
    private = (home.runtime, home.run)
    return (
        *(MakeFolder(path=path) for path in shared),
        *(MakeFolder(path=path, mode=_PRIVATE) for path in private),
    )


def _files(home: Home, targets: Sequence[reference.Named]) -> tuple[WriteFile, ...]:
    return (
        WriteFile(path=home.settings_file, text=reference.new_file(targets)),
        WriteFile(path=home.gitignore, text="".join(f"{line}\n" for line in IGNORED)),
        WriteFile(path=home.relay, text=relay.render(relay.FIRST)),
    )


def _ignoring(home: Home) -> Iterator[AppendLines]:
    if not home.gitignore.exists():
        return
    there = {line.strip().strip("/") for line in home.gitignore.read_text("utf-8", "replace").splitlines()}
    missing = tuple(line for line in IGNORED if line.strip("/") not in there)
    if missing:
        yield AppendLines(path=home.gitignore, lines=missing)


def _real_root(root: Path) -> Path:
    if root.is_symlink() and not root.exists():
        raise HomeError(f"{root} is a link that leads nowhere", fix="remove it, or name another folder")
    return Path(os.path.realpath(root))


def _refuse_bad_places(home: Home) -> None:
    if home.root.exists() and not home.root.is_dir():
        raise HomeError(f"{home.root} is a file", fix="name a folder, or a path where nothing is yet")
    if any(part == ".git" for part in home.root.parts) or is_git_directory(home.root):
        raise HomeError(f"{home.root} is inside a git directory", fix="choose a folder outside of it")
    base = _nearest(home.root)
    if not os.access(base, os.W_OK | os.X_OK):
        raise HomeError(f"{base} is not writable", fix=f"choose another folder, or: sudo chown $USER {base}")
    for path in (*(each.path for each in _folders(home)), *(each.path for each in _files(home, ()))):
        _refuse_detour(home, path)


def _refuse_detour(home: Home, path: Path) -> None:
    """A link inside the home could make us write somewhere else; a file in a folder's place, nowhere."""
    for part in (path, *path.parents):
        if part == home.root or not part.is_relative_to(home.root):
            return
        if part.is_symlink():
            raise HomeError(f"{part} is a symbolic link", fix="put a real file or folder in its place")
        wants_folder = part != path or path not in {home.settings_file, home.gitignore, home.relay}
        if part.exists() and part.is_dir() != wants_folder:
            kind = "folder" if wants_folder else "file"
            raise HomeError(f"{part} should be a {kind}", fix="move it out of the way")


def _nearest(path: Path) -> Path:
    return next(each for each in (path, *path.parents) if each.exists())


def _repository(root: Path) -> Path | None:
    """The git repository whose root `root` is; None when there is none. Raises HomeError inside another."""
    base = _nearest(root)
    try:
        top = Path(Git(base, env={"GIT_CEILING_DIRECTORIES": ""}).look("rev-parse", "--show-toplevel"))
    except GitError:
        return None
    if top.resolve() == root:
        return top
    raise HomeError(
        f"{root} is inside the repository {top}, which is not its own",
        fix=f"choose a folder outside of it, or give this one its own repository first: git init {root}",
    )


def _may_commit(home: Home, ours: tuple[str, ...]) -> bool:
    """Whether the repository has no commit yet, and nothing staged that is not ours."""
    git = Git(home.root)
    try:
        git.look("rev-parse", "--verify", "--quiet", "HEAD")
    except GitError:
        return set(git.look("ls-files", "-z").split("\0")) - {""} <= set(ours)
    return False


def _left_out(home: Home, named: Sequence[reference.Named]) -> Iterator[str]:
    """agentloop.toml is a person's as soon as it is there: a new target is shown, not written."""
    if not home.settings_file.exists():
        return
    text = home.settings_file.read_text("utf-8", "replace")
    for target in named:
        if reference.literal(target.repository) not in text:
            yield (
                "agentloop.toml is there already and not changed; to add the target, put this at its end:\n"
                f"    [[target]]\n    name = {reference.literal(target.name)}\n"
                f"    repository = {reference.literal(target.repository)}{_tracked(target)}"
            )


def _tracked(target: reference.Named) -> str:
    if target.tracker != "github":
        return ""
    return (
        '\n    tracker = "github"\n'
        f"and the token's file, where there is none yet, as token_file of [github] ({reference.TOKEN_FILE})"
    )


def _named(home: Home, targets: Sequence[str], github: Sequence[str]) -> tuple[reference.Named, ...]:
    found: list[reference.Named] = []
    here = [(target if rules.is_url(target) else _local(home, target), "built-in") for target in targets]
    for repository, tracker in [*here, *((_on_github(one), "github") for one in github)]:
        refusal = rules.repository(repository)
        if refusal:
            raise TargetError(refusal.what, fix=refusal.fix)
        taken = {each.name for each in found}
        name = _name(home, repository, taken)
        found.append(reference.Named(name=name, repository=repository, tracker=tracker))
    return tuple(found)


def _on_github(told: str) -> str:
    if re.fullmatch(r"[\w.-]+/[\w.-]+", told):
        return f"https://github.com/{told.removesuffix('.git')}"
    if re.fullmatch(r"https?://[^/\s]+/[\w.-]+/[\w.-]+/?", told):
        return told.rstrip("/").removesuffix(".git")
    raise TargetError(
        f"{told!r} names no repository on a GitHub", fix="write OWNER/NAME, or https://HOST/OWNER/NAME"
    )


def _local(home: Home, target: str) -> str:
    """A local target's path as the home should name it: relative when it is near, else absolute."""
    path = Path(target).expanduser().resolve()
    if path == home.root:
        return "."
    _refuse_no_repository(path)
    relative = os.path.relpath(path, home.root)
    return str(path) if relative.count("../") > 1 else relative


def _refuse_no_repository(path: Path) -> None:
    if not path.is_dir():
        raise TargetError(f"{path} is no folder", fix="name the folder of a git repository, or its URL")
    if not (path / ".git").exists() and not is_git_directory(path):
        raise TargetError(
            f"{path} is no git repository", fix=f"name the repository's root, or: git init {path}"
        )
    try:
        Git(path).look("rev-parse", "--verify", "--quiet", "HEAD^{commit}")
    except GitError as error:
        raise TargetError(
            f"{path} has no commits to start from", fix=f"make a first commit: git -C {path} commit"
        ) from error


def _name(home: Home, repository: str, taken: set[str]) -> str:
    last = home.root.name if repository == "." else re.split(r"[/:]", repository.rstrip("/"))[-1]
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", last.removesuffix(".git")).strip("-._")[:60] or "target"
    counted = (plain, *(f"{plain}-{n}" for n in range(2, 100)))
    return next(name for name in counted if name not in taken)
