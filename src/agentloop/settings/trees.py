"""Settings as written: tables of keys, looked into and cut by key."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, TypeAlias

from agentloop.settings.problems import Key

Tree: TypeAlias = "dict[str, Any]"
"""Settings as a person writes them: tables of keys; `target` is a list of tables, prices are in dollars."""

ABSENT: Final = object()
"""What `lookup` finds where nothing is."""


def leaves(tree: object, key: Key = ()) -> Iterator[tuple[Key, Any]]:
    """Yield every value of `tree` with its key; a list of plain values and an empty table are values."""
    if isinstance(tree, dict) and (tree or not key):
        for name, value in tree.items():
            yield from leaves(value, (*key, name))
    elif isinstance(tree, list) and tree and all(isinstance(item, dict) for item in tree):
        for at, item in enumerate(tree):
            yield from leaves(item, (*key, at))
    else:
        yield key, tree


def without(tree: Tree, key: Key) -> Tree:
    """The tree without the value at `key`; without what should have held it when it is not there."""
    holder: Any = tree
    for part in key[:-1]:
        inner = _item(holder, part)
        if not isinstance(inner, (dict, list)):
            return without(tree, key[:-1]) if len(key) > 1 else tree
        holder = inner
    if _item(holder, key[-1]) is ABSENT:
        return without(tree, key[:-1]) if len(key) > 1 and lookup(tree, key[:-1]) is not ABSENT else tree
    return dict(_copied(tree, key))


def _copied(tree: Any, key: Key) -> Any:  # noqa: ANN401 - a table or a list, and stays one
    first, rest = key[0], key[1:]
    items = list(tree.items()) if isinstance(tree, dict) else list(enumerate(tree))
    kept = [
        (name, _copied(value, rest) if name == first else value)
        for name, value in items
        if rest or name != first
    ]
    return dict(kept) if isinstance(tree, dict) else [value for _, value in kept]


def _item(holder: object, part: str | int) -> Any:  # noqa: ANN401 - whatever stands there
    if isinstance(holder, dict):
        return holder.get(part, ABSENT)
    if isinstance(holder, list) and isinstance(part, int) and part < len(holder):
        return holder[part]
    return ABSENT


def lookup(tree: object, key: Key) -> Any:  # noqa: ANN401 - whatever stands there
    """Return what stands at `key`, or ABSENT."""
    found = tree
    for part in key:
        found = _item(found, part)
    return found
