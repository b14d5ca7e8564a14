"""The outputs of samples that have their own steps, in the order of the backward solve."""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from node.per_sample.clock import Bools


class BackwardOutputs(NamedTuple):
    """Each sample's outputs, from the last one that the loss depends on back to the first.

    A state that is not finite was not reached by its sample, and the loss's gradient to it is left out.
    """

    times: Tensor  # (B, T) in float64 on the CPU; padded with the time of the first output
    y: Tensor  # (T, B, n), the states at these times
    jumps: Tensor  # (T, B, n), dL/dy at these times; zero at the first and the last
    start: Tensor  # (B, n), dL/dy at the last output, where the backward solve starts
    first: Tensor  # (B, n), dL/dy at the first output
    moving: Bools  # the samples whose backward solve is not empty

    @classmethod
    def of(cls, times: Tensor, y: Tensor, dl_dy: Tensor) -> "BackwardOutputs":
        """The backward outputs from times (B, T), y and dl_dy (T, B, n), in the order of the forward solve."""
        known = y.isfinite().all(dim=2)
        dl_dy = dl_dy.where(known.unsqueeze(2), 0.0)
        count = torch.arange(len(y), device=y.device).unsqueeze(1)
        last = torch.where((dl_dy != 0).any(dim=2), count, 0).amax(dim=0)
        output = (last - count).clamp(min=0)  # (T, B)
        sample = torch.arange(y.shape[1], device=y.device)
        jumps = dl_dy[output, sample].where(((output > 0) & (output < last)).unsqueeze(2), 0.0)
        start = dl_dy[last, sample].where((last > 0).unsqueeze(1), 0.0)
        times_back = times.gather(1, output.t().cpu())
        return cls(times_back, y[output, sample], jumps, start, dl_dy[0], (last > 0).cpu().numpy())

    def scaled(self) -> tuple["BackwardOutputs", Tensor]:
        """The outputs with dL/dy divided by its size (B, 1), and the size: the sum of the outputs' RMS norms, or 1."""
        norms = torch.linalg.vector_norm(self.jumps, dim=2).sum(dim=0) + torch.linalg.vector_norm(self.start, dim=1)
        size = (norms + torch.linalg.vector_norm(self.first, dim=1)) / math.sqrt(self.start.shape[1])
        size = size.where((size > 0) & size.isfinite(), 1.0).unsqueeze(1)
        return self._replace(jumps=self.jumps / size, start=self.start / size, first=self.first / size), size
