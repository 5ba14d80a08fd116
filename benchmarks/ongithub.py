"""What looking at a simulated GitHub costs: the probe of the supervisor, the first look, and later ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from benchmarks.measuring import Row, ask_child

if TYPE_CHECKING:
    from pathlib import Path

OPEN = (100, 1_000, 5_000)
FEW, MANY, LARGE = OPEN
PROBE_MS = 0.5
FLAT = 1.3
FIRST_REQUESTS = 10
OF_DEFAULT = 1 / 20
CHANGED_UNITS = 4
RARELY, OFTEN = 10, 2
"""One issue in so many has a comment."""


def rows(home: Path, turns: int) -> list[Row]:
    """Return rows for each number of open issues; `turns` has no bearing: each is a median already."""
    del home, turns
    told = {count: ask_child("githublook", str(count), str(RARELY)) for count in OPEN}
    often = ask_child("githublook", str(MANY), str(OFTEN))
    return [*_probes(told), *_firsts(told[MANY], often), *_later(told)]


def _row(name: str, measured: float, unit: str, promised: float | None = None, **told: str) -> Row:
    return Row(group="github", name=name, measured=measured, unit=unit, promised=promised, **told)


def _probes(told: dict[int, Any]) -> list[Row]:
    found = []
    for count in (FEW, LARGE):
        probe = told[count]["probe"]
        kept = f"requests {probe['requests']:g}, units {probe['units']}, bytes {probe['bytes']}"
        found.append(
            _row(f"probe's CPU, {count:,} issues", probe["cpu_ms"], "ms", PROBE_MS, beside=kept),
        )
        spent = probe["units"] + probe["bytes"]
        found.append(_row(f"probe's units and body bytes, {count:,} issues", spent, "", 0))
    # The two are not measured in turn: the medians of a busy machine differ by a third either way.
    least, middle = (told[LARGE]["probe"][name] / told[FEW]["probe"][name] for name in ("least_ms", "cpu_ms"))
    name = f"probe's least CPU, {LARGE:,} issues / {FEW}"
    return [*found, _row(name, least, "×", FLAT, beside=f"medians {middle:.2f}")]


def _firsts(rarely: Any, often: Any) -> list[Row]:  # noqa: ANN401 -- what JSON has
    requests, default = rarely["first"]["requests"], rarely["default"]
    pages = "ten pages of 100 issues are the least; comments, the probe's list and our account are asked too"
    return [
        _row(f"first look at {MANY:,} issues", requests, "requests", FIRST_REQUESTS, why=pages),
        _row(
            f"the same / PyGithub as it comes, 1 in {OFTEN} with comments",
            often["first"]["requests"] / often["default"],
            "×",
            OF_DEFAULT,
            beside=f"{often['first']['requests']} to {often['default']}",
        ),
        _row(
            f"the same, 1 in {RARELY} with comments",
            requests / default,
            "×",
            OF_DEFAULT,
            beside=f"{requests} to {default}",
            why="of the few pages that PyGithub asks for here, most are asked for by anybody",
        ),
    ]


def _later(told: dict[int, Any]) -> list[Row]:
    units = max(one["changed"]["units"] for one in told.values())
    found = [_row("one thing changed, units, at any size", units, "", CHANGED_UNITS)]
    for count, one in told.items():
        name = f"look with nothing changed, {count:,} issues (CPU)"
        units = f"units {one['idle']['units']:g}, requests {one['idle']['requests']:g}"
        found.append(_row(name, one["idle"]["cpu_ms"], "ms", beside=units))
    return found
