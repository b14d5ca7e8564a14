"""Tries in which each sample has its own step, to be recomputed."""

import math
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from node.adjoint.replay.replay_step import ReplayStep, State, StepResult
from node.adjoint.replay.steps import Memory, Steps
from node.per_sample.carry import finite, select
from node.per_sample.columns import column, mask
from node.per_sample.log import TakenTry
from node.per_sample.outputs import interpolated
from node.solvers.base import Solver, Step
from node.solvers.carry import map_tensors, parts, rebuilt
from node.solvers.reversible.base import ReversibleSolver
from node.vector_field import RightHandSide


@dataclass(frozen=True, slots=True)
class SampleStep(ReplayStep):
    """A try of all samples: in samples that reject it the step size is zero, and nothing of it is kept."""

    solver: Solver
    taken: TakenTry
    keep: bool = False  # whether the solve keeps its dense output
    unrecoverable: "UnrecoverableStarts | None" = None  # for reversible solvers only

    @property
    def self_contained(self) -> bool:
        """Whether the solver was restarted in every sample, or restarts in every step."""
        return self.solver.self_starting or bool(self.taken.restarted.all())

    def recompute(
        self, f: RightHandSide, state: State, workspace: Any, *, with_carry: bool, outputs: bool
    ) -> StepResult:
        """The try, recomputed from the states at its start."""
        taken, solver = self.taken, self.solver
        t, h = self._times(f, state.y)
        y, carry = state
        if taken.substitute is not None:
            t, h, y = taken.substitute.fill(t), taken.substitute.fill(h), taken.substitute.fill(y)
            carry = None if carry is None else map_tensors(taken.substitute.fill, carry)
        carry = self._carry_at_start(f, t, y, carry)
        within, keep = (taken.within, self.keep) if outputs else (None, False)
        dense = within is not None or keep
        if not (dense or with_carry):
            y1 = solver.advance(f, t, y, h, carry, workspace)
            return StepResult(State(self._moved(y1, state.y)), None)
        step = solver.step(f, t, y, h, carry, workspace, estimate=False)
        carry1 = None if step.carry is None else self._moved(step.carry, carry)
        end = State(self._moved(step.y1, state.y), carry1)
        if not dense:
            return StepResult(end, None)
        c = solver.dense(f, t, y, h, self._with_carry(f, t, h, step))
        return StepResult(
            end, None if within is None else interpolated(y, c, within), self._nan_where_unknown(c) if keep else None
        )

    def undo(self, solver: ReversibleSolver, f: RightHandSide, end: State, workspace: Any) -> State:
        """The states at the start of the try, up to rounding; rejecting samples keep theirs."""
        t, h = self._times(f, end.y)
        y, carry = solver.reverse(f, t, end.y, h, end.carry, workspace)
        y, carry = self._moved(y, end.y), self._moved(carry, end.carry)
        return State(y, carry) if self.unrecoverable is None else self.unrecoverable.restored_in(y, carry)

    def of_end(self, of_y: Tensor) -> Tensor | None:
        """The gradients to outputs at the ends of samples' steps; zero in the other samples."""
        if self.taken.landed is None:
            return None
        output, sample = (torch.from_numpy(i).to(of_y.device) for i in self.taken.landed)
        return torch.zeros_like(of_y[0]).index_add(0, sample, of_y[output, sample])

    def of_within(self, of_y: Tensor) -> Tensor | None:
        """The gradients to the outputs within the samples' steps; None if there are none."""
        if self.taken.within is None:
            return None
        output, sample = (torch.from_numpy(i).to(of_y.device) for i in self.taken.within[:2])
        return of_y[output, sample]

    def _times(self, f: RightHandSide, y: Tensor) -> tuple[Tensor, Tensor]:
        """The columns t and h; later calls of f are restricted to the limits of the try."""
        taken = self.taken
        if taken.between is not None:
            f.between_columns(*(column(x, y) for x in taken.between))
        return column(taken.t, y), column(taken.t1 - taken.t, y)

    def _carry_at_start(self, f: RightHandSide, t: Tensor, y: Tensor, carry: Any) -> Any:
        if carry is None:
            return self.solver.start(f, t, y)
        restarted = self.taken.restarted
        return select(mask(restarted, y), self.solver.start(f, t, y), carry) if restarted.any() else carry

    def _moved(self, new: Any, old: Any) -> Any:
        """The new states or carries in samples that accept the step, the old ones in the others."""
        moved = self.taken.moved
        return new if moved.all() else select(mask(moved, parts(new)[0]), new, old)

    def _with_carry(self, f: RightHandSide, t: Tensor, h: Tensor, step: Step) -> Step:
        """The step with the carry that dense output needs, which is the start of the next step."""
        if step.carry is not None or not self.solver.dense_with_f1:
            return step
        t1, y1, substitute = t + h, step.y1, self.taken.substitute_f1
        if substitute is not None:
            t1, y1 = substitute.fill(t1), substitute.fill(y1)
        return step._replace(carry=self.solver.start(f, t1, y1))

    def _nan_where_unknown(self, c: Tensor) -> Tensor:
        """Dense output, with NaN in samples where f at the end of the step was not finite."""
        substitute = self.taken.substitute_f1
        return c if substitute is None else c.where(mask(substitute.finite, c), math.nan)


class UnrecoverableStarts(NamedTuple):
    """The starts of those samples for which reversing the step does not recover the start."""

    rows: Tensor  # (m,), the indices of the samples
    y: Tensor
    carry: tuple[Tensor, ...]  # empty where all samples are restarted

    @classmethod
    def by(cls, taken: TakenTry, y: Tensor, carry: Any, end: Step) -> "UnrecoverableStarts | None":
        """The starts of samples that were restarted, if not all were, and of those whose end is not finite."""
        lost = taken.moved & ~finite(end.carry)
        if not taken.restarted.all():
            lost |= taken.restarted
        if not lost.any():
            return None
        rows = torch.from_numpy(np.flatnonzero(lost)).to(y.device)
        return cls(rows, y[rows], () if carry is None else tuple(x[rows] for x in parts(carry)))

    def restored_in(self, y: Tensor, carry: Any) -> State:
        """The states (B, n) and the carry, with the stored starts in place of those of these samples."""
        y = y.index_copy(0, self.rows, self.y)
        if not self.carry:
            return State(y, carry)
        tensors = [x.index_copy(0, self.rows, own) for x, own in zip(parts(carry), self.carry, strict=True)]
        return State(y, tensors[0] if isinstance(carry, Tensor) else rebuilt(carry, tensors))


class SampleSteps(Steps[SampleStep]):
    """The tries of a solve by `integrate_samples`."""

    def __init__(self, solver: Solver, memory: Memory, *, dense: bool) -> None:
        super().__init__(solver, memory)
        self._dense = dense

    def taken(self, taken: TakenTry, y: Tensor, carry: Any, step: Step) -> None:
        """Add a try that some sample accepted."""
        unrecoverable = (
            UnrecoverableStarts.by(taken, y, carry, step) if isinstance(self.solver, ReversibleSolver) else None
        )
        self._add(
            SampleStep(self.solver, taken, self._dense, unrecoverable), State(y, carry), State(step.y1, step.carry)
        )

    def leave_out_not_finite(self, y: Tensor) -> None:
        """Keep every try, but leave out those of its outputs that are not finite."""
        places = y.isfinite().all(dim=2).cpu().numpy()
        for i, step in enumerate(self.steps):
            taken = step.taken
            landed = None if taken.landed is None else taken.landed.chosen(places)
            within = None if taken.within is None else taken.within.chosen(places)
            self.steps[i] = replace(step, taken=taken._replace(landed=landed, within=within))
