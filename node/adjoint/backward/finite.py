"""A check that a gradient is finite."""

import math

import torch
from torch import Tensor


def is_finite(x: Tensor) -> bool:
    """Whether all entries of x are finite, by one reduction and one wait for the device."""
    return not x.numel() or math.isfinite(torch.linalg.vector_norm(x, ord=math.inf))
