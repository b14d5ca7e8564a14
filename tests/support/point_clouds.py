"""Point clouds in the plane, on which models are trained."""

import torch
from torch import Tensor


def moons(n: int) -> tuple[Tensor, Tensor]:
    """Two interleaved half circles with noise 0.1: points (n, 2) and labels (n,)."""
    upper = torch.rand(n) < 0.5
    angle = torch.pi * torch.rand(n)
    x = torch.where(upper, angle.cos(), 1 - angle.cos()) - 0.5
    y = torch.where(upper, angle.sin(), 0.5 - angle.sin()) - 0.25
    return torch.stack((x, y), dim=1) + 0.1 * torch.randn(n, 2), upper.long()


def circles(n: int) -> tuple[Tensor, Tensor]:
    """Two concentric circles of radii 1/2 and 1 with noise of 5 %: points (n, 2) and labels (n,)."""
    inner = torch.rand(n) < 0.5
    angle = 2 * torch.pi * torch.rand(n)
    radius = torch.where(inner, 0.5, 1.0) * (1 + 0.05 * torch.randn(n))
    return torch.stack((radius * angle.cos(), radius * angle.sin()), dim=1), inner.long()
