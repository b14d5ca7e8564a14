"""The time of a solve and of a training step in each gradient mode, beside torchdiffeq's: `make regress`."""

import functools
import time
from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch
import torchdiffeq
from pytest_benchmark.fixture import BenchmarkFixture
from torch import Tensor, nn

from node import ADJOINTS, Counted, PIDController, solve
from node.models import MLP

Solve = Callable[[nn.Module, Tensor, Tensor], Tensor]

SECONDS = 1.0  # about so long a benchmark takes: few rounds of a slow workload, many of a fast one


@dataclass(frozen=True)
class Workload:
    """What is solved, in float32 by dopri5."""

    field: Callable[[], nn.Module]
    y0: tuple[int, ...]
    t: tuple[float, int]  # the end and the number of outputs
    rtol: float
    atol: float

    def make(self) -> tuple[nn.Module, Tensor, Tensor]:
        torch.manual_seed(0)
        return self.field(), torch.randn(self.y0), torch.linspace(0, *self.t)

    def by_node(self, gradient: str) -> Solve:
        controller = PIDController(rtol=self.rtol, atol=self.atol)
        how = {"solver": "dopri5", "controller": controller, "gradient": gradient}
        return lambda f, y0, t: solve(f, y0, t, **how).require_success().y

    def by_torchdiffeq(self, gradient: str) -> Solve:
        # A mode that torchdiffeq does not have is timed beside its adjoint.
        odeint = torchdiffeq.odeint if gradient == "backprop" else torchdiffeq.odeint_adjoint
        return lambda f, y0, t: odeint(f, y0, t, rtol=self.rtol, atol=self.atol, method="dopri5")


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


WORKLOADS = {
    "spiral net": Workload(SpiralNet, y0=(20, 2), t=(0.25, 10), rtol=1e-5, atol=1e-7),
    "Van der Pol": Workload(VanDerPol, y0=(256, 2), t=(6.0, 20), rtol=1e-5, atol=1e-5),
    "net 64-256-64": Workload(lambda: MLP(64, width=256), y0=(256, 64), t=(10.0, 2), rtol=1e-5, atol=1e-5),
}
every_workload = pytest.mark.parametrize("name", WORKLOADS)
both_libraries = pytest.mark.parametrize("library", ["node", "torchdiffeq"])
every_gradient = pytest.mark.parametrize("gradient", ADJOINTS)


@functools.cache
def reference(name: str) -> Tensor:
    """The states, by torchdiffeq at a tolerance ten times as tight."""
    workload = WORKLOADS[name]
    field, y0, t = workload.make()
    with torch.no_grad():
        return torchdiffeq.odeint(field, y0, t, rtol=workload.rtol / 10, atol=workload.atol / 10, method="dopri5")


def timed(benchmark: BenchmarkFixture, call: Callable[[], Tensor]) -> Tensor:
    """Time the call in as many rounds as SECONDS hold, five at least, after two to warm up."""
    call()
    start = time.perf_counter()
    call()
    rounds = min(100, max(5, int(SECONDS / (time.perf_counter() - start))))
    return benchmark.pedantic(call, rounds=rounds, iterations=1)


def assert_solved(name: str, y: Tensor) -> None:
    expected = reference(name)
    assert (y.detach() - expected).norm() < 1e-3 * expected.norm()


@every_workload
@both_libraries
def test_a_solve_is_timed_and_right(benchmark: BenchmarkFixture, library: str, name: str) -> None:
    workload = WORKLOADS[name]
    field, y0, t = workload.make()
    odeint = getattr(workload, f"by_{library}")("backprop")
    benchmark.group = f"{name}: solve"
    with torch.no_grad():
        y = timed(benchmark, lambda: odeint(field, y0, t))
        counted = Counted(field)
        odeint(counted, y0, t)
    benchmark.extra_info["nfe"] = counted.calls
    assert counted.calls > 0
    assert_solved(name, y)


@every_workload
@every_gradient
@both_libraries
def test_a_training_step_is_timed_and_right(
    benchmark: BenchmarkFixture, library: str, gradient: str, name: str
) -> None:
    workload = WORKLOADS[name]
    field, y0, t = workload.make()
    odeint = getattr(workload, f"by_{library}")(gradient)
    optimiser = torch.optim.SGD(field.parameters(), lr=0.0)  # the same work in every round

    def step(f: nn.Module = field) -> Tensor:
        optimiser.zero_grad()
        y = odeint(f, y0, t)
        y.square().mean().backward()
        optimiser.step()
        return y

    benchmark.group = f"{name}: training step, {gradient}"
    y = timed(benchmark, step)
    counted = Counted(field)
    step(counted)
    benchmark.extra_info["nfe"] = counted.calls  # forwards and backwards
    benchmark.extra_info["vjp"] = counted.vjps
    assert counted.vjps > 0
    assert all(p.grad is not None and p.grad.isfinite().all() and p.grad.any() for p in field.parameters())
    assert_solved(name, y)
