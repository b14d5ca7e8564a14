"""The conditions under which f was called in a forward pass, so that a backward pass finds them again."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor

from node.adjoint.field.copy import FieldCopy
from node.adjoint.field.dependencies import Dependencies, check_apart, operands, outside
from node.adjoint.field.watched import watched
from node.autocast import full_precision
from node.derivatives import leaves_behind
from node.errors import CallError, GradientError
from node.layout import Layout
from node.user_field import UserField
from node.vector_field import VectorField

T = TypeVar("T")


class Conditions:
    """f as the forward pass had it, for its backward passes: a copy, and what tells whether the copy is still f.

    A copy shares tensors and whatever it does not know, such as arrays: if these have changed in place, it is another
    field. Then a backward pass is refused, as torch refuses one through a tensor that was written to.
    """

    def __init__(
        self, mode: str, f: VectorField[Any], layout: Layout, found: Dependencies, parameters: Sequence[Tensor]
    ) -> None:
        self._mode = mode
        self._layout = layout
        self._found = found
        self._copy = FieldCopy(f, found.tensors)
        check_apart(mode, self._copy.not_met(found.tensors), (*found.tensors, *self._copy.parameters()))
        self.parameters = self._own(parameters)
        read_at_start = (*found.tensors, *self._copy.own(found.tensors))
        self.f = watched(mode, self._copy.f, self._copy, (*parameters, *self.parameters, *read_at_start))
        self._versions = self._versions_now()

    def _own(self, parameters: Sequence[Tensor]) -> list[Tensor]:
        """What stands in the copy for these, in which f's gradients are to be taken.

        Of a tensor by a global name, which the copy has as it is, f's gradient must not go on to what is behind it.
        """
        behind = {id(leaf) for x in self._copy.not_met(self._found.tensors) for leaf in leaves_behind(x)}
        return [x.detach().requires_grad_() if id(x) in behind else x for x in self._copy.own(parameters)]

    def settle(self) -> None:
        """Note that the forward pass is over: what has changed in it, f changes itself."""
        before, self._versions = self._versions, self._versions_now()
        own = [x for x in self._copy.tensors if id(x) in before and before[id(x)] != self._versions[id(x)]]
        self._copy.spare(own)
        for x in own:
            del self._versions[id(x)]

    def call(self, work: Callable[[], T]) -> T:
        """What `work` returns, called under these conditions, and without autocast but where f has it."""
        with full_precision(self._layout.device), self._copy.in_use():
            self._check_versions()
            return work()

    def check(self, *, replayed: bool = False) -> int:
        """Call f at the start of the solve again, and refuse it if it gives another slope; the number of calls.

        With a graph, where leaves stand for what was computed outside: f may not read that in another way as well.
        replayed: the steps of the solve tell whether the slope is another: f need not be called for that.
        """
        field, call = self._field(), self._found.call
        if self._copy.met:
            now, others = outside(field, call.t, call.y)
            if self._copy.met & others:
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
        """An error that says that f is not what it was."""
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
    """Whether two evaluations of the same agree but for rounding, relative to the largest entry of the other."""
    if torch.equal(one, other):
        return True
    difference = (one - other).abs().nan_to_num(0.0, 0.0, 0.0).max()
    scale = other.abs().nan_to_num(0.0, 0.0, 0.0).max()
    return bool(difference <= 1000 * torch.finfo(one.dtype).eps * scale)


def _memory(x: Tensor) -> int:
    return x.untyped_storage().data_ptr()


def _shown(slope: Tensor) -> str:
    return f"a slope of {torch.linalg.vector_norm(slope):.6g} (norm)"
