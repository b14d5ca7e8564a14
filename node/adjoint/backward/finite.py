"""Whether a gradient is a number."""

import math

import torch
from torch import Tensor


def is_finite(x: Tensor) -> bool:
    """Whether each of its entries is: by one reduction, and one look at its outcome."""
    return not x.numel() or math.isfinite(torch.linalg.vector_norm(x, ord=math.inf))
