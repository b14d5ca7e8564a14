"""The solution as a function of time."""

import pytest
import torch
from torch import Tensor

from node import ADJOINTS, SOLVERS, Event, FixedStep, PIDController, Solution, solve

every_solver = pytest.mark.parametrize("name", SOLVERS)
ENDS = torch.tensor([0.0, 2.0], dtype=torch.float64)


def field(t: Tensor, y: Tensor) -> Tensor:
    return y * torch.cos(t)


def solved(name: str = "dopri5", t: Tensor = ENDS, **how: object) -> Solution[Tensor]:
    y0 = how.pop("y0", torch.linspace(0.5, 1.5, 6, dtype=torch.float64).view(2, 3))
    adaptive = SOLVERS[name].adaptive
    controller = PIDController(rtol=1e-5, atol=1e-7) if adaptive else FixedStep(dt=0.15)
    return solve(field, y0, t, **({"solver": name, "controller": controller, "dense": True} | how)).require_success()


@every_solver
@pytest.mark.parametrize("t", [ENDS, ENDS.flip(0)], ids=["forwards", "backwards"])
def test_dense_output_is_what_outputs_would_be(name: str, t: Tensor) -> None:
    within = torch.linspace(*t.tolist(), 37, dtype=torch.float64)
    dense = solved(name, t).dense
    outputs = solved(name, within, dense=False)
    torch.testing.assert_close(dense(within), outputs.y, rtol=1e-12, atol=1e-13)
    assert (dense.t0, dense.t1) == tuple(t.tolist())


def test_dense_output_takes_times_of_any_shape_and_order() -> None:
    dense = solved().dense
    times = torch.tensor([[1.9, 0.1], [0.0, 2.0]], dtype=torch.float64)
    states = dense(times)
    assert states.shape == (2, 2, 2, 3)
    assert dense(0.1).shape == (2, 3)
    assert torch.equal(states[0, 1], dense(0.1))
    exact = torch.exp(torch.sin(times)).view(2, 2, 1, 1) * dense(0.0)
    torch.testing.assert_close(states, exact, rtol=1e-4, atol=0)


@pytest.mark.parametrize("t", [-0.1, 2.1])
def test_dense_output_says_no_more_than_the_solve(t: float) -> None:
    with pytest.raises(ValueError, match=rf"^t={t} is outside of the solve: .* \[0\.0, 2\.0\]$"):
        solved().dense(t)


def test_without_being_asked_for_there_is_none() -> None:
    assert solved(dense=False).dense is None


def test_dense_output_of_a_tuple_is_a_tuple() -> None:
    y0 = (torch.ones(3, dtype=torch.float64), torch.ones(2, 1, dtype=torch.float64))
    dense = solve(
        lambda t, y: (field(t, y[0]), -field(t, y[1])), y0, ENDS,
        solver="dopri5", controller=PIDController(rtol=1e-8, atol=1e-8), dense=True,
    ).dense  # fmt: skip
    rising, falling = dense(torch.tensor([0.3, 1.7], dtype=torch.float64))
    assert (rising.shape, falling.shape) == ((2, 3), (2, 2, 1))
    torch.testing.assert_close(rising[:, 0], 1 / falling[:, 0, 0], rtol=1e-6, atol=0)


def test_dense_output_ends_at_an_event() -> None:
    y0 = torch.ones(1, dtype=torch.float64)
    with torch.no_grad():
        solution = solved(y0=y0, event=Event(lambda t, y: y - 2))
    assert solution.dense.t1 == solution.event.t.item()
    torch.testing.assert_close(solution.dense(solution.event.t), solution.event.y)


@pytest.mark.parametrize("gradient", ADJOINTS)
def test_dense_output_is_differentiable_or_refused(gradient: str) -> None:
    y0 = torch.ones(2, dtype=torch.float64, requires_grad=True)
    how = {"y0": y0, "gradient": gradient, "parameters": ()}
    if not ADJOINTS[gradient].dense:
        with pytest.raises(ValueError, match=f"^{gradient} gives no gradient through dense output: "):
            solved(**how)
        with torch.no_grad():
            assert solved(**how).dense(1.0).shape == (2,)
        return
    dense = solved(**how).dense
    of_dense = torch.autograd.grad(dense(0.7).sum(), y0)[0]
    torch.testing.assert_close(of_dense, dense(0.7).detach(), rtol=1e-10, atol=0)  # y(t) is linear in y0
