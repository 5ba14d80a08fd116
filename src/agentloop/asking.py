"""Asking the admin agent of a home: its model, metered; its prompt; its bounded reads.

What is heavy is imported when it is asked: a cycle with nothing to judge never loads it.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from agentloop.cycle import Spent
from agentloop.domain.limits import Wanted
from agentloop.domain.money import Reserved, shares_of
from agentloop.domain.proposal import NoAnswer
from agentloop.domain.taping import UNRECORDED, masked
from agentloop.edges.clock import SystemClock
from agentloop.edges.files import make_folder, write_plain
from agentloop.edges.keys import KEY_VARIABLE, find_key
from agentloop.errors import AgentloopError, SettingsError
from agentloop.taping import TapedClock, TapedModel, as_it_is, read_spent

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentloop.admin.briefing import Briefing
    from agentloop.admin.tools import Look
    from agentloop.domain.proposal import Reply
    from agentloop.domain.scene import Scene
    from agentloop.domain.settings import Settings, Target
    from agentloop.domain.signals import Matter
    from agentloop.domain.taping import Tape
    from agentloop.edges.ledger import Ledger
    from agentloop.home import Home
    from agentloop.ports import Model, Outside


class Admin:
    """The admin agent of a home: its model, metered; its prompt; its bounded reads."""

    def __init__(
        self,
        home: Home,
        settings: Settings,
        outside: Outside,
        *,
        folder: Path | None = None,
        tape: Tape = UNRECORDED,
    ) -> None:
        self._home = home
        self._settings = settings
        self._out = outside
        self._folder = folder
        self._tape = tape

    def __call__(
        self, scene: Scene, matters: tuple[Matter, ...], *, stall: str, relay: str, purse_micros: int
    ) -> tuple[Reply, Spent, tuple[str, ...]]:
        """Return how asking ended, what it cost, and the matters that were shown."""
        from agentloop.admin.briefing import brief

        briefing = brief(
            scene,
            matters,
            relay=relay,
            stall=stall,
            marks=self._mark,
            diffs=lambda attempt: self.diff(scene, attempt),
        )
        # Its reservation is in the journal already: the world's cycle is this one.
        folder = self._folder or self._home.cycle(scene.world.cycle)
        self._tape.call("briefing", briefing.text, lambda: self._keep(folder, briefing.text), as_it_is)
        aside = [each for name, each in scene.world.token_purses.items() if name.startswith("admin:")]
        given = Wanted(micros=purse_micros, tokens=sum(aside))
        model = TapedModel(self._tape, lambda: self._model(folder, given))
        try:
            reply = self._decide(scene, briefing, model)
        except AgentloopError as error:
            reply = NoAnswer(why=error.what, fix=error.fix, service=True)
        spent = self._tape.call("spent", None, lambda: self._spent(folder), read_spent)
        return reply, spent, tuple(one.id for one in briefing.matters)

    def _keep(self, folder: Path, briefing: str) -> None:
        make_folder(folder)
        text = masked(briefing, keys(self._settings))
        write_plain(folder / "briefing.md", text.encode("utf-8", "replace"))

    def _mark(self) -> str:
        from agentloop.admin.briefing import fresh_mark

        return self._tape.call("mark", None, fresh_mark, as_it_is)

    def _spent(self, folder: Path) -> Spent:
        from agentloop.edges.ledger import Ledger

        return _spent(Ledger(folder / "ledger.jsonl"), self._settings.models.admin)

    def _decide(self, scene: Scene, briefing: Briefing, model: Model) -> Reply:
        from agentloop.admin.agent import Bounds, decide
        from agentloop.prompts import render

        models = self._settings.models
        return decide(
            model,
            name=models.admin,
            prompt=self._tape.call("prompt", None, lambda: render("admin", self._home.root), as_it_is),
            briefing=briefing,
            look=lambda look: self._look(scene, look),
            bounds=Bounds(
                turns=models.admin_turns,
                seconds=models.admin_seconds,
                max_output_tokens=models.max_output_tokens,
                call_seconds=models.call_seconds,
            ),
            clock=TapedClock(self._tape, SystemClock()),
        )

    def spent_in(self, cycle: int) -> Spent | None:
        """Return what asking in an earlier cycle cost, or None when its ledger is gone."""
        from agentloop.edges.ledger import Ledger

        ledger = Ledger(self._home.cycle(cycle) / "ledger.jsonl")
        if not ledger.path.parent.is_dir():
            return None
        return _spent(ledger, self._settings.models.admin)

    def _model(self, folder: Path, given: Wanted) -> Model:
        from agentloop.domain.money import limits_for
        from agentloop.edges.anthropic import AnthropicModel, retrying
        from agentloop.edges.discreet import DiscreetModel
        from agentloop.edges.ledger import Ledger
        from agentloop.edges.metered import MeteredModel

        models, limits = self._settings.models, self._settings.limits
        key = find_key(models.key_file, os.environ.get(KEY_VARIABLE, ""))
        if not key:
            raise SettingsError(
                "there is no API key for the admin's model",
                fix="set ANTHROPIC_API_KEY, or models.key_file, or a systemd credential `anthropic-key`",
            )
        metered = MeteredModel(
            AnthropicModel(api_key=key, base_url=models.base_url),
            model=models.admin,
            fallback=models.admin_fallback,
            ledger=Ledger(folder / "ledger.jsonl"),
            prices=self._settings.prices,
            limits=limits_for(limits, "cycle", given.micros, given.tokens),
            retry=retrying(),
        )
        return DiscreetModel(metered, (key,))

    def _look(self, scene: Scene, look: Look) -> str:
        from agentloop.admin.briefing import fence
        from agentloop.admin.tools import ReadDiff, ReadFile, ReadIssue, ReadLog

        match look:
            case ReadIssue(issue=issue):
                return self._issue(scene, issue)
            case ReadDiff(attempt=attempt):
                return fence(
                    f"diff of {attempt}",
                    _or_why(lambda: self._diff(scene, attempt)),
                    20_000,
                    marks=self._mark,
                )
            case ReadLog(attempt=attempt):
                return fence(f"log of {attempt}", self._log(scene, attempt), 12_000, marks=self._mark)
            case ReadFile(path=path, target=target):
                return fence(
                    f"file {path}", _or_why(lambda: self._file(target, path)), 20_000, marks=self._mark
                )

    def _issue(self, scene: Scene, issue: str) -> str:
        from agentloop.admin.briefing import issue_text

        found = scene.observed.issue(issue)
        return (
            issue_text(found, scene.world.issues.get(issue), 20_000, marks=self._mark)
            if found and found.trusted
            else f"there is no issue {issue!r} to read"
        )

    def diff(self, scene: Scene, attempt: str) -> str:
        """Return what an attempt changed, for the briefing; "" when nobody can say."""
        try:
            return self._diff(scene, attempt)
        except (AgentloopError, OSError):
            return ""  # it is said there that it has to be asked for, and why not is the answer to that

    def _diff(self, scene: Scene, attempt: str) -> str:
        view = scene.world.tasks.get(attempt.rpartition(".")[0])
        one = next((each for each in view.tries if each.attempt == attempt), None) if view else None
        target = self._settings.target(view.task.target) if view else None
        if one is None or target is None or not one.commit:
            return f"(attempt {attempt!r} has no result)"
        return self._out.repositories.diff(target, one.trunk, one.commit, 20_000)

    def _log(self, scene: Scene, attempt: str) -> str:
        verdict = scene.world.verdicts.get(attempt)
        checks = [f"$ {one.command}\n{one.output}" for one in verdict.checks] if verdict else []
        events = self._tape.call("log", attempt, lambda: self._events(attempt), as_it_is)
        return "\n\n".join([events, *checks])

    def _events(self, attempt: str) -> str:
        try:
            return self._home.attempt(Path(attempt).name).events.read_text("utf-8", "replace")[-8000:]
        except OSError:
            return "(no log is left)"

    def _file(self, name: str, path: str) -> str:
        target = self._settings.target(name)
        if target is None:
            return f"(there is no target {name!r})"
        _, commit = self._out.repositories.head(target)
        text = self._out.repositories.read(target, commit, path, 20_000)
        return text if text is not None else self._listing(target, commit, path)

    def _listing(self, target: Target, commit: str, path: str) -> str:
        prefix = "" if path in ("", ".", "./") else path.rstrip("/") + "/"
        paths = [one for one in self._out.repositories.paths(target, commit) if one.startswith(prefix)]
        if not paths:
            return f"(there is no {path!r})"
        names = sorted({_next_part(one, prefix) for one in paths})
        return "\n".join(names[:400])


def keys(settings: Settings) -> tuple[str, ...]:
    """Return the model's key and GitHub's token, where they can be read: no record has them."""
    found = []
    with suppress(OSError, UnicodeDecodeError):
        found.append(find_key(settings.models.key_file, os.environ.get(KEY_VARIABLE, "")))
    if any(target.tracker == "github" for target in settings.targets):
        from agentloop.edges.github.token import token_in

        with suppress(AgentloopError):
            found.append(token_in(settings.github.token_file))
    return tuple(filter(None, found))


def _or_why(read: Callable[[], str]) -> str:
    """Return what was read, or why it could not be: that is an answer too, and the talk goes on."""
    try:
        return read()
    except (AgentloopError, OSError) as error:
        return f"({error})"


def _next_part(path: str, prefix: str) -> str:
    first, slash, _ = path.removeprefix(prefix).partition("/")
    return first + slash


def _spent(ledger: Ledger, model: str) -> Spent:
    spend = ledger.spent()
    answered = [entry.model for entry in ledger.entries() if isinstance(entry, Reserved)]
    return Spent(
        micros=spend.settled_micros,
        unresolved_micros=spend.unresolved_micros,
        # The last one asked: after a refusal or an outage that is the fallback.
        model=answered[-1] if answered else model,
        shares=shares_of(ledger.entries()),
    )
