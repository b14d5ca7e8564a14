"""The shortest form of a problem: a function that returns a field, a start and a loss."""

import inspect
import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from bench.options import options_of_function
from bench.problems.base import (
    PROBLEMS,
    Batch,
    Instance,
    Judgement,
    Problem,
    Recipe,
    Training,
    clock,
    moved,
    output_times,
)
from node.registry import RegistryError, unknown
from results.records import Cell

Made = Callable[..., Instance]


def problem(
    *,
    horizon: float,
    name: str = "",
    equation: str = "",
    source: str = "",
    n_outputs: int = 11,
    exact: Callable[..., Tensor] | None = None,
    optimiser: str = "",
    learning_rate: float = 1e-3,
    most: dict[str, int] | None = None,
) -> Callable[[Made], Made]:
    """Register the decorated function as a problem; the function itself stays what it is.

        @problem(horizon=10.0)
        def pendulum(*, damping: float = 0.1) -> Instance:
            # The first line of its docstring is the equation.
            return Instance(field=Pendulum(damping), y0=torch.tensor([[2.0, 0.0]]))

    The function draws in float32 on the CPU, with the generators of torch, NumPy and `random` seeded by the cell; what
    it returns is moved to the cell's dtype and device, so that the same numbers are measured in every precision and on
    every device. Its
    keyword-only parameters are the problem's options, "problem.damping" in a sweep. A parameter named `cell` gets the
    cell, with `cell.batch_size`, `cell.n_outputs` and the rest.

    name: the function's by default. equation: the first line of its docstring by default. exact(t (n,)): the states
    (n, *state) in float64 from the first sample's start, if they are known; if it takes no options, they are known for
    the default options only. optimiser: a class of torch.optim; a problem that has one can be trained. most: the
    largest values of axes that the problem's data allow, such as {"batch_size": 100}.

    Raises a RegistryError if a parameter cannot be an option, or if the name is taken.
    """

    def register(function: Made) -> Made:
        title = name or function.__name__
        _check(title, horizon, n_outputs, optimiser)
        try:
            takes_cell = _takes_cell(function)
            options = options_of_function(function, "problem")
        except TypeError as error:
            raise RegistryError(f"the problem {title}: {error}") from None

        def make(cell: Cell, **chosen: Any) -> Instance:
            made = function(cell, **chosen) if takes_cell else function(**chosen)
            if not isinstance(made, Instance):
                raise TypeError(
                    f"the problem {title} returns {type(made).__name__}: return Instance(field=..., y0=...)"
                )
            return for_cell(made, cell)

        PROBLEMS.register(
            Problem(
                name=title,
                equation=equation or (function.__doc__ or title).strip().partition("\n")[0],
                source=source or function.__module__,
                horizon=horizon,
                make=make,
                n_outputs=n_outputs,
                exact=exact,
                recipe=Recipe(optimiser, learning_rate) if optimiser else None,
                most=tuple((most or {}).items()),
                options=options,
            )
        )
        return function

    return register


def _takes_cell(function: Made) -> bool:
    """Whether the function has a parameter named cell; a TypeError if it has another that no option can be."""
    parameters = inspect.signature(function).parameters.values()
    for parameter in parameters:
        if parameter.name != "cell" and parameter.kind is not parameter.KEYWORD_ONLY:
            raise TypeError(
                f"its parameter {parameter} is neither `cell` nor an option: write `*` before the options, as in "
                "`def pendulum(cell: Cell, *, damping: float = 0.1)`"
            )
    return any(parameter.name == "cell" for parameter in parameters)


def _check(title: str, horizon: float, n_outputs: int, optimiser: str) -> None:
    if not (math.isfinite(horizon) and horizon > 0):
        raise RegistryError(f"the problem {title}: its horizon is {horizon!r} and must be positive and finite")
    if n_outputs < 2:
        raise RegistryError(f"the problem {title}: n_outputs is {n_outputs!r}: the start and the end are two")
    kind = getattr(torch.optim, optimiser, None) if optimiser else torch.optim.SGD
    if not (isinstance(kind, type) and issubclass(kind, torch.optim.Optimizer)):
        named = [name for name, value in vars(torch.optim).items() if isinstance(value, type)]
        raise RegistryError(f"the problem {title}: {unknown('optimiser', optimiser, named)}")


def for_cell(made: Instance, cell: Cell) -> Instance:
    """The instance in the cell's dtype, on its device, at its output times, its target bound to its loss."""
    if made.y0.dim() == 0 or len(made.y0) != cell.batch_size:
        raise ValueError(
            f"y0 has shape {tuple(made.y0.shape)}, and the cell a batch of {cell.batch_size}: "
            "its first dimension is that of samples; make cell.batch_size of them"
        )
    loss, target = made.loss, moved(made.target, cell)
    return Instance(
        field=moved(made.field, cell),
        y0=moved(made.y0, cell),
        loss=loss if made.target is None else lambda y: loss(y, target),
        t=made.t.to(cell.device, clock(cell)) if len(made.t) else output_times(cell),
        training=made.training and _training(made.training, cell),
    )


def _training(made: Training, cell: Cell) -> Training:
    def batches() -> Iterator[Batch]:
        for batch in made.batches():
            yield Batch(moved(batch.y0, cell), moved(batch.target, cell))

    judgement = made.judgement and _judgement(made.judgement, cell)
    return replace(made, batches=batches, judgement=judgement, modules=moved(made.modules, cell))


def _judgement(made: Judgement, cell: Cell) -> Judgement:
    loss, target = made.loss, moved(made.target, cell)
    return Judgement(
        y0=moved(made.y0, cell),
        t=made.t.to(cell.device, clock(cell)),
        loss=loss if made.target is None else lambda y: loss(y, target),
        trajectory=moved(made.trajectory, cell),
    )
