"""The timed workloads: three vector fields, from one dominated by Python to one dominated by the network."""

import functools
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torchdiffeq
from torch import Tensor, nn

from node.models import MLP


class SpiralNet(nn.Module):
    """y' = net(y^3), 2-50-2, as in torchdiffeq's ode_demo."""

    def __init__(self) -> None:
        super().__init__()
        self.net = MLP(2, width=50, std=0.1)

    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        return self.net(t, y**3)


class VanDerPol(nn.Module):
    """x' = y, y' = mu (1 - x^2) y - x, with learnable mu = 2."""

    def __init__(self) -> None:
        super().__init__()
        self.mu = nn.Parameter(torch.tensor(2.0))

    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        x, v = y.unbind(-1)
        return torch.stack((v, self.mu * (1 - x * x) * v - x), dim=-1)


@dataclass(frozen=True)
class Workload:
    """An initial value problem in float32, with its tolerances."""

    field: Callable[[], nn.Module]
    shape: tuple[int, int]  # of y0
    t_end: float
    n_outputs: int
    rtol: float
    atol: float

    def make(self) -> tuple[nn.Module, Tensor, Tensor]:
        """The vector field, y0 and the output times."""
        torch.manual_seed(0)
        return self.field(), torch.randn(self.shape), torch.linspace(0, self.t_end, self.n_outputs)


WORKLOADS = {
    "spiral net": Workload(SpiralNet, (20, 2), t_end=0.25, n_outputs=10, rtol=1e-5, atol=1e-7),
    "Van der Pol": Workload(VanDerPol, (256, 2), t_end=6.0, n_outputs=20, rtol=1e-5, atol=1e-5),
    "net 64-256-64": Workload(lambda: MLP(64, width=256), (256, 64), t_end=10.0, n_outputs=2, rtol=1e-5, atol=1e-5),
}


@functools.cache
def true_states(name: str) -> Tensor:
    """The states by torchdiffeq at a tolerance ten times as tight."""
    workload = WORKLOADS[name]
    field, y0, t = workload.make()
    with torch.no_grad():
        return torchdiffeq.odeint(field, y0, t, rtol=workload.rtol / 10, atol=workload.atol / 10, method="dopri5")


def assert_solved(name: str, y: Tensor) -> None:
    """Assert that the states are right to a relative error of 1e-3."""
    expected = true_states(name)
    assert (y.detach() - expected).norm() < 1e-3 * expected.norm()
