"""Every command a person can type: its group in the help, where its code is, and its line there.

So that `--help` loads none of them, and a command no other than its own. A test holds the lines against what
the commands say of themselves.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False  # `typing` costs a third of what the quick commands may take
if TYPE_CHECKING:
    from collections.abc import Iterator

ABOUT = "Turns issues into pull requests, day and night. A person merges."
EPILOG = "Every command also takes --home DIR and --set KEY=VALUE, before or behind its name."

GROUPS = {
    "To begin": {
        "init": ("home:init", "Make a home: settings, memories and runtime folders."),
        "doctor": (
            "home:doctor",
            "Look whether everything is there that the loop needs, and say how to mend what is not.",
        ),
        "rebuild": (
            "home:rebuild",
            "Make everything anew that can be derived, and mend the journal; nothing is done twice by it.",
        ),
        "config": ("config:app", "What the settings are, where they come from, whether they are right."),
    },
    "Say what you want, judge what comes back": {
        "issue": ("issue:app", "File issues, talk about them, close them."),
        "pr": ("pr:app", "Look at pull requests, review them, merge them."),
        "relay": (
            "relay:app",
            "The relay, memories/consensus.md: what one cycle tells the next, and what you tell them.",
        ),
        "retry": ("retry:retry", "Send a parked task back to a worker; the loop is woken."),
    },
    "See": {
        "status": ("status:status", "Show what the loop does, what it wants of you, and what it costs."),
        "tasks": ("tasks:tasks", "List tasks: those in hand, then the queue in the order of work."),
        "logs": (
            "logs:logs",
            "Show what an attempt did, line by line: the model's words, tools, results, cost.",
        ),
        "explain": (
            "explain:explain",
            "Tell why something stands where it does, or was not started, now or at a moment in the past.",
        ),
        "cycles": (
            "cycles:cycles",
            "List cycles, the newest first: why each began, what it did and cost, and why the loop slept.",
        ),
        "audit": (
            "audit:audit",
            "List what was done outside, who asked for it, who decided it and the rule that allowed it.",
        ),
        "replay": (
            "replay:replay",
            "Run a cycle again, without model, network or effect, and say whether it decides the same.",
        ),
        "cost": (
            "cost:cost",
            "Show what was spent, what is reserved for work under way, and what the limits leave.",
        ),
        "sim": ("sim:sim", "Play an ordinary week with your settings: what it would do, and cost; no key."),
    },
    # Dispatched before typer is loaded (see `agentloop.__main__`); they are here for help and completion.
    "The loop": {
        "run": ("loop:run", "Work until told to stop: cycle, sleep, wake early."),
        "wake": ("loop:wake", "Have the loop look around now instead of sleeping on."),
        "pause": ("loop:pause", "Let no cycle start for a while; what runs goes on."),
        "resume": ("loop:resume", "End the pause."),
        "stop": ("loop:stop", "Stop the supervisor; it finishes the cycle in hand first."),
        "cycle": ("loop:cycle", "Run one cycle by hand, as the supervisor would; or show what one did."),
        "webhook": ("loop:webhook", "Take GitHub's deliveries, so that news wakes the loop within seconds."),
    },
}
COMMANDS = {name: found for group in GROUPS.values() for name, found in group.items()}
_OPTIONS = {
    "--version": "Show the version and exit.",
    "--install-completion": "Install completion for the current shell.",
    "--show-completion": "Show completion for the current shell, to copy it or customize the installation.",
    "--help": "Show this message and exit.",
}
_MOST, _LEAST = 78, 50
"""Columns of a help text, as typer has them."""


def help_text(columns: int) -> str:
    """Return what `agentloop --help` prints on a terminal of so many columns."""
    width = max(min(columns - 2, _MOST), _LEAST)
    lines = ["Usage: agentloop [OPTIONS] COMMAND [ARGS]...", ""]
    lines += [*_folded(ABOUT, width, "  "), "", "Options:", *_listed(_OPTIONS, width), ""]
    widest = max(map(len, COMMANDS))
    for title, commands in GROUPS.items():
        rows = {f"{name:<{widest}}": about for name, (_, about) in commands.items()}
        lines += [f"{title}:", *_listed(rows, width), ""]
    return "\n".join([*lines, *_folded(EPILOG, width, "  "), ""])


def columns() -> int:
    """Return how wide the terminal is, 80 when there is none."""
    said = os.environ.get("COLUMNS", "")
    if said.isdecimal() and int(said):
        return int(said)
    try:
        return os.get_terminal_size(sys.__stdout__.fileno()).columns if sys.__stdout__ else 80
    except (OSError, ValueError):
        return 80


def _listed(rows: dict[str, str], width: int) -> Iterator[str]:
    first = 2 + max(map(len, rows)) + 2
    for name, about in rows.items():
        begin, *rest = _folded(about, width, " " * first)
        yield f"  {name}".ljust(first) + begin.lstrip()
        yield from rest


def _folded(text: str, width: int, indent: str) -> Iterator[str]:
    line = ""
    for word in text.split():
        if line and len(indent) + len(line) + 1 + len(word) > width:
            yield indent + line
            line = word
        else:
            line = f"{line} {word}".lstrip()
    yield indent + line
