"""Every port of a cycle is behind the tape: what is left out would not be reached at all."""

from __future__ import annotations

import inspect

from agentloop import taping
from agentloop.cycle import Parts
from agentloop.domain.secrets import mask
from agentloop.domain.taping import masked
from agentloop.ports import Outside

KEY = "sk-ant-api03-" + "Zk4tQm7x" * 6


def test_every_part_and_every_port_is_named_where_the_tape_is_put_in() -> None:
    """A port that is added to a cycle, and not there, would do nothing in every cycle: this says so."""
    for made, kind in ((taping.taped, Parts), (taping.taped_outside, Outside)):
        said = inspect.getsource(made)
        assert [name for name in kind.__annotations__ if f"{name}=" not in said] == []


def test_a_masked_text_is_as_long_as_it_was_and_masked_once() -> None:
    """What is cut to a length is cut at the same place; known keys go whatever their shape."""
    text = f"it is {KEY}\nand odd-key"
    hidden = masked(text, ("odd-key",))
    assert hidden == f"it is {'*' * len(KEY)}\nand *******"
    assert mask(hidden) == hidden
    assert masked({"body": [text]}, ("odd-key",)) == {"body": [hidden]}
