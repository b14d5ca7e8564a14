"""All uses of torch's private interfaces, each behind one name; tests/node/test_torch_private.py shows their purpose.

Nothing else in `node` reads a name of torch that begins with an underscore, but for a tensor's `_version` and `_base`:
how often it has been written to in place, and what it is a view of. Each call of a vector field reads them five times,
where a function would be felt.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch._C import _functorch
from torch.autograd import forward_ad
from torch.nn.modules.batchnorm import _NormBase
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

__all__ = [
    "BUFFERS",
    "CHILDREN",
    "OF_MODULES",
    "PARAMETERS",
    "TorchDispatchMode",
    "has_saved_tensors_hooks",
    "hook_with_shared",
    "in_dispatch_mode",
    "in_dual_level",
    "in_transform",
    "is_batched",
    "is_batched_backwards",
    "is_compiled",
    "is_wrapped",
    "keeps_running_statistics",
    "number_of",
    "tree_leaves",
]

# The keys of a module's parameters, buffers and children in its __dict__; and the keys of all that torch keeps there.
PARAMETERS, BUFFERS, CHILDREN = "_parameters", "_buffers", "_modules"
OF_MODULES = frozenset(vars(nn.Module())) - {"training"}


def in_transform() -> bool:
    """Whether this is called within a transform of torch.func, such as grad, jvp or vmap."""
    return _functorch.peek_interpreter_stack() is not None


def in_dispatch_mode() -> bool:
    """Whether a dispatch mode sees the operations that are called here, as while they are traced."""
    return torch._C._len_torch_dispatch_stack() > 0


def in_dual_level() -> bool:
    """Whether a level of forward-mode differentiation by dual numbers is active."""
    return forward_ad._current_level >= 0


def has_saved_tensors_hooks() -> bool:
    """Whether hooks for the tensors that autograd saves are active."""
    return torch._C._autograd._top_saved_tensors_default_hooks(True) is not None


def is_wrapped(x: Tensor) -> bool:
    """Whether a transform of torch.func has wrapped the tensor."""
    return _functorch.is_functorch_wrapped_tensor(x)


def is_batched(x: Tensor) -> bool:
    """Whether x is batched by vmap, below any wrappers of derivative transforms."""
    while _functorch.is_gradtrackingtensor(x):
        x = _functorch.get_unwrapped(x)
    return _functorch.is_batchedtensor(x)


def is_batched_backwards(bar: Tensor) -> bool:
    """Whether a gradient is batched over many losses, by vmap or by `is_grads_batched`."""
    return _functorch.is_legacy_batchedtensor(bar) or _functorch.is_batchedtensor(bar)


def number_of(node: Any) -> int:
    """The sequence number of a graph's node, in the order in which its thread made nodes."""
    number: int = node._sequence_nr()
    return number


def hook_with_shared(x: Tensor, hooks: dict[int, Callable[[Tensor], Tensor | None]]) -> None:
    """Register the hooks of a dictionary that many tensors share.

    It has the effect of register_hook, which makes a dictionary and a handle for each tensor: 5 us and half a kilobyte.
    A tensor that already has hooks gets these in addition.
    """
    if x.grad_fn is None or x._backward_hooks is not None:
        for hook in hooks.values():
            x.register_hook(hook)
        return
    x._backward_hooks = hooks
    x.grad_fn._register_hook_dict(x)


def keeps_running_statistics(module: object) -> bool:
    """Whether a module, such as a batch norm, writes to its buffers when it is called."""
    return isinstance(module, _NormBase)


def is_compiled(kind: type) -> bool:
    """Whether a class comes from torch.compile."""
    return kind.__module__.startswith("torch._dynamo")
