"""Verlet's leapfrog: Hairer, Lubich & Wanner (2006), "Geometric Numerical Integration", 2nd ed., section I.1.4.

Order 2, symplectic, symmetric and so reversible. Two evaluations a step. Dense output by parabolas, of order 2.
"""

from dataclasses import dataclass, field

import torch
from torch import Tensor
from typing_extensions import override

from node.layout import Layout, State, TensorLayout
from node.solvers.base import SOLVERS, Step
from node.solvers.reversible.base import ReversibleSolver, moved
from node.vector_field import RightHandSide, Time

# By so much of its size a state is moved to see what a field depends on, and so many roundings of f are no dependence.
_MOVE, _ROUNDINGS = 0.05, 100.0


@dataclass
class Halves:
    """Which entries of a flat state are positions, found at the first step."""

    positions: Tensor | None = field(init=False, default=None)

    def of(self, f: RightHandSide, y: Tensor) -> Tensor:
        """The mask of positions, as y."""
        if self.positions is None:
            self.positions = positions(f.layout, y)
        return self.positions


@dataclass(frozen=True)
class Leapfrog(ReversibleSolver):
    """Velocity Verlet, of a state (q, p) whose field is separable: q' = g(t, p) and p' = h(t, q).

    p_half = p + dt/2 h(t, q),  q1 = q + dt g(t + dt/2, p_half),  p1 = p_half + dt/2 h(t1, q1).

    That is a Hamiltonian field with energy T(p) + V(q), or q'' = h(t, q); q comes first: y is a tuple (q, p) of tensors
    of one shape, or one tensor (..., 2 d), as `node.models.Hamiltonian` and `SecondOrder` have it. f is called with
    whole states, at p_half and q1; of what it gives only the half that is then needed counts. A step preserves areas,
    so that in fixed steps the energy's error does not grow with time; in steps that vary with an error estimate it
    would, and there is none. Carries h(t, q).
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
        """g in the middle and h at the end, which is handed on."""
        return 2

    def unsuited(self, f: RightHandSide, t: Time, y: Tensor) -> str:
        """States without halves; and fields in which a half of dy/dt depends on the same half of y, near (t, y)."""
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
    def workspace(self, y0: Tensor, *, record: bool) -> Halves:
        """The mask of positions, once it is found."""
        return Halves()

    def start(self, f: RightHandSide, t: Time, y: Tensor, f0: Tensor | None = None) -> Tensor:
        """h(t, q), and zero for the positions."""
        dy = f(t, y) if f0 is None else f0
        return dy.where(~positions(f.layout, y), 0.0)

    @override
    def step(
        self, f: RightHandSide, t: Time, y: Tensor, dt: Time, carry: Tensor, workspace: Halves, *, estimate: bool
    ) -> Step:
        """One step: kick, drift, kick."""
        q, half = workspace.of(f, y), 0.5 * dt
        kicked = moved(y, half, carry)
        drifted = moved(kicked, dt, f(t + half, kicked).where(q, 0.0))
        force = f(t + dt, drifted).where(~q, 0.0)
        return Step(moved(drifted, half, force), None, force)

    def reverse(
        self, f: RightHandSide, t: Time, y1: Tensor, dt: Time, carry1: Tensor, workspace: Halves
    ) -> tuple[Tensor, Tensor]:
        """The same kicks and drift, from the other side."""
        q, half = workspace.of(f, y1), 0.5 * dt
        drifted = moved(y1, -half, carry1)
        kicked = moved(drifted, -dt, f(t + half, drifted).where(q, 0.0))
        force = f(t, kicked).where(~q, 0.0)
        return moved(kicked, -half, force), force

    def dense(self, f: RightHandSide, t: Time, y: Tensor, dt: Time, step: Step) -> Tensor:
        """The parabola that starts with f(t, y), which is called for it."""
        start = dt * f(t, y)
        return torch.stack((start, step.y1 - y - start))


def positions(layout: Layout, y: Tensor) -> Tensor:
    """A mask as y of the positions in a flat state y, of a layout that has halves."""
    state: State = layout.restore(torch.zeros_like(y))
    if isinstance(state, tuple):
        q, p = state
        return layout.flatten((torch.ones_like(q), p)) != 0
    q, p = state.chunk(2, dim=-1)
    return layout.flatten(torch.cat((torch.ones_like(q), p), dim=-1)) != 0


def _without_halves(layout: Layout) -> str:
    """Why a state of this layout has no halves; empty if it has."""
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
    """Whether the half of dy/dt changes as that half of y is moved, each entry by another share of its size."""
    size = y.abs().maximum(y.abs().mean(-1, keepdim=True))
    size = size.where(size > 0, 1.0)
    shares = torch.linspace(0.5, 1.5, y.shape[-1], dtype=size.dtype, device=y.device)
    change = (f(t, y + (_MOVE * size * shares).where(half, 0.0)) - dy).where(half, 0.0).abs()
    resolution = _ROUNDINGS * torch.finfo(y.dtype).eps
    return bool((change > resolution * dy.abs().amax(-1, keepdim=True)).any())


LEAPFROG = SOLVERS.register(Leapfrog())
