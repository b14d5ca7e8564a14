"""Verlet's leapfrog: Hairer, Lubich & Wanner (2006), "Geometric Numerical Integration", 2nd ed., section I.1.4.

Order 2, symplectic, and symmetric, hence reversible. Two evaluations in each step. Dense output of order 2: parabolas.
"""

from dataclasses import dataclass, field

import torch
from torch import Tensor
from typing_extensions import override

from node.layout import Layout, State, TensorLayout
from node.solvers.base import SOLVERS, Step
from node.solvers.reversible.base import ReversibleSolver, moved
from node.vector_field import RightHandSide, Time

# To see whether a field depends on a half of the state, that half is changed by this share of its size; a change of f
# by less than this number of roundings is no dependence.
_MOVE, _ROUNDINGS = 0.05, 100.0


@dataclass
class PositionMask:
    """The mask of the entries of a flat state that are positions, computed at the first step."""

    positions: Tensor | None = field(init=False, default=None)

    def of(self, f: RightHandSide, y: Tensor) -> Tensor:
        """The mask of positions, in the shape of y."""
        if self.positions is None:
            self.positions = positions(f.layout, y)
        return self.positions


@dataclass(frozen=True)
class Leapfrog(ReversibleSolver):
    """Velocity Verlet for a state (q, p) with a separable field: q' = g(t, p) and p' = h(t, q).

    p_half = p + dt/2 h(t, q),  q1 = q + dt g(t + dt/2, p_half),  p1 = p_half + dt/2 h(t1, q1).

    Separable are Hamiltonian fields with energy T(p) + V(q), and q'' = h(t, q). q comes first: y is a tuple (q, p) of
    tensors of one shape, or one tensor (..., 2 d), as in `node.models.Hamiltonian` and `SecondOrder`. f is called with
    whole states, at p_half and q1, and only the needed half of its value is used. A step preserves areas, so that in
    fixed steps the energy's error does not grow with time. In adaptive steps it would grow, and so there is no error
    estimate. The carry is h(t, q).
    """

    name = "leapfrog"
    order = 2
    error_order = None
    source = "Hairer, Lubich & Wanner (2006), Geometric Numerical Integration, 2nd ed., section I.1.4"
    dense_order = 2
    kind = "symplectic (leapfrog)"
    separable = True

    @property
    def stages(self) -> int:
        """The evaluations of g in the middle and of h at the end, which the next step uses again."""
        return 2

    def unsuited(self, f: RightHandSide, t: Time, y: Tensor) -> str:
        """The reason against states without halves, and fields in which q' depends on q or p' on p, near (t, y)."""
        if reason := _without_halves(f.layout):
            return f"{self.name} solves positions and momenta, and {reason}"
        q = positions(f.layout, y)
        dy = f(t, y)
        for half, name in ((q, "q'"), (~q, "p'")):
            if _depends(f, t, y, dy, half):
                return (
                    f"{self.name} solves q' = g(t, p), p' = h(t, q), and here {name} depends on {name[0]} itself: "
                    "take another solver, such as 'rk4' or the reversible 'alf'"
                )
        return ""

    @override
    def workspace(self, y0: Tensor, *, record: bool) -> PositionMask:
        """The storage for the mask of positions."""
        return PositionMask()

    def start(self, f: RightHandSide, t: Time, y: Tensor, f0: Tensor | None = None) -> Tensor:
        """The initial carry: h(t, q) for the momenta, and zero for the positions."""
        dy = f(t, y) if f0 is None else f0
        return dy.where(~positions(f.layout, y), 0.0)

    @override
    def step(
        self, f: RightHandSide, t: Time, y: Tensor, dt: Time, carry: Tensor, workspace: PositionMask, *, estimate: bool
    ) -> Step:
        """One step: kick, drift, kick."""
        q, half = workspace.of(f, y), 0.5 * dt
        kicked = moved(y, half, carry)
        drifted = moved(kicked, dt, f(t + half, kicked).where(q, 0.0))
        force = f(t + dt, drifted).where(~q, 0.0)
        return Step(moved(drifted, half, force), None, force)

    def reverse(
        self, f: RightHandSide, t: Time, y1: Tensor, dt: Time, carry1: Tensor, workspace: PositionMask
    ) -> tuple[Tensor, Tensor]:
        """The inverse step: the same kicks and drift in reverse order."""
        q, half = workspace.of(f, y1), 0.5 * dt
        drifted = moved(y1, -half, carry1)
        kicked = moved(drifted, -dt, f(t + half, drifted).where(q, 0.0))
        force = f(t, kicked).where(~q, 0.0)
        return moved(kicked, -half, force), force

    def dense(self, f: RightHandSide, t: Time, y: Tensor, dt: Time, step: Step) -> Tensor:
        """The parabola from y to y1 with the slope f(t, y) at the start, which takes a call of f."""
        start = dt * f(t, y)
        return torch.stack((start, step.y1 - y - start))


def positions(layout: Layout, y: Tensor) -> Tensor:
    """The mask of the positions in a flat state y, for a layout that has halves; in the shape of y."""
    state: State = layout.restore(torch.zeros_like(y))
    if isinstance(state, tuple):
        q, p = state
        return layout.flatten((torch.ones_like(q), p)) != 0
    q, p = state.chunk(2, dim=-1)
    return layout.flatten(torch.cat((torch.ones_like(q), p), dim=-1)) != 0


def _without_halves(layout: Layout) -> str:
    """The reason why a state of this layout has no halves; empty if it has."""
    remedy = "pass a tuple (q, p) of two tensors of one shape, or one tensor (..., 2 d), positions first"
    if isinstance(layout, TensorLayout):
        least = 1 + layout.samples
        if len(layout.shape) >= least and layout.shape[-1] % 2 == 0:
            return ""
        return f"y0 of shape {tuple(layout.shape)} has no halves: {remedy}"
    if len(set(layout.shapes)) == 1 and len(layout.shapes) == 2:
        return ""
    return f"y0 of shapes {', '.join(map(str, layout.shapes))} is not two tensors of one shape: {remedy}"


def _depends(f: RightHandSide, t: Time, y: Tensor, dy: Tensor, half: Tensor) -> bool:
    """Whether one half of dy/dt changes when that half of y is moved, each entry by a different share of its size."""
    size = y.abs().maximum(y.abs().mean(-1, keepdim=True))
    size = size.where(size > 0, 1.0)
    shares = torch.linspace(0.5, 1.5, y.shape[-1], dtype=size.dtype, device=y.device)
    change = (f(t, y + (_MOVE * size * shares).where(half, 0.0)) - dy).where(half, 0.0).abs()
    resolution = _ROUNDINGS * torch.finfo(y.dtype).eps
    return bool((change > resolution * dy.abs().amax(-1, keepdim=True)).any())


LEAPFROG = SOLVERS.register(Leapfrog())
