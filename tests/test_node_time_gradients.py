"""Gradients to the output times: a later output is a state further along f, a later start one that is behind."""

import pytest
import torch
from torch import Tensor, nn

from node import ADJOINTS, FixedStep, PIDController, solve

every_gradient = pytest.mark.parametrize("gradient", ADJOINTS)
HOW = {
    "adaptive": {"solver": "dopri5", "controller": PIDController(rtol=1e-9, atol=1e-9)},
    "fixed": {"solver": "rk4", "controller": FixedStep(dt=0.01)},
}
every_controller = pytest.mark.parametrize("how", HOW.values(), ids=HOW)


class Growth(nn.Module):
    """y' = rate y cos t, so that y(t) = y0 exp(rate (sin t - sin t0))."""

    def __init__(self) -> None:
        super().__init__()
        self.rate = nn.Parameter(torch.tensor(0.8, dtype=torch.float64))

    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        return self.rate * y * torch.cos(t)

    def exact(self, y0: Tensor, t: Tensor) -> Tensor:
        return y0 * torch.exp(self.rate * (t.sin() - t[0].sin())).unsqueeze(1)


@every_gradient
@every_controller
@pytest.mark.parametrize("times", [[0.2, 0.5, 1.3, 2.0], [2.0, 1.0, 0.3]], ids=["forwards", "backwards"])
def test_gradients_to_times_states_and_parameters_are_those_of_the_exact_solution(
    how: dict[str, object], times: list[float], gradient: str
) -> None:
    field = Growth()
    y0 = torch.tensor([1.0, -0.7], dtype=torch.float64, requires_grad=True)
    t = torch.tensor(times, dtype=torch.float64, requires_grad=True)
    weights = torch.linspace(-1, 1, 2 * len(times), dtype=torch.float64).view(-1, 2)
    solution = solve(field, y0, t, gradient=gradient, **how).require_success()
    of_solve = torch.autograd.grad((weights * solution.y).sum(), (t, y0, field.rate))
    of_exact = torch.autograd.grad((weights * field.exact(y0, t)).sum(), (t, y0, field.rate))
    torch.testing.assert_close(of_solve, of_exact, rtol=1e-6, atol=1e-7)


@every_gradient
def test_the_evaluations_for_times_are_counted(gradient: str) -> None:
    """One at the start and one an output."""
    field, y0 = Growth(), torch.ones(1, dtype=torch.float64)
    t = torch.tensor([0.0, 0.5, 1.0], dtype=torch.float64)
    plain = solve(field, y0, t, gradient=gradient, **HOW["fixed"])
    in_time = solve(field, y0, t.clone().requires_grad_(), gradient=gradient, **HOW["fixed"])
    assert in_time.stats.nfe_forward == plain.stats.nfe_forward + 1 + len(t)
    torch.testing.assert_close(in_time.y, plain.y)
