"""Functions with a derivative of their own, as nodes of autograd's graph."""

from typing import TYPE_CHECKING, Any

from torch.autograd import Function


class GraphFunction(Function):
    """torch.autograd.Function, whose `apply` torch leaves without types."""

    if TYPE_CHECKING:

        @classmethod
        def apply(cls, *args: Any) -> Any:
            """What `forward` returns, in the graph."""
