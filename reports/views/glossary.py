"""The words of the page, with their units."""

from collections.abc import Mapping

TERMS: Mapping[str, str] = {
    "cell": "everything that decides what is measured: problem, library, solver, step, gradient mode, device, ...",
    "block": "cells that may be compared: same problem, horizon, outputs, batch, precision, device",
    "trial": "one isolated process that measures one kind of thing of one cell",
    "round": "one timing of every cell of a block, in an order drawn anew; samples of one round are pairs",
    "sample": "one timing; tables show the median of a cell's samples",
    "paired ratio": "median of the ratios of paired samples; its 95% interval is a bootstrap over processes, "
    "then rounds. Only an interval that leaves out 1 is a difference",
    "observed order": "slope of log error on log dt by least squares, over the three finest errors above the "
    "rounding floor",
    "NFE": "number of function evaluations: calls of the vector field",
    "VJP": "vector-Jacobian product of the vector field; one costs several calls",
    "backprop": "the solver's own steps are differentiated (discretise, then optimise)",
    "adjoint": "a second differential equation is solved backwards for the gradient (optimise, then discretise)",
    "gradient error": "distance from the true gradient; “from discrete”: from backprop through the same steps",
}
