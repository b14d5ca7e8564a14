"""The exact gradient with checkpoints: steps are recomputed from stored states."""

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
    """The gradient of the computed solution, equal to backprop's, with the graph of only one step in memory at a time.

    budget: the largest number of states that are stored beside y0, by default one for each step; a smaller budget needs
    less memory, but recomputes more steps. The state of a multistep or reversible method includes its carry. With a
    budget c the forward pass stores every k-th state; when there are more than c, it drops every other one and doubles
    k, as the number of steps is not known beforehand. The backward pass reverses the steps between two stored states by
    Griewank & Walther (2000), "Algorithm 799: Revolve", ACM Trans. Math. Softw. 26(1), 19-45, with the free part of the
    budget. f must return the same values when it is called again. Where samples have their own steps, the times and the
    outcomes of each try, (B,), are stored too.
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
        """Solve without a graph and store states; the backward pass recomputes the steps."""
        memory: Memory = EveryState() if self.budget is None else Thinned(self.budget)
        return solve_with_replay(problem, y0, stats, memory, self.name)


class EveryState(Memory):
    """A memory that stores the start of every step."""

    keeps_states = True

    def __init__(self) -> None:
        self._states: list[State] = []

    @override
    def keep(self, i: int, start: State, end: State) -> None:
        """Store the start of a step."""
        self._states.append(start)

    @override
    def backwards(self, replay: Replay, n: int) -> Iterator[State]:
        """The starts of the steps, the last one first."""
        yield from reversed(self._states[:n])


class Thinned(Memory):
    """A memory that stores the starts of the steps 0, k, 2 k, ...: at most `budget` beside that of step 0."""

    keeps_states = True

    def __init__(self, budget: int) -> None:
        self._budget = budget
        self._kept = EveryKth[State](budget + 1)

    @override
    def keep(self, i: int, start: State, end: State) -> None:
        """Store the start of every k-th step."""
        self._kept.add(start)

    def backwards(self, replay: Replay, n: int) -> Iterator[State]:
        """The starts of the steps, the last one first, recomputed between two stored states.

        A stored state is dropped once it is used, and its place is free for earlier steps. So a second backward pass
        recomputes everything from step 0.
        """
        states, last = self._kept.items, n
        while last:
            place = len(states) - 1
            start = states.pop() if place else states[0]
            first = place * self._kept.k
            if first < last:
                yield from _starts_backwards(replay, start, first, last, free=self._budget - place)
                last = first


def _starts_backwards(replay: Replay, state: State, first: int, last: int, free: int) -> Iterator[State]:
    """The starts of the steps last - 1, ..., first, recomputed from `state`, the start of step `first`.

    free: the number of states that may be stored between.
    """
    while last - first > 1:
        middle = last - 1 if not free else first + split(last - first, free)
        kept = deque(replay.states(state, first, middle), maxlen=1).pop()
        yield from _starts_backwards(replay, kept, middle, last, max(free - 1, 0))
        last = middle
    yield state


def split(n: int, free: int) -> int:
    """The number of steps, of n > 1, before the first of `free` > 0 checkpoints, with the fewest steps recomputed.

    Griewank & Walther (2000), prop. 1: with c states, the start among them, and no step taken more than r times without
    a graph, C(c + r, c) steps can be reversed. r is the least that suffices for n; the steps before the checkpoint are
    as many as r - 1 allows.
    """
    c = free + 1
    r = next(r for r in range(1, n) if math.comb(c + r, c) >= n)
    return max(1, min(math.comb(c + r - 1, c), n - math.comb(c + r - 2, c - 1)))


ADJOINTS.register(Checkpointed())
