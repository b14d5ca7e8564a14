"""Columns (B, 1) on the device of the states (B, n), from NumPy vectors (B,) on the CPU."""

import numpy as np
import torch
from torch import Tensor

from node.per_sample.clock import Bools, Floats

_NARROW = (torch.float32, torch.complex64)


def column(x: Floats, y: Tensor) -> Tensor:
    """The column of times or step sizes, in the states' real dtype."""
    narrow = x.astype(np.float32) if y.dtype in _NARROW else x
    return torch.from_numpy(narrow[:, None]).to(y.device, non_blocking=True)


def mask(samples: Bools, y: Tensor) -> Tensor:
    """The column of a mask of samples."""
    return torch.from_numpy(samples[:, None]).to(y.device, non_blocking=True)
