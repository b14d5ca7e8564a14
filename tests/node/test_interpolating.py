"""The interpolating adjoint: its stored path, its quadrature, its cost and its memory."""

import itertools
import math
from fractions import Fraction

import pytest
import torch
from torch import nn

from bench.measures.memory import peak_bytes
from node import ADJOINTS, SOLVERS, ContinuousAdjoint, FixedStep, PIDController, solve
from node.adjoint import InterpolatingAdjoint
from node.adjoint.backward.path import Path
from node.adjoint.backward.quadrature import gauss_legendre
from node.dense import DensePiece
from tests.support.gradients import NET_T, NET_Y0, Net, Spiral, gradient_of, mean_abs, relative_error, tensor

TOLERANCE = PIDController(rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("n", range(1, 9))
def test_n_nodes_integrate_polynomials_up_to_degree_2n_minus_1_exactly(n: int) -> None:
    def error(power: int) -> float:
        return abs(sum(node.weight * node.x**power for node in gauss_legendre(n)) - Fraction(1, power + 1))

    assert all(error(power) < 1e-15 for power in range(2 * n))
    assert error(2 * n) > 1e-12


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_the_path_has_the_states_and_slopes_of_each_steps_polynomial(sign: float) -> None:
    """y = t^2 + t in three pieces, also read slightly beyond their ends, as rounding may do."""
    ends = [sign * t for t in (0.0, 0.3, 0.35, 1.0)]
    pieces = [
        DensePiece(t, t1 - t, tensor(t * t + t), torch.stack((tensor((2 * t + 1) * (t1 - t)), tensor((t1 - t) ** 2))))
        for t, t1 in itertools.pairwise(ends)
    ]
    path = Path(pieces)
    for t in (*ends, *(sign * x for x in (0.1, 0.32, 0.7, 1.0 + 1e-12, -1e-12))):
        assert path.at(t).item() == pytest.approx(t * t + t, abs=1e-14)
        time = torch.tensor(t, dtype=torch.float64, requires_grad=True)
        (slope,) = torch.autograd.grad(path.at(time), time)
        assert slope.item() == pytest.approx(2 * t + 1, abs=1e-14)


@pytest.mark.parametrize("field", [Spiral, Net])
def test_the_gradients_equal_backprops_at_a_tight_tolerance(field: type[nn.Module]) -> None:
    """The tolerance is 1e-12; what differs is the rounding of some hundred steps."""
    y0, t = (tensor(2.0, 0.0), torch.linspace(0, 1.5, 11, dtype=torch.float64)) if field is Spiral else (NET_Y0, NET_T)
    how = {"solver": "vern7", "controller": PIDController(rtol=1e-12, atol=1e-12)}
    found, true = (
        gradient_of(mean_abs, field(), y0, t, gradient=mode, **how) for mode in ("interpolating", "backprop")
    )
    assert relative_error(found, true) < 1e-9
    assert relative_error(found[1:], true[1:]) < 1e-9


def test_a_contraction_between_two_outputs_is_differentiated_as_no_state_is_reversed() -> None:
    """y' = -k y over T = 3, k = 20: in the continuous adjoint an error of y would grow by exp(60) backwards."""
    t, y0 = tensor(0.0, 3.0), tensor(1.0, -2.0).requires_grad_()
    k = torch.tensor(20.0, dtype=torch.float64, requires_grad=True)
    how = {"solver": "dopri5", "controller": PIDController(rtol=1e-8, atol=1e-60), "parameters": (k,)}
    y = solve(lambda t, y: -k * y, y0, t, gradient="interpolating", **how).y[-1]
    found = torch.autograd.grad(y.sum(), (y0, k))
    decay = math.exp(-60)
    torch.testing.assert_close(found[0], tensor(decay, decay), rtol=1e-5, atol=0)
    assert found[1].item() == pytest.approx(3 * decay, rel=1e-5)


def test_the_error_of_the_parameters_gradients_does_not_control_the_step() -> None:
    """y' = -y / 2 + w sin 20 t at w = 0: only the gradient in w oscillates."""

    def cost(mode: str) -> tuple[int, float]:
        w, y0 = tensor(0.0).requires_grad_(), tensor(1.0).requires_grad_()
        how = {"solver": "dopri5", "controller": PIDController(rtol=1e-6, atol=1e-6), "parameters": (w,)}
        mode = {"adjoint": ContinuousAdjoint(), "interpolating": InterpolatingAdjoint()}[mode]
        solution = solve(lambda t, y: -y / 2 + w * torch.sin(20 * t), y0, tensor(0.0, 5.0), gradient=mode, **how)
        solution.y[-1].sum().backward()
        return solution.stats.nfe_backward, w.grad.item()

    assert cost("interpolating")[0] < 0.5 * cost("adjoint")[0]


def test_the_backward_solve_takes_its_own_solver_and_tolerance() -> None:
    def cost(mode: InterpolatingAdjoint) -> int:
        y0 = NET_Y0.clone().requires_grad_()
        solution = solve(Net(), y0, NET_T, solver="dopri8", controller=TOLERANCE, gradient=mode)
        solution.y.sum().backward()
        return solution.stats.nfe_backward

    loose = InterpolatingAdjoint(solver=SOLVERS["bosh3"], controller=PIDController(rtol=1e-2, atol=1e-2))
    assert cost(loose) < cost(InterpolatingAdjoint())


def test_a_backward_step_costs_its_stages_and_half_its_order_for_the_parameters() -> None:
    """rk4 in 10 steps: 4 stages a step, the first of which is also the end slope of the step before, and 2 nodes.

    Two more calls are f at the last end, and one that checks that f is unchanged.
    """
    y0 = NET_Y0.clone().requires_grad_()
    solution = solve(Net(), y0, tensor(0.0, 1.0), solver="rk4", controller=FixedStep(0.1), gradient="interpolating")
    solution.y[-1].sum().backward()
    assert solution.stats.nfe_backward == 10 * (4 + 2) + 1 + 1
    y0.grad = None
    solution = solve(
        lambda t, y: -y, y0, tensor(0.0, 1.0), solver="rk4", controller=FixedStep(0.1), gradient="interpolating",
        parameters=(),
    )  # fmt: skip
    solution.y[-1].sum().backward()
    assert solution.stats.nfe_backward == 10 * 4 + 1


def test_dense_output_kept_for_the_backward_pass_is_shown_only_if_requested() -> None:
    how = {"solver": "dopri5", "controller": TOLERANCE, "gradient": "interpolating"}
    y0 = NET_Y0.clone().requires_grad_()
    solution = solve(Net(), y0, NET_T, **how)
    assert solution.dense is None
    solution.y.sum().backward()
    with pytest.raises(RuntimeError, match="second time"):
        solution.y.sum().backward()
    requested = solve(Net(), y0, NET_T, dense=True, **how)
    assert requested.dense is not None
    requested.y.sum().backward()


@pytest.mark.exhaustive
@pytest.mark.parametrize("gradient", ["adjoint", "interpolating"])
def test_memory_grows_with_steps_only_by_the_states_that_are_kept(gradient: str) -> None:
    n = 4096
    weight = torch.linspace(-1, 1, n, dtype=torch.float64, requires_grad=True)
    y0 = torch.ones(n, dtype=torch.float64, requires_grad=True)

    def peak(steps: int) -> int:
        def call() -> None:
            y = solve(
                lambda t, y: torch.tanh(weight * y), y0, tensor(0.0, 1.0), solver="euler",
                controller=FixedStep(1 / steps), gradient=ADJOINTS[gradient], parameters=(weight,),
            ).y  # fmt: skip
            torch.autograd.grad(y[-1].sum(), (y0, weight))

        return peak_bytes(call, "cpu")

    few, many = peak(10), peak(1000)
    kept = 0 if gradient == "adjoint" else 990 * 4 * n * 8  # y and the three coefficients of a cubic
    assert many - kept == pytest.approx(few, rel=0.05, abs=990 * 2000 * (gradient == "interpolating"))


@pytest.mark.parametrize("factor", [1e-9, 1e6])
def test_a_scaled_loss_is_differentiated_in_the_same_steps(factor: float) -> None:
    """This holds also for a loss so small that its gradient lies below atol."""

    def gradients(factor: float) -> tuple[tuple[torch.Tensor, ...], int]:
        net, y0 = Net(), NET_Y0.clone().requires_grad_()
        how = {"solver": "dopri5", "controller": PIDController(rtol=1e-5, atol=1e-5), "gradient": "interpolating"}
        solution = solve(net, y0, NET_T, **how)
        found = torch.autograd.grad(factor * solution.y.square().mean(), (y0, net.inner, net.outer))
        return found, solution.stats.nfe_backward

    (found, nfe), (alone, nfe_alone) = gradients(factor), gradients(1.0)
    assert nfe == nfe_alone
    torch.testing.assert_close(found, tuple(factor * x for x in alone), rtol=1e-10, atol=0)
