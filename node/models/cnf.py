"""Continuous normalising flows: densities by the instantaneous change of variables."""

from typing import Unpack

import torch
from torch import Tensor
from torch.distributions import Distribution, Independent, Normal

from node.errors import CallError
from node.event import Event
from node.models.base import MODELS
from node.models.divergence import TRACES, Divergence
from node.models.solving_model import Solving, SolvingModel
from node.registry import choice
from node.solution import Solution
from node.solvers import Solver
from node.vector_field import VectorField


@MODELS.register(name="cnf")
class CNF(SolvingModel):
    """A continuous normalising flow: x = y(1) with y' = f(t, y) and y(0) = z drawn from the base density.

    Chen, Rubanova, Bettencourt & Duvenaud (2018), "Neural Ordinary Differential Equations", theorem 1:
    log p(x) = log p(z) - integral of tr df/dy over [0, 1].
    Grathwohl, Chen, Bettencourt, Sutskever & Duvenaud (2019), "FFJORD", ICLR: the trace may be Hutchinson's estimate
    e' (df/dy) e, with e drawn for each solve and fixed during it; log p(x) is then unbiased.

    forward(x): x (..., *shape) -> z (..., *shape), log|det dz/dx| (...); `inverse` maps z to x.
    shape: the shape of one sample. base: a density of event shape `shape`, used unchanged on its own device; by default
    standard normal.
    trace: "exact" (as many vector-Jacobian products as a sample has entries), "rademacher" or "gaussian" (one).
    how: the arguments for every call of `solve`; `controller` is required.
    A solve that fails raises SolveError; `solve` returns the Solution instead.
    """

    def __init__(
        self,
        vector_field: VectorField[Tensor],
        solver: str | Solver,
        *,
        shape: tuple[int, ...],
        base: Distribution | None = None,
        trace: str = "exact",
        **how: Unpack[Solving],
    ) -> None:
        super().__init__(solver, **how)
        if base is not None and base.event_shape != shape:
            raise CallError(
                f"base has event shape {tuple(base.event_shape)} and a sample has {shape}: pass a base of that shape, "
                "such as Independent(Normal(...), n)"
            )
        self.vector_field = vector_field
        self.shape = shape
        self.trace = trace
        self._base = base
        self.register_buffer("_origin", torch.zeros(shape), persistent=False)

    @property
    def base(self) -> Distribution:
        """The density of z; the default standard normal has the model's device and dtype."""
        origin = self.get_buffer("_origin")
        return self._base or Independent(Normal(origin, torch.ones_like(origin)), len(self.shape))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """z (..., *shape) and log|det dz/dx| (...) for x (..., *shape)."""
        return self._flow(x, 1.0, 0.0)

    def inverse(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """x (..., *shape) and log|det dx/dz| (...) for z (..., *shape)."""
        return self._flow(z, 0.0, 1.0)

    def log_density(self, x: Tensor) -> Tensor:
        """log p(x), (...), in nats, for x (..., *shape)."""
        z, log_det = self(x)
        log_density: Tensor = self.base.log_prob(z) + log_det
        return log_density

    @torch.no_grad()
    def sample(self, n: int) -> Tensor:
        """n draws of x, (n, *shape), without a graph; for a gradient pass `base.rsample` through `inverse`."""
        solution = self._solution(self.vector_field, self.base.sample((n,)), torch.tensor([0.0, 1.0]))
        return solution.require_success().y[-1]

    def solve(
        self, y0: Tensor, t: Tensor, *, event: Event | None = None, dense: bool = False
    ) -> Solution[tuple[Tensor, ...]]:
        """The states from y0 (..., *shape) at the times t (n,), and log|det dy/dy0| (n, ...) at each time."""
        batch = y0.shape[: max(y0.dim() - len(self.shape), 0)]
        if y0.shape != (*batch, *self.shape):
            raise CallError(f"x has shape {tuple(y0.shape)}: it must end in {self.shape}, the shape of one sample")
        probes = choice("trace", self.trace, TRACES)(y0, self.shape)
        field = Divergence(self.vector_field, probes, self.shape)
        return self._solution(field, (y0, y0.new_zeros(batch)), t, event=event, dense=dense)

    def _flow(self, y: Tensor, start: float, end: float) -> tuple[Tensor, Tensor]:
        """The state at the time `end`, and the log-determinant of its derivative in y, the state at `start`."""
        states, log_dets = self.solve(y, torch.tensor([start, end])).require_success().y
        return states[-1], log_dets[-1]
