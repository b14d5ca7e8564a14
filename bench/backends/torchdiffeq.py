"""torchdiffeq: odeint and odeint_adjoint in the forms that serve them best, as docs/peers.md has measured them.

With torchdiffeq comes scipy, for half a second.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Sequence
from functools import cache, partial
from importlib import import_module, util
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.backends.base import BACKENDS, Backend
from bench.backends.grid import grid, met
from bench.failure import TrialFailure
from results.records import Cell, TrialStatus

if TYPE_CHECKING:
    from torch import Tensor, nn

    from bench.problems import Problem
    from bench.workload import Workload

# Our name -> theirs. Their rk4 is the 3/8 rule. The releases differ in what they have.
_ADAPTIVE = {"heun": "adaptive_heun", "bosh3": "bosh3", "dopri5": "dopri5", "tsit5": "tsit5", "dopri8": "dopri8"}
_FIXED = {"euler": "euler", "midpoint": "midpoint", "heun": "heun2", "heun3": "heun3", "rk4_38": "rk4"}

# Fixed steps whose outputs lie between two steps: a line costs no call, and errs no more than these methods do.
_LINE_IS_ENOUGH = ("euler", "midpoint", "heun")

# (share, order): the pairs whose interpolation errs far more than their steps. They step to each output while there are
# at most share * rtol^(-1 / order) of these, which grows as the number of steps does; beyond, it takes less time to
# interpolate. dopri5 interpolates about as well as it steps. Measured: docs/peers.md.
_LANDS = {"bosh3": (5.0, 3), "dopri8": (9.0, 8)}

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
        return tuple(ours for ours, theirs in {**_ADAPTIVE, **_FIXED}.items() if theirs in _installed())

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

    def asked(self, cell: Cell) -> str:
        """Which of its forms this cell is solved in."""
        if cell.dt is None:
            landing = cell.rtol is not None and lands(cell.solver, cell.rtol, cell.n_outputs)
            backwards = ", and on each backwards" if cell.gradient == "adjoint" else ""
            return f"steps end on {'each' if landing else 'the last'} output (step_t){backwards}"
        apart = cell.horizon / (cell.n_outputs - 1)
        return f"interp = {_interp(cell, cell.dt, (0.0, apart, cell.horizon - apart, cell.horizon))!r}"

    def prepare(self, cell: Cell, problem: Problem) -> Workload:
        """Bind method, options and odeint or odeint_adjoint. Options for the instance's own times are made once."""
        import torchdiffeq

        from bench.workload import Workload

        instance = problem.instance(cell)
        # Kidger, Chen & Lyons (2021): of use where parameters are many; of a few it left the gradient's error larger.
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
            except AssertionError as error:  # its way to say that a solve has failed
                raise _failure(error) from error

        return Workload(instance, solve)


@cache
def _installed() -> Collection[str]:
    """The methods of the installed release: the keys of its SOLVERS, a private name, read from its text if there."""
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
    """A grid of ours: step_size takes a step of no length where rounding has it so, and misses outputs by a rounding.

    The adjoint goes back from output to output, the ends of its grids: there is nothing to interpolate.
    """
    import torch

    times = t.tolist()
    ends = torch.tensor(grid(dt, times), dtype=t.dtype, device=t.device)
    options = {"grid_constructor": lambda _func, _y0, _t: ends, "interp": _interp(cell, dt, times)}
    arguments: dict[str, Any] = {"method": _FIXED[cell.solver], "options": options}
    if cell.gradient == "adjoint":
        arguments["adjoint_options"] = {"grid_constructor": partial(_construct, dt)}
    return arguments


def _construct(dt: float, _func: Any, _y0: Tensor, t: Tensor) -> Tensor:
    """The grid over times that are known in the backward pass only."""
    import torch

    return torch.tensor(grid(dt, t.tolist()), dtype=t.dtype, device=t.device)


def _interp(cell: Cell, dt: float, times: Sequence[float]) -> str:
    """Cubic costs a call an output, also where the output is the end of a step."""
    return "linear" if cell.solver in _LINE_IS_ENOUGH or met(dt, times) else "cubic"


def _adaptive(cell: Cell, rtol: float | None, t: Tensor, *, seminorm: bool) -> dict[str, Any]:
    """A step to the end time at least, where by default it interpolates."""
    if rtol is None:
        raise ValueError(f"cell {cell.key} has neither dt nor rtol and atol")
    stops = stops_at(t) if lands(cell.solver, rtol, len(t)) else t[-1:]
    arguments = {"method": _ADAPTIVE[cell.solver], "rtol": rtol, "atol": cell.atol, "options": {"step_t": stops}}
    if cell.gradient == "adjoint":
        # It begins a new solve at each output: where a step ends on the output, it interpolates nothing.
        arguments["adjoint_options"] = {"step_t": t[:-1], **({"norm": "seminorm"} if seminorm else {})}
    return arguments


def lands(solver: str, rtol: float, n_outputs: int) -> bool:
    """Whether steps end on each of so many outputs, at this tolerance."""
    if solver not in _LANDS:
        return False
    share, order = _LANDS[solver]
    return rtol == 0 or n_outputs <= share * rtol ** (-1 / order)


def stops_at(t: Tensor) -> Tensor:
    """The outputs as `step_t`, each later by a hair, at most 2e-15 * len(t)^2 of the whole time; the last as it is.

    Where a step ends on a time of step_t by its own size, torchdiffeq 0.2.5 does not notice, and steps to none of
    those that follow. A step of the last one's size does so where outputs are evenly spaced. Here each is nearer to
    the one before by 1e-14 of the whole time, some ten roundings, so that such a step is cut.
    """
    import torch

    after = torch.arange(1, len(t), dtype=t.dtype, device=t.device)
    return t[1:] + 5e-15 * (t[-1] - t[0]) * after * (len(t) - 1 - after)


def _failure(error: AssertionError) -> TrialFailure:
    text = str(error)
    status: TrialStatus = next((status for sign, status in _FAILURES.items() if sign in text), "error")
    return TrialFailure(status, f"torchdiffeq: {text.splitlines()[0][:200] if text else 'assertion without a text'}")


BACKENDS.register(TorchdiffeqBackend())
