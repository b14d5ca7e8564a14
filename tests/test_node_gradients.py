"""Gradients: exact for the computed solution, true to the tolerance, and the same as torchdiffeq's."""

import math
from collections.abc import Callable, Iterator

import pytest
import torch
import torchdiffeq
from torch import Tensor, nn

from node import ADJOINTS, SOLVERS, ContinuousAdjoint, FixedStep, PIDController, solve
from node.solvers import Solver
from node.solvers.stages import weights
from node.vector_field import FlatField

every_solver = pytest.mark.parametrize("solver", SOLVERS.values(), ids=SOLVERS)
every_adaptive_solver = pytest.mark.parametrize("name", [name for name in SOLVERS if SOLVERS[name].adaptive])
every_gradient = pytest.mark.parametrize("gradient", ADJOINTS)
TOLERANCE = PIDController(rtol=1e-8, atol=1e-8)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def tensor(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


class Spiral(nn.Module):
    """y' = y^3 A, with learnable A."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Parameter(torch.tensor([[-0.1, 2.0], [-2.0, -0.1]], dtype=torch.float64))

    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        return y**3 @ self.a


class Net(nn.Module):
    """A net that depends on time, with a parameter that is unused and one that is not to be trained."""

    def __init__(self, dtype: torch.dtype = torch.float64) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(3)
        draw = lambda *shape: torch.randn(*shape, generator=generator, dtype=torch.float64).to(dtype)  # noqa: E731
        self.inner, self.outer = nn.Parameter(draw(3, 8)), nn.Parameter(draw(8, 3) / 4)
        self.unused = nn.Parameter(draw(5))
        self.frozen = nn.Parameter(draw(8), requires_grad=False)

    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        return torch.tanh(y @ self.inner + self.frozen * torch.cos(t)) @ self.outer


def gradient_of(
    loss: Callable[[Tensor], Tensor], f: nn.Module, y0: Tensor, t: Tensor, **how: object
) -> tuple[Tensor, ...]:
    """dL/dy0 and dL/dp of the parameters that have one."""
    y0 = y0.detach().clone().requires_grad_()
    used = [p for p in f.parameters() if p.requires_grad and p is not getattr(f, "unused", None)]
    y = solve(f, y0, t, **how).require_success().y
    return torch.autograd.grad(loss(y), (y0, *used))


def relative_error(found: tuple[Tensor, ...], true: tuple[Tensor, ...]) -> float:
    flat = [torch.cat([x.reshape(-1) for x in gradient]) for gradient in (found, true)]
    return ((flat[0] - flat[1]).norm() / flat[1].norm()).item()


def mean_abs(y: Tensor) -> Tensor:
    return y.abs().mean()


SPIRAL_T = torch.linspace(0, 1.5, 4, dtype=torch.float64)
SPIRAL_Y0 = tensor(2.0, 0.0)
NET_T = tensor(0.0, 0.25, 0.5, 1.0)
NET_Y0 = torch.linspace(-1, 1, 6, dtype=torch.float64).reshape(2, 3)


@pytest.fixture(scope="module")
def spiral_truth() -> tuple[Tensor, ...]:
    """By both ways of differentiating, which share no code but the steps."""
    tight = {"solver": "dopri8", "controller": PIDController(rtol=1e-12, atol=1e-12)}
    truth = gradient_of(mean_abs, Spiral(), SPIRAL_Y0, SPIRAL_T, gradient="backprop", **tight)
    other = gradient_of(mean_abs, Spiral(), SPIRAL_Y0, SPIRAL_T, gradient="adjoint", **tight)
    assert relative_error(other, truth) < 2e-9
    return truth


@pytest.fixture(scope="module")
def net_truth() -> tuple[Tensor, ...]:
    tight = {"solver": "dopri8", "controller": FixedStep(dt=1 / 96)}
    truth = gradient_of(mean_abs, Net(), NET_Y0, NET_T, gradient="backprop", **tight)
    other = gradient_of(mean_abs, Net(), NET_Y0, NET_T, gradient="adjoint", **tight)
    assert relative_error(other, truth) < 1e-13
    return truth


@pytest.mark.parametrize("times", [(0.0, 0.2, 0.33, 0.61, 0.8), (0.8, 0.55, 0.0)], ids=["forwards", "backwards"])
@every_solver
def test_backprop_is_the_gradient_of_the_computed_solution(solver: Solver, times: tuple[float, ...]) -> None:
    """Against finite differences, at outputs within steps and on them, in y0 and in a parameter."""

    def states(y0: Tensor, p: Tensor) -> Tensor:
        def f(t: Tensor, y: Tensor) -> Tensor:
            return torch.sin(y @ p) * torch.cos(t) - y**2 / 2

        return solve(f, y0, tensor(*times), solver=solver, controller=FixedStep(dt=0.2), gradient="backprop").y

    y0 = tensor(0.9, -0.4).requires_grad_()
    p = torch.tensor([[0.3, -1.1], [0.8, 0.5]], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(states, (y0, p))


@every_solver
def test_backprop_can_be_differentiated_twice(solver: Solver) -> None:
    def end(y0: Tensor) -> Tensor:
        t, controller = tensor(0.0, 0.5), FixedStep(dt=0.25)
        return solve(lambda t, y: -(y**2), y0, t, solver=solver, controller=controller, gradient="backprop").y[-1]

    assert torch.autograd.gradgradcheck(end, (tensor(0.9).requires_grad_(),))


@pytest.mark.parametrize("gradient", ADJOINTS)
@every_adaptive_solver
def test_gradient_error_falls_with_the_tolerance(name: str, gradient: str, spiral_truth: tuple[Tensor, ...]) -> None:
    loose, tight = (
        (1e-3, 1e-4) if SOLVERS[name].order < 3 else (1e-3, 1e-5) if SOLVERS[name].order < 4 else (1e-5, 1e-7)
    )
    errors = [
        relative_error(
            gradient_of(
                mean_abs, Spiral(), SPIRAL_Y0, SPIRAL_T,
                solver=name, controller=PIDController(rtol=tolerance, atol=tolerance), gradient=gradient,
            ),
            spiral_truth,
        )
        for tolerance in (loose, tight)
    ]  # fmt: skip
    assert errors[1] < errors[0] * (tight / loose) ** 0.6
    assert errors[1] < 2000 * tight


@every_gradient
@every_solver
def test_gradient_error_falls_with_the_fixed_step_as_the_solvers_order(
    solver: Solver, gradient: str, net_truth: tuple[Tensor, ...]
) -> None:
    """Outputs lie on steps; the rounding of so few steps is 1e-13."""
    errors = [
        relative_error(
            gradient_of(mean_abs, Net(), NET_Y0, NET_T, solver=solver, controller=FixedStep(dt=dt), gradient=gradient),
            net_truth,
        )
        for dt in (1 / 12, 1 / 24)
    ]
    assert errors[1] < max(errors[0] / 2 ** (solver.order - 0.3), 1e-12)


@pytest.mark.parametrize("name", ["bosh3", "dopri5", "dopri8"])
@every_gradient
def test_gradient_is_torchdiffeqs(name: str, gradient: str) -> None:
    """Both within a tolerance of 1e-8 of the truth, so within some tolerances of each other."""
    net, y0, t = Net(), NET_Y0, NET_T
    ours = gradient_of(mean_abs, net, y0, t, solver=name, controller=TOLERANCE, gradient=gradient)
    theirs_y0 = y0.clone().requires_grad_()
    odeint = torchdiffeq.odeint if gradient == "backprop" else torchdiffeq.odeint_adjoint
    # A method that interpolates its end value errs by more than its tolerance: it is told to step on the outputs.
    y = odeint(net, theirs_y0, t, rtol=1e-8, atol=1e-8, method=name, options={"step_t": t})
    theirs = torch.autograd.grad(y.abs().mean(), (theirs_y0, net.inner, net.outer))
    assert relative_error(ours, theirs) < 1e-6


@pytest.mark.parametrize(("node_name", "name"), [("euler", "euler"), ("midpoint", "midpoint"), ("rk4_38", "rk4")])
def test_backprop_through_fixed_steps_is_torchdiffeqs_to_rounding(node_name: str, name: str) -> None:
    net, y0, t = Net(), NET_Y0, NET_T
    ours = gradient_of(mean_abs, net, y0, t, solver=node_name, controller=FixedStep(dt=0.125), gradient="backprop")
    theirs_y0 = y0.clone().requires_grad_()
    y = torchdiffeq.odeint(net, theirs_y0, t, method=name, options={"step_size": 0.125})
    theirs = torch.autograd.grad(y.abs().mean(), (theirs_y0, net.inner, net.outer))
    assert relative_error(ours, theirs) < 1e-14


class Growth(nn.Module):
    """z' = alpha z, the gradient toy of ACA and MALI."""

    def __init__(self) -> None:
        super().__init__()
        self.alpha = nn.Parameter(torch.tensor(0.7, dtype=torch.float64))

    def forward(self, t: Tensor, z: Tensor) -> Tensor:
        return self.alpha * z


@pytest.mark.parametrize("t_end", [1.0, 3.0])
@every_gradient
@every_adaptive_solver
def test_gradients_of_linear_growth_are_the_exact_formulas(name: str, gradient: str, t_end: float) -> None:
    """L = z(T)^2: dL/dz0 = 2 z0 exp(2 alpha T), dL/dalpha = 2 T z0^2 exp(2 alpha T).

    Steps of tolerance^(1/k) and an error of order p: tolerance^(p/k), which is less exact for p < k (fehlberg45).
    """
    tolerance = 1e-5 if SOLVERS[name].order < 3 else 1e-8
    rel = 50 * tolerance ** (SOLVERS[name].order / SOLVERS[name].error_order)
    z0, alpha = 1.3, 0.7
    found = gradient_of(
        lambda z: z[-1].square().sum(), Growth(), torch.tensor(z0, dtype=torch.float64), tensor(0.0, t_end),
        solver=name, controller=PIDController(rtol=tolerance, atol=tolerance), gradient=gradient,
    )  # fmt: skip
    growth = math.exp(2 * alpha * t_end)
    assert found[0].item() == pytest.approx(2 * z0 * growth, rel=rel)
    assert found[1].item() == pytest.approx(2 * t_end * z0**2 * growth, rel=rel)


@every_gradient
def test_gradient_in_y0_at_the_start_time_is_that_of_the_output_itself(gradient: str) -> None:
    y0 = tensor(1.0, 2.0).requires_grad_()
    y = solve(Spiral(), y0, tensor(0.0, 1.0), solver="dopri5", controller=TOLERANCE, gradient=gradient).y
    y[0].square().sum().backward()
    torch.testing.assert_close(y0.grad, tensor(2.0, 4.0), rtol=0, atol=1e-6)


@every_gradient
def test_gradient_of_a_single_output_is_the_identity(gradient: str) -> None:
    y0 = tensor(1.0, 2.0).requires_grad_()
    y = solve(Spiral(), y0, tensor(0.0), solver="dopri5", controller=TOLERANCE, gradient=gradient).y
    y.square().sum().backward()
    assert torch.equal(y0.grad, tensor(2.0, 4.0))


@every_gradient
def test_gradient_of_a_loss_over_all_outputs_is_the_sum_of_the_gradients_at_each(gradient: str) -> None:
    net, t = Net(), tensor(0.0, 0.1, 0.5, 0.6, 1.0)
    y0, w = torch.linspace(-1, 1, 3, dtype=torch.float64), torch.arange(1.0, 16.0, dtype=torch.float64).reshape(5, 3)
    how = {"solver": "dopri5", "controller": TOLERANCE, "gradient": gradient}
    together = gradient_of(lambda y: (w * y).sum(), net, y0, t, **how)
    alone = [gradient_of(lambda y, i=i: (w * y)[i].sum(), net, y0, t, **how) for i in range(1, len(t))]
    summed = [sum(parts) for parts in zip(*alone, strict=True)]
    summed[0] = summed[0] + w[0]  # the output at the start is y0
    assert relative_error(together, tuple(summed)) < 1e-6


@every_gradient
def test_gradient_of_a_batch_is_that_of_its_samples(gradient: str) -> None:
    net, t = Net(), tensor(0.0, 0.35, 1.0)
    y0 = torch.linspace(-1, 1, 12, dtype=torch.float64).reshape(4, 3)
    how = {"solver": "rk4", "controller": FixedStep(dt=0.05), "gradient": gradient}
    batch = gradient_of(lambda y: y.square().sum(), net, y0, t, **how)
    samples = [gradient_of(lambda y: y.square().sum(), net, sample, t, **how) for sample in y0]
    by_sample = (torch.stack([g[0] for g in samples]), sum(g[1] for g in samples), sum(g[2] for g in samples))
    assert relative_error(batch, by_sample) < 1e-13


@every_gradient
def test_gradient_in_float32_is_float64s_to_single_precision(gradient: str) -> None:
    y0, t = NET_Y0, tensor(0.0, 0.35, 1.0)
    how = {"solver": "rk4", "controller": FixedStep(dt=0.05), "gradient": gradient}
    double = gradient_of(mean_abs, Net(), y0, t, **how)
    single = gradient_of(mean_abs, Net(torch.float32), y0.float(), t.float(), **how)
    assert {g.dtype for g in single} == {torch.float32}
    assert 0 < relative_error(tuple(g.double() for g in single), double) < 1e-5


@every_gradient
def test_gradients_of_float32_parameters_are_float32_beside_a_float64_state(gradient: str) -> None:
    class Mixed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rate = nn.Parameter(torch.tensor(0.5))

        def forward(self, t: Tensor, y: Tensor) -> Tensor:
            return self.rate * y

    found = gradient_of(
        lambda y: y[-1].sum(), Mixed(), tensor(1.0), tensor(0.0, 1.0),
        solver="dopri5", controller=TOLERANCE, gradient=gradient,
    )  # fmt: skip
    assert [g.dtype for g in found] == [torch.float64, torch.float32]
    assert found[0].item() == pytest.approx(math.exp(0.5), rel=1e-6)
    assert found[1].item() == pytest.approx(math.exp(0.5), rel=1e-6)


@every_gradient
def test_an_unused_parameter_and_a_frozen_one_get_no_gradient(gradient: str) -> None:
    net = Net()
    y0 = tensor(0.1, 0.2, 0.3).requires_grad_()
    solve(net, y0, tensor(0.0, 1.0), solver="dopri5", controller=TOLERANCE, gradient=gradient).y.sum().backward()
    assert net.unused.grad is None or not net.unused.grad.any()
    assert net.frozen.grad is None
    assert all(x.grad.abs().max() > 0 for x in (y0, net.inner, net.outer))


@every_gradient
def test_a_state_that_needs_no_gradient_leaves_the_parameters_theirs(gradient: str) -> None:
    net, y0 = Net(), tensor(0.1, 0.2, 0.3)
    how = {"solver": "dopri5", "controller": TOLERANCE, "gradient": gradient}
    solve(net, y0, tensor(0.0, 1.0), **how).y.abs().mean().backward()
    _, inner, outer = gradient_of(mean_abs, Net(), y0, tensor(0.0, 1.0), **how)
    assert y0.grad is None
    torch.testing.assert_close((net.inner.grad, net.outer.grad), (inner, outer), rtol=1e-12, atol=0)


@every_gradient
def test_a_field_without_parameters_gives_the_gradient_in_y0(gradient: str) -> None:
    """y' = -y^2 from y0: y(1) = y0 / (1 + y0), dy(1)/dy0 = 1 / (1 + y0)^2."""
    y0 = tensor(0.5, 2.0).requires_grad_()
    f = lambda t, y: -(y**2)  # noqa: E731
    how = {"solver": "dopri5", "controller": TOLERANCE, "gradient": gradient, "parameters": ()}
    solve(f, y0, tensor(0.0, 1.0), **how).y[-1].sum().backward()
    torch.testing.assert_close(y0.grad, 1 / (1 + y0.detach()) ** 2, rtol=1e-6, atol=0)


@every_gradient
def test_parameters_that_are_handed_over_may_be_computed_from_others(gradient: str) -> None:
    """As a hypernetwork's are: z' = (a^2) z, and the gradient reaches a."""
    a = torch.tensor(0.8, dtype=torch.float64, requires_grad=True)
    rate = a**2
    how = {"solver": "dopri5", "controller": TOLERANCE, "gradient": gradient, "parameters": (rate,)}
    solve(lambda t, z: rate * z, tensor(1.5), tensor(0.0, 1.0), **how).y[-1].sum().backward()
    assert a.grad.item() == pytest.approx(2 * 0.8 * 1.5 * math.exp(0.64), rel=1e-6)


@every_gradient
def test_backwards_in_time_gradients_are_those_of_the_inverse_flow(gradient: str) -> None:
    """z' = alpha z from T back to 0: z(0) = z(T) exp(-alpha T)."""
    z0, alpha, t_end = 1.3, 0.7, 1.5
    found = gradient_of(
        lambda z: z[-1].sum(), Growth(), tensor(z0), tensor(t_end, 0.4, 0.0),
        solver="dopri5", controller=TOLERANCE, gradient=gradient,
    )  # fmt: skip
    assert found[0].item() == pytest.approx(math.exp(-alpha * t_end), rel=1e-6)
    assert found[1].item() == pytest.approx(-t_end * z0 * math.exp(-alpha * t_end), rel=1e-6)


@pytest.mark.parametrize("no_graph", [torch.no_grad, torch.inference_mode])
@every_gradient
@every_solver
def test_without_grad_mode_no_graph_is_left_and_the_states_are_the_same(
    solver: Solver, gradient: str, no_graph: Callable[[], object]
) -> None:
    net, t = Net(), tensor(0.0, 0.33, 1.0)
    how = {"solver": solver, "controller": FixedStep(dt=0.1), "gradient": gradient}
    y0 = tensor(0.1, 0.2, 0.3).requires_grad_()
    recorded = solve(net, y0, t, **how).y
    with no_graph():
        bare = solve(net, y0, t, **how).y
    assert recorded.requires_grad
    assert not bare.requires_grad
    assert bare.grad_fn is None
    torch.testing.assert_close(bare, recorded.detach(), rtol=1e-14, atol=1e-15)


@every_solver
def test_a_solve_in_inference_mode_does_not_spoil_a_later_training(solver: Solver) -> None:
    weights.cache_clear()
    how = {"solver": solver, "controller": FixedStep(dt=0.1), "gradient": "backprop"}
    with torch.inference_mode():
        solve(Net(), tensor(0.1, 0.2, 0.3), tensor(0.0, 0.33, 1.0), **how)
    found = gradient_of(mean_abs, Net(), tensor(0.1, 0.2, 0.3), tensor(0.0, 0.33, 1.0), **how)
    assert all(g.isfinite().all() and g.any() for g in found)


def test_the_adjoints_own_solver_and_tolerance_serve_the_backward_pass_alone() -> None:
    net, t, y0 = Net(), tensor(0.0, 1.0), tensor(0.1, 0.2, 0.3)
    forward = {"solver": "bosh3", "controller": PIDController(rtol=1e-4, atol=1e-4)}
    coarse, fine = (
        ContinuousAdjoint(solver=SOLVERS["dopri5"], controller=PIDController(rtol=tolerance, atol=tolerance))
        for tolerance in (1e-3, 1e-9)
    )
    a = solve(net, y0.clone().requires_grad_(), t, gradient=coarse, **forward)
    b = solve(net, y0.clone().requires_grad_(), t, gradient=fine, **forward)
    assert torch.equal(a.y, b.y)
    a.y.sum().backward()
    b.y.sum().backward()
    assert a.stats.nfe_forward == b.stats.nfe_forward
    assert a.stats.nfe_backward < b.stats.nfe_backward
    assert a.stats.nfe_backward % 6 == 2  # dopri5: two to start and six a step


@every_gradient
def test_gradient_of_a_scalar_state_is_a_scalar(gradient: str) -> None:
    z0 = torch.tensor(1.3, dtype=torch.float64)
    how = {"solver": "dopri5", "controller": TOLERANCE, "gradient": gradient}
    found = gradient_of(lambda z: z[-1], Growth(), z0, tensor(0.0, 1.0), **how)
    assert [g.shape for g in found] == [(), ()]
    assert found[0].item() == pytest.approx(math.exp(0.7), rel=1e-6)


@every_gradient
def test_parameters_and_state_are_left_as_they_were(gradient: str) -> None:
    net, y0 = Net(), tensor(0.1, 0.2, 0.3).requires_grad_()
    before = [p.detach().clone() for p in (*net.parameters(), y0)]
    y = solve(net, y0, tensor(0.0, 0.5, 1.0), solver="dopri5", controller=TOLERANCE, gradient=gradient).y
    states = y.detach().clone()
    y.sum().backward()
    assert all(torch.equal(p, q) for p, q in zip((*net.parameters(), y0), before, strict=True))
    assert torch.equal(y, states)


@pytest.mark.parametrize("controller", [TOLERANCE, FixedStep(dt=0.1)], ids=["adaptive", "fixed"])
def test_the_adjoint_goes_back_through_the_states_that_the_forward_pass_found(
    controller: PIDController | FixedStep,
) -> None:
    """At each output time it starts from the output, not from where it has drifted to."""
    seen: list[tuple[float, Tensor]] = []

    def f(t: Tensor, y: Tensor) -> Tensor:
        seen.append((t.item(), y.detach().clone()))
        return -3 * y

    y0, t = tensor(1.0, -2.0).requires_grad_(), tensor(0.0, 0.5, 1.0)
    y = solve(f, y0, t, solver="dopri5", controller=controller, gradient="adjoint", parameters=()).y
    seen.clear()
    y.sum().backward()
    for time, state in zip((1.0, 0.5), (y[2], y[1]), strict=True):
        assert any(then == time and torch.equal(found, state) for then, found in seen)


def test_parameters_that_do_not_matter_do_not_loosen_the_adjoints_steps() -> None:
    """The largest of the norms of y, of a and of the parameters counts: zeros do not dilute it."""

    def backward_cost(*parameters: Tensor) -> int:
        y0 = tensor(1.0, -2.0).requires_grad_()
        how = {"solver": "dopri5", "controller": TOLERANCE, "gradient": "adjoint", "parameters": parameters}
        solution = solve(lambda t, y: torch.cos(3 * t) * y, y0, tensor(0.0, 2.0), **how)
        solution.y.square().sum().backward()
        return solution.stats.nfe_backward

    assert backward_cost(torch.zeros(1000, dtype=torch.float64, requires_grad=True)) == backward_cost()


@every_adaptive_solver
def test_the_error_estimate_leaves_no_graph(name: str) -> None:
    solver, y0 = SOLVERS[name], tensor(1.0, -2.0).requires_grad_()
    f = FlatField(lambda t, y: -(y**2), y0)
    step = solver.step(f, 0.0, y0, 0.1, f(0.0, y0), solver.workspace(y0, record=True), estimate=True)
    assert step.y1.requires_grad
    assert not step.error.requires_grad
