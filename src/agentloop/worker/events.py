"""An attempt's event log: what it asked, what it did, what came back; bounded, and without secrets."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from agentloop.domain.codec import stamp
from agentloop.domain.secrets import redact
from agentloop.edges.files import write_all

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

TEXT_CHARS: Final = 4_000
LOG_BYTES: Final = 16 << 20


class Events:
    """Appends to `events.jsonl`: one object a line, `at`, `event` and the event's fields.

    Texts keep head and tail within 4,000 characters, and the file ends at 16 MiB. It may lose its end in a
    power cut. `hide` is taken out wherever it occurs.
    """

    def __init__(self, path: Path, *, hide: tuple[str, ...] = ()) -> None:
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        self._hide = hide

    def tell(self, event: str, fields: Mapping[str, object]) -> None:
        """Append one event. Raises OSError."""
        if os.fstat(self._fd).st_size > LOG_BYTES:
            return
        line = {
            "at": stamp(datetime.now(tz=UTC)),
            "event": event,
            **{k: self._clean(v) for k, v in fields.items()},
        }
        write_all(self._fd, json.dumps(line, ensure_ascii=True, default=str).encode() + b"\n")

    def _clean(self, value: object) -> object:
        if isinstance(value, dict):
            return {str(key)[:100]: self._clean(item) for key, item in value.items()}
        if not isinstance(value, str):
            return (
                value if isinstance(value, (int, float, bool)) or value is None else self._clean(str(value))
            )
        return _shortened(redact(value, self._hide))


def _shortened(text: str) -> str:
    if len(text) <= TEXT_CHARS:
        return text
    half = TEXT_CHARS // 2
    return f"{text[:half]}\n[… {len(text) - 2 * half} characters left out …]\n{text[-half:]}"
