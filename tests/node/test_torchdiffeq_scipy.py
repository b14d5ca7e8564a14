"""scipy_solver: solve_ivp forwards, and through odeint_adjoint backwards."""

import builtins
import sys
from typing import Any

import pytest
import torch
import torchdiffeq
from torch import Tensor, nn

import node
from tests.support.torchdiffeq_pairs import PAIR_Y0, Y0, Field, Pair, both_ways, gradients, tensor, times

close = torch.testing.assert_close
SCIPY = {"method": "scipy_solver", "rtol": 1e-9, "atol": 1e-9}


@both_ways
@pytest.mark.parametrize("solver", ["LSODA", "RK45", "DOP853", "BDF", "Radau"])
def test_the_states_are_theirs(solver: str, ends: tuple[float, float]) -> None:
    how = SCIPY | {"options": {"solver": solver}}
    if solver in ("BDF", "Radau"):
        how |= {"rtol": 1e-6, "atol": 1e-6}
    with torch.no_grad():
        ours = node.odeint(Field(), Y0, times(ends), **how)
    close(ours, node.odeint(Field(), Y0, times(ends), rtol=1e-10, atol=1e-10), rtol=0, atol=1e-4)
    if solver == "LSODA":  # the others warn there of a min_step that they do not have
        close(ours, torchdiffeq.odeint(Field(), Y0, times(ends), **how), rtol=0, atol=1e-7)


@pytest.mark.parametrize(("forward", "backward"), [(True, True), (True, False), (False, True)])
@both_ways
def test_odeint_adjoint_differentiates_through_it(ends: tuple[float, float], forward: bool, backward: bool) -> None:
    t, names = times(ends), {True: "scipy_solver", False: "dopri5"}
    found = gradients(
        node.odeint_adjoint, t, rtol=1e-9, atol=1e-9, method=names[forward], adjoint_method=names[backward]
    )
    for ours, true in zip(found, gradients(node.odeint, t, rtol=1e-10, atol=1e-10), strict=True):
        close(ours, true, rtol=0, atol=1e-6)


def test_a_tuple_is_solved_with_tolerances_of_its_own() -> None:
    how = {"method": "scipy_solver", "rtol": (1e-9, 1e-10), "atol": (1e-9, torch.tensor(1e-10))}
    f, t = Pair(), tensor(0.0, 1.0)
    found = node.odeint_adjoint(f, PAIR_Y0, t, **how)
    close(found, node.odeint(f, PAIR_Y0, t), rtol=0, atol=1e-6)
    (ours,) = torch.autograd.grad(found[0].square().sum(), f.w)
    (true,) = torch.autograd.grad(node.odeint(f, PAIR_Y0, t)[0].square().sum(), f.w)
    close(ours, true, rtol=0, atol=1e-6)


def test_max_step_limits_its_steps() -> None:
    few, many = Field(), Field()
    node.odeint(few, Y0, tensor(0.0, 2.0), **SCIPY)
    node.odeint(many, Y0, tensor(0.0, 2.0), **SCIPY, options={"max_step": 1e-3})
    assert many.calls > 1000 > few.calls


def test_one_time_gives_the_start() -> None:
    close(node.odeint(Field(), Y0, tensor(1.0), **SCIPY), Y0.unsqueeze(0), rtol=0, atol=0)


class Uses(nn.Module):
    """y' = x y, of an x that is no parameter of this module."""

    def __init__(self, x: Tensor) -> None:
        super().__init__()
        self.x = (x,)

    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        return self.x[0] * y


def depending_on(what: str, x: Tensor) -> tuple[Any, Tensor, Tensor]:
    """f, y0 and t with x in one of them."""
    y0, t, f = Y0, tensor(0.0, 1.0), Field().requires_grad_(False)
    if what == "y0":
        return f, Y0 * x, t
    if what == "t":
        return f, y0, t * x
    if what == "a parameter":
        f.a = nn.Parameter(f.a * x.detach())
        return f, y0, t
    return (Uses(x) if what == "a tensor that f keeps" else lambda t, y: x * y), y0, t


@pytest.mark.parametrize("what", ["y0", "t", "a parameter", "a tensor that f keeps", "a closure"])
def test_what_requires_grad_is_solved_and_refuses_the_gradient_when_it_is_asked_for(what: str) -> None:
    x = torch.tensor(1.0, dtype=torch.float64, requires_grad=True)
    f, y0, t = depending_on(what, x)
    y = node.odeint(f, y0, t, **SCIPY)
    close(y.detach(), torchdiffeq.odeint(f, y0, t, **SCIPY).detach(), rtol=0, atol=1e-7)
    y += 1.0  # theirs can be changed in place
    with pytest.raises(RuntimeError, match="no gradient and an input requires one: take odeint_adjoint") as error:
        y[-1].sum().backward()
    assert "\n" not in str(error.value)
    with torch.no_grad():
        assert not node.odeint(f, y0, t, **SCIPY).requires_grad


def test_a_loss_on_which_the_states_have_no_effect_is_differentiated() -> None:
    x = torch.tensor(1.0, dtype=torch.float64, requires_grad=True)
    y = node.odeint(Field(), Y0 * x, tensor(0.0, 1.0), **SCIPY)
    assert torch.autograd.grad(x + 0.0 * y.sum(), x)[0].item() == 1.0


def test_what_requires_no_grad_has_none_to_refuse() -> None:
    assert not node.odeint(Field().requires_grad_(False), Y0, tensor(0.0, 1.0), **SCIPY).requires_grad


@both_ways
@pytest.mark.parametrize("solver", ["LSODA", "RK45", "DOP853", "BDF"])
def test_a_complex_state_is_solved_and_differentiated(solver: str, ends: tuple[float, float]) -> None:
    """y' = a y; SciPy's LSODA takes real numbers only, and theirs raises."""
    t, a = times(ends), torch.tensor(0.3 + 1j, dtype=torch.complex128, requires_grad=True)
    y0 = torch.tensor([1 + 2j, -0.5j], dtype=torch.complex128, requires_grad=True)
    how = SCIPY | {"options": {"solver": solver}, "atol": torch.tensor([1e-9, 1e-8], dtype=torch.float64)}
    y = node.odeint_adjoint(lambda t, y: a * y, y0, t, adjoint_params=(a,), **how)
    true = torch.exp(a * (t - t[0])).unsqueeze(1) * y0
    close(y, true, rtol=1e-5, atol=1e-5)
    for ours, exact in zip(*(torch.autograd.grad(x[-1].abs().square().sum(), (a, y0)) for x in (y, true)), strict=True):
        close(ours, exact, rtol=1e-4, atol=1e-5)
    close(node.odeint(lambda t, y: a * y, y0, t, **how), true, rtol=1e-5, atol=1e-5)


def test_a_solve_that_scipy_gives_up_raises() -> None:
    with pytest.raises(node.SolveError, match=r"scipy_solver: RK45 stopped before t=2: .*step size"):
        node.odeint(lambda t, y: y**2, tensor(1.0), tensor(0.0, 2.0), **SCIPY, options={"solver": "RK45"})


def test_without_scipy_one_line_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
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
