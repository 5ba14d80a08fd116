"""The simulator: weeks of the real cycle in a world that goes wrong, checked after every step."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from agentloop.domain.alerts import due
from agentloop.domain.askable import askable
from agentloop.domain.codec import decode, encode
from agentloop.domain.facts import Entry
from agentloop.domain.observed import Observed
from agentloop.domain.order import held_back, in_order
from agentloop.domain.reconcile import reconcile
from agentloop.domain.scene import Scene
from agentloop.domain.world import World, fold
from agentloop.testing.sim.__main__ import main, play, shrunk
from agentloop.testing.sim.broken import BrokenPromiseError
from agentloop.testing.sim.mutants import MUTANTS, Mutant, broken, hunt
from agentloop.testing.sim.play import Simulation, storm
from agentloop.testing.sim.promises import Promises
from agentloop.testing.sim.seeds import NAMED
from agentloop.testing.sim.weather import KINDS

if TYPE_CHECKING:
    from agentloop.cycle import Ended

STORMS = range(100, 106)


@pytest.mark.parametrize("seed", STORMS)
def test_every_promise_holds_through_a_week_of_faults(seed: int) -> None:
    """Crashes, lost answers, lies, clocks, people: nothing lost, doubled, overspent or unexplained."""
    played = play(seed, weeks=0.4, kinds=frozenset(KINDS))
    assert played.broken == ""


@pytest.mark.parametrize("name", NAMED)
def test_a_seed_that_once_broke_a_promise_holds_it(name: str) -> None:
    """What the simulator found stays found."""
    storm_then = NAMED[name]
    played = play(storm_then.seed, weeks=storm_then.weeks, kinds=frozenset(storm_then.kinds))
    assert (name, played.broken) == (name, "")


def test_every_kind_of_fault_strikes() -> None:
    """A simulation without a fault would prove little."""
    struck = {kind for seed in (1, 2) for kind in play(seed, weeks=0.7, kinds=frozenset(KINDS)).faults}
    assert struck == set(KINDS)


def test_a_seed_plays_the_same_in_another_process() -> None:
    """The same journal, line by line, whatever the order of hashes there."""
    code = (
        "import hashlib, json\n"
        "from agentloop.domain.codec import encode\n"
        "from agentloop.testing.sim.play import Simulation, storm\n"
        "entries = Simulation(storm(5, weeks=0.3)).run().house.journal.entries\n"
        "lines = [json.dumps(encode(one)) for one in entries]\n"
        "print(hashlib.sha256('\\n'.join(lines).encode()).hexdigest())\n"
    )
    there = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONPATH": ":".join(sys.path), "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
            timeout=300,
        ).stdout.strip()
        for seed in ("1", "2")
    }
    entries = Simulation(storm(5, weeks=0.3)).run().house.journal.entries
    here = hashlib.sha256("\n".join(json.dumps(encode(one)) for one in entries).encode()).hexdigest()
    assert there == {here}


def test_the_fold_kept_in_memory_is_the_fold_over_what_was_written() -> None:
    """Every entry reads back from its written form, and all of them together tell the same world."""
    house = Simulation(storm(7, weeks=0.4)).run().house
    again = [decode(Entry, json.loads(json.dumps(encode(one)))) for one in house.journal.entries]
    assert again == house.journal.entries
    assert fold(again) == house.world


def test_what_is_made_once_is_what_would_be_made_anew() -> None:
    """After every entry of a storm, rules asked of the fold that goes on answer as of one just made."""
    simulation = Simulation(storm(7, weeks=0.4)).run()
    settings = simulation.plot.settings
    world, entries = World(), simulation.house.journal.entries
    for number, entry in enumerate(entries, 1):
        world.apply(entry)
        scene = Scene(world=world, observed=Observed(now=entry.at), settings=settings)
        answers = _answers(scene)
        if number % 40 == 0:
            assert answers == _answers(replace(scene, world=fold(entries[:number])))


def _answers(scene: Scene) -> tuple[object, ...]:
    held = [held_back(scene, view) for view in in_order(scene)]
    return held, reconcile(scene), askable(scene), due(scene), scene.common(), scene.admin_unpaid()


class Strict(Promises):
    """Promises that no loop can keep: they show what a broken one looks like."""

    def cycle(self, ended: Ended, before: tuple[int, int, int], after: tuple[int, int, int]) -> None:
        """Break when a cycle says that it acted."""
        super().cycle(ended, before, after)
        if ended.outcome == "acted":
            raise BrokenPromiseError("nobody acts", f"cycle {ended.cycle} did")


def test_a_broken_promise_names_itself_and_stops_the_play() -> None:
    """No rule catches it on its way out."""
    simulation = Simulation(storm(1))
    simulation.promises = Strict(simulation.house, simulation.people)
    with pytest.raises(BrokenPromiseError, match="nobody acts: cycle 1 did"):
        simulation.run()


@pytest.mark.parametrize("mutant", [one for one in MUTANTS if not one.slow], ids=lambda one: one.name)
def test_a_rule_that_is_broken_on_purpose_is_caught(mutant: Mutant) -> None:
    """Each promise sees what it is there for; the slower ones are tried by `--mutants`.

    What shows in the storm that is named may show in another one once the rules draw differently.
    """
    caught = hunt(mutant, range(20 if mutant.seen else 3))
    assert caught.promise in mutant.breaks


def test_a_broken_rule_is_whole_again_afterwards() -> None:
    """What stood there stands there again, whatever happened meanwhile."""
    before = [vars(owner)[name] for one in MUTANTS for owner, name, _ in one.changes]
    for mutant in MUTANTS:
        with broken(mutant):
            pass
    assert [vars(owner)[name] for one in MUTANTS for owner, name, _ in one.changes] == before


def test_a_seed_is_played_again_and_told(capsys: pytest.CaptureFixture[str]) -> None:
    """`--seed N` tells what happens, ends with its step, and with 0 when all held."""
    assert main(["--seed", "101", "--weeks", "0.2"]) == 0
    told = capsys.readouterr().out.splitlines()
    assert told[-1].endswith("every promise held")
    assert any("decided" in line for line in told)


def test_many_seeds_are_counted(capsys: pytest.CaptureFixture[str]) -> None:
    """Weeks, cycles, faults and what was broken."""
    assert main(["--seeds", "200", "201", "--weeks", "0.2", "--jobs", "1"]) == 0
    told = capsys.readouterr().out
    assert "broken    0 of 2 seeds" in told
    assert "weeks     0.4" in told


def test_broken_off_it_tells_what_was_played_so_far() -> None:
    """^C at a terminal goes to all processes: weeks, cycles, faults and broken seeds are told even so."""
    # Who runs the tests in the background may have ^C ignored, and children inherit that.
    heard = (
        "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
        "from agentloop.testing.sim.__main__ import main; sys.exit(main())"
    )
    command = [sys.executable, "-c", heard, "--seeds", "0", "199", "--weeks", "0.05"]
    with subprocess.Popen(
        [*command, "--jobs", "1"],
        env={**os.environ, "PYTHONPATH": ":".join(sys.path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stderr is not None
        assert process.stderr.readline().startswith("plays seeds 0 to 199;")
        os.killpg(process.pid, signal.SIGINT)
        told, complaints = process.communicate(timeout=300)
    assert (process.returncode, complaints) == (130, "")
    assert [line.split()[0] for line in told.splitlines()][-4:] == ["weeks", "cycles", "faults", "broken"]


def test_shrinking_keeps_what_breaks_and_drops_the_rest() -> None:
    """A seed that breaks nothing has no faults to name."""
    played = play(101, weeks=0.1, kinds=frozenset({"crash", "clock"}))
    assert shrunk(played, weeks=0.1).needs == ()
