"""The exact gradient with nothing kept: each step is undone, and then recomputed."""

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

# A start that is recovered with a greater relative error stands for gradients that are not to be trusted.
LARGEST_DRIFT = 1e-3


@dataclass(frozen=True)
class Reversible(Adjoint):
    """The gradient of the computed solution, as backprop's but for rounding, for solvers whose steps can be undone.

    Kidger et al. (2021), algorithm 2; Zhuang et al. (2021), MALI, algorithm 4; McCallum & Foster (2024), algorithm 2.
    Kept is the end; where f has jumped and the solver was restarted, what it had carried there too. Where rounding has
    grown so far that a start is not found again, the backward pass raises SolveError.
    """

    name = "reversible"
    time = "2 N s calls, N s VJPs"
    memory = "O(1)"
    exactness = "exact but for rounding; reversible solvers only"
    needs_parameters = True
    dense = True
    independent = True

    def unsupported(self, solver: Solver) -> str:
        """Solvers whose steps have no inverse."""
        if isinstance(solver, ReversibleSolver):
            return ""
        return (
            f"{solver.name} cannot be undone: take a reversible solver, such as 'reversible_heun' "
            "or ReversibleRungeKutta(base), or gradient='checkpointed'"
        )

    def solve(self, problem: InitialValueProblem, y0: Tensor, stats: Stats) -> tuple[Trajectory, Tensor]:
        """Solve without a graph; the backward pass goes back from the end."""
        if not isinstance(problem.solver, ReversibleSolver):
            raise CallError(f"gradient={self.name!r}: {self.unsupported(problem.solver)}")
        return solve_with_replay(problem, y0, stats, FinalState(problem.solver), self.name)


class FinalState(Memory):
    """The state after the last step, and before and after each new beginning."""

    keeps_states = False

    def __init__(self, solver: ReversibleSolver) -> None:
        self._solver = solver
        self._end = State(torch.empty(0))
        self._steps = 0
        self._beginnings: dict[int, tuple[State, State]] = {}  # by step: its start, and what had been carried there

    def keep(self, i: int, start: State, end: State) -> None:
        """Forget the end that was, but for a new beginning."""
        if start.carry is None:
            self._beginnings[i] = start, self._end
        self._end, self._steps = end, i + 1

    def backwards(self, replay: Replay, n: int) -> Iterator[State]:
        """Undone one after the other, and set right at each beginning."""
        if n < self._steps:
            replay.stats.status_backward = Status.non_finite
            raise SolveError(
                "reversible: there is no way back from a state that is not finite: take smaller steps",
                Status.non_finite,
            )
        state, size = self._end, torch.linalg.vector_norm(self._end.y, dim=-1)
        for i in reversed(range(n)):
            state = replay.undone(self._solver, i, state)
            if i not in self._beginnings:
                yield state
                continue
            start, before = self._beginnings[i]
            _check_found(replay, state.y, start.y, size)
            yield start
            state = before


def _check_found(replay: Replay, y: Tensor, true: Tensor, size: Tensor) -> None:
    """Size: a norm that the solution has, as the start itself may be zero. A sample's may not be a number."""
    scale = torch.linalg.vector_norm(true, dim=-1).maximum(size)
    drifts = torch.linalg.vector_norm(y - true, dim=-1) / scale
    drift = float(drifts.where(scale > 0, 0.0).max())
    if not drift <= LARGEST_DRIFT:
        replay.stats.status_backward = Status.diverged
        raise SolveError(
            f"reversible: by a relative {drift:.2g} of the state, {Status.diverged.value}", Status.diverged
        )


ADJOINTS.register(Reversible())
