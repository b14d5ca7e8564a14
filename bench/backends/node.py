"""nodebench's own library, `node`, as a backend."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar, cast

from bench.backends.base import BACKENDS, Backend
from bench.backends.controller import controller_code, controller_of, of_controller
from bench.failure import TrialFailure
from bench.options import Option, chosen_of
from bench.sweep.catalogue import catalogue
from results.records import Cell, OptionValue, TrialStatus

if TYPE_CHECKING:
    from torch import Tensor, nn

    from bench.problems import Problem
    from bench.workload import Workload
    from node import FixedStep, PIDController
    from node.adjoint import Adjoint
    from node.solvers import Solver

T = TypeVar("T")

_BATCHING = Option(
    "batching", "str", "joint", "one step size for the whole batch, or one for each sample", ("joint", "independent")
)


class NodeBackend(Backend):
    """`node.solve` with the gradient modes of ADJOINTS."""

    name = "node"
    summary = "nodebench's own core"

    @property
    def solvers(self) -> Sequence[str]:
        """Every registered method."""
        return tuple(catalogue().solvers)

    @property
    def gradients(self) -> Sequence[str]:
        """Every registered mode."""
        return ("none", *catalogue().gradients)

    def options(self, cell: Cell) -> Sequence[Option]:
        """The options of the solver, of step size control if there are tolerances, of the mode, and of batching."""
        solver, mode = catalogue().solvers.get(cell.solver), catalogue().gradients.get(cell.gradient)
        return (
            *(solver.options if solver else ()),
            *(catalogue().controller if cell.dt is None else ()),
            *(mode.options if mode else ()),
            _BATCHING,
        )

    def unsupported(self, cell: Cell) -> str:
        """The reason why a cell cannot be measured: an unknown name, or a mode that does not support the solver."""
        if reason := super().unsupported(cell):
            return reason
        if cell.gradient == "none":
            return ""
        mode = catalogue().gradients[cell.gradient]
        if not mode.independent and "batching" in chosen_of(cell):
            return f"{cell.gradient} has one step size for the whole batch"
        return mode.unsupported.get(cell.solver, "")

    def refuses_options(self, cell: Cell) -> str:
        """The error with which the solver, the controller or the mode refuses the cell's options."""
        try:
            if not self.unsupported(cell):
                _parts(cell)
        except (ValueError, TypeError) as error:
            return str(error)
        return ""

    def asked(self, _cell: Cell) -> str:
        """The same line for every cell: nothing is chosen beside the cell's own fields."""
        return "node.solve as it stands"

    def code(self, cell: Cell) -> str:
        """The call of `node.solve`, with the options of solver, step size control, mode and batching."""
        of_solver = {name: value for name, value in chosen_of(cell, "solver").items() if not of_controller(name)}
        arguments = [f"solver={_changed('SOLVERS', cell.solver, of_solver)}", f"controller={controller_code(cell)}"]
        if cell.gradient != "none":
            arguments.append(f"gradient={_changed('ADJOINTS', cell.gradient, chosen_of(cell, 'gradient'))}")
        if "batching" in chosen_of(cell):
            arguments.append(f"batch={chosen_of(cell)['batching']!r}")
        lines = ["import node", f"solution = node.solve(f, y0, t, {', '.join(arguments)})"]
        return "\n".join(lines if "replace(" not in lines[-1] else ["from dataclasses import replace", *lines])

    def prepare(self, cell: Cell, problem: Problem) -> Workload:
        """The workload of a cell, with its solver, controller and mode bound to their options."""
        import node
        from bench.workload import Workload

        solver, controller, mode = _parts(cell)
        batch: Any = chosen_of(cell).get("batching", "joint")

        def solve(field: nn.Module, y0: Tensor, t: Tensor) -> Tensor:
            solution = node.solve(field, y0, t, solver=solver, controller=controller, gradient=mode, batch=batch)
            if solution.status.failed:
                raise TrialFailure(cast(TrialStatus, solution.status.name), solution.status.value)
            y: Tensor = solution.y
            return y

        return Workload(problem.instance(cell), solve)


def _changed(registry: str, name: str, options: Mapping[str, OptionValue]) -> str:
    """The text of a registered value with options in place of its own: its name where there are none."""
    given = ", ".join(f"{option}={value!r}" for option, value in options.items())
    return f"replace(node.{registry}[{name!r}], {given})" if options else repr(name)


def _parts(cell: Cell) -> tuple[Solver, FixedStep | PIDController, Adjoint]:
    """The cell's solver, controller and mode, each with its options; a ValueError or TypeError for a refused value."""
    import node

    of_solver = {name: value for name, value in chosen_of(cell, "solver").items() if not of_controller(name)}
    mode = node.ADJOINTS["backprop" if cell.gradient == "none" else cell.gradient]
    return (
        _with(node.SOLVERS[cell.solver], of_solver),
        controller_of(cell),
        _with(mode, chosen_of(cell, "gradient")),
    )


def _with(value: T, options: Mapping[str, OptionValue]) -> T:
    """A solver or a mode with these options in place of its own."""
    changed: T = replace(cast(Any, value), **options) if options else value
    return changed


BACKENDS.register(NodeBackend())
