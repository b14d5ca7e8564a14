"""A few states of a solve, spread over its steps as these come."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from node.adjoint.impulses import Outputs
from node.solvers.base import Step
from node.trajectory import TakenStep


class ThinnedStates:
    """The states at the start of every k-th step, at most so many: k doubles when there would be more."""

    def __init__(self, most: int):
        self.times: list[float] = []
        self.states: list[Tensor] = []
        self._most = most
        self._every = 1
        self._steps = 0

    def log(self, taken: TakenStep, y: Tensor, carry: Any, step: Step) -> None:
        """Told of each step. The start of the first is an output."""
        if self._steps and self._steps % self._every == 0:
            self.times.append(taken.t)
            self.states.append(y)
        self._steps += 1
        if len(self.times) > self._most:
            self._every *= 2
            del self.times[::2], self.states[::2]  # the first is that of step k

    def among(self, outputs: Outputs, states: Sequence[Tensor]) -> Outputs:
        """The outputs and these states between them, which the loss does not depend on."""
        first, last = outputs.times[0], outputs.times[-1]
        known = set(outputs.times)
        rows = [
            (time, state)
            for time, state in zip(self.times, states, strict=True)
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
