"""A continuous normalizing flow, with weights that a network computes from time, learns the density of two circles.

    python docs/examples/torchdiffeq/cnf.py --adjoint

Only the import below names a library: with `from torchdiffeq import odeint, odeint_adjoint` the program runs the same.
"""

import argparse
import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from node import odeint, odeint_adjoint

T0, T1 = 0.0, 10.0


class Flow(nn.Module):
    """d/dt (z, log p) = (sum_i u_i tanh(w_i z + b_i) / width, -trace of its Jacobian)."""

    def __init__(self, hidden: int, width: int) -> None:
        super().__init__()
        self.width = width
        self.weights = nn.Sequential(
            nn.Linear(1, hidden), nn.Tanh(), nn.Linear(hidden, hidden), nn.Tanh(), nn.Linear(hidden, 7 * width)
        )

    def forward(self, t: Tensor, state: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """dz/dt (B, 2) and d log p/dt (B, 1)."""
        z = state[0]
        with torch.set_grad_enabled(True):
            z.requires_grad_(True)
            w, u, gate, b = self.weights(t.reshape(1, 1)).reshape(-1).split([2 * self.width] * 3 + [self.width])
            u = (u * torch.sigmoid(gate)).view(self.width, 2)
            dz = torch.tanh(z @ w.view(self.width, 2).t() + b) @ u / self.width
            return dz, -trace(dz, z).view(len(z), 1)


def trace(dz: Tensor, z: Tensor) -> Tensor:
    """The trace of the Jacobian of each row of dz with respect to its row of z."""
    rows = [torch.autograd.grad(dz[:, i].sum(), z, create_graph=True)[0][:, i] for i in range(z.shape[1])]
    return torch.stack(rows).sum(0)


def circles(count: int) -> Tensor:
    """Points (count, 2) near two circles about the origin."""
    angle, radius = 2 * math.pi * torch.rand(count), torch.where(torch.rand(count) < 0.5, 1.0, 0.5)
    return radius.unsqueeze(1) * torch.stack((angle.cos(), angle.sin()), dim=1) + 0.06 * torch.randn(count, 2)


def main(arguments: Sequence[str] | None = None) -> dict[str, list[float]]:
    """Train; the losses, samples of the flow, and their distance from the start after the way back."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--iterations", type=int, default=1000)
    parser.add_argument("--samples", type=int, default=512)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--hidden", type=int, default=32)
    parser.add_argument("--adjoint", action="store_true")
    asked = parser.parse_args(arguments)
    solve = odeint_adjoint if asked.adjoint else odeint

    torch.manual_seed(0)
    func = Flow(asked.hidden, asked.width)
    optimiser = torch.optim.Adam(func.parameters(), lr=1e-3)
    base = torch.distributions.MultivariateNormal(torch.zeros(2), 0.1 * torch.eye(2))
    how, losses = {"atol": 1e-5, "rtol": 1e-5, "method": "dopri5"}, []
    for iteration in range(1, asked.iterations + 1):
        optimiser.zero_grad()
        x, nothing = circles(asked.samples), torch.zeros(asked.samples, 1)
        z, gained = solve(func, (x, nothing), torch.tensor([T1, T0]), **how)
        loss = -(base.log_prob(z[-1]) - gained[-1].view(-1)).mean()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
        print(f"{iteration:5d}: loss {losses[-1]:.4f}")
    with torch.no_grad():
        start = base.sample((asked.samples,)), torch.zeros(asked.samples, 1)
        there = [part[-1] for part in solve(func, start, torch.linspace(T0, T1, 5, dtype=torch.float64), **how)]
        back = solve(func, tuple(there), torch.tensor([T1, T0]), **how)
    off = max((part[-1] - begun).abs().max().item() for part, begun in zip(back, start, strict=True))
    return {"losses": losses, "samples": there[0].flatten().tolist(), "off": [off]}


if __name__ == "__main__":
    main()
