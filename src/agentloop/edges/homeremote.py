"""The home's branch and its remote, kept level: what the loop commits is pushed, a person's edit taken.

Before a cycle takes the relay, what a person made of it on the remote is handed to it as a file that
somebody saved (`RelayFile.saved_elsewhere`): merged three ways, the person's words kept. After a cycle what
is new here is pushed, never forced. Only the relay is taken: settings and prompts have authority over money
and sandbox, and who may write to a remote need not be who may write to this machine. Such a change waits
for a person's `git pull`, and is said.

What is known of the remote is in `.agentloop/relay/remote.json`, and may be lost. With nothing to push and
nothing new there no process is started.
"""

from __future__ import annotations

import json
import re
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from agentloop.domain.valueclass import dataclass, replace
from agentloop.edges import runfolder
from agentloop.edges.files import make_folder, write_plain
from agentloop.edges.git import CONFIG, DURABLE, Git, GitError, environment, without_password
from agentloop.edges.homegit import IDENTITY, PutOff, branch_of, ref_in
from agentloop.edges.relay import RelayFile
from agentloop.errors import AgentloopError, HomeError

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentloop.edges.git import Login
    from agentloop.home import Home

NONE: Final = "none"
"""The setting's word for no remote at all."""
ASK_SECONDS: Final = 1800
"""How often a remote is asked that takes a process to ask: neither on GitHub nor a folder here."""
AGAIN_SECONDS: Final = 600
"""When to try again what failed, though nothing changed."""
GIT_SECONDS: Final = 60
_SCANNED_BYTES: Final = 20_000_000
_DIVERGED: Final = re.compile(r"\[rejected\]|non-fast-forward|fetch first|stale info")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where the remote is: its name, address, and the branch (`refs/heads/…`) there."""

    name: str
    address: str
    ref: str

    @property
    def says(self) -> str:
        """As a person names it."""
        return f"{self.name}/{self.ref.removeprefix('refs/heads/')}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What is known of the remote: where its branch stands, and what became of the last try."""

    found: str = ""
    """What `place` was found by: another stamp of git's settings, another place."""
    place: Place | None = None
    theirs: str | None = None
    """The commit that the branch is at there ("" = there is no such branch); None = nobody has looked."""
    asked: float = 0.0
    taken: str = ""
    """The relay (its blob) that was taken from there last."""
    tried: tuple[str, str] = ("", "")
    """Our commit and theirs when it failed."""
    again: float = 0.0
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """How remotes are reached: by the token where it opens one; asked without git where that can be."""

    setting: str = ""
    key: str = ""
    """Changes whenever `refused` may answer otherwise."""
    login: Callable[[str], Login | None] = lambda _: None
    ask: Callable[[Place], str | None] = lambda _: None
    """Returns the commit of the branch ("" = none), None when that takes git."""
    refused: Callable[[str], str] = lambda _: ""
    """Returns why an address must not be pushed to, "" when it may be."""


class HomeRemote:
    """The remote of one home, under the home's lock. Nothing that fails here is raised: it is `problem`."""

    def __init__(
        self,
        home: Home,
        reach: Reach,
        tell: Callable[[str, dict[str, Any]], None],
        now: Callable[[], float] = time.time,
    ) -> None:
        """`tell` logs what was pushed and taken; `now` is in seconds since the epoch."""
        self._home = home
        self._reach = reach
        self._tell = tell
        self._now = now
        self._file = _file_of(home)
        self._known = _read(self._file)
        self._in_trouble = False

    @property
    def problem(self) -> str:
        """What keeps the home from being level with its remote; "" = nothing."""
        return self._known.problem

    @property
    def place(self) -> Place | None:
        """Where the remote is, None when there is none."""
        return self._known.place

    def take(self) -> None:
        """Take over what a person did to the relay there. Call before the relay is taken."""
        try:
            place = self._find()
            theirs = self._ask(place) if place else None
            if place and theirs and theirs != self._known.theirs:
                self._take_from(place, theirs)
            elif place and theirs is not None:
                self._keep(theirs=theirs)
        except (AgentloopError, OSError) as error:
            self._failed(f"cannot be looked at: {_words(error)}")

    def give(self) -> None:
        """Push what is new here. Call when the relay is written and committed."""
        place, ours = self._known.place, self._tip()
        theirs = self._known.theirs
        if place is None or not ours or ours == theirs:
            if place and ours and not self._in_trouble:
                self._keep(problem="", again=0.0)
            return
        if self._known.tried == (ours, theirs or "") and self._now() < self._known.again:
            return
        try:
            self._give_to(place)
        except (AgentloopError, OSError) as error:
            self._failed(f"is not pushed to: {_words(error)}")

    # Where it is, and where it stands.

    def _find(self) -> Place | None:
        branch, folder = branch_of(self._home.root)
        if self._reach.setting == NONE or not branch:
            self._keep(found="", place=None, problem="")
            return None
        stat = (folder / "config").stat()
        found = f"{stat.st_mtime_ns} {stat.st_size} {branch} {self._reach.setting} {self._reach.key}"
        if found != self._known.found:
            place = self._look_up(branch)
            self._known = Known(found=found, place=place)
            self._keep()
        return self._known.place

    def _look_up(self, branch: str) -> Place | None:
        git = Git(self._home.root, env=_persons())
        name = branch.removeprefix("refs/heads/")
        upstream = _setting(git, f"branch.{name}.remote")
        remote = self._reach.setting or (upstream if upstream not in ("", ".") else "origin")
        if not self._reach.setting and not _setting(git, f"remote.{remote}.url"):
            return None
        address = git.look("remote", "get-url", "--push", remote)
        if why := self._reach.refused(address):
            if self._reach.setting:
                raise HomeError(why, fix=f'take remote = "{remote}" out of [home]')
            return None
        merged = _setting(git, f"branch.{name}.merge") if upstream == remote else ""
        return Place(name=remote, address=address, ref=merged or branch)

    def _ask(self, place: Place) -> str | None:
        """Return where the branch stands there ("" = there is none), None when it is not time to ask."""
        if (local := _folder_at(place.address, self._home.root)) is not None:
            return ref_in(local, place.ref) or ""
        told = self._reach.ask(place)
        if told is not None:
            return told
        if self._now() < self._known.asked + ASK_SECONDS:
            return None
        self._keep(asked=self._now())
        said = self._git(place).look("ls-remote", place.name, place.ref, timeout_seconds=GIT_SECONDS)
        return said.partition("\t")[0]

    # From there to here.

    def _take_from(self, place: Place, theirs: str) -> None:
        git = self._git(place)
        if not _has(git, theirs):
            self._fetch(git, place)
        ours = self._tip()
        if ours and not _is_within(git, theirs, ours):
            base = _base(git, ours, theirs)
            self._take_relay(git, place, base, theirs)
        self._keep(theirs=theirs)

    def _fetch(self, git: Git, place: Place) -> None:
        branch = place.ref.removeprefix("refs/heads/")
        spec = f"+{place.ref}:refs/remotes/{place.name}/{branch}"
        git.look(
            "fetch", "--quiet", "--no-tags", "--no-write-fetch-head", place.name, spec,
            timeout_seconds=GIT_SECONDS,
        )  # fmt: skip

    def _take_relay(self, git: Git, place: Place, base: str, theirs: str) -> None:
        name = self._home.relay.relative_to(self._home.root).as_posix()
        blob, before = _blob(git, theirs, name), _blob(git, base, name) if base else ""
        if not blob or blob in (before, self._known.taken):
            return
        RelayFile(self._home).saved_elsewhere(git.plainly("cat-file", "blob", blob))
        self._keep(taken=blob)
        self._say("notice", f"the relay was edited at {place.says}: taken over")

    # From here to there.

    def _give_to(self, place: Place) -> None:
        git = self._git(place)
        theirs = self._known.theirs
        if theirs is None:
            said = git.look("ls-remote", place.name, place.ref, timeout_seconds=GIT_SECONDS)
            theirs = said.partition("\t")[0]
            if theirs:
                self._take_from(place, theirs)
            self._keep(theirs=theirs, asked=self._now())
        ours = self._tip() or ""
        if theirs and not _is_within(git, theirs, ours):
            self._join(git, place, ours, theirs)
            ours = self._tip() or ""
        if theirs == ours:
            self._keep(problem="", again=0.0)
            return
        self._refuse_secrets(git, theirs, ours)
        self._push(git, place, ours)

    def _join(self, git: Git, place: Place, ours: str, theirs: str) -> None:
        """Make a commit on both, when nothing but the relay was changed there: it is merged already."""
        base = _base(git, ours, theirs)
        if not base:
            raise HomeError(
                f"{place.says} has another history than this home", fix="git -C HOME pull, by hand"
            )
        name = self._home.relay.relative_to(self._home.root).as_posix()
        changed = git.look("diff", "--name-only", "--no-renames", "-z", base, theirs).split("\0")
        if more := [path for path in changed if path not in ("", name)]:
            raise HomeError(
                f"{', '.join(more[:3])}{' and more' if more[3:] else ''} changed there, and only the relay "
                "is taken by itself: whoever can write there shall not set what is spent and allowed here",
                fix=f"look at it, then: git -C {self._home.root} pull --no-rebase {place.name} "
                f"{place.ref.removeprefix('refs/heads/')}",
            )
        self._settle()
        ours = self._tip() or ours
        message = f"Take over {name} as edited at {place.says}"
        commit = Git(self._home.root, env=_identity()).look(
            "commit-tree", f"{ours}^{{tree}}", "-p", ours, "-p", theirs, "-m", message
        )
        branch, _ = branch_of(self._home.root)
        git.look("update-ref", "-m", "agentloop", branch, commit, ours)

    def _settle(self) -> None:
        """Write and commit the relay with what was taken, where the cycle had no reason to write it."""
        file = RelayFile(self._home)
        found = file.read()
        if not found.settled and file.write(found.relay, found).changed:
            outcome = file.commit("Take over the relay as a person edited it")
            if isinstance(outcome, PutOff):
                raise HomeError(outcome.reason, fix=outcome.fix)

    def _refuse_secrets(self, git: Git, theirs: str, ours: str) -> None:
        from agentloop.domain.secrets import find_secrets  # an idle cycle has no use for it

        spec = f"{theirs}..{ours}" if theirs else ours
        said = git.run(
            "log", "--patch", "--unified=0", "--no-color", "--no-ext-diff", "--no-textconv",
            "--format=commit %h", spec, limit_bytes=_SCANNED_BYTES, timeout_seconds=GIT_SECONDS,
        )  # fmt: skip
        if len(said) > _SCANNED_BYTES:
            raise HomeError(
                "there is too much that was never pushed to look through it for secrets",
                fix=f"push it once yourself: git -C {self._home.root} push",
            )
        path, commit = "", ""
        for line in said.decode("utf-8", "replace").splitlines():
            if line.startswith("commit "):
                commit = line[7:]
            elif line.startswith("+++ "):
                path = line[6:]
            elif line.startswith("+") and (found := find_secrets(line[1:])):
                raise HomeError(
                    f"commit {commit} puts a secret ({found[0].kind}) into {path}",
                    fix="revoke it, and take that commit out of the home's history",
                )

    def _push(self, git: Git, place: Place, ours: str) -> None:
        try:
            git.look(
                "push", "--quiet", "--no-follow-tags", place.name, f"{ours}:{place.ref}",
                timeout_seconds=GIT_SECONDS,
            )  # fmt: skip
        except GitError as error:
            if _DIVERGED.search(error.stderr):
                self._keep(theirs=None)
                runfolder.append_wake(str(self._home.root), f"{place.says} was moved")
                raise HomeError(
                    f"{place.says} was moved meanwhile", fix="nothing: the next cycle looks"
                ) from error
            raise
        self._keep(theirs=ours, problem="", again=0.0)
        self._say("home.pushed", f"the home is at {place.says}: {ours[:9]}")
        with suppress(AgentloopError):
            self._reach.ask(place)  # or the probe takes our own push for news

    # What is kept.

    def _tip(self) -> str | None:
        branch, folder = branch_of(self._home.root)
        return ref_in(folder, branch) if branch else None

    def _git(self, place: Place) -> Git:
        login = self._reach.login(place.address)
        return Git(self._home.root, login=login) if login else Git(self._home.root, env=_persons())

    def _failed(self, why: str) -> None:
        name = self._known.place.says if self._known.place else "the home's remote"
        problem = f"{name} {why}"
        self._in_trouble = True
        if problem != self._known.problem:
            self._say("problem", problem)
        tried = (self._tip() or "", self._known.theirs or "")
        self._keep(problem=problem, tried=tried, again=self._now() + AGAIN_SECONDS)

    def _say(self, event: str, says: str) -> None:
        self._tell(event, {"says": says, "why": says})

    def _keep(self, **changes: Any) -> None:  # noqa: ANN401 - fields of Known
        new = replace(self._known, **changes)
        if new == self._known and self._file.exists():
            return
        self._known = new
        make_folder(self._file.parent)
        place = new.place and {"name": new.place.name, "address": new.place.address, "ref": new.place.ref}
        fields = {name: getattr(new, name) for name in _PLAIN}
        write_plain(self._file, json.dumps({**fields, "tried": new.tried, "place": place}).encode())


def known_of(home: Home) -> Known:
    """Return what the last cycle knew of the home's remote."""
    return _read(_file_of(home))


def _file_of(home: Home) -> Path:
    return home.runtime / "relay" / "remote.json"


_PLAIN: Final = ("found", "theirs", "asked", "taken", "again", "problem")


def _read(path: Path) -> Known:
    try:
        said = json.loads(path.read_bytes())
        ours, theirs = map(str, said["tried"])
        place = Place(**said["place"]) if said["place"] else None
        return Known(place=place, tried=(ours, theirs), **{name: said[name] for name in _PLAIN})
    except (OSError, ValueError, KeyError, TypeError):
        return Known()


def _persons() -> dict[str, str]:
    """The person's own git settings, with what opens their repositories; never a prompt."""
    from agentloop.edges.origin import persons_environment  # an idle cycle has no use for it

    config = {key: value for key, value in (CONFIG | DURABLE).items() if key != "credential.helper"}
    return environment(config) | persons_environment()


def _identity() -> dict[str, str]:
    name, _, mail = IDENTITY.partition(" ")
    who = {"NAME": name, "EMAIL": mail.strip("<>")}
    return {f"GIT_{role}_{what}": word for role in ("AUTHOR", "COMMITTER") for what, word in who.items()}


def _setting(git: Git, name: str) -> str:
    try:
        return git.look("config", "--get", name)
    except GitError:
        return ""


def _folder_at(address: str, home: Path) -> Path | None:
    """Return the git directory that an address on this machine names, None for one elsewhere."""
    plain = address.removeprefix("file://")
    if "://" in plain or (re.match(r"[^/]+:", plain) and not (home / plain).exists()):
        return None
    folder = home / plain
    return folder / ".git" if (folder / ".git").is_dir() else folder if (folder / "HEAD").exists() else None


def _has(git: Git, commit: str) -> bool:
    try:
        git.look("cat-file", "-e", f"{commit}^{{commit}}")
    except GitError:
        return False
    return True


def _is_within(git: Git, commit: str, tip: str) -> bool:
    return _has(git, commit) and _base(git, commit, tip) == commit


def _base(git: Git, one: str, other: str) -> str:
    try:
        return git.look("merge-base", one, other)
    except GitError:
        return ""


def _blob(git: Git, commit: str, path: str) -> str:
    try:
        return git.look("rev-parse", "--verify", "--quiet", f"{commit}:{path}")
    except GitError:
        return ""


def _words(error: AgentloopError | OSError) -> str:
    if isinstance(error, AgentloopError):
        return without_password(f"{error.what}{f' ({error.fix})' if error.fix else ''}")
    return str(error)
