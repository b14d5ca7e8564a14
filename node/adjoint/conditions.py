"""The conditions under which f was called in a forward pass, so that a backward pass finds them again."""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import torch
from torch import Tensor, nn
from torch.func import functional_call

from node.autocast import full_precision
from node.vector_field import VectorField

T = TypeVar("T")


class Conditions:
    """The tensors that the module f had: `torch.func.functional_call` takes its own back at its end."""

    def __init__(self, f: VectorField[Any], device: torch.device):
        self._module = f if isinstance(f, nn.Module) else None
        self._tensors = _tensors(self._module)
        self._device = device

    def call(self, work: Callable[[], T]) -> T:
        """What `work` returns, called under these conditions, and without autocast but where f has it."""
        with full_precision(self._device):
            if self._module is None or all(map(_is, self._tensors.values(), _tensors(self._module).values())):
                return work()
            holder = _Holder(self._module, work)
            return cast(T, functional_call(holder, {f"held.{name}": x for name, x in self._tensors.items()}, ()))


class _Holder(nn.Module):
    """A call in which the held module has other tensors."""

    def __init__(self, held: nn.Module, work: Callable[[], Any]):
        super().__init__()
        self.held = held
        self.work = work

    def forward(self) -> Any:
        return self.work()


def _tensors(module: nn.Module | None) -> dict[str, Tensor]:
    """Parameters and buffers by their names, also those that two names share."""
    if module is None:
        return {}
    return {
        **dict(module.named_parameters(remove_duplicate=False)),
        **dict(module.named_buffers(remove_duplicate=False)),
    }


def _is(a: Tensor, b: Tensor) -> bool:
    return a is b
