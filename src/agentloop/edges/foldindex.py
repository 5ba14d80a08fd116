"""The fold over the journal as it stood at one of its lines, so that a cycle reads only what came after.

`.agentloop/fold.db` is an index and never the only copy: it is bound to the journal that it was made from and
to the code that made it, and whatever gives reason to doubt it leads to a fold over the whole journal. What
is finished lies in rows of its own and is read when somebody asks for it by name; so a cycle costs the same
with ten thousand finished tasks behind it as with none.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, get_args, get_type_hints

from agentloop import __version__, domain
from agentloop.domain.codec import decode, encode
from agentloop.domain.shelf import Shelf
from agentloop.domain.valueclass import dataclass, shape
from agentloop.domain.world import Finished, World
from agentloop.errors import JournalError

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterator

FORMAT: Final = 2
WAIT_SECONDS: Final = 1.0
"""How long a writer waits for those who only look."""
_TABLES: Final = """
    create table if not exists fold (format integer, code text, mark text, at_hand text);
    create table if not exists finished (shelf text, name text, value text, primary key (shelf, name))
        without rowid;
"""
_JSON: Final = json.JSONEncoder(separators=(",", ":"), check_circular=False)
_SHELVES: Final = tuple(shape(Finished) or ())


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamp:
    """A file of the journal as it was."""

    name: str
    size: int
    mtime_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A place between two lines of the journal: `files` up to the one it is in, `offset` in bytes in that.

    `tail` is the hash of what stands before it, `number` that of the last entry before it.
    """

    files: tuple[Stamp, ...]
    offset: int
    tail: str
    number: int


class _Rows:
    """The rows of one shelf. Holds what was begun to be read, so that nobody changes it meanwhile."""

    def __init__(self, opened: sqlite3.Connection, path: Path, shelf: str, mark: str) -> None:
        self._opened = opened
        self._path = path
        self._shelf = shelf
        self.mark = mark

    def one(self, name: str) -> Any | None:  # noqa: ANN401 -- of the shelf's type
        """Return the value of that name, or None. Raises JournalError."""
        found = self._read("select name, value from finished where shelf = ? and name = ?", name)
        return found.get(name)

    def all(self) -> dict[str, Any]:
        """Return all values. Raises JournalError."""
        return self._read("select name, value from finished where shelf = ?")

    def close(self) -> None:
        """Let go of the index: from now on it may be written, and not be read here."""
        self._opened.close()

    def _read(self, query: str, *names: str) -> dict[str, Any]:
        import sqlite3

        kind = _kinds()[self._shelf]
        try:
            rows = self._opened.execute(query, (self._shelf, *names))
            return {name: decode(kind, json.loads(value)) for name, value in rows}
        except (sqlite3.Error, ValueError) as error:
            drop(self._path)
            raise JournalError(
                f"the index over the journal was damaged: {error}",
                fix="try again: it was taken away, and the journal is read instead",
            ) from error


class FoldIndex:
    """The index at `path`."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def load(self, holds: Callable[[Mark], bool]) -> tuple[World, Mark] | None:
        """Return the world at a mark that `holds`, what is finished still to be read; None: fold anew."""
        if not self._path.exists():
            return None
        import sqlite3

        try:
            opened = _open(self._path, read_only=True)
        except sqlite3.Error:
            return None
        try:
            opened.execute("begin")
            row = opened.execute("select format, code, mark, at_hand from fold").fetchone()
            found = None if row is None else _world_of(opened, self._path, row, holds)
        except (sqlite3.Error, ValueError):
            found = None  # not ours, damaged, or cut off: the writer makes it anew
        if found is None:
            opened.close()
        return found

    def keep(self, world: World, mark: Mark) -> None:
        """Keep `world`, the fold of everything before `mark`, of which the journal's writer has no more need.

        A disk that says no costs only time.
        """
        import sqlite3

        _let_go(world)
        try:
            self._write(world, mark)
        except (sqlite3.OperationalError, OSError):
            return  # somebody looks at it, or there is no room: the next cycle tries again
        except sqlite3.DatabaseError:
            drop(self._path)
            with contextlib.suppress(sqlite3.Error, OSError):
                self._write(world, mark)

    def _write(self, world: World, mark: Mark) -> None:
        with contextlib.closing(_open(self._path, read_only=False)) as opened:
            opened.executescript(_TABLES)
            opened.execute("begin immediate")
            _write(opened, world, json.dumps(encode(mark)))
            opened.execute("commit")


def drop(path: Path) -> None:
    """Take the index at `path` away; it is made anew."""
    for suffix in ("", "-journal"):
        with contextlib.suppress(OSError):
            Path(f"{path}{suffix}").unlink()


def _open(path: Path, *, read_only: bool) -> sqlite3.Connection:
    import sqlite3

    mode = "ro" if read_only else "rwc"
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}", uri=True, isolation_level=None, timeout=WAIT_SECONDS
    )


def _world_of(
    opened: sqlite3.Connection, path: Path, row: tuple[int, str, str, str], holds: Callable[[Mark], bool]
) -> tuple[World, Mark] | None:
    version, code, mark_text, at_hand = row
    if (version, code) != (FORMAT, _code()):
        return None
    mark: Mark = decode(Mark, json.loads(mark_text))
    if not holds(mark):
        return None
    world: World = decode(World, json.loads(at_hand))
    for shelf in _SHELVES:
        rows = _Rows(opened, path, shelf, mark_text)
        setattr(world, shelf, Shelf(getattr(world, shelf), rows))
    return world, mark


def _write(opened: sqlite3.Connection, world: World, mark: str) -> None:
    row = opened.execute("select mark, code from fold").fetchone()
    rows = _rows_of(world)
    if rows is None or row is None or row != (rows.mark, _code()):
        opened.execute("delete from finished")  # not what this world was built on
    opened.execute("delete from fold")
    finished = world.finished()
    at_hand = {}
    for name in shape(World) or ():
        value = getattr(world, name)
        if name in _SHELVES:
            over = getattr(finished, name)
            here = value.at_hand() if isinstance(value, Shelf) else value
            opened.executemany("insert or replace into finished values (?, ?, ?)", _rows(name, here, over))
            value = {each: here[each] for each in here if each not in over}
        at_hand[name] = encode(value)
    opened.execute("insert into fold values (?, ?, ?, ?)", (FORMAT, _code(), mark, _text(at_hand)))


def _rows(shelf: str, here: dict[str, Any], over: frozenset[str]) -> Iterator[tuple[str, str, str]]:
    return ((shelf, name, _text(encode(here[name]))) for name in over)


def _text(value: Any) -> str:  # noqa: ANN401 -- anything that JSON has
    return _JSON.encode(value)


def loaded_at(world: World) -> Mark | None:
    """Return the mark that `world` was loaded at; None: it was folded from the beginning."""
    rows = _rows_of(world)
    return None if rows is None else decode(Mark, json.loads(rows.mark))


def _rows_of(world: World) -> _Rows | None:
    store = world.issues.store if isinstance(world.issues, Shelf) else None
    return store if isinstance(store, _Rows) else None


def _let_go(world: World) -> None:
    rows = _rows_of(world)
    if rows is not None:
        rows.close()


@cache
def _kinds() -> dict[str, Any]:
    hints = get_type_hints(World)
    return {shelf: get_args(hints[shelf])[1] for shelf in _SHELVES}


@cache
def _code() -> str:
    """Return the name of the code that folds: the version, and stamps of the rules' files."""
    files = sorted(Path(domain.__file__).parent.glob("*.py"))
    stats = [(path.name, path.stat()) for path in files]
    stamps = [(name, stat.st_size, stat.st_mtime_ns) for name, stat in stats]
    return hashlib.sha256(repr((__version__, stamps)).encode()).hexdigest()
