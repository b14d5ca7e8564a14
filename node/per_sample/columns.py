"""What is known of each sample on the CPU, (B,), as a column (B, 1) beside states (B, n)."""

import numpy as np
import torch
from torch import Tensor

from node.per_sample.clock import Bools, Floats

_NARROW = (torch.float32, torch.complex64)


def column(x: Floats, y: Tensor) -> Tensor:
    """Times or step sizes as a column, in the states' real dtype."""
    narrow = x.astype(np.float32) if y.dtype in _NARROW else x
    return torch.from_numpy(narrow[:, None]).to(y.device, non_blocking=True)


def mask(samples: Bools, y: Tensor) -> Tensor:
    """A mask of samples as a column."""
    return torch.from_numpy(samples[:, None]).to(y.device, non_blocking=True)
