"""The number of calls of a workload's vector field: counted, never inferred."""

import torch

from bench.workload import Workload, require_finite, require_states
from results.records import Cell


def count(cell: Cell, workload: Workload) -> dict[str, float]:
    """The NFE of the forward pass and of the backward pass, whose vector-Jacobian products are counted separately."""
    counting, field = workload.counted()
    require_finite("the solution", require_states(counting, counting.forward()))
    counts: dict[str, float] = {"nfe_forward": field.calls}
    if cell.gradient != "none":
        loss = counting.loss()
        field.reset()
        torch.autograd.backward(loss)
        counts |= {"nfe_backward": field.calls, "vjp_backward": field.vjps}
    return counts
