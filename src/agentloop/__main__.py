"""The command `agentloop`.

What has to be quick, or to run for months, is sent on its way before any framework is imported; everything
else is typer's. Each of the quick commands is declared to typer as well, so that help and completion know it.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = (
    False  # `typing` costs a third of what the quick commands may take; type checkers know this name
)
if TYPE_CHECKING:
    from collections.abc import Sequence

WORKERS = frozenset({"attempt", "gate", "salvage", "upkeep"})
QUICK = WORKERS | {"run", "cycle", "wake", "stop", "pause", "resume", "webhook"}
TAKES_WORDS = frozenset(
    {"--body", "-b", "--comment", "--request-changes", "--reason", "--summary", "--name", "--label", "-l"}
)
"""Options whose value is a person's own words: what follows one of them is never an option of ours."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line `argv` (the process's own when None) and return its exit code."""
    args = list(sys.argv[1:] if argv is None else argv)
    try:
        if args and args[0] not in WORKERS:
            args = _without_common(args)
        if args == ["--help"]:
            return _help()
        return _quick(args) if _is_quick(args) else _framework(args)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader went away (`agentloop logs | head`): no message, and none at interpreter exit either.
        sys.stdout = None
        return 0


def _without_common(args: list[str]) -> list[str]:
    """Return the words without `--home DIR` and `--set KEY=VALUE`, wherever they stand before a `--`.

    What they say goes into the environment: that reaches our children too.
    """
    rest: list[str] = []
    said: dict[str, list[str]] = {"--home": [], "--set": []}
    words = list(args)
    while words and words[0] != "--":
        option, equals, value = words[0].partition("=")
        if option not in said or (rest and rest[-1] in TAKES_WORDS) or not (equals or words[1:]):
            rest.append(words.pop(0))
            continue
        said[option].append(value if equals else words[1])
        del words[: 1 if equals else 2]
    _say_in_environment(said["--set"], said["--home"])
    if said["--home"] and rest[:1] == ["init"]:
        rest.insert(1, f"--home={said['--home'][-1]}")
    return rest + words


def _say_in_environment(settings: list[str], homes: list[str]) -> None:
    import os

    if homes:
        os.environ["AGENTLOOP_HOME"] = os.path.abspath(homes[-1])  # noqa: PTH100 - pathlib costs milliseconds
    if not settings:
        return
    from agentloop import exits
    from agentloop.errors import SettingsError
    from agentloop.settings import sources

    try:
        os.environ.update(sources.flag_environment(settings))
    except SettingsError as error:
        print(f"agentloop: {error}", file=sys.stderr)  # noqa: T201 - typer is not there yet
        raise SystemExit(exits.USAGE) from error


def _is_quick(args: list[str]) -> bool:
    if not args or "--help" in args or "-h" in args:
        return False
    if args[0] == "cycle" and ("--dry-run" in args or "show" in args):
        return False
    return args[0] in QUICK or args == ["--version"] or _is_quick_status(args)


def _is_quick_status(args: list[str]) -> bool:
    return args[0] == "status" and "--json" in args and "--watch" not in args


def _quick(args: list[str]) -> int:
    if args == ["--version"]:
        from agentloop import __version__

        print(f"agentloop {__version__}")  # noqa: T201 - what was asked for
        return 0
    from agentloop import light

    return light.run(args[0], args[1:])


def _help() -> int:
    from agentloop.cli import catalogue

    sys.stdout.write(catalogue.help_text(catalogue.columns()))
    return 0


def _framework(args: list[str]) -> int:
    from agentloop.cli.app import run

    return run(args)


if __name__ == "__main__":
    sys.exit(main())
