"""The bytes of tensors that live, exactly: of every storage that an operation has made, as its weak reference tells."""

import gc
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode


class LiveBytes(TorchDispatchMode):
    """Follows what the operations within it make, whoever holds it: Python, a graph, a context."""

    def __init__(self) -> None:
        super().__init__()
        self._made: dict[int, tuple[StorageWeakRef, int]] = {}

    def __enter__(self) -> "LiveBytes":
        gc.freeze()  # what was there before is no one's to collect: a collection takes a millisecond, not a hundred
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
            if key not in given:  # no view of what was there before
                self._made[key] = StorageWeakRef(storage), storage.nbytes()
        return out

    def now(self) -> int:
        """Those that live now, after a collection of reference cycles."""
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
