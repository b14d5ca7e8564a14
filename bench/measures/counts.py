"""How often a workload calls its vector field: counted, never inferred."""

import torch

from bench.workload import Workload, require_finite
from results.records import Cell


def count(cell: Cell, workload: Workload) -> dict[str, float]:
    """NFE of the forward pass, and of the backward pass with its vector-Jacobian products apart."""
    counting, field = workload.counted()
    require_finite("the solution", counting.forward())
    counts: dict[str, float] = {"nfe_forward": field.calls}
    if cell.gradient != "none":
        loss = counting.loss()
        field.reset()
        torch.autograd.backward(loss)
        counts |= {"nfe_backward": field.calls, "vjp_backward": field.vjps}
    return counts
