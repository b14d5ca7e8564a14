"""Times that a float type cannot tell apart: a warning in one line, or an error that names the cause."""

import math
import warnings
from typing import Any

import pytest
import torch
from torch import Tensor

from node import FixedStep, PIDController, Solution, odeint, solve

UNIX = 1.7e9  # seconds since 1970, where neighbouring float32 numbers are 128 s apart
CONTROLLERS = [PIDController(rtol=1e-3, atol=1e-3), FixedStep(dt=0.5)]
every_controller = pytest.mark.parametrize("controller", CONTROLLERS, ids=["adaptive", "fixed"])


def integral_of_cos(t: Tensor, dtype: torch.dtype, controller: Any = CONTROLLERS[0], **how: Any) -> Solution[Tensor]:
    def f(time: Tensor, y: Tensor) -> Tensor:
        return torch.cos(time - UNIX).expand(y.shape)

    return solve(f, torch.zeros(2, 1, dtype=dtype), t, solver="dopri5", controller=controller, **how)


def times(start: float, span: float, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.tensor([start, start + span], dtype=torch.float64).to(dtype)


@every_controller
def test_a_float32_state_at_unix_times_gives_one_warning(controller: Any) -> None:
    with pytest.warns(RuntimeWarning) as caught:
        wrong = integral_of_cos(times(UNIX, 10.0), torch.float32, controller).y[-1, 0].item()
    assert [str(warning.message) for warning in caught] == [
        "t reaches 1.7e+09, where torch.float32 knows times 1.3e+02 apart, for a solve over 10: "
        "f sees them rounded; count t from the start of the solve, or take y0 and t in float64"
    ]
    assert caught[0].filename == __file__
    assert wrong == pytest.approx(10.0)  # the true value is sin 10 = -0.54


def without_a_warning(t: Tensor, dtype: torch.dtype, **how: Any) -> Solution[Tensor]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return integral_of_cos(t, dtype, **how)


def test_the_advised_remedies_give_true_values_without_a_warning() -> None:
    for y in (without_a_warning(times(UNIX, 10.0), torch.float64).y, odeint_from_zero()):
        assert y[-1].reshape(-1)[0].item() == pytest.approx(math.sin(10.0), abs=1e-2)


def odeint_from_zero() -> Tensor:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return odeint(lambda t, y: torch.cos(t).expand(1), torch.zeros(1), torch.tensor([0.0, 10.0]))


def test_float32_times_that_are_too_coarse_give_a_warning_beside_a_float64_state() -> None:
    with pytest.warns(RuntimeWarning, match="knows times 1.3e\\+02 apart, for a solve over 128: "):
        integral_of_cos(times(UNIX, 100.0, torch.float32), torch.float64)


def test_times_that_float32_rounds_to_one_number_are_refused_with_the_cause() -> None:
    with pytest.raises(ValueError, match=r"drop doubles, or take it in float64 if torch\.float32 has made them$"):
        integral_of_cos(times(UNIX, 10.0, torch.float32), torch.float32)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
@pytest.mark.parametrize(
    "ends", [(0.0, 1.0), (1.0, 0.0), (0.5, 1.0), (-1.0, 1.0), (0.0, 1e4), (0.0, 1e-6), (99.0, 100.0)]
)
def test_ordinary_times_give_no_warning(dtype: torch.dtype, ends: tuple[float, float]) -> None:
    without_a_warning(torch.tensor(ends, dtype=torch.float32 if 99.0 in ends else dtype), dtype, max_steps=10)


def test_one_sample_with_unix_times_among_others_gives_a_warning() -> None:
    t = torch.stack((times(0.0, 10.0), times(UNIX, 10.0)))
    how = {"batch": "independent", "max_steps": 100}
    with pytest.warns(RuntimeWarning, match="for a solve over 10: "):
        integral_of_cos(t, torch.float32, **how)
    without_a_warning(t - torch.tensor([[0.0], [UNIX]], dtype=torch.float64), torch.float32, **how)
