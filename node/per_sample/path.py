"""The samples' solutions as functions of time, each a polynomial in every step of its own."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from node.per_sample.clock import Bools, Floats


class SamplePiece(NamedTuple):
    """A try's polynomials: y_b(t_b + theta (t1_b - t_b)) = y_b + sum_j theta^j c_jb in each sample b that moved."""

    t: Floats  # (B,)
    t1: Floats  # t, of samples that did not move
    moved: Bools
    y: Tensor  # (B, n)
    c: Tensor  # (degree, B, n), of theta, theta^2, ...; of no meaning in samples that did not move

    def at(self, theta: Tensor) -> Tensor:
        """States (B, n), at theta (B, 1) of the samples' own."""
        state = self.c[-1]
        for c in reversed(self.c[:-1].unbind()):
            state = torch.addcmul(c, state, theta)
        return torch.addcmul(self.y, state, theta)


class StepTable(NamedTuple):
    """The times of M steps of B samples, in the order of tries, and where each sample's own stand among them."""

    t: Tensor  # (M,), in float64
    dt: Tensor  # (M,), signed
    sign: float  # of dt
    ends: Tensor  # (B, K), where the K-th and earlier steps of each sample end, times sign; infinite beyond its last
    places: Tensor  # (B, K), their places among the M
    last: Tensor  # (B, 1), each sample's last step; 0 where it took none
    end: Tensor  # (B,), where that ends; NaN where there is none

    @classmethod
    def of(cls, pieces: Sequence[SamplePiece], device: torch.device) -> "StepTable":
        """The table of the steps that these tries have taken."""
        moved = np.stack([piece.moved for piece in pieces])
        t, t1 = (np.stack(times)[moved] for times in zip(*[(piece.t, piece.t1) for piece in pieces], strict=True))
        places = np.where(moved, moved.cumsum().reshape(moved.shape) - 1, 0)
        counts = moved.sum(axis=0)
        sample, step = np.nonzero(np.arange(counts.max()) < counts[:, None])
        own = places.T[moved.T]  # sample by sample
        sign = 1.0 if t1[0] > t[0] else -1.0
        ends, table = np.full((len(counts), counts.max()), math.inf), np.zeros((len(counts), counts.max()), np.int64)
        ends[sample, step], table[sample, step] = sign * t1[own], own
        last = np.maximum(counts - 1, 0)[:, None]
        end = np.where(counts > 0, sign * np.take_along_axis(ends, last, axis=1)[:, 0], math.nan)

        def put(x: NDArray[Any]) -> Tensor:
            return torch.from_numpy(x).to(device)

        return cls(put(t), put(t1 - t), sign, put(ends), put(table), put(last), put(end))


class SamplePath:
    """y_b(t) of every sample b; beyond the ends of its steps by the nearest of them."""

    def __init__(self, steps: StepTable, y: Tensor, c: Tensor) -> None:
        """y: (M, n), the states at the steps' starts. c: (M, degree, n), their polynomials."""
        self.steps = steps
        self.y = y
        self.c = c
        self._exponents = torch.arange(1, c.shape[1] + 1, dtype=torch.float64, device=c.device)

    @classmethod
    def of(cls, pieces: Sequence[SamplePiece]) -> "SamplePath":
        """What these tries found, without what rested in them."""
        degree = max(len(piece.c) for piece in pieces)
        rows = [None if piece.moved.all() else torch.from_numpy(np.flatnonzero(piece.moved)) for piece in pieces]
        y = torch.cat([_rows(piece.y, row, 0) for piece, row in zip(pieces, rows, strict=True)])
        c = [_padded(_rows(piece.c, row, 1), degree) for piece, row in zip(pieces, rows, strict=True)]
        return cls(StepTable.of(pieces, y.device), y, torch.cat(c, dim=1).transpose(0, 1).contiguous())

    def at(self, t: Tensor) -> Tensor:
        """States (B, m, n) at m times of each sample, t (B, m) in float64; differentiable in t too."""
        steps = self.steps
        place = torch.searchsorted(steps.ends, (steps.sign * t.detach()).contiguous()).minimum(steps.last)
        row = steps.places.gather(1, place).reshape(-1)
        theta = (t.reshape(-1) - steps.t[row]) / steps.dt[row]
        powers = (theta.unsqueeze(1) ** self._exponents).to(self.c.dtype).unsqueeze(1)
        return summed(self.y[row], powers, self.c[row]).view(*t.shape, -1)


def summed(y: Tensor, powers: Tensor, c: Tensor) -> Tensor:
    """y + sum_j theta^j c_j, (m, 1, n), from y (m, n), the powers of theta (m, 1, degree) and c (m, degree, n)."""
    return torch.baddbmm(y.unsqueeze(1), powers, c)


def _rows(x: Tensor, rows: Tensor | None, dim: int) -> Tensor:
    return x if rows is None else x.index_select(dim, rows.to(x.device))


def _padded(c: Tensor, degree: int) -> Tensor:
    """C with zeros for the powers that it has not: the first steps of a multistep method have another degree."""
    return c if len(c) == degree else torch.cat((c, c.new_zeros(degree - len(c), *c.shape[1:])))
