"""A net learns the vector field of a spiral from short pieces of one trajectory.

    python docs/examples/torchdiffeq/ode_demo.py --adjoint

Only the import below names a library: with `from torchdiffeq import odeint, odeint_adjoint` the program runs the same.
"""

import argparse
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from node import odeint, odeint_adjoint

TRUE_A = torch.tensor([[-0.1, 2.0], [-2.0, -0.1]])


class Spiral(nn.Module):
    """The field to be learned: y' = y^3 A."""

    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        """dy/dt."""
        return torch.mm(y**3, TRUE_A)


class Net(nn.Module):
    """y' = net(y^3)."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(2, 50), nn.Tanh(), nn.Linear(50, 2))
        for layer in self.net:
            if isinstance(layer, nn.Linear):
                nn.init.normal_(layer.weight, std=0.1)
                nn.init.zeros_(layer.bias)

    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        """dy/dt."""
        return self.net(y**3)


class RunningAverage:
    """An exponential moving average."""

    def __init__(self, momentum: float = 0.97):
        self.momentum = momentum
        self.value = float("nan")

    def update(self, new: float) -> None:
        """Add a number to the average, which starts with the first one."""
        self.value = new if self.value != self.value else self.momentum * self.value + (1 - self.momentum) * new


def batch(t: Tensor, true_y: Tensor, length: int, size: int) -> tuple[Tensor, Tensor, Tensor]:
    """Starts (size, 1, 2), times (length,) and states (length, size, 1, 2) of pieces drawn at random."""
    starts = torch.randperm(len(t) - length)[:size]
    return true_y[starts], t[:length], torch.stack([true_y[starts + i] for i in range(length)])


def main(arguments: Sequence[str] | None = None) -> dict[str, list[float]]:
    """Train; the losses of the batches, their running average and the losses on the whole trajectory."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--method", default="dopri5")
    parser.add_argument("--points", type=int, default=1000)
    parser.add_argument("--iterations", type=int, default=2000)
    parser.add_argument("--every", type=int, default=20)
    parser.add_argument("--adjoint", action="store_true")
    asked = parser.parse_args(arguments)
    solve = odeint_adjoint if asked.adjoint else odeint

    torch.manual_seed(0)
    y0, t = torch.tensor([[2.0, 0.0]]), torch.linspace(0.0, 25.0, asked.points)
    with torch.no_grad():
        true_y = odeint(Spiral(), y0, t, method="dopri5")
    func = Net()
    optimiser = torch.optim.RMSprop(func.parameters(), lr=1e-3)
    average, losses, tests = RunningAverage(), [], []
    for iteration in range(1, asked.iterations + 1):
        optimiser.zero_grad()
        batch_y0, batch_t, batch_y = batch(t, true_y, length=10, size=20)
        loss = (solve(func, batch_y0, batch_t, method=asked.method) - batch_y).abs().mean()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
        average.update(loss.item())
        if iteration % asked.every == 0:
            with torch.no_grad():
                tests.append((odeint(func, y0, t) - true_y).abs().mean().item())
            print(f"{iteration:5d}: loss {average.value:.6f}, on the whole trajectory {tests[-1]:.6f}")
    return {"losses": losses, "average": [average.value], "tests": tests}


if __name__ == "__main__":
    main()
