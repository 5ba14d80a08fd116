"""The end of an attempt's event log, in words: what it said and did last, for whoever goes on with its work.

The log is the harness's, its words are a worker's: data, bounded, and without secrets (`worker/events.py`).
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any, Final

from agentloop.domain.wording import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

READ_BYTES: Final = 96_000
SAID_CHARS: Final = 2_000
_STEPS: Final = 12
_WORDS_CHARS: Final = 600
_LINE_CHARS: Final = 160


def last_words(path: Path) -> str:
    """Return what the log at `path` tells of the attempt's end, 2,000 characters at most; "" without one."""
    steps = [words for event in _events(path) if (words := _in_words(event))]
    told: list[str] = []
    room = SAID_CHARS
    for words in reversed(steps[-_STEPS:]):
        room -= len(words) + 1
        if room < 0:
            break
        told.append(words)
    return "\n".join(reversed(told))


def _events(path: Path) -> Iterator[dict[str, Any]]:
    for line in _tail(path).split(b"\n"):
        try:
            event = json.loads(line)
        except (ValueError, RecursionError):
            continue  # cut off where we began to read, or where the writer was killed
        if isinstance(event, dict):
            yield event


def _tail(path: Path) -> bytes:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        return os.pread(fd, READ_BYTES, max(0, os.fstat(fd).st_size - READ_BYTES))
    except OSError:
        return b""
    finally:
        os.close(fd)


def _in_words(event: dict[str, Any]) -> str:
    text = event.get("text")
    words = text.strip() if isinstance(text, str) else ""
    match event.get("event"):
        case "model.answered" | "context.shortened":
            return f"said: {one_line(words, _WORDS_CHARS)}" if words else ""
        case "tool.asked":
            return f"ran {_asked(event)}"
        case "tool.answered":
            last = words.splitlines()[-2:]
            return f"  came back: {one_line(' '.join(last), _LINE_CHARS)}" if last else ""
        case _:
            return ""


def _asked(event: dict[str, Any]) -> str:
    given = event.get("input")
    given = given if isinstance(given, dict) else {}
    what = [str(given[key]) for key in ("command", "path", "summary", "reason") if key in given]
    return one_line(f"{event.get('tool')} {' '.join(what)}", _LINE_CHARS)
