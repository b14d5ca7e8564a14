"""A test of the change points: how often flat series are marked, and how well a planted shift is found.

    python docs/examples/change_points.py --series 1000

Each series has 40 made-up runs, whose noise is of several kinds. There are a third as many with a shift as without one.
Some minutes.
"""

import argparse
from collections.abc import Callable, Iterator

import numpy as np

from results.statistics.change_points import change_points

RUNS, MIDDLE, NEAR = 40, 20, 3
SHIFT = 1.05

Noise = Callable[[np.random.Generator], np.ndarray]  # the logarithms of a series of RUNS numbers


def lognormal(spread: float) -> Noise:
    """Noise whose logarithms are normal."""
    return lambda rng: rng.normal(0, spread, RUNS)


def heavy_tailed(spread: float) -> Noise:
    """Noise of Student's t with three degrees of freedom, with this standard deviation."""
    return lambda rng: rng.standard_t(3, RUNS) * spread / np.sqrt(3)


def with_outliers(spread: float) -> Noise:
    """Lognormal noise in which one run in twenty is slower, by five times the spread on a normal scale."""
    return lambda rng: rng.normal(0, spread, RUNS) + (rng.random(RUNS) < 0.05) * abs(rng.normal(0, 5 * spread, RUNS))


def drifting(spread: float) -> Noise:
    """Lognormal noise on a random walk whose steps have a twentieth of its spread."""
    return lambda rng: rng.normal(0, spread, RUNS) + np.cumsum(rng.normal(0, spread / 20, RUNS))


def correlated(spread: float) -> Noise:
    """Autoregressive noise: the correlation of neighbouring runs is 0.3."""

    def draw(rng: np.random.Generator) -> np.ndarray:
        values = np.zeros(RUNS)
        for index in range(RUNS):
            before = values[index - 1] if index else 0.0
            values[index] = 0.3 * before + rng.normal(0, spread * np.sqrt(1 - 0.3**2))
        return values

    return draw


NOISES: dict[str, Noise] = {
    "lognormal, 1 %": lognormal(0.01),
    "lognormal, 2 %": lognormal(0.02),
    "lognormal, 3 %": lognormal(0.03),
    "heavy tails, 3 %": heavy_tailed(0.03),
    "outliers, 3 %": with_outliers(0.03),
    "small drift, 3 %": drifting(0.03),
    "correlated, 3 %": correlated(0.03),
}


def flat(noise: Noise, seed: int) -> np.ndarray:
    """A series without a change."""
    return np.exp(noise(np.random.default_rng(seed)))


def shifted(noise: Noise, seed: int) -> np.ndarray:
    """A series that is 5 % larger from the middle on."""
    return flat(noise, seed) * np.where(np.arange(RUNS) < MIDDLE, 1.0, SHIFT)


def marked(noise: Noise, seeds: range) -> float:
    """The share of flat series with a mark."""
    return float(np.mean([bool(change_points(flat(noise, seed))) for seed in seeds]))


def found(noise: Noise, seeds: range) -> tuple[float, float]:
    """The shares of shifted series with a mark, and with one within three runs of the shift."""
    every = [[change.index for change in change_points(shifted(noise, seed))] for seed in seeds]
    near = [any(abs(index - MIDDLE) <= NEAR for index in places) for places in every]
    return float(np.mean([bool(places) for places in every])), float(np.mean(near))


def rows(series: int) -> Iterator[tuple[str, ...]]:
    """A row for each kind of noise."""
    for name, noise in NOISES.items():
        seen, near = found(noise, range(series, series + max(1, series // 3)))
        yield name, f"{marked(noise, range(series)):.1%}", f"{seen:.1%}", f"{near:.1%}"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="Test the change points on made-up series.")
    parser.add_argument("--series", type=int, default=1000, help="Flat series of each kind.")
    header = ("noise", "flat, marked", "5 % shift, marked", f"within {NEAR} runs")
    print("  ".join(text.ljust(18) for text in header).rstrip())
    for row in rows(parser.parse_args().series):
        print("  ".join(text.ljust(18) for text in row).rstrip(), flush=True)


if __name__ == "__main__":
    main()
