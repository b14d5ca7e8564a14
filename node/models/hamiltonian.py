"""Hamilton's equations of a learned energy as a vector field."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from node.derivatives import check_constant, products
from node.models.base import MODELS


@MODELS.register(name="hamiltonian")
class Hamiltonian(nn.Module):
    """Greydanus, Dzamba & Yosinski (2019), "Hamiltonian Neural Networks", NeurIPS.

    q' = dH/dp, p' = -dH/dq. y = (q, p): (..., 2 d), positions first; dy/dt: (..., 2 d). An energy that does not depend
    on time is constant along every solution, before training as after it.
    energy: called with t and the whole state (..., 2 d), returns (..., 1), as MLP(2 * d, out=1, ...) does; the energy
    of a sample must depend on its own state only.
    """

    def __init__(self, energy: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.energy = energy

    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        """dy/dt at (t, y)."""
        _, (slope,) = products(self._total(t), (y,), y.new_ones(1))
        if slope is None:
            check_constant(self._total(t), (y,), needs="Hamilton's equations need dH/dy", output="the energy")
            return torch.zeros_like(y)
        dh_dq, dh_dp = slope[0].chunk(2, dim=-1)
        return torch.cat([dh_dp, -dh_dq], dim=-1)

    def _total(self, t: Tensor) -> Callable[[Tensor], Tensor]:
        """The function from the states of all samples to the sum of their energies at time t."""
        return lambda y: self.energy(t, y).sum()
