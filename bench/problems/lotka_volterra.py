"""The Lotka-Volterra equations of predator and prey."""

from bench.problems.base import PROBLEMS, Elementwise, Problem, from_start

LOTKA_VOLTERRA = PROBLEMS.register(
    Problem(
        name="lotka_volterra",
        equation="x' = 1.5 x - x y, y' = x y - 3 y, (x, y)(0) = (1, 1)",
        source="Lotka (1925), Volterra (1926); constants of SciMLSensitivity's example",
        horizon=10.0,
        make=from_start(
            lambda: Elementwise(lambda t, x, y, a, b, c, d: (a * x - b * x * y, d * x * y - c * y), 1.5, 1.0, 3.0, 1.0),
            (1.0, 1.0),
        ),
    )
)
