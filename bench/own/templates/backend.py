"""The backend my_backend: a library under measurement; here, Euler's and Heun's methods in a loop."""

import torch
from torch import Tensor, nn

from bench.backends import BACKENDS, Backend
from bench.problems import Problem
from bench.workload import Workload
from results.records import Cell


class MyBackend(Backend):
    """Says what it can do without solving; for a cell that it cannot solve it gives a reason, never an exception."""

    name = "my_backend"
    summary = "Euler and Heun in a loop"
    library = "torch"  # the package whose version decides what is measured again
    solvers = ("euler", "heun")
    gradients = ("none", "backprop")

    def unsupported(self, cell: Cell) -> str:
        """The reason why a cell cannot be solved; empty if it can."""
        if reason := super().unsupported(cell):
            return reason
        return "my_backend takes fixed steps only" if cell.dt is None else ""

    def prepare(self, cell: Cell, problem: Problem) -> Workload:
        """The workload of a cell. What takes time once, such as compiling, belongs here; `solve` is what is timed."""
        step = {"euler": euler, "heun": heun}[cell.solver]
        dt = cell.dt or 0.0

        def solve(field: nn.Module, y0: Tensor, t: Tensor) -> Tensor:
            states, y = [y0], y0
            for start, end in zip(t[:-1].tolist(), t[1:].tolist(), strict=True):
                steps = max(1, round((end - start) / dt))
                for i in range(steps):
                    now = start + (end - start) * i / steps
                    y = step(field, torch.as_tensor(now, dtype=y.dtype, device=y.device), y, (end - start) / steps)
                states.append(y)
            return torch.stack(states)

        return Workload(problem.instance(cell), solve)


def euler(field: nn.Module, t: Tensor, y: Tensor, dt: float) -> Tensor:
    """y(t + dt) by one evaluation."""
    slope: Tensor = field(t, y)
    return y + dt * slope


def heun(field: nn.Module, t: Tensor, y: Tensor, dt: float) -> Tensor:
    """y(t + dt) by two evaluations."""
    first: Tensor = field(t, y)
    second: Tensor = field(t + dt, y + dt * first)
    return y + dt / 2 * (first + second)


BACKENDS.register(MyBackend())
