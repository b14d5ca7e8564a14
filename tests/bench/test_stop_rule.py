"""The stopping rule of timing, a function of the timings that a cell has so far."""

import math

import pytest

from bench.run.stop_rule import Stop, StopRule, Timed
from bench.sweep.measure import Measure

MEASURE = Measure(processes=2, max_processes=5, precision=0.03, cut_ratio=10.0)
SURE = Timed(processes=2, half_width=0.02, slower=2.0, late=False)


@pytest.mark.parametrize(
    ("changes", "stop", "metrics"),
    [
        ({}, Stop.PRECISE, {"unstable": 0.0}),
        ({"processes": 1}, Stop.NOT_YET, {}),
        ({"half_width": 0.04}, Stop.NOT_YET, {}),
        ({"half_width": math.nan}, Stop.NOT_YET, {}),
        ({"half_width": 0.04, "processes": 5}, Stop.SPENT, {"unstable": 1.0}),
        ({"half_width": math.nan, "late": True}, Stop.SPENT, {"unstable": 1.0}),
        ({"late": True}, Stop.PRECISE, {"unstable": 0.0}),
        ({"slower": 11.0}, Stop.SLOWER, {"unstable": 0.0, "cut_ratio": 11.0}),
        ({"slower": 11.0, "processes": 1}, Stop.SLOWER, {"unstable": 1.0, "cut_ratio": 11.0}),
        ({"slower": 11.0, "is_control": True}, Stop.PRECISE, {"unstable": 0.0}),
        ({"slower": math.nan}, Stop.PRECISE, {"unstable": 0.0}),
    ],
)
def test_a_cell_is_timed_until_its_interval_is_narrow_it_is_far_slower_or_its_budget_is_spent(changes, stop, metrics):
    rule = StopRule.of(Timed(**{**vars(SURE), **changes}), MEASURE)
    assert (rule.stop, rule.metrics, rule.ends) == (stop, metrics, stop is not Stop.NOT_YET)
