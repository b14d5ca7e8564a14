"""Reversible solvers, and sequences of their steps without a controller."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from node import SOLVERS
from node.solvers import (
    AsynchronousLeapfrog,
    ExplicitRungeKutta,
    ReversibleRungeKutta,
    ReversibleSolver,
)
from node.user_field import UserField

ALF, HEUN = SOLVERS["alf"], SOLVERS["reversible_heun"]
BASES = [solver for solver in SOLVERS.values() if isinstance(solver, ExplicitRungeKutta)]
EVERY = [ALF, AsynchronousLeapfrog(eta=0.9), HEUN, *map(ReversibleRungeKutta, BASES)]
every_method = pytest.mark.parametrize("solver", EVERY, ids=lambda s: f"{s.name} {getattr(s, 'eta', '')}".strip())
every_base = pytest.mark.parametrize("base", BASES, ids=lambda base: base.name)

State = tuple[Tensor, Any]  # y and carry


def tensor(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def pendulum(t: Tensor, y: Tensor) -> Tensor:
    """A driven pendulum, for one state (2,) or many states (..., 2)."""
    return torch.stack((y[..., 1], -torch.sin(y[..., 0]) + 0.3 * torch.cos(2 * t.squeeze(-1))), dim=-1)


def parts(state: State) -> tuple[Tensor, ...]:
    y, carry = state
    return (y, carry) if isinstance(carry, Tensor) else (y, *carry)


def forwards(
    solver: ReversibleSolver, f: UserField, t: float | Tensor, y: Tensor, sizes: Sequence, *, record: bool = False
) -> tuple[list, list[State]]:
    """The times and states at the starts of the steps and at their end."""
    workspace = solver.workspace(y, record=record)
    times, states = [t], [(y, solver.start(f, t, y))]
    for dt in sizes:
        y, carry = states[-1]
        step = solver.step(f, times[-1], y, dt, carry, workspace, estimate=False)
        times.append(times[-1] + dt)
        states.append((step.y1, step.carry))
    return times, states


def slope(errors: Sequence[float], grid: Sequence[int]) -> float:
    return -np.polyfit(np.log(grid), np.log(errors), 1)[0]
