"""Gradients with per-sample stepping: those of every mode equal backprop's, and those of each sample alone."""

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from node import SOLVERS, FixedGrid, FixedStep, PIDController, Status, solve
from node.adjoint import Adjoint, Backprop, Checkpointed, Reversible
from node.controller import Controller
from tests.support.families import ADAPTIVE, REVERSIBLE
from tests.support.gradients import relative_error
from tests.support.per_sample_modes import EXACT, every_mode, solver_for
from tests.support.samples import DIRECTIONS, FEW, TOLERANCE, Y0, Pendulum, T, tensor, together

every_exact_mode = pytest.mark.parametrize("mode", EXACT.values(), ids=EXACT)
WEIGHTS = torch.linspace(-1, 2, len(T) * Y0.numel(), dtype=torch.float64).view(len(T), *Y0.shape)
OWN_TIMES = T * tensor(1.0, 0.3, 2.0).unsqueeze(1)


def gradients(f: nn.Module, y0: Tensor, t: Tensor, weights: Tensor, **how: object) -> tuple[Tensor, ...]:
    y0 = y0.clone().requires_grad_()
    y = solve(f, y0, t, **how).y
    return torch.autograd.grad((y * weights).sum(), (y0, *f.parameters()))


def difference_from_backprop(mode: Adjoint, y0: Tensor, t: Tensor, f: nn.Module | None = None, **how: object) -> float:
    f = f or Pendulum()
    weights = WEIGHTS[: t.shape[-1], :, : y0.shape[1]]
    found, true = (gradients(f, y0, t, weights, batch="independent", gradient=g, **how) for g in (mode, Backprop()))
    return relative_error(found, true)


ALONE = [(name, Backprop()) for name in ADAPTIVE] + [(solver_for(mode), mode) for mode in EXACT.values()]


@pytest.mark.parametrize("t", DIRECTIONS.values(), ids=DIRECTIONS)
@pytest.mark.parametrize(("name", "mode"), ALONE, ids=[f"{name}-{mode.name}" for name, mode in ALONE])
def test_gradients_equal_those_of_each_sample_alone(name: str, mode: Adjoint, t: Tensor) -> None:
    f, how = Pendulum(), {"solver": name, "controller": replace(TOLERANCE, first_step=1.0)}
    found = gradients(f, Y0, t, WEIGHTS, batch="independent", gradient=mode, **how)
    single = [gradients(f, y, t, WEIGHTS[:, i], **how) for i, y in enumerate(Y0)]
    torch.testing.assert_close(found[0], torch.stack([y0 for y0, *_ in single]), rtol=1e-7, atol=1e-7)
    for i in (1, 2):
        torch.testing.assert_close(found[i], sum(sample[i] for sample in single), rtol=1e-7, atol=1e-7)


CONTROLLERS = {
    "rejecting": replace(TOLERANCE, first_step=1.0),
    "fixed": FixedStep(dt=0.08),
}
CASES = {
    f"{name}-{kind}-{label}": (name, controller, mode)
    for name, solver in SOLVERS.items()
    for kind, controller in CONTROLLERS.items()
    for label, mode in EXACT.items()
    if label != "budget 3" and not mode.unsupported(solver) and (solver.adaptive or not controller.adaptive)
}


@pytest.mark.parametrize(("name", "controller", "mode"), CASES.values(), ids=CASES)
def test_gradients_equal_backprops_through_the_same_steps(name: str, controller: Controller, mode: Adjoint) -> None:
    """Samples end at different times, and all or some of them reject a first step that is too long."""
    assert difference_from_backprop(mode, Y0, OWN_TIMES, solver=name, controller=controller) < 1e-12


@pytest.mark.parametrize("budget", [1, 2, 5, 1000])
def test_any_budget_gives_the_same_gradient(budget: int) -> None:
    how = {"solver": "bosh3", "controller": TOLERANCE}
    assert difference_from_backprop(Checkpointed(budget), Y0, OWN_TIMES, **how) < 1e-12


class Switch(nn.Module):
    """y' = push(t) cos y - y, whose push changes its sign at t = 1/3, where it is NaN, and back from t = 0.7 on."""

    def __init__(self) -> None:
        super().__init__()
        self.push = nn.Parameter(tensor(1.3))

    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        push = torch.where((t < 1 / 3) | (t >= 0.7), self.push, -2 * self.push).where(t != 1 / 3, math.nan)
        return push * torch.cos(y) - y


JUMPS = {
    "jumps": replace(TOLERANCE, jump_t=(1 / 3, 0.7), step_t=(0.5,), first_step=0.2),
    "a grid of jumps": FixedGrid((0.1, 1 / 3, 0.4, 0.7, 0.8), one_sided=True),
}


@pytest.mark.parametrize("controller", JUMPS.values(), ids=JUMPS)
@pytest.mark.parametrize("t", DIRECTIONS.values(), ids=DIRECTIONS)
@pytest.mark.parametrize(
    ("name", "mode"),
    [(name, mode) for name in (*FEW, *REVERSIBLE) for mode in EXACT.values() if not mode.unsupported(SOLVERS[name])],
    ids=str,
)
def test_recomputed_samples_are_restarted_at_jumps_of_f_as_in_the_forward_pass(
    name: str, mode: Adjoint, t: Tensor, controller: Controller
) -> None:
    if controller.adaptive and not SOLVERS[name].adaptive:
        controller = FixedGrid((0.2, 1 / 3, 0.6, 0.7), one_sided=True)
    y0 = tensor([0.0], [3.0], [-1.0])
    assert difference_from_backprop(mode, y0, t, Switch(), solver=name, controller=controller) < 1e-12


class Burst(nn.Module):
    """A slow field up to t = 1/2 and a fast one from then on."""

    def __init__(self) -> None:
        super().__init__()
        self.rate = nn.Parameter(tensor(1.0))

    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        return self.rate * torch.where(t < 0.5, 0.1, 60.0) * torch.cos(y)


@pytest.mark.parametrize("name", ["alf", "reversible_heun", "reversible_dopri5"])
@pytest.mark.parametrize("mode", [Checkpointed(), Checkpointed(2), Reversible()], ids=str)
def test_a_sample_restarted_in_a_step_that_is_rejected_is_restarted_in_the_next_try(name: str, mode: Adjoint) -> None:
    how = {"solver": name, "controller": replace(TOLERANCE, jump_t=(0.5,)), "gradient": mode}
    t = tensor(0.0, 0.3, 0.5, 0.6)
    n_rejected = [together(Burst(), Y0[:1, :1], t[:end], **how).stats.n_rejected for end in (3, 4)]
    assert n_rejected[0] == 0 < n_rejected[1]
    found, true = (
        gradients(Burst(), Y0[:1, :1], t, tensor(1.0), batch="independent", **{**how, "gradient": g})
        for g in (mode, Backprop())
    )
    assert relative_error(found, true) < 1e-12


@every_exact_mode
def test_gradcheck_and_gradgradcheck_pass(mode: Adjoint) -> None:
    times = tensor([0.0, 0.3, 0.5], [0.0, 0.2, 0.6])

    def states(y0: Tensor, p: Tensor) -> Tensor:
        how = {"solver": solver_for(mode), "controller": FixedStep(dt=0.2), "gradient": mode, "parameters": (p,)}
        return together(lambda t, y: -p * y**2 * torch.cos(t), y0, times, **how).y

    inputs = (tensor([0.9, 0.2], [-0.4, 1.1]).requires_grad_(), tensor(0.7).requires_grad_())
    assert torch.autograd.gradcheck(states, inputs)
    assert torch.autograd.gradgradcheck(states, inputs)


@every_exact_mode
def test_tuples_complex_states_and_float32_have_backprops_gradients(mode: Adjoint) -> None:
    w = tensor(0.5).requires_grad_()

    def pair(t: Tensor, y: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        return w * y[1].sum(dim=(-2, -1)).unsqueeze(-1).expand_as(y[0]), torch.cos(t)[..., None] * y[1] * w

    def found(gradient: Adjoint) -> tuple[Tensor, ...]:
        how = {"solver": solver_for(mode), "controller": TOLERANCE, "gradient": gradient, "parameters": (w,)}
        y0 = Y0.clone().requires_grad_(), Y0.unsqueeze(1).clone().requires_grad_()
        a, b = together(pair, y0, OWN_TIMES, **how).y
        z0 = torch.complex(Y0, -Y0).requires_grad_()
        z = together(lambda t, y: (1j - w) * y * t, z0, OWN_TIMES, **how).y
        *of_y0, of_z0, of_w = torch.autograd.grad(a.square().sum() + b.sum() + z.abs().square().sum(), (*y0, z0, w))
        return *of_y0, torch.view_as_real(of_z0), of_w

    def single(gradient: Adjoint) -> tuple[Tensor, ...]:
        how = {"solver": solver_for(mode), "controller": TOLERANCE, "gradient": gradient}
        return gradients(Pendulum().float(), Y0.float(), T, WEIGHTS.float(), batch="independent", **how)

    assert relative_error(found(mode), found(Backprop())) < 1e-12
    assert relative_error(single(mode), single(Backprop())) < 1e-4


@pytest.mark.parametrize("budget", [None, 2])
def test_a_recomputed_step_costs_its_stages_once(budget: int | None) -> None:
    y0 = Y0.clone().requires_grad_()
    how = {"solver": "rk4", "controller": FixedStep(dt=0.25), "gradient": Checkpointed(budget)}
    solution = together(Pendulum(), y0, tensor(0.0, 1.0), **how)
    solution.y[-1].sum().backward()
    assert solution.stats.vjp_backward == 4 * 4
    assert (solution.stats.nfe_backward == 4 * 4) is (budget is None)
    assert solution.stats.status_backward is Status.success


@every_mode
@pytest.mark.parametrize("own", [False, True], ids=["shared times", "own times"])
def test_output_times_have_gradients(own: bool, mode: Adjoint) -> None:
    """y = y0 exp(t1 - t0), so dy/dt1 = y and dy/dt0 = -y."""
    y0 = tensor([1.0], [2.0], [3.0])
    t = tensor(0.0, 0.5, 1.0)
    t = (t * tensor(1.0, 2.0, 0.5).unsqueeze(1) if own else t).requires_grad_()
    how = {"solver": solver_for(mode), "controller": PIDController(rtol=1e-8, atol=1e-8)}
    y = together(lambda t, y: y, y0, t, gradient=mode, parameters=(), **how).y
    (found,) = torch.autograd.grad(y[:, :, 0].sum(), t)
    exact = y.detach()[:, :, 0].T
    exact = torch.cat((-exact[:, 1:].sum(dim=1, keepdim=True), exact[:, 1:]), dim=1)
    torch.testing.assert_close(found, exact if own else exact.sum(dim=0), rtol=1e-6, atol=1e-6)
