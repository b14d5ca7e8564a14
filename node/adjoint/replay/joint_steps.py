"""Steps with one step size for the whole state, to be recomputed."""

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from node.adjoint.replay.replay_step import ReplayStep, State, StepResult
from node.adjoint.replay.steps import Memory, Steps
from node.dense import DensePiece
from node.solvers.base import Solver, Step
from node.solvers.reversible.base import ReversibleSolver
from node.trajectory import TakenStep
from node.vector_field import RightHandSide


@dataclass(frozen=True, slots=True)
class JointStep(ReplayStep):
    """An accepted step of `integrate`."""

    solver: Solver
    taken: TakenStep
    first: int  # the index of the first output in or after the step
    keep: bool  # whether the solve keeps its dense output

    @property
    def next_output(self) -> int:
        """The index of the next output after the step."""
        return self.first + len(self.taken.within) + self.taken.lands

    @property
    def self_contained(self) -> bool:
        """Whether the solver was restarted at the step, or restarts in every step."""
        return self.taken.restarted or self.solver.self_starting

    def recompute(
        self, f: RightHandSide, state: State, workspace: Any, *, with_carry: bool, outputs: bool
    ) -> StepResult:
        """The step, recomputed from the state at its start."""
        taken, solver = self.taken, self.solver
        if f.limits != taken.limits:
            f.limits = taken.limits
        t, dt, y = taken.t, taken.t1 - taken.t, state.y
        carry = solver.start(f, t, y) if state.carry is None else state.carry
        dense = outputs and (self.keep or bool(taken.within))
        if not (dense or with_carry):
            return StepResult(State(solver.advance(f, t, y, dt, carry, workspace)), None)
        step = solver.step(f, t, y, dt, carry, workspace, estimate=False)
        if not dense:
            return StepResult(State(step.y1, step.carry), None)
        if step.carry is None and solver.dense_with_f1:
            step = step._replace(carry=solver.start(f, taken.t1, step.y1))
        c = solver.dense(f, t, y, dt, step)
        within = DensePiece(t, dt, y, c).at(taken.within) if taken.within else None
        return StepResult(State(step.y1, step.carry), within, c if self.keep else None)

    def undo(self, solver: ReversibleSolver, f: RightHandSide, end: State, workspace: Any) -> State:
        """The state at the start of the step, up to rounding."""
        taken = self.taken
        f.limits = taken.limits
        return State(*solver.reverse(f, taken.t, end.y, taken.t1 - taken.t, end.carry, workspace))

    def of_end(self, of_y: Tensor) -> Tensor | None:
        """The gradient to the output at the step's end; None if there is none."""
        return of_y[self.next_output - 1] if self.taken.lands else None

    def of_within(self, of_y: Tensor) -> Tensor | None:
        """The gradients to the outputs within the step, which are consecutive; None if there are none."""
        return of_y[self.first : self.first + len(self.taken.within)] if self.taken.within else None


class JointSteps(Steps[JointStep]):
    """The accepted steps of a solve by `integrate`."""

    def __init__(self, solver: Solver, memory: Memory, *, dense: bool) -> None:
        super().__init__(solver, memory)
        self._dense = dense

    def taken(self, taken: TakenStep, y: Tensor, carry: Any, step: Step) -> None:
        """Add an accepted step."""
        first = self.steps[-1].next_output if self.steps else 1
        self._add(JointStep(self.solver, taken, first, self._dense), State(y, carry), State(step.y1, step.carry))

    def leave_out_not_finite(self, y: Tensor) -> None:
        """Keep the steps up to the last output before the first that is not finite."""
        n_finite = int(y.isfinite().all(dim=1).long().cumprod(0).sum())
        while self.steps and self.steps[-1].next_output > n_finite:
            self.steps.pop()
            self.end = None
