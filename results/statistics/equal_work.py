"""The ratio of two errors at equal work, where each is known at a few amounts of work only."""

import math
from collections.abc import Sequence

import numpy as np

Point = tuple[float, float]  # work and error, both positive


def error_ratio(one: Sequence[Point], other: Sequence[Point]) -> float:
    """The ratio of the errors of `one` to those of `other` at the geometric middle of the work that both cover.

    Between two points the logarithm of the error is taken as linear in that of the work: of a method of order p it is,
    with the slope -p. Nothing is extrapolated: NaN if the two cover no work in common, or have fewer than two points.
    """
    curves = [_curve(points) for points in (one, other)]
    if any(len(work) < 2 for work, _ in curves):
        return math.nan
    low, high = max(work[0] for work, _ in curves), min(work[-1] for work, _ in curves)
    if low > high:
        return math.nan
    own, its = (np.interp((low + high) / 2, work, error) for work, error in curves)
    return float(math.exp(own - its))


def _curve(points: Sequence[Point]) -> tuple[np.ndarray, np.ndarray]:
    """The logarithms of the points that have one, by rising work: (n,), (n,)."""
    known = sorted(point for point in points if all(0 < number < math.inf for number in point))
    work, error = np.log(np.array(known, dtype=float).reshape(-1, 2)).T
    return work, error
