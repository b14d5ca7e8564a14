"""Error, measured twice: the solution's against a reference, the gradient's against the true and the discrete one."""

from dataclasses import replace

import torch
from torch import Tensor

import node
from bench.backends import BACKENDS
from bench.problems import Instance, Problem
from bench.workload import Workload, require_finite
from results.records import Cell

# The truth: eighth order, float64, at the tightest tolerance that rounding lets it keep.
_TRUTH = node.PIDController(rtol=1e-12, atol=1e-12)


def errors(cell: Cell, problem: Problem, workload: Workload) -> dict[str, float]:
    """Largest absolute error over the outputs and at the end; relative 2-norm errors of the gradient."""
    truth = problem.instance(replace(cell, dtype="float64", device="cpu"))
    y = require_finite("the solution", workload.forward()).cpu().double()
    distance = (y - _reference(cell, problem, truth)).abs()
    found = {"error": distance.max().item(), "error_final": distance[-1].max().item()}
    if cell.gradient != "none":
        found |= _gradient_errors(cell, problem, workload, truth)
    return found


def _reference(cell: Cell, problem: Problem, truth: Instance) -> Tensor:
    """States (n_outputs, batch, *state) in float64: exact where the problem knows them, else the truth solved."""
    if problem.exact is not None and cell.batch_size == 1:
        return problem.exact(truth.t).unsqueeze(1)
    with torch.no_grad():
        return _solve_truth(truth.field, truth.y0, truth.t)


def _gradient_errors(cell: Cell, problem: Problem, workload: Workload, truth: Instance) -> dict[str, float]:
    gradient = require_finite("the gradient", workload.gradient()).cpu().double()
    true = Workload(truth, _solve_truth).gradient()
    discrete = BACKENDS[cell.backend].prepare(replace(cell, gradient="backprop"), problem).gradient().cpu().double()
    return {
        "gradient_error": _relative(gradient, true),
        "gradient_error_discrete": _relative(gradient, discrete),
    }


def _solve_truth(field: torch.nn.Module, y0: Tensor, t: Tensor) -> Tensor:
    return node.solve(field, y0, t, solver="dopri8", controller=_TRUTH).require_success().y


def _relative(a: Tensor, b: Tensor) -> float:
    return (torch.linalg.vector_norm(a - b) / torch.linalg.vector_norm(b)).item()
