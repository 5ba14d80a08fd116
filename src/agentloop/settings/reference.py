"""What is written about settings: a new agentloop.toml and docs/settings.md, both from the fields."""

from __future__ import annotations

import dataclasses
import json
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, get_args, get_origin, get_type_hints

from agentloop.domain.settings import Settings, Target
from agentloop.domain.valueclass import dataclass
from agentloop.settings.sources import SECTIONS

_WIDTH: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """A target as a new agentloop.toml names it."""

    name: str
    repository: str
    verify: tuple[str, ...] = ()
    tracker: str = "built-in"


TOKEN_FILE: Final = "~/.config/agentloop/github-token"  # noqa: S105 - a path
"""Where a new home expects GitHub's token, which is never in the home."""


def new_file(targets: Sequence[Named]) -> str:
    """Return the text of a new agentloop.toml: `targets` filled in, the rest a comment with its default."""
    lines = [
        "# Settings of this home. A line like #day_usd = 20.0 shows a default: take the # away to change it.",
        "# A flag or a variable (AGENTLOOP_LIMITS__DAY_USD=5) goes before this file, and this file before",
        "# ~/.config/agentloop/config.toml; `agentloop config show --origin` tells what is in force and why.",
        "# The whole reference: `agentloop config docs`. Never put a key or another secret in here.",
    ]
    lines += _targets(targets)
    on_github = any(target.tracker == "github" for target in targets)
    for section in SECTIONS:
        if section not in {"target", "prices"}:
            lines += _commented(
                section, {"token_file": TOKEN_FILE} if on_github and section == "github" else {}
            )
    lines += [
        "",
        "# Prices of models that agentloop does not know, in dollars for a million tokens.",
        '#[prices."model-name"]',
        "#input = 3.0",
        "#output = 15.0",
        "#cache_write = 3.75",
        "#cache_read = 0.3",
    ]
    return "\n".join(lines) + "\n"


def _targets(targets: Sequence[Named]) -> Iterator[str]:
    shown = targets or (Named(name="my-project", repository="../my-project"),)
    mark = "" if targets else "#"
    yield from ("", "# A repository to work for. There may be several: one [[target]] each.")
    for at, target in enumerate(shown):
        yield from ("",) if at else ()
        yield f"{mark}[[target]]"
        yield f"{mark}name = {literal(target.name)}"
        yield f"{mark}repository = {literal(target.repository)}"
        yield from _rest(target, mark, whole=not at)


def _rest(target: Named, mark: str, *, whole: bool) -> Iterator[str]:
    """The fields that have a default: with `whole` those too which stand at it, as comments."""
    set_here = {"verify": target.verify, "tracker": target.tracker}
    for field in dataclasses.fields(Target):
        if field.default is dataclasses.MISSING:
            continue
        value = set_here.get(field.name, field.default)
        if value != field.default:
            yield from _field(field, value, mark)
        elif whole:
            yield from _field(field, field.default, "#")


def _field(field: dataclasses.Field[Any], value: object, mark: str) -> Iterator[str]:
    sentence = field.metadata["doc"]
    assignment = f"{mark}{field.name} = {literal(value)}"
    if len(assignment) + len(sentence) + 4 <= _WIDTH:
        yield f"{assignment}  # {sentence}"
        return
    yield from (f"# {line}" for line in textwrap.wrap(sentence, _WIDTH))
    yield from textwrap.wrap(
        assignment, _WIDTH, subsequent_indent=mark, break_long_words=False, break_on_hyphens=False
    )


def _commented(section: str, set_here: Mapping[str, str]) -> Iterator[str]:
    kind = get_type_hints(Settings)[section]
    yield from ("", f"# {_first_paragraph(kind)}", f"[{section}]")
    for field in dataclasses.fields(kind):
        known = field.name in set_here
        yield from _field(field, set_here.get(field.name, field.default), "" if known else "#")


def _first_paragraph(kind: type) -> str:
    return " ".join((kind.__doc__ or "").split("\n\n")[0].split())


def literal(value: object) -> str:
    """Return `value` as TOML writes it."""
    match value:
        case bool():
            return str(value).lower()
        case str():
            if value.isprintable() and "'" not in value and ("\\" in value or '"' in value):
                return f"'{value}'"
            # JSON's escapes are TOML's too; it lets DEL through, which TOML does not.
            return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
        case tuple() | list():
            return "[" + ", ".join(literal(item) for item in value) + "]"
        case _:
            return str(value)


def markdown() -> str:
    """Return the reference of all settings as Markdown."""
    tables = [_PRICES if section == "prices" else _table(section) for section in SECTIONS]
    return "\n".join([_HEAD, *tables])


_HEAD: Final = """\
# Settings

This page is made by `agentloop config docs` from the code that validates the settings.

Settings come from five places; the first that names a setting wins:

1. `--set KEY=VALUE` on the command line: `agentloop --set limits.day_usd=5 …`
2. environment variables: `AGENTLOOP_LIMITS__DAY_USD=5` is `day_usd` in `[limits]`; lists, and all targets
   (`AGENTLOOP_TARGET`), are JSON
3. the home's `agentloop.toml`
4. the user's `$XDG_CONFIG_HOME/agentloop/config.toml` (`~/.config/agentloop/config.toml`)
5. the default; that of `models.base_url` is `ANTHROPIC_BASE_URL` where the environment has it

`agentloop config show --origin` shows every setting with its value and the place it comes from;
`agentloop config check` looks for mistakes. A list in one place replaces the list in the next; it is not
added to it.

When a target is the home's own repository, workers can change `agentloop.toml` by way of a pull request. Then
`[limits]`, `[worker]`, `[prices]`, `[github]`, `[webhook]`, `[approval]`, `models.base_url` and
`models.key_file` are refused there: set them in the user's file or in the environment.

No settings file may hold a secret: the API key comes from `ANTHROPIC_API_KEY`, from the file that
`models.key_file` names, or from a systemd credential; GitHub's token from the file that `github.token_file`
names, or from a systemd credential; the hook's secret likewise (`webhook.secret_file`).
"""


def _table(section: str) -> str:
    kind = Target if section == "target" else get_type_hints(Settings)[section]
    hints = get_type_hints(kind)
    title = "[[target]]" if section == "target" else f"[{section}]"
    rows = [
        _row(field.name, _kind(hints[field.name], field), _default(field), _cell(field.metadata["doc"]))
        for field in dataclasses.fields(kind)
    ]
    head = ["| key | type | default | meaning |", "|---|---|---|---|"]
    return "\n".join([f"## `{title}`", "", _first_paragraph(kind), "", *head, *rows, ""])


def _row(name: str, *cells: str) -> str:
    return " | ".join([f"| `{name}`", *cells]) + " |"


def _kind(hint: Any, field: dataclasses.Field[Any]) -> str:  # noqa: ANN401 - a type
    if get_origin(hint) is tuple:
        return "list of whole numbers" if get_args(hint)[0] is int else "list of texts"
    if hint in (int, float):
        least, most = field.metadata["least"], field.metadata["most"]
        return f"{'whole number' if hint is int else 'number'}, {least:,g}–{most:,.0f}"
    if hint is bool:
        return "true or false"
    if hint is str:
        return "text"
    return " or ".join(f"`{literal(choice)}`" for choice in get_args(hint))


def _default(field: dataclasses.Field[Any]) -> str:
    if field.default is dataclasses.MISSING:
        return "(must be given)"
    return f"`{_cell(literal(field.default))}`"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


_PRICES: Final = """\
## `[prices."model-name"]`

Dollars for a million tokens, for a model that agentloop has no price for (or a wrong one). A model without a
price may not be called: what it costs could not be held against a limit. All four are needed.

| key | type | meaning |
|---|---|---|
| `input` | number | input tokens that are not cached |
| `output` | number | output tokens, thinking included |
| `cache_write` | number | input tokens written to the cache |
| `cache_read` | number | input tokens read from the cache |
"""
