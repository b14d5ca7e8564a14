"""Autocast for the vector field only: the sums of a solver keep the precision of the state."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from node.layout import State
from node.vector_field import VectorField


class UnderAutocast(nn.Module):
    """A vector field that is always called under the autocast that was enabled when it was wrapped."""

    def __init__(self, f: VectorField[Any], device_type: str) -> None:
        super().__init__()
        self.f = f
        self._device_type = device_type
        self._dtype = torch.get_autocast_dtype(device_type)

    def forward(self, t: Tensor, y: State) -> State:
        """dy/dt in the dtype that f returns."""
        with torch.autocast(self._device_type, dtype=self._dtype):
            dy: State = self.f(t, y)
            return dy


def with_current_autocast(f: VectorField[Any], device: torch.device) -> VectorField[Any]:
    """f, wrapped to run under autocast if autocast is enabled now."""
    return UnderAutocast(f, device.type) if torch.is_autocast_enabled(device.type) else f


@contextmanager
def full_precision(device: torch.device) -> Iterator[None]:
    """A context without autocast."""
    if not torch.is_autocast_enabled(device.type):
        yield
        return
    with torch.autocast(device.type, enabled=False):
        yield
