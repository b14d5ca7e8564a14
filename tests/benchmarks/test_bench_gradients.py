"""The time of a training step in each gradient mode, beside torchdiffeq's."""

import pytest
import torchdiffeq
from pairs import timed_in_pairs
from pytest_benchmark.fixture import BenchmarkFixture
from torch import Tensor, nn
from workloads import WORKLOADS, assert_solved

from node import ADJOINTS, Counted, PIDController, solve


@pytest.mark.parametrize("name", WORKLOADS)
@pytest.mark.parametrize("gradient", ADJOINTS)
def test_a_training_step_is_timed_and_right(benchmark: BenchmarkFixture, gradient: str, name: str) -> None:
    workload = WORKLOADS[name]
    field, y0, t = workload.make()
    controller = PIDController(rtol=workload.rtol, atol=workload.atol)
    # A mode that torchdiffeq does not have is timed beside its adjoint.
    odeint = torchdiffeq.odeint if gradient == "backprop" else torchdiffeq.odeint_adjoint

    def step(y: Tensor) -> Tensor:
        for parameter in field.parameters():
            parameter.grad = None
        y.square().mean().backward()
        return y

    def ours(f: nn.Module = field) -> Tensor:
        return step(solve(f, y0, t, solver="dopri5", controller=controller, gradient=gradient).y)

    def theirs() -> Tensor:
        return step(odeint(field, y0, t, rtol=workload.rtol, atol=workload.atol, method="dopri5"))

    what = f"training step, {gradient}"
    benchmark.group = f"{name}: {what}"
    counted = Counted(field)
    ours(counted)
    benchmark.extra_info |= {"workload": name, "what": what, "nfe": counted.calls, "vjp": counted.vjps}
    assert counted.vjps > 0
    y = timed_in_pairs(benchmark, ours, {"torchdiffeq": theirs})
    assert all(p.grad is not None and p.grad.isfinite().all() and p.grad.any() for p in field.parameters())
    assert_solved(name, y)
