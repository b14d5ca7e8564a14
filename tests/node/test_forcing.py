"""The forcing of a backward step: a polynomial with the moments of the jumps at outputs, in the Legendre basis."""

import itertools

import pytest

from node.adjoint.backward.forcing import Forcing
from node.adjoint.backward.legendre import legendre
from node.adjoint.backward.quadrature import gauss_legendre
from tests.support.gradients import tensor


@pytest.mark.parametrize("degree", range(6))
def test_a_forcing_has_the_moments_of_its_jumps(degree: int) -> None:
    t, dt, times, jumps = 2.0, -0.5, (1.9, 1.72, 1.6), tensor(1.0, -2.0, 0.3).unsqueeze(1)
    forcing = Forcing(t, dt, times, jumps, degree)
    nodes = gauss_legendre(8)
    for power in range(degree + 1):
        values = [-forcing.cotangent(t + node.x * dt, tensor(0.0)).item() for node in nodes]
        moment = sum(node.weight * node.x**power * value for node, value in zip(nodes, values, strict=True))
        exact = sum(
            jump * (1 - ((time - t) / dt) ** (power + 1)) / (power + 1)
            for jump, time in zip(jumps[:, 0].tolist(), times, strict=True)
        )
        assert moment == pytest.approx(exact, abs=1e-13)


def test_the_legendre_polynomials_are_orthogonal_and_one_at_one() -> None:
    assert legendre(1.0, 5) == [1.0] * 6
    for i, j in itertools.product(range(6), repeat=2):
        values = [(node.weight, legendre(2 * node.x - 1, 5)) for node in gauss_legendre(6)]
        product = sum(weight * p[i] * p[j] for weight, p in values)
        assert product == pytest.approx((i == j) / (2 * i + 1), abs=1e-14)
