"""Learning the spiral: torchdiffeq's ode_demo."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

import node
from bench.problems.base import Batch, Instance, Problem, Recipe, Training, output_times
from bench.problems.spiral import CubicSpiral
from node.models import MLP
from results.records import Cell

_POINTS, _END = 1000, 25.0
_WINDOW = 10  # points of a training window, which sets the problem's horizon


class SpiralNet(nn.Module):
    """y' = net(y^3): 2-50-2 with tanh, weights from N(0, 0.1^2)."""

    def __init__(self) -> None:
        super().__init__()
        self.net = MLP(2, width=50, std=0.1)

    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        """dy/dt; t does not enter."""
        return self.net(t, y**3)


def _true_trajectory() -> Tensor:
    """The spiral at 1000 points of [0, 25], (1000, 2), float64."""
    with torch.no_grad():
        return (
            node.solve(
                CubicSpiral(),
                torch.tensor([2.0, 0.0], dtype=torch.float64),
                torch.linspace(0.0, _END, _POINTS, dtype=torch.float64),
                solver="dopri8",
                controller=node.PIDController(rtol=1e-10, atol=1e-10),
            )
            .require_success()
            .y
        )


def _instance(problem: Problem, cell: Cell) -> Instance:
    dtype = getattr(torch, cell.dtype)
    field = problem.field().to(cell.device, dtype)
    trajectory = _true_trajectory().to(cell.device, dtype)

    def batches() -> Iterator[Batch]:
        draw = torch.Generator().manual_seed(cell.seed)
        while True:
            starts = torch.randperm(_POINTS - _WINDOW, generator=draw)[: cell.batch_size]
            windows = starts.unsqueeze(0) + torch.arange(cell.n_outputs).unsqueeze(1)
            target = trajectory[windows.to(cell.device)]
            yield Batch(target[0], target)

    first = next(batches())
    return Instance(
        field=field,
        y0=first.y0,
        t=output_times(cell),
        loss=lambda y: (y - first.target).abs().mean(),
        training=Training(
            batches=batches,
            y0=trajectory[:1],
            t=torch.linspace(0.0, _END, _POINTS, dtype=torch.float64).to(cell.device, dtype),
            trajectory=trajectory.unsqueeze(1),
        ),
    )


SPIRAL_NET = Problem(
    name="spiral_net",
    equation="y' = net(y^3), 2-50-2 tanh, trained on windows of 10 points of the spiral's 1000 on [0, 25]",
    source="torchdiffeq, examples/ode_demo.py",
    horizon=(_WINDOW - 1) * _END / (_POINTS - 1),
    n_outputs=_WINDOW,
    field=SpiralNet,
    start=(),
    make=_instance,
    recipe=Recipe("RMSprop", 1e-3),
)
