"""Constants as tensors, which are made once for each dtype and device."""

from collections.abc import Callable
from functools import lru_cache, wraps
from typing import TypeVar, TypeVarTuple

import torch

from node.torch_private import in_dispatch_mode, in_transform

A = TypeVarTuple("A")
T = TypeVar("T")


def made_once(maxsize: int) -> Callable[[Callable[[*A], T]], Callable[[*A], T]]:
    """A decorator: of a function that makes tensors from hashable arguments, the last `maxsize` results are kept.

    They may be used anywhere. In inference mode they are made as if outside of it, since autograd refuses to save an
    inference tensor. Within a transform of torch.func, or while a dispatch mode traces, a new tensor is a wrapped or a
    fake one that must not outlive that: there the constants are made in each call, and nothing is kept.
    """

    def decorator(make: Callable[[*A], T]) -> Callable[[*A], T]:
        def made(*args: *A) -> T:
            with torch.inference_mode(False):
                return make(*args)

        kept = lru_cache(maxsize)(made)

        @wraps(make)
        def constant(*args: *A) -> T:
            if in_transform() or in_dispatch_mode():
                return made(*args)
            return kept(*args)

        return constant

    return decorator
