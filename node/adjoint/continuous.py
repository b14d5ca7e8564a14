"""The continuous adjoint: optimise, then discretise."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from torch import Tensor

from node.adjoint.backward.augmented import AugmentedField
from node.adjoint.backward.backward_solver import BackwardSolver, OutputTreatment, check_outputs, unsolvable
from node.adjoint.backward.impulses import Outputs
from node.adjoint.backward.norms import AdjointNorm, block_norm
from node.adjoint.backward.passes import Gradients, Passes, solve_in_passes
from node.adjoint.base import ADJOINTS, Adjoint, InitialValueProblem
from node.adjoint.replay.thinned import ThinnedStates
from node.controller import Controller, Norm
from node.errors import CallError
from node.observer import CallbackObserver
from node.solution import Stats
from node.solvers.base import Solver
from node.trajectory import Callbacks, Trajectory
from node.vector_field import RightHandSide


@dataclass(frozen=True)
class ContinuousAdjoint(Adjoint):
    """Chen, Rubanova, Bettencourt & Duvenaud (2018), "Neural Ordinary Differential Equations", algorithm 1.

    Solves a' = -a df/dy backwards in time together with y itself and the integral for the parameters, in one solve
    from the last output to the first. The gradient is that of the true solution, to the tolerance of both solves.

    solver, controller: those of the backward solve, by default the forward pass's. A tolerance for each entry of y
    holds for its adjoint too, and the smallest of them for the parameters.
    norm: the norm of the errors of y, of the adjoint and of the parameters' gradients; `seminorm` leaves the last out.
    callbacks: called in the steps of the backward solve, with a tuple (y, dL/dy, *dL/dp), the first two flat.
    max_steps: the largest number of steps of the whole backward solve, by default that of the forward pass.
    outputs: with "land" a step of the backward solve ends at every output time; with "spread" a step may pass several
    output times, which makes many outputs as cheap as few. At an output dL/dy(t_i) is added to the adjoint, and y is
    set to the state of the forward pass. "land" is the algorithm of the paper. With "spread" the dL/dy of the outputs
    that a step passes are spread over it (`Forcing`), and y is set at the end of that step. Fixed steps, and solvers
    that carry slopes of past steps, land on each output in either case.
    checkpoints: the number of states of the forward pass that are stored beside the outputs, to which the backward
    solve resets y. They help where the flow contracts: reversing it magnifies the error of y. Memory O(checkpoints).

    Samples that have their own steps land on each output, and the parameters' gradient is summed by quadrature over
    the steps, as in the interpolating adjoint: the norm is the larger one of y's and the adjoint's, callbacks are
    called with (y, dL/dy), and there are no checkpoints.
    """

    solver: Solver | None = None
    controller: Controller | None = None
    norm: AdjointNorm = block_norm
    callbacks: Callbacks | None = None
    max_steps: int | None = None
    outputs: OutputTreatment = "spread"
    checkpoints: int = 0

    name = "adjoint"
    time = "M s calls and VJPs"
    memory = "O(1)"
    exactness = "to the tolerance"
    needs_parameters = True
    twice = True
    independent = True

    def __post_init__(self) -> None:
        check_outputs(self.name, self.outputs)
        if self.checkpoints < 0:
            raise CallError(f"{self.name}: checkpoints is {self.checkpoints} and must be 0 or more")

    def unsupported(self, solver: Solver) -> str:
        """The reason why the backward solve's solver, by default `solver`, cannot solve the adjoint equation."""
        return unsolvable(self.name, solver, self.solver)

    def solve(self, problem: InitialValueProblem, y0: Tensor, stats: Stats) -> tuple[Trajectory, Tensor]:
        """Solve without a graph; the backward pass solves the adjoint equation."""
        if not problem.samples:
            return solve_in_passes(_Passes(self), problem, y0, stats)
        from node.adjoint.backward.sample_adjoint import AdjointSamples  # imported here because it needs NumPy

        return solve_in_passes(AdjointSamples.of(self, problem), problem, y0, stats)

    def gradients(self, problem: InitialValueProblem, outputs: Outputs, parameters: Sequence[Tensor]) -> Gradients:
        """The backward pass alone: the gradients of a loss, from its gradients to the outputs."""
        field = AugmentedField(problem.f, problem.y0, parameters)
        backward = BackwardSolver.of(problem, self)

        def norm(of_state: Norm) -> Norm:
            return lambda z: self.norm(of_state, *field.split(z))

        end = backward.solve(
            field,
            field.join(outputs.y[-1], outputs.dl_dy[-1]),
            outputs,
            norm=norm,
            tolerance=field.tolerance,
            observers=[] if self.callbacks is None else [CallbackObserver(self.callbacks, field)],
        )
        _, of_y0, *of_parameters = field.layout.restore(end.y)
        return Gradients(of_y0 + outputs.dl_dy[0], of_parameters, end.status, end.t, field.calls, field.vjps)


@dataclass
class _Passes(Passes):
    mode: ContinuousAdjoint
    between: ThinnedStates = field(init=False)
    name: str = field(init=False)

    def __post_init__(self) -> None:
        self.between = ThinnedStates(self.mode.checkpoints)
        self.name = self.mode.name

    def forward(
        self, problem: InitialValueProblem, f: RightHandSide, y0: Tensor, *, keep: bool
    ) -> tuple[Trajectory, Sequence[Tensor]]:
        observers = [self.between] if keep and self.mode.checkpoints else []
        return problem.integrate(f, y0, record=False, observers=observers), self.between.states

    def backward(
        self, problem: InitialValueProblem, outputs: Outputs, parameters: Sequence[Tensor], kept: Sequence[Tensor]
    ) -> Gradients:
        return self.mode.gradients(problem, self.between.among(outputs, kept), parameters)


ADJOINTS.register(ContinuousAdjoint())
