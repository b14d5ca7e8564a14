"""The coefficients of Rosenbrock methods: order conditions, and the refusal of a mistyped coefficient."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pytest

from node.solvers import Solver
from node.solvers.implicit.rodas4 import RODAS4
from node.solvers.implicit.rodas5p import RODAS5P
from node.solvers.implicit.rosenbrock import RosenbrockTableau
from tests.support.rooted_trees import Tree, trees

ROSENBROCK = {solver.name: solver for solver in (RODAS4, RODAS5P)}
every_rosenbrock = pytest.mark.parametrize("solver", ROSENBROCK.values(), ids=ROSENBROCK)
DENSE_ORDERS = [(solver, theta) for solver in ROSENBROCK.values() for theta in (0.3, 0.7)]


class Classical(NamedTuple):
    """A Rosenbrock method in terms of the k_i: Hairer & Wanner (1996), eq. IV.7.4; beta = alpha + gamma."""

    alpha: np.ndarray
    gamma: np.ndarray
    row: Callable[[tuple[float, ...]], np.ndarray]  # weights of the u_i as weights of the k_i


def classical(tableau: RosenbrockTableau) -> Classical:
    """The form from which section IV.7 derives that of the tableau: Gamma = (I / gamma - c)^-1, alpha = a Gamma."""
    stages = len(tableau.b)

    def full(rows: tuple[tuple[float, ...], ...]) -> np.ndarray:
        return np.array([[*row, *[0.0] * (stages - len(row))] for row in rows])

    gamma = np.linalg.inv(np.eye(stages) / tableau.gamma - full(tableau.c))
    return Classical(full(tableau.a) @ gamma, gamma, lambda row: np.array(row) @ gamma)


def elementary_weights(method: Classical, tree: Tree) -> np.ndarray:
    """The elementary weights, Hairer & Wanner (1996), eq. IV.7.11: beta at vertices with one branch, else alpha."""
    branches = [elementary_weights(method, branch) for branch in tree]
    matrix = method.alpha + method.gamma if len(branches) == 1 else method.alpha
    return math.prod((matrix @ phi for phi in branches), start=np.ones(len(matrix)))


def size(tree: Tree) -> int:
    return 1 + sum(map(size, tree))


def density(tree: Tree) -> int:
    return size(tree) * math.prod(map(density, tree))


def residual(method: Classical, weights: np.ndarray, order: int, theta: float = 1.0) -> float:
    """The largest residual of the conditions of this order for y(t + theta dt)."""
    exact = {tree: theta**order / density(tree) for tree in trees(order)}
    return max(abs(weights @ elementary_weights(method, tree) - value) for tree, value in exact.items())


@every_rosenbrock
def test_order_conditions_hold_up_to_the_claimed_order_and_fail_beyond(solver: Solver) -> None:
    method = classical(solver.tableau)
    b = method.row(solver.tableau.b)
    assert max(residual(method, b, order) for order in range(1, solver.order + 1)) < 1e-13
    assert residual(method, b, solver.order + 1) > 1e-4


@every_rosenbrock
def test_the_embedded_method_is_one_order_below(solver: Solver) -> None:
    method = classical(solver.tableau)
    embedded = method.row(tuple(np.subtract(solver.tableau.b, solver.tableau.b_error)))
    assert max(residual(method, embedded, order) for order in range(1, solver.error_order)) < 1e-13
    assert residual(method, embedded, solver.error_order) > 1e-4


@pytest.mark.parametrize(("solver", "theta"), DENSE_ORDERS, ids=lambda x: getattr(x, "name", x))
def test_dense_output_satisfies_the_conditions_of_its_order(solver: Solver, theta: float) -> None:
    method = classical(solver.tableau)
    powers = theta ** np.arange(1, 1 + len(solver.tableau.powers))
    weights = method.row(tuple(powers @ np.array(solver.tableau.powers)))
    assert max(residual(method, weights, order, theta) for order in range(1, solver.dense_order + 1)) < 2e-13
    assert residual(method, weights, solver.dense_order + 1, theta) > 1e-5


@every_rosenbrock
def test_methods_are_stiffly_accurate(solver: Solver) -> None:
    """b is the last row of beta."""
    method = classical(solver.tableau)
    np.testing.assert_allclose((method.alpha + method.gamma)[-1], method.row(solver.tableau.b), rtol=0, atol=1e-12)


@pytest.mark.parametrize("part", ["alpha", "d", "a", "c", "b", "b_error", "dense"])
@every_rosenbrock
def test_a_mistyped_coefficient_is_refused(solver: Solver, part: str) -> None:
    rows = getattr(solver.tableau, part)
    nested = isinstance(rows[-1], tuple)
    row = list(rows[-1] if nested else rows)
    row[1] += 1e-6
    wrong = (*rows[:-1], tuple(row)) if nested else tuple(row)
    with pytest.raises(ValueError, match="a coefficient is mistyped"):
        replace(solver.tableau, **{part: wrong})


def test_a_row_of_the_wrong_length_is_refused() -> None:
    tableau = RODAS4.tableau
    with pytest.raises(ValueError, match="b_error has 5 rows or entries and must have 6"):
        replace(tableau, b_error=tableau.b_error[1:])
    with pytest.raises(ValueError, match="row 5 of c has 4 entries and must have 5"):
        replace(tableau, c=(*tableau.c[:-1], tableau.c[-1][1:]))
