"""Gradients through samples with steps of their own: each mode's are backprop's, and those of each sample alone."""

import math
from dataclasses import replace

import pytest
import torch
from families import ADAPTIVE, REVERSIBLE
from gradients import relative_error
from samples import FEW, TOLERANCE, WAYS, Y0, Pendulum, T, explosion, tensor, together
from torch import Tensor, nn

from node import SOLVERS, FixedGrid, FixedStep, PIDController, Status, solve
from node.adjoint import Adjoint, Backprop, Checkpointed, Reversible
from node.controller import Controller

EXACT = {"checkpointed": Checkpointed(), "budget 3": Checkpointed(3), "reversible": Reversible()}
MODES = {"backprop": Backprop(), **EXACT}
every_mode = pytest.mark.parametrize("mode", MODES.values(), ids=MODES)
every_exact_mode = pytest.mark.parametrize("mode", EXACT.values(), ids=EXACT)
WEIGHTS = torch.linspace(-1, 2, len(T) * Y0.numel(), dtype=torch.float64).view(len(T), *Y0.shape)
OWN_TIMES = T * tensor(1.0, 0.3, 2.0).unsqueeze(1)


def solver_for(mode: Adjoint) -> str:
    return "reversible_dopri5" if isinstance(mode, Reversible) else "dopri5"


def gradients(f: nn.Module, y0: Tensor, t: Tensor, weights: Tensor, **how: object) -> tuple[Tensor, ...]:
    y0 = y0.clone().requires_grad_()
    y = solve(f, y0, t, **how).y
    return torch.autograd.grad((y * weights).sum(), (y0, *f.parameters()))


def error_beside_backprop(mode: Adjoint, y0: Tensor, t: Tensor, f: nn.Module | None = None, **how: object) -> float:
    f = f or Pendulum()
    weights = WEIGHTS[: t.shape[-1], :, : y0.shape[1]]
    found, true = (gradients(f, y0, t, weights, batch="independent", gradient=g, **how) for g in (mode, Backprop()))
    return relative_error(found, true)


ALONE = [(name, Backprop()) for name in ADAPTIVE] + [(solver_for(mode), mode) for mode in EXACT.values()]


@pytest.mark.parametrize("t", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize(("name", "mode"), ALONE, ids=[f"{name}-{mode.name}" for name, mode in ALONE])
def test_gradients_are_those_of_each_sample_alone(name: str, mode: Adjoint, t: Tensor) -> None:
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
def test_gradients_are_backprops_through_the_same_steps(name: str, controller: Controller, mode: Adjoint) -> None:
    """Samples end at different times, and where the first step is too long for all of them, or some, they reject it."""
    assert error_beside_backprop(mode, Y0, OWN_TIMES, solver=name, controller=controller) < 1e-12


@pytest.mark.parametrize("budget", [1, 2, 5, 1000])
def test_any_budget_gives_the_same_gradient(budget: int) -> None:
    how = {"solver": "bosh3", "controller": TOLERANCE}
    assert error_beside_backprop(Checkpointed(budget), Y0, OWN_TIMES, **how) < 1e-12


class Switch(nn.Module):
    """The push turns round at t = 1/3 and at t = 0.7, where the new one holds; not a number at t = 1/3 itself."""

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
@pytest.mark.parametrize("t", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize(
    ("name", "mode"),
    [(name, mode) for name in (*FEW, *REVERSIBLE) for mode in EXACT.values() if not mode.unsupported(SOLVERS[name])],
    ids=str,
)
def test_samples_begin_anew_at_jumps_of_f_and_are_taken_again_so(
    name: str, mode: Adjoint, t: Tensor, controller: Controller
) -> None:
    if controller.adaptive and not SOLVERS[name].adaptive:
        controller = FixedGrid((0.2, 1 / 3, 0.6, 0.7), one_sided=True)
    y0 = tensor([0.0], [3.0], [-1.0])
    assert error_beside_backprop(mode, y0, t, Switch(), solver=name, controller=controller) < 1e-12


class Burst(nn.Module):
    """Slow, and from t = 1/2 on fast."""

    def __init__(self) -> None:
        super().__init__()
        self.rate = nn.Parameter(tensor(1.0))

    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        return self.rate * torch.where(t < 0.5, 0.1, 60.0) * torch.cos(y)


@pytest.mark.parametrize("name", ["alf", "reversible_heun", "reversible_dopri5"])
@pytest.mark.parametrize("mode", [Checkpointed(), Checkpointed(2), Reversible()], ids=str)
def test_what_began_anew_in_a_try_that_all_rejected_did_so_in_the_next(name: str, mode: Adjoint) -> None:
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
def test_tuples_complex_states_and_single_precision_have_their_gradients(mode: Adjoint) -> None:
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
def test_a_try_taken_again_costs_its_stages_once(budget: int | None) -> None:
    y0 = Y0.clone().requires_grad_()
    how = {"solver": "rk4", "controller": FixedStep(dt=0.25), "gradient": Checkpointed(budget)}
    solution = together(Pendulum(), y0, tensor(0.0, 1.0), **how)
    solution.y[-1].sum().backward()
    assert solution.stats.vjp_backward == 4 * 4
    assert (solution.stats.nfe_backward == 4 * 4) is (budget is None)
    assert solution.stats.status_backward is Status.success


class Singular(nn.Module):
    """y' = rate y^2, not a number for y < 0, nor from t = 3 / 2 on where y > 3."""

    def __init__(self) -> None:
        super().__init__()
        self.rate = nn.Parameter(tensor(1.0))

    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        root = torch.sqrt(self.rate * y) ** 4 / self.rate
        return root + torch.log(torch.clamp(1.5 - t, min=0.0)).where((y > 3) & (t >= 1.5), 0.0)


SINGULAR_Y0 = {
    "from its start": [0.4, -1.0, 0.2],
    "not a number": [0.4, math.nan, 0.2],
    "the first": [-1.0, 0.2, 0.4],
    "on the way": [0.4, 2.0, 0.2],
    "at a place": [0.4, 1.6, 0.2],
    "several": [math.nan, 0.4, -1.0, 2.0, 0.2, 1.6],
}


LEAKS = [
    *((name, mode) for name in (*FEW, "rk4") for mode in (Backprop(), Checkpointed())),
    ("dopri5", Checkpointed(2)),
    ("reversible_heun", Reversible()),
    ("alf", Reversible()),
]


@pytest.mark.parametrize(
    "controller",
    [TOLERANCE, replace(TOLERANCE, first_step=4.0), FixedStep(dt=0.1)],
    ids=["adaptive", "rejecting", "fixed"],
)
@pytest.mark.parametrize("values", SINGULAR_Y0.values(), ids=SINGULAR_Y0)
@pytest.mark.parametrize(("name", "mode"), LEAKS, ids=str)
def test_no_nan_leaks_from_a_failed_sample_into_gradients_of_others(
    name: str, mode: Adjoint, values: list[float], controller: Controller
) -> None:
    if controller.adaptive and not SOLVERS[name].adaptive:
        controller = FixedStep(dt=0.03)
    t, f, how = tensor(1.0, 1.1, 1.55, 2.0), Singular(), {"solver": name, "controller": controller}
    y0 = tensor(*values).unsqueeze(1)
    good = (y0 < 1).squeeze(1) & (y0 > 0).squeeze(1)
    weights = good.to(torch.float64).view(1, -1, 1) * tensor(0.0, 1.0, -2.0, 3.0).view(-1, 1, 1)

    def grads(y0: Tensor, weights: Tensor) -> tuple[Tensor, ...]:
        y0 = y0.clone().requires_grad_()
        solution = together(f, y0, t, gradient=mode, **how)
        loss = (solution.y.where(weights != 0, 0.0) * weights).sum()
        return torch.autograd.grad(loss, (y0, f.rate))

    found, expected = grads(y0, weights), grads(y0[good], weights[:, good])
    torch.testing.assert_close(found[0][good], expected[0], rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(found[1], expected[1], rtol=1e-9, atol=1e-9)
    assert (found[0][~good] == 0).all()


@every_mode
def test_a_failed_sample_has_the_gradients_of_what_it_reached(mode: Adjoint) -> None:
    """y = y0 / (1 - y0 t): where 2 has failed, 0.4 goes on."""
    t, y0 = tensor(0.0, 0.3, 1.0), tensor([2.0], [0.4]).requires_grad_()
    how = {"solver": solver_for(mode), "controller": FixedStep(dt=0.01), "gradient": mode, "parameters": ()}
    solution = together(Ceiling(), y0, t, **how)
    assert solution.samples.status == (Status.non_finite, Status.success)
    assert solution.y[:, :, 0].isnan().tolist() == [[False, False], [False, False], [True, False]]
    (found,) = torch.autograd.grad(solution.y.nansum(), y0)
    exact = 1 + 1 / (1 - y0.detach() * t[1]) ** 2
    exact[1] += 1 / (1 - 0.4) ** 2
    torch.testing.assert_close(found, exact, rtol=1e-2, atol=0)


@pytest.mark.parametrize("mode", [Checkpointed(), Reversible()], ids=str)
def test_a_state_from_which_there_is_no_way_back_harms_no_other_sample(mode: Adjoint) -> None:
    """The step that takes the second sample beyond 3 hands on what is not a number."""
    t, f = tensor(1.0, 1.1, 1.55, 2.0), Singular()

    def grads(y0: Tensor) -> tuple[Tensor, ...]:
        y0 = y0.clone().requires_grad_()
        y = together(f, y0, t, solver="reversible_dopri5", controller=TOLERANCE, gradient=mode).y
        return torch.autograd.grad(y[:, :1].sum(), (y0, f.rate))

    found, expected = grads(tensor([0.4], [2.0])), grads(tensor([0.4]))
    torch.testing.assert_close(found[0], torch.cat((expected[0], tensor([0.0]))), rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(found[1], expected[1], rtol=1e-9, atol=1e-9)


class Edge(nn.Module):
    """y' = rate, not a number from t = 1 on where y > 3 / 2: neither is its derivative."""

    def __init__(self) -> None:
        super().__init__()
        self.rate = nn.Parameter(tensor(1.0))

    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        return self.rate * torch.sqrt(torch.where((t >= 1) & (y > 1.5), -1.0, torch.ones_like(y)))


@pytest.mark.parametrize("mode", [Backprop(), Checkpointed(), Checkpointed(1)], ids=str)
def test_an_output_lost_to_the_slope_at_the_end_of_its_step_has_no_gradient(mode: Adjoint) -> None:
    f, y0 = Edge(), tensor([1.0], [0.0]).requires_grad_()
    how = {"solver": "midpoint", "controller": FixedStep(dt=0.5), "gradient": mode}
    y = together(f, y0, tensor(0.0, 0.75, 1.0), **how).y
    assert y[:, :, 0].isnan().tolist() == [[False, False], [True, False], [False, False]]
    of_y0, of_rate = torch.autograd.grad(y.sum(), (y0, f.rate))
    torch.testing.assert_close(of_y0, tensor([2.0], [3.0]))
    torch.testing.assert_close(of_rate, tensor(1.0 + 0.75 + 1.0))


class Ceiling(nn.Module):
    """y' = y^2, not a number where y > 10."""

    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        return (y * y).where(y <= 10, math.nan)


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


@every_mode
def test_a_failed_sample_leaves_the_gradient_of_shared_times_alone(mode: Adjoint) -> None:
    t = tensor(0.0, 0.25, 0.5).requires_grad_()
    found = []
    for y0 in (tensor([1.0]), tensor([1.0], [math.nan])):
        how = {"solver": solver_for(mode), "controller": TOLERANCE, "gradient": mode, "parameters": ()}
        y = together(explosion, y0, t, **how).y
        found.append(torch.autograd.grad(y[:, 0].sum(), t)[0])
    torch.testing.assert_close(*found, rtol=1e-12, atol=0)
