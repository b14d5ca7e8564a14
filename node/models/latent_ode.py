"""A latent ODE: a variational autoencoder of time series whose latent state follows an ODE."""

from collections.abc import Callable
from typing import Unpack

import torch
from torch import Tensor, nn
from torch.distributions import Independent, Normal, kl_divergence

from node.event import Event
from node.models.base import MODELS
from node.models.neural_ode import NeuralODE
from node.models.solving_model import Solving
from node.solution import Solution
from node.solvers import Solver
from node.vector_field import VectorField


@MODELS.register(name="latent_ode")
class LatentODE(nn.Module):
    """Chen, Rubanova, Bettencourt & Duvenaud (2018), "Neural Ordinary Differential Equations", section 5.

    z(t[0]) ~ N(0, I), z' = f(t, z), x(t) ~ N(decoder(z(t)), noise_std^2), with q(z(t[0]) | x) from the encoder.
    Observations x (n, ..., observed) at times t (n,), one t for the batch, of any spacing.

    encoder: called with x and t, returns q, a density of event shape (latent,), as a RecognitionRNN does.
    decoder: (..., latent) -> (..., observed), the mean of x.
    how: the arguments of a NeuralODE.
    A solve that fails raises SolveError.
    """

    def __init__(
        self,
        encoder: Callable[[Tensor, Tensor], Independent[Normal]],
        vector_field: VectorField[Tensor],
        decoder: Callable[[Tensor], Tensor],
        solver: str | Solver,
        *,
        noise_std: float,
        **how: Unpack[Solving],
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.ode = NeuralODE(vector_field, solver, **how)
        self.decoder = decoder
        self.noise_std = noise_std

    def forward(self, x: Tensor, t: Tensor, times: Tensor) -> Tensor:
        """The mean of x (m, ..., observed) at `times` (m,), from the mean of q given x at t (n,).

        times: on one side of t[0], in the order of a solve that starts there; after t[-1] the model extrapolates.
        """
        q = self.encoder(x, t)
        if bool(times[0] == t[0]):
            return self.decode(q.mean, times)
        return self.decode(q.mean, torch.cat([t[:1], times]))[1:]

    def decode(self, z0: Tensor, t: Tensor) -> Tensor:
        """The mean of x (n, ..., observed) at t (n,), from the latent state z0 (..., latent) at t[0]."""
        return self.decoder(self.ode(z0, t))

    def solve(self, z0: Tensor, t: Tensor, *, event: Event | None = None, dense: bool = False) -> Solution[Tensor]:
        """The latent states (n, ..., latent) at t (n,) from z0 with the solve's statistics, whatever its status."""
        return self.ode.solve(z0, t, event=event, dense=dense)

    def elbo(self, x: Tensor, t: Tensor) -> Tensor:
        """A lower bound of log p(x), (...), in nats: E_q log p(x | z0) by one draw of z0, minus KL(q | prior).

        Kingma & Welling (2014), "Auto-Encoding Variational Bayes", ICLR, eq. 3.
        """
        q = self.encoder(x, t)
        z0 = q.rsample()
        log_likelihood = Normal(self.decode(z0, t), self.noise_std).log_prob(x).sum(dim=(0, -1))
        prior = Independent(Normal(torch.zeros_like(z0), torch.ones_like(z0)), 1)
        bound: Tensor = log_likelihood - kl_divergence(q, prior)
        return bound
