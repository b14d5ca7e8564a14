"""A check for vector fields that read other tensors at a later time than at the start of a solve."""

from collections.abc import Collection, Sequence
from typing import Any

import torch
from torch import Tensor

from node.adjoint.field.copy import FieldCopy
from node.derivatives import leaves_behind
from node.errors import CallError
from node.vector_field import VectorField


def watched(mode: str, f: VectorField[Any], copy: FieldCopy, known: Sequence[Tensor]) -> VectorField[Any]:
    """f, wrapped by a `Watched` if it may later read tensors that get no gradient.

    These are tensors that f holds; or they are behind a tensor that a leaf replaces in the copy, if f also reads that
    tensor in another way. copy: the copy of f. known: the tensors that get a gradient, or were read at the start.
    """
    ids = {id(x) for x in known}
    if copy.n_unrelated or copy.replaced or any(x.requires_grad and id(x) not in ids for x in copy.readable()):
        return Watched(mode, f, ids)
    return f


class Watched:
    """A vector field whose graph is searched in every call for tensors that it did not read at the start of the solve.

    The gradient to such a tensor would be missing. always: search also in calls without grad mode.
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
        for leaf in leaves_behind(dy, excluding=given):
            if id(leaf) not in self._known:
                raise _reads_more(self._mode, leaf)


def _reads_more(mode: str, leaf: Tensor) -> CallError:
    return CallError(
        f"{mode}: at a later time the vector field reads a tensor of shape {tuple(leaf.shape)} that it does not read "
        "at the start of the solve, and that gets no gradient: pass parameters=(...) with all that it reads, or take "
        "gradient='backprop'"
    )
