"""The statistics of training curves: the time to a loss, the target loss, the range over seeds."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

STEPS = (1, 2, 5)  # round numbers of a decade


@dataclass(frozen=True)
class Range:
    """The median, least and greatest of n numbers, with infinities and without NaN; all NaN if n is 0."""

    median: float
    low: float
    high: float
    n: int

    @classmethod
    def of(cls, values: Sequence[float]) -> "Range":
        """The range of the numbers among the values."""
        numbers = sorted(value for value in values if not math.isnan(value))
        if not numbers:
            return cls(math.nan, math.nan, math.nan, 0)
        lower, upper = numbers[(len(numbers) - 1) // 2], numbers[len(numbers) // 2]
        middle = lower if lower == upper else (lower + upper) / 2  # equal infinities have no mean
        return cls(middle, numbers[0], numbers[-1], len(numbers))

    def overlaps(self, other: "Range") -> bool:
        """Whether some number lies in both ranges."""
        return self.low <= other.high and other.low <= self.high


@dataclass(frozen=True)
class Band:
    """The band of several seeds' curves: at each index the median x, and the median, least and greatest y."""

    x: np.ndarray
    median: np.ndarray
    low: np.ndarray
    high: np.ndarray

    @classmethod
    def of(cls, curves: Sequence[tuple[np.ndarray, np.ndarray]]) -> "Band":
        """The band of at least one curve x (n,), y (n,). All are cut to the length of the shortest."""
        length = min(len(x) for x, _ in curves)
        xs = np.array([x[:length] for x, _ in curves], dtype=float)
        ys = np.array([y[:length] for _, y in curves], dtype=float)
        return cls(np.median(xs, axis=0), np.median(ys, axis=0), ys.min(axis=0), ys.max(axis=0))


def time_to(seconds: Sequence[float] | np.ndarray, losses: Sequence[float] | np.ndarray, target: float) -> float:
    """The time at which the loss first reaches the target; infinite if it never does.

    The loss is known at a few times only: between the last loss above the target and the first that is not, its
    logarithm is taken as linear in time.
    """
    for i, loss in enumerate(losses):
        if loss > target or math.isnan(loss):
            continue
        before = losses[i - 1] if i else math.inf
        if not (0 < loss < before < math.inf):
            return float(seconds[i])
        share = math.log(before / target) / math.log(before / loss)
        return float(seconds[i - 1] + share * (seconds[i] - seconds[i - 1]))
    return math.inf


def rounded_up(value: float) -> float:
    """The smallest 1, 2 or 5 times a power of ten that is not below the positive value."""
    decade = math.floor(math.log10(value)) - 1  # one less: the logarithm may have been rounded up
    ladder = (float(f"{step}e{power}") for power in range(decade, decade + 4) for step in STEPS)
    return next(rung for rung in ladder if rung >= value)


def common_target(reached: Sequence[float], initial: Sequence[float]) -> float | None:
    """The target loss: the smallest 1-2-5 number that more than half of the configurations reach.

    reached: the loss that each configuration reaches with every seed. More than half and not all of them, so that a
    configuration which learns nothing does not raise the target. None if it is not below every initial loss.
    """
    known = sorted(loss for loss in reached if not math.isnan(loss))
    if not known or not 0 < known[len(known) // 2] < math.inf:
        return None
    target = rounded_up(known[len(known) // 2])
    return target if all(target < loss for loss in initial) else None
