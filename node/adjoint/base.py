"""The base of all gradient modes, and the checked problem that a mode solves so that backward() works."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from node.adjoint.field.conditions import Conditions
from node.adjoint.field.dependencies import Dependencies, dependencies, differentiated
from node.adjoint.field.watched import Watched
from node.controller import Controller
from node.errors import CallError
from node.event import Event
from node.integrate import integrate
from node.layout import Layout, State
from node.observer import CallbackObserver, DenseCollector, Observer
from node.registry import Registry
from node.solution import Stats
from node.solvers.base import Solver
from node.trajectory import Callbacks, Trajectory
from node.user_field import UserField
from node.vector_field import RightHandSide, Time, VectorField


@dataclass(frozen=True)
class InitialValueProblem:
    """dy/dt = f(t, y), y(times[0]) = y0, with all that a solve needs: checked, and the same for every mode."""

    f: VectorField[Any]
    y0: State
    layout: Layout  # of y0
    times: tuple[float, ...]
    solver: Solver
    controller: Controller
    max_steps: int
    callbacks: Callbacks
    parameters: tuple[Tensor, ...] = ()  # tensors that f depends on and that require grad, for `needs_parameters`
    found: Dependencies | None = None  # what a first call of f showed, for `needs_parameters`
    event: Event | None = None
    dense: bool = False
    sample_times: Tensor | None = None  # (B, T) in float64 on the CPU, where each sample has its own steps

    @property
    def samples(self) -> bool:
        """Whether each sample has its own steps."""
        return self.sample_times is not None

    def output_times(self) -> Sequence[Time]:
        """The output times in the form that f and a solver's step take: floats, or a column (B, 1) for each output."""
        if self.sample_times is None:
            return self.times
        return self.sample_times.to(self.layout.device, self.layout.dtype.to_real()).t().unsqueeze(2).unbind()

    def field(self) -> UserField:
        """f as solvers call it, with its number of calls at zero."""
        return UserField(self.f, self.layout)

    def first_field(self) -> UserField:
        """f for the forward pass; a first call that was already made is counted and used again."""
        field = self.field()
        if self.found is not None:
            field.reuse_call(self.found.call, self.found.calls)
        return field

    def with_dependencies(
        self, mode: str, given: tuple[Tensor, ...] | None = None, *, calls_once: bool = False
    ) -> "InitialValueProblem":
        """The problem with the tensors that its f depends on, found by a call of f.

        mode: the mode's name. given: the parameters that the caller names. calls_once: whether the mode calls f in the
        forward pass only.
        """
        y0 = self.layout.flatten(self.y0).detach()
        found = dependencies(self.field(), self.output_times()[0], y0, keep_graph=calls_once)
        if found.random and not calls_once:
            raise CallError(
                f"{mode} calls the vector field again in the backward pass, and it draws random numbers: take "
                "gradient='backprop', or f.eval() for Dropout"
            )
        usual = self.f.parameters() if isinstance(self.f, nn.Module) else ()
        return replace(self, parameters=differentiated(found.tensors, given, usual), found=found)

    def for_backward(self, mode: str) -> tuple["InitialValueProblem", Conditions]:
        """The problem for the backward pass, with a copy of f that the graph may hold, and the copy's conditions."""
        if self.found is None:
            raise CallError(f"{mode} must know what f depends on: solve by node.solve")
        conditions = Conditions(mode, self.f, self.layout, self.found, self.parameters)
        y0 = self.y0.detach() if isinstance(self.y0, Tensor) else tuple(part.detach() for part in self.y0)
        return replace(self, f=conditions.f, y0=y0, callbacks=Callbacks(), found=None), conditions

    def without_gradient(self, mode: str) -> "InitialValueProblem":
        """The problem of a solve that needs no gradient: it is an error if f reads a tensor that requires one."""
        if not (torch.is_grad_enabled() and self.found is not None) or self.found.tensors:
            return self
        return replace(self, f=Watched(mode, self.f, (), always=True))

    def integrate(
        self, f: RightHandSide, y0: Tensor, *, record: bool, observers: Sequence[Observer[Any]] = ()
    ) -> Trajectory:
        """The forward solve from the flat y0. observers: notified of each step, beside the problem's callbacks."""
        kept: DenseCollector[Any] | None = DenseCollector() if self.dense else None
        every = [*observers, *([] if kept is None else [kept])]
        if self.callbacks != Callbacks():
            every.append(CallbackObserver(self.callbacks, f))
        integration: Callable[..., Trajectory] = partial(integrate, f, y0, self.times)
        if self.sample_times is not None:
            from node.per_sample import integrate_samples  # it needs NumPy, which nothing else here does

            integration = partial(integrate_samples, f, y0, self.sample_times)
        trajectory = integration(
            solver=self.solver,
            controller=self.controller,
            max_steps=self.max_steps,
            record=record,
            event=self.event,
            observers=every,
        )
        return trajectory if kept is None else replace(trajectory, pieces=kept.pieces)


class Adjoint(ABC):
    """A gradient mode: one way to differentiate a solve."""

    name: ClassVar[str]
    # The cost of a mode: N steps of s evaluations forwards, M backwards; one VJP costs about two calls of f.
    time: ClassVar[str]  # the evaluations and VJPs beside the forward solve
    memory: ClassVar[str]  # the part of it that grows with the solve
    exactness: ClassVar[str]
    needs_parameters: ClassVar[bool] = False  # whether `solve` needs a list of the parameters; else autograd finds them
    calls_once: ClassVar[bool] = False  # whether f is called in the forward pass only: then it may draw random numbers
    twice: ClassVar[bool] = False  # whether its adjoint equation can be solved so that gradients have gradients too
    dense: ClassVar[bool] = False  # whether gradients pass through dense output
    independent: ClassVar[bool] = False  # whether gradients pass through samples that have their own steps

    def unsupported(self, _solver: Solver, /) -> str:
        """The reason why the mode does not work with the solver, and an alternative; empty if it works."""
        return ""

    @abstractmethod
    def solve(self, problem: InitialValueProblem, y0: Tensor, stats: Stats) -> tuple[Trajectory, Tensor]:
        """The trajectory from flat y0, and its states at the outputs, differentiable in y0 and the parameters.

        stats: filled with the costs, now and in the backward pass.
        """


def solve_without_graph(problem: InitialValueProblem, y0: Tensor, stats: Stats, name: str) -> tuple[Trajectory, Tensor]:
    """The trajectory of a solve without a graph, and its states at the outputs. name: the mode's name."""
    with_no_gradient = problem.without_gradient(name)
    with torch.no_grad():
        f = with_no_gradient.first_field()
        trajectory = with_no_gradient.integrate(f, y0.detach(), record=False)
        stats.add_forward(f.calls, trajectory.n_accepted, trajectory.n_rejected)
        return trajectory, trajectory.at_outputs()


ADJOINTS: Registry[Adjoint] = Registry(
    "gradient",
    Adjoint,
    entry_points="nodebench.gradients",
    package="node.adjoint",
    describe=lambda mode: f"{mode.exactness}; memory {mode.memory}",
)
