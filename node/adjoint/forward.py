"""Forward mode: tangents are solved together with the state."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, final

import torch
from torch import Tensor

from node.adjoint.backward.once import differentiable_once
from node.adjoint.backward.one_loss import check_one_loss
from node.adjoint.base import ADJOINTS, Adjoint, InitialValueProblem, solve_without_graph
from node.adjoint.field.copy import FieldCopy
from node.adjoint.field.dependencies import check_independent
from node.adjoint.field.derived import DerivedField
from node.adjoint.field.watched import watched
from node.controller import Controller, PIDController, Tolerance
from node.dense import DensePiece
from node.derivatives import pulled_back
from node.errors import CallError
from node.graph_function import GraphFunction
from node.jacobian import like, real
from node.layout import State
from node.solution import Stats, Status
from node.solvers.base import Solver
from node.trajectory import Trajectory
from node.user_field import FirstCall
from node.vector_field import Time


@dataclass(frozen=True)
class Forward(Adjoint):
    """The gradient of the computed solution, by tangents: dy/dx of every entry x of y0 and of the parameters.

    A method's step commutes with differentiation, so that solving the variational equation S' = df/dy S + df/dp in the
    same steps as y gives the exact derivative. The step sizes depend on y alone. Each entry that needs a gradient is
    one more state: the mode suits few parameters and a y0 without a gradient. The backward pass is one product.
    """

    name = "forward"
    time = "none; forwards N s products for each entry of y0 and the parameters"
    memory = "O(entries)"
    exactness = "exact for the computed solution; explicit solvers only"
    needs_parameters = True
    calls_once = True
    dense = True

    def unsupported(self, solver: Solver) -> str:
        """The reason against implicit solvers, which need the Jacobian of y and all tangents, and separable ones."""
        if solver.separable:
            return f"{solver.name} solves for positions and momenta, without tangents beside: take gradient='backprop'"
        if not solver.needs_jacobian:
            return ""
        return f"{solver.name} takes the Jacobian of all that is solved: take an explicit solver or gradient='backprop'"

    def solve(self, problem: InitialValueProblem, y0: Tensor, stats: Stats) -> tuple[Trajectory, Tensor]:
        """Solve for y and its tangents; the states have a graph to y0 and the parameters."""
        inputs = ((y0,) if y0.requires_grad else ()) + problem.parameters
        if not (torch.is_grad_enabled() and inputs):
            return solve_without_graph(problem, y0, stats, self.name)
        check_independent(self.name, [x for x in inputs if x.grad_fn is not None and x is not y0], problem.parameters)
        known = inputs if problem.found is None else (*inputs, *problem.found.tensors)
        f_watched = watched(self.name, problem.f, FieldCopy(problem.f), known)
        with torch.no_grad():
            f = TangentField(replace(problem, f=f_watched), inputs, of_y0=y0.requires_grad)
            controller = _by_state_alone(problem.controller, f)
            trajectory = replace(problem, controller=controller).integrate(f, f.start(y0), record=False)
            stats.add_forward(f.calls, trajectory.n_accepted, trajectory.n_rejected)
            z = trajectory.at_outputs()
        pieces = [
            DensePiece(t, dt, self._differentiable(f, y, inputs, stats)[0], self._differentiable(f, c, inputs, stats))
            for t, dt, y, c in ((p.t, p.dt, p.y.unsqueeze(0), p.c) for p in trajectory.pieces)
        ]
        found = replace(trajectory, y=f.split(trajectory.y)[0], pieces=pieces)
        return found, self._differentiable(f, z, inputs, stats)

    def _differentiable(self, f: "TangentField", z: Tensor, inputs: Sequence[Tensor], stats: Stats) -> Tensor:
        """The states of vectors z (m, (1 + d) n), in a graph in which the tangents are their derivatives."""
        y, tangents = f.split(z)
        reached = y.isfinite().all(dim=1).view(-1, 1, 1)
        states: Tensor = _WithTangents.apply(self.name, stats, y, tangents.where(reached, 0.0), *inputs)
        return states


@final
class TangentField(DerivedField):
    """d/dt (y, S) = (f, df/dy S + df/dp dp): for d directions, each an entry of an input, S is (d, n).

    A Jacobian-vector product is the derivative of a vector-Jacobian product u -> u df, linear in u (Townsend 2017):
    unlike torch's dual numbers it also finds parameters that f holds in a closure. One product serves all directions.
    """

    def __init__(self, problem: InitialValueProblem, inputs: Sequence[Tensor], *, of_y0: bool) -> None:
        super().__init__(problem.field(), problem.layout)
        self._first: FirstCall | None = None  # a call of f that was made before the solve
        self._graph: tuple[Tensor, Tensor] | None = None  # the y that this call was given, and f there, in a graph
        self._parameters = inputs[1:] if of_y0 else inputs
        sizes = _coordinates(inputs)
        self._directions = sum(sizes)
        self._n: int = problem.layout.flat_shape[0]
        rows = torch.eye(self._directions, dtype=torch.float64, device=inputs[0].device).split(sizes, dim=1)
        units = tuple(like(unit, x).reshape(-1, *x.shape).to(x) for unit, x in zip(rows, inputs, strict=True))
        self._of_y0 = units[0] if of_y0 else None
        self._of_parameters = units[1:] if of_y0 else units
        if problem.found is not None:
            self.field.calls = problem.found.calls
            self._first, self._graph = problem.found.call, problem.found.graph

    @property
    def size(self) -> int:
        """The number of entries of a vector."""
        return (1 + self._directions) * self._n

    def start(self, y0: Tensor) -> Tensor:
        """The vector of y0 and its tangents."""
        tangents = y0.new_zeros(self._directions, self._n) if self._of_y0 is None else self._of_y0
        return torch.cat((y0.detach(), tangents.reshape(-1)))

    def split(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """States (..., n) and tangents (..., d, n) of vectors (..., (1 + d) n)."""
        return z[..., : self._n], z[..., self._n :].reshape(*z.shape[:-1], self._directions, self._n)

    def __call__(self, t: Time, z: Tensor) -> Tensor:
        """dz/dt of the vector z = (y, S)."""
        y, tangents = self.split(z)
        with torch.enable_grad():
            y, dy = self._slope(t, y)
            product = self._along(dy, (y, *self._parameters), (tangents, *self._of_parameters))
        return torch.cat((dy.detach(), product.reshape(-1)))

    def restore(self, y: Tensor) -> State:
        """The user's state y of a vector (y, S)."""
        return self.layout.restore(y[: self._n])

    def _slope(self, t: Time, y: Tensor) -> tuple[Tensor, Tensor]:
        """The leaf y that f is called with, and f(t, y) in a graph to it."""
        first, graph, self._first, self._graph = self._first, self._graph, None, None
        if graph is not None and first is not None and self.field.can_reuse(first, t, y):
            return graph
        y = y.detach().requires_grad_()
        return y, self.field(t, y)

    def _along(self, dy: Tensor, inputs: Sequence[Tensor], tangents: Sequence[Tensor]) -> Tensor:
        """(d, n): the derivatives of dy along the tangents (d, ...) of the inputs."""
        none = dy.new_zeros(self._directions, self._n)
        if not dy.requires_grad:
            return none
        u = torch.zeros_like(dy, requires_grad=True)
        products = torch.autograd.grad(dy, inputs, u, create_graph=True, allow_unused=True)
        if any(g is not None and g.is_sparse for g in products):
            raise CallError(
                "forward cannot differentiate the sparse gradient of an embedding: build it with sparse=False, "
                "or take another gradient, such as 'checkpointed'"
            )
        pairs = [(g, v) for g, v in zip(products, tangents, strict=True) if g is not None and g.requires_grad]
        if not pairs:
            return none
        (product,) = pulled_back([g for g, _ in pairs], (u,), [v for _, v in pairs], graph=False)
        return none if product is None else product


class _WithTangents(GraphFunction):
    @staticmethod
    def forward(ctx: Any, mode: str, stats: Stats, y: Tensor, tangents: Tensor, *inputs: Tensor) -> Tensor:
        ctx.mode, ctx.stats = mode, stats
        ctx.save_for_backward(tangents, *inputs)
        return y.clone()

    @staticmethod
    def backward(ctx: Any, bar: Tensor) -> tuple[Tensor | None, ...]:
        check_one_loss(ctx.mode, (bar,))
        tangents, *inputs = ctx.saved_tensors
        with torch.no_grad():
            along = torch.einsum("mn,mdn->d", real(bar), real(tangents)).split(_coordinates(inputs))
            gradients = [like(g, x).reshape(x.shape).to(x) for g, x in zip(along, inputs, strict=True)]
        ctx.stats.status_backward = Status.success
        return None, None, None, None, *differentiable_once(ctx.mode, gradients, (bar, *inputs))


def _coordinates(inputs: Sequence[Tensor]) -> list[int]:
    """The number of real coordinates of each tensor."""
    return [x.numel() * (1 + x.is_complex()) for x in inputs]


def _by_state_alone(controller: Controller, f: TangentField) -> Controller:
    """The controller with a norm and tolerances that leave the tangents out."""
    if not isinstance(controller, PIDController):
        return controller
    norm = controller.norm
    return replace(
        controller,
        rtol=_padded(controller.rtol, f),
        atol=_padded(controller.atol, f),
        norm=lambda z: norm(f.split(z)[0]),
    )


def _padded(tolerance: Tolerance, f: TangentField) -> Tolerance:
    if not isinstance(tolerance, Tensor):
        return tolerance
    return torch.cat((tolerance, tolerance.new_ones(f.size - len(tolerance))))


ADJOINTS.register(Forward())
