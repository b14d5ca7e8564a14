"""Dense output of reversible solvers: the states and slopes that it joins, its cost, and its order."""

import math

import pytest
import torch

from node import FixedStep, solve
from node.solvers import (
    AsynchronousLeapfrog,
    ReversibleRungeKutta,
    ReversibleSolver,
)
from node.user_field import UserField
from tests.support.reversibles import (
    ALF,
    HEUN,
    every_method,
    forwards,
    parts,
    pendulum,
    slope,
    tensor,
)


@every_method
def test_dense_output_joins_the_ends_of_the_step(solver: ReversibleSolver) -> None:
    f, y = UserField.of(pendulum, tensor(2.0, 0.0)), tensor(2.0, 0.0)
    _, states = forwards(solver, f, 0.0, y, [0.1] * 5)
    (y, carry), workspace = states[-1], solver.workspace(y, record=False)
    for estimate in (False, solver.adaptive):
        step = solver.step(f, 0.5, y, 0.1, carry, workspace, estimate=estimate)
        calls = f.calls
        c = solver.dense(f, 0.5, y, 0.1, step)
        torch.testing.assert_close(y + c.sum(0), step.y1, rtol=0, atol=1e-14)
        tableau = solver.base.tableau if isinstance(solver, ReversibleRungeKutta) else None
        own = tableau is not None and tableau.b_dense is not None
        known = estimate and own and tableau.fsal
        assert f.calls - calls == (len(tableau.dense_c) + 1 - known if own else 0)


@pytest.mark.parametrize(
    "solver", [ALF, AsynchronousLeapfrog(eta=0.9), HEUN], ids=["alf", "alf 0.9", "reversible_heun"]
)
def test_dense_output_has_the_carried_slopes_at_both_ends_of_the_step(solver: ReversibleSolver) -> None:
    f, y = UserField.of(pendulum, tensor(2.0, 0.0)), tensor(2.0, 0.0)
    _, states = forwards(solver, f, 0.0, y, [0.1] * 5)
    y, carry = states[-1]
    step = solver.step(f, 0.5, y, 0.1, carry, None, estimate=False)
    c = solver.dense(f, 0.5, y, 0.1, step)
    torch.testing.assert_close(c[0] / 0.1, parts((y, carry))[-1], rtol=0, atol=1e-13)
    torch.testing.assert_close((c[0] + 2 * c[1]) / 0.1, parts((y, step.carry))[-1], rtol=0, atol=1e-13)


@every_method
def test_order_within_steps_is_one_above_that_of_dense_output_and_at_most_the_solvers(solver: ReversibleSolver) -> None:
    def error(n: int) -> float:
        inside = (torch.arange(n, dtype=torch.float64) + 0.3) * (2.5 / n)
        y = solve(
            lambda t, y: -y.square() * torch.cos(t),
            tensor(0.5),
            torch.cat((tensor(0.0), inside, tensor(2.5))),
            solver=solver,
            controller=FixedStep(dt=2.5 / n),
        ).y[1:-1, 0]
        return (y - 1 / (2 + torch.sin(inside))).norm().item() / math.sqrt(n)

    expected = min(solver.order, solver.dense_order + 1)
    grid = [32, 64, 128] if expected < 5 else [10, 14, 20]
    assert slope([error(n) for n in grid], grid) > expected - 0.3
