"""The changes of a metric over runs: change points of numbers that vary, and steps of exact ones.

E-divisive (Matteson & James, 2014, "A nonparametric approach for multiple change point analysis of multivariate data",
J. Am. Stat. Assoc. 109(505), 334-345), which MongoDB and Apache Otava use for benchmarks, is written here in NumPy.
Of the libraries that have it, Apache Otava 0.8 pins one release of NumPy and installs clients of BigQuery, PostgreSQL
and Slack, MongoDB's signal_processing_algorithms 2.1 excludes NumPy 2, and R's ecp is R; ruptures 1.1.10, light and
well kept, has neither this method nor a test of significance, but asks for a penalty or the number of changes.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from results.statistics.ratio import median

SIGNIFICANCE = 0.01  # largest p-value of a change point
PERMUTATIONS = 999
LEAST_CHANGE = 0.01  # relative: a smaller change is not called, however sure it is
LEAST_RUNS = 3  # on each side of a change point
LEAST_VALUES = 11  # of ten, 2 in C(10, 5) = 252 orders are as far apart as the cleanest shift: hardly below 1 %
_BATCH = 2_000_000  # distances that are computed at a time


@dataclass(frozen=True)
class Change:
    """A change of a series between two neighbouring values."""

    index: int  # of the first value after it
    before: float  # for a change point, the median since the change before, or since the start
    after: float  # for a change point, the median until the next change, or until the end
    p_value: float  # 0 for a step of an exact metric

    @property
    def relative(self) -> float:
        """The change as a share of the value before; NaN if that is zero or if either is not finite."""
        if self.before == 0 or not (math.isfinite(self.before) and math.isfinite(self.after)):
            return math.nan
        return (self.after - self.before) / abs(self.before)


def steps(values: Sequence[float]) -> tuple[Change, ...]:
    """Every change of a metric that is exact: wherever a value is another one than the value before."""
    places = enumerate(pairwise(values), start=1)
    return tuple(Change(index, before, after, 0.0) for index, (before, after) in places if before != after)


def change_points(
    values: Sequence[float], *, permutations: int = PERMUTATIONS, significance: float = SIGNIFICANCE, seed: int = 0
) -> tuple[Change, ...]:
    """The change points of finite numbers that vary from run to run, in their order; equal numbers give equal answers.

    The numbers are compared by their logarithms if all are positive, with the exponent alpha = 1. In each stage the
    split with the largest statistic q of all segments is tested: the numbers are permuted within their segments, and
    the p-value is the share of permutations, the series itself among them, whose largest q is no smaller. The first
    split that is not significant ends it. Changes below LEAST_CHANGE are taken out afterwards. As MongoDB's, q compares
    all that is before a split in its segment with all that is after (kappa of equation 7 is the segment's end).

    Measured on 1,000 made-up flat series of 40 numbers for each kind of noise: 0.8 to 1.3 % of them are marked with
    lognormal noise of 1 to 3 %, 0.7 % with heavy tails, 1.2 % with outliers, 2.6 % with a small drift; 8.8 % where
    neighbouring runs correlate by 0.3, which no permutation test allows for. A shift of 5 % in the middle is found
    within 3 runs in 100 % of the series with noise of 1 %, in 98 % with 2 %, in 84 % with 3 %; in 96 % with heavy
    tails of 3 %.
    `docs/history.md` has the table, and the command that repeats it.
    """
    numbers = np.asarray(values, dtype=float)
    if len(numbers) < LEAST_VALUES:
        return ()
    compared = np.log(numbers) if (numbers > 0).all() else numbers / max(1.0, abs(numbers).max())  # no sum overflows
    rng = np.random.default_rng(seed)
    found: dict[int, float] = {}  # p-values by index
    while True:
        bounds = [0, *sorted(found), len(numbers)]
        largest, index = _best(compared[np.newaxis], bounds)
        if not largest[0] > 0:
            break
        p_value = _p_value(compared, bounds, largest[0], permutations, significance, rng)
        if p_value > significance:
            break
        found[int(index[0])] = p_value
    return _called(numbers, found)


def _best(rows: np.ndarray, bounds: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """The largest q over the splits of all segments, and the index of the split, for each row of `rows` (B, n).

    A q of 0 and the index 0 where no segment is long enough.
    """
    best, where = np.zeros(len(rows)), np.zeros(len(rows), dtype=int)
    for start, end in pairwise(bounds):
        if end - start >= 2 * LEAST_RUNS:
            q = divergence(rows[:, start:end])
            largest, at = q.max(axis=1), start + LEAST_RUNS + q.argmax(axis=1)
            best, where = np.where(largest > best, largest, best), np.where(largest > best, at, where)
    return best, where


def divergence(rows: np.ndarray) -> np.ndarray:
    """The statistic q of every split of a segment, for each row of `rows` (B, m): (B, m - 2 LEAST_RUNS + 1).

    The first column is of the split after LEAST_RUNS numbers. q is n l / (n + l) times the energy distance of the n
    numbers before the split and the l after it (equations 5 to 7), which is 0 on average where nothing changes. All
    sums of distances follow from the sums over the rectangles of the distance matrix that begin in its corner.
    """
    size = rows.shape[1]
    distances = np.abs(rows[:, :, np.newaxis] - rows[:, np.newaxis, :])
    sums = distances.cumsum(axis=1).cumsum(axis=2)
    left = np.arange(LEAST_RUNS, size - LEAST_RUNS + 1)  # numbers before the split
    right = size - left
    within_left, both, all_pairs = sums[:, left - 1, left - 1], sums[:, left - 1, -1], sums[:, -1:, -1]
    between, within_right = both - within_left, all_pairs - 2 * both + within_left
    energy = 2 * between / (left * right) - within_left / (left * (left - 1)) - within_right / (right * (right - 1))
    q: np.ndarray = left * right / size * energy
    return q


def _p_value(
    values: np.ndarray,
    bounds: Sequence[int],
    q: float,
    permutations: int,
    significance: float,
    rng: np.random.Generator,
) -> float:
    """The p-value of the permutation test; 1 as soon as it is sure to be above the significance."""
    most = significance * (permutations + 1) - 1  # permutations that may reach q
    reached, left = 0, permutations
    batch = 25
    while left:
        batch = min(left, batch)
        rows = np.tile(values, (batch, 1))
        for start, end in pairwise(bounds):
            rows[:, start:end] = rng.permuted(rows[:, start:end], axis=1)
        reached += int(np.count_nonzero(_best(rows, bounds)[0] >= q * (1 - 1e-12)))  # equal but for rounding
        left -= batch
        if reached > most:
            return 1.0
        batch = max(1, min(4 * batch, _BATCH // len(values) ** 2))
    return (reached + 1) / (permutations + 1)


def _called(numbers: np.ndarray, found: dict[int, float]) -> tuple[Change, ...]:
    """The changes at these places, without those that are too small, of which the smallest is taken out first."""
    while True:
        bounds = [0, *sorted(found), len(numbers)]
        levels = [median(numbers[start:end]) for start, end in pairwise(bounds)]
        places = zip(bounds[1:-1], pairwise(levels), strict=True)
        changes = tuple(Change(index, before, after, found[index]) for index, (before, after) in places)
        size, index = min(((_size(change), change.index) for change in changes), default=(math.inf, 0))
        if size >= LEAST_CHANGE:
            return changes
        del found[index]


def _size(change: Change) -> float:
    """The difference as a share of the larger of the two values, by their magnitudes; 0 if both are 0."""
    larger = max(abs(change.before), abs(change.after))
    return abs(change.after - change.before) / larger if larger else 0.0
