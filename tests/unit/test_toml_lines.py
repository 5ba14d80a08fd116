"""Where a key stands in a TOML file."""

from __future__ import annotations

import tomllib

import hypothesis.strategies as st
from hypothesis import given

from agentloop.settings.reference import literal
from agentloop.settings.toml_lines import Place, place_of, places
from agentloop.settings.trees import leaves

TEXT = """\
# a comment with [brackets] and "quotes
top = 1
[limits]
day_usd = 5 # not a [table]
  text = '''
[not.a.table]
x = 1
'''
dotted.key = 2
[[target]]
name = "a"
verify = [
  "one", # ]
  "[two]",
]
branch = "b"
[[target]]
name = 'b = c'
[prices."model.x"]
input = 1
inline = { a = 1, b = [2, 3] }
[[target.inner]]
deep = true
"""


def test_every_key_is_found_where_it_stands() -> None:
    """Tables, arrays of tables, quoted and dotted names, values over many lines."""
    known = places(TEXT)

    assert {key: (place.line, place.column) for key, place in known.items()} == {
        ("top",): (2, 1),
        ("limits",): (3, 1),
        ("limits", "day_usd"): (4, 1),
        ("limits", "text"): (5, 3),
        ("limits", "dotted", "key"): (9, 1),
        ("target", 0): (10, 1),
        ("target", 0, "name"): (11, 1),
        ("target", 0, "verify"): (12, 1),
        ("target", 0, "branch"): (16, 1),
        ("target", 1): (17, 1),
        ("target", 1, "name"): (18, 1),
        ("prices", "model.x"): (19, 1),
        ("prices", "model.x", "input"): (20, 1),
        ("prices", "model.x", "inline"): (21, 1),
        ("target", 1, "inner", 0): (22, 1),
        ("target", 1, "inner", 0, "deep"): (23, 1),
    }


def test_what_is_not_told_apart_is_found_at_what_holds_it() -> None:
    """A key in an inline table is at its line; a table named only by its inner tables at the first one."""
    known = places(TEXT)

    assert place_of(("prices", "model.x", "inline", "b", 1), known) == Place(21, 1)
    assert place_of(("prices",), known) == Place(19, 1)
    assert place_of(("absent", "key"), known) is None


@st.composite
def files(draw: st.DrawFn) -> str:
    """TOML files of tables with plain values, comments, blank lines and arrays in between."""
    word = st.text("abcdefgh-_", min_size=1, max_size=5)
    value = st.one_of(
        st.integers(),
        st.booleans(),
        st.text("ab[]{}#=' \\\"é", max_size=8),
        st.lists(st.integers(), max_size=3),
    )
    lines = []
    for table in draw(st.lists(word, unique=True, max_size=4)):
        lines.append(f"{draw(st.sampled_from(['', ' ']))}[{table}] # [x]")
        for key in draw(st.lists(word, unique=True, max_size=4)):
            lines += draw(st.sampled_from([[], [""], ["# c = 1"], ["\t"]]))
            lines.append(f"{key} = {literal(draw(value))}")
    return "\n".join(lines)


@given(files())
def test_each_leaf_of_a_file_has_the_line_that_says_it(text: str) -> None:
    """For any file: the line that is named begins with the key's own name."""
    known = places(text)
    for key, _ in leaves(tomllib.loads(text)):
        place = known[key]
        line = text.split("\n")[place.line - 1]
        expected = f"[{key[0]}]" if len(key) == 1 else f"{key[-1]} ="
        assert line[place.column - 1 :].startswith(expected)
