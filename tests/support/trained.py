"""Made-up trained cells: curves of a loss, and evaluations with other solvers."""

import math
from dataclasses import replace

import numpy as np

from reports.measured import MeasuredCell
from reports.views.findings.trained import Trained, trained
from results.records import Cell
from tests.support.made import a_cell

INF, NAN = math.inf, math.nan
CELL = Cell(
    problem="spiral_net", backend="node", solver="euler", dt=0.025, horizon=0.225, n_outputs=10, gradient="backprop",
    batch_size=20, iterations=4, optimiser="Adam", learning_rate=0.01,
    evaluate="rk4 dt=0.025; dopri5 rtol=1e-06 atol=1e-08",
)  # fmt: skip
RK4 = replace(CELL, solver="rk4")
LOSSES = (4.0, 2.0, 1.0)  # after 0, 2 and 4 iterations


def learned(
    cell: Cell = CELL, *, losses=LOSSES, second_s: float = 1.0, evaluation=(), nfe=(9.0, 9.0), **metrics: float
) -> MeasuredCell:
    """A trained cell with iterations of `second_s` seconds."""
    done = np.linspace(0, cell.iterations, len(losses))
    curves = {
        "loss": (np.arange(4.0), np.array(losses)[:1].repeat(4)[:, None]),
        "loss_seconds": (second_s * np.arange(1.0, 5.0), np.ones((4, 1))),
        "whole_loss": (done, np.array(losses)[:, None]),
        "nfe": (np.array([0.0, 3.0]), np.array([[n, 0.0, n] for n in nfe])),
    }
    if len(evaluation):
        curves["evaluation"] = (np.arange(float(len(evaluation))), np.array(evaluation))
    known = {"initial_loss": losses[0], "final_loss": losses[-1], "train_s": 4 * second_s, **metrics}
    return replace(a_cell(cell, **known), curves=curves)


def seeds(cell: Cell = CELL, *, finals: tuple[float, ...], **how) -> list[MeasuredCell]:
    return [
        learned(replace(cell, seed=seed), losses=(8.0, 4.0, final), **how) for seed, final in enumerate(finals)
    ]  # fmt: skip


def one(cells) -> Trained:
    ((choice,),) = trained(cells).values()
    return choice
