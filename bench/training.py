"""Training a cell's problem: the loss over iterations and over seconds, and what the solves cost by then."""

import math
import time
from itertools import islice

import torch
from torch import Tensor

from bench.clock import synchronise
from bench.failure import TrialFailure
from bench.problems import Training
from bench.workload import Workload
from results.records import Cell, Curve

_DRAWN = 333  # points of a trajectory that are kept for the picture


def train(cell: Cell, workload: Workload) -> tuple[dict[str, float], dict[str, Curve]]:
    """Metrics and curves of `cell.iterations` steps of the problem's optimiser."""
    training = workload.instance.training
    if training is None:
        raise TrialFailure("unsupported", f"{cell.problem} has no training: set iterations = 0")
    before, _ = _whole_loss(workload, training)
    nfe_start = _nfe(workload)
    losses, seconds = _iterate(cell, workload, training)
    after, learned = _whole_loss(workload, training)
    metrics = {
        "initial_loss": before,
        "final_loss": after,
        "train_s": seconds[-1],
        "nfe_start": nfe_start,
        "nfe_end": _nfe(workload),
    }
    rows = [[loss] for loss in losses]
    curves = {
        "loss": Curve(list(range(len(losses))), rows),
        "loss_seconds": Curve(seconds, rows),
        "trajectory_true": _drawn(training.t, training.trajectory),
        "trajectory_learned": _drawn(training.t, learned),
    }
    return metrics, curves


def _iterate(cell: Cell, workload: Workload, training: Training) -> tuple[list[float], list[float]]:
    """The loss of each iteration and the seconds since the start after it."""
    field, t = workload.instance.field, workload.instance.t
    optimiser = training.optimiser(field.parameters())
    losses, seconds = [], []
    start = time.perf_counter()
    for i, batch in enumerate(islice(training.batches(), cell.iterations)):
        optimiser.zero_grad()
        loss = (workload.solve(field, batch.y0, t) - batch.target).abs().mean()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
        synchronise(cell.device)
        seconds.append(time.perf_counter() - start)
        if not math.isfinite(losses[-1]):
            raise TrialFailure("diverged", f"the loss is {losses[-1]} in iteration {i}: take a smaller step or rate")
    return losses, seconds


def _whole_loss(workload: Workload, training: Training) -> tuple[float, Tensor]:
    """Mean absolute error on the whole trajectory, as ode_demo judges, and the states themselves."""
    with torch.no_grad():
        y = workload.solve(workload.instance.field, training.y0, training.t)
    return (y - training.trajectory).abs().mean().item(), y


def _nfe(workload: Workload) -> int:
    counting, field = workload.counted()
    counting.forward()
    return field.calls


def _drawn(t: Tensor, y: Tensor) -> Curve:
    stride = max(1, len(t) // _DRAWN)
    return Curve(t[::stride].tolist(), y[::stride, 0].tolist())
