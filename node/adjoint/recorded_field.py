"""A vector field whose vector-Jacobian products are counted."""

from torch import Tensor

from node.adjoint.base import InitialValueProblem
from node.solution import Stats
from node.vector_field import FlatField, Time


class RecordedField(FlatField):
    """A field that tells the statistics of each product that a backward pass takes through it.

    backwards: whether it is called in a backward pass, where a Jacobian's products, at once, are one more.
    """

    def __init__(self, problem: InitialValueProblem, stats: Stats, *, backwards: bool = False):
        super().__init__(problem.f, problem.layout)
        self._stats = stats
        self._backwards = backwards

    def __call__(self, t: Time, y: Tensor) -> Tensor:
        """dy/dt, flat, with a hook where it is part of a graph."""
        dy = super().__call__(t, y)
        if dy.requires_grad:
            dy.register_hook(self._count_vjp)
        return dy

    def traced(self, t: Time, y: Tensor) -> Tensor:
        """As a call, without a hook: the products of torch.func are the solver's own."""
        self._stats.vjp_backward += self._backwards
        return super().__call__(t, y)

    def _count_vjp(self, _: Tensor) -> None:
        self._stats.vjp_backward += 1
