"""The spend ledger: an append-only file of JSON lines, made durable before the call that it reserves.

One writer at a time (the harness of an attempt, or the cycle). A line that a crash tore is no entry, and
that is safe: a torn reservation was never acted upon, and a torn settlement leaves its call at the ceiling.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from agentloop.domain.codec import CodecError, NewerError, decode, encode
from agentloop.domain.money import Entry, spent
from agentloop.domain.valueclass import dataclass
from agentloop.edges.files import append_durable
from agentloop.errors import UnsafeError

if TYPE_CHECKING:
    from pathlib import Path

    from agentloop.domain.money import Reserved, Settled, Spend


@dataclass(frozen=True, slots=True, kw_only=True)
class Garbage:
    """A line of a ledger that is no entry."""

    line: int  # from 1
    why: str


class Ledger:
    """The ledger in the file at `path`; the file need not exist yet, its folder must."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def reserve(self, entry: Reserved) -> None:
        """Write the reservation.

        On return it survives a power cut. Raises OSError, and then the call must not be made.
        """
        self._append(entry)

    def settle(self, entry: Settled) -> None:
        """Write the settlement.

        On return it survives a power cut. Raises OSError; the call then stays unresolved.
        """
        self._append(entry)

    def entries(self) -> tuple[Entry, ...]:
        """Return all entries in the order they were written.

        Raises OSError, but not for a file that is not there.
        """
        return self.read()[0]

    def spent(self) -> Spend:
        """Return what the ledger says was spent, and what may have been."""
        return spent(self.entries())

    def read(self) -> tuple[tuple[Entry, ...], tuple[Garbage, ...]]:
        """Return the entries, and the lines that are none (torn by a crash, or damaged). Raises OSError."""
        try:
            return read_entries(self.path.read_bytes())
        except FileNotFoundError:
            return (), ()

    def _append(self, entry: Entry) -> None:
        append_durable(self.path, json.dumps(encode(entry), separators=(",", ":")).encode())


def read_entries(data: bytes) -> tuple[tuple[Entry, ...], tuple[Garbage, ...]]:
    """Return the entries in a ledger's bytes, and the lines that are none.

    Raises UnsafeError for a line of a newer format: taken for none, what it says was spent would not count.
    """
    entries: list[Entry] = []
    garbage: list[Garbage] = []
    for number, line in enumerate(data.split(b"\n"), start=1):
        if not line.strip():
            continue
        found = _parse(line)
        if isinstance(found, str):
            garbage.append(Garbage(line=number, why=found))
        else:
            entries.append(found)
    return tuple(entries), tuple(garbage)


def _parse(line: bytes) -> Entry | str:
    try:
        entry: Entry = decode(Entry, json.loads(line))
    except NewerError as error:
        fix = "go back to that version until nothing of it is under way"
        raise UnsafeError(f"a newer agentloop wrote a ledger: {error}", fix=fix) from error
    except (ValueError, CodecError, RecursionError) as error:
        return f"not an entry: {error}"
    return entry
