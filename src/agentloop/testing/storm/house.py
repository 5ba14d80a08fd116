"""One home that works for a repository on a simulated GitHub: the real cycle, tracker, forge, cache and git.

Doubles are the model, the workers and gates, the relay and the journal, all in memory. Each cycle begins as a
process would: with nothing but the journal, the relay and the files of the home.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from agentloop import cycle, wiring
from agentloop.cycle import Parts, Spent
from agentloop.domain import decisions as d
from agentloop.domain.observed import Ground
from agentloop.domain.proposal import Proposal
from agentloop.domain.settings import GitHub, Settings, Target
from agentloop.domain.valueclass import replace
from agentloop.domain.work import Check, Delivered
from agentloop.domain.world import Waiting
from agentloop.edges.github.connecting import site_of
from agentloop.home import Home
from agentloop.ports import Outside, Taken
from agentloop.testing import gitrepo
from agentloop.testing.github import Refused
from agentloop.testing.github.values import Rule
from agentloop.testing.memory_parts import MemoryBaton, MemoryExecutor, MemoryJournal, MemoryNotes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from agentloop.cycle import Ended
    from agentloop.domain.proposal import Reply
    from agentloop.domain.scene import Scene
    from agentloop.domain.signals import Matter
    from agentloop.domain.work import AttemptSpec, End
    from agentloop.domain.world import World
    from agentloop.testing.github import Server
    from agentloop.testing.github.server import Logged
    from agentloop.testing.github.values import Account, Repository, Thread

BOT: Final = "loop-bot"
TOKEN: Final = "ghp_0123456789abcdefghijklmnopqrstuvwxyz"  # noqa: S105 - opens a simulation
VAGUE: Final = "vague"
"""An issue with this word in its title is asked about."""


class Weather:
    """A clock that goes on by itself a little with every look, as clocks do, and by leaps when told."""

    def __init__(self) -> None:
        self._now = datetime(2026, 11, 2, 9, tzinfo=UTC)

    def now(self) -> datetime:
        """Return the time now, in UTC."""
        self._now += timedelta(milliseconds=20)
        return self._now

    def pass_by(self, **span: float) -> None:
        """Let time pass, as `timedelta` takes it."""
        self._now += timedelta(**span)


class Mirrored:
    """The target's mirror, in real git; a worker's result is a commit that adds a file of its own."""

    def __init__(self, origin: Path, folder: Path) -> None:
        self._origin = origin
        self._folder = gitrepo.mirror(origin, folder)
        self._taken: dict[str, str] = {}

    def head(self, target: Target) -> tuple[str, str]:
        """Fetch, and return the branch and the commit that work starts from."""
        del target
        gitrepo.git(self._folder, "fetch", "--quiet", "origin", "+refs/heads/*:refs/heads/*")
        return "main", gitrepo.head(self._folder, "main")

    def prepare(self, spec: AttemptSpec, *, message: str) -> None:
        """Do nothing: nobody works in a tree here."""

    def take(self, spec: AttemptSpec, end: End, *, message: str, parents: tuple[str, ...]) -> Taken:
        """Return the attempt's commit on its first parent; taken again it is the same one."""
        del end
        if spec.id not in self._taken:
            path = f"{spec.id.replace('.', '-')}.txt"
            made = gitrepo.commit_in(self._folder, parents[0], {path: message}, message)
            if parents[1:]:
                joined = [word for parent in parents for word in ("-p", parent)]
                made = gitrepo.git(self._folder, "commit-tree", f"{made}^{{tree}}", *joined, "-m", message)
            self._taken[spec.id] = made
        return Taken(commit=self._taken[spec.id], tree=spec.id)

    def diff(self, target: Target, base: str, commit: str, limit_bytes: int) -> str:
        """Return the names of the two."""
        del target
        return f"diff {base} {commit}"[:limit_bytes]

    def read(self, target: Target, commit: str, path: str, limit_bytes: int) -> str | None:
        """Return nothing: nobody asks."""
        del target, commit, path, limit_bytes
        return None

    def paths(self, target: Target, commit: str) -> tuple[str, ...]:
        """Return the paths at a commit."""
        del target
        return tuple(gitrepo.git(self._folder, "ls-tree", "-r", "--name-only", commit).splitlines())

    def folder(self, target: Target) -> Path:
        """Return the mirror's folder."""
        del target
        return self._folder


@dataclass(slots=True)
class House:
    """A home in `root`, whose target `web` is `octocat/web` on the server; `clock` is everybody's.

    `asked` counts how often the admin was asked; `cycles` holds how each ended.
    """

    root: Path
    server: Server
    clock: Weather
    settings: Settings = field(init=False)
    repository: Repository = field(init=False)
    home: Home = field(init=False)
    journal: MemoryJournal = field(default_factory=MemoryJournal)
    baton: MemoryBaton = field(default_factory=MemoryBaton)
    asked: int = 0
    cycles: list[Ended] = field(default_factory=list)
    reads: list[int] = field(default_factory=list)
    executor: MemoryExecutor = field(init=False)
    mirror: Mirrored = field(init=False)
    notes: MemoryNotes = field(default_factory=MemoryNotes)

    def __post_init__(self) -> None:
        hub = self.server.hub
        hub.token(BOT, TOKEN)
        self.repository = hub.repository("octocat/web", {"app.py": "one\n"})
        self.repository.roles[BOT] = "write"
        self.repository.rules = [Rule(id=hub.new_id(), branch="main")]
        word = self.root / "token"
        word.write_text(TOKEN, encoding="utf-8")
        word.chmod(0o600)
        target = Target(
            name="web",
            repository=f"{self.server.site}/octocat/web",
            tracker="github",
            verify=("python -m pytest -q",),
        )
        github = GitHub(token_file=str(word), write_seconds=0, autonomy="propose")
        self.settings = Settings(targets=(target,), github=github)
        self.home = Home(self.root / "home")
        self.executor = MemoryExecutor(self.clock.now)
        self.mirror = Mirrored(self.repository.folder, self.home.mirror_of("web"))

    @property
    def world(self) -> World:
        """What the journal tells."""
        return self.journal.world()

    def cycle(self) -> Ended:
        """Run one cycle as a process would, and return how it ended."""
        sites = {
            target.name: site_of(self.home, self.settings, target, now=self.clock.now)
            for target in self.settings.targets
        }
        before = len(self.server.api.calls)
        try:
            ports = wiring.outside(self.home, self.settings, sites)
            ended = wiring.with_problems(cycle.run(self._parts(ports)), wiring.unread(ports))
        finally:
            for site in sites.values():
                site.close()
        self.reads.append(sum(one.cost for one in self.server.api.calls[before:]))
        self.cycles.append(ended)
        return ended

    def _parts(self, out: Outside) -> Parts:
        return Parts(
            version="1",
            settings=self.settings,
            clock=self.clock,
            journal=self.journal,
            outside=replace(
                out,
                executor=self.executor,
                repositories=self.mirror,
                notes=self.notes,
                sweep=lambda _keep: None,
                bound=lambda _over: None,
                disk_short=bool,
            ),
            baton=self.baton,
            ask_admin=self._admin,
            ground=self._ground,
            take_wake=tuple,
            tell=lambda _event, _fields: None,
        )

    def _ground(self, target: Target) -> Ground:
        branch, commit = self.mirror.head(target)
        paths = frozenset(self.mirror.paths(target, commit))
        return Ground(
            target=target.name, branch=branch, commit=commit, paths=paths, programs=frozenset({"python"})
        )

    def _admin(
        self, scene: Scene, matters: tuple[Matter, ...], *, stall: str, relay: str, purse_micros: int
    ) -> tuple[Reply, Spent, tuple[str, ...]]:
        del stall, relay, purse_micros
        self.asked += 1
        decisions = tuple(one for matter in matters for one in _decided(scene, matter))
        spent = Spent(micros=1000, unresolved_micros=0, model="claude-opus-5-5")
        reply = Proposal(decisions=decisions, delta=None, models=("m",), turns=1)
        return reply, spent, tuple(one.id for one in matters)

    # People and workers.

    def person(self, login: str = "alice") -> Account:
        """A collaborator."""
        self.repository.roles.setdefault(login, "write")
        return self.server.hub.account(login)

    def file(self, title: str, body: str = "It ends with a traceback.") -> Thread:
        """File an issue as Alice."""
        return self.server.hub.open_issue(self.repository, self.person(), title, body)

    def neighbour(self, name: str) -> Repository:
        """Give the home another target of that name, `octocat/<name>`, and return its repository."""
        made = self.server.hub.repository(f"octocat/{name}", {"app.py": "one\n"})
        made.roles[BOT] = made.roles["alice"] = "write"
        made.rules = [Rule(id=self.server.hub.new_id(), branch="main")]
        address = f"{self.server.site}/octocat/{name}"
        other = replace(self.settings.targets[0], name=name, repository=address)
        self.settings = replace(self.settings, targets=(*self.settings.targets, other))
        return made

    def work(self) -> None:
        """Let every attempt deliver, and every gate be green."""
        for name in self.executor.alive():
            role, _, run = name.partition(":")
            if role == "gate":
                self.executor.judge(run)
                continue
            tip = hashlib.sha1(run.encode(), usedforsecurity=False).hexdigest()
            self.executor.spend(run, settled_micros=20_000)
            self.executor.end(run, Delivered(tip=tip, summary=f"done in {run}"))

    def pulls(self) -> Iterator[Thread]:
        """Yield the open pull requests of ours."""
        self.server.hub.look_at_git(self.repository, self.person())
        for thread in list(self.repository.threads.values()):
            if thread.pull and thread.state == "open" and not thread.gone:
                yield thread

    def review(self) -> None:
        """Ask for changes in every new pull request once, then approve and merge it."""
        hub = self.server.hub
        for thread in self.pulls():
            asked = [one for one in thread.part.reviews if one.verdict == "CHANGES_REQUESTED"]
            if not asked:
                words = "Please name the operator."
                hub.review(self.repository, self.person(), thread, "CHANGES_REQUESTED", words)
            elif asked[-1].commit != thread.part.head:
                if thread.part.draft:
                    hub.set_draft(self.repository, self.person(), thread, draft=False)
                hub.review(self.repository, self.person(), thread, "APPROVED")
                try:
                    hub.merge(self.repository, self.person(), thread)
                except Refused:
                    hub.close(self.repository, self.person(), thread)

    def answer(self) -> None:
        """Answer each question once, with one character."""
        for thread in list(self.repository.threads.values()):
            if thread.pull or thread.gone or VAGUE not in thread.title or thread.state != "open":
                continue
            heard = [one for one in thread.comments if one.author.login == "alice" and one.body == "1"]
            if any("1." in one.body for one in thread.comments if one.author.login == BOT) and not heard:
                self.server.hub.comment(self.repository, self.person(), thread, "1")

    def settle(self, cycles: int = 12) -> None:
        """Run cycles, minutes apart, without anybody doing anything, until two in a row are idle."""
        idle = 0
        for _ in range(cycles):
            idle = idle + 1 if self.cycle().outcome == "idle" else 0
            if idle == 2:  # noqa: PLR2004 - the second one shows that nothing of the first was news
                return
            self.clock.pass_by(minutes=3)

    def calls_of(self, cycles: int) -> list[Logged]:
        """Run so many cycles, minutes apart, and return what they asked of GitHub."""
        before = len(self.server.api.calls)
        for _ in range(cycles):
            self.cycle()
            self.clock.pass_by(minutes=3)
        return self.server.api.calls[before:]


def _decided(scene: Scene, matter: Matter) -> tuple[d.AdminDecision, ...]:
    match matter.kind:
        case "issue":
            return (_about(scene, matter.about),)
        case "green":
            return (
                d.Review(attempt=matter.about, accept=True, says="does what was asked", rationale="read"),
            )
        case "returned":
            task = matter.about.rpartition(".")[0]
            return (d.Retry(task=task, guidance=f"after {matter.about}: look at main", rationale="new"),)
        case _:
            return (d.Sleep(minutes=30, rationale="noted"),)


def _about(scene: Scene, name: str) -> d.Ask | d.Plan | d.Answer:
    found = scene.observed.issue(name)
    view = scene.world.issues[name]
    if found is not None and VAGUE in found.title:
        if isinstance(view.state, Waiting):
            return d.Answer(issue=name, text="Then nothing is to be done.", rationale="they said so")
        return d.Ask(
            issue=name, question="Which of the two?", choices=("this", "that"), rationale="all of it"
        )
    task = d.PlannedTask(
        title="Say that one cannot divide by zero",
        goal="Dividing by zero prints one sentence that says so, and ends with status 2.",
        criteria=("`calc 1 / 0` prints a sentence and no traceback",),
        checks=(Check(name="tests", command="python -m pytest -q"),),
    )
    return d.Plan(issue=name, tasks=(task,), rationale="one place to mend")
