"""A sample that stands in for those from which f is not finite."""

from typing import NamedTuple

from torch import Tensor

from node.per_sample.carry import select
from node.per_sample.clock import Bools
from node.per_sample.columns import mask


class StandIn(NamedTuple):
    """In a gradient of all samples 0 times NaN is NaN: their evaluations are to be another sample's, as a constant."""

    finite: Bools  # (B,)
    model: int  # the sample that stands in for those that are not

    @classmethod
    def where_needed(cls, finite: Bools, model: int | None = None) -> "StandIn | None":
        """None where all samples are finite, or none is. model: by default the first that is."""
        if finite.all() or not finite.any():
            return None
        return cls(finite, int(finite.argmax()) if model is None else model)

    def fill(self, x: Tensor) -> Tensor:
        """Times, states or what is carried, (B, ...)."""
        filled: Tensor = select(mask(self.finite, x), x, x[self.model].detach())
        return filled
