"""Where a step keeps its stages: a buffer for speed, or a list through which autograd can go back."""

from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

from node.tableau import ButcherTableau, Row
from node.vector_field import Time


class Weights(NamedTuple):
    """A tableau's rows as tensors, for one dtype and device."""

    a: tuple[Tensor, ...]
    b: Tensor
    b_error: Tensor | None
    dense: Tensor  # (degree, rows)
    dense_a: tuple[Tensor, ...]


@lru_cache(maxsize=256)
def weights(tableau: ButcherTableau, dtype: torch.dtype, device: torch.device) -> Weights:
    """The tableau's rows, made once for each dtype and device: also if first asked for in inference mode."""

    def row(values: Row) -> Tensor:
        return torch.tensor(values, dtype=dtype, device=device)

    with torch.inference_mode(False):  # autograd refuses to save a tensor that was made in inference mode
        return Weights(
            a=tuple(map(row, tableau.a)),
            b=row(tableau.b),
            b_error=None if tableau.b_error is None else row(tableau.b_error),
            dense=torch.stack(list(map(row, zip(*tableau.dense, strict=True)))),
            dense_a=tuple(map(row, tableau.dense_a)),
        )


class BufferedStages:
    """Stages as rows of one preallocated buffer: each weighted sum is one matrix-vector product.

    Nothing here can be differentiated; the states that it returns are new tensors.
    """

    def __init__(self, weights: Weights, y0: Tensor):
        rows = weights.dense.shape[1]
        k = torch.empty(rows, y0.numel(), dtype=y0.dtype, device=y0.device)
        self.weights = weights
        self._k = k
        self._row = list(k.view(rows, *y0.shape).unbind())
        self._first = k[0]
        self._leading = [k[:i].t() for i in range(rows + 1)]

    def put(self, i: int, k: Tensor) -> None:
        """Store stage i."""
        self._row[i].copy_(k)

    def combine(self, y: Tensor, dt: Time, row: Tensor) -> Tensor:
        """y + dt sum_j row_j k_j over the first len(row) stages."""
        if isinstance(dt, Tensor):
            return torch.addcmul(y, torch.mv(self._leading[row.numel()], row).view_as(y), dt)
        return torch.addmv(y, self._leading[row.numel()], row, alpha=dt)

    def scaled(self, dt: Time, row: Tensor) -> Tensor:
        """dt sum_j row_j k_j."""
        if isinstance(dt, Tensor):
            return torch.mv(self._leading[row.numel()], row).view_as(self._row[0]).mul_(dt)
        return torch.addmv(self._first, self._leading[row.numel()], row, beta=0, alpha=dt)

    def polynomial(self, dt: Time, dense: Tensor) -> Tensor:
        """dt sum_i dense_ji k_i over all stages, for each power j."""
        return (dense @ self._k).view(len(dense), *self._row[0].shape) * dt


class RecordedStages:
    """Stages as the tensors that f returned, so that autograd goes back through every weighted sum.

    A sum is two nodes of the graph, whatever its length; the error estimate leaves none.
    """

    def __init__(self, weights: Weights):
        self.weights = weights
        self._row: list[Tensor] = [torch.empty(0)] * weights.dense.shape[1]

    def put(self, i: int, k: Tensor) -> None:
        """Store stage i, as f returned it."""
        self._row[i] = k

    def combine(self, y: Tensor, dt: Time, row: Tensor) -> Tensor:
        """y + dt sum_j row_j k_j over the first len(row) stages."""
        if isinstance(dt, Tensor):
            return torch.addcmul(y, self._sum(row).view_as(y), dt)
        return torch.addmv(y, self._leading(row.numel()), row, alpha=dt)

    def scaled(self, dt: Time, row: Tensor) -> Tensor:
        """dt sum_j row_j k_j, detached."""
        with torch.no_grad():
            return self._sum(row).view_as(self._row[0]).mul_(dt)

    def polynomial(self, dt: Time, dense: Tensor) -> Tensor:
        """dt sum_i dense_ji k_i over all stages, for each power j."""
        return torch.tensordot(dense, torch.stack(self._row), dims=1) * dt

    def _sum(self, row: Tensor) -> Tensor:
        return torch.mv(self._leading(row.numel()), row)

    def _leading(self, rows: int) -> Tensor:
        return torch.stack(self._row[:rows]).view(rows, -1).t()


Stages = BufferedStages | RecordedStages
