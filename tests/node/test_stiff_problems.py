"""Stiff solvers on stiff problems, compared with the published end values."""

import math
from collections.abc import Callable
from typing import NamedTuple

import pytest
import torch
from torch import Tensor

from node import PIDController, Status, solve
from node.solvers import Solver
from node.solvers.implicit.implicit_euler import IMPLICIT_EULER
from node.solvers.implicit.kencarp4 import KENCARP4
from node.solvers.implicit.kencarp58 import KENCARP58
from node.solvers.implicit.kvaerno3 import KVAERNO3
from node.solvers.implicit.rodas4 import RODAS4
from node.solvers.implicit.rodas5p import RODAS5P
from tests.support.gradients import tensor
from tests.support.stiffs import van_der_pol

ROSENBROCK = {solver.name: solver for solver in (RODAS4, RODAS5P)}
ESDIRKS = {solver.name: solver for solver in (KVAERNO3, KENCARP4, KENCARP58)}
every_esdirk = pytest.mark.parametrize("solver", ESDIRKS.values(), ids=ESDIRKS)
every_rosenbrock = pytest.mark.parametrize("solver", ROSENBROCK.values(), ids=ROSENBROCK)


def robertson(t: Tensor, y: Tensor) -> Tensor:
    a, b, c = y
    slow, back, fast = 0.04 * a, 1e4 * b * c, 3e7 * b * b
    return torch.stack((back - slow, slow - back - fast, fast))


def hires(t: Tensor, y: Tensor) -> Tensor:
    """HIRES, Schaefer (1975), in the form of the Test Set for IVP Solvers."""
    a, b, c, d, e, g, h, i = y
    bound = 280 * g * i - 1.81 * h
    return torch.stack(
        (
            -1.71 * a + 0.43 * b + 8.32 * c + 0.0007,
            1.71 * a - 8.75 * b,
            -10.03 * c + 0.43 * d + 0.035 * e,
            8.32 * b + 1.71 * c - 1.12 * d,
            -1.745 * e + 0.43 * (g + h),
            -280 * g * i + 0.69 * d + 1.71 * e - 0.43 * g + 0.69 * h,
            bound,
            -bound,
        )
    )


class StiffProblem(NamedTuple):
    f: Callable[[Tensor, Tensor], Tensor]
    y0: tuple[float, ...]
    t_end: float
    exact: tuple[float, ...]
    atol: tuple[float, ...] | float  # relative to rtol
    nfe: int  # the limit for Rosenbrock methods at rtol = 1e-3


HIRES_END = (
    0.7371312573325668e-3, 0.1442485726316185e-3, 0.5888729740967575e-4, 0.1175651343283149e-2,
    0.2386356198831331e-2, 0.6238968252742796e-2, 0.2849998395185769e-2, 0.2850001604814231e-2,
)  # fmt: skip
# End values published with the Test Set for IVP Solvers; that of Robertson's problem at 40 is by SciPy's Radau at
# rtol=3e-14.
PROBLEMS = {
    "robertson": StiffProblem(
        robertson, (1, 0, 0), 1e11,
        (0.2083340149701255e-7, 0.8333360770334713e-13, 0.9999999791665050), (1e-6, 1e-11, 1.0), 800,
    ),
    "robertson to 40": StiffProblem(
        robertson, (1, 0, 0), 40.0, (0.7158270687194016, 9.18553476455776e-06, 0.28416374574582903), 1e-4, 160
    ),
    "hires": StiffProblem(hires, (1, 0, 0, 0, 0, 0, 0, 0.0057), 321.8122, HIRES_END, 1e-4, 400),
    "van_der_pol": StiffProblem(
        van_der_pol, (2, 0), 2000.0, (1.706167732170469, -0.8928097010248125e-3), 1e-4, 1900
    ),
}  # fmt: skip
every_problem = pytest.mark.parametrize("problem", PROBLEMS.values(), ids=PROBLEMS)


def relative_error(problem: StiffProblem, solver: Solver, rtol: float, most_calls: float = math.inf) -> float:
    exact = torch.tensor(problem.exact, dtype=torch.float64)
    y0 = torch.tensor(problem.y0, dtype=torch.float64)
    controller = PIDController(rtol=rtol, atol=rtol * torch.tensor(problem.atol, dtype=torch.float64))
    with torch.no_grad():
        solution = solve(problem.f, y0, tensor(0.0, problem.t_end), solver=solver, controller=controller)
    assert solution.require_success().stats.nfe_forward <= most_calls
    return ((solution.y[-1] - exact) / exact).abs().max().item()


@every_problem
@every_rosenbrock
def test_rosenbrock_errors_are_within_5e_3_and_fall_with_the_tolerance(problem: StiffProblem, solver: Solver) -> None:
    """Errors are relative to each component, the smallest of which is 1e-13."""
    coarse = relative_error(problem, solver, 1e-3, problem.nfe)
    fine = relative_error(problem, solver, 1e-4)
    assert coarse < 5e-3
    assert fine < 0.6 * coarse


@pytest.mark.exhaustive
@every_problem
@every_esdirk
def test_esdirk_errors_are_within_1e_2(problem: StiffProblem, solver: Solver) -> None:
    assert relative_error(problem, solver, 1e-3, 4 * problem.nfe) < 0.01


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", ["robertson to 40", "hires"])
@every_esdirk
def test_esdirk_errors_fall_with_the_tolerance(name: str, solver: Solver) -> None:
    coarse, fine = (relative_error(PROBLEMS[name], solver, rtol) for rtol in (1e-3, 1e-4))
    assert fine < min(0.6 * coarse, 1e-3)


def test_implicit_eulers_error_falls_with_the_tolerance_within_400_evaluations() -> None:
    coarse, fine = (relative_error(PROBLEMS["robertson to 40"], IMPLICIT_EULER, rtol, 400) for rtol in (1e-2, 1e-3))
    assert coarse < 0.05
    assert fine < 0.5 * coarse


@every_problem
def test_an_explicit_solver_runs_out_of_steps(problem: StiffProblem) -> None:
    """With five times the evaluations dopri5 has not reached 1 % of the interval, or 20 % in the two mildest."""
    y0 = torch.tensor(problem.y0, dtype=torch.float64)
    t = problem.t_end * tensor(0.0, 0.2 if problem.f is hires or problem.t_end == 40.0 else 0.01, 1.0)
    controller = PIDController(rtol=1e-4, atol=1e-8)
    solution = solve(problem.f, y0, t, solver="dopri5", controller=controller, max_steps=5 * problem.nfe // 6)
    assert solution.status is Status.max_steps
    assert solution.y[1].isnan().all()
