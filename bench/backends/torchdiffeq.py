"""torchdiffeq, the reference: odeint and odeint_adjoint at the settings that serve it best."""

from typing import Any

import torch
import torchdiffeq
from torch import Tensor, nn
from torchdiffeq._impl.odeint import SOLVERS

from bench.backends.base import Backend
from bench.failure import TrialFailure
from bench.problems import Problem
from bench.workload import Workload
from results.records import Cell, TrialStatus

# Our name -> theirs. Their rk4 is the 3/8 rule. The releases differ in what they have: SOLVERS is read at run time.
_ADAPTIVE = {"heun": "adaptive_heun", "bosh3": "bosh3", "dopri5": "dopri5", "tsit5": "tsit5", "dopri8": "dopri8"}
_FIXED = {"euler": "euler", "midpoint": "midpoint", "heun": "heun2", "heun3": "heun3", "rk4_38": "rk4"}

_FAILURES: dict[str, TrialStatus] = {
    "underflow in dt": "dt_underflow",
    "max_num_steps exceeded": "max_steps",
    "non-finite values in state": "non_finite",
}


class TorchdiffeqBackend(Backend):
    """Chen, R. T. Q., torchdiffeq."""

    name = "torchdiffeq"
    summary = "torchdiffeq's odeint and odeint_adjoint"

    @property
    def solvers(self) -> tuple[str, ...]:
        """The methods of the installed release that `node` has too."""
        return tuple(ours for ours, theirs in {**_ADAPTIVE, **_FIXED}.items() if theirs in SOLVERS)

    @property
    def gradients(self) -> tuple[str, ...]:
        """Backprop is odeint's, adjoint is odeint_adjoint's."""
        return ("none", "backprop", "adjoint")

    def unsupported(self, cell: Cell) -> str:
        """Beside unknown names: its adaptive methods take no fixed step, and its fixed ones no tolerance."""
        if cell.solver == "rk4":
            return "torchdiffeq has no classical rk4: its rk4 is the 3/8 rule, measured as rk4_38"
        if reason := super().unsupported(cell):
            return reason
        if cell.dt is not None and cell.solver not in _FIXED:
            return f"torchdiffeq steps {cell.solver} adaptively only: it takes no dt"
        if cell.dt is None and cell.solver not in _ADAPTIVE:
            return f"torchdiffeq steps {cell.solver} at a fixed size only: it takes no tolerance"
        return ""

    def prepare(self, cell: Cell, problem: Problem) -> Workload:
        """Bind method, options and odeint or odeint_adjoint."""
        instance = problem.instance(cell)

        def solve(field: nn.Module, y0: Tensor, t: Tensor) -> Tensor:
            arguments = _arguments(cell, t)
            try:
                if cell.gradient == "adjoint":
                    return torchdiffeq.odeint_adjoint(field, y0, t, **arguments)
                return torchdiffeq.odeint(field, y0, t, **arguments)
            except AssertionError as error:  # its way to say that a solve has failed
                raise _failure(error) from error

        return Workload(instance, solve)


def _arguments(cell: Cell, t: Tensor) -> dict[str, Any]:
    if cell.dt is not None:
        # Its default between grid points is linear, and would hide the order of every method above Euler's.
        return {"method": _FIXED[cell.solver], "options": {"step_size": cell.dt, "interp": "cubic"}}
    arguments: dict[str, Any] = {
        "method": _ADAPTIVE[cell.solver],
        "rtol": cell.rtol,
        "atol": cell.atol,
        # A step to the end time itself: it would interpolate there, at an error of its own.
        "options": {"step_t": t[-1:].to(torch.float64)},
    }
    if cell.gradient == "adjoint":
        arguments["adjoint_options"] = {}
    return arguments


def _failure(error: AssertionError) -> TrialFailure:
    text = str(error)
    status: TrialStatus = next((status for sign, status in _FAILURES.items() if sign in text), "error")
    return TrialFailure(status, f"torchdiffeq: {text.splitlines()[0][:200] if text else 'assertion without a text'}")
