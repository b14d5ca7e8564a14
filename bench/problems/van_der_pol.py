"""A relaxation oscillator: slow, then sudden."""

from bench.problems.base import Elementwise, Problem

VAN_DER_POL = Problem(
    name="van_der_pol",
    equation="x' = y, y' = mu (1 - x^2) y - x, mu = 10, (x, y)(0) = (2, 0)",
    source="van der Pol (1926), Phil. Mag. 2(11), 978-992",
    horizon=20.0,
    field=lambda: Elementwise(lambda t, x, y, mu: (y, mu * (1 - x * x) * y - x), 10.0),
    start=(2.0, 0.0),
)
