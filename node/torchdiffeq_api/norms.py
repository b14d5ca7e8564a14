"""torchdiffeq's norms, which take a user's states, as norms of flat states."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from node.adjoint import AdjointNorm, block_norm, seminorm
from node.controller import Norm, rms_norm
from node.errors import CallError, CallTypeError
from node.layout import State, layout_of
from node.torchdiffeq_api.options import UserNorm


def state_norm(norm: UserNorm | str | None, y0: State) -> Norm:
    """The norm given as an option; by default the root mean square, for a tuple the largest over its tensors."""
    if norm is None:
        return rms_norm if isinstance(y0, Tensor) else _mixed_norm([part.numel() for part in y0])
    if not callable(norm):
        error = CallError if isinstance(norm, str) else CallTypeError
        raise error(f"option norm is {norm!r}: pass a function of the state (`'seminorm'`: in adjoint_options)")
    layout = layout_of(y0)
    return lambda x: norm(layout.restore(x))


def _mixed_norm(sizes: list[int]) -> Norm:
    sizes = [size for size in sizes if size]  # a tensor without an entry has no norm

    def largest(x: Tensor) -> Tensor:
        parts = x.split(sizes)
        return torch.stack([torch.linalg.vector_norm(part) / math.sqrt(len(part)) for part in parts]).max()

    return largest


def adjoint_norm(norm: UserNorm | str | None, y0: State, parameters: Sequence[Tensor]) -> AdjointNorm:
    """The norm of the backward solve: the default, `"seminorm"`, or a function of (t, y, dL/dy, *dL/dp).

    Where y0 is a tuple, its tensors and those of dL/dy are separate entries. t is zero, as a gradient to the times is
    no part of the backward solve.
    """
    if norm is None:
        return block_norm
    if norm == "seminorm":
        return seminorm
    if isinstance(norm, str) or not callable(norm):
        error = CallError if isinstance(norm, str) else CallTypeError
        raise error(f"adjoint option norm is {norm!r}: pass 'seminorm' or a function of (t, y, dL/dy, *dL/dp)")
    layout, of_all = layout_of(y0), norm

    def total(_of_state: Norm, y: Tensor, a: Tensor, g: Tensor) -> float:
        parts = (g.new_zeros(()), *_parts(layout.restore(y)), *_parts(layout.restore(a)), *_gradients(g, parameters))
        return float(of_all(parts))

    return total


def _parts(state: State) -> tuple[Tensor, ...]:
    return state if isinstance(state, tuple) else (state,)


def _gradients(g: Tensor, parameters: Sequence[Tensor]) -> list[Tensor]:
    """The gradients to the parameters, each in its shape, and one vector with all other gradients, if there are any."""
    sizes = [p.numel() * (2 if p.is_complex() else 1) for p in parameters]
    others = len(g) - sum(sizes)
    parts = g.split([*sizes, others])
    shaped = [
        torch.view_as_complex(part.view(*p.shape, 2)) if p.is_complex() else part.view(p.shape)
        for part, p in zip(parts, parameters, strict=False)
    ]
    return [*shaped, parts[-1]] if others else shaped
