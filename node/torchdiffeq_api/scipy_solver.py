"""scipy.integrate.solve_ivp as the solver of a pass. SciPy is imported when it is used."""

import importlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor
from typing_extensions import override

from node.adjoint import Adjoint, ContinuousAdjoint, InitialValueProblem
from node.adjoint.backward.augmented import AugmentedField
from node.adjoint.backward.impulses import Outputs
from node.adjoint.backward.passes import Gradients, Passes, solve_in_passes
from node.adjoint.backward.real import entries
from node.controller import PIDController, Tolerance
from node.refusal import Refusal
from node.solution import SolveError, Stats, Status
from node.tolerance import with_flat_tolerances
from node.trajectory import Trajectory
from node.vector_field import RightHandSide

FlatSlope = Callable[[float, Tensor], Tensor]


@dataclass(frozen=True)
class SolveIvp:
    """The settings of a solve by SciPy: its method's name, the tolerances in y0's layout, and limits of step sizes."""

    method: str
    tolerance: PIDController
    min_step: float = 0.0
    max_step: float = math.inf

    callbacks = ()  # no callbacks are called
    time_dtype = torch.float64

    def forward(self, problem: InitialValueProblem, f: RightHandSide, y0: Tensor) -> Trajectory:
        """The forward pass of a problem."""
        y = self._states(f, y0, problem.times, *self._tolerances(problem))
        return Trajectory(problem.times[-1], y[-1], [y], len(y))

    def gradients(self, problem: InitialValueProblem, outputs: Outputs, parameters: Sequence[Tensor]) -> Gradients:
        """The backward pass of a problem, interval by interval."""
        field = AugmentedField(problem.f, problem.y0, parameters)
        rtol, atol = (field.tolerance(x) if isinstance(x, Tensor) else x for x in self._tolerances(problem))
        times, y, dl_dy = outputs
        z = field.join(y[-1], dl_dy[-1])
        for i in range(len(times) - 1, 0, -1):
            z = self._states(field, z, (times[i], times[i - 1]), rtol, atol)[-1]
            z = field.jumped(z, entries(dl_dy[i - 1], z.dtype), y[i - 1])
        _, *found = field.layout.restore(z)
        return Gradients(found[0], found[1:], Status.success, times[0], field.calls, field.vjps)

    def _tolerances(self, problem: InitialValueProblem) -> tuple[Tolerance, Tolerance]:
        controller = cast(PIDController, with_flat_tolerances(self.tolerance, problem.y0))
        return controller.rtol, controller.atol

    def _states(self, f: FlatSlope, y0: Tensor, times: Sequence[float], rtol: Tolerance, atol: Tolerance) -> Tensor:
        """The states (len(times), n) by SciPy."""
        if len(times) == 1:
            return y0.unsqueeze(0)
        if y0.is_complex() and self.method == "LSODA":
            return self._in_real_numbers(f, y0, times, rtol, atol)
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

    def _in_real_numbers(
        self, f: FlatSlope, y0: Tensor, times: Sequence[float], rtol: Tolerance, atol: Tolerance
    ) -> Tensor:
        """The complex states by a method that supports real numbers only."""

        def slope(t: float, y: Tensor) -> Tensor:
            return torch.view_as_real(f(t, torch.view_as_complex(y.view(-1, 2)))).reshape(-1)

        rtol, atol = (x.repeat_interleave(2) if isinstance(x, Tensor) and x.dim() else x for x in (rtol, atol))
        found = self._states(slope, torch.view_as_real(y0).reshape(-1), times, rtol, atol)
        return torch.view_as_complex(found.view(len(times), -1, 2))


@dataclass(frozen=True)
class ThroughScipy(Adjoint):
    """The continuous adjoint with one or both passes by SciPy. forward: None for the problem's own solver."""

    forward: SolveIvp | None
    backward: SolveIvp | ContinuousAdjoint

    name = "scipy"
    time = "as the adjoint's, and a copy to NumPy and back in every call"
    memory = "O(1)"
    exactness = "to the tolerance"
    needs_parameters = True

    def solve(self, problem: InitialValueProblem, y0: Tensor, stats: Stats) -> tuple[Trajectory, Tensor]:
        """Solve without a graph; the backward pass solves the adjoint equation."""
        return solve_in_passes(_Passes(self), problem, y0, stats)


@dataclass
class _Passes(Passes):
    mode: ThroughScipy

    name = ThroughScipy.name

    @override
    def forward(
        self, problem: InitialValueProblem, f: RightHandSide, y0: Tensor, *, keep: bool
    ) -> tuple[Trajectory, Sequence[Tensor]]:
        if self.mode.forward is None:
            return problem.integrate(f, y0, record=False), ()
        return self.mode.forward.forward(problem, f, y0), ()

    @override
    def backward(
        self, problem: InitialValueProblem, outputs: Outputs, parameters: Sequence[Tensor], kept: Sequence[Tensor]
    ) -> Gradients:
        return self.mode.backward.gradients(problem, outputs, parameters)


@dataclass(frozen=True)
class ScipyWithoutGradient(Adjoint):
    """A solve by SciPy whose backward pass raises an error, as SciPy's steps leave no graph."""

    scipy: SolveIvp

    name = "scipy without gradient"
    time = "none"
    memory = "O(1)"
    exactness = "no gradient"
    needs_parameters = True
    calls_once = True

    def solve(self, problem: InitialValueProblem, y0: Tensor, stats: Stats) -> tuple[Trajectory, Tensor]:
        """Solve without a graph; states that depend on tensors that require grad refuse their gradient."""
        f = problem.first_field()
        trajectory = self.scipy.forward(problem, f, y0)
        stats.add_forward(f.calls, trajectory.n_accepted, trajectory.n_rejected)
        message = (
            "scipy_solver gives odeint no gradient and an input requires one: take odeint_adjoint, "
            "or solve under torch.no_grad()"
        )
        (y,) = Refusal(message, (y0, *problem.parameters)).of(trajectory.at_outputs())
        return trajectory, y


def _solve_ivp() -> Callable[..., Any]:
    try:
        return cast(Callable[..., Any], importlib.import_module("scipy.integrate").solve_ivp)
    except ImportError:
        raise ImportError("scipy_solver needs SciPy, which is not installed: pip install scipy") from None


def _numbers(tolerance: Tolerance) -> Any:
    """The tolerance as a NumPy array, or one number if all are equal, as BDF and Radau take only a number for rtol."""
    if not isinstance(tolerance, Tensor):
        return tolerance
    numbers = tolerance.cpu().numpy()
    return numbers if (numbers != numbers.flat[0]).any() else float(numbers.flat[0])
