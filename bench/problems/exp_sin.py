"""A linear problem that depends on time, for measuring the order of a method."""

import torch

from bench.problems.base import PROBLEMS, Elementwise, Problem, from_start

EXP_SIN = PROBLEMS.register(
    Problem(
        name="exp_sin",
        equation="y' = y cos t, y(0) = 1; exact: exp(sin t)",
        source="Hull, Enright, Fellen & Sedgwick (1972), problem A3",
        horizon=8.0,
        make=from_start(lambda: Elementwise(lambda t, y, a: (a * y * torch.cos(t),), 1.0), (1.0,)),
        exact=lambda t: torch.exp(torch.sin(t)).unsqueeze(-1),
    )
)
