"""Continuous normalising flows: densities by the instantaneous change of variables."""

import torch
from torch import Tensor, nn
from torch.distributions import Distribution, Independent, Normal

from node.adjoint import Adjoint
from node.controller import Controller
from node.models.divergence import TRACES, Divergence
from node.solve import named, solve
from node.solvers import Solver
from node.vector_field import S, VectorField


class CNF(nn.Module):
    """A continuous normalising flow: x = y(1) with y' = f(t, y) and y(0) = z drawn from the base density.

    Chen, Rubanova, Bettencourt & Duvenaud (2018), "Neural Ordinary Differential Equations", theorem 1:
    log p(x) = log p(z) - integral of tr df/dy over [0, 1].
    Grathwohl, Chen, Bettencourt, Sutskever & Duvenaud (2019), "FFJORD", ICLR: the trace may be Hutchinson's estimate
    e' (df/dy) e, with e fixed during a solve and drawn anew for each; log p(x) is then unbiased.

    forward(x): x (..., *shape) -> z (..., *shape), log|det dz/dx| (...); `inverse` is the way back.
    shape: of one sample. base: of event shape `shape`, used as it is, on its own device; by default standard normal.
    trace: "exact" (as many vector-Jacobian products as a sample has entries), "rademacher" or "gaussian" (one).
    A solve that fails raises SolveError.
    """

    def __init__(
        self,
        vector_field: VectorField[Tensor],
        solver: str | Solver,
        *,
        shape: tuple[int, ...],
        controller: Controller,
        base: Distribution | None = None,
        trace: str = "exact",
        gradient: str | Adjoint = "backprop",
        max_steps: int = 1_000_000,
    ):
        super().__init__()
        if base is not None and base.event_shape != shape:
            raise ValueError(
                f"base has event shape {tuple(base.event_shape)} and a sample has {shape}: pass a base of that shape, "
                "such as Independent(Normal(...), n)"
            )
        self.vector_field = vector_field
        self.solver = solver
        self.shape = shape
        self.controller = controller
        self.trace = trace
        self.gradient = gradient
        self.max_steps = max_steps
        self._base = base
        self.register_buffer("_origin", torch.zeros(shape), persistent=False)

    @property
    def base(self) -> Distribution:
        """The density of z; the standard normal one is where the model is, in its dtype."""
        origin = self.get_buffer("_origin")
        return self._base or Independent(Normal(origin, torch.ones_like(origin)), len(self.shape))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """z (..., *shape) and log|det dz/dx| (...) of x (..., *shape)."""
        return self._flow(x, 1.0, 0.0)

    def inverse(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """x (..., *shape) and log|det dx/dz| (...) of z (..., *shape)."""
        return self._flow(z, 0.0, 1.0)

    def log_density(self, x: Tensor) -> Tensor:
        """log p(x), (...), in nats, of x (..., *shape)."""
        z, log_det = self(x)
        return self.base.log_prob(z) + log_det

    @torch.no_grad()
    def sample(self, n: int) -> Tensor:
        """n draws of x, (n, *shape), without a graph; for a gradient pass `base.rsample` through `inverse`."""
        return self._solve(self.vector_field, self.base.sample((n,)), 0.0, 1.0)[-1]

    def _flow(self, y: Tensor, start: float, end: float) -> tuple[Tensor, Tensor]:
        """The state at `end` and the log-determinant of its derivative in y, the state at `start`."""
        batch = y.shape[: max(y.dim() - len(self.shape), 0)]
        if y.shape != (*batch, *self.shape):
            raise ValueError(f"x has shape {tuple(y.shape)}: it must end in {self.shape}, the shape of one sample")
        probes = named("trace", self.trace, TRACES)(y, self.shape)
        field = Divergence(self.vector_field, probes, self.shape)
        states, log_dets = self._solve(field, (y, y.new_zeros(batch)), start, end)
        return states[-1], log_dets[-1]

    def _solve(self, f: VectorField[S], y0: S, start: float, end: float) -> S:
        """States at both ends, (2, ...)."""
        solution = solve(
            f,
            y0,
            torch.tensor([start, end]),
            solver=self.solver,
            controller=self.controller,
            gradient=self.gradient,
            max_steps=self.max_steps,
        )
        return solution.require_success().y
