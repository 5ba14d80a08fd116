"""From files, environment and flags to `Settings`, with where each value comes from.

Precedence: flag > environment > home (`agentloop.toml`) > user (`$XDG_CONFIG_HOME/agentloop/config.toml`) >
default (`ANTHROPIC_BASE_URL` for `models.base_url`). All problems are found before one error is raised.
"""

from __future__ import annotations

import math
import os
import re
import tomllib
from collections.abc import Callable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

from agentloop.domain import codec
from agentloop.domain.secrets import find_secrets
from agentloop.domain.settings import MICROS, Settings
from agentloop.domain.valueclass import dataclass, replace
from agentloop.errors import HomeError, SettingsError
from agentloop.home import Home
from agentloop.settings import crosswise, ownership, sources, toml_lines
from agentloop.settings.problems import InvalidSettingsError, Key, Problem, name_of, nearest
from agentloop.settings.trees import ABSENT, Tree, leaves, lookup, without

Layer: TypeAlias = Literal["flag", "environment", "home", "user", "default"]
LIMIT_BYTES: Final = 1_000_000
"""A settings file beyond this is not read: it is not one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where a value was said: in which layer, and there at which place (`agentloop.toml:3`, a variable)."""

    layer: Layer
    where: str = ""

    def __str__(self) -> str:
        return self.where or self.layer


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """Validated settings and the origin of every value, by its key."""

    settings: Settings
    values: Mapping[Key, Any]
    origins: Mapping[Key, Origin]
    files: tuple[Path, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Said:
    """What one layer says, and how to point at a key of it."""

    layer: Layer
    tree: Tree
    point: Callable[[Key], str]


def load(home: Home, environ: Mapping[str, str] | None = None) -> Loaded:
    """Return the settings of `home`.

    Raises HomeError when there is no `agentloop.toml`, and SettingsError naming every problem, each with
    file, line and column (or the variable) and its fix.
    """
    given = os.environ if environ is None else environ
    files = sources.files_of(home, given)
    if not files.home.exists():
        raise HomeError(
            f"{home.root} is no home: there is no agentloop.toml in it", fix=f"agentloop init {home.root}"
        )
    layers = (
        _flags(given),
        _environment(given),
        _file("home", files.home, files.home.name),
        _file("user", files.user, str(files.user)),
        _vendor(given),
    )
    if secrets := _secrets(layers):
        raise InvalidSettingsError(secrets)  # before any other message could repeat them
    problems = _misnamed(given)
    settings, values, found = _settled(layers)
    problems += found
    problems += crosswise.problems(settings)
    problems += ownership.problems(home, settings, layers[2].tree)
    if problems:
        raise InvalidSettingsError(_pointed(problems, layers))
    origins = {key: _origin(key, layers) for key in values}
    return Loaded(settings=settings, values=values, origins=origins, files=(files.home, files.user))


def _file(layer: Layer, path: Path, name: str) -> _Said:
    try:
        with path.open("rb") as stream:
            data = stream.read(LIMIT_BYTES + 1)
    except FileNotFoundError:
        return _Said(layer=layer, tree={}, point=lambda _key: name)
    except OSError as error:
        raise SettingsError(
            f"{name} cannot be read: {error.strerror}", fix=f"check who may read {path}"
        ) from error
    if len(data) > LIMIT_BYTES:
        raise SettingsError(
            f"{name} is larger than {LIMIT_BYTES // 1_000_000} MB", fix="put the settings back"
        )
    text = _text(data, name)
    return _Said(layer=layer, tree=_parsed(text, name), point=_pointer(text, name))


def _text(data: bytes, name: str) -> str:
    try:
        text = data.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise SettingsError(
            f"{name}:{line}: a byte that is no UTF-8 text", fix="save the file as UTF-8"
        ) from error
    if found := find_secrets(text):
        raise InvalidSettingsError([_secret(f"{name}:{secret.line}", secret.kind) for secret in found])
    return text


def _secret(where: str, kind: str) -> Problem:
    return Problem(
        key=(),
        where=where,
        what=f"this looks like a secret ({kind}); settings never hold one",
        fix="take it out, make a new one, and put that into a file outside the home (models.key_file)",
    )


def _parsed(text: str, name: str) -> Tree:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        sentence, line, column = _syntax(str(error), text)
        raise SettingsError(
            f"{name}:{line}:{column}: this is not TOML: {sentence}",
            fix="mend that line; texts stand in quotes, lists in [ ], a table begins with [its name]",
        ) from error


def _syntax(words: str, text: str) -> tuple[str, int, int]:
    match = re.search(r"^(.*) \(at line (\d+), column (\d+)\)$", words)
    if match:
        return _lowered(match[1]), int(match[2]), int(match[3])
    lines = text.splitlines() or [""]
    return _lowered(words.removesuffix(" (at end of document)")), len(lines), len(lines[-1]) + 1


def _lowered(words: str) -> str:
    for theirs, ours in _SENTENCES:
        if re.search(theirs, words):
            return ours
    return words[:1].lower() + words[1:]


_SENTENCES: Final = (
    (r"Cannot (declare|mutate|overwrite|redefine|define)", "this key or table is there already, further up"),
    (r"Invalid statement|Expected '=' after", "expected a line like: key = value"),
    (r"Invalid value", "expected a value: a text in quotes, a number, true or false, or a list"),
    (r"Expected newline", "something stands behind the value"),
    (r"Unterminated string|Expected \"'|Expected '\"", "a text is not closed with the quote that opened it"),
    (r"Illegal character|invalid character", "a text ends in its line, and holds no control characters"),
)
"""What tomllib says in its own terms, in a person's."""


def _pointer(text: str, name: str) -> Callable[[Key], str]:
    known = toml_lines.places(text)

    def point(key: Key) -> str:
        place = toml_lines.place_of(key, known)
        return f"{name}:{place.line}:{place.column}" if place else name

    return point


def _environment(given: Mapping[str, str]) -> _Said:
    from agentloop.settings import schema

    variables = sources.overrides(given)

    def point(key: Key) -> str:
        for end in range(len(key), 0, -1):
            wanted = sources.PREFIX + sources.NESTING.join(str(part) for part in key[:end])
            for name in variables:
                if name.upper() == wanted.upper():
                    return name
        return "the environment"

    return _Said(layer="environment", tree=schema.from_environment(variables), point=point)


def _vendor(given: Mapping[str, str]) -> _Said:
    """What is said in the vendor's own variable, below everything that was said to us."""
    url = sources.vendor_base_url(given)
    tree: Tree = {"models": {"base_url": url}} if url else {}
    return _Said(layer="environment", tree=tree, point=lambda _key: sources.BASE_URL)


def _flags(given: Mapping[str, str]) -> _Said:
    said = sources.flags(given)
    tree: Tree = {}
    for name, value in said.items():
        *tables, last = name.split(".")
        table = tree
        for part in tables:
            inner = table.setdefault(part, {})
            if not isinstance(inner, dict):
                raise SettingsError(f"--set {name}: {part} was given a value too", fix="give one of them")
            table = inner
        table[last] = _flag_value(value)
    return _Said(layer="flag", tree=tree, point=lambda key: f"--set {name_of(key)}")


def _flag_value(text: str) -> object:
    """A flag's text as TOML would read it; what is no TOML value is a text without its quotes."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _misnamed(given: Mapping[str, str]) -> list[Problem]:
    problems = []
    for variable in sources.overrides(given):
        table = variable[len(sources.PREFIX) :].split(sources.NESTING)[0].lower()
        if table in sources.SECTIONS:
            continue
        close = nearest(table, sources.SECTIONS)
        better = variable.replace(table.upper(), close.upper(), 1) if close else ""
        fix = (
            f"did you mean {better}?" if close else f"unset it, or use one of: {', '.join(sources.SECTIONS)}"
        )
        problems.append(
            Problem(key=(), where=variable, what=f"there is no table {table!r} among the settings", fix=fix)
        )
    return problems


def _secrets(layers: tuple[_Said, ...]) -> list[Problem]:
    """Files were looked at as they were read, comments included; what is left is environment and flags."""
    return [
        _secret(said.point(key), found[0].kind)
        for said in layers
        for key, value in leaves(said.tree)
        if isinstance(value, str) and (found := find_secrets(value))
    ]


def _settled(layers: tuple[_Said, ...]) -> tuple[Settings, Mapping[Key, Any], list[Problem]]:
    """Merge and validate; what cannot be used is left out, so that the rest can be looked at too."""
    from agentloop.settings import schema

    trees = [said.tree for said in layers]
    merged = schema.merged(trees)
    problems = merged if isinstance(merged, list) else []
    while isinstance(merged, list):
        # From the back, so that the place of what is still to go does not shift.
        for problem in sorted(merged, key=lambda each: [str(part) for part in each.key], reverse=True):
            trees = [without(tree, problem.key) for tree in trees]
        merged = schema.merged(trees)
    return _typed(merged), dict(leaves(merged)), problems


def _typed(merged: Tree) -> Settings:
    """Validated values as `Settings`: prices in micro-dollars (the shipped ones below), `~` written out."""
    from agentloop.edges.metered import shipped_prices

    own = {
        name: {"is": "price", **{kind: _micros(dollars) for kind, dollars in price.items()}}
        for name, price in merged["prices"].items()
    }
    plain = {**merged, "targets": merged["target"], "prices": own}
    settings: Settings = codec.decode(Settings, plain)
    return replace(
        settings,
        targets=tuple(replace(each, repository=_expanded(each.repository)) for each in settings.targets),
        github=replace(settings.github, token_file=_expanded(settings.github.token_file)),
        models=replace(settings.models, key_file=_expanded(settings.models.key_file)),
        worker=replace(settings.worker, read=tuple(_expanded(path) for path in settings.worker.read)),
        prices={**shipped_prices().models, **settings.prices},
    )


def _micros(dollars: float) -> int:
    """Dollars as micro-dollars, rounded up: a limit may hold too early, never too late."""
    return math.ceil(Decimal(str(dollars)) * MICROS)


def _expanded(path: str) -> str:
    return str(Path(path).expanduser()) if path.startswith("~") else path


def _pointed(problems: list[Problem], layers: tuple[_Said, ...]) -> list[Problem]:
    placed = [each if each.where else replace(each, where=_speaker(each.key, layers)) for each in problems]
    return sorted(placed, key=lambda each: _in_order(each.where))


def _in_order(where: str) -> tuple[str, int, int]:
    """Order by file, then by line and column as numbers."""
    match = re.fullmatch(r"(.*?)(?::(\d+))?(?::(\d+))?", where, re.DOTALL)
    name, line, column = match.groups() if match else (where, None, None)
    return name, int(line or 0), int(column or 0)


def _speaker(key: Key, layers: tuple[_Said, ...]) -> str:
    """Where `key`, or the most of it that anybody said, was said by the layer that counts."""
    for end in range(len(key), 0, -1):
        for said in layers:
            if lookup(said.tree, key[:end]) is not ABSENT:
                return said.point(key)
    return ""


def _origin(key: Key, layers: tuple[_Said, ...]) -> Origin:
    for said in layers:
        if lookup(said.tree, key) is not ABSENT:
            return Origin(layer=said.layer, where=re.sub(r"(:\d+):\d+$", r"\1", said.point(key)))
        if key[0] == "target" and "target" in said.tree:
            break  # a list of targets replaces the one below it; what it does not say is the default
    return Origin(layer="default")
