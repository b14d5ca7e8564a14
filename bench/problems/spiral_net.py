"""Learning the spiral: torchdiffeq's ode_demo."""

from collections.abc import Iterator
from functools import cache

import torch
from torch import Tensor, nn

from bench.problems.base import Batch, Instance, Judgement, Training
from bench.problems.decorator import problem
from bench.problems.spiral import CubicSpiral
from node.models import MLP
from results.records import Cell

_POINTS, _END = 1001, 25.0  # ode_demo has 1000 points: with one more they are 0.025 apart, which steps can divide
_WINDOW = 10  # points of a training window, which sets the problem's horizon


class SpiralNet(nn.Module):
    """y' = net(y^3): 2-50-2 with tanh, weights from N(0, 0.1^2)."""

    def __init__(self) -> None:
        super().__init__()
        self.net = MLP(2, width=50, std=0.1)

    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        """dy/dt, which does not depend on t."""
        rate: Tensor = self.net(t, y**3)
        return rate


@cache
def _true_trajectory() -> Tensor:
    """The spiral at 1001 points of [0, 25], (1001, 2), float64; by scipy, which is not a measured library.

    In NumPy: on two numbers torch takes ten times as long, and every process that measures the problem waits for it.
    """
    from scipy.integrate import solve_ivp

    matrix = CubicSpiral().matrix.detach().numpy()
    t = torch.linspace(0.0, _END, _POINTS, dtype=torch.float64).numpy()
    solved = solve_ivp(lambda _, y: (y * y * y) @ matrix, (0.0, _END), [2.0, 0.0], "DOP853", t, rtol=1e-12, atol=1e-12)
    if not solved.success:
        raise RuntimeError(f"the spiral has no true trajectory: {solved.message}")
    return torch.from_numpy(solved.y.T.copy())  # the same to 1e-11 with every release of scipy


def _mean_absolute(y: Tensor, target: Tensor) -> Tensor:
    """The loss of ode_demo: mean absolute error over outputs, batch and components."""
    return (y - target).abs().mean()


@problem(
    name="spiral_net",
    equation="y' = net(y^3), 2-50-2 tanh, trained on windows of 10 points of the spiral's 1001 on [0, 25]",
    source="torchdiffeq, examples/ode_demo.py",
    horizon=(_WINDOW - 1) * _END / (_POINTS - 1),
    n_outputs=_WINDOW,
    optimiser="RMSprop",
    learning_rate=1e-3,
    most={"n_outputs": _WINDOW + 1, "batch_size": _POINTS - _WINDOW},  # points from a start on; number of starts
)
def spiral_net(cell: Cell) -> Instance:
    """An instance that trains on windows of the true trajectory and is judged on the whole of it."""
    field = SpiralNet()
    trajectory = _true_trajectory().clone()

    def batches() -> Iterator[Batch]:
        draw = torch.Generator().manual_seed(cell.seed)
        while True:
            starts = torch.randperm(_POINTS - _WINDOW, generator=draw)[: cell.batch_size]
            target = trajectory[starts.unsqueeze(0) + torch.arange(cell.n_outputs).unsqueeze(1)]
            yield Batch(target[0], target)

    first, whole = next(batches()), trajectory.unsqueeze(1)
    t = torch.linspace(0.0, _END, _POINTS, dtype=torch.float64)
    return Instance(
        field=field,
        y0=first.y0,
        loss=_mean_absolute,
        target=first.target,
        training=Training(batches, _mean_absolute, Judgement(whole[0], t, _mean_absolute, whole, trajectory=whole)),
    )
