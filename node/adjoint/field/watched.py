"""Fields that read other tensors later than they do at the start of a solve, and are told of."""

from collections.abc import Collection, Sequence
from typing import Any

import torch
from torch import Tensor

from node.adjoint.field.copy import FieldCopy
from node.derivatives import leaves_behind
from node.errors import CallError
from node.vector_field import VectorField


def watched(mode: str, f: VectorField[Any], copy: FieldCopy, known: Sequence[Tensor]) -> VectorField[Any]:
    """f, which is watched where there are tensors that it might yet read and that get no gradient.

    Such are within its reach; or they stand behind one for which its copy has a leaf, if f also reads that elsewhere.
    copy: of f. known: what gets one, or was read at the start, and so is known to get none.
    """
    ids = {id(x) for x in known}
    if copy.others or copy.met or any(x.requires_grad and id(x) not in ids for x in copy.within_reach()):
        return Watched(mode, f, ids)
    return f


class Watched:
    """A vector field whose graph is searched, in every call, for tensors that it did not read at the solve's start.

    Their gradient would be left out. always: also in calls without grad mode, which then leave no graph.
    """

    def __init__(self, mode: str, f: VectorField[Any], known: Collection[int], *, always: bool = False) -> None:
        self._mode = mode
        self._f = f
        self._known = known
        self._always = always

    def __call__(self, t: Tensor, y: Any) -> Any:
        """dy/dt of the field, unchanged."""
        with torch.set_grad_enabled(self._always or torch.is_grad_enabled()):
            dy = self._f(t, y)
        given = (t, *y) if isinstance(y, tuple) else (t, y)
        for part in dy if isinstance(dy, tuple) else (dy,):
            if isinstance(part, Tensor) and part.requires_grad:
                self._check(part, given)
        return dy

    def _check(self, dy: Tensor, given: Sequence[Tensor]) -> None:
        for leaf in leaves_behind(dy, but=given):
            if id(leaf) not in self._known:
                raise _reads_more(self._mode, leaf)


def _reads_more(mode: str, leaf: Tensor) -> CallError:
    return CallError(
        f"{mode}: at a later time the vector field reads a tensor of shape {tuple(leaf.shape)} that it does not read "
        "at the start of the solve, and that gets no gradient: pass parameters=(...) with all that it reads, or take "
        "gradient='backprop'"
    )
