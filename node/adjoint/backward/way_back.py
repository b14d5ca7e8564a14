"""The outputs of samples that have their own steps, on the way back."""

import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from node.per_sample.clock import Bools


class WayBack(NamedTuple):
    """The way from each sample's last output on which the loss depends to its first, where it stays.

    A state that is not finite is none that a sample has reached: what the loss makes of it is left out.
    """

    times: Tensor  # (B, T) in float64 on the CPU; the first output's, once it is reached
    y: Tensor  # (T, B, n), the states at these times
    jumps: Tensor  # (T, B, n), dL/dy there; zero at either end
    start: Tensor  # (B, n), dL/dy at the last output
    first: Tensor  # (B, n), dL/dy at the first
    moving: Bools  # the samples that have some way to go

    @classmethod
    def of(cls, times: Tensor, y: Tensor, dl_dy: Tensor) -> "WayBack":
        """times (B, T); y and dl_dy (T, B, n), in the solve's order."""
        known = y.isfinite().all(dim=2)
        dl_dy = dl_dy.where(known.unsqueeze(2), 0.0)
        count = torch.arange(len(y), device=y.device).unsqueeze(1)
        last = torch.where((dl_dy != 0).any(dim=2), count, 0).amax(dim=0)
        output = (last - count).clamp(min=0)  # (T, B)
        sample = torch.arange(y.shape[1], device=y.device)
        jumps = dl_dy[output, sample].where(((output > 0) & (output < last)).unsqueeze(2), 0.0)
        start = dl_dy[last, sample].where((last > 0).unsqueeze(1), 0.0)
        way = times.gather(1, output.t().cpu())
        return cls(way, y[output, sample], jumps, start, dl_dy[0], (last > 0).cpu().numpy())

    def scaled(self) -> tuple["WayBack", Tensor]:
        """The way with dL/dy over its size, and the size (B, 1): the sum of its outputs' root mean squares, or 1."""
        norms = torch.linalg.vector_norm(self.jumps, dim=2).sum(dim=0) + torch.linalg.vector_norm(self.start, dim=1)
        size = (norms + torch.linalg.vector_norm(self.first, dim=1)) / math.sqrt(self.start.shape[1])
        size = size.where((size > 0) & size.isfinite(), 1.0).unsqueeze(1)
        return self._replace(jumps=self.jumps / size, start=self.start / size, first=self.first / size), size

    @property
    def model(self) -> int:
        """A sample that has some way to go."""
        return int(np.argmax(self.moving))
