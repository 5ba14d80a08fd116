"""Compiled settings: validated once by a child, read as plain JSON by everybody else.

`.agentloop/settings.json` holds the settings and what they were made from. It is fresh while the version of
the program, both settings files and the overrides in the environment are those it was made from. Standard
library only: supervisor, cycle and status start here.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from agentloop import __version__
from agentloop.domain import codec
from agentloop.domain.settings import KEPT, Settings
from agentloop.domain.valueclass import dataclass
from agentloop.edges.files import make_folder, write_durable
from agentloop.errors import AgentloopError, HomeError, SettingsError
from agentloop.home import Home
from agentloop.settings import sources

if TYPE_CHECKING:
    import subprocess

FORMAT: Final = 1
_COMPILE_SECONDS: Final = 60
_RACY_NS: Final = 2_000_000_000
"""A file written this shortly before it was looked at may be written again within the same time stamp."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A settings file as it was when it was read; size -1: it was not there."""

    path: str
    size: int
    mtime_ns: int
    sha256: str
    ctime_ns: int = 0
    """Unlike the other, nobody can set it: an edit whose mtime was put back is seen as well."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Compiled:
    """What `.agentloop/settings.json` holds."""

    version: int
    program: str
    settings: Settings
    sources: tuple[Source, ...]
    environment: str
    compiled_at_ns: int


def load(home: Home, environ: Mapping[str, str] | None = None) -> Settings:
    """Return the settings of `home`: the compiled ones when they are fresh, else newly compiled by a child.

    Raises HomeError when `home` is none, SettingsError when its settings cannot be used (the last good ones
    stay compiled: `last_good`).
    """
    found = read(home)
    if found is not None and is_fresh(home, found, environ):
        return found.settings
    return compile_in_child(home, environ)


def in_force(home: Home, environ: Mapping[str, str] | None = None) -> tuple[Settings, str]:
    """Return the settings of `home`, and "" or why they are the last good ones and not what is written now.

    Raises what `load` raises when there are no last good ones either.
    """
    try:
        return load(home, environ), ""
    except SettingsError as error:
        kept = last_good(home, environ)
        if kept is None:
            raise
        return kept, f"{KEPT}: {error.what}"


def last_good(home: Home, environ: Mapping[str, str] | None = None) -> Settings | None:
    """Return the settings compiled last under this environment, fresh or not; None when there are none.

    Those compiled under other overrides are not meant: a limit that only the environment names would be lost.
    """
    found = read(home)
    if found is None or found.environment != sources.fingerprint(environ):
        return None
    return found.settings


def read(home: Home) -> Compiled | None:
    """Return what was compiled last, or None when it is missing or makes no sense."""
    try:
        data = json.loads(home.compiled_settings.read_bytes())
        found: Compiled = codec.decode(Compiled, data)
    except (OSError, ValueError):
        return None
    return found if found.version == FORMAT else None


def is_fresh(home: Home, found: Compiled, environ: Mapping[str, str] | None = None) -> bool:
    """Return whether `found` was made by this program from the files and environment as they are now."""
    files = sources.files_of(home, environ)
    return (
        found.program == __version__
        and found.environment == sources.fingerprint(environ)
        and [each.path for each in found.sources] == [str(files.home), str(files.user)]
        and all(_unchanged(each, found.compiled_at_ns) for each in found.sources)
    )


def _unchanged(source: Source, compiled_at_ns: int) -> bool:
    path = Path(source.path)
    try:
        stat = path.stat()
    except OSError:
        return source.size == -1
    same = (stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns) == (
        source.size,
        source.mtime_ns,
        source.ctime_ns,
    )
    if same and stat.st_mtime_ns + _RACY_NS < compiled_at_ns:
        return True
    return stat.st_size == source.size and look_at(path).sha256 == source.sha256


def look_at(path: Path) -> Source:
    """Return the file at `path` as a source. Raises OSError when it is there but cannot be read."""
    try:
        stat = path.stat()
        data = path.read_bytes()
    except FileNotFoundError:
        return Source(path=str(path), size=-1, mtime_ns=0, sha256="")
    return Source(
        path=str(path),
        size=len(data),
        mtime_ns=stat.st_mtime_ns,
        sha256=sources.digest(data),
        ctime_ns=stat.st_ctime_ns,
    )


def write(home: Home, compiled: Compiled) -> None:
    """Write `.agentloop/settings.json`, durably. Raises OSError."""
    make_folder(home.runtime, mode=0o700)
    text = json.dumps(codec.encode(compiled), indent=1, ensure_ascii=False)
    write_durable(home.compiled_settings, f"{text}\n".encode())


def compile_in_child(home: Home, environ: Mapping[str, str] | None = None) -> Settings:
    """Have a child read, validate and compile the settings, and return them.

    The child's answer is used as it comes, not what stands in the file then: another process with another
    environment may have compiled in between. Raises HomeError and SettingsError as the child says.
    """
    import subprocess

    given = dict(os.environ if environ is None else environ)
    # -P: what lies in the folder we happen to be in is never imported.
    command = [
        sys.executable,
        "-P",
        "-m",
        "agentloop",
        "config",
        "compile",
        "--json",
        "--home",
        str(home.root),
    ]
    try:
        child = subprocess.run(
            command,
            env=given,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_COMPILE_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SettingsError(
            f"the settings could not be compiled: {error}", fix="agentloop config check"
        ) from error
    return _answer(child)


def _answer(child: subprocess.CompletedProcess[bytes]) -> Settings:
    try:
        said: dict[str, Any] = json.loads(child.stdout)
        if "error" in said:
            raise _error(said["error"])
        settings: Settings = codec.decode(Settings, said["settings"])
    except (ValueError, KeyError, TypeError) as error:
        words = child.stderr.decode("utf-8", "replace").strip().splitlines()
        why = words[-1] if words else str(error)
        raise SettingsError(
            f"the settings could not be compiled (exit code {child.returncode}): {why}",
            fix="agentloop config check",
        ) from error
    return settings


def _error(said: Mapping[str, str]) -> AgentloopError:
    kind = HomeError if said.get("kind") == "HomeError" else SettingsError
    return kind(said["what"], fix=said.get("fix", ""), read=said.get("read", ""))
