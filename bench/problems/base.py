"""What every problem is: a vector field, a start, a loss, and how to know the right answer."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from results.records import Cell


@dataclass(frozen=True)
class Batch:
    """One training iteration's start (batch, *state) and targets (n_outputs, batch, *state)."""

    y0: Tensor
    target: Tensor


@dataclass(frozen=True)
class Recipe:
    """What a problem is trained with where a cell names nothing else."""

    optimiser: str  # a class of torch.optim
    learning_rate: float


@dataclass(frozen=True)
class Training:
    """What an instance learns from: the batches, and the whole trajectory that judges it."""

    batches: Callable[[], Iterator[Batch]]  # endless, the same in each call
    y0: Tensor  # (1, *state)
    t: Tensor  # (n,)
    trajectory: Tensor  # (n, 1, *state)


@dataclass(frozen=True)
class Instance:
    """A problem made for a cell: in its dtype, on its device, from its seed."""

    field: nn.Module  # f(t, y), its constants being parameters, so that every gradient mode has some
    y0: Tensor  # (batch, *state)
    t: Tensor  # (n_outputs,), in the precision of `clock`
    loss: Callable[[Tensor], Tensor]  # of states (n_outputs, batch, *state)
    training: Training | None = None


@dataclass(frozen=True)
class Problem:
    """A named initial value problem on [0, horizon]."""

    name: str
    equation: str  # a line for people
    source: str
    horizon: float
    field: Callable[[], nn.Module]
    start: tuple[float, ...]
    n_outputs: int = 11
    exact: Callable[[Tensor], Tensor] | None = None  # times (n,) -> states (n, *state), float64
    make: "Callable[[Problem, Cell], Instance] | None" = None  # None: from `field` and `start`
    recipe: Recipe | None = None  # None: it is not trained, and its instances have no `training`
    most: tuple[tuple[str, int], ...] = ()  # axes of which its data have so much and no more

    def instance(self, cell: Cell) -> Instance:
        """The problem as this cell asks for it."""
        torch.manual_seed(cell.seed)
        return (self.make or from_start)(self, cell)


def from_start(problem: Problem, cell: Cell) -> Instance:
    """A batch from the problem's start, its first sample exact and the others spread around it by a tenth."""
    dtype = getattr(torch, cell.dtype)
    start = torch.tensor([problem.start], dtype=torch.float64)
    spread = 1 + 0.1 * torch.randn(cell.batch_size, start.shape[1], dtype=torch.float64)
    spread[0] = 1.0
    return Instance(
        field=problem.field().to(cell.device, dtype),
        y0=(start * spread).to(cell.device, dtype),
        t=output_times(cell),
        loss=mean_square,
    )


def output_times(cell: Cell) -> Tensor:
    """The cell's output times (n_outputs,), evenly spaced over [0, horizon]."""
    t = torch.linspace(0.0, cell.horizon, cell.n_outputs, dtype=torch.float64)
    return t.to(cell.device, clock(cell))


def clock(cell: Cell) -> torch.dtype:
    """The dtype of a cell's times: float64 whatever the state's, or steps of dt miss the outputs by a rounding.

    Every library measured takes such times with a float32 state. MPS has no float64.
    """
    return torch.float32 if cell.device == "mps" else torch.float64


def mean_square(y: Tensor) -> Tensor:
    """The loss of problems that come without one: every output counts, and a zero is no trap."""
    return y.square().mean()


class Elementwise(nn.Module):
    """A field written as a function of t, the state's components and its constants."""

    def __init__(self, rule: Callable[..., tuple[Tensor, ...]], *constants: float):
        super().__init__()
        self.rule = rule
        self.constants = nn.Parameter(torch.tensor(constants, dtype=torch.float64))

    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        """dy/dt for y (..., components)."""
        return torch.stack(self.rule(t, *y.unbind(-1), *self.constants.unbind()), dim=-1)
