"""The Lorenz attractor."""

from bench.problems.base import PROBLEMS, Elementwise, Problem, from_start

LORENZ = PROBLEMS.register(
    Problem(
        name="lorenz",
        equation="x' = 10 (y - x), y' = x (28 - z) - y, z' = x y - 8/3 z, (x, y, z)(0) = (1, 1, 1)",
        source="Lorenz (1963), J. Atmos. Sci. 20, 130-141",
        horizon=1.0,
        make=from_start(
            lambda: Elementwise(
                lambda t, x, y, z, s, r, b: (s * (y - x), x * (r - z) - y, x * y - b * z), 10, 28, 8 / 3
            ),
            (1.0, 1.0, 1.0),
        ),
    )
)
