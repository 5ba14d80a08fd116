"""`agentloop logs`: what an attempt, or the gate on its result, did and does."""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agentloop import lightstatus
from agentloop.cli import common
from agentloop.cli.common import CompactOption, HomeOption, JsonOption
from agentloop.cli.folding import print_folded, printable
from agentloop.domain.valueclass import dataclass
from agentloop.domain.wording import count
from agentloop.edges import runfolder
from agentloop.errors import NotFoundError
from agentloop.home import Home

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

    from agentloop.domain.loglines import LogLine
    from agentloop.home import RunFolder

LOOK_SECONDS = 0.25
SETTLE_LOOKS = 2
"""Looks after the end in which nothing new came: then all that was written has been shown."""
LINES = 200
TIME_COLUMNS = len("12:31:05  ")

AttemptArgument = Annotated[
    str,
    typer.Argument(
        metavar="[ATTEMPT]", help="As 7.1.2; default: what runs now, else the last.", show_default=False
    ),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One attempt, or the gate on its result, and its folder."""

    attempt: str
    role: str
    folder: RunFolder

    @property
    def log(self) -> Path:
        """The file that grows."""
        return self.folder.events if self.role == "attempt" else self.folder.log


def logs(
    attempt: AttemptArgument = "",
    *,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Stay until it ends, and say how.")] = False,
    gate: Annotated[bool, typer.Option("--gate", "-g", help="The gate on its result instead.")] = False,
    full: Annotated[
        bool, typer.Option("--full", help="Every line of words, results and checks, not the first ones.")
    ] = False,
    limit: Annotated[
        int, typer.Option("--limit", "-n", min=1, max=100_000, help="Lines at most, the newest.")
    ] = LINES,
    as_json: JsonOption = False,
    compact: CompactOption = False,
    home: HomeOption = None,
) -> None:
    """Show what an attempt did, line by line: the model's words, tools, results, cost."""
    job = _job(common.find_home(home), attempt, gate=gate)
    if as_json or compact:
        _for_program(job, limit, follow=follow, compact=compact)
    else:
        _for_person(job, limit, follow=follow, full=full)


# --- which one ----------------------------------------------------------------------------------------------


def _job(root: Path, attempt: str, *, gate: bool) -> Job:
    home = Home(root)
    role = "gate" if gate else "attempt"
    if not attempt:
        return _running(home, gate=gate) or _last(home, role)
    folder = home.gate(attempt) if gate else home.attempt(attempt)
    is_name = re.fullmatch(r"[0-9A-Za-z#_-][0-9A-Za-z.#_-]*", attempt) is not None
    if not is_name or not folder.root.is_dir():
        raise _missing(home, role, attempt)
    return Job(attempt=attempt, role=role, folder=folder)


def _running(home: Home, *, gate: bool) -> Job | None:
    found = [
        Job(attempt=folder.name, role=role, folder=of(folder.name))
        for role, root, of in (("attempt", home.attempts, home.attempt), ("gate", home.gates, home.gate))
        if role == "gate" or not gate
        for folder in _folders(root)
    ]
    running = [job for job in found if not _is_over(job)]
    return max(running, key=lambda job: _started(job.folder), default=None)


def _last(home: Home, role: str) -> Job:
    of = home.gate if role == "gate" else home.attempt
    folders = [of(path.name) for path in _folders(home.gates if role == "gate" else home.attempts)]
    if not folders:
        raise NotFoundError(f"there is no {role} yet", fix="agentloop status says what the loop waits for")
    newest = max(folders, key=_started)
    return Job(attempt=newest.root.name, role=role, folder=newest)


def _missing(home: Home, role: str, attempt: str) -> NotFoundError:
    from agentloop.domain.tasklist import meant

    names = [path.name for path in _folders(home.gates if role == "gate" else home.attempts)]
    near = meant(attempt, names) or (f"the last one is {max(names)}" if names else "there is none yet")
    return NotFoundError(
        f"there is no log of {role} {attempt}", fix=f"{near} (agentloop explain TASK lists a task's attempts)"
    )


def _folders(root: Path) -> list[Path]:
    return [path for path in root.iterdir() if path.is_dir()] if root.is_dir() else []


def _started(folder: RunFolder) -> float:
    try:
        return folder.spec.stat().st_mtime
    except OSError:
        return 0.0


def _is_over(job: Job) -> bool:
    if job.folder.end.exists() or job.folder.verdict.exists():
        return True
    claim = runfolder.read_object(str(job.folder.claim))
    return claim is not None and not runfolder.is_alive(claim)


# --- reading ------------------------------------------------------------------------------------------------


def _lines(job: Job, *, follow: bool) -> Iterator[str]:
    """Yield the log's whole lines; with `follow`, until the run is over and nothing more comes."""
    read, quiet = 0, 0
    while True:
        over = _is_over(job)  # before reading: what was written before its end is read after it
        data = _from(job.log, read)
        whole = data[: data.rfind(b"\n") + 1]
        read += len(whole)
        yield from whole.decode("utf-8", "replace").splitlines()
        quiet = 0 if whole else quiet + 1
        if not follow or (over and quiet >= SETTLE_LOOKS):
            return
        if not whole:
            time.sleep(LOOK_SECONDS)


def _from(path: Path, offset: int) -> bytes:
    try:
        with path.open("rb") as stream:
            stream.seek(offset)
            return stream.read()
    except OSError:
        return b""


def _parsed(job: Job, line: str) -> dict[str, Any]:
    if job.role == "attempt":
        try:
            found = json.loads(line)
        except ValueError:
            return {"event": "unreadable", "text": line}
        return found if isinstance(found, dict) else {"event": "unreadable", "text": line}
    at, words = re.match(r"ts=(\S+)", line), re.search(r' msg="?(.*?)"?$', line)
    return {"at": at[1] if at else "", "event": "gate", "text": words[1] if words else line}


def _ending(job: Job) -> tuple[str, str]:
    """How it ended: (`running`, `green`, `delivered`, …, `killed`) and the same as a sentence."""
    from agentloop.domain.codec import CodecError, decode, tag_of
    from agentloop.domain.telling import outcome_words
    from agentloop.domain.work import End, GateBroken, Verdict

    if not _is_over(job):
        return "running", f"{job.role} {job.attempt} is at work"
    name = f"{job.role} {job.attempt}"
    try:
        if job.role == "attempt":
            end = decode(End, runfolder.read_object(str(job.folder.end)))
            return tag_of(type(end.outcome)), f"{name} {outcome_words(end.outcome)}"
        said = runfolder.read_object(str(job.folder.verdict)) or {}
        if said.get("is") == "gate_broken":
            broken = decode(GateBroken, said)
            return "broken", f"{name} broke: {broken.reason}; {broken.fix}".rstrip("; ")
        green = decode(Verdict, said).green
    except CodecError:
        return "killed", f"{name} was killed: it left no end record"
    return ("green", f"{name}: green") if green else ("red", f"{name}: red")


# --- showing ------------------------------------------------------------------------------------------------


def _for_program(job: Job, limit: int, *, follow: bool, compact: bool) -> None:
    if follow:
        for line in _lines(job, follow=True):
            sys.stdout.write(json.dumps(_parsed(job, line), ensure_ascii=False) + "\n")
            sys.stdout.flush()
        state, says = _ending(job)
        sys.stdout.write(
            json.dumps({"event": "ended", "state": state, "says": says}, ensure_ascii=False) + "\n"
        )
        return
    events = [_parsed(job, line) for line in _lines(job, follow=False)]
    state, says = _ending(job)
    shown = events[-limit:]
    more = f"agentloop logs {job.attempt} --limit {len(events)}" if len(shown) < len(events) else None
    data = {"attempt": job.attempt, "role": job.role, "state": state, "says": says}
    spent = lightstatus.spent_micros(_from(job.folder.ledger, 0))
    verdict = runfolder.read_object(str(job.folder.verdict)) if job.role == "gate" else None
    rest = {"spent_micros": spent, "events": shown, "total": len(events), "more": more, "verdict": verdict}
    common.print_json({**data, **rest}, compact=compact)


def _for_person(job: Job, limit: int, *, follow: bool, full: bool) -> None:
    from rich.text import Text

    to = common.console()
    printer = _Printer(job, to, full=full)
    if follow:
        for line in _lines(job, follow=True):
            printer.show(line)
    else:
        lines = list(_lines(job, follow=False))
        if len(lines) > limit:
            every = f"agentloop logs {job.attempt} --limit {len(lines)}"
            words = f"the last {limit} of {len(lines)} lines; all: {every}"
            print_folded(to, Text(words, style="dim"), hang=2)
            printer.skip(lines[:-limit])
        for line in lines[-limit:]:
            printer.show(line)
    if job.role == "gate":
        _print_evidence(job, to, full=full)
    state, says = _ending(job)
    style = {"running": "cyan", "delivered": "green", "green": "green"}.get(state, "red")
    spent = lightstatus.spent_micros(_from(job.folder.ledger, 0))
    cost = f"  {_dollars(spent)} in all" if spent else ""
    print_folded(to, Text.assemble((says, style), (cost, "dim")), hang=2)
    if state == "running" and not follow:
        print_folded(to, Text(f"go on watching: agentloop logs {job.attempt} --follow", style="dim"), hang=2)
    elif printer.shortened:
        print_folded(to, Text(f"every line: agentloop logs {job.attempt} --full", style="dim"), hang=2)


def _print_evidence(job: Job, to: Console, *, full: bool) -> None:
    """What the gate saw: how each check ended, the end of what it said, and what is held against it all."""
    from rich.text import Text

    from agentloop.domain.codec import CodecError, decode
    from agentloop.domain.telling import finding_words
    from agentloop.domain.wording import tail
    from agentloop.domain.work import Verdict

    try:
        verdict: Verdict = decode(Verdict, runfolder.read_object(str(job.folder.verdict)))
    except CodecError:
        return  # still at work, broken, or killed: its ending says so
    size = f"{count(verdict.files, 'file')}, +{verdict.added} -{verdict.removed}"
    print_folded(to, Text(f"on {verdict.commit[:10]}: {size}", style="dim"), hang=2)
    for check in verdict.checks:
        mark, style = ("✓", "green") if check.passed else ("✗", "red")
        words = Text.assemble((f"{mark} {check.name}", style), f": {check.command}")
        ended = "" if check.passed or check.status is None else f", status {check.status}"
        print_folded(to, words + Text(f"  {check.seconds:.1f} s{ended}", style="dim"), hang=4)
        said = check.output if full else tail(check.output)
        for line in printable(said).splitlines():
            print_folded(to, Text(line, style="dim"), indent=4)
    for finding in verdict.findings:
        print_folded(to, Text(f"✗ {finding_words(finding, 2000)}", style="red"), hang=4)


def _dollars(micros: int) -> str:
    from agentloop.domain.wording import dollars

    return dollars(micros)


class _Printer:
    """Prints a log's lines, each answer of the model with what it cost."""

    def __init__(self, job: Job, to: Console, *, full: bool) -> None:
        self._job = job
        self._to = to
        self._full = full
        self._charged = 0
        self.shortened = False
        """Whether something had more lines than were shown."""

    def skip(self, lines: list[str]) -> None:
        """Count what lines that are not shown have cost."""
        last = _parsed(self._job, lines[-1]) if lines else {}
        self._charged = self._settled(str(last.get("at", "")))

    def show(self, line: str) -> None:
        """Print one line of the log."""
        from rich.text import Text

        from agentloop.domain.loglines import log_line

        event = _parsed(self._job, line)
        if self._job.role == "gate":
            print_folded(self._to, _row(str(event["at"]), "", str(event["text"])), hang=TIME_COLUMNS)
            return
        found = log_line(event)
        print_folded(self._to, _styled(found, self._cost(found)), hang=TIME_COLUMNS + 4)
        self.shortened |= bool(found.rest) and not self._full
        for said in found.rest if self._full else ():
            print_folded(self._to, Text(printable(said), style="dim"), indent=TIME_COLUMNS + 4)
        self._to.file.flush()

    def _cost(self, line: LogLine) -> str:
        if line.kind != "model":
            return ""
        settled = self._settled(line.moment)
        cost, self._charged = settled - self._charged, settled
        return f"{_dollars(cost)}" if cost > 0 else ""

    def _settled(self, until: str) -> int:
        """What was settled up to a moment; both are ISO 8601 with microseconds, so they sort as text."""
        total = 0
        for line in _from(self._job.folder.ledger, 0).splitlines():
            try:
                entry = json.loads(line)
                total += entry["micros"] if entry["is"] == "settled" and entry["at"] <= until else 0
            except (ValueError, KeyError, TypeError):
                continue
        return total


def _styled(line: LogLine, cost: str) -> Text:
    from rich.text import Text

    marks = {"ok": ("  ✓ ", "green"), "bad": ("  ✗ ", "red"), "tool": (f"  {line.who}: ", "cyan")}
    who = marks.get(line.kind, (f"{line.who}: ", "bold magenta" if line.kind == "model" else "bold"))
    tokens = f"{line.tokens:,} tokens" if line.tokens else ""
    tail = "  ".join(part for part in (tokens, cost) if part)
    dim = "dim" if line.kind in ("ok", "bad") else ""
    row = _row(line.moment, who, Text(printable(line.text), style=dim))
    return Text.assemble(row, (f"  {tail}", "dim")) if tail else row


def _row(moment: str, who: str | tuple[str, str], text: str | Text) -> Text:
    from datetime import datetime

    from rich.text import Text

    try:
        at = f"{datetime.fromisoformat(moment).astimezone():%H:%M:%S}"
    except ValueError:
        at = " " * 8
    return Text.assemble((f"{at}  ", "dim"), who, text)
