"""PROBLEMS: the one registry of problems, name to value."""

from bench.problems.base import PROBLEMS, Batch, Instance, Judgement, Problem, Recipe, Training
from bench.problems.decorator import problem

PROBLEMS.collect()

__all__ = ["PROBLEMS", "Batch", "Instance", "Judgement", "Problem", "Recipe", "Training", "problem"]
