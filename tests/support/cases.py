"""Parametrisations over all solvers, with fixed and adaptive steps, and over all gradient modes; and a field."""

import pytest
import torch
from torch import Tensor

from node import ADJOINTS, SOLVERS, FixedStep, PIDController

FIXED = FixedStep(dt=0.15)
TOLERANCE = PIDController(rtol=1e-4, atol=1e-4)
CASES = {f"{name}-fixed": (name, FIXED) for name in SOLVERS} | {
    f"{name}-adaptive": (name, TOLERANCE) for name in SOLVERS if SOLVERS[name].adaptive
}
every_case = pytest.mark.parametrize(("solver", "controller"), CASES.values(), ids=CASES)
every_gradient = pytest.mark.parametrize("gradient", ADJOINTS)


def seconds(*values: float, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.tensor(values, dtype=dtype)


def field(t: Tensor, y: Tensor) -> Tensor:
    """An elementwise, time-dependent field: the shape of the state makes no difference."""
    return torch.cos(2 * t) * y - y**2 / 4
