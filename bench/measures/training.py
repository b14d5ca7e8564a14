"""Training a cell's problem: the loss against iterations and seconds, and the NFE of the solves on the way."""

import copy
from dataclasses import dataclass, field, replace
from itertools import islice

import torch
from torch import Tensor, nn

from bench.failure import TrialFailure
from bench.measures.counts import count
from bench.measures.evaluation import evaluated, judged
from bench.measures.optimisers import Optimiser, optimiser_of
from bench.measures.stopwatch import Stopwatch
from bench.problems import PROBLEMS, Batch, Training
from bench.solve_spec import solve_specs
from bench.workload import Workload
from results.records import Cell, Curve

_COUNTED = 20  # iterations in which NFE is counted
_JUDGED = 5  # times that the whole trajectory is solved, the start and the end included: each takes as long as tens of
# iterations
_DIVERGED = 1e3  # times the first loss: beyond this, training has diverged
_DRAWN = 333  # points of a trajectory that are kept for the figure
_ADVICE = "take a smaller learning rate, or a finer step"


@dataclass
class _Course:
    """The record of a training: losses, times, calls and losses on the whole trajectory."""

    losses: list[float] = field(default_factory=list)  # of each iteration's batch, before its update
    seconds: list[float] = field(default_factory=list)  # spent training by the end of each iteration
    calls: dict[int, dict[str, float]] = field(default_factory=dict)  # iteration -> NFE of its solve
    whole: dict[int, float] = field(default_factory=dict)  # iterations done -> loss on the whole trajectory


def train(cell: Cell, workload: Workload) -> tuple[dict[str, float], dict[str, Curve]]:
    """Metrics and curves of `cell.iterations` steps of the cell's optimiser.

    Curves: loss and loss_seconds, of each iteration's batch against iteration and seconds of training; whole_loss
    against the iterations done; nfe (forward, backward, vector-Jacobian products) against the iteration; evaluation,
    see `evaluated`; trajectory_true and trajectory_learned.
    """
    training = workload.instance.training
    if training is None:
        raise TrialFailure("unsupported", f"{cell.problem} has no training: set iterations = 0")
    course = _trained(cell, workload, training)
    final, learned = judged(workload)
    course.whole[cell.iterations] = final
    curves, judgement = _curves(course), workload.instance.judgement
    if judgement.trajectory is not None:
        curves["trajectory_true"] = _drawn(judgement.t, judgement.trajectory)
        if learned is not None:
            curves["trajectory_learned"] = _drawn(judgement.t, learned)
    if others := solve_specs(cell.evaluate):
        curves["evaluation"] = evaluated(cell, workload, others)
    return _metrics(course), curves


def _trained(cell: Cell, workload: Workload, training: Training) -> _Course:
    """The record of training the workload's field in place. Counting calls and judging losses is not timed."""
    optimiser = _optimiser(cell, workload.instance.field, *training.modules)
    counted, judged_at = spaced(cell.iterations, _COUNTED), spaced(cell.iterations + 1, _JUDGED)
    course, watch = _Course(), Stopwatch(cell.device)
    _warm_up(cell, workload, training)
    for i, batch in enumerate(islice(training.batches(), cell.iterations)):
        try:
            if i in counted:
                course.calls[i] = _calls(cell, workload, training, batch)
            if i in judged_at:
                course.whole[i] = judged(workload)[0]
            with watch:
                loss = _step(workload, training, workload.instance.field, optimiser, batch)
        except TrialFailure as failure:
            raise _diverged(failure, i) from None
        course.losses.append(loss)
        course.seconds.append(watch.seconds)
        if not loss <= _DIVERGED * course.losses[0]:  # true for NaN too
            raise TrialFailure("diverged", f"the loss is {loss:.3g} in iteration {i}: {_ADVICE}")
    return course


def spaced(iterations: int, wanted: int) -> set[int]:
    """The wanted number of iterations' indices, evenly spaced, with the first and the last; all if there are fewer."""
    intervals = max(1, min(wanted, iterations) - 1)
    return {round(k * (iterations - 1) / intervals) for k in range(intervals + 1)}


def _optimiser(cell: Cell, *modules: nn.Module) -> Optimiser:
    recipe = PROBLEMS[cell.problem].recipe
    if recipe is None:
        raise TrialFailure("unsupported", f"{cell.problem} has no recipe for training: set iterations = 0")
    return optimiser_of(cell, recipe, nn.ModuleList(modules).parameters())


def _warm_up(cell: Cell, workload: Workload, training: Training) -> None:
    """Train a copy for one iteration, so that what the first pass and update load is not timed as training."""
    duplicate = copy.deepcopy(workload.instance.field)
    _step(workload, training, duplicate, _optimiser(cell, duplicate), next(training.batches()))


def _step(workload: Workload, training: Training, field: nn.Module, optimiser: Optimiser, batch: Batch) -> float:
    """One training iteration; the loss before its update. LBFGS solves several times in one update."""

    def closure() -> float:
        optimiser.zero_grad()
        loss = training.loss(workload.solve(field, batch.y0, workload.instance.t), batch.target)
        torch.autograd.backward(loss)
        return loss.item()

    return optimiser.step(closure)


def _calls(cell: Cell, workload: Workload, training: Training, batch: Batch) -> dict[str, float]:
    """The NFE of this iteration's solve."""
    of_batch = replace(workload.instance, y0=batch.y0, loss=lambda y: training.loss(y, batch.target))
    return count(cell, replace(workload, instance=of_batch))


def _diverged(failure: TrialFailure, iteration: int) -> TrialFailure:
    """The failure of an iteration: "diverged" if the solve succeeded in the iterations before and is not finite now."""
    reason = f"iteration {iteration}: {failure.reason}"
    if iteration and failure.status == "non_finite":
        return TrialFailure("diverged", f"{reason}; {_ADVICE}")
    return TrialFailure(failure.status, reason)


def _metrics(course: _Course) -> dict[str, float]:
    first, last = min(course.calls), max(course.calls)
    return {
        "initial_loss": course.whole[0],
        "final_loss": course.whole[max(course.whole)],
        "train_s": course.seconds[-1],
        "nfe_start": course.calls[first]["nfe_forward"],
        "nfe_end": course.calls[last]["nfe_forward"],
    }


def _curves(course: _Course) -> dict[str, Curve]:
    rows = [[loss] for loss in course.losses]
    calls = [[nfe["nfe_forward"], nfe["nfe_backward"], nfe["vjp_backward"]] for nfe in course.calls.values()]
    return {
        "loss": Curve([float(i) for i in range(len(rows))], rows),
        "loss_seconds": Curve(course.seconds, rows),
        "whole_loss": Curve([float(done) for done in course.whole], [[loss] for loss in course.whole.values()]),
        "nfe": Curve([float(i) for i in course.calls], calls),
    }


def _drawn(t: Tensor, y: Tensor) -> Curve:
    stride = max(1, len(t) // _DRAWN)
    return Curve(t[::stride].tolist(), y[::stride, 0].tolist())
