"""odeint_dense gives the solution as a function of time, for more methods and states than torchdiffeq's."""

import pytest
import torch
import torchdiffeq

import node
from node.torchdiffeq_api.methods import ADAMS, FIXED
from tests.support.torchdiffeq_pairs import (
    PAIR_Y0,
    Y0,
    Field,
    Pair,
    both_directions,
    every_adaptive_method,
    tensor,
    times,
)

close = torch.testing.assert_close
WITHIN = tensor(0.3, 1.9, 0.0, 1.2)
LOOSE = {
    "bosh3": 1e-6,
    "fehlberg2": 1e-5,
    "adaptive_heun": 1e-5,
}  # at a tighter tolerance these take thousands of steps


def test_dense_output_equals_torchdiffeqs() -> None:
    ends = torch.tensor(0.0, dtype=torch.float64), torch.tensor(2.0, dtype=torch.float64)
    ours, theirs = (library.odeint_dense(Field(), Y0, *ends, rtol=1e-9, atol=1e-9) for library in (node, torchdiffeq))
    for time in WITHIN:
        close(ours(time), theirs(time), rtol=0, atol=1e-7)
    assert (ours.t0, ours.t1) == (0.0, 2.0)


@both_directions
@every_adaptive_method
def test_dense_output_of_every_adaptive_method_has_odeints_states_and_gradients(
    method: str, ends: tuple[float, float]
) -> None:
    f, y0, tolerance = Field(), Y0.clone().requires_grad_(), LOOSE.get(method, 1e-9)
    how = {"method": method, "rtol": tolerance, "atol": tolerance}
    dense = node.odeint_dense(f, y0, *ends, **how)
    t = times(ends)
    ours, outputs = dense(t.view(1, -1))[0], node.odeint(f, y0, t, **how)
    close(ours, outputs, rtol=1e-12, atol=1e-13)
    for found, true in zip(*(torch.autograd.grad(y.square().sum(), (y0, f.a)) for y in (ours, outputs)), strict=True):
        close(found, true, rtol=1e-10, atol=1e-12)


def test_dense_output_is_differentiable_in_the_start_time_and_in_its_argument() -> None:
    t0, t = (torch.tensor(x, dtype=torch.float64, requires_grad=True) for x in (0.2, 1.1))
    y = node.odeint_dense(Field(), Y0, t0, 2.0)(t).sum()
    ends = torch.stack((t0, t))
    true = node.odeint(Field(), Y0, ends)[-1].sum()
    for found, exact in zip(*(torch.autograd.grad(x, (t0, t)) for x in (y, true)), strict=True):
        close(found, exact, rtol=1e-5, atol=1e-6)


def test_dense_output_of_a_tuple_is_a_tuple() -> None:
    matrix, scalar = node.odeint_dense(Pair(), PAIR_Y0, 0.0, 1.0)(tensor(0.2, 0.7))
    assert (matrix.shape, scalar.shape) == ((2, 2, 3), (2,))
    close(
        (matrix, scalar), tuple(x[1:] for x in node.odeint(Pair(), PAIR_Y0, tensor(0.0, 0.2, 0.7))), rtol=0, atol=1e-6
    )


@pytest.mark.parametrize("method", [*FIXED, *ADAMS])
def test_fixed_steps_are_interpolated_as_in_odeint(method: str) -> None:
    for interp in ("linear", "cubic"):
        how = {"method": method, "options": {"step_size": 0.1, "interp": interp}}
        dense = node.odeint_dense(Field(), Y0, 0.0, 2.0, **how)
        close(dense(tensor(0.33, 1.07)), node.odeint(Field(), Y0, tensor(0.0, 0.33, 1.07, 2.0), **how)[1:3])


def test_scipy_is_refused_in_one_line() -> None:
    with pytest.raises(ValueError, match=r"^scipy_solver gives no dense output: take another method, or odeint "):
        node.odeint_dense(Field(), Y0, 0.0, 1.0, method="scipy_solver")
