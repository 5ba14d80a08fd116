"""What check runs and statuses say of a commit on GitHub, the failed ones with the part of their log."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from agentloop.domain.heard import legible
from agentloop.domain.issue import PullCheck
from agentloop.domain.joblog import failing_part
from agentloop.domain.secrets import mask
from agentloop.edges.github.client import Kept
from agentloop.errors import ForbiddenError, NotFoundError, TargetError

if TYPE_CHECKING:
    from agentloop.edges.github.site import Site

Json: TypeAlias = Any
State: TypeAlias = Literal["pending", "passed", "failed"]
_FAILED: Final = frozenset({"failure", "timed_out", "startup_failure", "error"})
"""What a change may mend; `action_required` waits for a person's action, and counts as under way."""
_PASSED: Final = frozenset({"success", "neutral", "skipped", "stale"})
ACTIONS: Final = "github-actions"
_JOB: Final = re.compile(r"/actions/runs/\d+/job/(\d+)")
"""Where a check run of GitHub Actions leads; the number is the job's."""
LOG_BYTES: Final = 400_000
"""The end of a log that is looked at."""
SAID: Final = 1000
"""Characters of title and summary, and of annotations, that are told."""
ANNOTATIONS: Final = 8
REFUSED_FOR: Final = timedelta(days=1)
"""How long a token that was refused check runs does not ask again: a refusal costs a request each time."""


class Checks:
    """The checks of one repository's commits."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._unseen: dict[str, str] = {}

    @property
    def left_out(self) -> tuple[str, ...]:
        """What could not be read in the last look, and why."""
        return tuple(self._unseen.values())

    def begin(self) -> None:
        """Forget what an earlier look could not read."""
        self._unseen.clear()

    def of(self, head: str) -> tuple[PullCheck, ...]:
        """Return what check runs and statuses say of a commit. Raises what the client raises."""
        return (*self._runs(head), *self._statuses(head))

    def _runs(self, head: str) -> list[PullCheck]:
        return [
            PullCheck(
                name=one["name"],
                state=(state := _state(one["conclusion"] or "")),
                summary=self._why(one) if state == "failed" else _said(one),
                commit=one["head_sha"],
            )
            for one in self._listed(head)
        ]

    def _listed(self, head: str) -> list[Json]:
        """Return a commit's check runs; where the token may not see them, the jobs of GitHub Actions.

        A fine-grained token is never given *Checks*, so of a private repository it gets 403 here. Each job is
        a check run, with the same number and name ("Get a job for a workflow run": `check_run_url`).
        """
        repository, shelf = self._site.repository, self._site.shelf
        path, refused = (
            f"/repos/{repository}/commits/{head}/check-runs",
            f"refused check runs of {repository}",
        )
        known = shelf.kept(refused)
        if known is None or datetime.fromisoformat(known.body) + REFUSED_FOR < self._site.now():
            try:
                found = list(self._site.client.each(path, key="check_runs"))
            except ForbiddenError:
                shelf.keep(refused, Kept(etag="", body=self._site.now().isoformat()))
            else:
                self._site.heads.append((path, {}))
                return found
        self._unseen["runs"] = (
            f"of the checks of {repository} only those of GitHub Actions and commit statuses are seen: the "
            "token may not read check runs, and a fine-grained one never may in a private repository"
        )
        return self._jobs(head)

    def _jobs(self, head: str) -> list[Json]:
        path, query = f"/repos/{self._site.repository}/actions/runs", {"head_sha": head}
        try:
            runs = list(self._site.client.each(path, query, key="workflow_runs"))
            found = [
                {**one, "details_url": one["html_url"], "app": {"slug": ACTIONS}}
                for run in runs
                for one in self._site.client.each(f"{path}/{run['id']}/jobs", key="jobs")
            ]
        except (ForbiddenError, NotFoundError) as error:
            self._unseen["runs"] = f"checks of {self._site.repository} are not seen: {error.what}"
            return []
        self._site.heads.append((path, query))
        return found

    def _statuses(self, head: str) -> list[PullCheck]:
        path = f"/repos/{self._site.repository}/commits/{head}/status"
        if "statuses" in self._unseen:
            return []
        try:
            listed = list(self._site.client.each(path, key="statuses"))
        except (ForbiddenError, NotFoundError) as error:
            # Tokens made before statuses were looked at (what they may not see can be 404, too), and servers
            # that have none: checks are seen all the same.
            self._unseen["statuses"] = (
                f"commit statuses of {self._site.repository} are not seen: {error.what}"
            )
            return []
        self._site.heads.append((path, {}))
        return [
            PullCheck(
                name=one["context"],
                state=_state(one["state"]),
                summary=_clean(one.get("description") or "")[:SAID],
                commit=head,
            )
            for one in listed
        ]

    def _why(self, run: Json) -> str:
        """Return what a failed check says, with the part of its log; read once, kept until it runs again."""
        address = f"why {self._site.repository} {run['id']} {run.get('completed_at')}"
        if kept := self._site.shelf.kept(address):
            return kept.body
        parts = (_said(run), self._annotations(run), self._log(run))
        why = "\n\n".join(filter(None, parts))
        self._site.shelf.keep(address, Kept(etag="", body=why))
        return why

    def _annotations(self, run: Json) -> str:
        if not (run.get("output") or {}).get("annotations_count"):
            return ""
        path = f"/repos/{self._site.repository}/check-runs/{run['id']}/annotations"
        found = self._site.client.each(path, most=ANNOTATIONS)
        told = [f"{one['path']}:{one['start_line']}: {one['message']}" for one in found]
        return _clean("\n".join(told))[:SAID]

    def _log(self, run: Json) -> str:
        job = _JOB.search(run.get("details_url") or "")
        if (run.get("app") or {}).get("slug") != ACTIONS or job is None:
            return ""
        path = f"/repos/{self._site.repository}/actions/jobs/{job[1]}/logs"
        try:
            log = self._site.client.text_elsewhere(path, keep=LOG_BYTES)
        except (TargetError, NotFoundError) as error:
            return f"(its log could not be read: {error.what})"
        return _clean(failing_part(log))


def _state(word: str) -> State:
    if word in _FAILED:
        return "failed"
    return "passed" if word in _PASSED else "pending"


def _said(run: Json) -> str:
    told = run.get("output") or {}
    return _clean("\n\n".join(filter(None, [told.get("title"), told.get("summary")])))[:SAID]


def _clean(text: str) -> str:
    """Without secrets, and with what is hidden in it named."""
    return mask(legible(text))
