"""Notes of research tasks: files in the home that later tasks are given."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentloop.edges.files import make_folder, write_durable

if TYPE_CHECKING:
    from agentloop.home import Home


class FileNotes:
    """Research notes as files in the home."""

    def __init__(self, home: Home) -> None:
        self._home = home

    def keep(self, task: str, text: str) -> str:
        """Write the note durably and return its path in the home. Raises OSError."""
        from agentloop.domain.secrets import redact  # its patterns take long to compile

        path = self._home.note_of(task)
        make_folder(path.parent)
        write_durable(path, redact(text).encode("utf-8", "replace"))
        return str(path.relative_to(self._home.root))

    def read(self, path: str) -> str:
        """Return the note's text, "" when it is gone."""
        try:
            return (self._home.root / path).read_text("utf-8", "replace")
        except OSError:
            return ""
