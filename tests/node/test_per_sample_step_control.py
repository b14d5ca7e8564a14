"""Step size control of samples: accepted steps, next steps and first steps equal those of a single sample."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from node.controller import COEFFICIENTS, LEAST_MEMORY
from node.per_sample.clock import SampleClock
from node.per_sample.step_control import initial_dts, judge
from node.user_field import UserField
from tests.support.samples import TOLERANCE, tensor

RATIOS = [0.0, 5e-324, 1e-12, 1e-3, 0.5, 1.0, 1.001, 2.0, 1e3, 1e12, math.inf, math.nan]
FILTERS = {**COEFFICIENTS, "D < 0": (0.2, 0.4, -0.1), "no I": (0.3, 0.0, 0.0), "none": (0.0, 0.0, 0.0)}


@pytest.mark.parametrize("limits", [(0.0, math.inf), (0.02, 0.5)], ids=["free", "limited"])
@pytest.mark.parametrize("coefficients", FILTERS.values(), ids=FILTERS)
@pytest.mark.parametrize("order", [2, 5, 8])
def test_every_sample_is_judged_as_a_single_sample(
    coefficients: tuple[float, float, float], limits: tuple[float, float], order: int
) -> None:
    control = replace(TOLERANCE, coefficients=coefficients, min_step=limits[0], max_step=limits[1])
    cases = [(r, dt, m) for r in RATIOS for dt in (0.01, 0.3) for m in [(1.0, 1.0), (1e-9, 0.3), (0.7, LEAST_MEMORY)]]
    ratio, dt = (np.array([case[i] for case in cases]) for i in (0, 1))
    memory = tuple(np.array([case[2][i] for case in cases]) for i in (0, 1))
    verdicts, after = judge(control, ratio, dt, memory, order)
    without_memory, nothing = judge(control, ratio, dt, None, order)
    assert nothing is None
    for i, case in enumerate(cases):
        expected = control.judge(*case, order)
        assert verdicts.accepted[i] == without_memory.accepted[i] == expected.accepted
        assert verdicts.dt[i] == pytest.approx(expected.dt, rel=1e-14)
        assert (after[0][i], after[1][i]) == expected.memory
        if coefficients[0] == coefficients[2] == 0.0:
            assert without_memory.dt[i] == pytest.approx(expected.dt, rel=1e-14)
    within_tolerance = ratio <= 1
    accepted, _ = judge(control, ratio[within_tolerance], dt[within_tolerance], None, order)
    assert accepted.all_accepted
    np.testing.assert_array_equal(accepted.dt, without_memory.dt[within_tolerance])


@pytest.mark.parametrize("t", [(0.5, 3.0), (0.5, -3.0)], ids=["forwards", "backwards"])
@pytest.mark.parametrize("order", [2, 5, 8])
def test_every_sample_starts_with_the_first_step_of_a_single_sample(order: int, t: tuple[float, float]) -> None:
    special = [torch.full((1, 3), value) for value in (0.0, math.nan, 5.0)]
    y0 = torch.cat((*special, torch.logspace(-9, 9, 21).view(7, 3))).double()
    control = replace(TOLERANCE, max_step=0.5, min_step=1e-5)

    def f(t: Tensor, y: Tensor) -> Tensor:
        dy = torch.sin(t) * y - y**3
        return dy.where((t == 0.5) | ((y[..., :1] - 5).abs() > 0.1), math.nan)

    clock = SampleClock(tensor(*t).expand(len(y0), -1), ())
    field = UserField.of(f, y0, samples=True)
    found = initial_dts(control, field, clock, y0, field(torch.full((len(y0), 1), t[0]).double(), y0), order)
    for y, dt in zip(y0, found, strict=True):
        single = UserField.of(f, y)
        expected = control.initial_dt(single, *t, y, single(t[0], y), order)
        assert math.copysign(dt, t[1] - t[0]) == pytest.approx(expected, rel=1e-12)
