"""The exact gradient with checkpoints: steps are recomputed from the states that were kept."""

import math
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from torch import Tensor
from typing_extensions import override

from node.adjoint.base import ADJOINTS, Adjoint, InitialValueProblem
from node.adjoint.replay.discrete import solve_with_replay
from node.adjoint.replay.every_kth import EveryKth
from node.adjoint.replay.replay import Replay
from node.adjoint.replay.replay_step import State
from node.adjoint.replay.steps import Memory
from node.errors import CallError
from node.solution import Stats
from node.trajectory import Trajectory


@dataclass(frozen=True)
class Checkpointed(Adjoint):
    """The gradient of the computed solution, as backprop's, but that only one step's graph lives at a time.

    budget: how many states are kept beside y0; None for one a step. A multistep or reversible method's state has what
    it carries beside y. With a budget c the forward pass keeps every k-th state, and drops every other one, doubling k,
    when there are more than c, as the number of steps is not known beforehand; the backward pass reverses each stretch
    between two by Griewank & Walther (2000), "Algorithm 799: Revolve", ACM Trans. Math. Softw. 26(1), 19-45, with the
    places that are free. f must give the same when called again. Where samples have their own steps, the times and the
    outcomes of each try, (B,), are kept beside.
    """

    budget: int | None = None

    name = "checkpointed"
    time = "N s calls and VJPs; with a budget more calls"
    memory = "O(N) states, or the budget"
    exactness = "exact for the computed solution"
    needs_parameters = True
    dense = True
    independent = True

    def __post_init__(self) -> None:
        if self.budget is not None and self.budget < 1:
            raise CallError(f"Checkpointed: budget is {self.budget!r} and must be 1 or more: states to be kept")

    def solve(self, problem: InitialValueProblem, y0: Tensor, stats: Stats) -> tuple[Trajectory, Tensor]:
        """Solve without a graph, keeping states; the backward pass recomputes the steps."""
        memory: Memory = EveryState() if self.budget is None else Thinned(self.budget)
        return solve_with_replay(problem, y0, stats, memory, self.name)


class EveryState(Memory):
    """A memory of the start of every step."""

    keeps_states = True

    def __init__(self) -> None:
        self._states: list[State] = []

    @override
    def keep(self, i: int, start: State, end: State) -> None:
        """Keep the start."""
        self._states.append(start)

    @override
    def backwards(self, replay: Replay, n: int) -> Iterator[State]:
        """The starts, the last one first."""
        yield from reversed(self._states[:n])


class Thinned(Memory):
    """The starts of the steps 0, k, 2 k, ..., at most so many beside that of step 0."""

    keeps_states = True

    def __init__(self, budget: int) -> None:
        self._budget = budget
        self._kept = EveryKth[State](budget + 1)

    @override
    def keep(self, i: int, start: State, end: State) -> None:
        """Keep every k-th start."""
        self._kept.add(start)

    def backwards(self, replay: Replay, n: int) -> Iterator[State]:
        """Stretch by stretch, the last first; the places of those that are done are free for those before.

        They are gone then: a second backward pass has step 0 to begin with.
        """
        states, last = self._kept.items, n
        while last:
            place = len(states) - 1
            start = states.pop() if place else states[0]
            first = place * self._kept.k
            if first < last:
                yield from _reversed(replay, start, first, last, free=self._budget - place)
                last = first


def _reversed(replay: Replay, state: State, first: int, last: int, free: int) -> Iterator[State]:
    """The states from which the steps last - 1, ..., first start, from that of `first`, with so many kept between."""
    while last - first > 1:
        middle = last - 1 if not free else first + split(last - first, free)
        kept = deque(replay.states(state, first, middle), maxlen=1).pop()
        yield from _reversed(replay, kept, middle, last, max(free - 1, 0))
        last = middle
    yield state


def split(n: int, free: int) -> int:
    """After how many of n > 1 steps the first of `free` > 0 checkpoints is best put: so that fewest are recomputed.

    Griewank & Walther (2000), prop. 1: with c states, the start among them, and no step taken more than r times without
    a graph, C(c + r, c) steps are reversed. With the least r that does, as many steps before as do with r - 1.
    """
    c = free + 1
    r = next(r for r in range(1, n) if math.comb(c + r, c) >= n)
    return max(1, min(math.comb(c + r - 1, c), n - math.comb(c + r - 2, c - 1)))


ADJOINTS.register(Checkpointed())
