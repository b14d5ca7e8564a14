"""The workload of a cell: a forward solve, and a forward solve with its loss and backward pass."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from bench.failure import TrialFailure
from bench.problems import Instance
from node.vector_field import Counted

Solve = Callable[[nn.Module, Tensor, Tensor], Tensor]  # field, y0, t -> states (len(t), *y0.shape)


@dataclass(frozen=True)
class Workload:
    """An instance and the function that solves it, with the cell's solver, tolerance and gradient mode bound."""

    instance: Instance
    solve: Solve

    def forward(self) -> Tensor:
        """States (n_outputs, batch, *state), without a graph."""
        with torch.no_grad():
            return self.solve(self.instance.field, self.instance.y0, self.instance.t)

    def loss(self) -> Tensor:
        """The loss of a solve, with its graph."""
        return self.instance.loss(self.solve(self.instance.field, self.instance.y0, self.instance.t))

    def gradient(self) -> Tensor:
        """dL/dp for all parameters, flat."""
        parameters = list(self.instance.field.parameters())
        products = torch.autograd.grad(self.loss(), parameters, allow_unused=True)
        flat = [torch.zeros_like(p) if g is None else g for p, g in zip(parameters, products, strict=True)]
        return torch.cat([g.reshape(-1) for g in flat])

    def counted(self) -> "tuple[Workload, Counted]":
        """The same workload on a field that counts its calls, and that field."""
        field = Counted(self.instance.field)
        return replace(self, instance=replace(self.instance, field=field)), field


def require_states(workload: Workload, y: Tensor) -> Tensor:
    """The states that a solve gives; a TrialFailure if they are not of the outputs, the start's shape and its dtype."""
    t, y0 = workload.instance.t, workload.instance.y0
    shape = (len(t), *y0.shape)
    if not isinstance(y, Tensor) or y.shape != shape or (y.dtype, y.device) != (y0.dtype, y0.device):
        seen = f"{tuple(y.shape)} in {y.dtype}" if isinstance(y, Tensor) else type(y).__name__
        raise TrialFailure(
            "error", f"the solve gives {seen} where states {shape} in {y0.dtype} are due: mend its backend"
        )
    return y


def require_finite(what: str, values: Tensor) -> Tensor:
    """The values; a TrialFailure non_finite if one of them is infinite or NaN."""
    if not bool(torch.isfinite(values).all()):
        raise TrialFailure("non_finite", f"{what} has infinite or NaN entries: take a smaller step or tolerance")
    return values
