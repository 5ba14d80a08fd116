"""A text that GitHub keeps on another host: asked for there without the token, and only its end kept."""

from __future__ import annotations

import http.client
from collections import deque
from typing import Final
from urllib.parse import urlsplit

from agentloop.errors import TargetError

MOST_BYTES: Final = 50_000_000
"""A longer text is not read to its end: what is told then is the end of what was read."""
_PIECE: Final = 65_536
_OK: Final = 200


def end_of_text(address: str, *, keep: int, secure: bool, seconds: float) -> str:
    """Return the last `keep` bytes of the text at `address`. Raises TargetError.

    With `secure` only an encrypted address is followed. Another redirection is not.
    """
    parts = urlsplit(address)
    if parts.scheme != "https" and (secure or parts.scheme != "http"):
        raise TargetError(f"GitHub sends us on to {parts.scheme}://{parts.netloc}: not followed")
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.netloc, timeout=seconds)
    try:
        path = f"{parts.path}?{parts.query}" if parts.query else parts.path
        connection.request("GET", path, headers={"User-Agent": "agentloop"})
        got = connection.getresponse()
        if got.status != _OK:
            raise TargetError(f"{parts.netloc} answers {got.status}")
        return _end(got, keep).decode("utf-8", "replace")
    except (http.client.HTTPException, OSError) as error:
        raise TargetError(f"{parts.netloc} cannot be reached: {type(error).__name__}") from error
    finally:
        connection.close()


def _end(got: http.client.HTTPResponse, keep: int) -> bytes:
    pieces: deque[bytes] = deque()
    read = held = 0
    while read < MOST_BYTES and (piece := got.read(_PIECE)):
        pieces.append(piece)
        read, held = read + len(piece), held + len(piece)
        while held - len(pieces[0]) >= keep:
            held -= len(pieces.popleft())
    return b"".join(pieces)[-keep:]
