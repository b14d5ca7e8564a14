"""The words of the page, with their units."""

from collections.abc import Mapping

TERMS: Mapping[str, str] = {
    "cell": "everything that decides what is measured: problem, library, solver, step, gradient mode, device, ...",
    "block": "cells that may be compared: same problem, horizon, outputs, batch, precision, device",
    "trial": "one isolated process that measures one kind of thing of one cell",
    "round": "one timing of every cell of a block, in an order drawn anew; samples of one round are pairs",
    "sample": "one timing; tables show the median of a cell's samples",
    "control": "the cell of a block that is timed in every round; cells that share no round are compared through it",
    "twin": "the control in a second process, timed as if it were another cell",
    "paired ratio": "median of the ratios of paired samples; its 95% interval is that of a bootstrap over processes, "
    "then rounds, and at least that of Student's t over the processes",
    "noise floor": "what two timings of the same thing differ by: the far end of the interval of the twin's ratio to "
    "its cell",
    "difference": "a ratio of times whose whole interval is beyond the noise floor, sure also when corrected for all "
    "the comparisons of its section (Benjamini & Hochberg 1995: at most 5% of those called are none)",
    "too few processes": "in place of a ratio's interval or of a noise floor that reaches further than a factor of 2",
    "verdict": "best; no difference (within the noise floor); too uncertain (beyond the floor, but not sure); or how "
    "much slower. A gradient that is off by a tenth or more is wrong, however quick",
    "≈": "before a time: timing ended before its ratio to the control was as sure as asked",
    "observed order": "slope of log error on log dt by least squares, over the three finest errors above the "
    "rounding floor",
    "NFE": "number of function evaluations: calls of the vector field",
    "VJP": "vector-Jacobian product of the vector field; one costs several calls",
    "backprop": "the solver's own steps are differentiated (discretise, then optimise)",
    "adjoint": "a second differential equation is solved backwards for the gradient (optimise, then discretise)",
    "gradient error": "distance from the true gradient; “from discrete”: from backprop through the same steps",
}

# What a metric is, where its whole meaning has no room.
BRIEF: Mapping[str, str] = {
    "nfe_forward": "calls of f, forward pass",
    "nfe_backward": "calls of f, backward pass",
    "vjp_backward": "vector-Jacobian, backward pass",
    "error": "largest error of all outputs",
    "error_final": "largest error at the end",
    "gradient_error": "from the true gradient, relative",
    "gradient_error_discrete": "from backprop of the same steps",
    "first_call_s": "first call, fills caches, compiles",
    "forward_s": "forward solve",
    "gradient_s": "solve with loss and backward pass",
    "call_s": "call of an imported benchmark",
    "peak_bytes": "most live memory during the call",
    "saved_bytes": "kept for the backward pass",
    "peak_rss_bytes": "peak of the process, and libraries",
    "gpu_clock_mhz": "GPU's clock as timing ended",
    "initial_loss": "whole trajectory, untrained",
    "final_loss": "whole trajectory, trained",
    "train_s": "all training iterations",
    "nfe_start": "forward calls, first iteration",
    "nfe_end": "forward calls, last iteration",
}
