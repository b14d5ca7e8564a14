"""The gradients of odeint and odeint_adjoint in y0, parameters and times equal torchdiffeq's; states of all kinds."""

import math

import pytest
import torch
import torchdiffeq
from torch import Tensor

import node
from tests.support.torchdiffeq_pairs import (
    ERRORS,
    PAIR_Y0,
    TOLERANCES,
    Y0,
    Field,
    Pair,
    both,
    both_directions,
    both_interfaces,
    every_adaptive_method,
    every_adaptive_method_of_torchdiffeq,
    every_fixed_method,
    gradients,
    tensor,
    times,
)

close = torch.testing.assert_close


@both_interfaces
@both_directions
@every_adaptive_method_of_torchdiffeq
def test_gradients_of_adaptive_steps_equal_torchdiffeqs_to_the_tolerance(
    method: str, ends: tuple[float, float], interface: str
) -> None:
    """Backwards in time torchdiffeq's adjoint misses step_t by a sign, so its odeint is compared with instead."""
    t, tolerance = times(ends, 3), TOLERANCES[method]
    how = {"method": method, "rtol": tolerance, "atol": tolerance, "options": {"step_t": t}}
    ours = gradients(getattr(node, interface), t, **how)
    theirs = gradients(getattr(torchdiffeq, interface if ends[0] < ends[1] else "odeint"), t, **how)
    for a, b in zip(ours, theirs, strict=True):
        close(a, b, rtol=0, atol=2 * ERRORS.get(method, 5e-7))


@both_interfaces
@every_fixed_method
def test_gradients_of_fixed_steps_equal_torchdiffeqs_to_rounding(method: str, interface: str) -> None:
    t, how = times((0.0, 2.0)), {"method": method, "options": {"step_size": 0.1}}
    (y0, _, a), (y0_there, _, a_there) = both(lambda library: gradients(getattr(library, interface), t, **how))
    close(y0, y0_there, rtol=1e-12, atol=1e-13)
    close(a, a_there, rtol=1e-12, atol=1e-13)


@both_interfaces
@every_fixed_method
def test_gradients_in_the_times_are_those_of_the_true_solution(method: str, interface: str) -> None:
    """torchdiffeq's odeint with fixed steps gives zero for outputs on the grid and everything to the ends."""
    t = times((0.0, 2.0))
    _, found, _ = gradients(getattr(node, interface), t, method=method, options={"step_size": 0.01})
    _, true, _ = gradients(torchdiffeq.odeint_adjoint, t, rtol=1e-9, atol=1e-9)
    close(found, true, rtol=0, atol=0.1 if method == "euler" else 3e-4)


@both_interfaces
@every_adaptive_method
def test_a_tuple_state_has_the_states_and_gradients_of_torchdiffeq(method: str, interface: str) -> None:
    tolerance, f, t = TOLERANCES.get(method, 1e-9), Pair(), times((0.0, 1.5), 3)

    def results(interface: object, method: str) -> tuple[Tensor, ...]:
        y0 = tuple(y.clone().requires_grad_() for y in PAIR_Y0)
        y = interface(f, y0, t, method=method, rtol=tolerance, atol=tolerance)
        assert isinstance(y, tuple)
        loss = sum(part.square().sum() for part in y)
        return (*y, *torch.autograd.grad(loss, (*y0, f.w)))

    theirs = results(getattr(torchdiffeq, interface), "dopri5")
    for a, b in zip(results(getattr(node, interface), method), theirs, strict=True):
        close(a, b, rtol=0, atol=5 * ERRORS.get(method, 1e-5))


def test_the_error_of_a_tuple_is_the_largest_of_its_tensors() -> None:
    """The mean over all entries would hide the error of one entry beside 10,000 at rest."""

    def f(t: Tensor, y: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        f.calls += 1
        return torch.sin(10 * t) * y[0], torch.zeros_like(y[1])

    y0, t, calls = (tensor(1.0), torch.zeros(10_000, dtype=torch.float64)), tensor(0.0, 3.0), []
    for interface in (node.odeint, torchdiffeq.odeint):
        f.calls = 0
        interface(f, y0, t, rtol=1e-6, atol=1e-6)
        calls.append(f.calls)
    assert calls[0] == pytest.approx(calls[1], rel=0.1)


@both_interfaces
@pytest.mark.parametrize(
    "tolerance",
    [torch.tensor(1e-7), torch.full((2,), 1e-7, dtype=torch.float64), [1e-7, 1e-7]],
    ids=["0-dimensional", "of each element", "a list"],
)
def test_equal_elementwise_tolerances_give_the_result_of_the_number(interface: str, tolerance: object) -> None:
    t, odeint = times((0.0, 2.0)), getattr(node, interface)
    found = gradients(odeint, t, rtol=tolerance, atol=tolerance)
    close(found, gradients(odeint, t, rtol=1e-7, atol=1e-7), rtol=1e-6, atol=1e-7)


@both_interfaces
def test_a_tuples_tolerances_are_for_its_tensors(interface: str) -> None:
    """A tolerance of a tensor may be a number, a vector or a tensor in the same shape."""
    t, (matrix, scalar) = times((0.0, 2.0)), PAIR_Y0
    odeint = getattr(node, interface)
    answers = [
        odeint(Pair(), (matrix, scalar), t, rtol=rtol, atol=(1e-8, tensor(1e-8)))
        for rtol in ((1e-6, 1e-8), torch.tensor([1e-6, 1e-8]), (torch.full((6,), 1e-6), 1e-8))
    ] + [odeint(Pair(), (matrix, scalar), t, rtol=(torch.full((2, 3), 1e-6), 1e-8), atol=1e-8)]
    for results in answers[1:]:
        close(results, answers[0], rtol=1e-9, atol=1e-12)
    assert not torch.equal(odeint(Pair(), (matrix, scalar), t, rtol=1e-8, atol=1e-8)[0], answers[0][0])


@both_interfaces
def test_a_complex_state_has_the_exact_states_and_gradients(interface: str) -> None:
    """y' = i w y: y = y0 exp(i w t), with gradients to complex y0 and real w."""
    w = torch.tensor([1.5, -0.5], dtype=torch.float64, requires_grad=True)
    t = times((0.0, 2.0))
    extra = {"adjoint_params": (w,)} if interface == "odeint_adjoint" else {}

    def results(interface: object) -> tuple[Tensor, ...]:
        y0 = torch.tensor([1 + 0.5j, -0.3 + 2j], requires_grad=True, dtype=torch.complex128)
        y = interface(lambda t, y: 1j * w * y, y0, t, rtol=1e-9, atol=1e-9, **extra)
        return (y, *torch.autograd.grad((y.real * y.imag).sum() + y[-1].abs().sum(), (y0, w)))

    ours = results(getattr(node, interface))
    y0 = torch.tensor([1 + 0.5j, -0.3 + 2j], requires_grad=True, dtype=torch.complex128)
    exact = y0 * torch.exp(1j * w * t.unsqueeze(1))
    true = torch.autograd.grad((exact.real * exact.imag).sum() + exact[-1].abs().sum(), (y0, w))
    for a, b in zip(ours, (exact, *true), strict=True):
        close(a, b, rtol=1e-6, atol=1e-7)


@both_interfaces
def test_a_single_output_time_gives_the_start(interface: str) -> None:
    close(getattr(node, interface)(Field(), Y0, tensor(1.0)), Y0.unsqueeze(0), rtol=0, atol=0)


def test_float32_is_kept() -> None:
    y = node.odeint(lambda t, y: -y, torch.ones(3), torch.linspace(0, 1, 3), rtol=1e-5, atol=1e-6)
    assert y.dtype == torch.float32
    close(y[-1], torch.full((3,), math.exp(-1)), rtol=1e-4, atol=0)
