"""The exact gradient without stored states: each step is reversed, and then recomputed with a graph."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from node.adjoint.base import ADJOINTS, Adjoint, InitialValueProblem
from node.adjoint.replay.discrete import solve_with_replay
from node.adjoint.replay.replay import Replay
from node.adjoint.replay.replay_step import State
from node.adjoint.replay.steps import Memory
from node.errors import CallError
from node.solution import SolveError, Stats, Status
from node.solvers.base import Solver
from node.solvers.reversible.base import ReversibleSolver
from node.trajectory import Trajectory

# Where the start of a step is recovered with a greater relative error, the gradients cannot be trusted.
LARGEST_DRIFT = 1e-3


@dataclass(frozen=True)
class Reversible(Adjoint):
    """The gradient of the computed solution, equal to backprop's up to rounding, for solvers with reversible steps.

    Kidger et al. (2021), algorithm 2; Zhuang et al. (2021), MALI, algorithm 4; McCallum & Foster (2024), algorithm 2.
    The final state is stored; where f jumps and the solver is restarted, the state and the carry there are stored too.
    Where rounding has grown so much that the start of a step is not recovered, the backward pass raises SolveError.
    """

    name = "reversible"
    time = "2 N s calls, N s VJPs"
    memory = "O(1)"
    exactness = "exact but for rounding; reversible solvers only"
    needs_parameters = True
    dense = True
    independent = True

    def unsupported(self, solver: Solver) -> str:
        """The reason against solvers whose steps have no inverse; empty for reversible ones."""
        if isinstance(solver, ReversibleSolver):
            return ""
        return (
            f"{solver.name} cannot be undone: take a reversible solver, such as 'reversible_heun' "
            "or ReversibleRungeKutta(base), or gradient='checkpointed'"
        )

    def solve(self, problem: InitialValueProblem, y0: Tensor, stats: Stats) -> tuple[Trajectory, Tensor]:
        """Solve without a graph; the backward pass reverses the steps from the final state."""
        if not isinstance(problem.solver, ReversibleSolver):
            raise CallError(f"gradient={self.name!r}: {self.unsupported(problem.solver)}")
        return solve_with_replay(problem, y0, stats, FinalState(problem.solver), self.name)


class FinalState(Memory):
    """A memory that stores the state after the last step, and the states before and after each restart."""

    keeps_states = False

    def __init__(self, solver: ReversibleSolver) -> None:
        self._solver = solver
        self._end = State(torch.empty(0))
        self._steps = 0
        self._restarts: dict[int, tuple[State, State]] = {}  # by step: its start, and the end of the step before

    def keep(self, i: int, start: State, end: State) -> None:
        """Replace the stored end by this one; at a restart both states are stored."""
        if start.carry is None:
            self._restarts[i] = start, self._end
        self._end, self._steps = end, i + 1

    def backwards(self, replay: Replay, n: int) -> Iterator[State]:
        """The starts of the steps, the last one first, by reversing each step; at a restart the stored start."""
        if n < self._steps:
            replay.stats.status_backward = Status.non_finite
            raise SolveError(
                "reversible: there is no way back from a state that is not finite: take smaller steps",
                Status.non_finite,
            )
        state, size = self._end, torch.linalg.vector_norm(self._end.y, dim=-1)
        for i in reversed(range(n)):
            state = replay.undo(self._solver, i, state)
            if i not in self._restarts:
                yield state
                continue
            start, before = self._restarts[i]
            _check_recovered(replay, state.y, start.y, size)
            yield start
            state = before


def _check_recovered(replay: Replay, y: Tensor, true: Tensor, size: Tensor) -> None:
    """Raise a SolveError if the recovered y differs too much from the true start.

    size: the norm of the final state, as the norm of the start may be zero. In a failed sample it may be NaN.
    """
    scale = torch.linalg.vector_norm(true, dim=-1).maximum(size)
    drifts = torch.linalg.vector_norm(y - true, dim=-1) / scale
    drift = float(drifts.where(scale > 0, 0.0).max())
    if not drift <= LARGEST_DRIFT:
        replay.stats.status_backward = Status.diverged
        raise SolveError(f"reversible: a relative error of {drift:.2g}: {Status.diverged.value}", Status.diverged)


ADJOINTS.register(Reversible())
