"""Per-sample operations on a solver's carry: a tensor (B, ...), or a tuple of such tensors."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from node.per_sample.clock import Bools
from node.solvers.carry import parts, rebuilt


def select(mask: Tensor, new: Any, old: Any) -> Any:
    """The carry with `new` in samples where the mask (B, 1) is true, and `old` in the others."""
    if isinstance(new, Tensor):
        return torch.where(mask if new.dim() == 2 else mask.view(-1, *(1,) * (new.dim() - 1)), new, old)
    return rebuilt(new, [select(mask, *pair) for pair in zip(new, old, strict=True)])


def finite(*carries: Any) -> Bools:
    """For each sample whether all carries are finite: (B,)."""
    tensors = [x for carry in carries for x in parts(carry)]
    found: Bools = np.all([torch.isfinite(x.detach()).flatten(1).all(dim=1).cpu().numpy() for x in tensors], axis=0)
    return found
