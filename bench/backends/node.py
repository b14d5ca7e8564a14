"""Our own core as a backend."""

from typing import cast

from torch import Tensor, nn

import node
from bench.backends.base import Backend
from bench.failure import TrialFailure
from bench.problems import Problem
from bench.workload import Workload
from results.records import Cell, TrialStatus


class NodeBackend(Backend):
    """`node.solve` with the gradient modes of ADJOINTS."""

    name = "node"
    summary = "nodebench's own core"

    @property
    def solvers(self) -> tuple[str, ...]:
        """Every registered method."""
        return tuple(node.SOLVERS)

    @property
    def gradients(self) -> tuple[str, ...]:
        """Every registered mode."""
        return ("none", *node.ADJOINTS)

    def unsupported(self, cell: Cell) -> str:
        """Beside unknown names: modes that do not go with the solver."""
        if reason := super().unsupported(cell):
            return reason
        if cell.gradient == "none":
            return ""
        return node.ADJOINTS[cell.gradient].unsupported(node.SOLVERS[cell.solver])

    def asked(self, cell: Cell) -> str:
        """Nothing beside the cell's own fields is chosen."""
        return "node.solve as it stands"

    def prepare(self, cell: Cell, problem: Problem) -> Workload:
        """Bind solver, controller and mode."""
        gradient = "backprop" if cell.gradient == "none" else cell.gradient
        controller = controller_of(cell)

        def solve(field: nn.Module, y0: Tensor, t: Tensor) -> Tensor:
            solution = node.solve(field, y0, t, solver=cell.solver, controller=controller, gradient=gradient)
            if solution.status.failed:
                raise TrialFailure(cast(TrialStatus, solution.status.name), solution.status.value)
            return solution.y

        return Workload(problem.instance(cell), solve)


def controller_of(cell: Cell) -> node.FixedStep | node.PIDController:
    """The cell's step: fixed where it has dt, else controlled by rtol and atol."""
    if cell.dt is not None:
        return node.FixedStep(dt=cell.dt)
    if cell.rtol is None or cell.atol is None:
        raise ValueError(f"cell {cell.key} has neither dt nor rtol and atol")
    return node.PIDController(rtol=cell.rtol, atol=cell.atol)
