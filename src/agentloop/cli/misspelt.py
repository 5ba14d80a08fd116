"""What is wrong with a command line, in our own words: what was given, what is valid, what may be meant."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer
from typer._click.exceptions import NoArgsIsHelpError, NoSuchOption, UsageError  # where typer keeps its click
from typer.core import TyperGroup, TyperOption

from agentloop import light

if TYPE_CHECKING:
    from collections.abc import Sequence

    from typer._click import Context
    from typer.core import TyperArgument

NUMBERS = {int: "whole number", float: "number"}
QUOTE = "'"
NO_SUCH_COMMAND = "No such command "

__all__ = ["NoArgsIsHelpError", "UsageError", "explained", "value_words"]


def value_words(parameter: TyperArgument | TyperOption, given: object) -> str:
    """Return why `given` is no value of the parameter, and what would be one; "" when that is not known."""
    kind: Any = parameter.type_descriptor.annotation
    choices = parameter.type_descriptor.choices
    if choices is not None:
        valid = [str(one) for one in choices]
        return f"{given!r} is none of {_listed(valid)}{_near(str(given), valid)}"
    if kind not in NUMBERS:
        return ""
    try:
        number = kind(str(given))
    except ValueError:
        return f"{given!r} is no {NUMBERS[kind]}"
    if parameter.min is not None and number < parameter.min:
        return f"{given} is too small: the least is {parameter.min:g}"
    if parameter.max is not None and number > parameter.max:
        return f"{given} is too large: the most is {parameter.max:,g}"
    return ""


def explained(error: UsageError) -> light.UsageError:
    """Return the framework's complaint as an error of ours, with the command that tells what is valid."""
    command = error.ctx.command_path if error.ctx is not None else "agentloop"
    return light.UsageError(f"{command}: {_what(error)}", fix=f"{command} --help")


def _what(error: UsageError) -> str:
    context = error.ctx
    if isinstance(error, NoSuchOption):
        return f"there is no option {error.option_name}{_options(context, error.option_name)}"
    if isinstance(error, typer.BadParameter):
        return _of_parameter(error)
    words = error.format_message()
    if words.startswith(NO_SUCH_COMMAND) and context is not None:
        return _command(context, words.removeprefix(NO_SUCH_COMMAND).split("'")[1])
    return words[:1].lower() + words[1:].rstrip(".")


def _of_parameter(error: typer.BadParameter) -> str:
    if error.param is None or not error.message:
        words = error.message or error.format_message()
        return words[:1].lower() + words[1:].rstrip(".")
    return f"{str(error.param.get_error_hint()).replace(QUOTE, '')}: {error.message}"


def _command(context: Context, given: str) -> str:
    known = list(context.command.commands) if isinstance(context.command, TyperGroup) else []
    return f"there is no command {given!r}{_near(given, known) or f'; there are {_listed(known)}'}"


def _options(context: Context | None, given: str) -> str:
    if context is None:
        return ""
    known = [
        name
        for one in context.command.get_params(context)
        if isinstance(one, TyperOption)
        for name in one.opts
        if name.startswith("--")
    ]
    return _near(given, known) or f"; there are {_listed(known)}"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names)


def _near(given: str, known: Sequence[str]) -> str:
    """Return the question whether something near was meant; "" when nothing is near."""
    import difflib

    near = difflib.get_close_matches(given, known, n=2, cutoff=0.6)
    return f"; did you mean {' or '.join(near)}?" if near else ""
