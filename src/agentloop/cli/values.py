"""What the words of a command line become, without the framework's validators where none is needed.

typer (0.29) builds a pydantic validator for every parameter of a command, given or not, and loading pydantic
takes longer than most commands do. A text is a text, and a default needs no validation: only what has to be
converted, or is wrong, goes to the validators.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperArgument, TyperGroup, TyperOption

if TYPE_CHECKING:
    from typer._click import Command, Context  # where typer keeps its click


def plainly(command: Command) -> None:
    """Have `command`, and those below it, take the values that are what they should be as they are."""
    for parameter in command.get_params(typer.Context(command)):  # with `--help`, which is made once
        if isinstance(parameter, TyperArgument | TyperOption):
            _take_plainly(parameter)
    for each in command.commands.values() if isinstance(command, TyperGroup) else ():
        plainly(each)


def _take_plainly(parameter: TyperArgument | TyperOption) -> None:
    validated = parameter.process_value

    def _validated(ctx: Context, value: Any) -> Any:  # noqa: ANN401 -- of the parameter's type
        try:
            return validated(ctx, value)
        except typer.BadParameter as error:
            from agentloop.cli.misspelt import value_words

            error.message = value_words(parameter, value) or error.message.removeprefix("Value error, ")
            error.param = error.param or parameter
            raise

    def process_value(ctx: Context, value: Any) -> Any:  # noqa: ANN401 -- of the parameter's type
        if value is None and _takes_many(parameter):
            value = ()
        if not _is_right(parameter, value):
            return _validated(ctx, value)
        return value if parameter.callback is None else parameter.callback(ctx, parameter, value)

    parameter.process_value = process_value  # type: ignore[method-assign] # typer makes the parameters


def _takes_many(parameter: TyperArgument | TyperOption) -> bool:
    return bool(getattr(parameter, "multiple", False)) or parameter.nargs == -1


def _is_right(parameter: TyperArgument | TyperOption, value: object) -> bool:
    if value in (None, ()):
        return not parameter.required
    kind = parameter.type_descriptor.annotation
    if kind is str:
        return isinstance(value, str)
    choices = parameter.type_descriptor.choices
    if choices is not None:
        return isinstance(value, str) and value in choices
    return type(value) is kind and value == parameter.default
