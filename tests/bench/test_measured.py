"""Solutions and counts of the backends, the length of a sample, and the outcomes of a failing solve."""

from dataclasses import replace

import pytest

from bench.backends import BACKENDS
from bench.failure import TrialFailure
from bench.measures.accuracy import errors
from bench.measures.clock import warm_up
from bench.measures.counts import count
from bench.problems import PROBLEMS
from bench.worker.outcome import unexpected
from node import SOLVERS, SolveError, Status
from results.records import TRIAL_STATUSES, Cell

CELL = Cell(
    problem="spiral", backend="node", solver="dopri5", horizon=1.5, n_outputs=11, rtol=1e-5, atol=1e-7, dtype="float64"
)
BOTH = pytest.mark.parametrize("backend", BACKENDS)


def prepared(cell: Cell):
    return BACKENDS[cell.backend].prepare(cell, PROBLEMS[cell.problem])


@pytest.mark.parametrize("solver", SOLVERS)
@BOTH
def test_backends_find_the_same_solution(backend, solver):
    step = {"rtol": None, "atol": None, "dt": 0.002}
    first_order = SOLVERS[solver].order == 1  # at a tight tolerance it would take minutes
    if SOLVERS[solver].adaptive and not first_order:
        step = {"rtol": 1e-6, "atol": 1e-8, "dt": None}
    cell = replace(CELL, solver=solver, backend=backend, n_outputs=2, **step)
    if reason := BACKENDS[backend].unsupported(cell):
        assert backend == "torchdiffeq"
        assert solver in reason
        return
    found, _ = errors(cell, PROBLEMS[cell.problem], prepared(cell))
    assert 0 < found["error_final"] == found["error"] < (0.3 if first_order else 2e-4)


@BOTH
def test_a_tighter_tolerance_takes_more_calls_and_has_a_smaller_error(backend):
    loose, tight = (replace(CELL, backend=backend, rtol=rtol, atol=rtol / 100) for rtol in (1e-4, 1e-8))
    assert count(loose, prepared(loose))["nfe_forward"] < count(tight, prepared(tight))["nfe_forward"]
    far, near = (errors(cell, PROBLEMS["spiral"], prepared(cell))[0]["error"] for cell in (loose, tight))
    assert far > 100 * near


@BOTH
def test_the_adjoint_calls_the_field_backwards_and_backprop_does_not(backend):
    backprop, adjoint = (
        count(cell, prepared(cell))
        for cell in (replace(CELL, backend=backend, gradient=mode) for mode in ("backprop", "adjoint"))
    )
    assert backprop["nfe_backward"] == 0 < backprop["vjp_backward"] <= backprop["nfe_forward"]
    assert adjoint["nfe_forward"] == backprop["nfe_forward"]
    assert adjoint["nfe_backward"] >= adjoint["vjp_backward"] > 0


def test_a_sample_lasts_milliseconds_and_gives_seconds_per_call():
    clock = warm_up(lambda: sum(range(1000)), "cpu")
    assert clock.repeats > 10
    assert 0 < clock.sample() < 0.01


@pytest.mark.parametrize(("backend", "status"), [("node", "non_finite"), ("torchdiffeq", "non_finite")])
def test_a_solve_that_diverges_is_an_outcome(backend, status):
    cell = Cell(problem="van_der_pol", backend=backend, solver="euler", horizon=20.0, n_outputs=3, dt=0.5)
    with pytest.raises(TrialFailure) as raised:
        count(cell, prepared(cell))
    assert raised.value.status == status


def test_every_failed_status_of_a_solve_is_a_status_of_a_trial():
    assert {status.name for status in Status if status.failed} <= set(TRIAL_STATUSES)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"solver": "rk4", "dt": 0.1, "rtol": None, "atol": None}, "3/8 rule"),
        ({"solver": "dopri5", "dt": 0.1, "rtol": None, "atol": None}, "takes no dt"),
    ],
)
def test_a_cell_that_torchdiffeq_cannot_solve_has_a_reason(changes, reason):
    assert reason in BACKENDS["torchdiffeq"].unsupported(replace(CELL, backend="torchdiffeq", **changes))


@pytest.mark.parametrize(
    ("solver", "gradient", "reason"),
    [("dopri5", "reversible", "dopri5 cannot be undone"), ("rodas4", "forward", "rodas4 takes the Jacobian")],
)
def test_a_mode_that_does_not_go_with_a_solver_has_a_reason(solver, gradient, reason):
    assert BACKENDS["node"].unsupported(replace(CELL, solver=solver, gradient=gradient)).startswith(reason)
    assert BACKENDS["node"].unsupported(replace(CELL, solver=solver, gradient="checkpointed")) == ""


@pytest.mark.parametrize("status", [status for status in Status if status.failed])
def test_a_backward_pass_that_fails_is_an_outcome_with_the_solves_status(status):
    outcome = unexpected(SolveError("adjoint: the backward solve stopped", status))
    assert outcome.status == status.name
    assert "the backward solve stopped" in outcome.reason
