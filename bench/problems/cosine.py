"""The course's first check: a pure quadrature, whose solution is the sine."""

import torch

from bench.problems.base import PROBLEMS, Elementwise, Problem, from_start

COSINE = PROBLEMS.register(
    Problem(
        name="cosine",
        equation="y' = cos t, y(0) = 0; exact: sin t",
        source="the course's check of Euler and RK4",
        horizon=8.0,
        make=from_start(lambda: Elementwise(lambda t, y, a: (a * torch.cos(t) + torch.zeros_like(y),), 1.0), (0.0,)),
        exact=lambda t: torch.sin(t).unsqueeze(-1),
    )
)
