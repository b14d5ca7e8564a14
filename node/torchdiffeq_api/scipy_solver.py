"""scipy.integrate.solve_ivp for a pass of a solve. SciPy is imported when it is used."""

import importlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor

from node.adjoint import Adjoint, ContinuousAdjoint, InitialValueProblem
from node.adjoint.augmented import AugmentedField
from node.adjoint.continuous import Across, Forward, solve_with_adjoint
from node.controller import PIDController, Tolerance
from node.integrate import Trajectory
from node.solution import SolveError, Stats
from node.tolerance import laid_out
from node.vector_field import FlatField


@dataclass(frozen=True)
class SolveIvp:
    """A solve by SciPy: its method's name, the tolerances in y0's layout, and limits where they limit anything."""

    method: str
    tolerance: PIDController
    min_step: float = 0.0
    max_step: float = math.inf

    callbacks = ()  # it calls none
    time_dtype = torch.float64

    def forward(self, problem: InitialValueProblem) -> Forward:
        """The forward pass of a problem."""
        rtol, atol = self._tolerances(problem)

        def solve(f: FlatField, y0: Tensor) -> Trajectory:
            y = self._states(f, y0, problem.times, rtol, atol)
            return Trajectory(problem.times[-1], y[-1], 0.0, [y], len(y))

        return solve

    def across(self, problem: InitialValueProblem, field: AugmentedField) -> Across:
        """The backward pass of a problem, interval by interval."""
        rtol, atol = (field.tolerance(x) if isinstance(x, Tensor) else x for x in self._tolerances(problem))
        return lambda z, start, stop: self._states(field, z, (start, stop), rtol, atol)[-1]

    def _tolerances(self, problem: InitialValueProblem) -> tuple[Tolerance, Tolerance]:
        controller = cast(PIDController, laid_out(self.tolerance, problem.y0))
        return controller.rtol, controller.atol

    def _states(self, f: FlatField, y0: Tensor, times: Sequence[float], rtol: Tolerance, atol: Tolerance) -> Tensor:
        """States (len(times), n)."""
        if len(times) == 1:
            return y0.unsqueeze(0)
        limits = {"min_step": self.min_step} if self.min_step > 0 else {}
        if self.max_step < math.inf:
            limits["max_step"] = self.max_step

        def slope(t: float, y: Any) -> Any:
            return f(float(t), torch.as_tensor(y).to(y0)).detach().cpu().numpy()

        with torch.no_grad():
            found = _solve_ivp()(
                slope,
                (times[0], times[-1]),
                y0.detach().cpu().numpy(),
                method=self.method,
                t_eval=times,
                rtol=_numbers(rtol),
                atol=_numbers(atol),
                **limits,
            )
        if not found.success:
            raise SolveError(f"scipy_solver: {self.method} stopped before t={times[-1]:g}: {found.message}")
        return torch.as_tensor(found.y.T.copy()).to(y0)


@dataclass(frozen=True)
class ThroughScipy(Adjoint):
    """The continuous adjoint where SciPy solves a pass or both. forward: None for the problem's own solver."""

    forward: SolveIvp | None
    backward: SolveIvp | ContinuousAdjoint

    name = "scipy"
    cost = "as the continuous adjoint's, and a copy to numpy and back in every evaluation"
    needs_parameters = True

    def solve(self, problem: InitialValueProblem, y0: Tensor, stats: Stats) -> tuple[Trajectory, Tensor]:
        """Solve without a graph; the backward pass solves the adjoint equation."""
        if y0.is_complex():
            raise ValueError("scipy_solver takes no complex state: pass its real and imaginary parts as a tuple")
        return solve_with_adjoint(
            problem,
            y0,
            stats,
            forward=None if self.forward is None else self.forward.forward(problem),
            backward=lambda field: self.backward.across(problem, field),
        )


def _solve_ivp() -> Callable[..., Any]:
    try:
        return cast(Callable[..., Any], importlib.import_module("scipy.integrate").solve_ivp)
    except ImportError:
        raise ImportError("scipy_solver needs SciPy, which is not installed: pip install scipy") from None


def _numbers(tolerance: Tolerance) -> Any:
    return tolerance.cpu().numpy() if isinstance(tolerance, Tensor) else tolerance
