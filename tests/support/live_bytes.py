"""The exact number of live bytes of tensors, by a weak reference to every storage that an operation makes."""

import gc
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode


class LiveBytes(TorchDispatchMode):
    """Follows the storages that operations within it make, whether Python, a graph or a context holds them."""

    def __init__(self) -> None:
        super().__init__()
        self._made: dict[int, tuple[StorageWeakRef, int]] = {}

    def __enter__(self) -> "LiveBytes":
        gc.freeze()  # a collection skips older objects, so it takes 1 ms, not 100
        super().__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        gc.unfreeze()

    def __torch_dispatch__(self, f: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = f(*args, **(kwargs or {}))
        given = None
        for storage in _storages(out):
            key = storage._cdata
            if key in self._made and not self._made[key][0].expired():
                continue
            if given is None:
                given = {x._cdata for x in _storages((args, tuple((kwargs or {}).values())))}
            if key not in given:  # neither a view nor an argument
                self._made[key] = StorageWeakRef(storage), storage.nbytes()
        return out

    def now(self) -> int:
        """The bytes that are live now, after a collection of reference cycles."""
        gc.collect()
        self._made = {key: made for key, made in self._made.items() if not made[0].expired()}
        return sum(size for _, size in self._made.values())


def _storages(x: Any) -> Iterator[torch.UntypedStorage]:
    if isinstance(x, Tensor):
        if x.layout == torch.strided:
            yield x.untyped_storage()
    elif isinstance(x, list | tuple):
        for part in x:
            yield from _storages(part)
