"""Dense output: the solution as a function of time."""

import math

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
def test_dense_output_equals_the_outputs_of_a_solve(name: str, t: Tensor) -> None:
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
def test_dense_output_refuses_times_outside_of_the_solve(t: float) -> None:
    with pytest.raises(ValueError, match=rf"^t={t} is outside of the solve: .* \[0\.0, 2\.0\]$"):
        solved().dense(t)


def test_a_solve_without_dense_has_no_dense_output() -> None:
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
def test_dense_output_is_differentiable_or_refuses_a_gradient(gradient: str) -> None:
    y0 = torch.ones(2, dtype=torch.float64, requires_grad=True)
    solution = solved(y0=y0, gradient=gradient, parameters=())
    state = solution.dense(0.7)
    true = state.detach()  # y(t) is linear in y0
    if ADJOINTS[gradient].dense:
        torch.testing.assert_close(torch.autograd.grad(state.sum(), y0)[0], true, rtol=1e-10, atol=0)
        return
    torch.testing.assert_close(true, torch.full((2,), math.exp(math.sin(0.7)), dtype=torch.float64), rtol=1e-4, atol=0)
    with pytest.raises(RuntimeError, match=f"^{gradient} gives no gradient through dense output: ask for outputs"):
        torch.autograd.grad(state.sum(), y0)
    of_output = torch.autograd.grad(solution.y[-1].sum(), y0)[0]
    torch.testing.assert_close(of_output, solution.y[-1].detach(), rtol=1e-3, atol=0)
    with torch.no_grad():
        assert not solution.dense(0.7).requires_grad


@pytest.mark.parametrize("gradient", ["adjoint", "interpolating"])
@pytest.mark.parametrize("of", ["a parameter", "t"])
def test_dense_output_refuses_a_gradient_in_parameters_and_in_times(gradient: str, of: str) -> None:
    a, t = torch.tensor(1.0, dtype=torch.float64, requires_grad=of == "a parameter"), ENDS.clone()
    t.requires_grad_(of == "t")
    y0 = torch.ones(2, dtype=torch.float64)
    controller = PIDController(rtol=1e-5, atol=1e-7)
    how = {"solver": "dopri5", "controller": controller, "gradient": gradient, "parameters": (a,), "dense": True}
    state = solve(lambda t, y: a * y, y0, t, **how).dense(0.7)
    with pytest.raises(RuntimeError, match="gives no gradient through dense output"):
        state.sum().backward()


@pytest.mark.parametrize("name", ["dopri5", "ab4", "rodas4", "reversible_heun"])
@pytest.mark.parametrize("ends", [ENDS, ENDS.flip(0)], ids=["forwards", "backwards"])
def test_a_call_with_many_times_equals_a_call_for_each_time(name: str, ends: Tensor) -> None:
    """The times are in random order, some of them twice, and include the ends of the solve."""
    y0 = torch.linspace(0.5, 1.5, 6, dtype=torch.float64).view(2, 3).requires_grad_()
    dense = solved(name, ends, y0=y0, controller=FixedStep(dt=0.15)).dense
    generator = torch.Generator().manual_seed(0)
    times = torch.cat((2 * torch.rand(60, generator=generator, dtype=torch.float64), ends, ends, ends[0] + 0 * ends))
    times = times[torch.randperm(len(times), generator=generator)].view(2, 33)
    together = dense(times)
    alone = torch.stack([dense(time) for time in times.reshape(-1).tolist()]).view_as(together)
    torch.testing.assert_close(together, alone, rtol=1e-14, atol=0)
    weights = torch.randn(together.shape, generator=generator, dtype=torch.float64)
    of_all, of_each = (torch.autograd.grad((y * weights).sum(), y0, retain_graph=True)[0] for y in (together, alone))
    torch.testing.assert_close(of_all, of_each, rtol=1e-12, atol=0)


def test_an_empty_tensor_of_times_gives_an_empty_tensor_of_states() -> None:
    assert solved().dense(torch.empty(0, 4, dtype=torch.float64)).shape == (0, 4, 2, 3)


@pytest.mark.parametrize("outside", [2.1, math.nan])
def test_one_time_outside_among_many_is_named(outside: float) -> None:
    with pytest.raises(ValueError, match=rf"^t={outside} is outside of the solve: "):
        solved().dense(torch.tensor([0.5, outside, 1.0], dtype=torch.float64))


@pytest.mark.parametrize("name", ["dopri5", "dopri8", "rk4"])
def test_dense_output_is_differentiable_in_its_time(name: str) -> None:
    """The derivative in time is f, one power of the step less accurate than the state."""
    dense = solved(name).dense
    times = torch.linspace(0.1, 1.9, 11, dtype=torch.float64).requires_grad_()
    (slopes,) = torch.autograd.grad(dense(times).sum(), times)
    y = dense(times.detach())
    torch.testing.assert_close(slopes, field(times.detach().view(-1, 1, 1), y).sum((1, 2)), rtol=5e-3, atol=5e-3)
    (slope,) = torch.autograd.grad(dense(times[3]).sum(), times)
    torch.testing.assert_close(slope[3], slopes[3], rtol=1e-12, atol=0)
