"""PROBLEMS: the one registry of problems, name to value."""

from bench.problems.base import Batch, Instance, Problem, Recipe, Training
from bench.problems.cosine import COSINE
from bench.problems.exp_sin import EXP_SIN
from bench.problems.lorenz import LORENZ
from bench.problems.lotka_volterra import LOTKA_VOLTERRA
from bench.problems.mlp import MLP_64
from bench.problems.pendulum import PENDULUM
from bench.problems.spiral import SPIRAL
from bench.problems.spiral_net import SPIRAL_NET
from bench.problems.van_der_pol import VAN_DER_POL

PROBLEMS: dict[str, Problem] = {
    problem.name: problem
    for problem in (COSINE, EXP_SIN, SPIRAL, SPIRAL_NET, LOTKA_VOLTERRA, VAN_DER_POL, LORENZ, PENDULUM, MLP_64)
}

__all__ = ["PROBLEMS", "Batch", "Instance", "Problem", "Recipe", "Training"]
