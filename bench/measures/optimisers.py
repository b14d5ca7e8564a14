"""OPTIMISERS: the classes of torch.optim, by name, that can train a dense vector field."""

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import nn

from bench.problems import Recipe
from results.records import Cell

Optimiser = torch.optim.Optimizer

REFUSED: Mapping[str, str] = {
    "SparseAdam": "SparseAdam takes sparse gradients, and those of a vector field are dense: take Adam",
    "Muon": "Muon takes matrices only, and a network has biases too: take AdamW",
}

# Other than torch's defaults: without a line search LBFGS steps away on the noise of mini-batches.
_SETTINGS: Mapping[str, Mapping[str, Any]] = {"LBFGS": {"line_search_fn": "strong_wolfe"}}


def _registered() -> dict[str, Any]:
    """The optimisers of the installed torch: releases differ in which they have."""
    found = {name: value for name, value in vars(torch.optim).items() if isinstance(value, type)}
    optimisers = {name: value for name, value in found.items() if issubclass(value, Optimiser)}
    return {name: optimisers[name] for name in sorted(optimisers) if name not in {"Optimizer", *REFUSED}}


OPTIMISERS: Mapping[str, Any] = _registered()


def optimiser_of(cell: Cell, recipe: Recipe, parameters: Iterator[nn.Parameter]) -> Optimiser:
    """The cell's optimiser and learning rate; by default the recipe's, or torch's rate for any other optimiser."""
    name = cell.optimiser or recipe.optimiser
    rate = cell.learning_rate
    if rate is None and name == recipe.optimiser:
        rate = recipe.learning_rate
    settings = dict(_SETTINGS.get(name, {})) | ({} if rate is None else {"lr": rate})
    optimiser: Optimiser = OPTIMISERS[name](parameters, **settings)
    return optimiser
