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

QUICK = frozenset({"run", "cycle", "wake", "stop", "pause", "resume", "attempt", "gate"})


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line `argv` (the process's own when None) and return its exit code."""
    args = list(sys.argv[1:] if argv is None else argv)
    try:
        if args and args[0].split("=")[0] == "--set":
            args = _after_flags(args)
        return _quick(args) if _is_quick(args) else _framework(args)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader went away (`agentloop logs | head`): no message, and none at interpreter exit either.
        sys.stdout = None
        return 0


def _after_flags(args: list[str]) -> list[str]:
    """Put what `--set KEY=VALUE` says into the environment, for our children too; return the other words."""
    import os

    from agentloop import exits
    from agentloop.errors import SettingsError
    from agentloop.settings import sources

    said: list[str] = []
    rest = list(args)
    while rest and rest[0].split("=")[0] == "--set":
        _, equals, value = rest.pop(0).partition("=")
        said.append(value if equals else rest.pop(0) if rest else "")
    try:
        os.environ.update(sources.flag_environment(said))
    except SettingsError as error:
        print(f"agentloop: {error}", file=sys.stderr)  # noqa: T201 - typer is not there yet
        raise SystemExit(exits.USAGE) from error
    return rest


def _is_quick(args: list[str]) -> bool:
    if not args or "--help" in args or "-h" in args:
        return False
    if args[0] == "cycle" and "--dry-run" in args:
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


def _framework(args: list[str]) -> int:
    from agentloop.cli.app import run

    return run(args)


if __name__ == "__main__":
    sys.exit(main())
