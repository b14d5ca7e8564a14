"""Real coordinates: the gradient to a complex number is that to its two parts, and any solver takes real numbers."""

import torch
from torch import Tensor


def real(x: Tensor) -> Tensor:
    """A complex number as a pair, not by a view: its derivative fails on the strides that vmap makes."""
    return torch.stack((x.real, x.imag), dim=-1) if x.is_complex() else x


def entries(x: Tensor, dtype: torch.dtype) -> Tensor:
    """All real numbers of x in a vector."""
    return real(x).reshape(-1).to(dtype)


def rows(x: Tensor, dtype: torch.dtype) -> Tensor:
    """The real numbers of each x[i] in a row."""
    return real(x).reshape(len(x), -1).to(dtype)


def like(vector: Tensor, template: Tensor) -> Tensor:
    """The numbers of a vector in the shape and kind of the template."""
    x = vector.view(real(template).shape).to(template.dtype.to_real())
    return torch.complex(*x.unbind(-1)) if template.is_complex() else x
