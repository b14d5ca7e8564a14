"""Adams methods: their published weights, order on any grid, evaluations of f, and history of slopes."""

import math
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest
import torch
from torch import Tensor

from node import SOLVERS, Counted, FixedGrid, FixedStep, Solution, solve
from node.solvers import AdamsBashforth, AdamsBashforthMoulton
from node.solvers.multistep.adams import Adams
from node.solvers.multistep.slope_polynomial import basis_integrals
from node.user_field import UserField

ADAMS = [solver for solver in SOLVERS.values() if isinstance(solver, Adams)]
every_method = pytest.mark.parametrize("solver", ADAMS, ids=lambda solver: solver.name)

# Hairer, Norsett & Wanner (1993), III.1: eq. 1.6 and table 1.1 (explicit), eq. 1.9 (implicit); newest slope first.
EXPLICIT = {
    1: "1",
    2: "3/2 -1/2",
    3: "23/12 -16/12 5/12",
    4: "55/24 -59/24 37/24 -9/24",
    5: "1901/720 -2774/720 2616/720 -1274/720 251/720",
}
IMPLICIT = {
    1: "1",
    2: "1/2 1/2",
    3: "5/12 8/12 -1/12",
    4: "9/24 19/24 -5/24 1/24",
    5: "251/720 646/720 -264/720 106/720 -19/720",
}
GAMMA = "1 1/2 5/12 3/8 251/720 95/288 19087/60480 5257/17280 1070017/3628800"


def tensor(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def rationals(text: str) -> list[Fraction]:
    return list(map(Fraction, text.split()))


def weights(newest: int, k: int) -> list[Fraction]:
    """The weights of k slopes at consecutive integer nodes, the newest first."""
    nodes = [Fraction(newest - j) for j in range(k)]
    return [sum(row, Fraction(0)) for row in basis_integrals(nodes, Fraction(1))]


def uneven(n: int, end: float = 2.5) -> tuple[float, ...]:
    """Steps that alternate between 0.3 and 1.7 of their mean."""
    sizes = torch.tensor([0.3, 1.7], dtype=torch.float64).repeat(n // 2 + 1)[:n]
    return tuple((end * sizes.cumsum(0) / sizes.sum()).tolist())[:-1]


def slope(error_of: Callable[[int], float], grid: list[int]) -> float:
    return -np.polyfit(np.log(grid), np.log([error_of(n) for n in grid]), 1)[0]


def riccati(t: Tensor, y: Tensor) -> Tensor:
    """y' = -y^2 cos t, whose solution is 1 / (1/y0 + sin t)."""
    return -y.square() * torch.cos(t)


def riccati_error(solver: Adams, controller: FixedStep | FixedGrid, end: float = 2.5) -> float:
    solution = solve(riccati, tensor(0.5), tensor(0.0, end), solver=solver, controller=controller)
    return abs(solution.y[-1].item() - 1 / (2 + math.sin(end)))


@pytest.mark.parametrize("k", EXPLICIT)
def test_weights_on_a_uniform_grid_are_the_published_ones(k: int) -> None:
    assert weights(0, k) == rationals(EXPLICIT[k])
    assert weights(1, k) == rationals(IMPLICIT[k])


def test_the_oldest_weight_is_the_published_coefficient_of_its_backward_difference() -> None:
    for j, gamma in enumerate(rationals(GAMMA)):
        assert weights(0, j + 1)[-1] == (-1) ** j * gamma


GRIDS = {
    "uniform": FixedStep(dt=0.25),
    "with a shortened last step": FixedStep(dt=0.3),
    "uneven": FixedGrid(uneven(11, 2.0)),
    "nearly uniform": FixedGrid(tuple(0.25 * i + 1e-7 * (-1) ** i for i in range(1, 8))),
}


def quadrature_error(solver: Adams, degree: int, controller: FixedStep | FixedGrid, end: float) -> float:
    """The relative error at t = end of y' = (t - 0.4)^degree."""

    def f(t: Tensor, y: Tensor) -> Tensor:
        return (t - 0.4) ** degree * torch.ones_like(y)

    found = solve(f, tensor(1.0), tensor(0.0, end), solver=solver, controller=controller).y[-1].item()
    exact = 1 + ((end - 0.4) ** (degree + 1) - (-0.4) ** (degree + 1)) / (degree + 1)
    return abs(found / exact - 1)


@pytest.mark.parametrize("sign", [1.0, -1.0], ids=["forwards", "backwards"])
@pytest.mark.parametrize("controller", GRIDS.values(), ids=GRIDS)
@every_method
def test_polynomial_slopes_of_a_degree_below_the_order_are_integrated_exactly(
    solver: Adams, controller: FixedStep | FixedGrid, sign: float
) -> None:
    if isinstance(controller, FixedGrid):
        controller = FixedGrid(tuple(sign * t for t in controller.times))
    assert quadrature_error(solver, solver.order - 1, controller, sign * 2.0) < 2e-14


@every_method
def test_the_observed_order_is_the_claimed_order_on_an_uneven_grid(solver: Adams) -> None:
    observed = slope(lambda n: riccati_error(solver, FixedGrid(uneven(n))), [64, 96, 128, 192])
    assert observed == pytest.approx(solver.order, abs=0.3)


@every_method
def test_a_shortened_last_step_keeps_the_order(solver: Adams) -> None:
    """The last step is dt / 3: with the weights of a uniform grid its error alone would be O(dt^2)."""
    observed = slope(lambda n: riccati_error(solver, FixedStep(dt=2.5 / (n + 1 / 3))), [64, 96, 128, 192])
    assert observed == pytest.approx(solver.order, abs=0.3)


@every_method
def test_dense_output_is_exact_for_polynomial_slopes_of_a_degree_below_its_order(solver: Adams) -> None:
    degree = solver.dense_order - 1
    t = torch.linspace(0, 2, 41, dtype=torch.float64)

    def f(t: Tensor, y: Tensor) -> Tensor:
        return t**degree * torch.ones_like(y)

    y = solve(f, tensor(1.0), t, solver=solver, controller=FixedGrid(uneven(9, 2.0))).y[:, 0]
    torch.testing.assert_close(y, 1 + t ** (degree + 1) / (degree + 1), rtol=0, atol=1e-13)


@every_method
def test_dense_output_joins_the_ends_of_each_step(solver: Adams) -> None:
    """First in the starter's steps, then in the Adams steps, then in a starter's step after a restart."""
    f = UserField.of(riccati, tensor(0.5, 1.0))
    y, t, dt = tensor(0.5, 1.0), 0.3, 0.1
    workspace, carry = solver.workspace(y, record=False), solver.start(f, t, y)
    for i in range(solver.order + 2):
        if i == solver.order + 1:
            carry = solver.start(f, t, y)
        step = solver.step(f, t, y, dt, carry, workspace, estimate=False)
        c = solver.dense(f, t, y, dt, step)
        torch.testing.assert_close(y + c.sum(0), step.y1, rtol=0, atol=1e-15)
        torch.testing.assert_close(c[0] / dt, f(t, y), rtol=0, atol=2e-2)
        t, y, carry = t + dt, step.y1, step.carry


def counted(solver: Adams, t: Tensor) -> Solution:
    field = Counted(riccati)
    solution = solve(field, tensor(0.5), t, solver=solver, controller=FixedStep(dt=0.1))
    assert solution.stats.nfe_forward == field.calls
    return solution


@every_method
def test_a_step_costs_one_evaluation_and_two_with_a_corrector(solver: Adams) -> None:
    """One more evaluation is f at the start; the first order - 1 steps cost those of the starter."""
    first = (solver.order - 1) * (solver.starter.stages - solver.starter.tableau.fsal)
    each = 1 if isinstance(solver, AdamsBashforth) else 2
    assert solver.stages == each + 1
    stats = counted(solver, tensor(0.0, 2.0)).stats
    assert stats.nfe_forward == 1 + first + each * (20 - (solver.order - 1))


@every_method
def test_outputs_within_steps_cost_nothing(solver: Adams) -> None:
    within = counted(solver, torch.linspace(0, 2, 71, dtype=torch.float64))
    bare = counted(solver, tensor(0.0, 2.0))
    assert within.stats == bare.stats
    assert torch.equal(within.y[-1], bare.y[-1])


@every_method
def test_after_a_jump_the_history_is_restarted(solver: Adams) -> None:
    """With a jump at the end of every step, each step is one of the starter."""
    y0, t = tensor(0.5, 1.0), tensor(0.0, 1.0)
    controller = FixedGrid((0.1, 0.3, 0.5, 0.6, 0.8), one_sided=True)
    adams, starter = (solve(riccati, y0, t, solver=s, controller=controller).y for s in (solver, solver.starter))
    assert torch.equal(adams, starter)


@every_method
def test_a_step_changes_neither_its_state_nor_its_history(solver: Adams) -> None:
    f, t, y, dt = UserField.of(riccati, tensor(0.5)), 0.0, tensor(0.5), 0.1
    workspace, carry = solver.workspace(y, record=False), solver.start(f, t, y)
    for _ in range(solver.order + 1):
        before = [y.clone(), *(part.clone() for part in carry)]
        first = solver.step(f, t, y, dt, carry, workspace, estimate=False)
        solver.step(f, t, y, dt / 3, carry, workspace, estimate=False)
        again = solver.step(f, t, y, dt, carry, workspace, estimate=False)
        assert all(map(torch.equal, (y, *carry), before))
        assert all(map(torch.equal, (first.y1, *first.carry), (again.y1, *again.carry)))
        t, y, carry = t + dt, first.y1, first.carry


@pytest.mark.parametrize("controller", [FixedStep(dt=0.15), FixedGrid(uneven(7, 1.0))], ids=["uniform", "uneven"])
@every_method
def test_gradients_through_steps_equal_finite_differences(solver: Adams, controller: FixedStep | FixedGrid) -> None:
    def solved(y0: Tensor, a: Tensor) -> Tensor:
        t = tensor(0.0, 0.32, 0.95, 1.0)
        return solve(lambda t, y: torch.tanh(a @ y) * torch.cos(t), y0, t, solver=solver, controller=controller).y

    y0, a = tensor(0.5, -1.0).requires_grad_(), tensor(0.3, -1.2, 0.8, 0.1).reshape(2, 2).requires_grad_()
    assert torch.autograd.gradcheck(solved, (y0, a))


@every_method
def test_each_sample_with_its_own_times_is_solved_as_if_alone(solver: Adams) -> None:
    """The third sample has steps of length 0, so its state stays the same."""
    y0, t0 = tensor(0.5, 1.0, -0.3, 2.0, 0.2, 0.4).reshape(3, 2), tensor(0.0, 1.0, 2.0).reshape(3, 1)
    sizes = [tensor(0.1 * (1 + i % 2), 0.13 / (1 + i % 3), 0.0).reshape(3, 1) for i in range(solver.order + 3)]
    together = stepped(solver, UserField.of(riccati, y0, samples=True), t0, y0, sizes)
    for i in range(2):
        alone = stepped(solver, UserField.of(riccati, y0[i]), t0[i].item(), y0[i], [size[i].item() for size in sizes])
        torch.testing.assert_close(together[:, i], alone, rtol=1e-14, atol=0)
    assert torch.equal(together[:, 2], y0[2].expand(len(together), 2))


def stepped(solver: Adams, f: UserField, t: float | Tensor, y: Tensor, sizes: list) -> Tensor:
    """The states at the middle and at the end of each step."""
    workspace, carry, states = solver.workspace(y, record=False), solver.start(f, t, y), []
    for dt in sizes:
        step = solver.step(f, t, y, dt, carry, workspace, estimate=False)
        c = solver.dense(f, t, y, dt, step)
        states += [y + sum(0.5 ** (j + 1) * c[j] for j in range(len(c))), step.y1]
        t, y, carry = t + dt, step.y1, step.carry
    return torch.stack(states)


@pytest.mark.parametrize("dtype", [torch.float32, torch.complex64, torch.complex128])
@every_method
def test_the_dtype_of_the_state_is_kept(solver: Adams, dtype: torch.dtype) -> None:
    """The field is y' = i y for a complex dtype and y' = -y for a real one."""
    rate = 1j if dtype.is_complex else -1.0
    y0 = torch.ones(1, dtype=dtype)
    y = solve(lambda t, y: rate * y, y0, tensor(0.0, 1.0), solver=solver, controller=FixedStep(dt=0.03)).y
    assert y.dtype == dtype
    assert y[-1, 0].item() == pytest.approx(math.e**rate, rel=1e-3)


@pytest.mark.parametrize("family", [AdamsBashforth, AdamsBashforthMoulton])
@pytest.mark.parametrize(("order", "starter"), [(6, "vern7"), (7, "vern7"), (8, "dopri8"), (9, "dopri8")])
def test_a_method_of_any_order_can_be_made(family: type[Adams], order: int, starter: str) -> None:
    """An Adams method is a quadrature: it is exact for slopes of degree order - 1 and not for those of degree order."""
    solver = family(order, starter=SOLVERS[starter])
    assert (solver.name, solver.order) == (f"{family.prefix}{order}", order)
    starter_degree = SOLVERS[starter].order - 1
    assert quadrature_error(solver, min(order - 1, starter_degree), FixedStep(dt=0.1), 2.0) < 1e-13
    assert quadrature_error(solver, order, FixedStep(dt=0.1), 2.0) > 1e-12


def test_the_method_of_order_one_is_euler() -> None:
    t, controller = tensor(0.0, 0.5, 1.0), FixedStep(dt=0.1)
    ab1 = AdamsBashforth(1, starter=SOLVERS["euler"])
    of_ab1, of_euler = (
        solve(riccati, tensor(0.5), t, solver=s, controller=controller).y for s in (ab1, SOLVERS["euler"])
    )
    torch.testing.assert_close(of_ab1, of_euler, rtol=1e-15, atol=0)


@pytest.mark.parametrize(
    ("order", "starter", "message"),
    [
        (0, "euler", "ab0: order is 0 and must be 1 or more"),
        (5, "heun3", "ab5: starter heun3 is of order 3: take one of order 4 or more"),
    ],
)
def test_an_impossible_order_or_starter_is_refused(order: int, starter: str, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        AdamsBashforth(order, starter=SOLVERS[starter])
