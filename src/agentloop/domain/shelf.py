"""A dictionary of which most values stay outside until somebody asks for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterator

V = TypeVar("V")


class Store(Protocol[V]):
    """Where the values are that nobody has asked for yet."""

    def one(self, name: str) -> V | None:
        """Return the value of that name, or None."""

    def all(self) -> dict[str, V]:
        """Return every value, by name."""


class Shelf(dict[str, V], Generic[V]):
    """A dictionary whose own items are at hand, and go before those of the same name in a store.

    Asked by name it looks in the store; whoever walks over it brings everything in. `dict` knows nothing of
    the store, so `at_hand` is what was there from the beginning or was set since.
    """

    def __init__(self, at_hand: dict[str, V], store: Store[V]) -> None:
        super().__init__(at_hand)
        self.store = store
        self._seen: dict[str, V | None] = {}

    def at_hand(self) -> dict[str, V]:
        """Return the items that are not merely the store's."""
        return dict(super().items())

    def whole(self) -> dict[str, V]:
        """Return all items, the store's first."""
        return {**self.store.all(), **self.at_hand()}

    def _look(self, name: str) -> V | None:
        if name not in self._seen:
            self._seen[name] = self.store.one(name)
        return self._seen[name]

    def __missing__(self, name: str) -> V:
        found = self._look(name)
        if found is None:
            raise KeyError(name)
        return found

    def get(self, name: str, default: Any = None) -> Any:  # noqa: ANN401 -- as in dict
        """Return the value of that name, or `default`."""
        try:
            return self[name]
        except KeyError:
            return default

    def __contains__(self, name: object) -> bool:
        return super().__contains__(name) or (isinstance(name, str) and self._look(name) is not None)

    def __iter__(self) -> Iterator[str]:
        return iter(self.whole())

    def __len__(self) -> int:
        return len(self.whole())

    def __eq__(self, other: object) -> bool:
        return self.whole() == (other.whole() if isinstance(other, Shelf) else other)

    __hash__ = None

    def keys(self) -> Any:  # noqa: ANN401 -- a class of CPython's own
        """Return all names."""
        return self.whole().keys()

    def values(self) -> Any:  # noqa: ANN401 -- as `keys`
        """Return all values."""
        return self.whole().values()

    def items(self) -> Any:  # noqa: ANN401 -- as `keys`
        """Return all names with their values."""
        return self.whole().items()
