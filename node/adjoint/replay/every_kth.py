"""A limited number of items, spread evenly over a sequence of unknown length."""

from typing import Generic, TypeVar

T = TypeVar("T")


class EveryKth(Generic[T]):
    """The first item and every k-th after it, at most `most` items: k doubles when there would be more."""

    def __init__(self, most: int) -> None:
        self.items: list[T] = []
        self.k = 1
        self._most = most
        self._n = 0

    def add(self, item: T) -> None:
        """Keep the item if its number is a multiple of k."""
        if self._n % self.k == 0:
            self.items.append(item)
        self._n += 1
        if len(self.items) > self._most:
            self.items = self.items[::2]
            self.k *= 2
