"""A cycle run again from its record: the same, or exactly what differs; and no secret in any record."""

from __future__ import annotations

import json
import zlib
from typing import TYPE_CHECKING

from agentloop import exits
from agentloop.edges.tape import KEPT, LONGEST_SECONDS, prune

if TYPE_CHECKING:
    from pathlib import Path

    from tests.acceptance.conftest import Loop

KEY = "sk-ant-api03-" + "Zk4tQm7x" * 6
TOKEN = "ghp_" + "a1B2c3D4" * 5
ODD = "an-odd-key-without-any-shape"
"""The model's own: known, and masked for that."""
ASKS = f"""
[[step]]
name = "admin: the issue is vague, so ask"
when.system = "admin agent"
when.has = "is new: plan, ask or answer"
[[step.call]]
tool = "ask"
[step.call.input]
issue = "1"
question = "Is {TOKEN} the one in use, or {ODD}?"
choices = ["yes", "no"]
rationale = "The key {KEY} is in the issue."
"""


def test_a_record_is_compared_byte_for_byte_and_holds_no_secret(loop: Loop) -> None:
    """Keys in an issue and in the model's answer are masked; what is altered afterwards is told exactly."""
    loop.start_model(ASKS, "accept")
    loop.environment["ANTHROPIC_API_KEY"] = ODD
    loop.file("rotate the key", f"It is {KEY}, and not {ODD}.\n\n" + "x" * 5000)
    loop.cycle()
    loop.cycle()
    records = loop.home.cycles
    assert secrets_in(records, KEY, TOKEN, ODD) == []
    assert [one for one in loop.ours() for secret in (KEY, TOKEN, ODD) if secret in one] == []
    assert "Is [secret removed: github token] the one in use, or [key removed]?" in loop.ours()[0]
    assert secrets_in(loop.home.journal, KEY, TOKEN, ODD) == []
    assert secrets_in(loop.home.memories, KEY, TOKEN, ODD) == []
    history = loop.git("log", "-p", cwd=loop.home.root)
    assert [secret for secret in (KEY, TOKEN, ODD) if secret in history] == []

    del loop.environment["ANTHROPIC_API_KEY"]
    said = loop.cli("replay", "1")
    assert said.splitlines()[0] == "cycle 1  same"
    assert loop.json("replay", "1+1")["same"] is True

    tape = loop.home.cycle(1) / "tape.jsonl"
    whole = tape.read_text()
    tape.write_text(whole.replace('["yes","no"]', '["yes","never"]', 1))
    told = loop.cli("replay", "1", code=exits.DIFFERS)
    assert "what it wrote into the journal differs" in told
    assert '-     "no"' in told or '+     "never"' in told
    tape.write_text("".join(line + "\n" for line in whole.splitlines()[:-3]))
    cut = loop.json("replay", "1")
    assert (cut["same"], cut["cut_off"]) == (True, True)
    tape.write_text(whole)

    shipped = (loop.home.prompts / "admin.md").exists()
    assert not shipped
    loop.home.prompts.mkdir(exist_ok=True)
    (loop.home.prompts / "admin.md").write_text("Be another admin agent.\n")
    assert "the prompt differs" in loop.cli("replay", "1", code=exits.DIFFERS)
    (loop.home.prompts / "admin.md").unlink()
    loop.set(open_pulls="1")
    loop.cycle()
    assert "settings changed since (limits)" in loop.cli("replay", "1")

    screens = [loop.cli("cycles"), loop.cli("cycle", "show", "1"), loop.cli("explain", "1", "--cycle", "1")]
    assert all("ask on issue 1" in one for one in screens)
    assert loop.code("replay", "99") == exits.NOT_FOUND
    assert loop.code("cycle", "show", "99") == exits.NOT_FOUND


def secrets_in(folder: Path, *secrets: str) -> list[str]:
    """Return the files below `folder` that hold one of `secrets`, compressed ones looked into."""
    found = []
    for path in folder.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            data += zlib.decompress(data) if path.parent.name == "pool" else b""
            found += [str(path) for one in secrets if one.encode() in data]
    return found


def test_records_are_bounded_in_number_and_the_pool_follows(tmp_path: Path) -> None:
    """The oldest go first, and with them what only they had used."""
    pool = tmp_path / "pool"
    pool.mkdir()
    for number in range(1, KEPT + 6):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "tape.jsonl").write_text(json.dumps({"v": 1}))
        for path in (folder / "tape.jsonl", pool / f"{number:024x}"):
            path.touch()
            stamp(path, number * 2 * LONGEST_SECONDS)
    prune(tmp_path)
    assert sorted(int(path.name) for path in tmp_path.glob("[0-9]*")) == list(range(6, KEPT + 6))
    assert len(list(pool.iterdir())) == KEPT


def stamp(path: Path, second: int) -> None:
    """Make a file as old as its number says."""
    import os

    os.utime(path, (second, second))
