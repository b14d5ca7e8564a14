"""Every option of torchdiffeq's methods does what its documentation says; a wrong option is refused in one line."""

import math
import re
from typing import Any

import pytest
import torch
import torchdiffeq
from torch import Tensor, nn

import node
from node.torchdiffeq_api.callbacks import ACCEPT, OF_ADAPTIVE, REJECT, STEP
from tests.support.torchdiffeq_pairs import (
    PAIR_Y0,
    Y0,
    Field,
    Pair,
    both,
    both_interfaces,
    every_adaptive_method,
    every_fixed_method,
    every_method,
    tensor,
    times,
)

close = torch.testing.assert_close
LOOSE = {"rtol": 1e-4, "atol": 1e-4}


class Watched(nn.Module):
    """y' = y cos t; the field keeps the arguments with which its callbacks are called, and the times of its calls."""

    def __init__(self, *callbacks: str) -> None:
        super().__init__()
        self.calls: dict[str, list[tuple[Any, Any, Any]]] = {name: [] for name in callbacks or OF_ADAPTIVE}
        self.times: list[float] = []
        for name, calls in self.calls.items():
            setattr(self, name, lambda t0, y0, dt, calls=calls: calls.append((t0, y0, dt)))

    def forward(self, t: Tensor, y: Any) -> Any:
        self.times.append(t.item())
        return tuple(x * torch.cos(t) for x in y) if isinstance(y, tuple) else y * torch.cos(t)

    def sizes(self, name: str = ACCEPT) -> list[float]:
        return [dt.item() for _, _, dt in self.calls[name]]

    def starts(self, name: str = ACCEPT) -> list[float]:
        return [t0.item() for t0, _, _ in self.calls[name]]


def solve_watched(t: Tensor, options: dict[str, Any] | None = None, **how: Any) -> Watched:
    f = Watched()
    node.odeint(f, Y0, t, options=options, **(LOOSE | how))
    return f


def test_first_step_is_the_size_of_the_first_try() -> None:
    assert solve_watched(tensor(0.0, 2.0), {"first_step": 0.03}).sizes(STEP)[0] == 0.03
    assert solve_watched(tensor(0.0, 2.0), {"first_step": torch.tensor(0.5), "max_step": 0.25}).sizes(STEP)[0] == 0.25


def test_a_step_grows_by_ifactor_and_shrinks_by_dfactor_at_most() -> None:
    grown = solve_watched(tensor(0.0, 50.0), {"first_step": 1e-4, "ifactor": 3.0}).sizes()
    assert grown[1] / grown[0] == pytest.approx(3.0)
    shrunk = solve_watched(tensor(0.0, 2.0), {"first_step": 2.0, "dfactor": 0.5}, rtol=1e-9, atol=1e-9)
    assert shrunk.sizes(REJECT)[:2] == pytest.approx([2.0, 1.0])


def test_a_smaller_safety_takes_more_steps() -> None:
    t = tensor(0.0, 20.0)
    assert len(solve_watched(t, {"safety": 0.5}).sizes()) > 1.2 * len(solve_watched(t, {"safety": 0.9}).sizes())


def test_steps_stay_within_min_step_and_max_step() -> None:
    assert max(solve_watched(tensor(0.0, 2.0), {"max_step": 0.1}).sizes(STEP)) <= 0.1 + 1e-12
    coarse = solve_watched(tensor(0.0, 2.0), {"min_step": 0.5}, rtol=1e-12, atol=1e-12)
    assert coarse.sizes(STEP) == pytest.approx([0.5] * 4)
    assert not coarse.calls[REJECT]


def test_max_num_steps_allows_as_many_steps_as_in_torchdiffeq() -> None:
    steps = len(solve_watched(tensor(0.0, 20.0)).sizes(STEP))
    node.odeint(Watched(), Y0, tensor(0.0, 20.0), options={"max_num_steps": steps}, **LOOSE)
    with pytest.raises(node.SolveError, match="max_num_steps"):
        node.odeint(Watched(), Y0, tensor(0.0, 20.0), options={"max_num_steps": steps - 1}, **LOOSE)
    with pytest.raises(AssertionError, match="max_num_steps exceeded"):
        torchdiffeq.odeint(Watched(), Y0, tensor(0.0, 20.0), options={"max_num_steps": steps - 2}, **LOOSE)


def test_max_num_steps_limits_each_interval_between_outputs() -> None:
    t = times((0.0, 20.0), 11)
    assert len(solve_watched(t).sizes(STEP)) > 12
    node.odeint(Watched(), Y0, t, options={"max_num_steps": 12}, **LOOSE)


@pytest.mark.parametrize("ends", [(0.0, 2.0), (2.0, 0.0)])
@every_adaptive_method
def test_steps_end_at_step_t_and_at_jump_t(method: str, ends: tuple[float, float]) -> None:
    for name in ("step_t", "jump_t"):
        for given in (tensor(0.7, 1.3), [0.7, 1.3]):
            assert {0.7, 1.3} <= set(solve_watched(tensor(*ends), {name: given}, method=method).starts())


@every_adaptive_method
def test_f_is_called_on_both_sides_of_a_jump_as_in_torchdiffeq(method: str) -> None:
    """y' = y before 1 and -3 y after, with the jump in jump_t."""

    def f(t: Tensor, y: Tensor) -> Tensor:
        return torch.where(t < 1, y, -3 * y)

    t = tensor(0.0, 2.0)
    tolerance = 1e-4 if method in ("fehlberg2", "adaptive_heun") else 1e-8
    how = {"rtol": tolerance, "atol": tolerance, "options": {"jump_t": tensor(1.0), "step_t": t[1:]}}
    ours = node.odeint(f, tensor(1.0), t, method=method, **how)[-1].item()
    error = 0.1 if method == "fehlberg2" else 200 * tolerance
    assert ours == pytest.approx(math.exp(-2.0), rel=error)
    if method != "tsit5":
        assert ours == pytest.approx(torchdiffeq.odeint(f, tensor(1.0), t, method=method, **how)[-1].item(), rel=error)


@every_fixed_method
def test_perturb_calls_f_inside_the_step_at_a_jump(method: str) -> None:
    """y' = 0 before 1 and 1 from then on: y(2) = 1. Without perturb a stage at t = 1 has the value after the jump."""

    def f(t: Tensor, y: Tensor) -> Tensor:
        return torch.where(t < 1, 0 * y, 0 * y + 1)

    t = tensor(0.0, 1.0, 2.0)
    for options in ({"step_size": 0.25}, {"grid_constructor": lambda f, y0, t: torch.linspace(0, 2, 9).double()}, {}):
        how = {"method": method, "options": options | {"perturb": True}}
        ours, theirs = node.odeint(f, tensor(0.0), t, **how), torchdiffeq.odeint(f, tensor(0.0), t, **how)
        assert ours[-1].item() == pytest.approx(1.0, abs=1e-14)
        close(ours, theirs, rtol=1e-14, atol=1e-14)


def test_norm_is_called_with_the_state_in_its_shape() -> None:
    shapes: set[object] = set()

    def norm(state: Tensor | tuple[Tensor, ...]) -> Tensor:
        parts = state if isinstance(state, tuple) else (state,)
        shapes.add(tuple(part.shape for part in parts))
        return torch.stack([part.abs().max() for part in parts]).max()

    y0 = PAIR_Y0[0]
    ours, theirs = both(lambda library: library.odeint(lambda t, y: -y, y0, times((0.0, 1.0)), options={"norm": norm}))
    assert shapes == {((2, 3),)}
    close(ours, theirs, rtol=0, atol=1e-7)
    node.odeint(Pair(), PAIR_Y0, times((0.0, 1.0)), options={"norm": norm})
    assert shapes == {((2, 3),), ((2, 3), ())}


def test_a_maximum_norm_takes_more_steps_as_in_torchdiffeq() -> None:
    """One of 10,000 entries moves, so the largest entry is far above the mean."""
    y0, t = torch.zeros(10_000, dtype=torch.float64), tensor(0.0, 10.0)
    y0[0] = 1.0
    calls = []
    for interface in (node.odeint, torchdiffeq.odeint):
        for options in ({"norm": lambda x: x.abs().max()}, {}):
            f = Watched()
            interface(f, y0, t, options=options, **LOOSE)
            calls.append(len(f.times))
    assert calls[0] > 1.3 * calls[1]
    assert calls[:2] == pytest.approx(calls[2:], rel=0.1)


def test_dtype_is_the_dtype_of_the_times_in_callbacks() -> None:
    f = Watched()
    node.odeint(f, Y0.float(), tensor(0.0, 1.0), **LOOSE)
    node.odeint(f, Y0.float(), tensor(0.0, 1.0), options={"dtype": torch.float32}, **LOOSE)
    seen = [t0.dtype for t0, _, _ in f.calls[STEP]]
    assert (seen[0], seen[-1]) == (torch.float64, torch.float32)
    with pytest.raises(TypeError, match="option dtype is 'float32': pass a torch dtype"):
        node.odeint(f, Y0, tensor(0.0, 1.0), options={"dtype": "float32"})


@pytest.mark.parametrize("ends", [(0.0, 2.0), (2.0, 0.0)], ids=["forwards", "backwards"])
@pytest.mark.parametrize("method", ["dopri5", "rk4"])
def test_callbacks_get_the_same_tensors_as_in_torchdiffeq(method: str, ends: tuple[float, float]) -> None:
    """dt is positive in both directions; the last step of torchdiffeq goes beyond the end."""
    ours, theirs = (Watched(*OF_ADAPTIVE) if method == "dopri5" else Watched(STEP) for _ in range(2))
    node.odeint(ours, Y0, times(ends), method=method, rtol=1e-6, atol=1e-6)
    torchdiffeq.odeint(theirs, Y0, times(ends), method=method, rtol=1e-6, atol=1e-6)
    for name, calls in ours.calls.items():
        assert len(calls) == pytest.approx(len(theirs.calls[name]), abs=1)
    for call, there in zip(ours.calls[STEP][:-1], theirs.calls[STEP], strict=False):
        for a, b in zip(call, there, strict=True):
            assert (a.dtype, a.shape) == (b.dtype, b.shape)
            close(a, b, rtol=1e-6, atol=0)


def test_callbacks_of_a_tuple_get_a_tuple() -> None:
    f = Watched()
    node.odeint(f, PAIR_Y0, tensor(0.0, 1.0), **LOOSE)
    for calls in (f.calls[STEP], f.calls[ACCEPT]):
        _, y0, _ = calls[0]
        close(y0, PAIR_Y0, rtol=0, atol=0)


@pytest.mark.parametrize(("method", "missing"), [("euler", "callback_accept_step"), ("scipy_solver", "callback_step")])
def test_a_callback_that_a_method_never_calls_gives_a_warning(method: str, missing: str) -> None:
    f = Watched(missing)
    with pytest.warns(UserWarning, match=f"'{method}' does not call {missing}"):
        node.odeint(f, Y0, tensor(0.0, 1.0), method=method, **LOOSE)
    assert not f.calls[missing]


@both_interfaces
@every_method
def test_an_unknown_option_gives_a_warning_with_the_nearest_name_and_is_left_out(method: str, interface: str) -> None:
    fixed = method in ("euler", "midpoint", "heun2", "heun3", "rk4") or method.endswith("_adams")
    wrong, right = ("step_sice", "step_size") if fixed else ("max_stop", "max_step")
    message = f"unknown option of {method} '{wrong}'. Did you mean '{right}'? Known: "
    solve = getattr(node, interface)
    with pytest.warns(UserWarning, match=re.escape(message) + ".*: it is left out$"):
        y = solve(Field(), Y0, tensor(0.0, 1.0), method=method, options={wrong: 0.1})
    assert torch.equal(y, solve(Field(), Y0, tensor(0.0, 1.0), method=method))


def test_an_option_of_another_kind_of_method_gives_a_warning_as_in_torchdiffeq() -> None:
    for method, option in (("dopri5", "step_size"), ("rk4", "first_step"), ("scipy_solver", "max_num_steps")):
        how = {"method": method, "options": {option: 1000}}
        with pytest.warns(UserWarning, match=f"unknown option of {method} '{option}'"):
            ours = node.odeint(Field(), Y0, tensor(0.0, 1.0), **how)
        with pytest.warns(UserWarning, match="Unexpected arguments"):
            close(ours, torchdiffeq.odeint(Field(), Y0, tensor(0.0, 1.0), **how), rtol=1e-6, atol=1e-9)


def grid_without_its_end(func: object, y0: object, t: Tensor) -> Tensor:
    return t[:-1]


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"method": "dopri55"}, "unknown method 'dopri55'. Did you mean 'dopri5'? Known: dopri5, dopri8, tsit5"),
        ({"method": "rk4", "options": {"interp": None}}, "unknown option interp 'None'."),
        ({"method": "rk4", "options": {"interp": "cubik"}}, "unknown option interp 'cubik'. Did you mean 'cubic'?"),
        (
            {"method": "rk4", "options": {"step_size": 0.1, "grid_constructor": grid_without_its_end}},
            "step_size and grid_constructor are both given and exclude each other",
        ),
        (
            {"method": "rk4", "options": {"grid_constructor": grid_without_its_end}},
            "a grid from 0.0 to 1.0: it must go from t[0]=0.0 to t[-1]=2.0",
        ),
        ({"options": {"dfactor": 1.5}}, "dfactor=1.5, ifactor=10.0: dfactor <= 1 and ifactor > 0 are needed"),
        ({"options": {"max_num_steps": 0}}, "max_num_steps is 0 and must be 1 or more"),
        ({"options": {"norm": "seminorm"}}, "option norm is 'seminorm': pass a function of the state"),
        ({"method": "explicit_adams", "options": {"max_order": 13}}, "max_order is 13 and must lie in 1, ..., 12"),
        ({"method": "implicit_adams", "options": {"max_iters": 0}}, "max_iters is 0 and must be 1 or more"),
        ({"rtol": torch.tensor(1e-3, requires_grad=True)}, "rtol requires grad"),
        ({"rtol": -1.0}, "neither may be negative"),
        ({"atol": torch.ones(3)}, "atol has shape"),
    ],
)
def test_a_wrong_call_is_refused_in_one_line(how: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)) as error:
        node.odeint(Field(), Y0, tensor(0.0, 1.0, 2.0), **how)
    assert "\n" not in str(error.value)


@both_interfaces
def test_wrong_states_and_times_are_refused(interface: str) -> None:
    odeint = getattr(node, interface)
    with pytest.raises(ValueError, match="y0 is an empty tuple"):
        odeint(Field(), (), tensor(0.0, 1.0))
    for y0 in ([Y0, Y0], (Y0, 1.0), 1.0):
        with pytest.raises(TypeError, match=f"y0 is of type {type(y0).__name__}: pass a tensor or a tuple of tensors"):
            odeint(Field(), y0, tensor(0.0, 1.0))
    with pytest.raises(TypeError, match="t is of type list: pass a 1-dimensional tensor"):
        odeint(Field(), Y0, [0.0, 1.0])
    for t in (torch.tensor([0, 1]), torch.tensor(0.5)):
        with pytest.raises(ValueError, match="t must be a 1-dimensional tensor of floats"):
            odeint(Field(), Y0, t)
    with pytest.raises(ValueError, match="strictly increasing or strictly decreasing"):
        odeint(Field(), Y0, tensor(0.0, 1.0, 0.5))
    with pytest.raises(ValueError, match="rtol has 3 entries for a state of 2 tensors"):
        odeint(Pair(), PAIR_Y0, tensor(0.0, 1.0), rtol=(1e-3, 1e-3, 1e-3))


@both_interfaces
def test_a_solve_that_fails_raises_with_advice(interface: str) -> None:
    """y' = y^2 has a pole at t = 1, where torchdiffeq asserts 'underflow in dt'."""
    extra = {"adjoint_params": ()} if interface == "odeint_adjoint" else {}
    with pytest.raises(node.SolveError, match=r"(dt_underflow|non_finite): .*(step|tolerance)"):
        getattr(node, interface)(lambda t, y: y**2, tensor(1.0), tensor(0.0, 2.0), **LOOSE, **extra)
    with pytest.raises(AssertionError):
        torchdiffeq.odeint(lambda t, y: y**2, tensor(1.0), tensor(0.0, 2.0), **LOOSE)
