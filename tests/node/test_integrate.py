"""The loop over steps alone, with a solver whose steps and errors are prescribed."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest
import torch
from torch import Tensor

from node import FixedStep, PIDController, Status
from node.controller import Controller
from node.integrate import integrate
from node.solvers.base import Step, TableauSolver
from node.trajectory import Trajectory
from node.user_field import UserField
from node.vector_field import Time

ABSOLUTE = PIDController(rtol=0.0, atol=1.0)  # the error ratio is the error


def vector(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


@dataclass(frozen=True)
class Scripted(TableauSolver):
    """Steps y1 = y + dt that have the given errors, the last of which repeats, and evaluate no f."""

    errors: tuple[float, ...] = (0.0,)
    dense_with_f1: bool = False
    tried_steps: list[tuple[float, Tensor, float, Tensor]] = field(default_factory=list)  # t, y, dt, carry

    stages = 1

    def workspace(self, y0: Tensor, *, record: bool) -> None:
        return None

    def start(self, f: UserField, t: Time, y: Tensor, f0: Tensor | None = None) -> Tensor:
        return f(t, y) if f0 is None else f0

    def step(
        self, f: UserField, t: Time, y: Tensor, dt: Time, carry: Tensor, workspace: None, *, estimate: bool
    ) -> Step:
        error = self.errors[min(len(self.tried_steps), len(self.errors) - 1)]
        self.tried_steps.append((t, y, dt, carry))
        return Step(y + dt, torch.full_like(y, error) if estimate else None, None)

    def dense(self, f: UserField, t: Time, y: Tensor, dt: Time, step: Step) -> Tensor:
        slope = torch.ones_like(y) if step.carry is None else step.carry
        return (dt * slope).unsqueeze(0)


def scripted(*errors: float, dense_with_f1: bool = False) -> Scripted:
    return Scripted("scripted", 1, 2, "", dense_order=1, errors=errors or (0.0,), dense_with_f1=dense_with_f1)


def run(
    solver: Scripted,
    controller: Controller,
    *times: float,
    f: Callable[[Tensor, Tensor], Tensor] = lambda t, y: torch.ones_like(y),
    dt: float | None = None,
    max_steps: int = 100_000,
) -> tuple[Trajectory, UserField]:
    flat = UserField.of(f, vector(1.0, 2.0))
    if dt is not None and isinstance(controller, PIDController):
        controller = replace(controller, first_step=dt)
    loop = integrate(
        flat, vector(1.0, 2.0), times, solver=solver, controller=controller, max_steps=max_steps, record=False
    )
    return loop, flat


def test_a_rejected_step_leaves_the_state_alone() -> None:
    solver = scripted(0.0, 50.0, math.nan, 2.0, 0.0)
    loop, _ = run(solver, ABSOLUTE, 0.0, 9.0, dt=0.1)
    first, tried, again, once_more, taken = solver.tried_steps[:5]
    assert first[0] == 0.0
    for retry in (again, once_more, taken):
        assert retry[0] == tried[0] == 0.1
        assert retry[1] is tried[1]
        assert retry[3] is tried[3]
    assert torch.equal(tried[1], vector(1.1, 2.1))
    assert tried[2] > again[2] > once_more[2] > taken[2] > 0
    assert (loop.n_rejected, loop.status) == (3, Status.success)
    torch.testing.assert_close(loop.y, vector(10.0, 11.0))


def test_a_rejected_step_is_not_evaluated_again_at_its_start() -> None:
    loop, f = run(scripted(5.0, 5.0, 0.0), ABSOLUTE, 0.0, 1.0, dt=1.0)
    assert loop.n_rejected == 2
    assert f.calls == loop.n_accepted


@pytest.mark.parametrize("controller", [ABSOLUTE, FixedStep(dt=0.1)], ids=["adaptive", "fixed"])
@pytest.mark.parametrize("t_end", [1.0, -1.0, 0.05, 0.7])
def test_the_last_step_ends_on_the_end_time_to_the_bit(controller: Controller, t_end: float) -> None:
    solver = scripted(1.0)  # the error equals the tolerance, so the step stays the same
    loop, _ = run(solver, controller, 0.0, t_end, dt=0.1)
    assert loop.t == t_end
    assert loop.n_accepted == len(solver.tried_steps) == max(1, round(abs(t_end) / 0.1))
    assert all(math.copysign(1.0, dt) == math.copysign(1.0, t_end) for _, _, dt, _ in solver.tried_steps)


@pytest.mark.parametrize("t_end", [1.0, 0.7])
def test_ten_thousand_fixed_steps_start_at_multiples_of_dt(t_end: float) -> None:
    """A sum of dt's would be off by more than the slack at the end, and a step too many would be taken."""
    solver, dt = scripted(), t_end / 10_000
    loop, _ = run(solver, FixedStep(dt=dt), 0.0, t_end)
    assert loop.n_accepted == 10_000
    assert max(abs(t - i * dt) for i, (t, _, _, _) in enumerate(solver.tried_steps)) < 1e-15


def test_a_step_cut_short_to_land_on_a_time_does_not_shorten_the_next() -> None:
    solver = scripted(1.0)
    run(solver, replace(ABSOLUTE, step_t=(1.001,)), 0.0, 2.0, dt=0.1)
    assert [dt for _, _, dt, _ in solver.tried_steps[10:12]] == pytest.approx([0.001, 0.1])


def test_a_given_first_step_is_taken_and_costs_no_evaluation() -> None:
    solver = scripted()
    loop, f = run(solver, ABSOLUTE, 0.0, 1.0, dt=0.25)
    assert solver.tried_steps[0][2] == 0.25
    assert f.calls == loop.n_accepted


def test_outputs_within_a_step_are_interpolated_and_at_its_end_equal_its_state() -> None:
    solver = scripted(dense_with_f1=True)  # with f1 = 7, which is not the slope of the steps
    loop, f = run(solver, FixedStep(dt=0.5), 0.0, 0.1, 0.5, 0.6, 0.7, 1.0, f=lambda t, y: torch.full_like(y, 7.0))
    y = loop.at_outputs()
    torch.testing.assert_close(y[:, 0], vector(1.0, 1.7, 1.5, 1.5 + 0.7, 1.5 + 1.4, 2.0))
    assert f.calls == 3  # f0, and f1 of both steps, of which the first is f0 of the next step
    assert loop.n_accepted == 2


def test_an_error_that_no_step_size_reduces_ends_in_dt_underflow() -> None:
    loop, _ = run(scripted(100.0), PIDController(rtol=0.0, atol=1.0, first_step=0.1), 1.0, 2.0)
    assert (loop.status, loop.n_accepted, loop.t) == (Status.dt_underflow, 0, 1.0)
    assert loop.at_outputs()[1].isnan().all()


@pytest.mark.parametrize("error", [math.nan, math.inf])
def test_errors_that_are_never_finite_end_in_non_finite(error: float) -> None:
    loop, _ = run(scripted(error), ABSOLUTE, 1.0, 2.0, dt=0.1)
    assert (loop.status, loop.n_accepted, loop.t) == (Status.non_finite, 0, 1.0)
    assert loop.at_outputs()[1].isnan().all()


@pytest.mark.parametrize("controller", [ABSOLUTE, FixedStep(dt=0.25)], ids=["adaptive", "fixed"])
def test_max_steps_ends_the_loop_after_that_many_steps(controller: Controller) -> None:
    solver = scripted(1.0)
    loop, _ = run(solver, controller, 0.0, 0.25, 0.5, 2.0, dt=0.25, max_steps=3)
    assert (loop.status, loop.n_accepted, loop.t) == (Status.max_steps, 3, 0.75)
    assert len(solver.tried_steps) == 3
    y = loop.at_outputs()
    assert torch.equal(y[:3, 0], vector(1.0, 1.25, 1.5))
    assert y[3].isnan().all()


@pytest.mark.parametrize("controller", [ABSOLUTE, FixedStep(dt=0.5)], ids=["adaptive", "fixed"])
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_dense_output_that_is_not_finite_in_the_last_step_ends_in_non_finite(
    controller: Controller, value: float
) -> None:
    """Only the last interpolant reads f(1, y), so every state is finite."""
    loop, _ = run(
        scripted(1.0, dense_with_f1=True), controller, 0.0, 0.25, 0.75, 1.0,
        f=lambda t, y: torch.full_like(y, value if t == 1 else 1.0), dt=0.5,
    )  # fmt: skip
    assert loop.y.isfinite().all()
    assert loop.status is Status.non_finite
    y = loop.at_outputs()
    assert torch.equal(y[[0, 1, 3], 0], vector(1.0, 1.25, 2.0))
    assert y[2].isnan().all()
