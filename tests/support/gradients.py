"""Fields for tests of gradients, and functions that take and compare gradients."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from node import ADJOINTS, SOLVERS, PIDController, solve
from tests.support.families import ADAPTIVE, PRECISE

every_solver = pytest.mark.parametrize("solver", SOLVERS.values(), ids=SOLVERS)
every_adaptive_solver = pytest.mark.parametrize("name", ADAPTIVE)
every_precise_solver = pytest.mark.parametrize("name", PRECISE)
every_gradient = pytest.mark.parametrize("gradient", ADJOINTS)
TOLERANCE = PIDController(rtol=1e-8, atol=1e-8)


def tensor(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


class Spiral(nn.Module):
    """y' = y^3 A, with learnable A."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Parameter(torch.tensor([[-0.1, 2.0], [-2.0, -0.1]], dtype=torch.float64))

    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        return y**3 @ self.a


class Net(nn.Module):
    """A net that depends on time, with an unused and a frozen parameter."""

    def __init__(self, dtype: torch.dtype = torch.float64) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(3)

        def draw(*shape: int) -> Tensor:
            return torch.randn(*shape, generator=generator, dtype=torch.float64).to(dtype)

        self.inner, self.outer = nn.Parameter(draw(3, 8)), nn.Parameter(draw(8, 3) / 4)
        self.unused = nn.Parameter(draw(5))
        self.frozen = nn.Parameter(draw(8), requires_grad=False)

    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        return torch.tanh(y @ self.inner + self.frozen * torch.cos(t)) @ self.outer


def gradient_of(
    loss: Callable[[Tensor], Tensor], f: nn.Module, y0: Tensor, t: Tensor, **how: object
) -> tuple[Tensor, ...]:
    """dL/dy0 and dL/dp for all parameters p that are used and require grad."""
    y0 = y0.detach().clone().requires_grad_()
    used = [p for p in f.parameters() if p.requires_grad and p is not getattr(f, "unused", None)]
    y = solve(f, y0, t, **how).require_success().y
    return torch.autograd.grad(loss(y), (y0, *used))


def relative_error(found: tuple[Tensor, ...], true: tuple[Tensor, ...]) -> float:
    flat = [torch.cat([x.reshape(-1) for x in gradient]) for gradient in (found, true)]
    return ((flat[0] - flat[1]).norm() / flat[1].norm()).item()


def mean_abs(y: Tensor) -> Tensor:
    return y.abs().mean()


SPIRAL_T = torch.linspace(0, 1.5, 4, dtype=torch.float64)
SPIRAL_Y0 = tensor(2.0, 0.0)
NET_T = tensor(0.0, 0.25, 0.5, 1.0)
NET_Y0 = torch.linspace(-1, 1, 6, dtype=torch.float64).reshape(2, 3)


class Growth(nn.Module):
    """z' = alpha z, the toy problem of the papers on ACA and MALI."""

    def __init__(self) -> None:
        super().__init__()
        self.alpha = nn.Parameter(torch.tensor(0.7, dtype=torch.float64))

    def forward(self, t: Tensor, z: Tensor) -> Tensor:
        return self.alpha * z
