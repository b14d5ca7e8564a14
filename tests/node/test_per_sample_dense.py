"""Dense output with per-sample stepping equals that of each sample alone."""

import math

import pytest
import torch
from torch import Tensor

from node import SOLVERS, FixedStep, PIDController, Status, solve
from node.adjoint import Adjoint, Backprop
from node.controller import Controller
from tests.support.gradients import relative_error
from tests.support.per_sample_modes import every_mode, solver_for
from tests.support.samples import DIRECTIONS, TOLERANCE, Y0, Pendulum, T, explosion, tensor, together

OWN_TIMES = T * tensor(1.0, 0.3, 2.0).unsqueeze(1) + tensor(0.0, 5.0, -1.0).unsqueeze(1)
every_solver = pytest.mark.parametrize("name", SOLVERS)


def within(t: Tensor) -> Tensor:
    """Unordered times (B, 7) within the output times (B, T) of each sample, the ends included."""
    shares = tensor(0.3, 0.0, 0.999, 1.0, 0.5, 0.01, 0.3)
    return torch.lerp(t[:, :1], t[:, -1:], shares)


def controller_for(name: str) -> Controller:
    return TOLERANCE if SOLVERS[name].adaptive else FixedStep(dt=0.07)


@pytest.mark.parametrize("t", [OWN_TIMES, OWN_TIMES.flip(1)], ids=DIRECTIONS)
@every_solver
def test_dense_output_equals_that_of_each_sample_alone(name: str, t: Tensor) -> None:
    how = {"solver": name, "controller": controller_for(name), "dense": True}
    dense, times = together(Pendulum(), Y0, t, **how).dense, within(t)
    single = [solve(Pendulum(), y, row, **how).dense for y, row in zip(Y0, t, strict=True)]
    expected = torch.stack([one(row) for one, row in zip(single, times, strict=True)], dim=1)
    torch.testing.assert_close(dense(times), expected, rtol=0, atol=1e-9)
    assert (dense.t0.tolist(), dense.t1.tolist()) == (t[:, 0].tolist(), t[:, -1].tolist())


def test_one_time_many_times_and_times_of_each_sample_have_the_shapes_of_outputs() -> None:
    dense = together(Pendulum(), Y0, T, solver="dopri5", controller=TOLERANCE, dense=True).dense
    times = tensor(0.9, 0.1)
    assert dense(0.9).shape == dense(times[0]).shape == (3, 2)
    assert dense(times).shape == dense(times.expand(3, 2)).shape == (2, 3, 2)
    assert torch.equal(dense(0.9), dense(times)[0])
    assert torch.equal(dense(times.expand(3, 2)), dense(times))


def test_dense_output_of_tuples_and_complex_states_has_their_type() -> None:
    def pair(t: Tensor, y: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        return 1j * y[0] * t, -y[1] * t[..., None]

    y0 = torch.complex(Y0, -Y0), torch.complex(Y0, Y0).unsqueeze(1)
    solution = together(pair, y0, T, solver="dopri5", controller=PIDController(rtol=1e-8, atol=1e-8), dense=True)
    spin, decay = solution.dense(tensor(0.5, 1.0))
    half = tensor(0.125, 0.5).view(2, 1, 1)
    torch.testing.assert_close(spin, y0[0] * torch.exp(1j * half), rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(decay, y0[1] * torch.exp(-half.unsqueeze(3)), rtol=1e-6, atol=1e-6)


def test_a_failed_sample_is_nan_after_its_failure_and_the_others_continue() -> None:
    how = {"solver": "rk4", "controller": FixedStep(dt=0.01), "dense": True}
    ceiling = together(lambda t, y: explosion(t, y).where(y <= 10, math.nan), tensor([2.0], [0.4]), T, **how)
    assert ceiling.samples.status == (Status.non_finite, Status.success)
    states = ceiling.dense(tensor(0.1, 0.3, 0.46, 1.0))[:, :, 0]
    assert states.isnan().tolist() == [[False, False], [False, False], [True, False], [True, False]]
    torch.testing.assert_close(states[:2, 0], 2 / (1 - 2 * tensor(0.1, 0.3)), rtol=1e-4, atol=0)
    torch.testing.assert_close(states[:, 1], 0.4 / (1 - 0.4 * tensor(0.1, 0.3, 0.46, 1.0)), rtol=1e-6, atol=0)


WRONG = {
    "t=5.1 is outside of the solve: dense output of sample 0 holds within \\[0.0, 1.0\\]": tensor(5.1),
    "t=0.9 is outside .* sample 1 holds within \\[5.0, 5.3\\]": tensor([0.1, 0.9], [5.1, 0.9], [0.1, 0.9]),
    "t=nan is outside": tensor([0.1], [math.nan], [0.0]),
    "t has shape \\(2, 3\\): dense output takes \\(\\), \\(T,\\) or \\(3, T\\)": torch.zeros(2, 3),
}


@pytest.mark.parametrize("message", WRONG)
def test_dense_output_refuses_times_outside_of_the_solve(message: str) -> None:
    dense = together(Pendulum(), Y0, OWN_TIMES, solver="bosh3", controller=TOLERANCE, dense=True).dense
    with pytest.raises(ValueError, match=message) as refusal:
        dense(WRONG[message])
    assert "\n" not in str(refusal.value)


@every_mode
def test_dense_output_has_the_same_gradient_as_outputs(mode: Adjoint) -> None:
    times = OWN_TIMES[:, 0:1] + (OWN_TIMES[:, -1:] - OWN_TIMES[:, 0:1]) * tensor(0.0, 0.2, 0.7, 0.8, 1.0)
    how = {"solver": solver_for(mode), "controller": TOLERANCE, "gradient": mode}
    weights = torch.linspace(-1, 2, times.numel() * 2, dtype=torch.float64).view(-1, 3, 2)
    found = []
    for dense in (True, False):
        f, y0 = Pendulum(), Y0.clone().requires_grad_()
        solution = together(f, y0, OWN_TIMES if dense else times, dense=dense, **how)
        y = solution.dense(times) if dense else solution.y
        found.append(torch.autograd.grad((y * weights).sum(), (y0, *f.parameters())))
    assert relative_error(*found) < 1e-9


@pytest.mark.exhaustive
@every_mode
def test_a_loss_of_outputs_and_dense_output_has_first_and_second_derivatives(mode: Adjoint) -> None:
    def states(y0: Tensor, p: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        how = {"solver": solver_for(mode), "controller": FixedStep(dt=0.2), "gradient": mode, "parameters": (p,)}
        solution = together(lambda t, y: -p * y**2 * torch.cos(t), y0, tensor(0.0, 0.3, 0.5), dense=True, **how)
        return solution.y, solution.dense(t)

    inputs = tensor([0.9, 0.2], [-0.4, 1.1]), tensor(0.7), tensor([0.1, 0.45], [0.25, 0.05])
    inputs = tuple(x.requires_grad_() for x in inputs)
    assert torch.autograd.gradcheck(states, inputs)
    assert torch.autograd.gradgradcheck(states, inputs)


@every_mode
def test_a_failed_sample_does_not_change_gradients_through_dense_output(mode: Adjoint) -> None:
    def grads(y0: Tensor) -> tuple[Tensor, ...]:
        y0, rate = y0.clone().requires_grad_(), tensor(1.0).requires_grad_()
        how = {"solver": solver_for(mode), "controller": TOLERANCE, "gradient": mode, "parameters": (rate,)}
        dense = together(lambda t, y: torch.sqrt(rate * y) ** 4, y0, T, dense=True, **how).dense
        return torch.autograd.grad(dense(tensor(0.25, 0.8))[:, :1].sum(), (y0, rate))

    found, expected = grads(tensor([0.4], [2.0], [-1.0])), grads(tensor([0.4]))
    torch.testing.assert_close(found[0], torch.cat((expected[0], tensor([0.0], [0.0]))), rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(found[1], expected[1], rtol=1e-9, atol=1e-9)


def test_dense_output_is_none_unless_requested_and_under_no_grad_every_mode_has_it() -> None:
    how = {"solver": "dopri5", "controller": TOLERANCE}
    assert together(Pendulum(), Y0, T, **how).dense is None
    with torch.no_grad():
        for mode in ("backprop", "adjoint", "interpolating", "forward"):
            assert together(Pendulum(), Y0, T, gradient=mode, dense=True, **how).dense(0.5).shape == Y0.shape
    y = together(Pendulum(), Y0.clone().requires_grad_(), T, gradient=Backprop(), dense=True, **how).dense(0.5)
    assert y.requires_grad
