"""What persons ask for by command: one file each in `requests/`, written once, taken away by the cycle.

A request must survive a restart and the loss of the runtime folder: it lies beside the journal, whose only
writer is the cycle, until its fact is there.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import re
from typing import TYPE_CHECKING, Final

from agentloop.domain.codec import CodecError, decode, encode
from agentloop.domain.observed import RetryRequest
from agentloop.domain.valueclass import replace
from agentloop.domain.wording import one_line
from agentloop.edges.files import make_folder, read_bounded, sync_folder, write_durable
from agentloop.errors import HomeError

if TYPE_CHECKING:
    from pathlib import Path

    from agentloop.home import Home

REQUEST_BYTES: Final = 64_000
_NAME: Final = re.compile(r"[0-9A-Za-z][0-9A-Za-z.-]{0,99}")


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
        """Return what no cycle has taken in, oldest first; what makes no sense is passed over.

        Raises OSError when the folder cannot be read.
        """
        found = [one for path in self._files() if isinstance(one := self._read(path), RetryRequest)]
        return tuple(sorted(found, key=lambda one: (one.at, one.id)))

    def take_in(self) -> tuple[RetryRequest, ...]:
        """Return what is waiting; what makes no sense is put aside, so that it is said and the rest goes on.

        Raises OSError.
        """
        for path in self._files():
            if isinstance(self._read(path), str):
                make_folder(self._aside, mode=0o700)
                path.rename(self._free(path.name))
                sync_folder(self._folder)
        return self.waiting()

    def left_out(self) -> tuple[str, ...]:
        """Return a sentence for each file that makes no sense, put aside or still in its place."""
        aside = sorted(self._aside.glob("*.json*")) if self._aside.is_dir() else []
        found = [(path, why) for path in (*aside, *self._files()) if isinstance(why := self._read(path), str)]
        return tuple(
            f"a retry that was asked for was not heard: {path} {why}; "
            f"ask again (agentloop tasks --parked), then: rm -r {path}"
            for path, why in found
        )

    @property
    def _aside(self) -> Path:
        return self._folder / "aside"

    def _files(self) -> list[Path]:
        return sorted(self._folder.glob("*.json")) if self._folder.is_dir() else []

    def _free(self, name: str) -> Path:
        """Return a place for it where nothing lies: what was put aside before stays."""
        places = (self._aside / (f"{name}.{number}" if number else name) for number in itertools.count())
        return next(place for place in places if not os.path.lexists(place))

    def forget(self, request: str) -> None:
        """Take a request away, for good. Raises OSError."""
        with contextlib.suppress(FileNotFoundError):
            self._path(request).unlink()
            sync_folder(self._folder)

    def _path(self, request: str) -> Path:
        if not _NAME.fullmatch(request):
            raise HomeError(f"{request!r} cannot be the name of a request")
        return self._folder / f"{request}.json"

    def _read(self, path: Path) -> RetryRequest | str:
        """Return the request, or what is wrong with the file, to be put behind its name."""
        try:
            found: RetryRequest = decode(RetryRequest, json.loads(read_bounded(path, REQUEST_BYTES)[0]))
        except OSError as error:
            return f"cannot be read ({error.strerror})"
        except (ValueError, CodecError) as error:
            return f"is no request ({one_line(str(error), 160)})"
        if f"{found.id}.json" != path.name or not _NAME.fullmatch(found.id):
            # It could not be taken away by its id, and would be heard again in every cycle.
            return f"is no request (it says that it is {one_line(found.id, 60)!r})"
        return found
