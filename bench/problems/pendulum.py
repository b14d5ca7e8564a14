"""The damped pendulum."""

import torch

from bench.problems.base import PROBLEMS, Elementwise, Problem, from_start

PENDULUM = PROBLEMS.register(
    Problem(
        name="pendulum",
        equation="u' = v, v' = -sin u - 0.1 v, (u, v)(0) = (2, 0)",
        source="the damped pendulum, a textbook problem",
        horizon=10.0,
        make=from_start(lambda: Elementwise(lambda t, u, v, d: (v, -torch.sin(u) - d * v), 0.1), (2.0, 0.0)),
    )
)
