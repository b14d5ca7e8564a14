"""The true values of a problem: its solution and its gradient in float64, computed once and kept."""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import replace
from importlib import metadata
from itertools import chain
from typing import Any, Literal, cast

import numpy as np
import torch
from torch import Tensor, nn

import node
from bench.code_files import library
from bench.failure import TrialFailure
from bench.problems import Instance, Problem
from bench.workload import Workload, require_finite
from results.records import Cell, TrialStatus, TrueValues

_SOLVER, _TOLERANCE = "dopri8", 1e-12
# Equal to backprop's up to rounding. At so tight a tolerance, backprop's graph would fill the memory of a worker.
_GRADIENT = "checkpointed"
_MOST_KEPT = 2**28  # bytes of an array that the database stores: a larger one is computed again


class Truth:
    """The true values for a cell: kept ones if they were computed for the same inputs, else computed now.

    A step ends on every output: dopri8's dense output has order 5, and an error of 1e-9 where its steps have 1e-12.
    On problems with published end values, chaotic and stiff ones among them, the error is below 5e-12.
    """

    def __init__(self, cell: Cell, problem: Problem, kept: Iterable[TrueValues] = ()) -> None:
        self.instance = problem.instance(replace(cell, dtype="float64", device="cpu"))
        self.asked = asked(cell, self.instance)
        self.computed: list[TrueValues] = []
        self._problem = problem
        self._cell = cell
        of_cell = (values for values in kept if values.problem == problem.name and values.asked == self.asked)
        self._kept = {values.name: values for values in of_cell}

    def solution(self) -> Tensor:
        """The true states (n_outputs, batch, *state); exact where the problem knows them."""
        exact = self._problem.exact_at(self._cell, self.instance.t) if len(self.instance.y0) == 1 else None
        return self.computed_solution() if exact is None else exact.unsqueeze(1)

    def computed_solution(self) -> Tensor:
        """The true states (n_outputs, batch, *state) by a solve at the tightest tolerance."""
        return self._kept_or_computed("solution", Workload(self.instance, _solve).forward)

    def gradient(self) -> Tensor:
        """The true gradient of the loss in all parameters, flat, (n,)."""
        return self._kept_or_computed("gradient", Workload(self.instance, _solve).gradient)

    def _kept_or_computed(self, name: Literal["solution", "gradient"], compute: Callable[[], Tensor]) -> Tensor:
        if name in self._kept:
            return _unpacked(self._kept[name])
        try:
            values = require_finite(f"the true {name}", compute())
        except node.SolveError as error:
            status = cast(TrialStatus, error.status.name if error.status else "error")
            raise TrialFailure(status, f"there is no true {name} to compare with: {error}") from error
        if values.nbytes <= _MOST_KEPT:
            self.computed.append(self._packed(name, values))
        return values

    def _packed(self, name: str, values: Tensor) -> TrueValues:
        return TrueValues(
            problem=self._problem.name,
            name=name,
            asked=self.asked,
            provenance={
                "equation": self._problem.equation,
                "method": f"node {_SOLVER}, a step ends on every output",
                "tolerance": f"rtol = atol = {_TOLERANCE:g}",
                "dtype": "float64",
                **({"gradient": f"node {_GRADIENT}"} if name == "gradient" else {}),
                "nodebench": metadata.version("nodebench"),
                "torch": torch.__version__,
            },
            shape=tuple(values.shape),
            array=values.numpy().astype("<f8").tobytes(),
        )


def asked(cell: Cell, instance: Instance) -> dict[str, Any]:
    """All that decides the true values of a cell, given its instance in float64.

    A problem's name is not enough: its equation, its loss or its constants may have changed since. The code that
    computes the values belongs to it: otherwise the values of a faulty solver would be taken for true for ever.
    """
    return {
        "horizon": cell.horizon,
        "n_outputs": cell.n_outputs,
        "batch_size": cell.batch_size,
        "seed": cell.seed,
        "sha256": _digest(instance),
        "computed_by": library("node"),
    }


def _digest(instance: Instance) -> str:
    """A hash of an instance: start, times, parameters, and the values of its field and its loss at made-up states."""
    y0, t, field = instance.y0, instance.t, instance.field
    waves = 0.1 * torch.cos(torch.arange(len(t) * y0.numel(), dtype=y0.dtype))
    states = y0 + waves.view(len(t), *y0.shape)
    with torch.no_grad():
        answers = [field(t[i], states[i]) for i in (0, len(t) // 2, -1)] + [instance.loss(states)]
    found = hashlib.sha256()
    for values in chain((y0, t), field.parameters(), field.buffers(), map(_rounded, answers)):
        found.update(str(tuple(values.shape)).encode())
        found.update(values.detach().double().numpy().astype("<f8").tobytes())
    return found.hexdigest()


def _rounded(values: Tensor) -> Tensor:
    """The values rounded to a millionth of the largest, because another processor may round a sum another way."""
    finite = values.nan_to_num()
    _, exponent = torch.frexp(finite.abs().max())  # a power of two, which does not depend on the last digits
    return torch.ldexp(torch.ldexp(finite, 20 - exponent).round(), exponent - 20) + 0.0  # and no negative zero


def _unpacked(values: TrueValues) -> Tensor:
    array = np.frombuffer(values.array, dtype="<f8").astype(np.float64)
    return torch.from_numpy(array).view(values.shape)


def _solve(field: nn.Module, y0: Tensor, t: Tensor) -> Tensor:
    on_outputs = node.PIDController(rtol=_TOLERANCE, atol=_TOLERANCE, step_t=tuple(t.tolist()))
    solved = node.solve(field, y0, t, solver=_SOLVER, controller=on_outputs, gradient=_GRADIENT)
    y: Tensor = solved.require_success().y
    return y
