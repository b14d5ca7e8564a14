"""The coefficients of ESDIRK methods: order conditions, stability, and the refusal of a mistyped coefficient."""

from dataclasses import replace

import numpy as np
import pytest

from node import SOLVERS
from node.solvers import ESDIRK
from node.solvers.implicit.kvaerno3 import KVAERNO3
from tests.support.rooted_trees import residual

ESDIRKS = {name: solver for name, solver in SOLVERS.items() if isinstance(solver, ESDIRK)}
every_method = pytest.mark.parametrize("solver", ESDIRKS.values(), ids=ESDIRKS)
STAGES = {"implicit_euler": 1, "kvaerno3": 4, "kencarp4": 6, "kencarp58": 8}
STAGE_ORDER = {"implicit_euler": 1}  # 2 for all others


def matrix(solver: ESDIRK) -> np.ndarray:
    tableau, n = solver.tableau, len(solver.tableau.c)
    a = np.diag([0.0, *[tableau.gamma] * (n - 1)])
    for i, row in enumerate(tableau.a):
        a[i, :i] = row
    return a


def at_infinity(a: np.ndarray, b: np.ndarray) -> float:
    """The stability function R(z) = 1 + z b (I - z a)^-1 1 at z = -1e8."""
    z = -1e8
    return 1 + z * b @ np.linalg.solve(np.eye(len(a)) - z * a, np.ones(len(a)))


@every_method
def test_order_conditions_hold_up_to_the_claimed_order_and_fail_beyond(solver: ESDIRK) -> None:
    a = matrix(solver)
    for order in range(1, solver.order + 1):
        assert residual(a[-1], a, order, theta=1.0) < 2e-15
    assert residual(a[-1], a, solver.order + 1, theta=1.0) > 1e-3


@every_method
def test_the_embedded_method_is_one_order_below(solver: ESDIRK) -> None:
    """The weights of the error estimate satisfy the conditions below its power of dt, and not those at that power."""
    a = matrix(solver)
    for order in range(1, solver.error_order):
        assert residual(solver.tableau.b_error, a, order, theta=0.0) < 2e-15
    assert residual(solver.tableau.b_error, a, solver.error_order, theta=0.0) > 1e-4


@every_method
def test_stages_have_the_claimed_stage_order(solver: ESDIRK) -> None:
    """a c^(k - 1) = c^k / k for k up to the stage order, below which the order on stiff problems does not fall."""
    a, c = matrix(solver), np.array(solver.tableau.c)
    for k in range(1, 1 + STAGE_ORDER.get(solver.name, 2)):
        np.testing.assert_allclose(a @ c ** (k - 1), c**k / k, rtol=0, atol=1e-15)


@every_method
def test_methods_are_l_stable_and_their_error_estimate_is_bounded_at_infinity(solver: ESDIRK) -> None:
    """The estimate of implicit Euler is excepted: it contains f at the start."""
    a = matrix(solver)
    y = 1j * np.logspace(-3, 5, 400)
    eye, ones = np.eye(len(a)), np.ones(len(a))
    on_the_axis = [abs(1 + z * a[-1] @ np.linalg.solve(eye - z * a, ones)) for z in y]
    assert max(on_the_axis) <= 1 + 1e-12
    assert abs(at_infinity(a, a[-1])) < 1e-6
    assert solver.order == 1 or abs(at_infinity(a, a[-1] - np.array(solver.tableau.b_error))) <= 1


@every_method
def test_nodes_lie_within_the_step_and_the_number_of_stages_is_the_published_one(solver: ESDIRK) -> None:
    assert 0 <= min(solver.tableau.c) < max(solver.tableau.c) == solver.tableau.c[-1]
    assert solver.stages == STAGES[solver.name]


def test_gamma_of_kvaerno3_is_a_root_of_its_polynomial() -> None:
    g = KVAERNO3.tableau.gamma
    assert abs(g**3 - 3 * g**2 + 1.5 * g - 1 / 6) < 1e-16


@pytest.mark.parametrize("part", ["gamma", "c", "a", "b_error"])
@every_method
def test_a_mistyped_coefficient_is_refused(solver: ESDIRK, part: str) -> None:
    """An error of 2e-12 is refused, which is about that of one wrong digit in a long denominator."""
    value = getattr(solver.tableau, part)
    if part == "gamma":
        wrong = value + 2e-12
    elif part == "a":
        wrong = (*value[:-1], (*value[-1][:-1], value[-1][-1] + 2e-12))
    else:
        wrong = (value[0], value[1] + 2e-12, *value[2:])
    with pytest.raises(ValueError, match=r"^.* sums to .* and must sum to .*: a coefficient is mistyped$"):
        replace(solver.tableau, **{part: wrong})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"b_error": (0.0, 0.0)}, "b_error has 2 rows or entries and must have 4"),
        ({"a": KVAERNO3.tableau.a[:-1]}, "a has 3 rows or entries and must have 4"),
        ({"a": (*KVAERNO3.tableau.a[:-1], (0.5,))}, "row 3 of a has 1 entries and must have 3"),
    ],
    ids=str,
)
def test_a_row_of_the_wrong_length_is_refused(change: dict[str, tuple], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(KVAERNO3.tableau, **change)


def test_a_method_whose_last_stage_is_not_y1_is_refused() -> None:
    """The implicit midpoint rule: its stage is at 1/2."""
    with pytest.raises(ValueError, match=r"^c runs from 0\.0 to 0\.5 and must from 0 to 1: y1 is the last stage$"):
        type(KVAERNO3.tableau)(gamma=0.5, c=(0.0, 0.5), a=((), (0.0,)), b_error=(0.0, 0.0))
