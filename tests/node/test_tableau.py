"""Butcher tableaus: derived properties, refused coefficients, and Butcher's conditions for the claimed orders."""

import itertools
import math
import re
from collections.abc import Iterator
from dataclasses import fields, replace

import numpy as np
import pytest

from node import SOLVERS, ButcherTableau
from node.solvers import ExplicitRungeKutta
from tests.support.rooted_trees import residual, trees

RUNGE_KUTTA = [solver for solver in SOLVERS.values() if isinstance(solver, ExplicitRungeKutta)]
every_method = pytest.mark.parametrize("solver", RUNGE_KUTTA, ids=lambda solver: solver.name)

# Stages and FSAL, from the papers and Hairer, Norsett & Wanner (1993), II.1, II.4 and II.5. dopri8 is RK8(7)13M with
# f(t1, y1) as its fourteenth stage.
PUBLISHED = {
    "euler": (1, False),
    "midpoint": (2, False),
    "heun": (2, False),
    "ralston": (2, False),
    "heun3": (3, False),
    "fehlberg2": (3, False),
    "ssprk3": (3, False),
    "rk4": (4, False),
    "rk4_38": (4, False),
    "fehlberg45": (6, False),
    "cash_karp": (6, False),
    "bosh3": (4, True),
    "dopri5": (7, True),
    "tsit5": (7, True),
    "vern7": (10, False),
    "dopri8": (14, True),
}
# The order q of dense output (local error O(dt^(q + 1))) where it is not the minimum of the method's order and the
# polynomial's degree; and a bound of the small residual of the conditions of order q + 1.
DENSE_ORDER = {"dopri8": 5, "vern7": 6}
NEXT_RESIDUAL = {"dopri8": 2e-5, "vern7": 3e-7}


def stage_matrix(tableau: ButcherTableau, rows: int) -> np.ndarray:
    """a as a square matrix; rows after those of the step are of f(t1, y1) and of the stages of dense output."""
    a = np.zeros((rows, rows))
    for i, row in enumerate([*tableau.a, tableau.b, *tableau.dense_a][:rows]):
        a[i, : len(row)] = row
    return a


def dense_residual(solver: ExplicitRungeKutta, order: int, theta: float) -> float:
    dense = np.array(solver.tableau.dense)
    rows, degree = dense.shape
    weights = dense @ theta ** np.arange(1, degree + 1)
    return residual(weights, stage_matrix(solver.tableau, rows), order, theta)


def claimed_dense_order(solver: ExplicitRungeKutta) -> int:
    return DENSE_ORDER.get(solver.name, min(solver.order, len(solver.tableau.dense[0])))


def with_each_coefficient_changed(tableau: ButcherTableau) -> Iterator[tuple[str, dict[str, tuple]]]:
    """For each coefficient the row that an error must name, and the field with the coefficient changed.

    It is changed by 1 %, or by 0.01 if it is zero.
    """
    for field in fields(tableau):
        value = getattr(tableau, field.name)
        if not value:
            continue
        flat = not isinstance(value[0], tuple)
        for i, row in enumerate((value,) if flat else value):
            for j, x in enumerate(row):
                changed = (*row[:j], x * 1.01 if x else 0.01, *row[j + 1 :])
                sums_to = {"c": f"row {j} of a", "dense_c": f"row {j} of dense_a"}
                culprit = sums_to.get(field.name, field.name) if flat else f"row {i} of {field.name}"
                yield culprit, {field.name: changed if flat else (*value[:i], changed, *value[i + 1 :])}


def test_the_numbers_of_rooted_trees_are_the_known_ones() -> None:
    assert [len(trees(order)) for order in range(1, 10)] == [1, 1, 2, 4, 9, 20, 48, 115, 286]


@every_method
def test_order_conditions_hold_up_to_the_claimed_order_and_fail_beyond(solver: ExplicitRungeKutta) -> None:
    a = stage_matrix(solver.tableau, solver.tableau.stages)
    for order in range(1, solver.order + 1):
        assert residual(solver.tableau.b, a, order, theta=1.0) < 1e-12
    assert residual(solver.tableau.b, a, solver.order + 1, theta=1.0) > 1e-6


@every_method
def test_a_mistake_that_keeps_all_sums_breaks_an_order_condition(solver: ExplicitRungeKutta) -> None:
    """1 % of each coefficient is moved to its neighbour in the row, which the checks of sums cannot detect.

    A stage that y1 does not use (the last one of fehlberg45 and vern7) changes the conditions of the error estimate.
    The conditions up to order 2 depend on a row of a only through its sum.
    """
    tableau = solver.tableau
    rows = tableau.a[:-1] if tableau.fsal else tableau.a  # with FSAL the last row is b; a change of it alone ends FSAL
    rows = rows if solver.order > 2 else ()
    found = 0
    for name, i, row in [("b", 0, tableau.b), *(("a", i, row) for i, row in enumerate(rows))]:
        used = [j for j, x in enumerate(row) if x]
        for j, k in itertools.pairwise(used):
            moved = list(row)
            moved[j], moved[k] = row[j] - 0.01 * row[j], row[k] + 0.01 * row[j]
            change = moved if name == "b" else (*tableau.a[:i], tuple(moved), *tableau.a[i + 1 :])
            wrong = replace(tableau, b_dense=None, dense_c=(), dense_a=(), **{name: tuple(change)})
            a = stage_matrix(wrong, wrong.stages)
            residuals = [residual(wrong.b, a, order, theta=1.0) for order in range(1, solver.order + 1)]
            if wrong.b_error is not None and not any(used_by[i] for used_by in (wrong.b, *wrong.a[i + 1 :])):
                residuals += [residual(wrong.b_error, a, order, theta=0.0) for order in range(1, solver.error_order)]
            assert max(residuals) > 1e-9
            found += 1
    assert found > 0 or solver.name in ("euler", "midpoint")  # whose sums have one term each


@pytest.mark.parametrize(
    "solver", [solver for solver in RUNGE_KUTTA if solver.tableau.dense_a], ids=lambda solver: solver.name
)
def test_a_mistake_in_a_stage_of_dense_output_breaks_an_order_condition(solver: ExplicitRungeKutta) -> None:
    """1 % of each coefficient is moved to its neighbour in the row, which keeps all sums."""
    dense_a = solver.tableau.dense_a
    for i, row in enumerate(dense_a):
        for j, k in itertools.pairwise(j for j, x in enumerate(row) if x):
            moved = list(row)
            moved[j], moved[k] = row[j] - 0.01 * row[j], row[k] + 0.01 * row[j]
            tableau = replace(solver.tableau, dense_a=(*dense_a[:i], tuple(moved), *dense_a[i + 1 :]))
            wrong = replace(solver, tableau=tableau)
            orders = range(1, claimed_dense_order(solver) + 1)
            assert max(dense_residual(wrong, order, theta=0.37) for order in orders) > 1e-9


@every_method
def test_error_estimate_vanishes_below_its_power_of_dt_and_not_at_it(solver: ExplicitRungeKutta) -> None:
    tableau = solver.tableau
    assert solver.adaptive == (tableau.b_error is not None)
    if tableau.b_error is None:
        return
    a = stage_matrix(tableau, tableau.stages)
    for order in range(1, solver.error_order):
        assert residual(tableau.b_error, a, order, theta=0.0) < 1e-12
    assert residual(tableau.b_error, a, solver.error_order, theta=0.0) > 1e-6


@every_method
def test_order_conditions_of_dense_output_hold_inside_the_step(solver: ExplicitRungeKutta) -> None:
    claimed = claimed_dense_order(solver)
    for theta in (0.1, 0.37, 0.5, 0.81):
        for order in range(1, claimed + 1):
            assert dense_residual(solver, order, theta) < 1e-12
        assert dense_residual(solver, claimed + 1, theta) > (5e-8 if solver.name in NEXT_RESIDUAL else 1e-7)


@pytest.mark.parametrize("name", NEXT_RESIDUAL)
def test_dense_output_almost_satisfies_the_conditions_of_the_next_order(name: str) -> None:
    """The residual is a small one by design, as the docstrings of the solvers say, and not rounding."""
    worst = max(dense_residual(SOLVERS[name], DENSE_ORDER[name] + 1, i / 50) for i in range(51))
    assert NEXT_RESIDUAL[name] / 3 < worst < NEXT_RESIDUAL[name]


@every_method
def test_dense_output_at_the_end_of_the_step_is_y1(solver: ExplicitRungeKutta) -> None:
    at_the_end = np.sum(solver.tableau.dense, axis=1)
    expected = np.zeros(len(at_the_end))
    expected[: solver.tableau.stages] = solver.tableau.b
    np.testing.assert_allclose(at_the_end, expected, rtol=0, atol=1e-12)


def test_last_stage_of_fehlberg2_is_f_at_its_embedded_solution() -> None:
    tableau = SOLVERS["fehlberg2"].tableau
    np.testing.assert_array_equal(np.subtract(tableau.b, tableau.b_error), (*tableau.a[-1], 0.0))


@every_method
def test_rows_sum_to_the_nodes_and_weights_sum_to_one(solver: ExplicitRungeKutta) -> None:
    tableau = solver.tableau
    np.testing.assert_allclose([math.fsum(row) for row in tableau.a], tableau.c, rtol=0, atol=1e-13)
    assert math.fsum(tableau.b) == pytest.approx(1.0, abs=1e-14)
    assert math.fsum(tableau.b_error or ()) == pytest.approx(0.0, abs=1e-14)


@every_method
def test_stages_and_fsal_are_derived_as_published(solver: ExplicitRungeKutta) -> None:
    stages, fsal = PUBLISHED[solver.name]
    assert solver.tableau.stages == stages
    assert solver.tableau.fsal == fsal
    assert solver.tableau.ssal == fsal


@every_method
def test_a_coefficient_off_by_one_per_cent_is_refused_with_its_row_and_both_sums(solver: ExplicitRungeKutta) -> None:
    number = r"-?[0-9.]+(e[-+]\d+)?"
    changes = list(with_each_coefficient_changed(solver.tableau))
    assert len(changes) >= solver.tableau.stages
    for culprit, change in changes:
        message = f"^{re.escape(culprit)} sums to {number} and must sum to {number}: a coefficient is mistyped$"
        with pytest.raises(ValueError, match=message):
            replace(solver.tableau, **change)


def test_the_error_of_a_mistyped_coefficient_names_the_row_and_both_sums() -> None:
    with pytest.raises(ValueError, match=r"^row 1 of a sums to 0\.25 and must sum to 0\.5: a coefficient is mistyped$"):
        ButcherTableau(c=(0.0, 0.5), a=((), (0.25,)), b=(0.0, 1.0))
    with pytest.raises(ValueError, match=r"^b sums to 1\.5 and must sum to 1\.0: a coefficient is mistyped$"):
        ButcherTableau(c=(0.0, 0.5), a=((), (0.5,)), b=(0.5, 1.0))
    with pytest.raises(ValueError, match=r"^b_error sums to 0\.5 and must sum to 0\.0: a coefficient is mistyped$"):
        ButcherTableau(c=(0.0, 0.5), a=((), (0.5,)), b=(0.0, 1.0), b_error=(-0.5, 1.0))


@pytest.mark.parametrize(
    "change",
    [
        {"c": (0.0, 0.5, 1.0)},
        {"c": (0.0,)},
        {"a": ((),)},
        {"a": ((), (0.5,), (0.5, 0.5))},
        {"b": (0.5, 0.25, 0.25)},
        {"b_error": (0.5, -0.25, -0.25)},
        {"b_dense": ((1.0, -1.0), (0.0, 1.0), (0.0, 0.0))},
    ],
    ids=str,
)
def test_too_many_or_too_few_rows_or_entries_are_refused(change: dict[str, tuple]) -> None:
    midpoint = ButcherTableau(c=(0.0, 0.5), a=((), (0.5,)), b=(0.0, 1.0))
    with pytest.raises(ValueError, match="each has one a stage"):
        replace(midpoint, **change)


def test_an_entry_on_or_above_the_diagonal_is_refused() -> None:
    with pytest.raises(ValueError, match="row 1 of a has 2 entries, an explicit method's has 1"):
        ButcherTableau(c=(0.0, 0.5), a=((), (0.25, 0.25)), b=(0.0, 1.0))


@pytest.mark.parametrize("change", [{"c": (0.0, math.nan)}, {"a": ((), (math.nan,))}, {"b": (math.nan, 1.0)}], ids=str)
def test_a_coefficient_that_is_nan_is_refused(change: dict[str, tuple]) -> None:
    midpoint = ButcherTableau(c=(0.0, 0.5), a=((), (0.5,)), b=(0.0, 1.0))
    with pytest.raises(ValueError, match="a coefficient is mistyped"):
        replace(midpoint, **change)


def test_fsal_needs_a_last_stage_at_y1() -> None:
    euler_twice = ButcherTableau(c=(0.0, 0.5, 1.0), a=((), (0.5,), (0.5, 0.5)), b=(0.5, 0.5, 0.0))
    assert euler_twice.ssal
    assert euler_twice.fsal
    at_t1_beside_y1 = ButcherTableau(c=(0.0, 0.5, 1.0), a=((), (0.5,), (0.0, 1.0)), b=(0.5, 0.5, 0.0))
    assert not at_t1_beside_y1.ssal
    assert not at_t1_beside_y1.fsal
    y1_not_last = ButcherTableau(c=(0.0, 1.0, 0.5), a=((), (1.0,), (0.5, 0.0)), b=(1.0, 0.0, 0.0))
    assert not y1_not_last.ssal
    assert not y1_not_last.fsal
