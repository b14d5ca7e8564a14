"""The van der Pol oscillator, a relaxation oscillation with slow and fast phases."""

from bench.problems.base import PROBLEMS, Elementwise, Problem, from_start

VAN_DER_POL = PROBLEMS.register(
    Problem(
        name="van_der_pol",
        equation="x' = y, y' = mu (1 - x^2) y - x, mu = 10, (x, y)(0) = (2, 0)",
        source="van der Pol (1926), Phil. Mag. 2(11), 978-992",
        horizon=20.0,
        make=from_start(lambda: Elementwise(lambda t, x, y, mu: (y, mu * (1 - x * x) * y - x), 10.0), (2.0, 0.0)),
    )
)
