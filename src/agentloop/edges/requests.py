"""What persons ask for by command: one file each in `requests/`, written once, taken away by the cycle.

A request must survive a restart and the loss of the runtime folder: it lies beside the journal, whose only
writer is the cycle, until its fact is there.
"""

from __future__ import annotations

import contextlib
import json
import re
from typing import TYPE_CHECKING, Final

from agentloop.domain.codec import CodecError, decode, encode
from agentloop.domain.observed import RetryRequest
from agentloop.domain.valueclass import replace
from agentloop.edges.files import make_folder, read_bounded, sync_folder, write_durable
from agentloop.errors import HomeError

if TYPE_CHECKING:
    from pathlib import Path

    from agentloop.home import Home

REQUEST_BYTES: Final = 64_000


class FileRequests:
    """The requests of a home."""

    def __init__(self, home: Home) -> None:
        self._folder = home.requests

    def ask(self, request: RetryRequest) -> str:
        """Leave a request, durably, and return its id: one for the same task that still waits is replaced.

        Raises OSError, HomeError.
        """
        known = next((one for one in self.waiting() if one.task == request.task), request)
        make_folder(self._folder, mode=0o700)
        data = json.dumps(encode(replace(request, id=known.id)), ensure_ascii=False).encode()
        write_durable(self._path(known.id), data)
        return known.id

    def waiting(self) -> tuple[RetryRequest, ...]:
        """Return what no cycle has taken in, oldest first. Raises HomeError for a damaged file, OSError."""
        if not self._folder.is_dir():
            return ()
        found = [self._read(path) for path in sorted(self._folder.glob("*.json"))]
        return tuple(sorted(found, key=lambda one: (one.at, one.id)))

    def forget(self, request: str) -> None:
        """Take a request away, for good. Raises OSError."""
        with contextlib.suppress(FileNotFoundError):
            self._path(request).unlink()
            sync_folder(self._folder)

    def _path(self, request: str) -> Path:
        if not re.fullmatch(r"[0-9A-Za-z][0-9A-Za-z.-]{0,99}", request):
            raise HomeError(f"{request!r} cannot be the name of a request")
        return self._folder / f"{request}.json"

    def _read(self, path: Path) -> RetryRequest:
        try:
            found: RetryRequest = decode(RetryRequest, json.loads(read_bounded(path, REQUEST_BYTES)[0]))
        except (ValueError, CodecError) as error:
            raise HomeError(f"{path} is no request: {error}", fix=f"rm {path}") from error
        if self._path(found.id) != path:
            # It could not be taken away by its id, and would be heard again in every cycle.
            raise HomeError(f"{path} is no request: it says that it is {found.id!r}", fix=f"rm {path}")
        return found
