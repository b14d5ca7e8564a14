"""torchdiffeq: odeint and odeint_adjoint in the forms that perform best, as measured in docs/peers.md.

Importing torchdiffeq imports scipy too, which takes half a second.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Sequence
from functools import cache, partial
from importlib import import_module, util
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.backends.base import BACKENDS, Backend
from bench.backends.grid import grid, steps_end_on
from bench.failure import TrialFailure
from results.records import Cell, TrialStatus

if TYPE_CHECKING:
    from torch import Tensor, nn

    from bench.problems import Problem
    from bench.workload import Workload

# Our name -> theirs. Their rk4 is the 3/8 rule. Its releases differ in the methods that they have.
_ADAPTIVE = {"heun": "adaptive_heun", "bosh3": "bosh3", "dopri5": "dopri5", "tsit5": "tsit5", "dopri8": "dopri8"}
_FIXED = {"euler": "euler", "midpoint": "midpoint", "heun": "heun2", "heun3": "heun3", "rk4_38": "rk4"}

# For outputs between two fixed steps: linear interpolation costs no call of f, and is as accurate as these methods.
_LINEAR_SUFFICES = ("euler", "midpoint", "heun")

# (share, order): the pairs whose interpolation has a far larger error than their steps. With at most
# share * rtol^(-1 / order) outputs, which grows as the number of steps does, a step ends on each output; with more,
# it takes less time to interpolate. dopri5 interpolates about as accurately as it steps. Measured: docs/peers.md.
_STEPS_TO_OUTPUTS = {"bosh3": (5.0, 3), "dopri8": (9.0, 8)}

_FAILURES: dict[str, TrialStatus] = {
    "underflow in dt": "dt_underflow",
    "max_num_steps exceeded": "max_steps",
    "non-finite values in state": "non_finite",
}


class TorchdiffeqBackend(Backend):
    """Chen, R. T. Q., torchdiffeq: its odeint and odeint_adjoint."""

    name = "torchdiffeq"
    summary = "torchdiffeq's odeint and odeint_adjoint"

    @property
    def solvers(self) -> tuple[str, ...]:
        """The methods of the installed release that `node` has too."""
        return tuple(ours for ours, theirs in {**_ADAPTIVE, **_FIXED}.items() if theirs in _installed())

    @property
    def gradients(self) -> tuple[str, ...]:
        """The gradient modes: backprop is odeint's, adjoint is odeint_adjoint's."""
        return ("none", "backprop", "adjoint")

    def unsupported(self, cell: Cell) -> str:
        """The reason why a cell cannot be measured: an unknown name, or a method that takes no dt or no tolerance."""
        if cell.solver == "rk4":
            return "torchdiffeq has no classical rk4: its rk4 is the 3/8 rule, measured as rk4_38"
        if reason := super().unsupported(cell):
            return reason
        if cell.dt is not None and cell.solver not in _FIXED:
            return f"torchdiffeq steps {cell.solver} adaptively only: it takes no dt"
        if cell.dt is None and cell.solver not in _ADAPTIVE:
            return f"torchdiffeq steps {cell.solver} at a fixed size only: it takes no tolerance"
        return ""

    def asked(self, cell: Cell) -> str:
        """A line that says in which form torchdiffeq solves this cell."""
        if cell.dt is None:
            on_each = cell.rtol is not None and steps_to_outputs(cell.solver, cell.rtol, cell.n_outputs)
            backwards = ", and on each backwards" if cell.gradient == "adjoint" else ""
            return f"steps end on {'each' if on_each else 'the last'} output (step_t){backwards}"
        interval = cell.horizon / (cell.n_outputs - 1)
        return f"interp = {_interp(cell, cell.dt, (0.0, interval, cell.horizon - interval, cell.horizon))!r}"

    def code(self, cell: Cell) -> str:
        """The call of odeint or odeint_adjoint, without the options by which steps end on outputs."""
        call = "odeint_adjoint" if cell.gradient == "adjoint" else "odeint"
        how = (
            f"method={_ADAPTIVE.get(cell.solver)!r}, rtol={cell.rtol!r}, atol={cell.atol!r}"
            if cell.dt is None
            else f"method={_FIXED.get(cell.solver)!r}, options={{'step_size': {cell.dt!r}}}"
        )
        return f"from torchdiffeq import {call}\ny = {call}(f, y0, t, {how})"

    def prepare(self, cell: Cell, problem: Problem) -> Workload:
        """The workload of a cell, by odeint or odeint_adjoint. Options for the instance's own times are made once."""
        import torchdiffeq

        from bench.workload import Workload

        instance = problem.instance(cell)
        # Seminorm, Kidger, Chen & Lyons (2021): useful with many parameters; with few the gradient's error was larger.
        many = sum(p.numel() for p in instance.field.parameters()) > instance.y0.numel()
        own = _arguments(cell, instance.t, seminorm=many)

        def solve(field: nn.Module, y0: Tensor, t: Tensor) -> Tensor:
            arguments = own if t is instance.t else _arguments(cell, t, seminorm=many)
            try:
                if cell.gradient == "adjoint":
                    y: Tensor = torchdiffeq.odeint_adjoint(field, y0, t, **arguments)
                else:
                    y = torchdiffeq.odeint(field, y0, t, **arguments)
                return y
            except AssertionError as error:  # torchdiffeq reports a failed solve in this way
                raise _failure(error) from error

        return Workload(instance, solve)


@cache
def _installed() -> Collection[str]:
    """The methods of the installed release: the keys of its private SOLVERS, read from the source text if found."""
    found = util.find_spec("torchdiffeq")
    text = Path(found.origin).with_name("_impl") / "odeint.py" if found and found.origin else None
    for part in ast.parse(text.read_bytes()).body if text and text.is_file() else []:
        match part:
            case ast.Assign(targets=[ast.Name(id="SOLVERS")], value=ast.Dict(keys=keys)):
                return [str(key.value) for key in keys if isinstance(key, ast.Constant)]
    return list(import_module("torchdiffeq._impl.odeint").SOLVERS)


def _arguments(cell: Cell, t: Tensor, *, seminorm: bool) -> dict[str, Any]:
    return _adaptive(cell, cell.rtol, t, seminorm=seminorm) if cell.dt is None else _fixed(cell, cell.dt, t)


def _fixed(cell: Cell, dt: float, t: Tensor) -> dict[str, Any]:
    """The arguments for fixed steps, on our own grid.

    With torchdiffeq's step_size, rounding can add a step of length zero, and steps miss outputs by a rounding error.
    The adjoint solves backwards from output to output, the ends of its grids: there is nothing to interpolate.
    """
    import torch

    times = t.tolist()
    ends = torch.tensor(grid(dt, times), dtype=t.dtype, device=t.device)
    options = {"grid_constructor": lambda _func, _y0, _t: ends, "interp": _interp(cell, dt, times)}
    arguments: dict[str, Any] = {"method": _FIXED[cell.solver], "options": options}
    if cell.gradient == "adjoint":
        arguments["adjoint_options"] = {"grid_constructor": partial(_backward_grid, dt)}
    return arguments


def _backward_grid(dt: float, _func: Any, _y0: Tensor, t: Tensor) -> Tensor:
    """The grid of a backward pass, over times that are known only then."""
    import torch

    return torch.tensor(grid(dt, t.tolist()), dtype=t.dtype, device=t.device)


def _interp(cell: Cell, dt: float, times: Sequence[float]) -> str:
    """The kind of interpolation: cubic costs a call of f for each output, even where a step ends on the output."""
    return "linear" if cell.solver in _LINEAR_SUFFICES or steps_end_on(dt, times) else "cubic"


def _adaptive(cell: Cell, rtol: float | None, t: Tensor, *, seminorm: bool) -> dict[str, Any]:
    """The arguments for adaptive steps, of which one ends at least on the end time: by default that is interpolated."""
    if rtol is None:
        raise ValueError(f"cell {cell.key} has neither dt nor rtol and atol")
    stops = stops_at(t) if steps_to_outputs(cell.solver, rtol, len(t)) else t[-1:]
    arguments = {"method": _ADAPTIVE[cell.solver], "rtol": rtol, "atol": cell.atol, "options": {"step_t": stops}}
    if cell.gradient == "adjoint":
        # odeint_adjoint begins a new solve at each output: where a step ends on the output, nothing is interpolated.
        arguments["adjoint_options"] = {"step_t": t[:-1], **({"norm": "seminorm"} if seminorm else {})}
    return arguments


def steps_to_outputs(solver: str, rtol: float, n_outputs: int) -> bool:
    """Whether a step should end on each output, given the number of outputs and the tolerance."""
    if solver not in _STEPS_TO_OUTPUTS:
        return False
    share, order = _STEPS_TO_OUTPUTS[solver]
    return rtol == 0 or n_outputs <= share * rtol ** (-1 / order)


def stops_at(t: Tensor) -> Tensor:
    """The outputs as `step_t`, each shifted later by at most 2e-15 * len(t)^2 of the whole time; the last is not.

    If a step ends on a time of step_t without having been cut, torchdiffeq 0.2.5 does not notice, and steps to none of
    the later times. With evenly spaced outputs, a step as long as the one before does that. The shifts make each
    interval shorter than the one before by 1e-14 of the whole time, some ten rounding errors, so that the step is cut.
    """
    import torch

    after = torch.arange(1, len(t), dtype=t.dtype, device=t.device)
    return t[1:] + 5e-15 * (t[-1] - t[0]) * after * (len(t) - 1 - after)


def _failure(error: AssertionError) -> TrialFailure:
    text = str(error)
    status: TrialStatus = next((status for sign, status in _FAILURES.items() if sign in text), "error")
    return TrialFailure(status, f"torchdiffeq: {text.splitlines()[0][:200] if text else 'assertion without a text'}")


BACKENDS.register(TorchdiffeqBackend())
