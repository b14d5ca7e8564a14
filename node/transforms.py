"""Checks of torch's transforms around a solve: an error of one line for those that a gradient mode does not support.

Backpropagation supports torch.func's grad, jacrev, jvp, jacfwd and hessian, dual numbers, and batched backward passes
for many losses. The other modes have custom backward passes, which these transforms cannot use.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor
from torch.autograd import forward_ad

from node.adjoint.backprop import Backprop
from node.adjoint.base import Adjoint
from node.errors import CallError
from node.layout import State
from node.torch_private import in_dual_level, in_transform, is_batched

VMAP = (
    "torch.vmap cannot go over a solve, whose steps depend on its states: pass the samples as y0's first dimension, "
    "with batch='independent' where each is to have its own steps"
)

GRADIENT_INSIDE = (
    "the vector field takes derivatives with torch.autograd of what has no graph, as y has none without gradients: "
    "begin f with `with torch.enable_grad(): y = y if y.requires_grad else y.detach().requires_grad_()`, "
    "and pass create_graph=True to torch.autograd.grad"
)

WRITES = (
    "the vector field writes into y or another tensor that requires grad, from which the solve continues: compute with "
    "new tensors, or begin with y = y.clone()"
)


def check_transforms(mode: Adjoint, y0: State, t: Tensor, *, event: bool, independent: bool) -> None:
    """Raise a CallError for active transforms of torch that the solve does not support."""
    if isinstance(t, Tensor) and forward_ad.unpack_dual(t).tangent is not None:
        raise CallError(
            "t has a tangent, and forward-mode derivatives do not reach the output times: "
            "take reverse mode, such as torch.func.jacrev or backward(), for derivatives in t"
        )
    if not in_transform():
        if in_dual_level() and torch.is_grad_enabled() and not isinstance(mode, Backprop):
            raise CallError(f"{mode.name} has no forward-mode derivative: pass gradient='backprop' for dual numbers")
        return
    if any(map(is_batched, (*(y0 if isinstance(y0, tuple) else (y0,)), t))):
        raise CallError(VMAP)
    if torch.is_grad_enabled() and not isinstance(mode, Backprop):
        raise CallError(
            f"torch.func does not go through {mode.name}, which has a backward pass of its own: "
            "pass gradient='backprop', or take torch.autograd.grad or torch.autograd.functional.jacobian"
        )
    for name, given in (("an event", event), ("batch='independent'", independent)):
        if given:
            raise CallError(
                f"torch.func does not go through a solve with {name}: take torch.autograd.grad or "
                "torch.autograd.functional.jacobian"
            )


@contextmanager
def torch_errors_explained() -> Iterator[None]:
    """A context that turns torch's errors about vmap and about unsupported fields into CallErrors of one line."""
    try:
        yield
    except RuntimeError as error:
        if in_transform() and ("vmap" in str(error) or "Batching rule" in str(error)):
            raise CallError(VMAP) from error
        if "leaf Variable that requires grad" in str(error) and "in-place" in str(error):
            raise CallError(WRITES) from error
        if "does not require grad" in str(error):
            raise CallError(GRADIENT_INSIDE) from error
        raise
