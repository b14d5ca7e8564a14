"""Gradients beside a failed sample: it has those of the outputs that it reached, and changes none of the others."""

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from node import SOLVERS, FixedStep, Status
from node.adjoint import Adjoint, Backprop, Checkpointed, Reversible
from node.controller import Controller
from tests.support.per_sample_modes import every_mode, solver_for
from tests.support.samples import FEW, TOLERANCE, explosion, tensor, together


class Singular(nn.Module):
    """y' = rate y^2, but NaN for y < 0, and from t = 3 / 2 on for y > 3."""

    def __init__(self) -> None:
        super().__init__()
        self.rate = nn.Parameter(tensor(1.0))

    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        root = torch.sqrt(self.rate * y) ** 4 / self.rate
        return root + torch.log(torch.clamp(1.5 - t, min=0.0)).where((y > 3) & (t >= 1.5), 0.0)


SINGULAR_Y0 = {
    "from its start": [0.4, -1.0, 0.2],
    "not a number": [0.4, math.nan, 0.2],
    "the first": [-1.0, 0.2, 0.4],
    "at a pole": [0.4, 2.0, 0.2],
    "at a time": [0.4, 1.6, 0.2],
    "several": [math.nan, 0.4, -1.0, 2.0, 0.2, 1.6],
}

SOLVERS_AND_MODES = [
    *((name, mode) for name in (*FEW, "rk4") for mode in (Backprop(), Checkpointed())),
    ("dopri5", Checkpointed(2)),
    ("kvaerno3", Backprop()),
    ("reversible_heun", Reversible()),
    ("alf", Reversible()),
]


@pytest.mark.parametrize(
    "controller",
    [TOLERANCE, replace(TOLERANCE, first_step=4.0), FixedStep(dt=0.1)],
    ids=["adaptive", "rejecting", "fixed"],
)
@pytest.mark.parametrize("values", SINGULAR_Y0.values(), ids=SINGULAR_Y0)
@pytest.mark.parametrize(("name", "mode"), SOLVERS_AND_MODES, ids=str)
def test_a_failed_sample_leaves_no_nan_in_the_gradients_of_the_others(
    name: str, mode: Adjoint, values: list[float], controller: Controller
) -> None:
    if controller.adaptive and not SOLVERS[name].adaptive:
        controller = FixedStep(dt=0.03)
    t, f, how = tensor(1.0, 1.1, 1.55, 2.0), Singular(), {"solver": name, "controller": controller}
    y0 = tensor(*values).unsqueeze(1)
    good = (y0 < 1).squeeze(1) & (y0 > 0).squeeze(1)
    weights = good.to(torch.float64).view(1, -1, 1) * tensor(0.0, 1.0, -2.0, 3.0).view(-1, 1, 1)

    def grads(y0: Tensor, weights: Tensor) -> tuple[Tensor, ...]:
        y0 = y0.clone().requires_grad_()
        solution = together(f, y0, t, gradient=mode, **how)
        loss = (solution.y.where(weights != 0, 0.0) * weights).sum()
        return torch.autograd.grad(loss, (y0, f.rate))

    found, expected = grads(y0, weights), grads(y0[good], weights[:, good])
    torch.testing.assert_close(found[0][good], expected[0], rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(found[1], expected[1], rtol=1e-9, atol=1e-9)
    assert (found[0][~good] == 0).all()


@every_mode
def test_a_failed_sample_has_the_gradients_of_the_outputs_that_it_reached(mode: Adjoint) -> None:
    """y = y0 / (1 - y0 t): the sample from 2 fails, that from 0.4 continues."""
    t, y0 = tensor(0.0, 0.3, 1.0), tensor([2.0], [0.4]).requires_grad_()
    how = {"solver": solver_for(mode), "controller": FixedStep(dt=0.01), "gradient": mode, "parameters": ()}
    solution = together(Ceiling(), y0, t, **how)
    assert solution.samples.status == (Status.non_finite, Status.success)
    assert solution.y[:, :, 0].isnan().tolist() == [[False, False], [False, False], [True, False]]
    (found,) = torch.autograd.grad(solution.y.nansum(), y0)
    exact = 1 + 1 / (1 - y0.detach() * t[1]) ** 2
    exact[1] += 1 / (1 - 0.4) ** 2
    torch.testing.assert_close(found, exact, rtol=1e-2, atol=0)


@pytest.mark.parametrize("mode", [Checkpointed(), Reversible()], ids=str)
def test_a_carry_of_nan_does_not_change_the_gradients_of_other_samples(mode: Adjoint) -> None:
    """The carry of the step that takes the second sample beyond 3 is NaN, so that this step cannot be reversed."""
    t, f = tensor(1.0, 1.1, 1.55, 2.0), Singular()

    def grads(y0: Tensor) -> tuple[Tensor, ...]:
        y0 = y0.clone().requires_grad_()
        y = together(f, y0, t, solver="reversible_dopri5", controller=TOLERANCE, gradient=mode).y
        return torch.autograd.grad(y[:, :1].sum(), (y0, f.rate))

    found, expected = grads(tensor([0.4], [2.0])), grads(tensor([0.4]))
    torch.testing.assert_close(found[0], torch.cat((expected[0], tensor([0.0]))), rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(found[1], expected[1], rtol=1e-9, atol=1e-9)


class Edge(nn.Module):
    """y' = rate, but NaN with a derivative of NaN from t = 1 on for y > 3 / 2."""

    def __init__(self) -> None:
        super().__init__()
        self.rate = nn.Parameter(tensor(1.0))

    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        return self.rate * torch.sqrt(torch.where((t >= 1) & (y > 1.5), -1.0, torch.ones_like(y)))


@pytest.mark.parametrize("mode", [Backprop(), Checkpointed(), Checkpointed(1)], ids=str)
def test_an_output_that_is_nan_by_the_slope_at_the_end_of_its_step_has_no_gradient(mode: Adjoint) -> None:
    f, y0 = Edge(), tensor([1.0], [0.0]).requires_grad_()
    how = {"solver": "midpoint", "controller": FixedStep(dt=0.5), "gradient": mode}
    y = together(f, y0, tensor(0.0, 0.75, 1.0), **how).y
    assert y[:, :, 0].isnan().tolist() == [[False, False], [True, False], [False, False]]
    of_y0, of_rate = torch.autograd.grad(y.sum(), (y0, f.rate))
    torch.testing.assert_close(of_y0, tensor([2.0], [3.0]))
    torch.testing.assert_close(of_rate, tensor(1.0 + 0.75 + 1.0))


class Ceiling(nn.Module):
    """y' = y^2, but NaN for y > 10."""

    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        return (y * y).where(y <= 10, math.nan)


@every_mode
def test_a_failed_sample_does_not_change_the_gradient_of_shared_times(mode: Adjoint) -> None:
    t = tensor(0.0, 0.25, 0.5).requires_grad_()
    found = []
    for y0 in (tensor([1.0]), tensor([1.0], [math.nan])):
        how = {"solver": solver_for(mode), "controller": TOLERANCE, "gradient": mode, "parameters": ()}
        y = together(explosion, y0, t, **how).y
        found.append(torch.autograd.grad(y[:, 0].sum(), t)[0])
    torch.testing.assert_close(*found, rtol=1e-12, atol=0)
