"""Shapes, types and bounds of settings: pydantic models made from the dataclasses in `domain/settings.py`.

The dataclasses stay the one description; the models are made of them when settings are read. They are
strict (a number in quotes is a text) and refuse keys they do not know; what pydantic finds is said here in a
person's words.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Annotated, Any, Final, get_args, get_origin, get_type_hints

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, create_model
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails, PydanticCustomError
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from agentloop.domain.settings import Settings, Target
from agentloop.settings import rules
from agentloop.settings.problems import Key, Problem, name_of, nearest, shown
from agentloop.settings.sources import NESTING, PREFIX
from agentloop.settings.trees import Tree

_REFUSED: Final = "refused"
_FILES_ONLY: Final = frozenset({"targets", "prices"})


class Dollars(BaseModel):
    """A price as a person writes it: dollars for a million tokens of each kind."""

    model_config = ConfigDict(extra="forbid", strict=True)

    input: float = Field(ge=0, le=100_000, allow_inf_nan=False)
    output: float = Field(ge=0, le=100_000, allow_inf_nan=False)
    cache_write: float = Field(ge=0, le=100_000, allow_inf_nan=False)
    cache_read: float = Field(ge=0, le=100_000, allow_inf_nan=False)


class _Layered(BaseSettings):
    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_nested_delimiter=NESTING, extra="forbid", strict=True
    )


class _Environment(EnvSettingsSource):
    """Settings from the variables given; what should be JSON and is not is left for validation to name."""

    def __init__(self, model: type[BaseSettings], variables: Mapping[str, str]) -> None:
        self._variables = {name.lower(): value for name, value in variables.items()}
        super().__init__(model)

    def _load_env_vars(self) -> Mapping[str, str | None]:
        return self._variables

    def decode_complex_value(self, field_name: str, field: FieldInfo, value: Any) -> Any:  # noqa: ARG002, ANN401 -- as pydantic calls it
        try:
            return json.loads(value)
        except ValueError:
            return value


def from_environment(variables: Mapping[str, str]) -> Tree:
    """Return the settings that `variables` (`sources.overrides`) say, each text in its setting's type."""
    return _Environment(_model(), variables)()


def merged(layers: Sequence[Tree]) -> Tree | list[Problem]:
    """Return the settings of all `layers`, the first with the highest precedence, or what is wrong with them.

    Tables are merged key by key; a list (targets, globs) of a higher layer replaces the lower one's. Every
    setting that no layer names has its default.
    """

    class Merged(_model()):  # type: ignore[misc] # a model made at run time
        @classmethod
        def settings_customise_sources(
            cls, settings_cls: type[BaseSettings], **_: PydanticBaseSettingsSource
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            return tuple(InitSettingsSource(settings_cls, layer) for layer in layers)

    try:
        return dict(Merged().model_dump())
    except ValidationError as error:
        return [_problem(found) for found in error.errors(include_url=False)]


@cache
def _model() -> type[BaseSettings]:
    hints = get_type_hints(Settings)
    tables: dict[str, Any] = {
        field.name: (_table(hints[field.name]), Field(default_factory=_table(hints[field.name])))
        for field in dataclasses.fields(Settings)
        if field.name not in _FILES_ONLY
    }
    return create_model(
        "AgentloopSettings",
        __base__=_Layered,
        target=(list[_table(Target)], Field(default_factory=list)),  # type: ignore[arg-type, misc]
        prices=(dict[str, Dollars], Field(default_factory=dict)),
        **tables,
    )


@cache
def _table(kind: type) -> type[BaseModel]:
    hints = get_type_hints(kind)
    fields: dict[str, Any] = {
        field.name: (_type_of(hints[field.name], field.metadata), _default_of(field))
        for field in dataclasses.fields(kind)
    }
    return create_model(kind.__name__, __config__=ConfigDict(extra="forbid", strict=True), **fields)


def _type_of(hint: Any, metadata: Mapping[str, Any]) -> Any:  # noqa: ANN401 - types made at run time
    check = rules.CHECKS.get(metadata.get("kind") or "")
    if get_origin(hint) is tuple:
        return list[_type_of(get_args(hint)[0], metadata)]  # type: ignore[misc]
    if hint is str and check is not None:
        return Annotated[str, AfterValidator(_refusing(check))]
    if hint in (int, float):
        bounds = Field(ge=metadata.get("least"), le=metadata.get("most"))
        return (
            Annotated[hint, bounds, Field(allow_inf_nan=False)] if hint is float else Annotated[hint, bounds]
        )
    return hint


def _default_of(field: dataclasses.Field[Any]) -> Any:  # noqa: ANN401 - of the setting's type
    if field.default is dataclasses.MISSING:
        return ...
    return list(field.default) if isinstance(field.default, tuple) else field.default


def _refusing(check: Any) -> Any:  # noqa: ANN401 - pydantic's own words for a validator
    def validate(text: str) -> str:
        refusal = check(text)
        if refusal is None:
            return text
        raise PydanticCustomError(_REFUSED, "{what}", {"what": refusal.what, "fix": refusal.fix})

    return validate


def _problem(found: ErrorDetails) -> Problem:
    """Say in a person's words what pydantic found."""
    key: Key = tuple(found["loc"])
    context = found.get("ctx", {})
    match found["type"]:
        case "refused":
            return Problem(key=key, what=f"{name_of(key)}: {context['what']}", fix=context["fix"])
        case "extra_forbidden":
            return _unknown(key)
        case "missing":
            return _missing(key)
        case "greater_than_equal" | "less_than_equal":
            return _out_of_bounds(key, found["input"], context)
        case other:
            return _wrong_type(key, other, found["input"], context)


def _missing(key: Key) -> Problem:
    return Problem(key=key, what=f"{name_of(key)} is missing", fix=f"add a line: {key[-1]} = {_example(key)}")


def _example(key: Key) -> str:
    return "'../my-project'" if key[-1] == "repository" else "'my-project'" if key[0] == "target" else "3.0"


def _out_of_bounds(key: Key, found: object, context: Mapping[str, Any]) -> Problem:
    bound, word = ("ge", "at least") if "ge" in context else ("le", "at most")
    return Problem(
        key=key,
        what=f"{name_of(key)}: expected {word} {context[bound]:,g}, found {shown(found)}",
        fix=f"write a number that is {word} {context[bound]:g}",
    )


_EXPECTED: Final[Mapping[str, tuple[str, str]]] = {
    "int": ("a whole number", "write digits without quotes or a point, e.g. 20"),
    "float": ("a number", "write a number without quotes, e.g. 2.5"),
    "finite": ("a number", "write a number without quotes, e.g. 2.5"),
    "bool": ("true or false", "write true or false, without quotes"),
    "string": ("a text", "write it in quotes, e.g. 'name'"),
    "list": ("a list", "write it in square brackets, e.g. ['one', 'two']"),
    "dict": ("a table", "begin it with its name in brackets, e.g. [limits]"),
    "model": ("a table", "begin it with its name in brackets, e.g. [limits]"),
}


def _wrong_type(key: Key, error: str, found: object, context: Mapping[str, Any]) -> Problem:
    expected, fix = _EXPECTED.get(error.split("_", maxsplit=1)[0], ("another value", "see docs/settings.md"))
    if error == "literal_error":
        expected = str(context["expected"])
        close = nearest(str(found), expected.replace("'", "").split(" or "))
        fix = f"did you mean '{close}'?" if close else f"write {expected}"
    elif key == ("target",):
        expected, fix = "a list of tables", "begin each target with a line [[target]], in two brackets"
    elif error == "model_type" and key[0] == "target":
        expected, fix = "a table", "begin each target with a line [[target]], in two brackets"
    return Problem(key=key, what=f"{name_of(key)}: expected {expected}, found {shown(found)}", fix=fix)


def _unknown(key: Key) -> Problem:
    known = _names_in(key[:-1])
    word = str(key[-1])
    kind = "table" if len(key) == 1 else "setting"
    moved = [section for section in _tables() if word in _tables()[section]] if len(key) > 1 else []
    close = nearest(word, known)
    if close:
        fix = f"did you mean {f'[[{close}]]' if close == 'target' else close}?"
    elif moved:
        fix = f"did you mean {word} in [{moved[0]}]?"
    else:
        fix = f"take it out, or use one of: {', '.join(known)}"
    return Problem(key=key, what=f"{name_of(key)} is not a {kind}", fix=fix)


def _names_in(table: Key) -> list[str]:
    if not table:
        return list(_model().model_fields)
    if table[0] == "prices":
        return list(Dollars.model_fields)
    return _tables().get(str(table[0]), [])


@cache
def _tables() -> dict[str, list[str]]:
    hints = get_type_hints(Settings)
    found = {
        field.name: [inner.name for inner in dataclasses.fields(hints[field.name])]
        for field in dataclasses.fields(Settings)
        if field.name not in _FILES_ONLY
    }
    return {"target": [field.name for field in dataclasses.fields(Target)], **found}
