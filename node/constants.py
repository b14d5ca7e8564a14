"""Constants as tensors, which are made once for each dtype and device."""

from collections.abc import Callable
from functools import lru_cache, update_wrapper
from typing import Generic, TypeVar, TypeVarTuple

import torch

from node.torch_private import in_dispatch_mode, in_transform

A = TypeVarTuple("A")
T = TypeVar("T")


class MadeOnce(Generic[*A, T]):
    """A function that makes tensors from hashable arguments, of which the last results are kept.

    They may be used anywhere. In inference mode they are made as if outside of it, since autograd refuses to save an
    inference tensor. Within a transform of torch.func, or while a dispatch mode traces, a new tensor is a wrapped or a
    fake one that must not outlive that: there the constants are made in each call, and nothing is kept.
    """

    def __init__(self, make: Callable[[*A], T], maxsize: int) -> None:
        self._make = make
        self._kept = lru_cache(maxsize)(self._made)
        update_wrapper(self, make)

    def __call__(self, *args: *A) -> T:
        """The constants, kept or made."""
        if in_transform() or in_dispatch_mode():
            return self._made(*args)
        return self._kept(*args)

    def cache_clear(self) -> None:
        """Forget the kept results."""
        self._kept.cache_clear()

    def _made(self, *args: *A) -> T:
        with torch.inference_mode(False):
            return self._make(*args)


def made_once(maxsize: int) -> Callable[[Callable[[*A], T]], MadeOnce[*A, T]]:
    """A decorator: the function becomes a MadeOnce that keeps the last `maxsize` results."""
    return lambda make: MadeOnce(make, maxsize)
