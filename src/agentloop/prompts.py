"""Prompts: Markdown files with `{{variable}}` in them, shipped with the package, each replaceable in a home.

`HOME/prompts/<name>.md` is used instead of the shipped file when there is one. A prompt must use exactly
the variables that `VARIABLES` lists for it: one that nobody fills would reach the model as braces; without
one that is left out the model would miss something.
"""

from __future__ import annotations

import difflib
import re
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Final

from agentloop.domain.valueclass import dataclass
from agentloop.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterator

VARIABLES: Final[dict[str, tuple[str, ...]]] = {
    "admin": (),
    "worker": ("checks", "turns"),
    "worker-research": ("turns",),
    "summary": ("words",),
}
"""Which variables each prompt must use. A prompt that is not listed here does not exist."""

LONGEST_BYTES: Final = 200_000
_VARIABLE: Final = re.compile(r"\{\{\s*([^{}]*?)\s*\}\}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """What is wrong with a prompt, where, and how to mend it."""

    file: Path
    line: int
    what: str
    fix: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.what}"


def render(name: str, home: Path | None = None, /, **variables: str) -> str:
    """Return the prompt `name` with its variables filled in, taken from `home` when that overrides it.

    Raises SettingsError, naming file and line, when the prompt cannot be used.
    """
    path, text = _load(name, home)
    problem = next(_problems(name, path, text), None)
    if problem:
        raise SettingsError(str(problem), fix=problem.fix)
    missing = set(VARIABLES[name]) ^ variables.keys()
    if missing:
        raise SettingsError(f"prompt {name!r} was given the wrong variables: {', '.join(sorted(missing))}")
    return _VARIABLE.sub(lambda found: variables[found[1]], text)


def check(home: Path | None = None) -> tuple[Problem, ...]:
    """Return everything that is wrong with the prompts as `home` would use them, strays included."""
    found: list[Problem] = []
    for name in VARIABLES:
        try:
            found += _problems(name, *_load(name, home))
        except SettingsError as error:
            what = error.what.removeprefix(f"{_place(name, home)}:1: ")
            found.append(Problem(file=_place(name, home), line=1, what=what, fix=error.fix))
    return (*found, *_strays(home))


def _load(name: str, home: Path | None) -> tuple[Path, str]:
    if name not in VARIABLES:
        raise SettingsError(f"there is no prompt {name!r}", fix=f"use one of {', '.join(VARIABLES)}")
    path = _place(name, home)
    try:
        with path.open("rb") as stream:
            data = stream.read(LONGEST_BYTES + 1)
        text = data.decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(
            f"{path}:1: the prompt cannot be read: {error}", fix="mend or delete the file"
        ) from error
    if len(data) > LONGEST_BYTES:
        raise SettingsError(f"{path}:1: the prompt is longer than {LONGEST_BYTES} bytes", fix="shorten it")
    return path, text


def _place(name: str, home: Path | None) -> Path:
    override = home / "prompts" / f"{name}.md" if home else None
    return override if override and override.exists() else shipped() / f"{name}.md"


def shipped() -> Path:
    """Return the folder of the shipped prompts: in the wheel, or the checkout's when run from source."""
    inside = Path(str(resources.files("agentloop"))) / "prompts"
    return inside if inside.is_dir() else Path(__file__).resolve().parents[2] / "prompts"


def _problems(name: str, path: Path, text: str) -> Iterator[Problem]:
    wanted = VARIABLES[name]
    used: set[str] = set()
    for number, line in enumerate(text.splitlines(), start=1):
        for found in _VARIABLE.finditer(line):
            used.add(found[1])
            if found[1] not in wanted:
                yield _unknown(path, number, found[1], wanted)
    for variable in (each for each in wanted if each not in used):
        yield Problem(
            file=path,
            line=max(1, len(text.splitlines())),
            what=f"variable {{{{{variable}}}}} is never used",
            fix=f"put {{{{{variable}}}}} where it belongs, as in {shipped() / path.name}",
        )
    if not text.strip():
        yield Problem(file=path, line=1, what="the prompt is empty", fix="write it, or delete the file")


def _unknown(path: Path, number: int, variable: str, wanted: tuple[str, ...]) -> Problem:
    near = difflib.get_close_matches(variable, wanted, n=1)
    known = ", ".join(f"{{{{{each}}}}}" for each in wanted) or "none"
    meant = f"; did you mean {{{{{near[0]}}}}}?" if near else ""
    return Problem(
        file=path,
        line=number,
        what=f"unknown variable {{{{{variable}}}}}{meant}",
        fix=f"this prompt's variables are: {known}",
    )


def _strays(home: Path | None) -> Iterator[Problem]:
    for path in sorted((home / "prompts").glob("*.md")) if home else ():
        if path.stem not in VARIABLES and path.name != "README.md":
            near = difflib.get_close_matches(path.stem, VARIABLES, n=1)
            meant = f"; did you mean {near[0]}.md?" if near else ""
            yield Problem(
                file=path,
                line=1,
                what=f"no prompt is called {path.stem!r}{meant}",
                fix=f"prompts are: {', '.join(VARIABLES)}",
            )
