"""odeint_adjoint: the options, callbacks and norms of the backward solve, and its gradients."""

import copy
from typing import Any

import pytest
import torch
import torchdiffeq
from torch import Tensor, nn

import node
from node.torchdiffeq_api.callbacks import ACCEPT, OF_ADAPTIVE, STEP
from tests.support.torchdiffeq_pairs import PAIR_Y0, Y0, Field, Pair, Wide, both_directions, gradients, tensor, times

close = torch.testing.assert_close


def backward_calls(f: nn.Module, t: Tensor, interface: Any = node.odeint_adjoint, **how: Any) -> int:
    y = interface(f, Y0.clone().requires_grad_(), t, **how)
    f.calls = 0
    y.square().sum().backward()
    return f.calls


class Hidden(nn.Module):
    """y' = -y / 2 + w sin 5 t at w = 0: only the gradient in w oscillates."""

    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.zeros(2, dtype=torch.float64))
        self.calls = 0

    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        self.calls += 1
        return -y / 2 + self.w * torch.sin(5 * t)


def test_the_seminorm_saves_evaluations_as_in_torchdiffeq_and_keeps_the_gradient() -> None:
    """The seminorm leaves out the error of the parameters' gradients, on which nothing else depends."""
    t, how = tensor(0.0, 5.0), {"rtol": 1e-6, "atol": 1e-6}
    calls, found = [], []
    for interface in (node.odeint_adjoint, torchdiffeq.odeint_adjoint):
        for options in ({}, {"norm": "seminorm"}):
            f = Hidden()
            calls.append(backward_calls(f, t, interface, **how, adjoint_options=options))
            found.append(f.w.grad[0].item())
    assert calls[1] < 0.6 * calls[0]
    assert calls[:2] == pytest.approx(calls[2:], rel=0.1)
    true_field = Hidden()
    backward_calls(true_field, t, node.odeint, rtol=1e-10, atol=1e-10)
    assert found[:2] == pytest.approx([true_field.w.grad[0].item()] * 2, rel=5e-3)


def test_parameters_have_the_smallest_of_elementwise_tolerances() -> None:
    t, tolerance = tensor(0.0, 5.0), tensor(1e-2, 1e-6)
    how = {"rtol": tolerance, "atol": tolerance}
    semi = backward_calls(Hidden(), t, **how, adjoint_options={"norm": "seminorm"})
    assert semi < 0.7 * backward_calls(Hidden(), t, **how)


@pytest.mark.parametrize("method", ["euler", "rk4"])
def test_the_seminorm_is_accepted_with_fixed_steps(method: str) -> None:
    t = times((0.0, 1.0))
    plain = gradients(node.odeint_adjoint, t, method=method)
    close(gradients(node.odeint_adjoint, t, method=method, adjoint_options={"norm": "seminorm"}), plain)


@pytest.mark.parametrize("f", [Field(), Pair()], ids=["tensor", "tuple"])
def test_a_norm_of_the_adjoint_gets_the_same_tuple_as_in_torchdiffeq(f: nn.Module) -> None:
    y0 = Y0 if isinstance(f, Field) else PAIR_Y0
    seen = []
    for interface in (node.odeint_adjoint, torchdiffeq.odeint_adjoint):
        shapes: set[object] = set()

        def norm(state: tuple[Tensor, ...], shapes: set[object] = shapes) -> Tensor:
            assert isinstance(state, tuple)
            shapes.add(tuple(part.shape for part in state))
            return torch.stack([part.abs().max() for part in state]).max()

        y = interface(f, y0, times((0.0, 1.0)), adjoint_options={"norm": norm})
        torch.autograd.grad(sum(part.sum() for part in (y if isinstance(y, tuple) else (y,))), list(f.parameters()))
        seen.append(shapes)
    assert seen[0] == seen[1]
    assert len(seen[0]) == 1


class Watched(Field):
    """A field that keeps the arguments with which its callbacks of the backward solve are called."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: dict[str, list[Any]] = {name: [] for name in OF_ADAPTIVE}
        for name, calls in self.seen.items():
            setattr(self, f"{name}_adjoint", lambda *call, calls=calls: calls.append(call))


@pytest.mark.filterwarnings("ignore:Solver 'rk4' does not support callbacks")
@pytest.mark.parametrize("method", ["dopri5", "rk4"])
def test_callbacks_of_the_backward_solve_get_the_same_arguments_as_in_torchdiffeq(method: str) -> None:
    ours, theirs = Watched(), Watched()
    for f, interface in ((ours, node.odeint_adjoint), (theirs, torchdiffeq.odeint_adjoint)):
        y = interface(f, Y0, times((0.0, 2.0)), method=method, rtol=1e-6, atol=1e-6)
        assert not f.seen[STEP]
        y.square().sum().backward()
    t0, (t, y, a, g), dt = ours.seen[STEP][0]
    t0_there, (t_there, y_there, a_there, g_there), dt_there = theirs.seen[STEP][0]
    for x, there in ((t0, t0_there), (t, t_there), (y, y_there), (a, a_there), (g, g_there)):
        assert (x.dtype, x.shape) == (there.dtype, there.shape)
        close(x, there, rtol=1e-4, atol=1e-8)
    assert dt.item() > 0 < dt_there.item()
    assert bool(ours.seen[ACCEPT]) == bool(theirs.seen[ACCEPT])


def test_callbacks_of_the_backward_solve_of_a_tuple_get_flat_states() -> None:
    class WatchedPair(Pair):
        def callback_step_adjoint(self, t0: Tensor, state: tuple[Tensor, ...], dt: Tensor) -> None:
            shapes.append([tuple(part.shape) for part in state])

    seen = []
    for interface in (node.odeint_adjoint, torchdiffeq.odeint_adjoint):
        shapes: list[object] = []
        y, _ = interface(WatchedPair(), PAIR_Y0, tensor(0.0, 1.0))
        y.sum().backward()
        seen.append(shapes[0])
    assert seen[0] == seen[1] == [(), (7,), (7,), ()]


def test_the_backward_solve_takes_its_own_tolerance_method_and_options() -> None:
    """Beside the calls of its steps there is one at the start, which checks that f is unchanged."""
    t = tensor(0.0, 5.0)
    plain = backward_calls(Wide(), t, rtol=1e-6, atol=1e-6)
    assert backward_calls(Wide(), t, rtol=1e-6, atol=1e-6, adjoint_rtol=1e-3, adjoint_atol=1e-3) < 0.6 * plain
    for one in ("adjoint_rtol", "adjoint_atol"):
        assert backward_calls(Wide(), t, rtol=1e-6, atol=1e-6, **{one: 1e-2}) < 0.8 * plain
    assert backward_calls(Wide(), t, rtol=1e-6, atol=1e-6, adjoint_options={"max_step": 0.05}) > 5 * 20 * 6
    euler = {"adjoint_method": "euler", "adjoint_options": {"step_size": 0.25}}
    assert backward_calls(Wide(), t, rtol=1e-6, atol=1e-6, **euler) == 20 + 1
    assert backward_calls(Wide(), t, method="rk4", options={"step_size": 0.5}) == 40 + 1


def test_the_backward_solve_takes_the_forward_options_without_their_norm() -> None:
    calls = []

    def norm(state: Tensor) -> Tensor:
        assert isinstance(state, Tensor)
        calls.append(state.shape)
        return state.abs().max()

    options = {"norm": norm, "max_step": 0.05}
    before = copy.copy(options)
    assert backward_calls(Wide(), tensor(0.0, 1.0), options=options) > 20 * 6
    assert options == before
    assert set(calls) == {torch.Size([2])}  # called with y and with dL/dy, each apart


@both_directions
@pytest.mark.parametrize("name", ["step_t", "jump_t"])
def test_the_backward_solve_steps_to_its_own_step_t_and_jump_t(name: str, ends: tuple[float, float]) -> None:
    f = Watched()
    y = node.odeint_adjoint(f, Y0, tensor(*ends), adjoint_options={name: tensor(0.7, 1.3)})
    y.sum().backward()
    assert {0.7, 1.3} <= {t0.item() for t0, _, _ in f.seen[ACCEPT]}


@both_directions
def test_the_adjoint_of_a_field_that_jumps_is_exact(ends: tuple[float, float]) -> None:
    """y' = k y before 1 and -k y after: y(2) = y(0) for every k, with and without an output at the jump."""

    class Stairs(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.k = nn.Parameter(torch.tensor(0.7, dtype=torch.float64))

        def forward(self, t: Tensor, y: Tensor) -> Tensor:
            return torch.where(t < 1, self.k * y, -self.k * y)

    for t in (tensor(*ends), tensor(ends[0], 1.0, ends[1])):
        f, y0 = Stairs(), tensor(2.0).requires_grad_()
        y = node.odeint_adjoint(f, y0, t, options={"jump_t": tensor(1.0)})
        y[-1].sum().backward()
        assert y[-1].item() == pytest.approx(2.0, abs=1e-6)
        assert y0.grad.item() == pytest.approx(1.0, abs=1e-6)
        assert f.k.grad.item() == pytest.approx(0.0, abs=1e-6)


def test_a_grid_constructor_is_called_for_each_interval_backwards() -> None:
    seen: list[list[float]] = []

    def grid(func: object, y0: object, t: Tensor) -> Tensor:
        seen.append(t.tolist())
        return torch.linspace(t[0].item(), t[-1].item(), 21, dtype=torch.float64)

    how = {"method": "rk4", "options": {"grid_constructor": grid}}
    t = tensor(0.0, 1.0, 2.0)
    ours = gradients(node.odeint_adjoint, t, **how)
    assert seen == [[0.0, 1.0, 2.0], [2.0, 1.0], [1.0, 0.0]]
    theirs = gradients(torchdiffeq.odeint_adjoint, t, **how)
    for a, b in zip((ours[0], ours[2]), (theirs[0], theirs[2]), strict=True):
        close(a, b, rtol=1e-10, atol=1e-12)


def test_another_adjoint_method_needs_its_own_options_as_in_torchdiffeq() -> None:
    for interface in (node.odeint_adjoint, torchdiffeq.odeint_adjoint):
        with pytest.raises(ValueError, match="adjoint_options"):
            interface(Field(), Y0, tensor(0.0, 1.0), options={"max_step": 0.1}, adjoint_method="rk4")
    y = node.odeint_adjoint(
        Field(), Y0, tensor(0.0, 1.0), options={"max_step": 0.1}, adjoint_method="rk4", adjoint_options={}
    )
    assert y.requires_grad


@pytest.mark.parametrize(("norm", "error"), [("seminrom", ValueError), (3, TypeError)])
def test_a_wrong_norm_of_the_adjoint_is_refused(norm: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="pass 'seminorm' or a function of"):
        node.odeint_adjoint(Field(), Y0, tensor(0.0, 1.0), adjoint_options={"norm": norm})


def test_a_backward_solve_that_fails_raises_with_advice() -> None:
    y = node.odeint_adjoint(Field(), Y0, tensor(0.0, 50.0), adjoint_options={"max_num_steps": 3})
    with pytest.raises(node.SolveError, match=r"the backward solve stopped at t=.*max_steps"):
        y.sum().backward()
