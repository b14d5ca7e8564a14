"""Failures with per-sample stepping: each failed sample has its own status, and the others are as if alone."""

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from node import (
    FixedStep,
    PIDController,
    SolveError,
    Status,
    solve,
)
from node.controller import Controller
from tests.support.samples import FEW, TOLERANCE, Pendulum, T, alone, assert_as_alone, explosion, tensor, together


@pytest.mark.parametrize("name", FEW)
def test_a_sample_that_becomes_non_finite_does_not_change_the_others(name: str) -> None:
    t = tensor(1.0, 1.2, 1.4, 1.9, 3.0)
    y0 = tensor([-1.0], [2.0], [math.nan], [0.4], [1.0])
    how = {"solver": name, "controller": PIDController(rtol=1e-4, atol=1e-4)}
    batch = together(explosion, y0, t, **how)
    good = [0, 3]
    assert_as_alone(together(explosion, y0[good], t, **how), alone(explosion, y0[good], t, **how))
    torch.testing.assert_close(
        batch.y[:, good, 0], y0[good, 0] / (1 - y0[good, 0] * (t.unsqueeze(1) - 1)), rtol=1e-2, atol=0
    )
    assert [status.failed for status in batch.samples.status] == [False, True, True, False, True]
    assert batch.samples.status[2] is Status.non_finite
    assert batch.status is batch.samples.status[1]
    assert batch.y[:, :, 0].isnan().sum(dim=0).tolist() == [0, 2, len(t), 0, 1]
    with pytest.raises(SolveError, match=batch.status.name):
        batch.require_success()


class Noise:
    """y' = -y, but for y > 1 a slope that changes its sign in every call, so that no step is small enough."""

    def __init__(self) -> None:
        self.slope = 1e100

    def __call__(self, t: Tensor, y: Tensor) -> Tensor:
        self.slope = -self.slope
        return torch.where(y > 1, self.slope, -y)


def test_a_sample_whose_step_underflows_has_the_status_dt_underflow() -> None:
    y0, t = tensor([2.0], [0.5]), tensor(1.0, 1.5, 2.0)
    how = {"solver": "dopri5", "controller": replace(TOLERANCE, first_step=0.1)}
    batch = together(Noise(), y0, t, **how)
    single = [solve(Noise(), y, t, **how) for y in y0]
    assert batch.samples.status == tuple(sample.status for sample in single) == (Status.dt_underflow, Status.success)
    assert batch.samples.n_rejected.tolist() == [sample.stats.n_rejected for sample in single]
    assert batch.y[1:, 0].isnan().all()
    torch.testing.assert_close(batch.y[:, 1], single[1].y, rtol=0, atol=1e-12)


@pytest.mark.parametrize("controller", [TOLERANCE, FixedStep(dt=0.01)], ids=["adaptive", "fixed"])
def test_max_steps_holds_for_each_sample(controller: Controller) -> None:
    times = torch.stack((T, 0.01 * T))
    how = {"solver": "dopri5", "controller": controller, "max_steps": 3}
    y0 = tensor([-2.0, 6.0], [0.1, 0.0])
    batch = together(Pendulum(), y0, times, **how)
    assert_as_alone(batch, alone(Pendulum(), y0, times, **how))
    assert batch.samples.status == (Status.max_steps, Status.success)
    assert batch.samples.n_accepted[0] + batch.samples.n_rejected[0] == 3


def test_a_fixed_step_to_infinity_ends_its_sample_alone() -> None:
    y0 = tensor([1e300], [0.1])
    batch = together(explosion, y0, tensor(0.0, 0.05, 1.0), solver="rk4", controller=FixedStep(dt=0.1))
    assert batch.samples.status == (Status.non_finite, Status.success)
    assert batch.y[1:, 0].isnan().all()
    assert batch.y[-1, 1].item() == pytest.approx(1 / 9, rel=1e-6)


def test_dense_output_that_is_not_finite_fails_its_sample_alone() -> None:
    def f(t: Tensor, y: Tensor) -> Tensor:
        return torch.where((t >= 1) & (y > 1.5), math.inf, torch.ones_like(y))

    batch = together(f, tensor([1.0], [0.0]), tensor(0.0, 0.75, 1.0), solver="midpoint", controller=FixedStep(dt=0.5))
    assert batch.samples.status == (Status.non_finite, Status.success)
    assert batch.y[:, :, 0].isnan().tolist() == [[False, False], [True, False], [False, False]]
