"""`python -m agentloop.testing.demo`: an issue goes in, a pull request comes out, you watch."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from typing import TYPE_CHECKING, NoReturn

from agentloop import exits
from agentloop.errors import AgentloopError
from agentloop.testing.demo.narrator import Narrator
from agentloop.testing.demo.screen import Screen
from agentloop.testing.demo.stage import LIVE_LIMITS, Stage

if TYPE_CHECKING:
    from collections.abc import Sequence

INTERRUPTED = 130
PAUSES = {"fast": 0.0, "slow": 1.3}
ENDINGS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def main(arguments: Sequence[str] | None = None) -> int:
    """Tell the story and return an exit code: 0 told to its end, 1 went wrong, 4 no key, 130 interrupted."""
    given = _parser().parse_args(arguments)
    screen = Screen(pause_seconds=PAUSES[given.pace])
    if given.live and not os.environ.get("ANTHROPIC_API_KEY"):
        screen.trouble(
            "--live needs ANTHROPIC_API_KEY", "set it, or leave --live out: a script needs no key", ""
        )
        return exits.SETTINGS
    for number in ENDINGS:
        signal.signal(number, _interrupt)
    screen.say(_first_line(live=given.live), "bold")
    stage = Stage(live=given.live, keep=given.keep)
    code = _told(stage, screen)
    if code == exits.OK or given.keep:
        _last_lines(stage, screen)
    return code


def _told(stage: Stage, screen: Screen) -> int:
    try:
        with stage:
            try:
                _about_the_sandbox(stage, screen)
                Narrator(stage=stage, screen=screen).tell()
            except AgentloopError as error:
                screen.trouble(error.what, error.fix, stage.log_end())
                return exits.code_for(error)
            finally:
                for number in ENDINGS:
                    signal.signal(number, signal.SIG_IGN)  # clearing up is bounded, and must not be cut short
    except KeyboardInterrupt:
        screen.blank()
        screen.say("interrupted; every process is ended" + ("" if stage.keep else " and the folder is gone"))
        return INTERRUPTED
    except (AgentloopError, OSError) as error:
        screen.trouble(str(error), "", "")
        return exits.FAILED
    return exits.OK


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="scripts/demo",
        description="One issue's story on screen, in a temporary folder, in under a minute.",
    )
    cost = f"may cost up to ${LIVE_LIMITS['total_usd']}0"
    parser.add_argument("--live", action="store_true", help=f"the real API; needs ANTHROPIC_API_KEY, {cost}")
    parser.add_argument("--keep", action="store_true", help="leave the folder there, to look around in")
    pace = "slow" if sys.stdout.isatty() else "fast"
    parser.add_argument("--pace", choices=sorted(PAUSES), default=pace, help="slow leaves time to read along")
    return parser


def _interrupt(_number: int, _frame: object) -> NoReturn:
    raise KeyboardInterrupt


def _first_line(*, live: bool) -> str:
    if live:
        return f"This demo asks the real API with your key; it costs at most ${LIVE_LIMITS['total_usd']}0."
    return "This demo uses a scripted model in place of a real one: it needs no key."


def _about_the_sandbox(stage: Stage, screen: Screen) -> None:
    screen.say(f"Everything happens in {stage.root}", "dim")
    if stage.sandbox_off is not None:
        screen.say(
            'It runs with sandbox = "none", so that agents\' commands run with your own rights: '
            f"{stage.sandbox_off.what.partition(', so no')[0]}.",
            "yellow",
        )
        screen.say(f"To have the sandbox: {stage.sandbox_off.fix.partition(', or set worker')[0]}", "yellow")


def _last_lines(stage: Stage, screen: Screen) -> None:
    screen.blank()
    if stage.keep:
        screen.say(f"Everything is still there: {stage.root}")
        screen.say("home/ (tracker, relay, journal), durations/ (the repository), run.log", "dim")
    screen.say("On a repository of yours:", "bold")
    for command in (
        "agentloop init my-loop --target /path/to/your/repository",
        "cd my-loop && agentloop doctor",
        "agentloop issue new 'What should change' && agentloop run",
    ):
        screen.typed(command)


if __name__ == "__main__":
    sys.exit(main())
