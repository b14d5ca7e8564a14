"""What is derived from the raw samples: medians, paired ratios with intervals, fitted orders. Nowhere else."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from pandas import Series

RESAMPLES = 2000
CONFIDENCE = 0.95

EPSILON = {"float64": 2.0**-52, "float32": 2.0**-23, "float16": 2.0**-10, "bfloat16": 2.0**-7}
ROUNDOFFS = 100  # a fixed-step error below so many epsilons is rounding, not truncation
FINEST = 3  # an order is the slope at the finest steps: coarser ones may not have come to it yet


@dataclass(frozen=True)
class Ratio:
    """A median of paired ratios with its 95 % bootstrap interval."""

    value: float
    low: float
    high: float
    pairs: int


@dataclass(frozen=True)
class Order:
    """Observed order of convergence; the slope is NaN if fewer than two points were left."""

    slope: float
    points: int
    left_out: int  # rounding, not finite, or coarser than the points


def median(values: Sequence[float] | Series) -> float:
    """The median of the numbers among the values; NaN of none."""
    numbers = np.asarray(values, dtype=float)
    numbers = numbers[~np.isnan(numbers)]
    return float(np.median(numbers)) if len(numbers) else math.nan


def running_median(values: Sequence[float] | np.ndarray) -> list[float]:
    """Each value's median with its neighbours, a twentieth of the series in all: a noisy curve made readable."""
    window = max(1, len(values) // 20)
    return Series(values).rolling(window, center=True, min_periods=1).median().tolist()


def paired_ratio(numerator: Series, denominator: Series, *, seed: int = 0) -> Ratio | None:
    """The ratio of two series of positive samples indexed by process and round_index; None without a pair.

    Samples of one round are pairs. For the interval processes are resampled first, then the rounds within each:
    what one process got (its memory layout, its share of the machine) is common to all its rounds.
    """
    pairs = (numerator / denominator).dropna()
    if pairs.empty:
        return None
    medians = np.nanmedian(_resampled(_by_process(pairs), np.random.default_rng(seed)), axis=(1, 2))
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(medians, [tail, 1 - tail])
    return Ratio(median(pairs), float(low), float(high), len(pairs))


def fitted_order(dt: Sequence[float], error: Sequence[float], *, dtype: str) -> Order:
    """The least-squares slope of log error on log dt, over the finest errors above the rounding floor."""
    floor = ROUNDOFFS * EPSILON.get(dtype, 0.0)
    usable = sorted((step, e) for step, e in zip(dt, error, strict=True) if math.isfinite(e) and e > floor)[:FINEST]
    left_out = len(dt) - len(usable)
    if len({step for step, _ in usable}) < 2:
        return Order(math.nan, len(usable), left_out)
    steps, errors = np.log(usable).T
    slope, _ = np.polyfit(steps, errors, 1)
    return Order(float(slope), len(usable), left_out)


def _by_process(pairs: Series) -> np.ndarray:
    """One row a process; NaN, sorted last, where a process has fewer rounds than the longest."""
    return np.sort(pairs.unstack("round_index").to_numpy(), axis=1)


def _resampled(pairs: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Resamples of processes and then rounds: (resample, process, round), NaN where a process has no more."""
    n_processes, n_rounds = pairs.shape
    counts = (~np.isnan(pairs)).sum(axis=1)
    processes = rng.integers(n_processes, size=(RESAMPLES, n_processes, 1))
    drawn = rng.random((RESAMPLES, n_processes, n_rounds))
    rounds = (drawn * counts[processes]).astype(int)
    ratios = pairs[processes, rounds]
    return np.where(np.arange(n_rounds) < counts[processes], ratios, np.nan)
