"""Log lines of the processes that load nothing but the standard library: one canonical line per unit of work.

On a terminal a short line for a person; under systemd logfmt behind the journal's `<N>` priority prefix
(sd-daemon(3)); elsewhere logfmt with its time. Writing never blocks for longer than a tenth of a second: a
terminal that was stopped, or a reader that hangs, costs lines (they are counted), not the loop.
"""

from __future__ import annotations

import os
import select
import time
from datetime import datetime
from enum import IntEnum
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping

Form: TypeAlias = Literal["person", "journal", "file"]
Field: TypeAlias = str | int | float | bool | None

CYCLE_MARK = "_AGENTLOOP_CYCLE"
"""Variable in the environment of a supervisor's cycles: it tells of the sleep that follows, they need not."""
_PATIENCE_MS = 100
_TIME_COLUMNS = len("12:31:05  ")
_LINE_BYTES = 4096  # what a pipe takes in one piece (PIPE_BUF, pipe(7))


class Level(IntEnum):
    """Priorities as syslog(3) numbers them."""

    ERROR = 3
    WARNING = 4
    NOTICE = 5
    INFO = 6
    DEBUG = 7


class Lines:
    """Where log lines go: a descriptor and a form."""

    def __init__(self, fd: int, form: Form) -> None:
        self._fd = fd
        self._form = form
        self._lost = 0
        self._poll = select.poll()
        self._poll.register(fd, select.POLLOUT)

    def say(
        self,
        event: str,
        text: str,
        *,
        level: Level = Level.INFO,
        to_person: str | None = None,
        **fields: Field,
    ) -> None:
        """Write one line: `event` is a dotted name, `text` for a person, `fields` for a program.

        `to_person` is what a terminal shows instead of `text`; "" = nothing: it is no news there.
        """
        if self._form != "person":
            self._write(self._logfmt(event, text, level, fields))
        elif said := text if to_person is None else to_person:
            self._write(self._folded(f"{datetime.now().astimezone():%H:%M:%S}  {_printable(said)}"))

    def _folded(self, line: str) -> str:
        try:
            columns = os.get_terminal_size(self._fd).columns
        except OSError:
            return line
        if len(line) <= columns or columns <= 2 * _TIME_COLUMNS:
            return line
        import textwrap

        hang = " " * _TIME_COLUMNS
        return textwrap.fill(line, columns, subsequent_indent=hang, break_on_hyphens=False)

    def _logfmt(self, event: str, text: str, level: Level, fields: Mapping[str, Field]) -> str:
        pairs: dict[str, Field] = {"event": event, **fields, "msg": text}
        if self._lost:
            pairs["lines_lost"] = self._lost
        said = " ".join(f"{key}={_value(value)}" for key, value in pairs.items() if value is not None)
        if self._form == "journal":
            return f"<{int(level)}>{said}"
        return f"ts={time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())} level={level.name.lower()} {said}"

    def _write(self, line: str) -> None:
        data = line.encode("utf-8", "replace")[: _LINE_BYTES - 1] + b"\n"
        try:
            if not self._poll.poll(_PATIENCE_MS):
                self._lost += 1
                return
            os.write(self._fd, data)
        except OSError:
            self._lost += 1
        else:
            self._lost = 0


def clock(moment: datetime) -> str:
    """Return a moment in local time, short: `12:31:05`, with its day when that is not today."""
    local = moment.astimezone()
    is_today = local.date() == datetime.now().astimezone().date()
    return f"{local:%H:%M:%S}" if is_today else f"{local:%a %d %b %H:%M}"


def form_for(fd: int, environ: Mapping[str, str]) -> Form:
    """Return the form that suits whoever reads `fd`."""
    if os.isatty(fd):
        return "person"
    return "journal" if "JOURNAL_STREAM" in environ or "INVOCATION_ID" in environ else "file"


def _value(value: Field) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    text = _printable(str(value))
    plain = text and not any(letter in ' "=\\' for letter in text)
    return text if plain else '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _printable(text: str) -> str:
    return "".join(letter if letter.isprintable() else " " for letter in text)
