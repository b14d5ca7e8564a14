"""Newton's iteration for the stages of implicit methods, with one matrix for a step as long as it converges fast."""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from node.derivatives import differentiates
from node.jacobian import Factors, factors, linearise
from node.vector_field import RightHandSide, Time

# An iteration that takes more than this has failed: the state, and so the step, is NaN.
MAX_ITERATIONS = 15
# The matrix is kept if convergence takes at most this number of further iterations; otherwise a new one is made.
MORE_ITERATIONS = 2


@dataclass
class Newton:
    """Solves y = rest + weight f(t, y) to rounding, for the stages of a step in order.

    The matrix I - weight df/dy is made at the first guess. For samples that converge too slowly with it, a new one is
    made at the current iterate. weight: dt times the method's diagonal coefficient.
    """

    f: RightHandSide
    weight: Time
    solver: str  # the solver's name, for error messages
    _matrix: Factors | None = field(init=False, default=None)

    def solve(self, t: Time, rest: Tensor, guess: Tensor) -> Tensor:
        """The limit y of the iteration from the guess, without a graph; NaN in samples where it does not converge."""
        resolution, y = torch.finfo(guess.dtype).eps, guess
        last = torch.full_like(_largest(guess), torch.nan)
        done = renewed = torch.zeros_like(last, dtype=torch.bool)
        for _ in range(MAX_ITERATIONS):
            change, renewed = self._change(t, rest, y, renewed)
            y = y + change.where(~done, 0.0)
            size, scale = _largest(change), torch.maximum(_largest(y), _largest(rest))
            rate = (size / last).nan_to_num(1.0)
            ahead = torch.where(renewed, rate.square(), rate)  # the next iteration's rate, faster with a new matrix
            # Where even a new matrix does not improve convergence, only rounding errors are left.
            stopped = renewed & (rate > 0.5) & last.isfinite() & (size <= resolution**0.5 * scale)
            done = done | stopped | (size * ahead <= resolution * scale)
            if bool((done | ~size.isfinite()).all()):
                break
            renewed = ~done & last.isfinite() & (size * ahead**MORE_ITERATIONS > resolution * scale)
            last = size
        return y.where(done, torch.nan)

    def recorded(self, t: Time, rest: Tensor, y: Tensor) -> Tensor:
        """The solution y with a graph to rest and to all that f depends on.

        By the implicit function theorem dy = (I - weight df/dy)^-1 d(rest + weight f). This is the derivative of one
        more iteration with the matrix at the solution; with two more iterations the second derivatives are correct too.
        """
        value = self.f(t, y)
        if not differentiates(rest, self.weight, value):
            return y
        with torch.no_grad():
            matrix = factors(1.0, self.weight, linearise(self.f, t, y, solver=self.solver).dy)
        y = y + matrix.solve(rest + self.weight * value - y)
        return y + matrix.solve(rest + self.weight * self.f(t, y) - y)

    def _change(self, t: Time, rest: Tensor, y: Tensor, renewed: Tensor) -> tuple[Tensor, Tensor]:
        """The change of y in one iteration, and the samples with a new matrix. renewed: the samples that need one."""
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
    """The largest absolute entry of each sample, as a column."""
    return y.abs().amax(-1, keepdim=True)
