"""The encoder of a latent ODE."""

import torch
from torch import Tensor, nn
from torch.distributions import Independent, Normal

from node.models.base import MODELS


@MODELS.register(name="recognition_rnn")
class RecognitionRNN(nn.Module):
    """q(z0 | x): a GRU that reads the observations backwards, from the last to the first, at the time of z0.

    Chen, Rubanova, Bettencourt & Duvenaud (2018), "Neural Ordinary Differential Equations", section 5. With each
    observation it reads the time to the next one, so that the times need not be equidistant.

    forward(x, t): x (n, B, observed) or (n, observed), t (n,) -> a normal density of event shape (latent,).
    """

    def __init__(self, observed: int, latent: int, *, width: int) -> None:
        super().__init__()
        self.rnn = nn.GRU(observed + 1, width)
        self.readout = nn.Linear(width, 2 * latent)

    def forward(self, x: Tensor, t: Tensor) -> Independent[Normal]:
        """The density q(z0 | x) of the latent state z0 at t[0]."""
        gaps = t.diff(append=t[-1:]).to(x)
        gaps = gaps.view(-1, *(1,) * (x.dim() - 1)).expand(*x.shape[:-1], 1)
        backwards = torch.cat([x, gaps], dim=-1).flip(0)
        hidden = self.rnn(backwards)[0][-1]
        mean, log_variance = self.readout(hidden).chunk(2, dim=-1)
        return Independent(Normal(mean, torch.exp(0.5 * log_variance)), 1)
