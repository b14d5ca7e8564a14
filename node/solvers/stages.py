"""Where a step keeps its stages: a buffer for speed, or a list through which autograd can go back."""

from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

from node.tableau import ButcherTableau, Row


class Weights(NamedTuple):
    """A tableau's rows as tensors, for one dtype and device."""

    a: tuple[Tensor, ...]
    b: Tensor
    b_error: Tensor | None
    dense: Tensor  # float64, on the CPU: (rows, powers)
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
            dense=torch.tensor(tableau.dense, dtype=torch.float64, device="cpu"),
            dense_a=tuple(map(row, tableau.dense_a)),
        )


class BufferedStages:
    """Stages as rows of one preallocated buffer: each weighted sum is one matrix-vector product.

    Nothing here can be differentiated; the states that it returns are new tensors.
    """

    def __init__(self, weights: Weights, y0: Tensor):
        rows = len(weights.dense)
        k = torch.empty(rows, y0.numel(), dtype=y0.dtype, device=y0.device)
        self.weights = weights
        self._k = k
        self._row = list(k.unbind())
        self._leading = [k[:i].t() for i in range(rows + 1)]

    def put(self, i: int, k: Tensor) -> None:
        """Store stage i."""
        self._row[i].copy_(k)

    def combine(self, y: Tensor, dt: float, row: Tensor) -> Tensor:
        """y + dt sum_j row_j k_j over the first len(row) stages."""
        return torch.addmv(y, self._leading[row.numel()], row, alpha=dt)

    def error(self, dt: float, row: Tensor) -> Tensor:
        """dt sum_j row_j k_j."""
        return torch.addmv(self._row[0], self._leading[row.numel()], row, beta=0, alpha=dt)

    def matrix(self, rows: int) -> Tensor:
        """The first stages, of shape (rows, n)."""
        return self._k[:rows]


class RecordedStages:
    """Stages as the tensors that f returned, so that autograd goes back through every weighted sum.

    A sum is two nodes of the graph, whatever its length; the error estimate leaves none.
    """

    def __init__(self, weights: Weights):
        self.weights = weights
        self._row: list[Tensor] = [torch.empty(0)] * len(weights.dense)

    def put(self, i: int, k: Tensor) -> None:
        """Store stage i, as f returned it."""
        self._row[i] = k

    def combine(self, y: Tensor, dt: float, row: Tensor) -> Tensor:
        """y + dt sum_j row_j k_j over the first len(row) stages."""
        return torch.addmv(y, self.matrix(row.numel()).t(), row, alpha=dt)

    def error(self, dt: float, row: Tensor) -> Tensor:
        """dt sum_j row_j k_j, detached."""
        with torch.no_grad():
            return torch.mv(self.matrix(row.numel()).t(), row).mul_(dt)

    def matrix(self, rows: int) -> Tensor:
        """The first stages, of shape (rows, n)."""
        return torch.stack(self._row[:rows])


Stages = BufferedStages | RecordedStages
