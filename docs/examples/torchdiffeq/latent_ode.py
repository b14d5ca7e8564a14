"""A latent ODE learns clockwise and counterclockwise spirals from noisy points.

    python docs/examples/torchdiffeq/latent_ode.py --iterations 2000

Only the import below names a library: with `from torchdiffeq import odeint, odeint_adjoint` the program runs the same.
"""

import argparse
import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from node import odeint, odeint_adjoint

LATENT, NOISE = 4, 0.3


class Field(nn.Module):
    """The latent vector field, which counts its calls."""

    def __init__(self, width: int = 20) -> None:
        super().__init__()
        self.elu = nn.ELU(inplace=True)
        self.first, self.second = nn.Linear(LATENT, width), nn.Linear(width, width)
        self.last = nn.Linear(width, LATENT)
        self.nfe = 0

    def forward(self, t: Tensor, z: Tensor) -> Tensor:
        """dz/dt."""
        self.nfe += 1
        return self.last(self.elu(self.second(self.elu(self.first(z)))))


class Recognition(nn.Module):
    """A recurrent net that reads a trajectory backwards: means and logarithms of variances of z(0)."""

    def __init__(self, width: int = 25) -> None:
        super().__init__()
        self.hidden, self.out = nn.Linear(2 + width, width), nn.Linear(width, 2 * LATENT)
        self.width = width

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The means and the logarithms of variances, both (B, LATENT), of trajectories (B, T, 2)."""
        h = x.new_zeros(len(x), self.width)
        for i in reversed(range(x.shape[1])):
            h = torch.tanh(self.hidden(torch.cat((x[:, i], h), dim=1)))
        mean, log_variance = self.out(h).chunk(2, dim=1)
        return mean, log_variance


def spirals(count: int, points: int) -> tuple[Tensor, Tensor]:
    """Noisy trajectories (count, points, 2) of Archimedean spirals, and their times."""
    t = torch.linspace(0.0, 6 * math.pi, 10 * points)
    out, turn = 0.3 * t, 6 * math.pi + 1 - t
    kinds = torch.stack(
        (
            torch.stack((out * torch.cos(t) + 5, out * torch.sin(t)), dim=1),
            torch.stack((15 / turn * torch.cos(turn) - 5, 15 / turn * torch.sin(turn)), dim=1),
        )
    )
    starts, which = torch.randint(points, 8 * points, (count,)), torch.randint(2, (count,))
    x = torch.stack([kinds[kind, start : start + points] for kind, start in zip(which, starts, strict=True)])
    return x + NOISE * torch.randn(x.shape), t[:points]


def negative_elbo(x: Tensor, reconstructed: Tensor, mean: Tensor, log_variance: Tensor) -> Tensor:
    """The negative evidence lower bound without a constant, which is minimised."""
    error = ((x - reconstructed) / NOISE).square().sum((1, 2)) / 2
    divergence = (log_variance.exp() + mean.square() - 1 - log_variance).sum(1) / 2
    return (error + divergence).mean()


def main(arguments: Sequence[str] | None = None) -> dict[str, list[float]]:
    """Train; the losses, the calls of the field, and a trajectory that is continued in both directions of time."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--iterations", type=int, default=2000)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--points", type=int, default=100)
    parser.add_argument("--adjoint", action="store_true")
    asked = parser.parse_args(arguments)
    solve = odeint_adjoint if asked.adjoint else odeint

    torch.manual_seed(0)
    x, t = spirals(asked.count, asked.points)
    func, recognition = Field(), Recognition()
    decoder = nn.Sequential(nn.Linear(LATENT, 20), nn.ReLU(inplace=True), nn.Linear(20, 2))
    optimiser = torch.optim.Adam(nn.ModuleList((func, recognition, decoder)).parameters(), lr=0.01)
    losses, calls = [], []
    for iteration in range(1, asked.iterations + 1):
        optimiser.zero_grad()
        mean, log_variance = recognition(x)
        z0 = mean + torch.randn(mean.shape) * torch.exp(log_variance / 2)
        func.nfe = 0
        z = solve(func, z0, t).permute(1, 0, 2)
        loss = negative_elbo(x, decoder(z), mean, log_variance)
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
        calls.append(float(func.nfe))
        print(f"{iteration:5d}: loss {losses[-1]:.2f}, {func.nfe} calls of the field")
    with torch.no_grad():
        z0 = recognition(x)[0][0]
        before = solve(func, z0, torch.linspace(0.0, -math.pi, 50))
        after = solve(func, z0, torch.linspace(0.0, 2 * math.pi, 50))
        path = decoder(torch.cat((before.flip(0), after[1:])))
    return {"losses": losses, "calls": calls, "path": path.flatten().tolist()}


if __name__ == "__main__":
    main()
