"""scipy_solver: solves by SciPy's solve_ivp, and gradients through odeint_adjoint."""

import builtins
import sys
from typing import Any

import pytest
import torch
import torchdiffeq
from torch import Tensor, nn

import node
from tests.support.torchdiffeq_pairs import PAIR_Y0, Y0, Field, Pair, both_directions, gradients, tensor, times

close = torch.testing.assert_close
SCIPY = {"method": "scipy_solver", "rtol": 1e-9, "atol": 1e-9}


@both_directions
@pytest.mark.parametrize("solver", ["LSODA", "RK45", "DOP853", "BDF", "Radau"])
def test_the_states_equal_those_of_dopri5_and_torchdiffeq(solver: str, ends: tuple[float, float]) -> None:
    how = SCIPY | {"options": {"solver": solver}}
    if solver in ("BDF", "Radau"):
        how |= {"rtol": 1e-6, "atol": 1e-6}
    with torch.no_grad():
        ours = node.odeint(Field(), Y0, times(ends), **how)
    close(ours, node.odeint(Field(), Y0, times(ends), rtol=1e-10, atol=1e-10), rtol=0, atol=1e-4)
    if solver == "LSODA":  # in torchdiffeq the other solvers warn of an unknown min_step
        close(ours, torchdiffeq.odeint(Field(), Y0, times(ends), **how), rtol=0, atol=1e-7)


@pytest.mark.parametrize(("forward", "backward"), [(True, True), (True, False), (False, True)])
@both_directions
def test_odeint_adjoint_differentiates_through_scipy_solver(
    ends: tuple[float, float], forward: bool, backward: bool
) -> None:
    t, names = times(ends), {True: "scipy_solver", False: "dopri5"}
    found = gradients(
        node.odeint_adjoint, t, rtol=1e-9, atol=1e-9, method=names[forward], adjoint_method=names[backward]
    )
    for ours, true in zip(found, gradients(node.odeint, t, rtol=1e-10, atol=1e-10), strict=True):
        close(ours, true, rtol=0, atol=1e-6)


def test_a_tuple_is_solved_with_a_tolerance_for_each_tensor() -> None:
    how = {"method": "scipy_solver", "rtol": (1e-9, 1e-10), "atol": (1e-9, torch.tensor(1e-10))}
    f, t = Pair(), tensor(0.0, 1.0)
    found = node.odeint_adjoint(f, PAIR_Y0, t, **how)
    close(found, node.odeint(f, PAIR_Y0, t), rtol=0, atol=1e-6)
    (ours,) = torch.autograd.grad(found[0].square().sum(), f.w)
    (true,) = torch.autograd.grad(node.odeint(f, PAIR_Y0, t)[0].square().sum(), f.w)
    close(ours, true, rtol=0, atol=1e-6)


def test_max_step_limits_the_steps_of_scipy_solver() -> None:
    few, many = Field(), Field()
    node.odeint(few, Y0, tensor(0.0, 2.0), **SCIPY)
    node.odeint(many, Y0, tensor(0.0, 2.0), **SCIPY, options={"max_step": 1e-3})
    assert many.calls > 1000 > few.calls


def test_a_single_output_time_gives_the_start() -> None:
    close(node.odeint(Field(), Y0, tensor(1.0), **SCIPY), Y0.unsqueeze(0), rtol=0, atol=0)


class HoldsTensor(nn.Module):
    """y' = x y with an x that is not a parameter of the module."""

    def __init__(self, x: Tensor) -> None:
        super().__init__()
        self.x = (x,)

    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        return self.x[0] * y


def depending_on(what: str, x: Tensor) -> tuple[Any, Tensor, Tensor]:
    """f, y0 and t, one of which depends on x."""
    y0, t, f = Y0, tensor(0.0, 1.0), Field().requires_grad_(False)
    if what == "y0":
        return f, Y0 * x, t
    if what == "t":
        return f, y0, t * x
    if what == "a parameter":
        f.a = nn.Parameter(f.a * x.detach())
        return f, y0, t
    return (HoldsTensor(x) if what == "a tensor that f keeps" else lambda t, y: x * y), y0, t


@pytest.mark.parametrize("what", ["y0", "t", "a parameter", "a tensor that f keeps", "a closure"])
def test_inputs_that_require_grad_are_solved_and_their_gradient_is_refused(what: str) -> None:
    x = torch.tensor(1.0, dtype=torch.float64, requires_grad=True)
    f, y0, t = depending_on(what, x)
    y = node.odeint(f, y0, t, **SCIPY)
    close(y.detach(), torchdiffeq.odeint(f, y0, t, **SCIPY).detach(), rtol=0, atol=1e-7)
    y += 1.0  # states of torchdiffeq can be changed in place too
    with pytest.raises(RuntimeError, match="no gradient and an input requires one: take odeint_adjoint") as error:
        y[-1].sum().backward()
    assert "\n" not in str(error.value)
    with torch.no_grad():
        assert not node.odeint(f, y0, t, **SCIPY).requires_grad


def test_a_loss_multiplied_by_zero_has_a_gradient() -> None:
    x = torch.tensor(1.0, dtype=torch.float64, requires_grad=True)
    y = node.odeint(Field(), Y0 * x, tensor(0.0, 1.0), **SCIPY)
    assert torch.autograd.grad(x + 0.0 * y.sum(), x)[0].item() == 1.0


def test_states_require_no_grad_if_no_input_does() -> None:
    assert not node.odeint(Field().requires_grad_(False), Y0, tensor(0.0, 1.0), **SCIPY).requires_grad


@both_directions
@pytest.mark.parametrize("solver", ["LSODA", "RK45", "DOP853", "BDF"])
def test_a_complex_state_is_solved_and_differentiated(solver: str, ends: tuple[float, float]) -> None:
    """y' = a y; SciPy's LSODA takes real numbers only, so torchdiffeq raises."""
    t, a = times(ends), torch.tensor(0.3 + 1j, dtype=torch.complex128, requires_grad=True)
    y0 = torch.tensor([1 + 2j, -0.5j], dtype=torch.complex128, requires_grad=True)
    how = SCIPY | {"options": {"solver": solver}, "atol": torch.tensor([1e-9, 1e-8], dtype=torch.float64)}
    y = node.odeint_adjoint(lambda t, y: a * y, y0, t, adjoint_params=(a,), **how)
    true = torch.exp(a * (t - t[0])).unsqueeze(1) * y0
    close(y, true, rtol=1e-5, atol=1e-5)
    for ours, exact in zip(*(torch.autograd.grad(x[-1].abs().square().sum(), (a, y0)) for x in (y, true)), strict=True):
        close(ours, exact, rtol=1e-4, atol=1e-5)
    close(node.odeint(lambda t, y: a * y, y0, t, **how), true, rtol=1e-5, atol=1e-5)


def test_a_solve_that_scipy_does_not_finish_raises() -> None:
    with pytest.raises(node.SolveError, match=r"scipy_solver: RK45 stopped before t=2: .*step size"):
        node.odeint(lambda t, y: y**2, tensor(1.0), tensor(0.0, 2.0), **SCIPY, options={"solver": "RK45"})


def test_without_scipy_an_import_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *how: Any) -> Any:
        if name.startswith("scipy"):
            raise ImportError(name)
        return real(name, *how)

    for name in [name for name in sys.modules if name.split(".")[0] == "scipy"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "scipy", None)
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match="scipy_solver needs SciPy, which is not installed: pip install scipy"):
        node.odeint(Field(), Y0, tensor(0.0, 1.0), **SCIPY)


@pytest.mark.exhaustive
def test_node_does_not_import_scipy() -> None:
    import subprocess

    code = "import sys, node; sys.exit('scipy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
