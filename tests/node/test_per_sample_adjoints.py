"""The continuous adjoints with per-sample stepping give backprop's gradients, to the tolerance."""

import math

import pytest
import torch
from torch import Tensor, nn

from node import SOLVERS, Callbacks, ContinuousAdjoint, Event, FixedStep, PIDController, SolveError, Status, solve
from node.adjoint import ADJOINTS, Adjoint, InterpolatingAdjoint
from node.controller import Controller
from tests.support.families import CONTROLLED, REVERSIBLE
from tests.support.gradients import relative_error
from tests.support.samples import DIRECTIONS, Y0, Pendulum, T, explosion, tensor, together

TIGHT = PIDController(rtol=1e-9, atol=1e-9)
OWN_TIMES = T * tensor(1.0, 0.3, 2.0).unsqueeze(1)
WEIGHTS = torch.linspace(-1, 2, len(T) * Y0.numel(), dtype=torch.float64).view(len(T), *Y0.shape)
every_adjoint = pytest.mark.parametrize("mode", ["adjoint", "interpolating"])


def gradients(f: nn.Module, y0: Tensor, t: Tensor, weights: Tensor, **how: object) -> tuple[Tensor, ...]:
    y0 = y0.clone().requires_grad_()
    y = together(f, y0, t, **how).y
    return torch.autograd.grad((y * weights).nansum(), (y0, *f.parameters()))


def difference_from_backprop(mode: str | Adjoint, y0: Tensor, t: Tensor, weights: Tensor, **how: object) -> float:
    f = how.pop("f", None) or Pendulum()
    found, true = (gradients(f, y0, t, weights, gradient=g, **how) for g in (mode, "backprop"))
    return relative_error(found, true)


@pytest.mark.parametrize("t", [T, 1 - T, OWN_TIMES, OWN_TIMES.flip(1)], ids=[*DIRECTIONS, "own", "own backwards"])
@every_adjoint
def test_gradients_equal_backprops_to_the_tolerance(mode: str, t: Tensor) -> None:
    assert difference_from_backprop(mode, Y0, t, WEIGHTS, solver="dopri5", controller=TIGHT) < 1e-6


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", [name for name in {**CONTROLLED, **REVERSIBLE} if SOLVERS[name].adaptive])
@every_adjoint
def test_every_adaptive_solver_can_be_differentiated_by_the_adjoints(mode: str, name: str) -> None:
    how = {"solver": name, "controller": PIDController(rtol=1e-6, atol=1e-6)}
    found = gradients(Pendulum(), Y0, OWN_TIMES, WEIGHTS, gradient=mode, **how)
    true = gradients(Pendulum(), Y0, OWN_TIMES, WEIGHTS, solver="dopri8", controller=TIGHT)
    assert relative_error(found, true) < 1e-3


FIXED = {"rk4": ("rk4", FixedStep(dt=0.01)), "midpoint": ("midpoint", FixedStep(dt=0.002))}


@pytest.mark.exhaustive
@pytest.mark.parametrize(("name", "controller"), FIXED.values(), ids=FIXED)
@every_adjoint
def test_fixed_backward_steps_restart_at_each_output(mode: str, name: str, controller: Controller) -> None:
    assert difference_from_backprop(mode, Y0, OWN_TIMES, WEIGHTS, solver=name, controller=controller) < 1e-4


@pytest.mark.exhaustive
@pytest.mark.parametrize(
    "mode", [ContinuousAdjoint(outputs="land"), InterpolatingAdjoint(outputs="land")], ids=lambda mode: mode.name
)
def test_the_backward_pass_costs_as_much_as_that_of_the_slowest_sample(mode: Adjoint) -> None:
    """In interpolating mode the quadrature costs more: it covers every step that any sample accepts."""
    how = {"solver": "dopri5", "controller": PIDController(rtol=1e-5, atol=1e-5), "gradient": mode}

    def cost(y0: Tensor, **how: object) -> int:
        solution = solve(Pendulum(), y0.clone().requires_grad_(), tensor(0.0, 1.0), **how)
        solution.y[-1].square().sum().backward()
        return solution.stats.nfe_backward

    most = max(cost(y0.unsqueeze(0), batch="independent", **how) for y0 in Y0)
    assert most <= cost(Y0, batch="independent", **how) < 1.1 * most


class Edge(nn.Module):
    """y' = rate y^2 for y >= 0, and NaN for y < 0."""

    def __init__(self) -> None:
        super().__init__()
        self.rate = nn.Parameter(tensor(1.0))

    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        return torch.sqrt(self.rate * y) ** 4 / self.rate


@pytest.mark.exhaustive
@every_adjoint
def test_a_failed_sample_changes_no_other_gradient_and_has_that_of_its_reached_outputs(mode: str) -> None:
    t, how = tensor(1.0, 1.1, 1.4, 2.0), {"solver": "dopri5", "controller": TIGHT, "gradient": mode}
    y0, weights = tensor([0.4], [-1.0], [2.0], [math.nan], [0.2]), torch.ones(4, 5, 1, dtype=torch.float64)
    found = gradients(Edge(), y0, t, weights, **how)
    single = [
        gradients(Edge(), y, times, torch.ones(1, 1, 1, dtype=torch.float64), **how)
        for y, times in ((y0[:1], t), (y0[2:3], t[:3]), (y0[4:], t))
    ]
    torch.testing.assert_close(found[0][[0, 2, 4]], torch.cat([y for y, _ in single]), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(found[0][[1, 3]], tensor([1.0], [0.0]))
    torch.testing.assert_close(found[1], sum(rate for _, rate in single), rtol=1e-5, atol=1e-6)


@pytest.mark.exhaustive
@every_adjoint
def test_a_loss_on_some_outputs_of_some_samples_has_backprops_gradient(mode: str) -> None:
    weights = torch.zeros_like(WEIGHTS)
    weights[3, 0], weights[5, 2], weights[0, 1] = 1.0, -2.0, 3.0
    assert difference_from_backprop(mode, Y0, OWN_TIMES, weights, solver="dopri5", controller=TIGHT) < 1e-6
    found = gradients(Pendulum(), Y0, T, torch.zeros_like(WEIGHTS), solver="bosh3", controller=TIGHT, gradient=mode)
    assert all((x == 0).all() for x in found)


@pytest.mark.exhaustive
@every_adjoint
def test_tuples_complex_states_and_float32_have_backprops_gradients(mode: str) -> None:
    w = tensor(0.5).requires_grad_()

    def pair(t: Tensor, y: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        return w * y[1].sum(dim=(-2, -1)).unsqueeze(-1).expand_as(y[0]), torch.cos(t)[..., None] * y[1] * w

    def found(gradient: str) -> tuple[Tensor, ...]:
        how = {"solver": "dopri5", "controller": TIGHT, "gradient": gradient, "parameters": (w,)}
        y0 = Y0.clone().requires_grad_(), Y0.unsqueeze(1).clone().requires_grad_()
        a, b = together(pair, y0, OWN_TIMES, **how).y
        z0 = torch.complex(Y0, -Y0).requires_grad_()
        z = together(lambda t, y: (1j - w) * y * t, z0, OWN_TIMES, **how).y
        *of_y0, of_z0, of_w = torch.autograd.grad(a.square().sum() + b.sum() + z.abs().square().sum(), (*y0, z0, w))
        return *of_y0, torch.view_as_real(of_z0), of_w

    def single(gradient: str) -> tuple[Tensor, ...]:
        how = {"solver": "dopri5", "controller": PIDController(rtol=1e-5, atol=1e-5), "gradient": gradient}
        return gradients(Pendulum().float(), Y0.float(), T, WEIGHTS.float(), **how)

    assert relative_error(found(mode), found("backprop")) < 1e-6
    assert relative_error(single(mode), single("backprop")) < 1e-2


@every_adjoint
def test_tolerances_of_samples_and_jumps_of_f_hold_in_the_backward_pass(mode: str) -> None:
    class Switch(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.push = nn.Parameter(tensor(1.3))

        def forward(self, t: Tensor, y: Tensor) -> Tensor:
            push = torch.where(t < 1 / 3, self.push, -2 * self.push).where(t != 1 / 3, math.nan)
            return push * torch.cos(y) - y

    controller = PIDController(rtol=tensor([1e-9, 1e-8], [1e-9, 1e-9], [1e-9, 1e-10]), atol=1e-9, jump_t=(1 / 3,))
    how = {"solver": "dopri5", "controller": controller, "f": Switch()}
    assert difference_from_backprop(mode, Y0, T, WEIGHTS, **how) < 1e-6


@every_adjoint
def test_output_times_and_events_have_gradients(mode: str) -> None:
    """y' = a y reaches 2 at t* = log(2 / y0) / a."""
    a, y0 = nn.Parameter(tensor(0.7)), tensor([1.0], [0.5], [1.5]).requires_grad_()
    how = {"solver": "dopri5", "controller": TIGHT, "gradient": mode, "parameters": (a,)}
    t = tensor(0.0, 0.2, 1.2).requires_grad_()
    solution = together(lambda t, y: a * y, y0, t, event=Event(lambda t, y: y - 2), **how)
    assert solution.samples.status == (Status.event, Status.success, Status.event)
    of_a, of_y0, of_t = torch.autograd.grad(solution.event.t.nansum() + solution.y[1].sum(), (a, y0, t))
    start = y0.detach().squeeze(1)
    grown = math.exp(0.14)
    times = torch.log(2 / start[[0, 2]]) / 0.7
    assert of_a.item() == pytest.approx((-times / 0.7).sum().item() + 0.2 * grown * start.sum().item(), rel=1e-6)
    assert of_y0[:, 0].tolist() == pytest.approx([grown - 1 / 0.7, grown, grown - 1 / (0.7 * 1.5)], rel=1e-6)
    assert of_t[1].item() == pytest.approx(0.7 * grown * start.sum().item(), rel=1e-6)


def test_callbacks_of_the_adjoint_are_called_in_the_backward_pass() -> None:
    calls: list[tuple[Tensor, ...]] = []
    mode = ContinuousAdjoint(callbacks=Callbacks(accept=lambda t, z, dt: calls.append((t, *z, dt))))
    y = together(Pendulum(), Y0.clone().requires_grad_(), T, solver="dopri5", controller=TIGHT, gradient=mode).y
    y.sum().backward()
    assert {tuple(x.shape for x in call) for call in calls} == {((3,), (3, 2), (3, 2), (3,))}
    assert all((dt <= 0).all() for *_, dt in calls)
    torch.testing.assert_close(sum(dt for *_, dt in calls), torch.full((3,), -1.0, dtype=torch.float64))


@every_adjoint
def test_a_backward_solve_that_fails_raises_with_its_status(mode: str) -> None:
    modes = {"adjoint": ContinuousAdjoint(max_steps=2), "interpolating": InterpolatingAdjoint(max_steps=2)}
    how = {"solver": "dopri5", "controller": TIGHT, "gradient": modes[mode], "parameters": ()}
    y = together(explosion, tensor([0.4], [0.2]).requires_grad_(), T, **how).y
    with pytest.raises(SolveError, match=f"{mode}: the backward solve stopped at .* max_steps"):
        y.sum().backward()


@every_adjoint
def test_second_derivatives_are_refused(mode: str) -> None:
    y0 = Y0.clone().requires_grad_()
    y = together(Pendulum(), y0, T, solver="dopri5", controller=TIGHT, gradient=mode).y
    (found,) = torch.autograd.grad(y.square().sum(), y0, create_graph=True)
    with pytest.raises(RuntimeError, match=f"{mode} gives first derivatives only"):
        found.sum().backward()


REFUSED = {
    "adjoint: checkpoints are states of a batch at one time": (ContinuousAdjoint(checkpoints=3), "dopri5"),
    "adjoint: norm is of vectors of a whole batch": (ContinuousAdjoint(norm=lambda *_: 1.0), "dopri5"),
    "adjoint: ab4 carries past steps": (ContinuousAdjoint(), "ab4"),
    "interpolating: ab4 carries past steps": (InterpolatingAdjoint(), "ab4"),
    "forward has one step size for the whole batch": (ADJOINTS["forward"], "dopri5"),
}


@pytest.mark.parametrize("message", REFUSED)
def test_options_that_per_sample_stepping_does_not_support_are_refused_in_one_line(message: str) -> None:
    mode, name = REFUSED[message]
    with pytest.raises(ValueError, match=message) as refusal:
        together(Pendulum(), Y0, T, solver=name, controller=FixedStep(0.1), gradient=mode)
    assert "\n" not in str(refusal.value)
    instead = InterpolatingAdjoint(solver=SOLVERS["rk4"])
    assert together(Pendulum(), Y0, T, solver="ab4", controller=FixedStep(0.1), gradient=instead).y.requires_grad
