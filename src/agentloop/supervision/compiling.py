"""Settings: compiled by a child, read here as plain JSON, and the last good ones kept."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Final

from agentloop.domain.codec import CodecError, decode
from agentloop.domain.settings import KEPT, Supervision
from agentloop.edges import runtime
from agentloop.edges.lines import Level
from agentloop.edges.runfolder import one_line
from agentloop.errors import SettingsError
from agentloop.supervision import child as children
from agentloop.supervision.ending import wait_for

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from agentloop.edges.runtime import Stamp
    from agentloop.home import Home
    from agentloop.supervision.ears import Ears
    from agentloop.supervision.voice import Voice

COMPILE_DEADLINE_SECONDS: Final = 60.0
COMPILES_IN_A_ROW: Final = 3
"""How often a file that is written meanwhile is compiled again at once; after that, at the next look."""
_SAID_BYTES: Final = 8192


class SettingsInForce:
    """The last good settings (`rules`), and whether `agentloop.toml` changed since they were compiled."""

    def __init__(
        self, home: Home, command: tuple[str, ...], environ: Mapping[str, str], ears: Ears, voice: Voice
    ) -> None:
        self._home = home
        self._command = (*command, "--home", str(home.root))
        self._environ = environ
        self._ears = ears
        self._voice = voice
        self._compiled: Stamp | None = None
        self.rules = Supervision()

    def start(self) -> None:
        """Compile for the first time. Raises SettingsError when that fails and there are no earlier ones."""
        complaint = self._compile()
        try:
            self.rules = read_compiled(self._home.compiled_settings)
        except SettingsError as error:
            if self._ears.stops:
                return
            if complaint:
                fix = f"mend {self._home.settings_file}"
                raise SettingsError(complaint, fix=fix) from error
            raise
        if complaint:
            self._complain(complaint)

    def changed(self) -> bool:
        """Return whether there is something to compile: an edit, or a SIGHUP."""
        return self._ears.reload or runtime.stamp_of(self._home.settings_file) != self._compiled

    def renew(self) -> bool:
        """Compile again; return whether new settings are in force. If not, the last good ones stay."""
        self._voice.reloading()
        complaint = self._compile()
        if not complaint:
            try:
                self.rules = read_compiled(self._home.compiled_settings)
            except SettingsError as error:
                complaint = error.what
        self._complain(complaint)
        self._voice.ready()
        return not complaint

    def _complain(self, complaint: str) -> None:
        if complaint:
            self._voice.notice = f"{KEPT}: {one_line(complaint)}"
            self._voice.say("settings.refused", self._voice.notice, level=Level.ERROR)
        else:
            self._voice.notice = ""
            self._voice.say("settings.compiled", "settings are in force")

    def _compile(self) -> str:
        """Compile what stands in the file now; return the compiler's complaint, "" when it has none."""
        self._ears.reload = False
        complaint = ""
        for _ in range(COMPILES_IN_A_ROW):
            # Stamped before: what is written while the compiler reads is compiled again, now or later.
            self._compiled = runtime.stamp_of(self._home.settings_file)
            complaint = self._run_compiler()
            if self._ears.stops or runtime.stamp_of(self._home.settings_file) == self._compiled:
                break
        return complaint

    def _run_compiler(self) -> str:
        said = os.memfd_create("agentloop-compile", os.MFD_CLOEXEC)
        try:
            child = children.start(self._command, self._environ, stdout=said, stderr=said)
            late = wait_for(
                child,
                self._ears,
                deadline_seconds=COMPILE_DEADLINE_SECONDS,
                drain_seconds=0.0,
                on_drain=lambda: None,
            )
            text = os.pread(said, _SAID_BYTES, 0).decode("utf-8", "replace").strip()
        except OSError as error:
            return f"config compile could not be run: {error}"
        finally:
            os.close(said)
        if child.code == 0:
            return ""
        return (
            text
            or f"config compile {'took too long' if late else f'ended with {child.code}'} and said nothing"
        )


def read_compiled(path: Path) -> Supervision:
    """Return the supervisor's settings from the compiled file at `path`. Raises SettingsError."""
    try:
        found = json.loads(path.read_bytes())
        inner = found.get("settings", found)
        rules: Supervision = decode(Supervision, inner.get("supervision", {}))
    except (OSError, ValueError, AttributeError, CodecError) as error:
        fix = "agentloop config compile, which writes it from agentloop.toml"
        raise SettingsError(f"{path} cannot be used: {error}", fix=fix) from error
    return rules
