"""A user's own problem, with training: a network learns a pendulum from noisy observations of its angle.

    nodebench check docs/examples/own_problem.py

A sweep that names this file, `use = ["own_problem.py"]`, has problem = "noisy_pendulum" and varies its options:
"problem.width" = [16, 64].
"""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from bench.problems import Batch, Instance, Judgement, Training, problem
from node import PIDController, solve
from node.models import MLP
from results.records import Cell

POINTS, END = 201, 10.0  # observations of a trajectory, evenly spaced over [0, END]


class Pendulum(nn.Module):
    """u' = v, v' = -sin u - 0.1 v."""

    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        """dy/dt of y (..., 2)."""
        u, v = y.unbind(-1)
        return torch.stack((v, -torch.sin(u) - 0.1 * v), dim=-1)


def true_trajectory() -> Tensor:
    """The states (POINTS, 1, 2) from (2, 0), in float64."""
    t = torch.linspace(0.0, END, POINTS, dtype=torch.float64)
    start, tight = torch.tensor([[2.0, 0.0]], dtype=torch.float64), PIDController(rtol=1e-10, atol=1e-10)
    with torch.no_grad():
        return solve(Pendulum(), start, t, solver="dopri8", controller=tight).require_success().y


def of_angle(y: Tensor, target: Tensor) -> Tensor:
    """The mean squared error of the angle; the velocity is not observed."""
    return (y[..., 0] - target[..., 0]).square().mean()


@problem(
    horizon=0.5,
    n_outputs=11,
    source="the damped pendulum, observed with noise",
    optimiser="Adam",
    learning_rate=3e-3,
    most={"batch_size": POINTS - 11, "n_outputs": 11},
)
def noisy_pendulum(cell: Cell, *, width: int = 32, noise: float = 0.01) -> Instance:
    """y' = net(y), trained on noisy windows of a pendulum's trajectory.

    width: units of the hidden layer. noise: standard deviation of the observations.
    """
    net = MLP(2, width=width)
    whole = true_trajectory()
    observed = whole + noise * torch.randn(whole.shape)

    def batches() -> Iterator[Batch]:
        draw = torch.Generator().manual_seed(cell.seed)
        while True:
            starts = torch.randint(POINTS - cell.n_outputs, (cell.batch_size,), generator=draw)
            windows = observed[starts + torch.arange(cell.n_outputs).unsqueeze(1), 0]
            yield Batch(y0=windows[0], target=windows)

    first = next(batches())
    t = torch.linspace(0.0, END, POINTS, dtype=torch.float64)
    judgement = Judgement(y0=whole[0], t=t, loss=of_angle, target=whole, trajectory=whole)
    return Instance(
        field=net,
        y0=first.y0,
        loss=of_angle,
        target=first.target,
        training=Training(batches, of_angle, judgement),
    )
