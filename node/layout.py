"""The layout of a user's state in the flat vector that a solver works on."""

import functools
import math
from collections.abc import Iterable

import torch
from torch import Tensor

from node.errors import CallError, CallTypeError

State = Tensor | tuple[Tensor, ...]


class TensorLayout:
    """The layout of one tensor of any shape: (n,), or with `samples` (B, n) with the first dimension kept.

    A state in float16 or bfloat16 is solved in float32, as its rounding would absorb small steps; f gets it in its own
    dtype.
    """

    def __init__(self, y0: Tensor, *, samples: bool = False, dtype: torch.dtype | None = None) -> None:
        self.samples = samples
        self.shape = y0.shape
        self.dtype = dtype or solver_dtype(y0)
        self.device = y0.device
        self.flat_shape = (len(y0), math.prod(y0.shape[1:])) if samples else (y0.numel(),)
        self.template = y0.detach()
        self.flat_template = self.template.reshape(self.flat_shape)
        self.is_inference = y0.is_inference()
        self._user_dtype = None if y0.dtype == self.dtype else y0.dtype

    def flatten(self, y: State) -> Tensor:
        """The solver's vector of a user's tensor. Its shape may differ from the state's in dimensions of size 1."""
        if not isinstance(y, Tensor):
            raise CallTypeError(f"the vector field returned a {type(y).__name__}: the state is one tensor, so is dy/dt")
        if y.shape != self.shape and _longer_than_one(y.shape) != _longer_than_one(self.shape):
            raise CallError(
                f"the vector field returned shape {tuple(y.shape)} for a state of shape {tuple(self.shape)}: "
                "dy/dt must have the state's shape"
            )
        check_place(y, self.device)
        flat = y.reshape_as(self.flat_template)
        if flat.dtype == self.dtype:
            return flat
        if flat.is_complex() and not self.dtype.is_complex:
            raise CallError("the vector field returned complex numbers for a real state: pass y0 as complex")
        return flat.to(self.dtype)

    def restore(self, flat: Tensor) -> Tensor:
        """The user's tensor of a solver's vector."""
        y = flat.view_as(self.template)
        return y if self._user_dtype is None else y.to(self._user_dtype)

    def restore_all(self, flat: Tensor) -> Tensor:
        """The tensor (m, *shape) of several solver's vectors (m, ...)."""
        y = flat.reshape(len(flat), *self.shape)
        return y if self._user_dtype is None else y.to(self._user_dtype)


def check_place(dy: Tensor, device: torch.device) -> None:
    """Raise a CallError for a dy/dt on another device than the state, or for a sparse one."""
    if dy.device != device:
        raise CallError(
            f"the vector field returned a tensor on {dy.device} for a state on {device}: "
            "dy/dt must be where the state is"
        )
    if dy.layout is not torch.strided:
        raise CallError(f"the vector field returned a {dy.layout} tensor for a dense state: return dy.to_dense()")


class TupleLayout:
    """The layout of a tuple of tensors: concatenated in one vector, in the dtype to which their dtypes promote."""

    def __init__(self, y0: tuple[Tensor, ...], *, samples: bool = False) -> None:
        self.dtype = functools.reduce(torch.promote_types, map(solver_dtype, y0))
        self._parts = [TensorLayout(y, samples=samples, dtype=self.dtype) for y in y0]
        self._sizes = [part.flat_shape[-1] for part in self._parts]
        self.samples = samples
        self.shape = y0[0].shape
        self.shapes = tuple(tuple(y.shape) for y in y0)
        self.device = y0[0].device
        self.is_inference = any(part.is_inference for part in self._parts)
        self.flat_shape = (*self._parts[0].flat_shape[:-1], sum(self._sizes))

    def flatten(self, y: State) -> Tensor:
        """The solver's vector of a user's tuple."""
        parts = tuple(y) if isinstance(y, Iterable) and not isinstance(y, Tensor) else None
        if parts is None:
            kind = "one tensor" if isinstance(y, Tensor) else f"a {type(y).__name__}"
            raise CallTypeError(
                f"the vector field returned {kind}: the state is a tuple of {len(self._parts)}, as is dy/dt"
            )
        if len(parts) != len(self._parts):
            raise CallError(
                f"the vector field returned {len(parts)} tensors: the state is a tuple of {len(self._parts)}, "
                "as is dy/dt"
            )
        return torch.cat([part.flatten(x) for part, x in zip(self._parts, parts, strict=True)], dim=-1)

    def restore(self, flat: Tensor) -> tuple[Tensor, ...]:
        """The user's tuple of a solver's vector."""
        pieces = flat.split(self._sizes, dim=-1)
        return tuple(part.restore(piece.contiguous()) for part, piece in zip(self._parts, pieces, strict=True))

    def restore_all(self, flat: Tensor) -> tuple[Tensor, ...]:
        """The tuple of tensors (m, *shape) of several solver's vectors (m, ...)."""
        pieces = flat.split(self._sizes, dim=-1)
        return tuple(part.restore_all(piece) for part, piece in zip(self._parts, pieces, strict=True))


Layout = TensorLayout | TupleLayout


def layout_of(y0: State, *, samples: bool = False) -> Layout:
    """The layout of a state that was checked before."""
    return TensorLayout(y0, samples=samples) if isinstance(y0, Tensor) else TupleLayout(y0, samples=samples)


def _longer_than_one(shape: torch.Size) -> list[int]:
    return [n for n in shape if n != 1]


def solver_dtype(y: Tensor) -> torch.dtype:
    """The dtype in which y is solved: float32 for half precision, else the dtype of y."""
    return torch.float32 if y.dtype in (torch.float16, torch.bfloat16) else y.dtype
