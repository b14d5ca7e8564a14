"""The options of the continuous adjoint (solver, norm, callbacks, max_steps, checkpoints), and complex states."""

import pytest
import torch
from torch import Tensor

from node import SOLVERS, Callbacks, ContinuousAdjoint, FixedStep, PIDController, SolveError, solve
from node.adjoint import ADJOINTS, block_norm, seminorm
from tests.support.gradients import NET_T, NET_Y0, Net, gradient_of, mean_abs, relative_error, tensor

TOLERANCE = PIDController(rtol=1e-8, atol=1e-8)
TRUE = {"solver": "dopri8", "controller": PIDController(rtol=1e-12, atol=1e-12), "gradient": "backprop"}


def net_gradient(mode: ContinuousAdjoint) -> tuple[Tensor, ...]:
    return gradient_of(mean_abs, Net(), NET_Y0, NET_T, solver="dopri5", controller=TOLERANCE, gradient=mode)


@pytest.fixture(scope="module")
def true_gradient() -> tuple[Tensor, ...]:
    return gradient_of(mean_abs, Net(), NET_Y0, NET_T, **TRUE)


@pytest.mark.parametrize("solver", ["dopri8", "rk4", "rodas5p"])
@pytest.mark.parametrize("norm", [block_norm, seminorm])
def test_every_backward_solver_and_norm_gives_the_true_gradient(
    solver: str, norm: object, true_gradient: tuple[Tensor, ...]
) -> None:
    """rodas5p needs the Jacobian of the adjoint equation, which includes the parameters' gradients."""
    controller = TOLERANCE if SOLVERS[solver].adaptive else FixedStep(dt=1e-2)
    mode = ContinuousAdjoint(solver=SOLVERS[solver], controller=controller, norm=norm)
    assert relative_error(net_gradient(mode), true_gradient) < 1e-6


def test_a_backward_solver_that_needs_a_jacobian_takes_a_plain_function() -> None:
    """y = y0 exp(w): both derivatives at w = 0.7, y0 = 1 are exp(0.7)."""
    w, y0 = torch.tensor(0.7, dtype=torch.float64, requires_grad=True), tensor(1.0).requires_grad_()
    how = {"solver": "dopri5", "controller": TOLERANCE, "gradient": ContinuousAdjoint(solver=SOLVERS["rodas4"])}
    solve(lambda t, y: w * y, y0, tensor(0.0, 1.0), **how).y[-1].sum().backward()
    for found in (w.grad, y0.grad):
        assert found.item() == pytest.approx(2.718281828459045**0.7, rel=1e-6)


def test_callbacks_see_the_state_the_adjoint_and_the_parameters_gradients() -> None:
    steps: list[float] = []
    last: list[tuple[Tensor, ...]] = []

    def accept(t: float, z: tuple[Tensor, ...], dt: float) -> None:
        steps.append(dt)
        last[:] = z

    net = Net()
    net_gradient(ContinuousAdjoint(callbacks=Callbacks(accept=accept)))
    assert sum(steps) == pytest.approx(-NET_T[-1].item())
    assert [part.shape for part in last] == [(6,), (6,), *(p.shape for p in net.parameters() if p.requires_grad)]


def test_max_steps_limits_the_whole_backward_solve() -> None:
    steps: list[float] = []
    net_gradient(ContinuousAdjoint(callbacks=Callbacks(step=lambda t, z, dt: steps.append(t))))
    assert len(steps) > len(NET_T)
    net_gradient(ContinuousAdjoint(max_steps=len(steps)))
    with pytest.raises(SolveError, match="max_steps"):
        net_gradient(ContinuousAdjoint(max_steps=len(steps) - 1))


@pytest.mark.exhaustive
@pytest.mark.parametrize("ends", [(0.0, 3.0), (3.0, 0.0)], ids=["forwards", "backwards"])
def test_checkpoints_make_the_backward_solve_of_a_contraction_stable(ends: tuple[float, float]) -> None:
    """y' = -k (u + u^3), u = y - cos t: backwards in time an error of y grows by exp(30), and then faster."""

    class Pulled(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.k = torch.nn.Parameter(torch.tensor(10.0 if ends[0] < ends[1] else -10.0, dtype=torch.float64))

        def forward(self, t: Tensor, y: Tensor) -> Tensor:
            u = y - torch.cos(t)
            return -self.k * (u + u**3)

    def gradient(mode: str | ContinuousAdjoint, tolerance: float) -> tuple[Tensor, ...]:
        how = {"solver": "dopri5", "controller": PIDController(rtol=tolerance, atol=tolerance), "max_steps": 1000}
        return gradient_of(lambda y: y[-1].sum(), Pulled(), tensor(1.0, -2.0), tensor(*ends), gradient=mode, **how)

    true = gradient("backprop", 1e-10)
    with pytest.raises(SolveError):
        gradient(ContinuousAdjoint(), 1e-7)
    assert relative_error(gradient(ContinuousAdjoint(checkpoints=20), 1e-7), true) < 1e-4


def test_checkpoints_are_states_of_the_forward_pass_and_no_more_than_requested() -> None:
    seen: list[tuple[float, Tensor]] = []

    def f(t: Tensor, y: Tensor) -> Tensor:
        seen.append((t.item(), y.detach().clone()))
        return -3 * y * torch.cos(5 * t)

    starts: dict[float, Tensor] = {}
    how = {
        "solver": "dopri5", "controller": TOLERANCE, "parameters": (),
        "callbacks": Callbacks(accept=lambda t, y, dt: starts.__setitem__(t, y)),
    }  # fmt: skip
    for most in (0, 1, 3, 5, 1000):
        y0 = tensor(1.0, -2.0).requires_grad_()
        y = solve(f, y0, tensor(0.0, 2.0), gradient=ContinuousAdjoint(checkpoints=most), **how).y
        seen.clear()
        y[-1].sum().backward()
        back = {(t, *state.tolist()) for t, state in seen}
        met = [t for t, state in starts.items() if t > 0 and (t, *state.tolist()) in back]
        everything = len(starts) - 1
        assert everything > 10
        assert len(met) == everything if most >= everything else most / 2 <= len(met) <= most
        starts.clear()


@pytest.mark.parametrize(("options", "message"), [({"checkpoints": -1}, "checkpoints is -1 and must be 0 or more")])
def test_a_negative_number_of_checkpoints_is_refused(options: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ContinuousAdjoint(**options)


@pytest.mark.parametrize("tolerance", [torch.full((2, 3), 1e-8), torch.tensor([1e-8, 1e-7, 1e-8])])
def test_elementwise_tolerances_hold_for_the_adjoint_too(tolerance: Tensor, true_gradient: tuple[Tensor, ...]) -> None:
    controller = PIDController(rtol=tolerance, atol=tolerance)
    for mode in (ContinuousAdjoint(), ContinuousAdjoint(controller=controller)):
        found = gradient_of(mean_abs, Net(), NET_Y0, NET_T, solver="dopri5", controller=controller, gradient=mode)
        assert relative_error(found, true_gradient) < 1e-5


@pytest.mark.parametrize("tolerance", [1e-9, tensor(1e-9, 1e-10)])
@pytest.mark.parametrize("solver", ["dopri5", "rodas5p"])
def test_complex_states_have_complex_gradients(solver: str, tolerance: float | Tensor) -> None:
    """y' = w y, y(1) = y0 exp(w): the gradients in y0 and in a complex or real w."""

    class Turn(torch.nn.Module):
        def __init__(self, w: complex) -> None:
            super().__init__()
            self.w = torch.nn.Parameter(torch.tensor(w, dtype=torch.complex128 if w.imag else torch.float64))

        def forward(self, t: Tensor, y: Tensor) -> Tensor:
            return self.w * y

    controller = PIDController(rtol=tolerance, atol=tolerance)
    for f in (Turn(0.3 + 1.1j), Turn(0.7)):
        y0 = torch.tensor([1 + 0.5j, -0.3 + 2j], dtype=torch.complex128, requires_grad=True)
        mode = ContinuousAdjoint(solver=SOLVERS[solver], controller=controller)
        y = solve(f, y0, tensor(0.0, 1.0), solver="dopri5", controller=controller, gradient=mode).y[-1]
        exact = y0 * torch.exp(f.w)
        found, true = (torch.autograd.grad((x.abs() ** 2 + x.real).sum(), (y0, f.w)) for x in (y, exact))
        torch.testing.assert_close(found, true, rtol=1e-6, atol=0)


@pytest.mark.parametrize("mode", ["adjoint", "interpolating"])
def test_an_unknown_value_of_outputs_is_refused(mode: str) -> None:
    with pytest.raises(ValueError, match=f"^{mode}: outputs is 'lands' and must be one of spread, land"):
        type(ADJOINTS[mode])(outputs="lands")
