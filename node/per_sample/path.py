"""The samples' solutions as functions of time: for each sample a polynomial in each of its steps."""

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
    t1: Floats  # equal to t in samples that did not move
    moved: Bools  # the samples that accepted the try
    y: Tensor  # (B, n)
    c: Tensor  # (degree, B, n), of theta, theta^2, ...; without meaning in samples that did not move

    def at(self, theta: Tensor) -> Tensor:
        """The states (B, n) at theta (B, 1), a separate value for each sample."""
        state = self.c[-1]
        for c in reversed(self.c[:-1].unbind()):
            state = torch.addcmul(c, state, theta)
        return torch.addcmul(self.y, state, theta)


class StepTable(NamedTuple):
    """The times of M steps of B samples, in the order of tries, and the indices of each sample's steps among them."""

    t: Tensor  # (M,), in float64
    dt: Tensor  # (M,), signed
    sign: float  # of dt
    ends: Tensor  # (B, K), the ends of each sample's steps, multiplied by sign; infinite after its last step
    places: Tensor  # (B, K), the indices of these steps among the M
    last: Tensor  # (B, 1), the number of each sample's last step; 0 if it took none
    end: Tensor  # (B,), the end of this step; NaN if there is none

    @classmethod
    def of(cls, pieces: Sequence[SamplePiece], device: torch.device) -> "StepTable":
        """The table of the steps in these tries."""
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
    """y_b(t) of every sample b; outside of its steps by the polynomial of the nearest one."""

    def __init__(self, steps: StepTable, y: Tensor, c: Tensor) -> None:
        """Build the path from the states at the steps' starts y (M, n) and their polynomials c (M, degree, n)."""
        self.steps = steps
        self.y = y
        self.c = c
        self._exponents = torch.arange(1, c.shape[1] + 1, dtype=torch.float64, device=c.device)

    @classmethod
    def of(cls, pieces: Sequence[SamplePiece]) -> "SamplePath":
        """The path of these tries, without the samples that did not move in them."""
        degree = max(len(piece.c) for piece in pieces)
        rows = [None if piece.moved.all() else torch.from_numpy(np.flatnonzero(piece.moved)) for piece in pieces]
        y = torch.cat([_rows(piece.y, row, 0) for piece, row in zip(pieces, rows, strict=True)])
        c = [_padded(_rows(piece.c, row, 1), degree) for piece, row in zip(pieces, rows, strict=True)]
        return cls(StepTable.of(pieces, y.device), y, torch.cat(c, dim=1).transpose(0, 1).contiguous())

    def at(self, t: Tensor) -> Tensor:
        """The states (B, m, n) at m times of each sample, t (B, m) in float64; differentiable in t too."""
        steps = self.steps
        place = torch.searchsorted(steps.ends, (steps.sign * t.detach()).contiguous()).minimum(steps.last)
        row = steps.places.gather(1, place).reshape(-1)
        theta = (t.reshape(-1) - steps.t[row]) / steps.dt[row]
        powers = (theta.unsqueeze(1) ** self._exponents).to(self.c.dtype).unsqueeze(1)
        return summed(self.y[row], powers, self.c[row]).view(*t.shape, -1)


def summed(y: Tensor, powers: Tensor, c: Tensor) -> Tensor:
    """y + sum_j theta^j c_j, (m, 1, n), from y (m, n), powers of theta (m, 1, degree) and c (m, degree, n)."""
    return torch.baddbmm(y.unsqueeze(1), powers, c)


def _rows(x: Tensor, rows: Tensor | None, dim: int) -> Tensor:
    return x if rows is None else x.index_select(dim, rows.to(x.device))


def _padded(c: Tensor, degree: int) -> Tensor:
    """c padded with zeros up to this degree, as the first steps of a multistep method have another degree."""
    return c if len(c) == degree else torch.cat((c, c.new_zeros(degree - len(c), *c.shape[1:])))
