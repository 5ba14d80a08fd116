"""The relay as one cycle holds it: taken over once, handed on once, committed with what belongs to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentloop.edges.homegit import Committed, NothingToCommit, PutOff
from agentloop.edges.relay import RelayFile, Snapshot
from agentloop.ports import HandedOn, HeldRelay

if TYPE_CHECKING:
    from agentloop.domain.relay import Relay
    from agentloop.edges.homegit import CommitOutcome
    from agentloop.home import Home


class FileBaton:
    """The relay's file as one cycle holds it."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._file = RelayFile(home)
        self._found: Snapshot | None = None

    def take(self) -> HeldRelay:
        """Return the relay as it is. Raises HomeError."""
        self._found = self._file.read()
        text = (self._found.text or "").encode("utf-8", "surrogateescape").decode("utf-8", "replace")
        return HeldRelay(text=text, relay=self._found.relay)

    def hand_on(self, new: Relay, *, message: str, notes: tuple[str, ...]) -> HandedOn:
        """Write the relay and commit it with the archive and the notes. Raises HomeError, OSError."""
        written = self._file.write(new, self._found or self._file.read())
        paths = [self._home.root / note for note in notes if (self._home.root / note).is_file()]
        if written.archived is not None:
            paths.append(written.archived)
        committed = self._file.commit(message, paths)
        return HandedOn(
            version=written.relay.version if written.changed else None,
            notices=tuple(_notices(committed)),
            moved=len(written.moved),
        )


def _notices(committed: CommitOutcome) -> list[str]:
    match committed:
        case PutOff(reason=reason):
            return [f"the relay is written but not committed: {reason}"]
        case Committed(left_out=left_out) | NothingToCommit(left_out=left_out):
            return [f"not committed: {path}: {why}" for path, why in left_out]
