"""What a broken promise is."""

from __future__ import annotations


class BrokenPromiseError(Exception):
    """A promise was broken: which, and how. No rule may catch it."""

    def __init__(self, promise: str, says: str) -> None:
        super().__init__(f"{promise}: {says}")
        self.promise = promise
        self.says = says


def hold(promise: str, held: object, says: str) -> None:
    """Raise BrokenPromiseError unless `held`."""
    if not held:
        raise BrokenPromiseError(promise, says)
