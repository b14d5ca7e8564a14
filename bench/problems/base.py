"""The parts of a problem: a vector field, a start, a loss, and the exact solution where it is known."""

import inspect
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from bench.options import Option, chosen_of
from node.registry import Registry
from results.records import Cell


def mean_square(y: Tensor) -> Tensor:
    """The default loss: the mean square of all outputs."""
    return y.square().mean()


@dataclass(frozen=True)
class Batch:
    """The start (batch, *state) of one training iteration, and the target that its loss compares the solution with."""

    y0: Tensor
    target: Any = None  # tensors, or tuples, lists or dicts of such


@dataclass(frozen=True)
class Recipe:
    """The optimiser and the learning rate that train a problem unless a cell names others."""

    optimiser: str  # a class of torch.optim
    learning_rate: float


@dataclass(frozen=True)
class Judgement:
    """The judgement of a trained model: the loss of its solution from y0 at the times t."""

    y0: Tensor  # (batch, *state)
    t: Tensor  # (n,)
    loss: Callable[..., Tensor]  # of states (n, batch, *state), and of the target if there is one; less is better
    target: Any = None
    trajectory: Tensor | None = None  # (n, batch, *state): the true one, if there is one to plot


@dataclass(frozen=True)
class Training:
    """The training of an instance: its batches, its loss, and how the result is judged."""

    batches: Callable[[], Iterator[Batch]]  # endless, the same in each call
    loss: Callable[[Tensor, Any], Tensor]  # of states (n_outputs, batch, *state) and the batch's target
    judgement: Judgement | None = None  # None: the instance's own loss, of the solution from its own start
    modules: tuple[nn.Module, ...] = ()  # trained along with the field: an encoder or a decoder that the loss calls


@dataclass(frozen=True)
class Instance:
    """A problem made for a cell: in its dtype, on its device, from its seed.

    A function under `problem` returns one in float32 on the CPU, and leaves out t; its loss may take a second argument,
    the target. `problem` brings it to the cell's dtype, device and output times.
    """

    field: nn.Module  # f(t, y), its constants being parameters, so that every gradient mode has some
    y0: Tensor  # (batch, *state)
    loss: Callable[..., Tensor] = mean_square  # of states (n_outputs, batch, *state), and of the target if there is one
    t: Tensor = field(default_factory=lambda: torch.empty(0))  # (n_outputs,), in the precision of `clock`
    target: Any = None  # tensors, or tuples, lists or dicts of such
    training: Training | None = None

    @property
    def judgement(self) -> Judgement:
        """The judgement of the trained model."""
        stated = self.training.judgement if self.training else None
        return stated or Judgement(self.y0, self.t, self.loss)


@dataclass(frozen=True, kw_only=True)
class Problem:
    """A named initial value problem on [0, horizon]."""

    name: str
    equation: str  # a line for people
    source: str
    horizon: float
    make: Callable[..., Instance]  # of a cell and, by keyword, the problem's options
    n_outputs: int = 11
    exact: Callable[..., Tensor] | None = None  # times (n,), and options by keyword -> states (n, *state), float64
    recipe: Recipe | None = None  # None: it is not trained, and its instances have no `training`
    most: tuple[tuple[str, int], ...] = ()  # the largest values of axes that the problem's data allow
    options: tuple[Option, ...] = ()

    def instance(self, cell: Cell) -> Instance:
        """The problem's instance for a cell: in its dtype, on its device, from its seed, with its options."""
        for seed in (torch.manual_seed, np.random.seed, random.seed):
            seed(cell.seed)
        return self.make(cell, **chosen_of(cell, "problem"))

    def exact_at(self, cell: Cell, t: Tensor) -> Tensor | None:
        """The exact states (n, *state) at these times; None where they are not known with the cell's options."""
        if self.exact is None:
            return None
        chosen = chosen_of(cell, "problem")
        if not chosen.keys() <= inspect.signature(self.exact).parameters.keys():
            return None
        return self.exact(t, **chosen)


PROBLEMS: Registry[Problem] = Registry(
    "problem",
    Problem,
    entry_points="nodebench.problems",
    package="bench.problems",
    describe=lambda problem: problem.equation,
)


def from_start(made: Callable[[], nn.Module], start: tuple[float, ...]) -> Callable[[Cell], Instance]:
    """A maker of instances with a given start: the first sample is exact, the others vary around it by a tenth."""

    def make(cell: Cell) -> Instance:
        dtype = getattr(torch, cell.dtype)
        exact = torch.tensor([start], dtype=torch.float64)
        spread = 1 + 0.1 * torch.randn(cell.batch_size, len(start), dtype=torch.float64)
        spread[0] = 1.0
        return Instance(
            field=made().to(cell.device, dtype),
            y0=(exact * spread).to(cell.device, dtype),
            t=output_times(cell),
            loss=mean_square,
        )

    return make


def output_times(cell: Cell) -> Tensor:
    """The cell's output times (n_outputs,), evenly spaced over [0, horizon]."""
    t = torch.linspace(0.0, cell.horizon, cell.n_outputs, dtype=torch.float64)
    return t.to(cell.device, clock(cell))


def clock(cell: Cell) -> torch.dtype:
    """The dtype of a cell's times: float64 for every state, because otherwise rounding makes steps of dt miss outputs.

    Every library measured takes such times with a float32 state. MPS has no float64.
    """
    return torch.float32 if cell.device == "mps" else torch.float64


class Elementwise(nn.Module):
    """A field written as a function of t, the state's components and its constants."""

    def __init__(self, rule: Callable[..., tuple[Tensor, ...]], *constants: float) -> None:
        super().__init__()
        self.rule = rule
        self.constants = nn.Parameter(torch.tensor(constants, dtype=torch.float64))

    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        """dy/dt for y (..., components)."""
        return torch.stack(self.rule(t, *y.unbind(-1), *self.constants.unbind()), dim=-1)


def moved(value: Any, cell: Cell) -> Any:
    """The value with all tensors in it moved to the cell's device, and floating-point ones to its dtype."""
    if isinstance(value, Tensor):
        dtype = getattr(torch, cell.dtype) if value.is_floating_point() else None
        return value.to(cell.device, dtype)
    if isinstance(value, nn.Module):
        return value.to(cell.device, getattr(torch, cell.dtype))
    if isinstance(value, tuple | list):
        parts = [moved(part, cell) for part in value]
        return type(value)(*parts) if hasattr(value, "_fields") else type(value)(parts)
    if isinstance(value, dict):
        return {name: moved(part, cell) for name, part in value.items()}
    return value


def with_instance(problem: Problem, instance: Instance) -> Problem:
    """The problem with a fixed instance: a trained model, to be solved with another solver."""
    return replace(problem, make=lambda _cell, **_options: instance)
