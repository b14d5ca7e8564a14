"""Reversible solvers on the linear equation: the stability and the determinant of a step."""

import numpy as np
import pytest
import torch

from node.solvers import (
    AsynchronousLeapfrog,
    ExplicitRungeKutta,
    ReversibleHeun,
    ReversibleRungeKutta,
    ReversibleSolver,
)
from node.user_field import UserField
from tests.support.reversibles import ALF, HEUN, every_base, parts


def step_matrix(solver: ReversibleSolver, sigma: complex) -> np.ndarray:
    """The matrix of (y, carry) over a step of length 1 on y' = sigma y, without the f of reversible Heun's carry."""
    one, zero = (torch.tensor([x], dtype=torch.complex128) for x in (1.0, 0.0))
    f = UserField.of(lambda t, y: sigma * y, one)
    columns = []
    for y, hidden in ((one, zero), (zero, one)):
        carry = (hidden, sigma * hidden) if isinstance(solver, ReversibleHeun) else hidden
        step = solver.step(f, 0.0, y, 1.0, carry, solver.workspace(y, record=False), estimate=False)
        columns.append([part.item() for part in parts((step.y1, step.carry))[:2]])
    return np.array(columns).T


def spectral_radius(solver: ReversibleSolver, sigma: complex) -> float:
    return max(abs(np.linalg.eigvals(step_matrix(solver, sigma))))


@pytest.mark.parametrize("solver", [ALF, HEUN], ids=lambda solver: solver.name)
def test_without_damping_a_step_is_stable_only_on_a_part_of_the_imaginary_axis(solver: ReversibleSolver) -> None:
    """The eigenvalues are sigma +- sqrt(1 + sigma^2), as for the leapfrog rule."""
    for sigma in (0.3j, -0.99j, -0.2, 0.1, -0.1 + 0.5j, 1.2j):
        found = sorted(np.linalg.eigvals(step_matrix(solver, sigma)), key=abs)
        expected = sorted((sigma + sign * np.sqrt(1 + sigma * sigma + 0j) for sign in (1, -1)), key=abs)
        assert sorted(map(abs, found)) == pytest.approx(sorted(map(abs, expected)), rel=1e-7)
        assert (
            spectral_radius(solver, sigma) == pytest.approx(1, abs=1e-7) or abs(sigma.real) > 0 or abs(sigma.imag) > 1
        )
    assert spectral_radius(solver, -0.2) > 1.2


def test_damping_gives_the_asynchronous_leapfrog_a_region_of_stability() -> None:
    for eta, sigma in ((0.8, -0.2), (0.8, -0.1 + 0.3j), (0.6, -0.5)):
        assert spectral_radius(AsynchronousLeapfrog(eta=eta), sigma) < 1 < spectral_radius(ALF, sigma)


@every_base
def test_the_determinant_of_a_step_is_the_coupling(base: ExplicitRungeKutta) -> None:
    """A reversed step therefore multiplies volumes by 1 / coupling, with every base."""
    for coupling in (0.5, 0.9, 1.0):
        for sigma in (-0.3, 0.4j, 0.2 - 0.6j):
            matrix = step_matrix(ReversibleRungeKutta(base, coupling), sigma)
            assert np.linalg.det(matrix) == pytest.approx(coupling, abs=1e-13)


@every_base
def test_coupling_gives_the_reversible_form_a_region_of_stability(base: ExplicitRungeKutta) -> None:
    """On the negative axis it reaches to about -(1 - coupling); at coupling 1 it is empty there."""
    coupled, uncoupled = (ReversibleRungeKutta(base, coupling) for coupling in (0.8, 1.0))
    assert spectral_radius(coupled, -0.1) < 1 < spectral_radius(uncoupled, -0.1)
    assert spectral_radius(coupled, -0.15) < 1 < spectral_radius(coupled, -0.3)
