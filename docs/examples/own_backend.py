"""A user's own backend: the course's Runge-Kutta methods, written by hand as a library under measurement.

    nodebench check docs/examples/own_backend.py

A sweep that names this file, `use = ["own_backend.py"]`, has backend = ["node", "course"] and compares the two.
"""

import torch
from torch import Tensor, nn

from bench.backends import BACKENDS, Backend
from bench.problems import Problem
from bench.workload import Workload
from results.records import Cell


def euler(field: nn.Module, t: Tensor, y: Tensor, dt: float) -> Tensor:
    """A step of Euler's method, of order 1."""
    slope: Tensor = field(t, y)
    return y + dt * slope


def rk4(field: nn.Module, t: Tensor, y: Tensor, dt: float) -> Tensor:
    """A step of the classical method of order 4."""
    k1: Tensor = field(t, y)
    k2: Tensor = field(t + dt / 2, y + dt / 2 * k1)
    k3: Tensor = field(t + dt / 2, y + dt / 2 * k2)
    k4: Tensor = field(t + dt, y + dt * k3)
    return y + dt / 6 * (k1 + 2 * k2 + 2 * k3 + k4)


STEPS = {"euler": euler, "rk4": rk4}


class Course(Backend):
    """Fixed steps in a loop, differentiated by autograd."""

    name = "course"
    summary = "the course's Euler and RK4, by hand"
    library = "torch"
    solvers = tuple(STEPS)
    gradients = ("none", "backprop")

    def unsupported(self, cell: Cell) -> str:
        """The reason why a cell cannot be measured: there is no step size control."""
        return super().unsupported(cell) or ("course takes fixed steps only: give dt" if cell.dt is None else "")

    def prepare(self, cell: Cell, problem: Problem) -> Workload:
        """The workload of a cell: a loop over outputs, and in it a loop over steps."""
        step, dt = STEPS[cell.solver], cell.dt or cell.horizon

        def solve(field: nn.Module, y0: Tensor, t: Tensor) -> Tensor:
            states, y = [y0], y0
            for start, end in zip(t[:-1].tolist(), t[1:].tolist(), strict=True):
                count = max(1, round((end - start) / dt))
                for i in range(count):
                    now = torch.as_tensor(start + (end - start) * i / count, dtype=y.dtype, device=y.device)
                    y = step(field, now, y, (end - start) / count)
                states.append(y)
            return torch.stack(states)

        return Workload(problem.instance(cell), solve)


BACKENDS.register(Course())
