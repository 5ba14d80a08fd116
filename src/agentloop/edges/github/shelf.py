"""What earlier looks at GitHub brought, in `.agentloop/github.db`: answers with ETags, threads, comments.

A cache: it may be deleted at any moment, and one that cannot be read or is of another format is made anew.
What a thread was read as stands in `reading`; whatever changes the thread or its comments takes that away.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, Final, TypeAlias

from agentloop.edges.files import make_folder
from agentloop.edges.github.client import Kept

Json: TypeAlias = Any
FORMAT: Final = 3
_TABLES: Final = """
create table answer (address text primary key, etag text, body text, following text) without rowid;
create table thread (repository text, number integer, state text, updated text, shape text,
                     primary key (repository, number)) without rowid;
create table comment (repository text, number integer, id integer, shape text,
                      primary key (repository, number, id)) without rowid;
create table told (repository text, node text, version text, shape text,
                   primary key (repository, node)) without rowid;
create table cursor (repository text, what text, at text, primary key (repository, what)) without rowid;
create table reading (repository text, number integer, key text, said text,
                      primary key (repository, number)) without rowid;
create index standing on thread (repository, state, number);
"""
_OUTDATES: Final = """
create trigger {table}_{event} after {event} on {table} begin
  delete from reading where repository = {row}.repository and number = {row}.number;
end;
"""
_TRIGGERS: Final = "".join(
    _OUTDATES.format(table=table, event=event, row="old" if event == "delete" else "new")
    for table in ("thread", "comment")
    for event in ("insert", "update", "delete")
)
_NEWER_THREAD: Final = """
insert into thread values (?, ?, ?, ?, ?) on conflict do update
set state = excluded.state, updated = excluded.updated, shape = excluded.shape
where excluded.updated >= updated and excluded.shape <> shape
"""
_ANOTHER_COMMENT: Final = """
insert into comment values (?, ?, ?, ?) on conflict do update set shape = excluded.shape
where excluded.shape <> shape
"""
_OTHER_COMMENTS_GO: Final = """
delete from comment where repository = ? and number = ? and id not in (select value from json_each(?))
"""
_READINGS: Final = """
select thread.number, ifnull(said, '') from thread
left join reading on reading.repository = thread.repository and reading.number = thread.number and key = ?
where thread.repository = ? and
"""


class Shelf:
    """The cache at `path`; `whose` names the token that answers were read with: another reads anew."""

    def __init__(self, path: Path, *, whose: Callable[[], str] = str) -> None:
        self._path = path
        self._whose = whose
        self._base: sqlite3.Connection | None = None

    # Answers (`client.Memory`).

    def kept(self, address: str) -> Kept | None:
        """Return the answer that was kept for it."""
        row = (
            self._open()
            .execute("select etag, body, following from answer where address = ?", (self._key(address),))
            .fetchone()
        )
        return Kept(etag=row[0], body=row[1], following=row[2]) if row else None

    def keep(self, address: str, answer: Kept) -> None:
        """Keep an answer."""
        row = (self._key(address), answer.etag, answer.body, answer.following)
        self._write("insert or replace into answer values (?, ?, ?, ?)", [row])

    def drop(self, address: str) -> None:
        """Forget an answer."""
        self._write("delete from answer where address = ?", [(self._key(address),)])

    # Limits (`client.Memory`).

    def limited(self, what: str) -> datetime | None:
        """Return until when `what` may not be asked for with this token."""
        at = self.cursor(self._key(what), "limited")
        return datetime.fromisoformat(at) if at else None

    def limit(self, what: str, until: datetime) -> None:
        """Keep until when, for the processes to come."""
        self.move(self._key(what), "limited", until.isoformat())

    def _key(self, address: str) -> str:
        return f"{self._whose()} {address}"

    # Threads.

    def cursor(self, repository: str, what: str) -> str:
        """Return since when to ask ("" = everything)."""
        row = (
            self._open()
            .execute("select at from cursor where repository = ? and what = ?", (repository, what))
            .fetchone()
        )
        return str(row[0]) if row else ""

    def move(self, repository: str, what: str, at: str) -> None:
        """Ask since then from now on."""
        self._write("insert or replace into cursor values (?, ?, ?)", [(repository, what, at)])

    def unsettled(self, repository: str, shapes: list[Json]) -> frozenset[int]:
        """Return the numbers of those that differ from what is kept of the very same second.

        Times on GitHub are whole seconds: which of the two is the later one cannot be told from them.
        """
        return frozenset(
            one["number"] for one in shapes if _tied(self.thread(repository, one["number"]), one)
        )

    def thread(self, repository: str, number: int) -> Json | None:
        """Return a thread as it was told last, None when it never was."""
        statement = "select shape from thread where repository = ? and number = ?"
        row = self._open().execute(statement, (repository, number)).fetchone()
        return json.loads(row[0]) if row else None

    def put_threads(self, repository: str, shapes: list[Json]) -> None:
        """Keep issues and pull requests as the API told them; a list that lags takes nothing newer back."""
        rows = [
            (repository, one["number"], one["state"], one["updated_at"], json.dumps(one)) for one in shapes
        ]
        self._write(_NEWER_THREAD, rows)

    def threads(self, repository: str) -> Iterator[Json]:
        """Yield every thread, open or closed, by number."""
        statement = "select shape from thread where repository = ? order by number"
        for (shape,) in self._open().execute(statement, (repository,)):
            yield json.loads(shape)

    def readings(self, repository: str, numbers: frozenset[int], key: str) -> dict[int, str]:
        """Return what the open threads, and those of `numbers` that are here, were read as under `key`.

        By number; "" for one that has changed since, or was never read so.
        """
        base = self._open()
        found = dict(base.execute(f"{_READINGS} state = 'open'", (key, repository)).fetchall())
        for number in numbers - found.keys():
            found |= base.execute(f"{_READINGS} thread.number = ?", (key, repository, number)).fetchall()
        return found

    def keep_readings(self, repository: str, key: str, said: dict[int, str]) -> None:
        """Keep what threads were read as, until they or their comments change."""
        rows = [(repository, number, key, text) for number, text in said.items()]
        self._write("insert or replace into reading values (?, ?, ?, ?)", rows)

    def let_go(self, repository: str, number: int) -> None:
        """Keep a thread that is gone as a closed one."""
        found = self.thread(repository, number)
        if found and found["state"] != "closed":
            row = ("closed", json.dumps({**found, "state": "closed"}), repository, number)
            self._write("update thread set state = ?, shape = ? where repository = ? and number = ?", [row])

    def put_comments(self, repository: str, shapes: list[Json]) -> None:
        """Keep comments as the API told them."""
        rows = [
            (repository, int(one["issue_url"].rpartition("/")[2]), one["id"], json.dumps(one))
            for one in shapes
        ]
        self._write(_ANOTHER_COMMENT, rows)

    def replace_comments(self, repository: str, number: int, shapes: list[Json]) -> None:
        """Keep these as the only comments of a thread."""
        there = json.dumps([one["id"] for one in shapes])
        self._write(_OTHER_COMMENTS_GO, [(repository, number, there)])
        self.put_comments(repository, shapes)

    def drop_comment(self, repository: str, comment: int) -> None:
        """Forget a comment that is gone."""
        self._write("delete from comment where repository = ? and id = ?", [(repository, comment)])

    def comments(self, repository: str, number: int) -> list[Json]:
        """Return a thread's comments, oldest first."""
        rows = self._open().execute(
            "select shape from comment where repository = ? and number = ? order by id", (repository, number)
        )
        return [json.loads(row[0]) for row in rows]

    # What was asked about one thing (`history`).

    def told(self, repository: str, node: str) -> tuple[str, Json] | None:
        """Return of which version of a thing something was told last, and what; None: nothing was."""
        row = (
            self._open()
            .execute("select version, shape from told where repository = ? and node = ?", (repository, node))
            .fetchone()
        )
        return (str(row[0]), json.loads(row[1])) if row else None

    def tell(self, repository: str, node: str, version: str, shape: Json) -> None:
        """Keep what was told of that version."""
        row = (repository, node, version, json.dumps(shape))
        self._write("insert or replace into told values (?, ?, ?, ?)", [row])

    def close(self) -> None:
        """Let it go."""
        if self._base:
            self._base.close()
            self._base = None

    def _write(self, statement: str, rows: list[tuple[Any, ...]]) -> None:
        base = self._open()
        if not rows:
            return
        with contextlib.suppress(sqlite3.Error), base:  # a cache: what is not kept is asked for again
            base.executemany(statement, rows)

    def _open(self) -> sqlite3.Connection:
        if self._base is None:
            self._base = self._connect()
        return self._base

    def _connect(self) -> sqlite3.Connection:
        make_folder(self._path.parent)
        try:
            return _base_at(self._path)
        except sqlite3.Error:
            for suffix in ("", "-journal", "-wal", "-shm"):
                Path(f"{self._path}{suffix}").unlink(missing_ok=True)
            return _base_at(self._path)


def _tied(kept: Json | None, told: Json) -> bool:
    if kept is None or kept["updated_at"] != told["updated_at"]:
        return False
    return _says(kept) != _says(told)


def _says(shape: Json) -> tuple[object, ...]:
    # What lists and single answers both tell.
    return shape["state"], shape["title"], shape["body"], sorted(label["name"] for label in shape["labels"])


def _base_at(path: Path) -> sqlite3.Connection:
    base = sqlite3.connect(path, timeout=5)
    base.execute("pragma synchronous = off")  # a cache; the setting is the connection's, not the file's
    version = base.execute("pragma user_version").fetchone()[0]
    if version not in (0, FORMAT):
        base.close()
        raise sqlite3.DatabaseError(f"format {version}")
    if version == 0:
        base.executescript(f"{_TABLES} {_TRIGGERS} pragma user_version = {FORMAT};")
    return base
