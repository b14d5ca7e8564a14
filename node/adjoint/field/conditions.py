"""The vector field as the forward pass called it, kept for the backward passes, and checks that it is unchanged."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor

from node.adjoint.field.copy import FieldCopy
from node.adjoint.field.dependencies import Dependencies, check_independent, operands, slope_and_outer_edges
from node.adjoint.field.watched import watched
from node.autocast import full_precision
from node.derivatives import leaves_behind
from node.errors import CallError, GradientError
from node.layout import Layout
from node.user_field import UserField
from node.vector_field import VectorField

T = TypeVar("T")


class Conditions:
    """A copy of f as the forward pass called it, for its backward passes, and the checks that the copy is unchanged.

    The copy shares tensors and unknown objects, such as arrays, with f. If these change in place, the copy is another
    field: then a backward pass is refused, as torch refuses one through a tensor that was written to.
    """

    def __init__(
        self, mode: str, f: VectorField[Any], layout: Layout, found: Dependencies, parameters: Sequence[Tensor]
    ) -> None:
        self._mode = mode
        self._layout = layout
        self._found = found
        self._copy = FieldCopy(f, found.tensors)
        check_independent(mode, self._copy.not_replaced(found.tensors), (*found.tensors, *self._copy.parameters()))
        self.parameters = self._parameters_in_copy(parameters)
        read_at_start = (*found.tensors, *self._copy.replacements(found.tensors))
        self.f = watched(mode, self._copy.f, self._copy, (*parameters, *self.parameters, *read_at_start))
        self._versions = self._versions_now()

    def _parameters_in_copy(self, parameters: Sequence[Tensor]) -> list[Tensor]:
        """The tensors that the copy reads in place of the parameters; the gradients of f are taken in these.

        The copy reads a global tensor itself, with its graph. A parameter from which such a tensor was computed is
        replaced by a new leaf, so that the gradient of f does not continue to it.
        """
        behind = {id(leaf) for x in self._copy.not_replaced(self._found.tensors) for leaf in leaves_behind(x)}
        return [x.detach().requires_grad_() if id(x) in behind else x for x in self._copy.replacements(parameters)]

    def end_forward(self) -> None:
        """Record the end of the forward pass; tensors that changed during it are those that f itself writes to."""
        before, self._versions = self._versions, self._versions_now()
        own = [x for x in self._copy.tensors if id(x) in before and before[id(x)] != self._versions[id(x)]]
        self._copy.protect(own)
        for x in own:
            del self._versions[id(x)]

    def call(self, work: Callable[[], T]) -> T:
        """The result of `work`, called with the copy in use and without autocast outside of f."""
        with full_precision(self._layout.device), self._copy.in_use():
            self._check_versions()
            return work()

    def check(self, *, replayed: bool = False) -> int:
        """Call f again at the start of the solve and refuse it if its slope differs; the number of calls made.

        Where leaves replace tensors computed outside of f, the call has a graph: f may not read these tensors in
        another way as well. replayed: the solve's recomputed steps show a difference themselves, without this call.
        """
        field, call = self._field(), self._found.call
        if self._copy.replaced:
            now, others = slope_and_outer_edges(field, call.t, call.y)
            if self._copy.replaced & others:
                raise CallError(
                    f"{self._mode}: the vector field reads a tensor that was computed outside of it as an attribute or "
                    "a local, and in another way too, such as a global name, a class or an object with slots: let it "
                    "be read in one way, or take gradient='backprop'"
                )
        elif replayed:
            return 0
        else:
            with torch.no_grad():
                now = field(call.t, call.y)
        if not _same(now, call.dy):
            raise self.changed(f"at the start of the solve it gives {_shown(now)}, and gave {_shown(call.dy)}")
        return 1

    def changed(self, how: str) -> GradientError:
        """The error for a vector field that has changed since the forward pass. how: the change."""
        return GradientError(
            f"{self._mode}: the vector field has changed since the forward pass: {how}. Change what it reads after the "
            "backward pass, or take gradient='backprop', which calls it once"
        )

    def _field(self) -> UserField:
        return UserField(self.f, self._layout)

    def _versions_now(self) -> dict[int, int]:
        return {id(x): x._version for x in self._copy.tensors if not x.is_inference()}

    def _check_versions(self) -> None:
        written = [x for x in self._copy.tensors if self._versions.get(id(x), x._version) != x._version]
        if not written:
            return
        read = {_memory(x) for x in operands(self._field(), self._found.call.t, self._found.call.y)}
        for x in written:
            if _memory(x) in read:
                raise self.changed(f"a tensor of shape {tuple(x.shape)} that it reads was written to in place")


def _same(one: Tensor, other: Tensor) -> bool:
    """Whether two evaluations agree up to rounding, relative to the largest entry of `other`."""
    if torch.equal(one, other):
        return True
    difference = (one - other).abs().nan_to_num(0.0, 0.0, 0.0).max()
    scale = other.abs().nan_to_num(0.0, 0.0, 0.0).max()
    return bool(difference <= 1000 * torch.finfo(one.dtype).eps * scale)


def _memory(x: Tensor) -> int:
    return x.untyped_storage().data_ptr()


def _shown(slope: Tensor) -> str:
    return f"a slope of {torch.linalg.vector_norm(slope):.6g} (norm)"
