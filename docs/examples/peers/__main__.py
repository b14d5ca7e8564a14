"""The forms in which torchdiffeq can solve a cell, compared: calls of f and errors, the numbers of docs/peers.md.

    python docs/examples/peers

Calls and errors are the same on every machine up to rounding; times are medians of ratios of this process's CPU time,
with the forms in turn. Takes a minute or two, in float64 (the spiral's net in float32), on one thread.
"""

import argparse
import random
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import torch
import torchdiffeq
from torch import Tensor, nn

from bench.answers.columns import columns
from bench.backends import BACKENDS
from bench.backends.torchdiffeq import stops_at
from bench.measures.truth import Truth
from bench.problems import PROBLEMS
from node import Counted
from results.records import Cell

HORIZONS = {"spiral": 1.5, "lotka_volterra": 5.0, "cosine": 8.0}
THEIRS = {"rk4_38": "rk4", "heun": "heun2"}  # fixed-step methods; the adaptive ones have our names
NET = Cell(
    problem="spiral_net", backend="torchdiffeq", solver="euler", horizon=0.225, n_outputs=10, dt=0.025, batch_size=20
)


class Asked:
    """The instance of a cell, to be solved in different forms, with the calls and errors of each."""

    def __init__(self, cell: Cell):
        self.instance = PROBLEMS[cell.problem].instance(cell)
        self.t = self.instance.t
        self._truth = Truth(cell, PROBLEMS[cell.problem])

    def forward(self, odeint: Callable[[nn.Module], Tensor]) -> tuple[str, str]:
        """The calls of a forward solve, and the largest error over outputs."""
        field = Counted(self.instance.field)
        with torch.no_grad():
            off = (odeint(field).double() - self._truth.solution()).abs().max()
        return str(field.calls), f"{off:.1e}"

    def backward(self, odeint: Callable[[nn.Module], Tensor]) -> tuple[str, str]:
        """The calls of a backward pass, and the relative error of the parameters' gradient."""
        field = Counted(self.instance.field)
        loss = self.instance.loss(odeint(field))
        field.reset()
        gradient = torch.cat([part.reshape(-1) for part in torch.autograd.grad(loss, list(field.parameters()))])
        true = self._truth.gradient()
        return str(field.calls), f"{(gradient.double() - true).norm() / true.norm():.1e}"


def adaptive(problems: list[str], outputs: list[int]) -> Iterator[tuple[str, ...]]:
    """Rows for adaptive steps: by default, with a step that ends on the last output, and with a step to each output."""
    for problem in problems:
        for solver, rtol in [(s, r) for s in ("bosh3", "dopri5", "dopri8") for r in (1e-3, 1e-5, 1e-7)]:
            for n in outputs:
                cell = _cell(problem, solver, n, rtol=rtol, atol=rtol / 100)
                asked, how = Asked(cell), {"rtol": rtol, "atol": rtol / 100, "method": solver}
                forms: list[dict[str, Any]] = [{}, {"step_t": asked.t[-1:]}, {"step_t": stops_at(asked.t)}]
                found = [asked.forward(partial(_odeint, asked, options=form, **how)) for form in forms]
                taken = "each" if "each" in BACKENDS["torchdiffeq"].asked(cell) else "last"
                yield (problem, solver, f"{rtol:g}", str(n), *(part for pair in found for part in pair), taken)


def fixed(problems: list[str]) -> Iterator[tuple[str, ...]]:
    """Rows for fixed steps with linear and cubic interpolation; 80 steps end on the outputs, 87 steps do not."""
    for problem in problems:
        for solver in ("euler", "midpoint", "heun", "heun3", "rk4_38"):
            for steps in (80, 87):
                cell = _cell(problem, solver, 11, dt=HORIZONS[problem] / steps)
                asked, method = Asked(cell), THEIRS.get(solver, solver)
                forms = [{"step_size": cell.dt, "interp": interp} for interp in ("linear", "cubic")]
                found = [asked.forward(partial(_odeint, asked, method=method, options=form)) for form in forms]
                taken = BACKENDS["torchdiffeq"].asked(cell).split("'")[1]
                yield problem, solver, str(steps), *(part for pair in found for part in pair), taken


def adjoint(problems: list[str]) -> Iterator[tuple[str, ...]]:
    """Rows for backward passes: by default, with a step to each output, and with the seminorm too."""
    for problem in problems:
        for solver, rtol in [(s, r) for s in ("bosh3", "dopri5", "dopri8") for r in (1e-3, 1e-5)]:
            cell = _cell(problem, solver, 11, rtol=rtol, atol=rtol / 100, gradient="adjoint")
            asked, how = Asked(cell), {"rtol": rtol, "atol": rtol / 100, "method": solver}
            how["options"] = {"step_t": stops_at(asked.t)}
            stops = {"step_t": asked.t[:-1]}
            forms: list[dict[str, Any]] = [{}, stops, {**stops, "norm": "seminorm"}]
            solves = (partial(_odeint_adjoint, asked, adjoint_options=form, **how) for form in forms)
            yield problem, solver, f"{rtol:g}", *(part for solve in solves for part in asked.backward(solve))


def times(rounds: int) -> Iterator[tuple[str, ...]]:
    """Rows for Euler steps between points of a training window: each form's time relative to that of the form used."""
    asked = Asked(NET)
    forms = {
        "grid given": {"grid_constructor": lambda func, y0, t: t},
        "step_size": {"step_size": NET.dt},
        "step_size, cubic": {"step_size": NET.dt, "interp": "cubic"},
    }
    taken: dict[str, list[float]] = {name: [] for name in forms}
    with torch.no_grad():
        for _ in range(rounds):
            for name in random.sample(list(forms), len(forms)):
                start = time.process_time()
                _odeint(asked, asked.instance.field, method="euler", options=forms[name])
                taken[name].append(time.process_time() - start)
    for name, seconds in taken.items():
        ratio = statistics.median(a / b for a, b in zip(seconds, taken["grid given"], strict=True))
        calls, _ = asked.forward(partial(_odeint, asked, method="euler", options=forms[name]))
        yield name, calls, f"{ratio:.2f}"


def _cell(problem: str, solver: str, n_outputs: int, **changes: Any) -> Cell:
    cell = replace(NET, problem=problem, solver=solver, n_outputs=n_outputs, horizon=HORIZONS[problem], dtype="float64")
    return replace(cell, batch_size=1, **{"dt": None, **changes})


def _odeint(asked: Asked, field: nn.Module, **how: Any) -> Tensor:
    return torchdiffeq.odeint(field, asked.instance.y0, asked.t, **how)


def _odeint_adjoint(asked: Asked, field: nn.Module, **how: Any) -> Tensor:
    return torchdiffeq.odeint_adjoint(field, asked.instance.y0, asked.t, **how)


def main() -> None:
    """Print the four tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--problem", nargs="+", choices=HORIZONS, default=list(HORIZONS))
    parser.add_argument("--outputs", nargs="+", type=int, default=[11, 101])
    asked = parser.parse_args()
    torch.set_num_threads(1)
    forms = ("calls: default", "error", "to the last", "error", "to each", "error", "asked")
    print("Adaptive steps\n" + columns(adaptive(asked.problem, asked.outputs), ("", "", "rtol", "outputs", *forms)))
    header = ("", "", "steps", "calls: linear", "error", "cubic", "error", "asked")
    print("\nFixed steps, 11 outputs\n" + columns(fixed(asked.problem), header))
    header = ("", "", "rtol", "calls: default", "error", "to each", "error", "with seminorm", "error")
    print("\nBackward pass of odeint_adjoint, 11 outputs\n" + columns(adjoint(asked.problem), header))
    print("\nNine steps of Euler\n" + columns(times(200), ("", "calls", "time")))


if __name__ == "__main__":
    main()
