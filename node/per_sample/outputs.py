"""The states at the output times of many samples, collected in any order."""

import math

import numpy as np
import torch
from torch import Tensor

from node.per_sample.clock import Ints, Within
from node.per_sample.path import summed


class SampleOutputs:
    """Pieces that are finally joined to one tensor (T, B, n): differentiable, and NaN where no state was stored."""

    def __init__(self, y0: Tensor, n_outputs: int) -> None:
        self._samples, self._n = y0.shape
        self._n_outputs = n_outputs
        self._places = [np.arange(self._samples)]  # output * B + sample of each state
        self._states = [y0]

    def keep(self, output: Ints, sample: Ints, states: Tensor) -> None:
        """Store states (m, n) for their outputs and samples (m,)."""
        self._places.append(output * self._samples + sample)
        self._states.append(states)

    def all(self) -> Tensor:
        """The states (T, B, n) at all outputs."""
        found = torch.cat(self._states)
        places = torch.from_numpy(np.concatenate(self._places)).to(found.device)
        outputs = found.new_full((self._n_outputs * self._samples, self._n), math.nan)
        return outputs.index_copy(0, places, found).view(self._n_outputs, self._samples, self._n)


def states(y: Tensor, sample: Ints) -> Tensor:
    """The states of the samples with these indices (m,)."""
    return y.index_select(0, torch.from_numpy(sample).to(y.device, non_blocking=True))


def interpolated(y: Tensor, c: Tensor, within: Within) -> Tensor:
    """The states (m, n) at the outputs within a step, from its start y and its dense output c (of `Solver.dense`)."""
    powers = torch.from_numpy(within.theta[:, None, None] ** np.arange(1.0, len(c) + 1))
    rows = torch.from_numpy(within.sample).to(y.device, non_blocking=True)
    weights = powers.to(y.device, y.dtype, non_blocking=True)
    return summed(y.index_select(0, rows), weights, c.index_select(1, rows).transpose(0, 1)).squeeze(1)
