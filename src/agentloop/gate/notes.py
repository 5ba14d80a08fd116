"""What a person should look at first in a change, though nothing is held against it. Pure.

Notes do not depend on a target's globs: a file that looks like a test to anybody is one here.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agentloop.domain.changes import Change
    from agentloop.gate.policy import Diff

TEST_LINES: Final = 10
"""So many lines more removed than added in one test file are told."""
MANY_LINES: Final = 200
"""So many lines removed overall are told, when fewer than half as many were added."""
MANY_FILES: Final = 5
_SHOWN: Final = 5

_TEST: Final = re.compile(
    r"(?<![a-z])(?:unit|py|doc|e2e)?[Tt]ests?(?![a-z]*(?:imon|ament|ing\b))"
    r"|[a-z0-9]Tests?(?![a-z])|(?<![A-Za-z])[Ss]pecs?(?![a-z])"
)
# What a runner says at its end, or what ends a process before it can be asked how it went.
_PRETENCE: Final = (
    (re.compile(r"\bos\._exit\(|\bprocess\.(?:exit|reallyExit)\(\s*0?\s*\)"), "ends the process on the spot"),
    (re.compile(r"\b_pytest\b|\bunittest\.(?:case|runner|TestCase\.\w+ *=)"), "reaches into the test runner"),
    (
        re.compile(r"\b[1-9]\d* (?:passed|passing)\b|\bRan [1-9]\d* tests? in\b|\btest result: ok\b"),
        "says what test runners say",
    ),
)


def looks_like_a_test(path: str) -> bool:
    """Return whether somebody who reads `path` would expect tests behind it. Wider than any list of globs."""
    return _TEST.search(path) is not None


def notes_on(diff: Diff) -> tuple[str, ...]:
    """Return what is to be told, the weightiest first; paths are set in backquotes."""
    return (*_on_tests(diff), *_on_much(diff), *_on_pretence(diff))


def _on_tests(diff: Diff) -> Iterator[str]:
    moved = {change.new_id for change in diff.changes if change.is_new and looks_like_a_test(change.path)}
    lost = [
        change
        for change in diff.changes
        if not change.is_new
        and looks_like_a_test(change.path)
        and (change.is_gone or _net(change) >= TEST_LINES)
        and not (change.is_gone and change.old_id in moved)
    ]
    lost.sort(key=_net, reverse=True)
    for change in lost[:_SHOWN]:
        yield _told(change)
    if len(lost) > _SHOWN:
        lines = sum(change.removed or 0 for change in lost[_SHOWN:])
        yield f"Removes {lines} lines from {len(lost) - _SHOWN} more files that look like tests"


def _told(change: Change) -> str:
    removed = change.removed or 0
    if change.is_gone:
        return f"Deletes {_code(change.path)} ({removed} lines)"
    added = f" and adds {change.added}" if change.added else ""
    return f"Removes {removed} lines from {_code(change.path)}{added}"


def _on_much(diff: Diff) -> Iterator[str]:
    added, removed = diff.lines
    if removed >= MANY_LINES and added * 2 < removed:
        yield f"Removes {removed} lines in all and adds {added}"
    gone = sum(change.is_gone for change in diff.changes)
    if gone >= MANY_FILES:
        yield f"Deletes {gone} files"


def _on_pretence(diff: Diff) -> Iterator[str]:
    """Product code that could end a test run early, or speak for it: the counts cannot be trusted then."""
    for path, lines in diff.added.items():
        if looks_like_a_test(path) or path.endswith((".md", ".rst", ".txt")):
            continue
        for pattern, what in _PRETENCE:
            number = next((number for number, text in lines if pattern.search(text)), None)
            if number is not None:
                yield f"{_code(path)}, line {number}, {what}"


def _net(change: Change) -> int:
    return (change.removed or 0) - (change.added or 0)


def _code(path: str) -> str:
    return f"`{path.replace('`', chr(39))}`"
