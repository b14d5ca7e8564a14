"""Dense output of samples that have their own steps."""

import math
from collections.abc import Sequence
from typing import Generic, cast

import torch
from torch import Tensor

from node.errors import CallError
from node.layout import Layout
from node.per_sample.path import SamplePath, SamplePiece
from node.refusal import Refusal
from node.vector_field import S


class SampleDenseOutput(Generic[S]):
    """The solution as a function of time, for each sample over its own steps: `solution.dense(t)`.

    t0, t1: (B,) in float64, the first and the last output time of each sample. refusal: refuses gradients, for modes
    without gradients through dense output.
    """

    def __init__(
        self, pieces: Sequence[SamplePiece], times: Tensor, layout: Layout, refusal: Refusal | None = None
    ) -> None:
        """Join the pieces of all tries; times: (B, T), the output times."""
        self.t0 = times[:, 0]
        self.t1 = times[:, -1]
        self._path = SamplePath.of(pieces)
        self._layout = layout
        self._refusal = refusal

    def __call__(self, t: Tensor | float) -> S:
        """The states (T, B, ...) at times t (T,), or (B, T) with separate times for each sample; (B, ...) at one time.

        Times lie within [t0, t1], in any order. States are NaN at times after a sample's failure or its event. They are
        differentiable in t, and in all else that the solve's own states are differentiable in.
        """
        t = t.to("cpu", torch.float64) if isinstance(t, Tensor) else torch.tensor(t, dtype=torch.float64, device="cpu")
        times = self._checked(t)
        steps, times = self._path.steps, times.to(self._path.y.device)
        reached = steps.sign * times <= steps.sign * steps.end.unsqueeze(1)
        flat = self._path.at(times).where(reached.unsqueeze(2), math.nan).transpose(0, 1)
        if self._refusal is not None:
            (flat,) = self._refusal.of(flat)
        states = self._layout.restore_all(flat[0].unsqueeze(0) if t.dim() == 0 else flat)
        if t.dim() > 0:
            return cast(S, states)
        return cast(S, states[0] if isinstance(states, Tensor) else tuple(state[0] for state in states))

    def _checked(self, t: Tensor) -> Tensor:
        """The times as (B, T); a CallError for a wrong shape, or for times outside of the solve."""
        samples = len(self.t0)
        if t.dim() > 2 or (t.dim() == 2 and len(t) != samples):
            raise CallError(
                f"t has shape {tuple(t.shape)}: dense output takes (), (T,) or ({samples}, T), "
                "with times of each sample's own"
            )
        times = t.reshape(-1).expand(samples, -1) if t.dim() < 2 else t
        first, last = torch.minimum(self.t0, self.t1).unsqueeze(1), torch.maximum(self.t0, self.t1).unsqueeze(1)
        outside = ~((first <= times) & (times <= last))
        if outside.any():
            sample, i = outside.nonzero()[0].tolist()
            raise CallError(
                f"t={times[sample, i].item()!r} is outside of the solve: dense output of sample {sample} holds within "
                f"[{self.t0[sample].item()!r}, {self.t1[sample].item()!r}]"
            )
        return times
