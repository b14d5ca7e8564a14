"""Newton's iteration for the stages of implicit methods: one matrix serves all of a step as long as it does well."""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from node.derivatives import differentiates
from node.jacobian import Factors, factors, linearise
from node.vector_field import RightHandSide, Time

# Where the iteration takes more than these it is lost, and so is the step: its state is not a number.
MAX_ITERATIONS = 15
# Iterations for which a matrix is kept: where convergence would take more, a new matrix is made.
MORE_ITERATIONS = 2


@dataclass
class Newton:
    """Solves y = rest + weight f(t, y) to rounding, for one stage of a step after the other.

    The matrix I - weight df/dy is made at the first guess. In samples that converge too slowly with it, a new one is
    made at their iterate. weight: dt times the method's diagonal coefficient.
    """

    f: RightHandSide
    weight: Time
    solver: str  # the method's name
    _matrix: Factors | None = field(init=False, default=None)

    def solve(self, t: Time, rest: Tensor, guess: Tensor) -> Tensor:
        """The y that the iteration goes to from the guess, without a graph; NaN in samples where it goes nowhere."""
        resolution, y = torch.finfo(guess.dtype).eps, guess
        last = torch.full_like(_largest(guess), torch.nan)
        done = renewed = torch.zeros_like(last, dtype=torch.bool)
        for _ in range(MAX_ITERATIONS):
            change, renewed = self._change(t, rest, y, renewed)
            y = y + change.where(~done, 0.0)
            size, scale = _largest(change), torch.maximum(_largest(y), _largest(rest))
            rate = (size / last).nan_to_num(1.0)
            ahead = torch.where(renewed, rate.square(), rate)  # of the next iteration, with a nearer matrix
            # Where even a new matrix brings nothing more, rounding is what is left.
            stopped = renewed & (rate > 0.5) & last.isfinite() & (size <= resolution**0.5 * scale)
            done = done | stopped | (size * ahead <= resolution * scale)
            if bool((done | ~size.isfinite()).all()):
                break
            renewed = ~done & last.isfinite() & (size * ahead**MORE_ITERATIONS > resolution * scale)
            last = size
        return y.where(done, torch.nan)

    def recorded(self, t: Time, rest: Tensor, y: Tensor) -> Tensor:
        """The solution y, with a graph to rest and to all that f depends on.

        There dy = (I - weight df/dy)^-1 d(rest + weight f), the implicit function theorem, is the derivative of one
        more iteration with the solution's own matrix; of two more, so are the second derivatives.
        """
        value = self.f(t, y)
        if not differentiates(rest, self.weight, value):
            return y
        with torch.no_grad():
            matrix = factors(1.0, self.weight, linearise(self.f, t, y, solver=self.solver).dy)
        y = y + matrix.solve(rest + self.weight * value - y)
        return y + matrix.solve(rest + self.weight * self.f(t, y) - y)

    def _change(self, t: Time, rest: Tensor, y: Tensor, renewed: Tensor) -> tuple[Tensor, Tensor]:
        """The change of y in one iteration, with a new matrix where one is needed; and the samples where it is new."""
        matrix = self._matrix
        if matrix is None or bool(renewed.any()):
            at = linearise(self.f, t, y, solver=self.solver)
            value, made = at.f, factors(1.0, self.weight, at.dy)
            renewed = renewed if matrix is not None else torch.ones_like(renewed)
            self._matrix = matrix = made if matrix is None else _selected(renewed, made, matrix)
        else:
            value = self.f(t, y)
        return matrix.solve(rest + self.weight * value - y), renewed


def _selected(samples: Tensor, new: Factors, old: Factors) -> Factors:
    return Factors(new.lu.where(samples.unsqueeze(-1), old.lu), new.pivots.where(samples, old.pivots))


def _largest(y: Tensor) -> Tensor:
    """The largest entry of each sample, a column."""
    return y.abs().amax(-1, keepdim=True)
