"""The command `agentloop`.

What has to be quick, or to run for months, is sent on its way before any framework is imported; everything else is
typer's. Each of the quick commands is declared to typer as well, so that help and completion know it.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line `argv` (the process's own when None) and return its exit code."""
    args = list(sys.argv[1:] if argv is None else argv)
    quick = _quick(args)
    try:
        return quick(args[1:]) if quick else _framework(args)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader went away (`agentloop logs | head`): no message, and none at interpreter exit either.
        sys.stdout = None  # type: ignore[assignment]
        return 0


def _quick(args: list[str]) -> Callable[[list[str]], int] | None:
    if not args or "--help" in args or "-h" in args:
        return None
    if args[0] == "status" and "--json" in args and "--watch" not in args:
        return _wired("status")
    return _QUICK.get(args[0])


def _framework(args: list[str]) -> int:
    from agentloop.cli.app import run

    return run(args)


def _version(_args: list[str]) -> int:
    from agentloop import __version__

    print(f"agentloop {__version__}")
    return 0


def _light(name: str) -> Callable[[list[str]], int]:
    def call(args: list[str]) -> int:
        from agentloop import light

        return light.run(name, args)

    return call


def _wired(name: str) -> Callable[[list[str]], int]:
    def call(args: list[str]) -> int:
        from agentloop import wiring

        return wiring.COMMANDS[name](args)

    return call


_QUICK: dict[str, Callable[[list[str]], int]] = {
    "--version": _version,
    **{name: _light(name) for name in ("run", "wake", "stop", "pause", "resume")},
    **{name: _wired(name) for name in ("cycle", "attempt", "gate")},
}


if __name__ == "__main__":
    sys.exit(main())
