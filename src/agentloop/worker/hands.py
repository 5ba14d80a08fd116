"""The edit tool, run inside the sandbox: a script of its own that imports nothing but the standard library.

The harness never opens a path in a work tree, because a worker's links could lead it anywhere: it starts
this text with `python -c` in the sandbox. One JSON object on stdin, one back: {"ok": bool, "says": str}.
"""

import json
import os
import stat
import sys
from pathlib import Path

LIMIT_BYTES = 2_000_000
VIEW_LINES = 400
VIEW_CHARS = 24_000


class No(Exception):  # noqa: N818 -- an answer, not an accident
    """Why the edit was not made."""


def main() -> None:
    """Do the edit that stdin describes, and say how it went."""
    given = json.load(sys.stdin)
    try:
        says, ok = edit(given), True
    except No as no:
        says, ok = str(no), False
    except OSError as error:
        says, ok = f"{given.get('path')}: {error.strerror}", False
    sys.stdout.write(json.dumps({"ok": ok, "says": says}))


def edit(given: dict[str, object]) -> str:
    """Return what to tell the worker. Raises No, OSError."""
    commands = {"view": view, "create": create, "str_replace": str_replace, "insert": insert}
    command = commands.get(str(given.get("command")))
    if command is None:
        raise No(f"unknown command {given.get('command')!r}; use one of {', '.join(commands)}")
    return command(_inside(_text(given, "path")), given)


def view(path: Path, given: dict[str, object]) -> str:
    """Numbered lines of a file, or the names in a folder."""
    if path.is_dir():
        names = sorted(f"{entry.name}{'/' if entry.is_dir() else ''}" for entry in os.scandir(path))
        more = f"\n… and {len(names) - VIEW_LINES} more" if len(names) > VIEW_LINES else ""
        return "\n".join(names[:VIEW_LINES]) + more
    lines = _read(path).splitlines()
    first, last = _range(given.get("view_range"), len(lines))
    shown = lines[first - 1 : min(last, first - 1 + VIEW_LINES)]
    text = "\n".join(f"{number:6}\t{line}" for number, line in enumerate(shown, start=first))[:VIEW_CHARS]
    end = first - 1 + len(shown)
    rest = f"\n… lines {end + 1} to {len(lines)} not shown" if end < len(lines) else ""
    return (text or "(empty)") + rest


def create(path: Path, given: dict[str, object]) -> str:
    """Write a whole file, new or not."""
    existed = path.exists()
    path.parent.mkdir(parents=True, exist_ok=True)
    _write(path, _text(given, "file_text"))
    return f"{'Replaced' if existed else 'Created'} {given['path']}."


def str_replace(path: Path, given: dict[str, object]) -> str:
    """Replace a text that occurs exactly once."""
    old, new = _text(given, "old_str"), _text(given, "new_str", default="")
    text = _read(path)
    if "\r\n" in text and "\r" not in old:  # a model writes plain newlines; the file keeps its own
        old, new = old.replace("\n", "\r\n"), new.replace("\n", "\r\n")
    count = text.count(old) if old else 0
    if count == 0:
        raise No("old_str was not found. It must match exactly, white space included: view the lines again.")
    if count > 1:
        raise No(f"old_str occurs {count} times. Take more lines around it, so that it is unique.")
    at = text.index(old)
    text = text[:at] + new + text[at + len(old) :]
    _write(path, text)
    return f"Edited {given['path']}:\n{_around(text, at, new.count(chr(10)))}"


def insert(path: Path, given: dict[str, object]) -> str:
    """Insert lines after a line (0 = at the top)."""
    text = _read(path)
    lines = text.splitlines(keepends=True)
    line = given.get("insert_line")
    if not isinstance(line, int) or not 0 <= line <= len(lines):
        raise No(f"insert_line must be a number from 0 to {len(lines)}")
    new = _text(given, "insert_text")
    new += "" if new.endswith("\n") else "\n"
    if line and not lines[line - 1].endswith("\n"):
        lines[line - 1] += "\n"
    _write(path, "".join([*lines[:line], new, *lines[line:]]))
    return f"Inserted {new.count(chr(10))} lines into {given['path']} after line {line}."


def _inside(path: str) -> Path:
    root = Path.cwd().resolve()
    try:
        full = (root / path).resolve()
    except (ValueError, RuntimeError) as error:  # a NUL, links in a ring
        raise No(f"that is no path: {error}") from error
    if not full.is_relative_to(root):
        raise No(f"{path} is outside the repository; edit only files in it (scratch files: use the shell)")
    if full.relative_to(root).parts[:1] == (".git",):
        raise No(f"{path} belongs to git, not to the change")
    return full


def _text(given: dict[str, object], key: str, default: "str | None" = None) -> str:
    value = given.get(key, default)
    if not isinstance(value, str):
        raise No(f"{key} is missing (a text)")
    return value


def _range(wanted: object, count: int) -> "tuple[int, int]":
    if wanted is None:
        return 1, count
    match wanted:
        case [int(first), int(last)]:
            pass
        case _:
            first, last = 0, 0
    last = count if last == -1 else last
    if not 1 <= first <= last:
        raise No(f"view_range must be [first, last], from 1 to {count}; last may be -1")
    return first, last


def _read(path: Path) -> str:
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):
        raise No("it is no regular file")
    if found.st_size > LIMIT_BYTES:
        raise No(f"the file has {found.st_size} bytes; use the shell to look at parts of it")
    with path.open(encoding="utf-8", errors="surrogateescape", newline="") as stream:
        return stream.read()


def _write(path: Path, text: str) -> None:
    if path.exists() and not path.is_file():
        raise No("it is no regular file")
    with path.open("w", encoding="utf-8", errors="surrogateescape", newline="") as stream:
        stream.write(text)


def _around(text: str, at: int, lines: int) -> str:
    """The lines from `at` on, with three before and after."""
    first = max(0, text.count("\n", 0, at) - 3)
    shown = text.splitlines()[first : text.count("\n", 0, at) + lines + 4][:60]
    return "\n".join(f"{number:6}\t{line}" for number, line in enumerate(shown, start=first + 1))


if __name__ == "__main__":
    main()
