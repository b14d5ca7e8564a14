"""The base of functions with a custom derivative, as nodes of autograd's graph."""

from typing import TYPE_CHECKING, Any

from torch.autograd import Function


class GraphFunction(Function):
    """torch.autograd.Function with a typed `apply`."""

    if TYPE_CHECKING:

        @classmethod
        def apply(cls, *args: Any) -> Any:
            """The result of `forward`, in the graph."""
