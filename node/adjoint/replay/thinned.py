"""A limited number of states of a solve, spread evenly over its steps."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from typing_extensions import override

from node.adjoint.backward.impulses import Outputs
from node.adjoint.replay.every_kth import EveryKth
from node.observer import Observer
from node.solvers.base import Step
from node.trajectory import TakenStep


class ThinnedStates(Observer[Any]):
    """The states at the starts of every k-th step, at most `most` beside that of the first step."""

    asks_taken = True

    def __init__(self, most: int) -> None:
        self._kept = EveryKth[tuple[float, Tensor]](most + 1)

    @property
    def states(self) -> list[Tensor]:
        """The stored states, each of shape (n,)."""
        return [state for _, state in self._kept.items]

    @override
    def taken(self, taken: TakenStep, y: Tensor, carry: Any, step: Step) -> None:
        """Store the start of every k-th step. The start of the first step is an output anyway."""
        self._kept.add((taken.t, y))

    def among(self, outputs: Outputs, states: Sequence[Tensor]) -> Outputs:
        """The outputs together with these states between them, on which the loss does not depend."""
        first, last = outputs.times[0], outputs.times[-1]
        known = set(outputs.times)
        rows = [
            (time, state)
            for (time, _), state in zip(self._kept.items, states, strict=True)
            if min(first, last) < time < max(first, last) and time not in known
        ]
        if not rows:
            return outputs
        times = [*outputs.times, *[time for time, _ in rows]]
        order = sorted(range(len(times)), key=times.__getitem__, reverse=last < first)
        index = torch.tensor(order, device=outputs.y.device)
        y = torch.cat((outputs.y, torch.stack([state for _, state in rows])))
        dl_dy = torch.cat((outputs.dl_dy, outputs.dl_dy.new_zeros(len(rows), outputs.dl_dy.shape[1])))
        return Outputs([times[i] for i in order], y[index], dl_dy[index])
