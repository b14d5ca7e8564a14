"""Trained choices: cells that differ only in the seed, and statistics over their seeds."""

import math
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass, replace

import numpy as np

from reports.measured import MeasuredCell
from reports.views.findings.configuration import BLOCK, Configuration, grouped, settings, step
from reports.views.parts.table import Value, number
from results import format as text
from results.records import Cell
from results.statistics.training import Range, common_target, time_to

SETTING = tuple(name for name in BLOCK if name != "seed")  # what trained choices must share to be compared

Curve = tuple[np.ndarray, np.ndarray]  # x (n,), y (n,)


@dataclass(frozen=True, eq=False)  # compared by identity: a cell's curves have no hash
class Trained:
    """A trained choice: its cells, one for each seed, at least one."""

    seeds: tuple[MeasuredCell, ...]

    @property
    def cell(self) -> Cell:
        """The cell of the first seed."""
        return self.seeds[0].cell

    @property
    def configuration(self) -> Configuration:
        """The configuration: solver, backend, gradient mode and options."""
        return Configuration.of(self.seeds[0])

    @property
    def final_loss(self) -> Range:
        """The final loss on the whole trajectory, over seeds."""
        return self.over("final_loss")

    @property
    def least_losses(self) -> dict[int, float]:
        """The loss so far of each seed as training ends: the least on the whole trajectory, of the state one keeps."""
        known = {each.cell.seed: (whole(each), each.value("final_loss")) for each in self.seeds}
        losses = {seed: _least(curve[1]) if curve else final for seed, (curve, final) in known.items()}
        return {seed: loss for seed, loss in losses.items() if not math.isnan(loss)}

    def times_to(self, target: float) -> dict[int, float]:
        """The seconds of training of each seed until its loss so far reaches the target; infinite if it never does."""
        known = ((each.cell.seed, whole_seconds(each)) for each in self.seeds)
        return {seed: time_to(*curve, target) for seed, curve in known if curve}

    def over(self, name: str) -> Range:
        """The range of a metric over seeds."""
        return Range.of([each.value(name) for each in self.seeds])

    def to(self, target: float) -> Range:
        """The seconds of training until the loss on the whole trajectory reaches the target, over seeds."""
        return Range.of(list(self.times_to(target).values()))

    def reached(self) -> float:
        """The loss on the whole trajectory that every seed reaches at some time; NaN if none has been computed."""
        return max((float(np.min(losses)) for _, losses in self.curves(whole)), default=math.nan)

    def initial(self) -> list[float]:
        """The loss of each seed on the whole trajectory before training."""
        return [float(losses[0]) for _, losses in self.curves(whole)]

    def curves(self, of: Callable[[MeasuredCell], Curve | None]) -> list[Curve]:
        """The curve of each seed that has it."""
        return [curve for each in self.seeds if (curve := of(each)) is not None]

    def __str__(self) -> str:
        return ", ".join(filter(None, (str(self.configuration), step(self.cell), optimiser(self.cell))))


def optimiser(cell: Cell) -> str:
    """The optimiser's name and learning rate; empty if both are the problem's own."""
    rate = "" if cell.learning_rate is None else text.tolerance(cell.learning_rate)
    return text.TIGHT.join(filter(None, (cell.optimiser or ("own" if rate else ""), rate)))


def trained(cells: Sequence[MeasuredCell]) -> dict[str, list[Trained]]:
    """The choices of each setting, in the order of their first appearance."""
    return {title: _choices(group) for title, group in settings(cells, SETTING).items()}


def _choices(cells: Sequence[MeasuredCell]) -> list[Trained]:
    alike = grouped(cells, lambda each: astuple(replace(each.cell, seed=0)))
    return [Trained(tuple(group)) for group in alike.values()]


def target_of(choices: Sequence[Trained]) -> float | None:
    """The target loss of a setting: the study's goal, else a loss that more than half of its choices reach."""
    stated = next((seed.goal.loss for each in choices for seed in each.seeds), None)
    if stated is not None:
        return stated
    initial = [loss for each in choices for loss in each.initial()]
    return common_target([each.reached() for each in choices], initial)


def batch_loss(measured: MeasuredCell) -> Curve | None:
    """Loss of each iteration's batch against the iteration."""
    return _first_component(measured, "loss")


def whole(measured: MeasuredCell) -> Curve | None:
    """Loss on the whole trajectory against the iterations done."""
    return _first_component(measured, "whole_loss")


def whole_seconds(measured: MeasuredCell) -> Curve | None:
    """Loss on the whole trajectory against seconds of training."""
    judged, clock = whole(measured), measured.curves.get("loss_seconds")
    if judged is None or clock is None:
        return None
    done = judged[0].astype(int)
    return np.concatenate([[0.0], clock[0]])[done], judged[1]


def calls(measured: MeasuredCell) -> Curve | None:
    """NFE of the forward pass against the iteration."""
    return _first_component(measured, "nfe")


def backward_calls(measured: MeasuredCell) -> Curve | None:
    """NFE of the backward pass against the iteration; None for a mode that calls nothing backwards."""
    x, y = measured.curves.get("nfe", (np.empty(0), np.empty((0, 3))))
    return (x, y[:, 1]) if y[:, 1].any() else None


def _least(losses: np.ndarray) -> float:
    """The least number among the losses; NaN if there is none."""
    numbers = losses[~np.isnan(losses)]
    return float(numbers.min()) if len(numbers) else math.nan


def _first_component(measured: MeasuredCell, name: str) -> Curve | None:
    if name not in measured.curves:
        return None
    x, y = measured.curves[name]
    return x, y[:, 0]


def ranged(over: Range, form: text.Form) -> Value:
    """An entry of a median and, in grey, the range of its seeds if they differ."""
    said = number(over.median, form)
    return replace(said, note=f"{form(over.low)} to {form(over.high)}") if over.low < over.high else said
