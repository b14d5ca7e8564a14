"""Real coordinates of complex tensors: the gradient to a complex number is the pair of gradients to its two parts."""

import torch
from torch import Tensor


def real(x: Tensor) -> Tensor:
    """x with each complex number as a pair (real, imaginary) in a new last dimension; a real x itself.

    It is a copy, as the derivative of a view fails on the strides that vmap makes.
    """
    return torch.stack((x.real, x.imag), dim=-1) if x.is_complex() else x


def entries(x: Tensor, dtype: torch.dtype) -> Tensor:
    """The real coordinates of x as one vector."""
    return real(x).reshape(-1).to(dtype)


def rows(x: Tensor, dtype: torch.dtype) -> Tensor:
    """The real coordinates of each x[i] as one row."""
    return real(x).reshape(len(x), -1).to(dtype)


def like(vector: Tensor, template: Tensor) -> Tensor:
    """The real coordinates in a vector as a tensor with the template's shape and dtype kind, real or complex."""
    x = vector.view(real(template).shape).to(template.dtype.to_real())
    return torch.complex(*x.unbind(-1)) if template.is_complex() else x
