"""odeint gives the same states as torchdiffeq's with as many evaluations; `theirs` are the results of torchdiffeq."""

import math

import pytest
import torch
import torchdiffeq
from torch import Tensor

import node
from tests.support.torchdiffeq_pairs import (
    ADAPTIVE,
    ERRORS,
    PAIR_Y0,
    TOLERANCES,
    Y0,
    Field,
    Pair,
    both,
    both_directions,
    every_adaptive_method_of_torchdiffeq,
    every_fixed_method,
    every_stepping_method,
    tensor,
    times,
)

close = torch.testing.assert_close


@both_directions
@every_fixed_method
def test_fixed_steps_between_outputs_equal_torchdiffeqs_to_rounding(method: str, ends: tuple[float, float]) -> None:
    ours, theirs = both(lambda library: library.odeint(Field(), Y0, times(ends), method=method))
    close(ours, theirs, rtol=1e-14, atol=1e-15)


@pytest.mark.parametrize("interp", ["linear", "cubic"])
@pytest.mark.parametrize("perturb", [False, True])
@both_directions
@every_fixed_method
def test_outputs_within_steps_of_step_size_equal_torchdiffeqs_to_rounding(
    method: str, ends: tuple[float, float], perturb: bool, interp: str
) -> None:
    """0.3 divides neither the interval nor the distance to an output."""
    options = {"step_size": 0.3, "interp": interp, "perturb": perturb}
    ours, theirs = both(lambda library: library.odeint(Field(), Y0, times(ends), method=method, options=options))
    close(ours, theirs, rtol=1e-14, atol=1e-15)


@both_directions
@every_fixed_method
def test_steps_on_a_users_grid_equal_torchdiffeqs_to_rounding(method: str, ends: tuple[float, float]) -> None:
    def grid(func: object, y0: Tensor, t: Tensor) -> Tensor:
        return t[0] + (t[-1] - t[0]) * torch.linspace(0, 1, 8, dtype=torch.float64) ** 2

    options = {"grid_constructor": grid}
    ours, theirs = both(lambda library: library.odeint(Field(), Y0, times(ends), method=method, options=options))
    close(ours, theirs, rtol=1e-14, atol=1e-15)


def test_a_grid_constructor_gets_the_arguments_of_odeint() -> None:
    seen: list[object] = []

    def grid(func: object, y0: object, t: Tensor) -> Tensor:
        seen.extend((func, y0, t))
        return t

    f, t = Pair(), times((2.0, 0.0))
    node.odeint(f, PAIR_Y0, t, method="rk4", options={"grid_constructor": grid})
    assert seen[0] is f
    assert seen[1] is PAIR_Y0
    assert seen[2] is t


@both_directions
@every_adaptive_method_of_torchdiffeq
def test_adaptive_states_equal_torchdiffeqs_to_the_tolerance(method: str, ends: tuple[float, float]) -> None:
    """`step_t` makes torchdiffeq step to the outputs; its interpolated outputs are compared below."""
    t, tolerance = times(ends), TOLERANCES[method]
    how = {"method": method, "rtol": tolerance, "atol": tolerance, "options": {"step_t": t}}
    ours, theirs = both(lambda library: library.odeint(Field(), Y0, t, **how))
    close(ours, theirs, rtol=0, atol=ERRORS.get(method, 5e-7))


@pytest.mark.parametrize("tolerance", [1e-4, 1e-7, 1e-10])
@pytest.mark.parametrize("n", [2, 20])
def test_dopri5_takes_as_many_evaluations_as_torchdiffeqs_within_10_per_cent(tolerance: float, n: int) -> None:
    f, g, t = Field(), Field(), times((0.0, 10.0), n)
    node.odeint(f, Y0, t, rtol=tolerance, atol=tolerance)
    torchdiffeq.odeint(g, Y0, t, rtol=tolerance, atol=tolerance)
    assert f.calls == pytest.approx(g.calls, rel=0.1, abs=6)


def test_the_defaults_are_those_of_torchdiffeq() -> None:
    f, g, t = Field(), Field(), times((0.0, 3.0))
    ours, theirs = node.odeint(f, Y0, t), torchdiffeq.odeint(g, Y0, t)
    close(ours, theirs, rtol=0, atol=1e-7)
    assert f.calls == pytest.approx(g.calls, rel=0.1)


@pytest.mark.parametrize(("method", "worse"), [("bosh3", 30), ("dopri8", 30), ("adaptive_heun", 1), ("dopri5", 0.1)])
def test_interpolated_outputs_are_more_exact_than_torchdiffeqs(method: str, worse: float) -> None:
    """y' = y cos t. torchdiffeq interpolates every output, the end too; in bosh3 it does so by a midpoint of order 1.

    `worse`: the factor by which its error is larger at least.
    """
    t, y0 = times((0.0, 3.0), 30), tensor(1.0)
    answers = both(lambda library: library.odeint(lambda t, y: y * t.cos(), y0, t, method=method, rtol=1e-6, atol=1e-6))
    ours, theirs = ((y[:, 0] - t.sin().exp()).abs().max().item() for y in answers)
    assert ours * worse < theirs
    assert ours < 5e-5


def test_adaptive_heun_evaluates_f_at_the_end_of_a_step() -> None:
    """torchdiffeq takes the last stage for it, which costs half the calls and has three times the error."""
    t, y0 = tensor(0.0, 2.0), tensor(1.0)
    options = {"first_step": 0.05, "max_step": 0.05, "min_step": 0.05, "step_t": t[1:]}
    ours, theirs = both(
        lambda library: (
            library.odeint(lambda t, y: -(y**2), y0, t, method="adaptive_heun", options=options)[-1].item() - 1 / 3
        )
    )
    assert 2.5 * abs(ours) < abs(theirs)


@every_stepping_method
def test_every_method_approaches_the_exact_solution(method: str) -> None:
    options = None if method in ADAPTIVE else {"step_size": 4e-3}
    y = node.odeint(lambda t, y: y * t.cos(), tensor(1.0), tensor(0.0, 2.0), method=method, options=options)
    rel = 2e-3 if method == "euler" else 3e-5 if method in ("midpoint", "heun2", "fehlberg2") else 1e-6
    assert y[-1].item() == pytest.approx(math.exp(math.sin(2.0)), rel=rel)


@pytest.mark.parametrize("method", ["explicit_adams", "implicit_adams"])
def test_max_order_is_the_order_of_an_adams_method(method: str) -> None:
    def error(step: float, **options: int) -> float:
        how = {"method": method, "options": {"step_size": step, **options}}
        y = node.odeint(lambda t, y: y * t.cos(), tensor(1.0), tensor(0.0, 2.0), **how)
        return abs(y[-1].item() - math.exp(math.sin(2.0)))

    for order in (2, 4):
        observed = math.log(error(0.1, max_order=order) / error(0.02, max_order=order), 5)
        assert observed == pytest.approx(order, abs=0.3)
    assert error(0.05, max_order=7) < error(0.05, max_order=5) < error(0.05, max_order=4)
    assert error(0.1) == error(0.1, max_order=4) == error(0.1, max_iters=2)
