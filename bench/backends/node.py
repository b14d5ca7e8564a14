"""Our own core as a backend."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from bench.backends.base import Backend
from bench.failure import TrialFailure
from bench.sweep.catalogue import catalogue
from results.records import Cell, TrialStatus

if TYPE_CHECKING:
    from torch import Tensor, nn

    from bench.backends.workload import Workload
    from bench.problems import Problem
    from node import FixedStep, PIDController


class NodeBackend(Backend):
    """`node.solve` with the gradient modes of ADJOINTS."""

    name = "node"
    summary = "nodebench's own core"

    @property
    def solvers(self) -> tuple[str, ...]:
        """Every registered method."""
        return tuple(catalogue().solvers)

    @property
    def gradients(self) -> tuple[str, ...]:
        """Every registered mode."""
        return ("none", *catalogue().gradients)

    def unsupported(self, cell: Cell) -> str:
        """Beside unknown names: modes that do not go with the solver."""
        if reason := super().unsupported(cell):
            return reason
        if cell.gradient == "none":
            return ""
        return catalogue().gradients[cell.gradient].unsupported.get(cell.solver, "")

    def asked(self, cell: Cell) -> str:
        """Nothing beside the cell's own fields is chosen."""
        return "node.solve as it stands"

    def prepare(self, cell: Cell, problem: Problem) -> Workload:
        """Bind solver, controller and mode."""
        import node
        from bench.backends.workload import Workload

        gradient = "backprop" if cell.gradient == "none" else cell.gradient
        controller = controller_of(cell)

        def solve(field: nn.Module, y0: Tensor, t: Tensor) -> Tensor:
            solution = node.solve(field, y0, t, solver=cell.solver, controller=controller, gradient=gradient)
            if solution.status.failed:
                raise TrialFailure(cast(TrialStatus, solution.status.name), solution.status.value)
            return solution.y

        return Workload(problem.instance(cell), solve)


def controller_of(cell: Cell) -> FixedStep | PIDController:
    """The cell's step: fixed where it has dt, else controlled by rtol and atol."""
    from node import FixedStep, PIDController

    if cell.dt is not None:
        return FixedStep(dt=cell.dt)
    if cell.rtol is None or cell.atol is None:
        raise ValueError(f"cell {cell.key} has neither dt nor rtol and atol")
    return PIDController(rtol=cell.rtol, atol=cell.atol)
