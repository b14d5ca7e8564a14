"""Fields, and functions that make the same call with node and with torchdiffeq."""

from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
import torch
import torchdiffeq
from torch import Tensor, nn

import node
from node.torchdiffeq_api.methods import ADAMS, ADAPTIVE, FIXED, METHODS

ADAPTIVE_IN_TORCHDIFFEQ = [name for name in ADAPTIVE if name != "tsit5"]  # the release 0.2.5 has no tsit5
every_fixed_method = pytest.mark.parametrize("method", FIXED)
every_adaptive_method = pytest.mark.parametrize("method", ADAPTIVE)
every_adaptive_method_of_torchdiffeq = pytest.mark.parametrize("method", ADAPTIVE_IN_TORCHDIFFEQ)
every_stepping_method = pytest.mark.parametrize("method", [*ADAPTIVE, *FIXED, *ADAMS])
every_method = pytest.mark.parametrize("method", METHODS)
both_interfaces = pytest.mark.parametrize("interface", ["odeint", "odeint_adjoint"])
both_directions = pytest.mark.parametrize("ends", [(0.0, 2.0), (2.0, 0.0)], ids=["forwards", "backwards"])


def tensor(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


# Tolerances at which each method takes some hundred steps, and the error of states and gradients at this tolerance.
TOLERANCES = {"dopri5": 1e-9, "dopri8": 1e-9, "bosh3": 1e-6, "fehlberg2": 1e-5, "adaptive_heun": 1e-4}
ERRORS = {"fehlberg2": 1e-2, "adaptive_heun": 2e-3, "bosh3": 1e-4}


class Field(nn.Module):
    """y' = tanh(A y) cos t with a learnable A; the field counts its calls."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Parameter(torch.tensor([[0.3, -1.1], [0.8, 0.5]], dtype=torch.float64))
        self.calls = 0

    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        self.calls += 1
        return torch.tanh(y @ self.a) * torch.cos(t)


class Pair(nn.Module):
    """A field of a tuple of two coupled states of different shapes."""

    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.tensor(0.7, dtype=torch.float64))

    def forward(self, t: Tensor, y: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        matrix, scalar = y
        return -self.w * matrix * scalar, torch.sin(matrix).sum() * torch.cos(t)


Y0 = tensor(0.9, -0.4)
PAIR_Y0 = (torch.linspace(-1, 1, 6, dtype=torch.float64).reshape(2, 3), torch.tensor(0.5, dtype=torch.float64))


def times(ends: tuple[float, float], n: int = 5) -> Tensor:
    return torch.linspace(*ends, n, dtype=torch.float64)


def both(call: Callable[[ModuleType], Any]) -> tuple[Any, Any]:
    """The results of the call with node and with torchdiffeq."""
    return call(node), call(torchdiffeq)


def gradients(interface: Callable[..., Any], t: Tensor, **how: Any) -> tuple[Tensor, ...]:
    """The gradients of a loss on every output in y0, t and the parameter of `Field`."""
    f, y0, t = Field(), Y0.clone().requires_grad_(), t.clone().requires_grad_()
    y = interface(f, y0, t, **how)
    weights = torch.linspace(0.5, 1.5, y.numel(), dtype=torch.float64).view_as(y)
    return torch.autograd.grad((y.square() * weights).sum(), (y0, t, f.a))


class Wide(nn.Module):
    """A net with many more parameters than states that counts its calls in both passes."""

    def __init__(self, width: int = 200) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(1)
        self.inner = nn.Parameter(torch.randn(2, width, generator=generator, dtype=torch.float64))
        self.outer = nn.Parameter(torch.randn(width, 2, generator=generator, dtype=torch.float64) / width**0.5)
        self.calls = 0

    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        self.calls += 1
        return torch.tanh(torch.tanh(y @ self.inner) @ self.outer) - 0.1 * y
