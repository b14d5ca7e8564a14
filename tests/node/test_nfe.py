"""The reported numbers of evaluations are those of the calls of f, forwards and backwards, in every mode."""

import itertools
from dataclasses import dataclass, fields

import pytest
import torch
from torch import Tensor, nn

from node import ADJOINTS, SOLVERS, Counted, FixedStep, PIDController, Solution, SolveError, solve
from node.controller import Controller
from node.solvers import ExplicitRungeKutta, Solver, Step
from tests.support.families import EXPLICIT, IMPLICIT, REVERSIBLE_RUNGE_KUTTA

TOLERANCE = PIDController(rtol=1e-3, atol=1e-3)
# "rejecting" starts with a step that is far too large.
CONTROLLERS = {
    "fixed": FixedStep(dt=0.19),
    "adaptive": TOLERANCE,
    "rejecting": PIDController(rtol=1e-3, atol=1e-3, first_step=2.0),
}
TIMES = {
    "forwards": [0.0, 2.0],
    "backwards": [2.0, 0.0],
    "forwards, with outputs within steps": [0.0, 0.01, 0.02, 0.5, 1.0, 1.9, 1.999999, 2.0],
    "backwards, with outputs within steps": [2.0, 1.99, 1.98, 1.5, 1.0, 0.1, 0.000001, 0.0],
}
CASES = {
    f"{solver}-{kind}-{gradient}-{times}": (solver, kind, gradient, times)
    for solver, kind, gradient, times in itertools.product(SOLVERS, CONTROLLERS, ADJOINTS, TIMES)
    if (kind == "fixed" or SOLVERS[solver].adaptive) and gradient != "forward"
}
every_solver = pytest.mark.parametrize("solver", SOLVERS.values(), ids=SOLVERS)
every_runge_kutta = pytest.mark.parametrize("solver", EXPLICIT.values(), ids=EXPLICIT)
every_adaptive_runge_kutta = pytest.mark.parametrize("name", [name for name in EXPLICIT if SOLVERS[name].adaptive])
every_gradient = pytest.mark.parametrize("gradient", ADJOINTS)


class Pendulum(nn.Module):
    """A driven and damped pendulum with two parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.damping = nn.Parameter(torch.tensor(0.1, dtype=torch.float64))
        self.drive = nn.Parameter(torch.tensor(0.7, dtype=torch.float64))

    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        return torch.stack((y[1], self.drive * torch.cos(3 * t) - 4 * torch.sin(y[0]) - self.damping * y[1]))


def solved(field: nn.Module, solver: str | Solver, controller: Controller, gradient: str, t: list[float]) -> Solution:
    y0 = torch.tensor([2.0, 0.0], dtype=torch.float64, requires_grad=True)
    times = torch.tensor(t, dtype=torch.float64)
    return solve(field, y0, times, solver=solver, controller=controller, gradient=gradient).require_success()


@pytest.mark.parametrize(("solver", "kind", "gradient", "times"), CASES.values(), ids=CASES)
def test_reported_counts_are_the_calls_and_products_made(solver: str, kind: str, gradient: str, times: str) -> None:
    field = Counted(Pendulum())
    solution = solved(field, solver, CONTROLLERS[kind], gradient, TIMES[times])
    assert solution.stats.nfe_forward == field.calls > 0
    assert solution.stats.nfe_backward == solution.stats.vjp_backward == 0
    jacobians = field.vjps  # those by which an implicit solver takes Jacobians in the forward pass
    assert (jacobians > 0) == (solver in IMPLICIT)
    field.reset()
    solution.y.square().sum().backward()
    assert solution.stats.nfe_backward == field.calls
    assert solution.stats.vjp_backward == field.vjps > 0


@pytest.mark.parametrize("kind", CONTROLLERS)
def test_forward_mode_calls_f_as_often_as_a_solve_alone_and_never_backwards(kind: str) -> None:
    field = Counted(Pendulum())
    solution = solved(field, "dopri5", CONTROLLERS[kind], "forward", TIMES["forwards"])
    alone = solved(Pendulum(), "dopri5", CONTROLLERS[kind], "backprop", TIMES["forwards"])
    assert solution.stats.nfe_forward == field.calls == alone.stats.nfe_forward
    field.reset()
    solution.y.square().sum().backward()
    assert solution.stats.nfe_backward == solution.stats.vjp_backward == field.calls == field.vjps == 0


@pytest.mark.parametrize("solver", [SOLVERS[name] for name in SOLVERS if name not in IMPLICIT], ids=lambda s: s.name)
def test_backprop_calls_f_never_backwards_and_takes_at_most_one_product_a_call(solver: Solver) -> None:
    solution = solved(Pendulum(), solver, FixedStep(dt=0.1), "backprop", [0.0, 1.0])
    solution.y[-1].sum().backward()
    assert solution.stats.nfe_backward == 0
    # The z1 of the last step of a reversible method is used by nothing; it costs a step of the base.
    unused = solver.stages if solver.name in REVERSIBLE_RUNGE_KUTTA else 1
    assert solution.stats.nfe_forward - unused <= solution.stats.vjp_backward <= solution.stats.nfe_forward


@every_gradient
def test_two_backward_passes_count_twice(gradient: str) -> None:
    solution = solved(Pendulum(), "bosh3", TOLERANCE, gradient, [0.0, 1.0])
    loss = solution.y[-1].sum()
    loss.backward(retain_graph=True)
    once = solution.stats.nfe_backward, solution.stats.vjp_backward
    loss.backward()
    assert (solution.stats.nfe_backward, solution.stats.vjp_backward) == (2 * once[0], 2 * once[1])


@every_gradient
def test_counts_are_right_for_a_field_that_depends_on_time_alone(gradient: str) -> None:
    field = Counted(lambda t, y: torch.cos(t).expand_as(y))
    y0 = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    t = torch.tensor([0.0, 1.0, 2.0], dtype=torch.float64)
    solution = solve(field, y0, t, solver="dopri5", controller=TOLERANCE, gradient=gradient, parameters=())
    assert solution.stats.nfe_forward == field.calls
    field.reset()
    solution.y.sum().backward()
    assert solution.stats.nfe_backward == field.calls
    assert solution.stats.vjp_backward == field.vjps == 0
    torch.testing.assert_close(y0.grad, torch.full_like(y0, 3.0))


@every_gradient
def test_counts_are_the_same_under_no_grad(gradient: str) -> None:
    recorded = solved(Pendulum(), "dopri5", TOLERANCE, gradient, [0.0, 0.3, 2.0])
    with torch.no_grad():
        bare = solved(Pendulum(), "dopri5", TOLERANCE, gradient, [0.0, 0.3, 2.0])
    assert bare.stats == recorded.stats


@dataclass(frozen=True)
class WithoutCarry(ExplicitRungeKutta):
    """A method with FSAL that does not pass its last stage to the next step."""

    def step(self, *args: object, **kwargs: object) -> Step:
        return super().step(*args, **kwargs)._replace(carry=None)


@pytest.mark.parametrize("kind", CONTROLLERS)
@every_adaptive_runge_kutta
def test_fsal_saves_exactly_one_evaluation_an_accepted_step(name: str, kind: str) -> None:
    """The last step is excepted, as no step follows it."""
    solver = SOLVERS[name]
    without_carry = WithoutCarry(**{field.name: getattr(solver, field.name) for field in fields(solver)})
    with_fsal = solved(Pendulum(), solver, CONTROLLERS[kind], "backprop", [0.0, 2.0])
    without_fsal = solved(Pendulum(), without_carry, CONTROLLERS[kind], "backprop", [0.0, 2.0])
    assert with_fsal.stats.n_accepted == without_fsal.stats.n_accepted > 1
    torch.testing.assert_close(with_fsal.y, without_fsal.y, rtol=0, atol=1e-14)
    saved = without_fsal.stats.nfe_forward - with_fsal.stats.nfe_forward
    assert saved == (with_fsal.stats.n_accepted - 1 if solver.tableau.fsal else 0)


@pytest.mark.parametrize("t", [[0.0, 2.0], [2.0, 0.0]], ids=["forwards", "backwards"])
@every_runge_kutta
def test_a_fixed_step_costs_its_stages_and_one_less_with_fsal(solver: Solver, t: list[float]) -> None:
    """With FSAL the solve costs one more evaluation at its start."""
    stats = solved(Pendulum(), solver, FixedStep(dt=0.1), "backprop", t).stats
    assert (stats.n_accepted, stats.n_rejected) == (20, 0)
    assert stats.nfe_forward == (1 + 20 * (solver.stages - 1) if solver.tableau.fsal else 20 * solver.stages)


@pytest.mark.parametrize("kind", ["adaptive", "rejecting"])
@every_adaptive_runge_kutta
def test_an_adaptive_solve_costs_two_evaluations_to_start_and_its_stages_a_step(name: str, kind: str) -> None:
    solver, controller = SOLVERS[name], CONTROLLERS[kind]
    stats = solved(Pendulum(), solver, controller, "backprop", [0.0, 2.0]).stats
    assert (stats.n_rejected > 0) or kind == "adaptive"
    to_start = 2 if kind == "adaptive" else 1  # a given first step costs no evaluation to choose it
    between = 0 if solver.tableau.fsal else stats.n_accepted - 1
    assert stats.nfe_forward == to_start + (solver.stages - 1) * (stats.n_accepted + stats.n_rejected) + between


@every_adaptive_runge_kutta
def test_outputs_within_steps_change_neither_the_steps_nor_the_state_at_the_end(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Outputs cost the stages of dense output (five for vern7, else none) once for each step that has outputs in it."""
    dense_output, interpolated = ExplicitRungeKutta.dense, []

    def counted(self: ExplicitRungeKutta, *args: object) -> Tensor:
        interpolated.append(self.name)
        return dense_output(self, *args)

    monkeypatch.setattr(ExplicitRungeKutta, "dense", counted)
    bare = solved(Pendulum(), name, TOLERANCE, "backprop", TIMES["forwards"])
    dense = solved(Pendulum(), name, TOLERANCE, "backprop", TIMES["forwards, with outputs within steps"])
    assert (dense.stats.n_accepted, dense.stats.n_rejected) == (bare.stats.n_accepted, bare.stats.n_rejected)
    assert torch.equal(dense.y[-1], bare.y[-1])
    assert 1 < len(interpolated) <= dense.stats.n_accepted
    # A method without FSAL evaluates f once more at the end of its last step if that step has outputs within it.
    tableau = SOLVERS[name].tableau
    cost = len(interpolated) * len(tableau.dense_c) + (not tableau.fsal)
    assert dense.stats.nfe_forward - bare.stats.nfe_forward == cost


def test_the_adjoint_keeps_its_step_size_across_output_times() -> None:
    """A new start at each of 101 output times would cost 8 evaluations an interval, as in torchdiffeq."""

    def backward_cost(n: int) -> int:
        t = torch.linspace(0, 1.5, n, dtype=torch.float64).tolist()
        solution = solved(Pendulum(), "dopri5", PIDController(rtol=1e-5, atol=1e-5), "adjoint", t)
        solution.y.sum().backward()
        return solution.stats.nfe_backward

    assert backward_cost(101) <= backward_cost(2) + 7 * 100


@every_gradient
def test_a_failed_solve_reports_its_calls(gradient: str) -> None:
    field = Counted(Pendulum())
    y0, t = torch.ones(2, dtype=torch.float64), torch.tensor([0.0, 50.0], dtype=torch.float64)
    solution = solve(field, y0, t, solver="dopri5", controller=TOLERANCE, gradient=gradient, max_steps=5)
    with pytest.raises(SolveError):
        solution.require_success()
    assert solution.stats.nfe_forward == field.calls == 2 + 6 * 5


@pytest.mark.parametrize("gradient", ["backprop", "checkpointed"])
def test_hooks_set_by_a_field_stay_and_no_hooks_are_left_on_its_parameters(gradient: str) -> None:
    """The second field returns the parameter itself, so that no product is taken through f."""
    seen: list[Tensor] = []
    rate = torch.tensor([0.5, -1.0], dtype=torch.float64, requires_grad=True)

    def hooked(t: Tensor, y: Tensor) -> Tensor:
        dy = rate * y
        if dy.requires_grad:
            dy.register_hook(seen.append)
        return dy

    y0, t = torch.ones(2, dtype=torch.float64), torch.tensor([0.0, 1.0], dtype=torch.float64)
    how = {"solver": "rk4", "controller": FixedStep(dt=0.5), "gradient": gradient, "parameters": (rate,)}
    solution = solve(hooked, y0, t, **how)
    solution.y.sum().backward()
    assert len(seen) == solution.stats.vjp_backward == 8
    solve(lambda t, y: rate, y0, t, **how).y.sum().backward()
    assert not rate._backward_hooks
