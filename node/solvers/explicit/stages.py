"""The storage of a step's stages: a buffer for speed, or a list that autograd can differentiate through."""

import functools
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from node.constants import made_once
from node.solvers.explicit.tableau import ButcherTableau, Row
from node.vector_field import Time


class Weights(NamedTuple):
    """A row of a tableau, for one dtype and device."""

    row: Tensor
    stages: int  # the number of stages that the row covers
    only: tuple[int, float] | None  # the index and weight of a single nonzero entry: the sum is then one multiplication


class TableauWeights(NamedTuple):
    """A tableau's nodes and rows."""

    c: Tensor  # (stages, 1, 1)
    a: tuple[Weights, ...]
    b: Weights
    b_error: Weights | None
    dense: Tensor  # (degree, rows)
    dense_a: tuple[Weights, ...]


@made_once(256)
def weights(tableau: ButcherTableau, dtype: torch.dtype, device: torch.device) -> TableauWeights:
    """The tableau's nodes and rows as tensors of this dtype, on this device."""

    def row(values: Row) -> Weights:
        nonzero = [(j, x) for j, x in enumerate(values) if x]
        only = nonzero[0] if len(nonzero) == 1 else None
        return Weights(torch.tensor(values, dtype=dtype, device=device), len(values), only)

    return TableauWeights(
        c=torch.tensor(tableau.c, dtype=dtype.to_real(), device=device).view(-1, 1, 1),
        a=tuple(map(row, tableau.a)),
        b=row(tableau.b),
        b_error=None if tableau.b_error is None else row(tableau.b_error),
        dense=torch.tensor(tuple(zip(*tableau.dense, strict=True)), dtype=dtype, device=device),
        dense_a=tuple(map(row, tableau.dense_a)),
    )


class BufferedStages:
    """Stages as rows of one preallocated buffer: each weighted sum is one matrix-vector product.

    It cannot be differentiated; the states that it returns are new tensors.
    """

    def __init__(self, weights: TableauWeights, y0: Tensor) -> None:
        rows = weights.dense.shape[1]
        k = torch.empty(rows, y0.numel(), dtype=y0.dtype, device=y0.device)
        columns = k.t()
        self.weights = weights
        self._k = k
        self._row = k.view(rows, *y0.shape).unbind()
        self._leading = [columns.narrow(1, 0, i) for i in range(rows + 1)]
        self.put: list[Callable[[Tensor], object]] = [row.copy_ for row in self._row]  # put[i](k) stores stage i

    def combine(self, y: Tensor, dt: Time, weights: Weights) -> Tensor:
        """y + dt sum_j w_j k_j."""
        row, stages, only = weights
        if isinstance(dt, float):
            if only is not None:
                return torch.add(y, self._row[only[0]], alpha=dt * only[1])
            return torch.addmv(y, self._leading[stages], row, alpha=dt)
        if only is not None:
            return torch.addcmul(y, self._row[only[0]], dt, value=only[1])
        return torch.addcmul(y, torch.mv(self._leading[stages], row).view_as(y), dt)

    def error(self, dt: Time, weights: Weights) -> Tensor:
        """dt sum_j w_j k_j."""
        row, stages, _ = weights
        if isinstance(dt, float):
            return torch.addmv(self._k[0], self._leading[stages], row, beta=0, alpha=dt)
        return torch.mv(self._leading[stages], row).view_as(self._row[0]).mul_(dt)

    def polynomial(self, dt: Time) -> Tensor:
        """The coefficients dt sum_i d_ji k_i, over all stages, of each power j of theta."""
        dense = self.weights.dense
        if isinstance(dt, float):
            return torch.addmm(self._k[0], dense, self._k, beta=0, alpha=dt)
        return torch.mm(dense, self._k).view(-1, *self._row[0].shape).mul_(dt)


class RecordedStages:
    """Stages as the tensors that f returned, so that autograd can differentiate every weighted sum.

    In the graph a sum is a stack and a matrix product, whatever its length, or one node if only one stage has a weight;
    the error estimate has no graph. With a matrix-vector product the derivative would be strided: in a large state that
    costs more than f.
    """

    def __init__(self, weights: TableauWeights) -> None:
        rows = weights.dense.shape[1]
        self.weights = weights
        self._row: list[Tensor] = [torch.empty(0)] * rows
        self._y = self._y_row = torch.empty(0)  # the y of the last sum, and the same as a matrix of one row
        # put[i](k) stores stage i, as f returned it.
        self.put: list[Callable[[Tensor], object]] = [functools.partial(self._row.__setitem__, i) for i in range(rows)]

    def combine(self, y: Tensor, dt: Time, weights: Weights) -> Tensor:
        """y + dt sum_j w_j k_j."""
        row, stages, only = weights
        if isinstance(dt, float):
            if only is not None:
                return torch.add(y, self._row[only[0]], alpha=dt * only[1])
            if self._y is not y:
                self._y, self._y_row = y, y.unsqueeze(0)
            k = torch.stack(self._row[:stages])
            return torch.addmm(self._y_row, row.unsqueeze(0), k, alpha=dt).view_as(y)
        if only is not None:
            return torch.addcmul(y, self._row[only[0]], dt, value=only[1])
        return torch.addcmul(y, torch.mm(row.unsqueeze(0), self._leading(stages)).view_as(y), dt)

    def error(self, dt: Time, weights: Weights) -> Tensor:
        """dt sum_j w_j k_j, detached."""
        row, stages, _ = weights
        with torch.no_grad():
            return torch.mm(row.unsqueeze(0), self._leading(stages)).view_as(self._row[0]).mul_(dt)

    def polynomial(self, dt: Time) -> Tensor:
        """The coefficients dt sum_i d_ji k_i, over all stages, of each power j of theta."""
        dense = torch.mm(self.weights.dense, self._leading(len(self._row)))
        return dense.view(-1, *self._row[0].shape) * dt

    def _leading(self, stages: int) -> Tensor:
        return torch.stack(self._row[:stages]).view(stages, -1)


Stages = BufferedStages | RecordedStages
