"""Errors: the solution's against the true one, the gradient's against the true and the discrete one."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from bench.backends import BACKENDS
from bench.measures.truth import Truth
from bench.problems import Problem
from bench.workload import Workload, require_finite
from results.records import Cell, TrueValues


def errors(
    cell: Cell, problem: Problem, workload: Workload, kept: Sequence[TrueValues] = ()
) -> tuple[dict[str, float], tuple[TrueValues, ...]]:
    """Errors as METRICS names them, and the true values that had to be computed because `kept` has none."""
    truth = Truth(cell, problem, kept)
    y = require_finite("the solution", workload.forward()).cpu().double()
    distance = (y - truth.solution()).abs()
    found = {"error": distance.max().item(), "error_final": distance[-1].max().item()}
    if cell.gradient != "none":
        found |= _gradient_errors(cell, problem, workload, truth)
    return found, tuple(truth.computed)


def _gradient_errors(cell: Cell, problem: Problem, workload: Workload, truth: Truth) -> dict[str, float]:
    gradient = require_finite("the gradient", workload.gradient()).cpu().double()
    found = {"gradient_error": _relative(gradient, truth.gradient())}
    backend, backprop = BACKENDS[cell.backend], replace(cell.without_options("gradient"), gradient="backprop")
    if not backend.unsupported(backprop):
        discrete = backend.prepare(backprop, problem).gradient().cpu().double()
        found["gradient_error_discrete"] = _relative(gradient, discrete)
    return found


def _relative(a: Tensor, b: Tensor) -> float:
    return float(torch.linalg.vector_norm(a - b) / torch.linalg.vector_norm(b))
